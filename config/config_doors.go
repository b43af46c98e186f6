package config

import (
	"fmt"
	"strings"

	"github.com/tocsin-oncall/tocsin"
)

// Doors are the ways in for senders other than Alertmanager.
type Doors struct {
	// Senders that speak PagerDuty's Events API v2, at /v2/enqueue and
	// /v2/change/enqueue. The routing key says who sends.
	PagerDuty []PagerDutyDoor `yaml:"pagerduty"`
	// Senders that post JSON of their own, at /webhook/json/NAME, with an intake
	// token.
	JSON []JSONDoor `yaml:"json"`
	// Topics of AWS SNS that bring alarms of CloudWatch, at /webhook/sns/NAME.
	// Their messages are signed by AWS.
	SNS []SNSDoor `yaml:"sns"`
}

// PagerDutyDoor is a sender of events in PagerDuty's format.
type PagerDutyDoor struct {
	// The routing key that its events bear: 32 letters and digits. Keep the one
	// that it has, or make one up.
	RoutingKey Secret `yaml:"routing_key" example:"${LEGACY_ROUTING_KEY}"`
	// File with the routing key.
	RoutingKeyFile string `yaml:"routing_key_file" path:"true" example:"legacy.key"`
	// Who sends: part of its alerts' identity. Two routing keys may share it while
	// one replaces the other.
	Source string `yaml:"source" example:"legacy" jsonschema:"required"`
	// Labels of all its alerts, as name=value.
	Labels []string `yaml:"labels" example:"['team=db']"`
}

// JSONDoor says how to read alerts from JSON. A path leads into it by names and
// numbers with dots between, such as data.alerts.0.name; a name that holds a dot
// is written as a JSON Pointer, such as /labels/app.kubernetes.io~1name.
type JSONDoor struct {
	// The last part of the URL.
	Name string `yaml:"name" example:"grafana" jsonschema:"required"`
	// Who sends: part of its alerts' identity.
	Source string `yaml:"source" defaultdoc:"the name" example:"grafana"`
	// Path to the list of alerts; the other paths begin at each of them. Empty:
	// the body is one alert, or a list of them.
	Alerts string `yaml:"alerts" example:"data.alerts"`
	// Where it stands whether the alert fires.
	Status JSONStatus `yaml:"status"`
	// The labels: the alert's identity. What changes while it fires is none.
	Labels []JSONField `yaml:"labels" jsonschema:"required"`
	// The annotations, such as summary and description.
	Annotations []JSONField `yaml:"annotations"`
	// Path to the time at which the alert began: RFC 3339, or seconds or
	// milliseconds since 1970. Empty, or nothing there: when it came.
	StartsAt string `yaml:"starts_at" example:"startedAt"`
	// Path to the time at which it ended.
	EndsAt string `yaml:"ends_at" example:"endedAt"`
	// Path to the URL of what sent it.
	GeneratorURL string `yaml:"generator_url" example:"link"`
}

// JSONStatus tells what fires from what is over.
type JSONStatus struct {
	// Path to the word. Empty: everything fires, and only goes stale.
	Path string `yaml:"path" example:"state"`
	// Words that mean that the alert is over; anything else fires. Case does not
	// matter.
	Resolved []string `yaml:"resolved" defaultdoc:"resolved, ok, up, closed, inactive, normal, false" example:"[ok]"`
}

// JSONField is one label or annotation.
type JSONField struct {
	// Its name.
	Name string `yaml:"name" example:"alertname" jsonschema:"required"`
	// Path to its value. What is no text is taken as it is written.
	Path string `yaml:"path" example:"rule.name"`
	// Its value where the path leads to nothing, or where there is no path.
	Value string `yaml:"value" example:"unknown"`
	// Refuse an alert that has nothing there.
	Must bool `yaml:"must" default:"false" example:"true"`
}

// SNSDoor is a way in for messages of AWS SNS.
type SNSDoor struct {
	// The last part of the URL.
	Name string `yaml:"name" example:"cloudwatch" jsonschema:"required"`
	// ARNs of the topics whose messages are taken; a subscription to them is
	// confirmed, to others not.
	Topics []string `yaml:"topics" example:"['arn:aws:sns:eu-west-1:123456789012:alarms']" jsonschema:"required"`
	// Who sends: part of its alerts' identity.
	Source string `yaml:"source" defaultdoc:"the name" example:"aws"`
	// Labels of all its alerts, as name=value.
	Labels []string `yaml:"labels" example:"['severity=critical']"`
}

// Heartbeat is a sign of life that is expected at /heartbeat/NAME, with an
// intake token. When it does not come, an alert HeartbeatMissed with the label
// name fires, of the source heartbeat, until it comes again.
type Heartbeat struct {
	// The last part of the URL, and the label name of the alert.
	Name string `yaml:"name" example:"backup" jsonschema:"required"`
	// How often it comes.
	Every Duration `yaml:"every" default:"5m" example:"24h"`
	// How late it may be.
	Grace Duration `yaml:"grace" default:"1m" example:"1h"`
	// How bad it is when it does not come.
	Severity tocsin.Severity `yaml:"severity" default:"critical" example:"warning"`
	// Further labels of the alert, as name=value: routes find it by them.
	Labels []string `yaml:"labels" example:"['team=db']"`
	// Alerts that all of these match are beats, too, and open no incident:
	// Alertmanager's Watchdog, which always fires. Its repeat_interval must be
	// shorter than every.
	Matchers []string `yaml:"matchers" example:"['alertname=\"Watchdog\"']"`
	// Pos is where the heartbeat stands: "tocsin.yml:12".
	Pos string `yaml:"-" json:"-"`
}

// Alertmanager is the sender that Tocsin asks, every minute and at the start,
// what fires there: webhooks get lost. Without urls it is not asked.
type Alertmanager struct {
	// All members of the cluster, without /api/v2.
	URLs []string `yaml:"urls" example:"['http://alertmanager-0:9093', 'http://alertmanager-1:9093']"`
	// The source of its webhooks: what ?source=NAME in their URL says.
	Source string `yaml:"source" default:"alertmanager" example:"prod"`
	// Receivers of Alertmanager's that send here. What goes to others only is not
	// missed here. Empty: all.
	Receivers []string `yaml:"receivers" example:"[tocsin]"`
	// Bearer token for its API.
	Token Secret `yaml:"token" example:"${ALERTMANAGER_TOKEN}"`
	// File with the bearer token.
	TokenFile string `yaml:"token_file" path:"true" example:"alertmanager.token"`
	// A user name and password for its API, instead of a token.
	BasicAuth *BasicAuth `yaml:"basic_auth"`
	// How often it is asked.
	Every Duration `yaml:"every" default:"1m" example:"30s"`
	// How long one answer may take.
	Timeout Duration `yaml:"timeout" default:"10s" example:"5s"`
	// Write the silences made here to Alertmanager, too.
	WriteSilences bool `yaml:"write_silences" default:"false" example:"true"`
}

// ParseLabels reads a list of name=value. The labels of a configuration that was
// loaded parse.
func ParseLabels(list []string) (tocsin.Labels, error) {
	if len(list) == 0 {
		return nil, nil
	}
	out := make(tocsin.Labels, len(list))
	for _, text := range list {
		name, value, ok := strings.Cut(text, "=")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, fmt.Errorf("label %q is not written as name=value", text)
		}
		out[name] = strings.TrimSpace(value)
	}
	return out, nil
}
