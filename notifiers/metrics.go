package notifiers

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	outcomes *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	lag      *prometheus.HistogramVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_deliveries_total",
			Help: "Calls to providers by kind and outcome: delivered, digested, retried or failed.",
		}, []string{"kind", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tocsin_provider_call_seconds", Help: "Duration of one call to a provider.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"kind"}),
		lag: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tocsin_delivery_lag_seconds", Help: "Time from a change until its target showed it.",
			Buckets: []float64{.001, .0025, .005, .01, .05, .1, .5, 1, 5, 15, 60, 300, 1800},
		}, []string{"kind"}),
	}
	if reg != nil {
		reg.MustRegister(m.outcomes, m.seconds, m.lag)
	}
	return m
}

func (m *metrics) delivered(target string, since, now time.Time) {
	m.outcomes.WithLabelValues(kind(target), "delivered").Inc()
	m.lag.WithLabelValues(kind(target)).Observe(max(now.Sub(since).Seconds(), 0))
}

// kind is the part of a target's key before the colon: "slack".
func kind(target string) string {
	k, _, _ := strings.Cut(target, ":")
	return k
}
