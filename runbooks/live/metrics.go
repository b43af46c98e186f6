package live

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-oncall/tocsin"
)

// metrics of the questions.
type metrics struct {
	seconds *prometheus.HistogramVec
	errors  *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tocsin_prometheus_query_seconds", Help: "How long questions to Prometheus took, those that failed too.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2, 5},
		}, []string{"kind"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_prometheus_query_errors_total", Help: "Questions to Prometheus that brought no answer; those that it has refused are reason invalid.",
		}, []string{"kind", "reason"}),
	}
	if reg != nil {
		reg.MustRegister(m.seconds, m.errors)
	}
	return m
}

func (m *metrics) asked(kind string, took time.Duration, err error) {
	m.seconds.WithLabelValues(kind).Observe(took.Seconds())
	switch {
	case err == nil:
	case errors.Is(err, tocsin.ErrInvalid):
		m.errors.WithLabelValues(kind, "invalid").Inc()
	default:
		m.failed(kind)
	}
}

func (m *metrics) failed(kind string) { m.errors.WithLabelValues(kind, "unavailable").Inc() }
