package heartbeat

import (
	"fmt"
	"maps"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"

	"github.com/tocsin-oncall/tocsin"
)

// What the alert of a missed heartbeat is known by.
const (
	// Source of the alerts.
	Source = "heartbeat"
	// AlertName of the alerts.
	AlertName = "HeartbeatMissed"
	// LabelName is the label that holds the heartbeat's name.
	LabelName = "name"
)

// afterStart is the least that a heartbeat gets to come after a start, unless it
// comes more often: while Tocsin was away nobody could hear it. It is not a
// whole period, or a Tocsin that is restarted daily would never miss a daily
// backup.
const afterStart = 10 * time.Minute

// Heartbeat is a sign of life that is expected.
type Heartbeat struct {
	// Name tells it from others.
	Name string
	// Every is how often it comes, Grace how late it may be.
	Every, Grace time.Duration
	Severity     tocsin.Severity
	// Labels of the alert, beside alertname, name and severity.
	Labels tocsin.Labels
	// Matchers of alerts that are beats, too; none: no alert is.
	Matchers labels.Matchers
}

// labels are the identity of the alert.
func (h *Heartbeat) labels() tocsin.Labels {
	l := maps.Clone(h.Labels)
	if l == nil {
		l = tocsin.Labels{}
	}
	l[tocsin.LabelAlertName], l[LabelName], l[tocsin.LabelSeverity] = AlertName, h.Name, string(h.Severity)
	return l
}

// matches reports whether an alert is a beat.
func (h *Heartbeat) matches(a *tocsin.Alert) bool {
	for _, m := range h.Matchers {
		if !m.Matches(a.Labels[m.Name]) {
			return false
		}
	}
	return len(h.Matchers) > 0
}

// state is what is known of a heartbeat, and what is kept of it.
type state struct {
	// Last is when it was last heard of, or first waited for.
	Last time.Time `json:"last"`
	// MissedAt is since when it is missed; zero: it is not.
	MissedAt time.Time `json:"missedAt,omitzero"`
	// Labels of the alert that fires, or that is to be resolved.
	Labels tocsin.Labels `json:"labels,omitempty"`
	// Owed is true while the alert's end has yet to be told.
	Owed bool `json:"owed,omitempty"`
	// Heard is false while nothing was ever heard of it.
	Heard bool `json:"heard,omitempty"`
}

// deadline is when a heartbeat that was last heard of then is missed, given when
// Tocsin began to listen.
func deadline(h *Heartbeat, last, started time.Time) time.Time {
	d := last.Add(h.Every + h.Grace)
	if least := started.Add(min(h.Every, afterStart) + h.Grace); d.Before(least) {
		return least
	}
	return d
}

// saved is how long a beat may go unsaved: after a crash a heartbeat seems older
// by it.
func saved(h *Heartbeat) time.Duration { return min(time.Minute, h.Every/2) }

// alert is the alert of a missed heartbeat.
func alert(h *Heartbeat, s *state) tocsin.Alert {
	since := "nothing was ever heard of it"
	if s.Heard {
		since = "it was last heard of at " + s.Last.UTC().Format(time.RFC3339)
	}
	return tocsin.Alert{
		Source: Source, Labels: s.Labels, Firing: true, StartsAt: s.MissedAt,
		Annotations: tocsin.Labels{
			tocsin.AnnotationSummary:     fmt.Sprintf("Heartbeat %s is missed", h.Name),
			tocsin.AnnotationDescription: fmt.Sprintf("%s is expected every %s and may be %s late; %s.", h.Name, h.Every, h.Grace, since),
		},
	}
}

func resolved(s *state, now time.Time) tocsin.Alert {
	return tocsin.Alert{Source: Source, Labels: s.Labels, StartsAt: s.MissedAt, EndsAt: now}
}
