package socket

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	connections prometheus.Gauge
	reconnects  *prometheus.CounterVec
	envelopes   *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		connections: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tocsin_slack_socket_connections",
			Help: "Connections of Slack's Socket Mode that are open. 0: nothing that people do in Slack arrives.",
		}),
		reconnects: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_slack_socket_reconnects_total",
			Help: "Connections of Slack's Socket Mode that were replaced or could not be made, by reason: warning, refresh_requested, link_disabled, too_many_websockets, other, closed, silent or failed.",
		}, []string{"reason"}),
		envelopes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_slack_socket_envelopes_total",
			Help: "Envelopes of Slack's Socket Mode by kind and outcome: acknowledged, refused (not done, so not acknowledged), lost (done, but the connection broke), panicked or unreadable.",
		}, []string{"kind", "outcome"}),
	}
	if reg != nil {
		reg.MustRegister(m.connections, m.reconnects, m.envelopes)
	}
	return m
}

// envelope counts one, of the kinds that are known.
func (m *metrics) envelope(kind, outcome string) {
	switch kind {
	case "interactive", "slash_commands", "events_api":
	default:
		kind = "other"
	}
	m.envelopes.WithLabelValues(kind, outcome).Inc()
}
