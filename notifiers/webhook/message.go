package webhook

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-oncall/tocsin"
)

// message has the fields of Alertmanager 0.34's webhook in their order
// (notify/webhook/webhook.go, template/template.go), and "tocsin".
type message struct {
	Receiver           string        `json:"receiver"`
	Status             string        `json:"status"`
	Alerts             []alert       `json:"alerts"`
	NotificationReason string        `json:"notification_reason"`
	GroupLabels        tocsin.Labels `json:"groupLabels"`
	CommonLabels       tocsin.Labels `json:"commonLabels"`
	CommonAnnotations  tocsin.Labels `json:"commonAnnotations"`
	RouteLabels        tocsin.Labels `json:"routeLabels"`
	ExternalURL        string        `json:"externalURL"`
	Version            string        `json:"version"`
	GroupKey           string        `json:"groupKey"`
	TruncatedAlerts    uint64        `json:"truncatedAlerts"`
	Tocsin             extra         `json:"tocsin"`
}

type alert struct {
	Status       string        `json:"status"`
	Labels       tocsin.Labels `json:"labels"`
	Annotations  tocsin.Labels `json:"annotations"`
	StartsAt     time.Time     `json:"startsAt"`
	EndsAt       time.Time     `json:"endsAt"`
	GeneratorURL string        `json:"generatorURL"`
	Fingerprint  string        `json:"fingerprint"`
}

// extra tells of the incident.
type extra struct {
	Incident       string          `json:"incident"`
	Title          string          `json:"title"`
	State          tocsin.State    `json:"state"`
	Severity       tocsin.Severity `json:"severity"`
	Revision       uint64          `json:"revision"`
	Kind           tocsin.Kind     `json:"kind,omitzero"`
	Text           string          `json:"text,omitzero"`
	AcknowledgedBy string          `json:"acknowledgedBy,omitzero"`
	URL            string          `json:"url,omitzero"`
}

// The values of status.
const (
	firing   = "firing"
	resolved = "resolved"
)

