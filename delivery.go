package tocsin

import (
	"slices"
	"time"
)

// IncidentChannel is the Delivery.Target of a Slack channel that is the
// incident's own.
const IncidentChannel = "slack:incident-channel"

// Delivery is the level of one target of an incident: what was posted there and
// which revision of the incident it shows.
type Delivery struct {
	// Target names the place: "slack:#incidents", "pagerduty:platform/0".
	Target string `json:"target"`
	// Detail targets show every change; the others only changes of state.
	Detail bool `json:"detail,omitempty"`
	// Stopped deliveries were queued when somebody answered: what is not posted
	// yet is not posted any more.
	Stopped bool `json:"stopped,omitempty"`
	// More is true when the target shows the incident, but not yet all of it: its
	// thread still has to be told.
	More bool `json:"more,omitempty"`
	// Digest is true when Ref is a message that tells of many incidents.
	Digest bool `json:"digest,omitempty"`
	// User is the person whom the delivery calls; empty: a place.
	User string `json:"user,omitempty"`
	// Mention is what a message there mentions, as the provider writes it: the ID
	// of a Slack user group.
	Mention string `json:"mention,omitempty"`
	// Calls counts the calls that were asked for, and Called is the last of them
	// that was made, or that is not to be made any more. A call that was asked for
	// while an earlier one had no receipt is made with it, or after it. A target
	// that only shows things has 0 in both.
	Calls  uint32 `json:"calls,omitempty"`
	Called uint32 `json:"called,omitempty"`
	// Revision of the incident that the target shows; 0: nothing yet.
	Revision uint64 `json:"revision"`
	// State and Severity that the target shows, for providers that are told of
	// transitions.
	State    State    `json:"state,omitempty"`
	Severity Severity `json:"severity,omitempty"`
	// Ref is the provider's handle of what was posted: Slack's "channel/ts",
	// PagerDuty's dedup key. Empty: nothing is known to be posted.
	Ref string `json:"ref,omitempty"`
	// Back is what the provider told of it; nil: nothing. It is replaced, never
	// changed: copies share it.
	Back *Back `json:"back,omitempty"`
	// Told is the sequence number of the last event that went into the thread.
	Told uint64 `json:"told,omitempty"`
	// Since is when the target began to lag; it means nothing while it does not.
	Since time.Time `json:"since"`
	// DeliveredAt is when the target was last brought up to date.
	DeliveredAt time.Time `json:"deliveredAt,omitzero"`
	// Error is the last failure, in the provider's own words, without secrets.
	Error string `json:"error,omitempty"`
	// Attempts counts the failures since the last success.
	Attempts uint32 `json:"attempts,omitempty"`
	// Failed deliveries met a permanent error: they are not tried again until
	// the incident's state changes or the configuration is reloaded.
	Failed bool `json:"failed,omitempty"`
	// Alarmed deliveries lag, or failed, and the alarm was raised about it.
	Alarmed bool `json:"alarmed,omitempty"`
	// FailedRevision is the StateRevision at which Failed was set.
	FailedRevision uint64 `json:"failedRevision,omitempty"`
	// Next is when the next try is due; zero: at once.
	Next time.Time `json:"next,omitzero"`
}

// Back is what came back from a provider that tells what is done there.
type Back struct {
	// Remote is the provider's own name of what Ref stands for, learnt from what
	// it sends: PagerDuty's incident ID. Targets without details that have one
	// are told of notes.
	Remote string `json:"remote,omitempty"`
	// HeardAt is when, by the provider's clock, the last thing was done that it
	// told of.
	HeardAt time.Time `json:"heardAt,omitzero"`
	// SentAt is when the provider was told what it shows; zero: it told us.
	SentAt time.Time `json:"sentAt,omitzero"`
	// Noted is the incident's revision at the last note that the target is to be
	// told of.
	Noted uint64 `json:"noted,omitempty"`
}

// Heard is what the provider told; its zero value: nothing.
func (d *Delivery) Heard() Back {
	if d.Back == nil {
		return Back{}
	}
	return *d.Back
}

func (d *Delivery) hear(do func(*Back)) {
	b := d.Heard()
	do(&b)
	d.Back = &b
}

// Want is the revision that the target should show.
func (d *Delivery) Want(i *Incident) uint64 {
	if d.Detail {
		return i.Revision
	}
	return max(i.StateRevision, d.Heard().Noted)
}

