package remediation

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-oncall/tocsin"
)

type metrics struct {
	total   *prometheus.CounterVec
	running prometheus.Gauge
	start   *prometheus.HistogramVec
}

// newMetrics makes the metrics; they are exposed where reg is not nil.
func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_remediations_total",
			Help: "Remediations that came to their end, by remedy and outcome: verified, not_fixed, rolled_back, unknown, refused, denied, expired.",
		}, []string{"remedy", "outcome"}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tocsin_remediations_running", Help: "Remedies and rollbacks that are being executed now.",
		}),
		start: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tocsin_remediation_start_seconds", Help: "From the proposal of a remediation to its start, by mode.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60, 300, 900, 3600},
		}, []string{"mode"}),
	}
	if reg != nil {
		reg.MustRegister(m.total, m.running, m.start)
	}
	return m
}

func (m *metrics) ended(list []tocsin.Remediation) {
	for i := range list {
		m.total.WithLabelValues(list[i].Remedy, string(list[i].State)).Inc()
	}
}
