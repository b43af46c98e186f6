package feed

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of the feeds. The ages are counted when they are asked for.
type metrics struct {
	errors *prometheus.CounterVec
	age    *prometheus.Desc
	ages   func() map[string]time.Duration
}

func newMetrics(reg prometheus.Registerer, ages func() map[string]time.Duration) *metrics {
	m := &metrics{
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_feed_errors_total", Help: "Questions to a calendar, or to PagerDuty's schedules, that were not answered.",
		}, []string{"feed"}),
		age: prometheus.NewDesc("tocsin_feed_age_seconds",
			"Age of what a calendar, or PagerDuty, last said about who is on call or away; where it never answered, how long it has been asked.",
			[]string{"feed"}, nil),
		ages: ages,
	}
	if reg != nil {
		reg.MustRegister(m.errors, m)
	}
	return m
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) { ch <- m.age }

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	for id, age := range m.ages() {
		ch <- prometheus.MustNewConstMetric(m.age, prometheus.GaugeValue, age.Seconds(), id)
	}
}