// Lags reports whether the target shows less than it should. While an incident
// is quiet it pages nobody: only a message that can be changed in place, and
// without anybody being called, is kept up to date; and what was posted before
// is told of the end.
func (d *Delivery) Lags(i *Incident) bool {
	if d.Stopped && d.Ref == "" {
		return false
	}
	shown := d.Revision >= d.Want(i) && !d.More
	if shown && d.Called >= d.Calls {
		return false
	}
	if i.Quiet() && (shown || d.Ref == "" || !d.Detail && i.Open()) {
		return false
	}
	return !d.Failed || d.FailedRevision < i.StateRevision
}

// Record notes a receipt: what the target shows now. What was heard of it since
// the notice was made may have been before or after the call: then everything is
// told again.
func (d *Delivery) Record(r Receipt, now time.Time) {
	was, heard := *d, !r.Heard.Equal(d.Heard().HeardAt) && (r.Ref == "" || r.Ref == d.Ref)
	if r.Ref != "" {
		if r.Ref != d.Ref && d.Back != nil {
			d.hear(func(b *Back) { b.Remote, b.HeardAt = "", time.Time{} })
		}
		d.Ref, d.Digest = r.Ref, r.Digest
	}
	if r.Told > d.Told {
		d.Told = r.Told
	}
	d.Attempts, d.Error, d.Failed, d.Alarmed, d.Next = 0, "", false, false, time.Time{}
	d.DeliveredAt, d.Since = now, now
	if heard && r.Sent.IsZero() {
		return // nothing was said that could contradict it
	}
	d.Revision, d.State, d.Severity, d.More = r.Revision, r.State, r.Severity, r.More
	d.Called = max(d.Called, r.Called)
	if !r.Sent.IsZero() {
		d.hear(func(b *Back) { b.SentAt = r.Sent })
	}
	if heard && r.State != Resolved {
		d.doubt(was.State == Acknowledged || r.State == Acknowledged)
		if was.State == Acknowledged {
			d.Called = was.Called // what is acknowledged there called nobody
		}
		if r.State == Acknowledged && d.Called >= d.Calls {
			d.Calls = d.Called + 1 // our acknowledgement may have met the end of another
		}
	}
}

// Call adds a delivery that calls somebody, or calls again where there is one
// already: at once where it has been posted, and once only where it has not. Each
// Call has a number of its own, so that the receipt of a call that was under way
// does not count for one that was asked for since.
func (i *Incident) Call(target, user, mention string, detail bool, now time.Time) *Delivery {
	i.AddTarget(target, detail, now)
	d := i.Delivery(target)
	if !d.Lags(i) {
		d.Since = now
	}
	if d.Stopped || d.Failed {
		d.Since, d.Next = now, time.Time{}
	}
	d.User, d.Stopped, d.Failed, d.Alarmed = user, false, false, false
	if mention != "" {
		d.Mention = mention
	}
	d.Calls = max(d.Calls, d.Called) + 1
	return d
}

// StopCalls has nobody called any more who was not yet: queued messages are
// not posted, and posted ones only follow the incident. It returns the targets
// that were stopped before anything was posted. Those of the people in except
// go on.
func (i *Incident) StopCalls(except ...string) []string {
	var stopped []string
	for n := range i.Deliveries {
		d := &i.Deliveries[n]
		if d.Called >= d.Calls || d.User != "" && slices.Contains(except, d.User) {
			continue
		}
		if d.Ref == "" {
			d.Stopped = true
			stopped = append(stopped, d.Target)
		}
		d.Called = d.Calls
	}
	return stopped
}

// Wake names a target of an incident that may lag. It carries no truth: losing
// one, or acting on one twice, does no harm.
type Wake struct {
	Incident string `json:"incident"`
	Target   string `json:"target"`
	// Severity lets the critical ones go first.
	Severity Severity `json:"severity,omitempty"`
}

// Lagging returns a Wake for each target of the incident that lags and is due.
func (i *Incident) Lagging(now time.Time) []Wake {
	var wakes []Wake
	for n := range i.Deliveries {
		d := &i.Deliveries[n]
		if d.Lags(i) && !d.Next.After(now) {
			wakes = append(wakes, Wake{Incident: i.ID, Target: d.Target, Severity: i.Severity})
		}
	}
	return wakes
}
