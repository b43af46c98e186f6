package trace

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-oncall/tocsin"
)

// suppression says what held it back before, and what does now.
func (m *Material) suppression() []tocsin.Reason {
	out := m.told(tocsin.StageSuppression, map[tocsin.EventKind]tocsin.ReasonEnd{
		tocsin.EventSuppressed: "", tocsin.EventUnsuppressed: "", tocsin.EventMerged: "", tocsin.EventUnmerged: "",
	})
	holds := m.holds()
	out = append(out, holds...)
	if by := m.Incident.Muted; by != "" {
		where := m.interval(by)
		out = append(out, tocsin.Reason{Stage: tocsin.StageSuppression, End: tocsin.EndHeld, Text: "muted: all its routes are, by time interval " + by, Where: where})
	}
	if into := m.Incident.MergedInto; into != "" {
		out = append(out, tocsin.Reason{Stage: tocsin.StageSuppression, End: tocsin.EndHeld, Text: "merged: incident " + into + " pages for it", Where: into})
	}
	if len(holds) > 0 && !m.Incident.Quiet() {
		out = append(out, tocsin.Reason{Stage: tocsin.StageSuppression, Text: "it pages all the same: not everything that fires is held back"})
	}
	if len(out) == 0 {
		out = append(out, tocsin.Reason{Stage: tocsin.StageSuppression, Text: "no silence, inhibition or time interval holds it back"})
	}
	return out
}

// interval is where a time interval stands, or its name.
func (m *Material) interval(by string) string {
	if pos := m.Places[Place("time interval", strings.TrimPrefix(by, "outside "))]; pos != "" {
		return pos
	}
	return by
}

// holds are the causes that hold back alerts that fire, each once.
func (m *Material) holds() (out []tocsin.Reason) {
	var told []*tocsin.Suppression
	for n := range m.Alerts {
		a := &m.Alerts[n]
		s := a.State.Suppression
		if !a.State.Firing || s == nil || len(told) == Alerts || slices.ContainsFunc(told, s.Same) {
			continue
		}
		told = append(told, s)
		r := tocsin.Reason{Stage: tocsin.StageSuppression, End: tocsin.EndHeld, Where: s.By, Text: s.Reason + ": " + name(&a.Alert) + " is " + s.Text}
		if q, ok := m.Silences[s.By]; ok && s.Reason == tocsin.Silenced {
			r.By, r.Text = q.CreatedBy, r.Text+fmt.Sprintf("; the silence hides %s, from %s", strings.Join(q.Matchers, ", "), clock(q.StartsAt))
		}
		if source, ok := m.Sources[s.Source]; ok && s.Reason == tocsin.Inhibited {
			r.Text += fmt.Sprintf(", as long as %s %s fires", name(&source.Alert), source.Labels)
		}
		out = append(out, r)
	}
	return out
}

// held is why nobody is called now, in a few words; "": nothing holds it back.
func (m *Material) held() string {
	if !m.Incident.Quiet() {
		return ""
	}
	if into := m.Incident.MergedInto; into != "" {
		return "it was merged into incident " + into + ", which pages for it"
	}
	if by := m.Incident.Muted; by != "" {
		return "it is muted by time interval " + by
	}
	if s := m.Incident.Suppression; s != nil {
		return "it is " + s.Text
	}
	return "all that fires is held back"
}