// encode writes the message. Labels come from outside: bytes that are no UTF-8
// are replaced, as Alertmanager does, and do not fail it.
func (w *Notifier) encode(n *tocsin.Notice) ([]byte, error) {
	return json.Marshal(w.message(n), json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
}

func (w *Notifier) message(n *tocsin.Notice) *message {
	i := n.Incident
	m := &message{
		Receiver: w.receiver, Status: firing, NotificationReason: reason(n),
		GroupLabels: n.GroupLabels, RouteLabels: tocsin.Labels{},
		ExternalURL: w.externalURL, Version: "4", GroupKey: groupKey(n),
		Tocsin: extra{
			Incident: i.ID, Title: i.Title, State: i.State, Severity: i.Severity,
			Revision: i.Revision, Kind: i.Kind, Text: i.Text, AcknowledgedBy: i.AcknowledgedBy, URL: n.URL,
		},
	}
	if m.Receiver == "" && len(i.Receivers) > 0 {
		m.Receiver = i.Receivers[0]
	}
	if i.State == tocsin.Resolved {
		m.Status = resolved
	}
	shown, left := w.selection(n)
	if i.Kind != tocsin.KindAlerts && len(shown) == 0 {
		shown = []*tocsin.AlertRecord{standIn(n)}
	}
	m.TruncatedAlerts = left
	m.Alerts = make([]alert, 0, len(shown))
	for _, a := range shown {
		m.Alerts = append(m.Alerts, tell(a, i))
	}
	m.CommonLabels = common(shown, func(a *tocsin.AlertRecord) tocsin.Labels { return a.Labels })
	m.CommonAnnotations = common(shown, func(a *tocsin.AlertRecord) tocsin.Labels { return a.Annotations })
	return m
}

// selection returns the alerts to send and how many others there are.
func (w *Notifier) selection(n *tocsin.Notice) ([]*tocsin.AlertRecord, uint64) {
	var loud, all []*tocsin.AlertRecord
	for k := range n.Alerts {
		a := &n.Alerts[k]
		all = append(all, a)
		if !a.State.Firing || a.State.Suppression == nil {
			loud = append(loud, a)
		}
	}
	total := max(uint64(n.Incident.Alerts), uint64(len(all)))
	if len(loud) > 0 {
		suppressed := max(uint64(n.Incident.Suppressed), uint64(len(all)-len(loud)))
		total = max(total-min(suppressed, total), uint64(len(loud)))
		all = loud
	}
	if w.maxAlerts > 0 && len(all) > w.maxAlerts {
		all = all[:w.maxAlerts]
	}
	return all, total - uint64(len(all)) + n.Incident.Truncated
}

// standIn is the alert that stands for an incident that none made. Templates
// show the alertname, the summary and the description; the incident label keeps
// two of the same title apart.
func standIn(n *tocsin.Notice) *tocsin.AlertRecord {
	i := n.Incident
	a := tocsin.Alert{
		Labels: tocsin.Labels{
			tocsin.LabelAlertName: i.Title, tocsin.LabelSeverity: string(i.Severity), "incident": i.ID,
		},
		Annotations:  tocsin.Labels{tocsin.AnnotationSummary: i.Title},
		GeneratorURL: n.URL, StartsAt: i.OpenedAt, Firing: i.Open(),
	}
	if i.Text != "" {
		a.Annotations[tocsin.AnnotationDescription] = i.Text
	}
	return &tocsin.AlertRecord{Alert: a, State: tocsin.AlertState{
		StartsAt: i.OpenedAt, EndsAt: i.ResolvedAt, Firing: a.Firing, Severity: i.Severity,
	}}
}

func tell(a *tocsin.AlertRecord, i *tocsin.Incident) alert {
	t := alert{
		Status: firing, Labels: a.Labels, Annotations: a.Annotations,
		StartsAt: writable(a.State.StartsAt), GeneratorURL: a.GeneratorURL,
		Fingerprint: fmt.Sprintf("%016x", a.Labels.Fingerprint()),
	}
	if t.StartsAt.IsZero() {
		t.StartsAt = writable(a.StartsAt)
	}
	switch {
	case !a.State.Firing:
		t.Status, t.EndsAt = resolved, writable(a.State.EndsAt)
	case i.State == tocsin.Resolved:
		t.Status, t.EndsAt = resolved, writable(i.ResolvedAt)
	}
	return t
}

// writable is t, or zero where t is no year that RFC 3339 can write.
func writable(t time.Time) time.Time {
	if t = t.UTC(); t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}

// common returns what all alerts share.
func common(alerts []*tocsin.AlertRecord, of func(*tocsin.AlertRecord) tocsin.Labels) tocsin.Labels {
	out := tocsin.Labels{}
	if len(alerts) == 0 {
		return out
	}
	for name, value := range of(alerts[0]) {
		out[name] = value
	}
	for _, a := range alerts[1:] {
		set := of(a)
		for name, value := range out {
			if v, ok := set[name]; !ok || v != value {
				delete(out, name)
			}
		}
	}
	return out
}

// groupKey looks like Alertmanager's, with the incident in the place of the
// route. It is made of what never changes in an incident.
func groupKey(n *tocsin.Notice) string {
	return fmt.Sprintf("{incident=%q}:%s", n.Incident.ID, n.GroupLabels)
}

// reason is the nearest of Alertmanager's notification reasons
// (notify/notify.go, NotifyReason).
func reason(n *tocsin.Notice) string {
	told := n.Delivery.State
	switch {
	case n.Incident.State == tocsin.Resolved:
		return "all alerts resolved"
	case told == "" || told == tocsin.Resolved:
		return "first notification"
	}
	for k := len(n.Events) - 1; k >= 0; k-- {
		switch n.Events[k].Kind {
		case tocsin.EventAlertFired:
			return "new alerts added"
		case tocsin.EventAlertResolved:
			return "some alerts resolved"
		}
	}
	if n.Call {
		return "repeat interval elapsed"
	}
	return "unknown"
}
