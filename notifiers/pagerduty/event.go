package pagerduty

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	pd "github.com/PagerDuty/go-pagerduty"

	"github.com/tocsin-oncall/tocsin"
)

// PagerDuty's limits, from
// https://developer.pagerduty.com/docs/events-api-v2/trigger-events (lengths in
// characters), and our own where it names none.
const (
	maxEvent    = 512_000
	maxSummary  = 1024
	maxDedupKey = 255
	maxField    = 255
	maxURL      = 2048
	maxText     = 10_000
	// escaped is the most bytes that JSON makes of one byte.
	escaped = 6
)

// Labels that name the parts of an event, the most telling first.
var (
	sourceLabels    = []string{"instance", "node", "host", "hostname", "pod", "service", "job"}
	componentLabels = []string{"component", "service", "app", "container", "job"}
	groupLabels     = []string{"cluster", "namespace", "region", "environment", "env", "zone"}
)

// event builds the event. It never fails and is never larger than PagerDuty
// takes: what is too long is cut, and details are left out until it fits.
func (p *Notifier) event(action, key string, n *tocsin.Notice) *pd.V2Event {
	ev := &pd.V2Event{RoutingKey: p.key, Action: action, DedupKey: key}
	if action != actionTrigger {
		return ev
	}
	ev.Client, ev.ClientURL = p.sender, webURL(n.URL)
	links := links(n)
	for _, l := range links {
		ev.Links = append(ev.Links, l)
	}
	ev.Images = p.images(n)
	ev.Payload = payload(n)
	text := paragraph(n.Incident.Text, maxText)
	ev.Payload.Details = withText(text, details(n, maxEvent-escaped*(outside(ev, links)+len(text))-1024))
	return ev
}

// withText adds the incident's own text, which no alert has, to its details.
func withText(text string, details json.RawMessage) json.RawMessage {
	if text == "" {
		return details
	}
	all := map[string]json.RawMessage{}
	if json.Unmarshal(details, &all) != nil {
		return details
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		return details
	}
	all["text"] = quoted
	data, err := json.Marshal(all)
	if err != nil {
		return details
	}
	return data
}

// outside counts the bytes of the event's strings apart from its details.
func outside(ev *pd.V2Event, links []link) int {
	p := ev.Payload
	size := len(ev.RoutingKey) + len(ev.DedupKey) + len(ev.Client) + len(ev.ClientURL) +
		len(p.Summary) + len(p.Source) + len(p.Component) + len(p.Group) + len(p.Class)
	for _, l := range links {
		size += len(l.Href) + len(l.Text) + 16
	}
	for range ev.Images {
		size += 2*maxURL + maxField + 64
	}
	return size
}

// image is an element of "images"
// (https://developer.pagerduty.com/docs/events-api-v2/trigger-events): the source must
// be served over https.
type image struct {
	Src  string `json:"src"`
	Href string `json:"href,omitempty"`
	Alt  string `json:"alt,omitempty"`
}

// images are the graph of what fires, which leads to the incident's page.
func (p *Notifier) images(n *tocsin.Notice) []any {
	if p.image == nil || len(n.Alerts) == 0 || n.Alerts[0].GeneratorURL == "" {
		return nil
	}
	src := webURL(p.image(n.Incident))
	if !strings.HasPrefix(src, "https://") {
		return nil
	}
	return []any{image{Src: src, Href: webURL(n.URL), Alt: "What the rule of this alert asks for"}}
}

func payload(n *tocsin.Notice) *pd.V2Payload {
	return &pd.V2Payload{
		Summary:   summary(n),
		Source:    cmp.Or(label(n, sourceLabels...), sender(n), "tocsin"),
		Severity:  severity(n.Incident.Severity),
		Timestamp: timestamp(n),
		Component: label(n, componentLabels...),
		Group:     label(n, groupLabels...),
		Class:     label(n, tocsin.LabelAlertName),
	}
}

// severity is one of the four that PagerDuty takes.
func severity(s tocsin.Severity) string {
	if s.Rank() == 0 {
		return string(tocsin.Error)
	}
	return string(s)
}

func summary(n *tocsin.Notice) string {
	text := cleanLine(head(n.Incident.Title, maxSummary))
	if text == "" && len(n.Alerts) > 0 {
		text = cleanLine(head(n.Alerts[0].Summary(), maxSummary))
	}
	text = cmp.Or(text, "incident "+line(n.Incident.ID))
	if n.Incident.Firing < 2 {
		return clip(text, maxSummary)
	}
	count := fmt.Sprintf(" (%d firing)", n.Incident.Firing)
	return clip(text, maxSummary-len(count)) + count
}

// label is the first of the named labels that the first alert, or the group,
// bears.
func label(n *tocsin.Notice, names ...string) string {
	for _, name := range names {
		if len(n.Alerts) > 0 {
			if v := line(n.Alerts[0].Labels[name]); v != "" {
				return v
			}
		}
		if v := line(n.GroupLabels[name]); v != "" {
			return v
		}
	}
	return ""
}

func sender(n *tocsin.Notice) string {
	if len(n.Alerts) == 0 {
		return ""
	}
	return line(n.Alerts[0].Source)
}

// timestamp is when what fires began to.
func timestamp(n *tocsin.Notice) string {
	if len(n.Alerts) > 0 {
		if at := instant(since(&n.Alerts[0])); at != "" {
			return at
		}
	}
	return cmp.Or(instant(n.Incident.OpenedAt), instant(n.Now))
}

func since(a *tocsin.AlertRecord) time.Time {
	if !a.State.StartsAt.IsZero() {
		return a.State.StartsAt
	}
	return a.StartsAt
}

// instant writes t in ISO 8601, or "" where it is unset or no year that ISO 8601
// can write.
func instant(t time.Time) string {
	t = t.UTC()
	if t.IsZero() || t.Year() < 1 || t.Year() > 9999 {
		return ""
	}
	return t.Format("2006-01-02T15:04:05.000Z07:00")
}

// link is an element of "links".
type link struct {
	Href string `json:"href"`
	Text string `json:"text,omitempty"`
}

func links(n *tocsin.Notice) []link {
	var out []link
	add := func(href, text string) {
		href = webURL(href)
		for _, l := range out {
			if l.Href == href {
				return
			}
		}
		if href != "" {
			out = append(out, link{href, text})
		}
	}
	add(n.URL, line("Incident "+n.Incident.ID+" in Tocsin"))
	if n.Runbook != nil {
		add(n.Runbook.URL, line("Runbook: "+n.Runbook.Title))
	}
	if len(n.Alerts) > 0 {
		add(n.Alerts[0].Annotations[tocsin.AnnotationRunbookURL], "Runbook")
		add(n.Alerts[0].GeneratorURL, "Source of the alert")
	}
	return out
}
