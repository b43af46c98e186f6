package escalation

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-oncall/tocsin"
)

type metrics struct {
	alarms prometheus.Counter
	events *prometheus.CounterVec
}

// newMetrics makes the metrics; they are exposed where reg is not nil.
func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		alarms: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tocsin_alarms_total", Help: "Deliveries that failed, or lagged too long, and were alarmed about.",
		}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_escalations_total", Help: "What escalations did, by kind: escalated, called, nobody, last_resort, reminded, returned.",
		}, []string{"kind"}),
	}
	if reg != nil {
		reg.MustRegister(m.alarms, m.events)
	}
	return m
}

func (m *metrics) count(events []tocsin.Event) {
	for i := range events {
		m.events.WithLabelValues(string(events[i].Kind)).Inc()
	}
}
