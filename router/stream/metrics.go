package stream

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of the stream. See newMetrics for what they mean.
type metrics struct {
	published, failed, events prometheus.Counter
	handled                   *prometheus.CounterVec
	behind                    prometheus.Gauge

	registerer prometheus.Registerer
	all        []prometheus.Collector
}

func newMetrics(r prometheus.Registerer, s *Stream) (*metrics, error) {
	m := &metrics{
		registerer: r,
		published: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tocsin_wakes_published_total",
			Help: "Wake-ups given to NATS.",
		}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tocsin_wakes_failed_total",
			Help: "Wake-ups that NATS could not be given: refused to the caller, who wakes in-process, or left to the sweep.",
		}),
		handled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_wakes_handled_total",
			Help: "Deliveries of wake-ups by kind of target and outcome: done, retry, panic, corrupt, lost.",
		}, []string{"kind", "outcome"}),
		events: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tocsin_events_published_total",
			Help: "Incident events that the event stream confirmed.",
		}),
		behind: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tocsin_events_behind",
			Help: "Committed incident events that the event stream has not confirmed, as far as they were read: at most a batch of 256.",
		}),
	}
	healthy := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tocsin_stream_healthy",
		Help: "1 when NATS takes wake-ups, 0 when they are made in-process.",
	}, func() float64 {
		if s.Healthy() {
			return 1
		}
		return 0
	})
	m.all = []prometheus.Collector{m.published, m.failed, m.handled, m.events, m.behind, healthy}
	var errs []error
	for _, c := range m.all {
		errs = append(errs, r.Register(c))
	}
	return m, errors.Join(errs...)
}

// unregister makes room for a Stream that is started after this one.
func (m *metrics) unregister() {
	for _, c := range m.all {
		m.registerer.Unregister(c)
	}
}
