package router

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-oncall/tocsin"
)

type metrics struct {
	received, refused, suppressed prometheus.Counter
	alerts                        *prometheus.CounterVec
	incidents                     *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		received: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tocsin_alerts_received_total", Help: "Alerts in batches that were committed.",
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tocsin_batches_refused_total", Help: "Batches that could not be committed and were answered with 503.",
		}),
		suppressed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tocsin_alerts_suppressed_total", Help: "Alerts that fired and were silenced or inhibited.",
		}),
		alerts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_alerts_total", Help: "Alerts received, by what they were: fired, resolved, deduplicated or late.",
		}, []string{"result"}),
		incidents: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_incidents_total", Help: "Incidents opened and reopened.",
		}, []string{"change"}),
	}
	for _, l := range []string{"fired", "resolved", "deduplicated", "late"} {
		m.alerts.WithLabelValues(l)
	}
	for _, l := range []string{"opened", "reopened"} {
		m.incidents.WithLabelValues(l)
	}
	if reg != nil {
		reg.MustRegister(m.received, m.refused, m.suppressed, m.alerts, m.incidents)
	}
	return m
}

func (m *metrics) count(n int, out tocsin.Outcome) {
	m.received.Add(float64(n))
	m.suppressed.Add(float64(out.Suppressed))
	m.alerts.WithLabelValues("fired").Add(float64(out.Fired))
	m.alerts.WithLabelValues("resolved").Add(float64(out.Ended))
	m.alerts.WithLabelValues("deduplicated").Add(float64(out.Repeated))
	m.alerts.WithLabelValues("late").Add(float64(out.Late))
	m.incidents.WithLabelValues("opened").Add(float64(out.Opened))
	m.incidents.WithLabelValues("reopened").Add(float64(out.Reopened))
}
