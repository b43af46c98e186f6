package pagerduty

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tocsin-oncall/tocsin"
)

// extent says how much the details hold.
type extent struct {
	alerts, labels, steps int
	// value is the most runes of one label, annotation or step.
	value int
}

// extents are tried in turn until the details fit. The first is what people can
// read; the last holds counts only and always fits.
var extents = []extent{
	{alerts: 10, labels: 64, steps: 10, value: 4096},
	{alerts: 10, labels: 32, steps: 5, value: 512},
	{alerts: 3, labels: 16, steps: 3, value: 256},
	{},
}

// customDetails is what PagerDuty shows as the event's custom details. It must
// be a JSON object; PagerDuty refuses a string.
type customDetails struct {
	Incident   string         `json:"incident"`
	Firing     uint32         `json:"firing"`
	Suppressed uint32         `json:"suppressed,omitempty"`
	Flapping   bool           `json:"flapping,omitempty"`
	Reopened   uint32         `json:"reopened,omitempty"`
	Alerts     []detailAlert  `json:"alerts,omitempty"`
	NotShown   uint64         `json:"alerts_not_shown,omitempty"`
	Runbook    *detailRunbook `json:"runbook,omitempty"`
	Route      string         `json:"route,omitempty"`
}

type detailAlert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Since       string            `json:"since,omitempty"`
	Resolved    bool              `json:"resolved,omitempty"`
	Suppressed  string            `json:"suppressed,omitempty"`
}

type detailRunbook struct {
	Title string `json:"title"`
	Steps string `json:"steps,omitempty"`
}

// details encodes as much as fits into room bytes.
func details(n *tocsin.Notice, room int) json.RawMessage {
	for _, e := range extents {
		w := writer{extent: e, left: room}
		d := w.details(n)
		if w.left < 0 {
			continue
		}
		// Strings, numbers and maps of strings cannot fail to encode.
		if data, err := json.Marshal(d); err == nil && len(data) <= room {
			return data
		}
	}
	return nil
}

// writer gathers details of an extent. It counts their bytes down and stops
// when there are too many, so that hostile alerts cost little.
type writer struct {
	extent
	left int
}

func (w *writer) text(s string) string {
	w.left -= len(s)
	return s
}

func (w *writer) details(n *tocsin.Notice) customDetails {
	i := n.Incident
	d := customDetails{
		Incident: line(i.ID), Firing: i.Firing, Suppressed: i.Suppressed,
		Flapping: i.Flapping, Reopened: i.Reopened, Route: line(i.Route),
	}
	for k := range n.Alerts[:min(len(n.Alerts), w.alerts)] {
		d.Alerts = append(d.Alerts, w.alert(&n.Alerts[k]))
		if w.left < 0 {
			return d
		}
	}
	total := max(uint64(i.Alerts), uint64(len(n.Alerts)))
	d.NotShown = total - uint64(len(d.Alerts)) + i.Truncated
	if n.Runbook != nil && w.steps > 0 {
		d.Runbook = &detailRunbook{Title: line(n.Runbook.Title), Steps: w.text(w.runbook(n.Runbook))}
	}
	return d
}

func (w *writer) alert(a *tocsin.AlertRecord) detailAlert {
	d := detailAlert{
		Labels: w.set(a.Labels), Annotations: w.set(a.Annotations),
		Since: instant(since(a)), Resolved: !a.State.Firing,
	}
	if s := a.State.Suppression; s != nil {
		d.Suppressed = line(s.Reason + ": " + s.Text)
	}
	return d
}

func (w *writer) set(l tocsin.Labels) map[string]string {
	out := make(map[string]string, min(len(l), w.labels))
	for _, name := range l.Names() {
		if len(out) == w.labels || w.left < 0 {
			break
		}
		out[w.text(line(name))] = w.text(paragraph(l[name], w.value))
	}
	return out
}

// runbook writes the first steps as text, numbered as in the runbook's outline.
func (e extent) runbook(r *tocsin.Runbook) string {
	var b strings.Builder
	number := 0
	for k := range r.Steps[:min(len(r.Steps), e.steps)] {
		s := &r.Steps[k]
		indent := strings.Repeat("   ", min(max(s.Depth, 0), 5))
		if s.Depth == 0 {
			number++
			fmt.Fprintf(&b, "%d. ", number)
		} else {
			b.WriteString(indent + "- ")
		}
		if s.Condition != "" {
			b.WriteString(line(s.Condition) + ": ")
		}
		b.WriteString(clip(cleanLine(head(s.Text, e.value)), e.value) + "\n")
		for c := range s.Commands[:min(len(s.Commands), e.steps)] {
			command := paragraph(strings.TrimRight(s.Commands[c].Text, "\n"), e.value)
			b.WriteString(indent + "   " + strings.ReplaceAll(command, "\n", "\n"+indent+"   ") + "\n")
		}
	}
	return strings.TrimRight(b.String(), "\n ")
}
