package tocsin

import (
	"cmp"
	"crypto/sha256"
	"time"
)

// Alert is one alert as a sender told it. Its identity is its Source and its
// whole label set; see ID.
type Alert struct {
	// Source names the sender, so that two Alertmanagers of different tenants
	// do not share identities. A pair of replicas is one source.
	Source      string `json:"source"`
	Labels      Labels `json:"labels"`
	Annotations Labels `json:"annotations,omitempty"`
	// Firing is the alert's own status, never its group's.
	Firing bool `json:"firing"`
	// StartsAt is not stable between the members of an Alertmanager pair and is
	// no part of the identity.
	StartsAt time.Time `json:"startsAt"`
	// EndsAt is zero while the alert fires.
	EndsAt       time.Time `json:"endsAt,omitzero"`
	GeneratorURL string    `json:"generatorURL,omitempty"`
}

// ID is the alert's identity: a hash of its Source and its whole label set.
// Annotations, times and the sender's group key are no part of it.
func (a *Alert) ID() Key {
	h := sha256.New()
	writePart(h, a.Source)
	for _, n := range a.Labels.Names() {
		writePart(h, n)
		writePart(h, a.Labels[n])
	}
	return sumKey(h)
}

// Name is the alertname label, or "" where there is none.
func (a *Alert) Name() string { return a.Labels[LabelAlertName] }

// Severity is the parsed severity label.
func (a *Alert) Severity() Severity { return ParseSeverity(a.Labels[LabelSeverity]) }

// Summary is the text to title an incident with: the summary annotation, else
// the description, else the alert's name, else its labels.
func (a *Alert) Summary() string {
	if text := cmp.Or(a.Annotations[AnnotationSummary], a.Annotations[AnnotationDescription], a.Name()); text != "" {
		return text
	}
	return a.Labels.String()
}

// AlertState is what is remembered of an alert to decide about it: everything
// but its text. The store keeps the AlertState of every alert of a live
// incident in memory, and the text on disk.
type AlertState struct {
	ID Key `json:"id"`
	// Incident is the ID of the incident that the alert is attached to. It is
	// empty for an alert that was only ever heard of as resolved: that opens
	// nothing, but is remembered for a while, so that its late "firing" (a
	// pair's second member comes up to 30 s later) opens nothing either.
	Incident string `json:"incident,omitempty"`
	// Seq numbers the alerts of an incident from 1, in order of arrival.
	Seq    uint32 `json:"seq,omitempty"`
	Firing bool   `json:"firing,omitempty"`
	// StartsAt is the earliest start heard of the present episode.
	StartsAt time.Time `json:"startsAt"`
	// EndsAt is the latest end heard of. While the alert fires it is the end of
	// the previous episode, or zero.
	EndsAt time.Time `json:"endsAt,omitzero"`
	// ChangedAt is when Firing last changed, by our clock.
	ChangedAt time.Time `json:"changedAt"`
	// SeenAt is when the alert was last heard of, by our clock. It is written
	// with the next other change: a restart may set it back, and the store
	// moves it to the time of the start then, so that nothing goes stale early.
	SeenAt   time.Time `json:"seenAt"`
	Severity Severity  `json:"severity,omitempty"`
	// Suppression says why the alert does not page. Nil: it does.
	Suppression *Suppression `json:"suppression,omitempty"`
	// Index lists the keys under which the store finds this alert while it
	// fires (Tx.Indexed). The router puts inhibition's sources and targets
	// there.
	Index []Key `json:"index,omitempty"`
	// Repeats counts how often the alert was told again without news. Like
	// SeenAt it is written with the next change.
	Repeats uint32 `json:"repeats,omitempty"`
}

// Reasons why an alert, or a whole incident, does not page.
const (
	Silenced  = "silenced"
	Inhibited = "inhibited"
	Muted     = "muted"
)

// Suppression says why something does not page, in a way that a person can look
// up.
type Suppression struct {
	// Reason is Silenced, Inhibited or Muted.
	Reason string `json:"reason"`
	// By is the silence's ID, the rule's file:line, or the time interval's name.
	By string `json:"by"`
	// Source is the inhibiting alert, for Inhibited.
	Source Key `json:"source,omitzero"`
	// Text explains it to a person: who silenced it until when, which alert
	// inhibits it.
	Text string `json:"text"`
}

// Same reports whether s and t suppress for the same cause. Two nils are the
// same; the text is not compared.
func (s *Suppression) Same(t *Suppression) bool {
	if s == nil || t == nil {
		return s == t
	}
	return s.Reason == t.Reason && s.By == t.By
}

// Change is what an observation did to an alert.
type Change int

// The changes that Observe tells apart.
const (
	// Repeated: nothing new.
	Repeated Change = iota
	// Fired: the alert was not firing and is now.
	Fired
	// Ended: the alert was firing and is not any more, or was first heard of as
	// resolved.
	Ended
	// Late: the message tells of a time before what is known, and is ignored.
	Late
)

// Observe settles what a message about an alert means, given what is known of
// it, and returns the new state. It is pure: now is our clock.
//
// Messages come late and out of order: the second member of an Alertmanager
// pair sends up to 30 s after the first. What counts is startsAt against the
// last endsAt, not the order of arrival. A "firing" that starts no later than
// the end that is known is Late when that end was heard of less than lateWindow
// ago; after that it is a new episode, since a Prometheus that returns after an
// outage keeps the old startsAt.
func (s AlertState) Observe(a *Alert, now time.Time, lateWindow time.Duration) (AlertState, Change) {
	s.SeenAt = now
	if a.Firing {
		return s.observeFiring(a, now, lateWindow)
	}
	return s.observeResolved(a, now)
}

func (s AlertState) observeFiring(a *Alert, now time.Time, lateWindow time.Duration) (AlertState, Change) {
	if s.Firing {
		if a.StartsAt.Before(s.StartsAt) && a.StartsAt.After(s.EndsAt) {
			s.StartsAt = a.StartsAt
		}
		s.Repeats++
		return s, Repeated
	}
	known := !s.ChangedAt.IsZero()
	if known && !a.StartsAt.After(s.EndsAt) && now.Sub(s.ChangedAt) < lateWindow {
		return s, Late
	}
	s.Firing, s.StartsAt, s.ChangedAt = true, a.StartsAt, now
	return s, Fired
}

func (s AlertState) observeResolved(a *Alert, now time.Time) (AlertState, Change) {
	ends := a.EndsAt
	if ends.IsZero() {
		ends = now
		if ends.Before(s.StartsAt) {
			ends = s.StartsAt
		}
	}
	if s.Firing && ends.Before(s.StartsAt) {
		return s, Late
	}
	if ends.After(s.EndsAt) {
		s.EndsAt = ends
	}
	if !s.Firing && !s.ChangedAt.IsZero() {
		s.Repeats++
		return s, Repeated
	}
	if s.StartsAt.IsZero() {
		s.StartsAt = a.StartsAt
	}
	s.Firing, s.ChangedAt, s.Suppression = false, now, nil
	return s, Ended
}
