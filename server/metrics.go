package server

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// otherRoute stands for every path that is no route, so that a scan of paths
// does not become a series each.
const otherRoute = "other"

// metrics are the server's. Labels are bounded: route is one of the registered
// ones, code one of those the server gives, reason one of the constants here.
type metrics struct {
	requests *prometheus.CounterVec
	duration map[string]prometheus.Observer
	inFlight prometheus.Gauge
	shed     *prometheus.CounterVec
	panics   prometheus.Counter
	conns    prometheus.Gauge

	bytes    prometheus.Histogram
	alerts   prometheus.Counter
	refused  *prometheus.CounterVec
	buffered prometheus.GaugeFunc
}

// Reasons of tocsin_http_shed_total.
const (
	shedOverload    = "overload"
	shedStopping    = "stopping"
	shedConnections = "connections"
	shedUnavailable = "unavailable"
)

func newMetrics(reg prometheus.Registerer, routes []string, buffered *budget) (*metrics, error) {
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "tocsin_http_request_duration_seconds",
		Help:    "How long requests took, by route.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 3, 10},
	}, []string{"route"})
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_http_requests_total", Help: "Requests answered, by route and status code.",
		}, []string{"route", "code"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tocsin_http_requests_in_flight", Help: "Requests that are being answered now.",
		}),
		shed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_http_shed_total", Help: "Requests and connections refused for now, by reason.",
		}, []string{"reason"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tocsin_http_panics_total", Help: "Requests that ended in a panic. Each is a bug.",
		}),
		conns: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tocsin_http_connections", Help: "Connections that are open now.",
		}),
		bytes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tocsin_intake_request_bytes", Help: "Size of the alert requests that were read.",
			Buckets: prometheus.ExponentialBuckets(1<<10, 4, 7),
		}),
		alerts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tocsin_intake_alerts_total", Help: "Alerts in requests that were answered with success.",
		}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_intake_refused_total", Help: "Alert requests refused, by the error's code.",
		}, []string{"code"}),
		buffered: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tocsin_intake_buffered_bytes", Help: "Memory held by alert requests in flight.",
		}, func() float64 { return float64(buffered.used.Load()) }),
	}
	for _, c := range []prometheus.Collector{m.requests, duration, m.inFlight, m.shed, m.panics, m.conns, m.bytes, m.alerts, m.refused, m.buffered} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	m.duration = make(map[string]prometheus.Observer, len(routes)+1)
	for _, r := range append(routes, otherRoute) {
		m.duration[r] = duration.WithLabelValues(r)
	}
	for _, r := range []string{shedOverload, shedStopping, shedConnections, shedUnavailable} {
		m.shed.WithLabelValues(r)
	}
	return m, nil
}

// done records a request that was answered.
func (m *metrics) done(route string, code int, took time.Duration) {
	o, ok := m.duration[route]
	if !ok {
		route, o = otherRoute, m.duration[otherRoute]
	}
	o.Observe(took.Seconds())
	m.requests.WithLabelValues(route, strconv.Itoa(code)).Inc()
}
