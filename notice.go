package tocsin

import "time"

// Notice is what a notifier is asked to show: the incident as it is now, and
// what stands beside it. It is read-only.
type Notice struct {
	Incident *Incident
	// Delivery is the level of the target as it was last recorded.
	Delivery Delivery
	// Alerts are the first of the incident's alerts, firing ones first.
	Alerts []AlertRecord
	// GroupLabels are the labels that all alerts of the group share.
	GroupLabels Labels
	// Events are those since Delivery.Told, oldest first.
	Events []Event
	// Runbook with its placeholders filled from the first alert, or nil.
	Runbook *Runbook
	// Steps are how the runbook's steps stand, those that are gone among them; nil:
	// that is not known, or there is no runbook.
	Steps []StepView
	// URL of the incident's page; empty: none.
	URL string
	// Ahead is what happens if nobody answers, the next first.
	Ahead []Ahead
	// Remediations of the incident, the newest first.
	Remediations []Remediation
	// Call is true when the target is to be called, not only shown: a message
	// that is there already is not enough.
	Call bool
	// MayBePosted is true when an earlier attempt may have reached the provider
	// without us having its answer: look before posting.
	MayBePosted bool
	// Now is the time of the attempt.
	Now time.Time
}

// Receipt says what a target shows after one successful call to its provider.
type Receipt struct {
	// Ref is the handle of what was posted. See Delivery.Ref. Empty leaves it.
	Ref string
	// Digest is true when Ref is a message that tells of many incidents.
	Digest bool
	// Revision, State and Severity that the target now shows.
	Revision uint64
	State    State
	Severity Severity
	// Heard is the Back.HeardAt of the notice. What was heard since may have
	// been before or after the call.
	Heard time.Time
	// Sent is when the call was made that told a state; zero: none was.
	Sent time.Time
	// Told is the last event that went into the thread; 0 leaves it.
	Told uint64
	// Called is Delivery.Calls of the notice when the target was called.
	Called uint32
	// More is true when another call is wanted to bring the target fully up to
	// date: the thread after the message, the acknowledgement after the trigger.
	// It is made at the next free place in the target's rate.
	More bool
	// Text says for the timeline what was done: "posted to #incidents". Empty:
	// nothing worth a line.
	Text string
}

// DigestNotice is one message about many incidents of one channel. It is
// read-only.
type DigestNotice struct {
	// Ref of the digest to update; empty: a new one.
	Ref string
	// Incidents to name, most urgent first.
	Incidents []*Incident
	// Target is the Delivery.Target of all of them.
	Target string
	// Since is when the first of them began to wait.
	Since time.Time
	// MayBePosted is true when an earlier attempt for some of the incidents may
	// have reached the provider: look before posting.
	MayBePosted bool
	// Now is the time of the attempt.
	Now time.Time
}
