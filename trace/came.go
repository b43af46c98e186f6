package trace

import (
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// payload says what came in, and what it was taken for.
func (m *Material) payload() (out []tocsin.Reason) {
	if m.Incident.Kind != tocsin.KindAlerts {
		return []tocsin.Reason{reason(tocsin.StagePayload, "", m.Incident.OpenedAt, "no alert: it was opened by a person, or by Tocsin about itself")}
	}
	list := m.Alerts[:min(len(m.Alerts), Alerts)]
	for n := range list {
		out = append(out, came(&list[n]))
	}
	if more := int(m.Incident.Alerts) - len(list); more > 0 {
		out = append(out, reason(tocsin.StagePayload, "", time.Time{}, "and %d more alerts of the group", more))
	}
	if n := m.Incident.Truncated; n > 0 {
		out = append(out, reason(tocsin.StagePayload, tocsin.EndHeld, time.Time{}, "%d alerts are not known here: the sender left them out, and said so (max_alerts in its configuration)", n))
	}
	out = append(out, m.told(tocsin.StagePayload, map[tocsin.EventKind]tocsin.ReasonEnd{
		tocsin.EventTruncated: "", tocsin.EventAlertLate: tocsin.EndHeld, tocsin.EventAlertStale: "",
	})...)
	for n := range list {
		a := &list[n]
		out = append(out, tocsin.Reason{Stage: tocsin.StageIdentity, Where: a.State.ID.String(), Text: "the same alert as long as source and labels are: " + a.Labels.String()})
	}
	return out
}

func came(a *tocsin.AlertRecord) tocsin.Reason {
	s := &a.State
	status := "resolved"
	if s.Firing {
		status = "firing"
	}
	r := reason(tocsin.StagePayload, "", s.ChangedAt, "%s sent %s, %s since %s", a.Source, which(&a.Alert), status, clock(s.ChangedAt))
	if !s.StartsAt.IsZero() && s.StartsAt.Before(s.ChangedAt.Add(-time.Minute)) {
		r.Text += " (by its own clock it began at " + clock(s.StartsAt) + ")"
	}
	if s.Repeats > 0 {
		r.Text += "; told again " + times(s.Repeats) + ", last at " + clock(s.SeenAt) + ": the same alert, which opens and calls nothing"
	}
	return r
}

// which tells an alert from others of its name.
func which(a *tocsin.Alert) string {
	if of := a.Labels["instance"]; of != "" {
		return name(a) + " of " + of
	}
	return name(a)
}

// group says why it is one incident.
func (m *Material) group() []tocsin.Reason {
	r := tocsin.Reason{Stage: tocsin.StageGroup, Where: m.Incident.Group.String(), Text: "all alerts of its route are one incident"}
	switch {
	case m.Incident.Kind != tocsin.KindAlerts:
		r.Text = "an incident of its own"
	case len(m.Incident.GroupBy) > 0:
		r.Text = "one incident for the same values of " + strings.Join(m.Incident.GroupBy, ", ")
		if len(m.Alerts) > 0 {
			r.Text += ": " + m.Alerts[0].Labels.Pick(m.Incident.GroupBy).String()
		}
	}
	return append([]tocsin.Reason{r}, m.told(tocsin.StageGroup, map[tocsin.EventKind]tocsin.ReasonEnd{
		tocsin.EventAlertFired: "", tocsin.EventFlapping: "", tocsin.EventReopened: "",
	})...)
}
