package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// storeCollector shows what the store knows of itself. Its figures are read when
// they are asked for.
type storeCollector struct {
	app                                           *App
	live, open, alerts, firing, lagging, accepted *prometheus.Desc
	oldest                                        *prometheus.Desc
}

func (a *App) registerMetrics() {
	a.reloadOK = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "tocsin_config_last_reload_successful", Help: "Whether the last reload of the configuration succeeded.",
	})
	a.reloadOK.Set(1)
	desc := func(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, nil, nil) }
	a.registry.MustRegister(a.reloadOK, &storeCollector{
		app:      a,
		live:     desc("tocsin_incidents_live", "Incidents held: open, or resolved and able to reopen."),
		open:     desc("tocsin_incidents_open", "Incidents that are not resolved."),
		alerts:   desc("tocsin_alerts_known", "Alerts of live incidents."),
		firing:   desc("tocsin_alerts_firing", "Alerts of live incidents that fire."),
		lagging:  desc("tocsin_deliveries_lagging", "Targets that show less than they should."),
		oldest:   desc("tocsin_oldest_unaccounted_seconds", "For how long the target that lags the longest has lagged; 0: none does."),
		accepted: desc("tocsin_intake_open", "1 while alerts are taken, 0 while they are answered with 503."),
	})
}

// Describe sends the descriptions.
func (c *storeCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.live, c.open, c.alerts, c.firing, c.lagging, c.oldest, c.accepted} {
		ch <- d
	}
}

// Collect reads the store's figures.
func (c *storeCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.app.store.Stats()
	gauge := func(d *prometheus.Desc, v float64) { ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	gauge(c.live, float64(s.Live))
	gauge(c.open, float64(s.Open))
	gauge(c.alerts, float64(s.Alerts))
	gauge(c.firing, float64(s.Firing))
	gauge(c.lagging, float64(s.Lagging))
	oldest, taken := 0.0, 1.0
	if !s.OldestLag.IsZero() {
		oldest = max(time.Since(s.OldestLag).Seconds(), 0)
	}
	if s.Err != nil {
		taken = 0
	}
	gauge(c.oldest, oldest)
	gauge(c.accepted, taken)
}
