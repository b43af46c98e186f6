package pagerduty

import (
	"cmp"
	"context"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// The values of event_action.
const (
	actionTrigger     = "trigger"
	actionAcknowledge = "acknowledge"
	actionResolve     = "resolve"
)

// step is the one call that brings PagerDuty nearer to the incident, and what
// PagerDuty has been told after it.
type step struct {
	// action is empty when no call is needed.
	action string
	state  tocsin.State
	// severity that PagerDuty was told with its last trigger.
	severity tocsin.Severity
	more     bool
	text     string
}

// next decides the step. It is pure.
//
// The Events API has no way back from acknowledged, and an incident that is
// acknowledged in PagerDuty notifies nobody, whatever triggers come
// (https://developer.pagerduty.com/docs/events-api-v2/overview). So when an
// incident comes back to triggered and the target is to be called, what is
// acknowledged there is resolved first; the trigger after it opens a new
// incident in PagerDuty, which pages. Where nobody is to be called, a trigger
// only adds to the log of the acknowledged one, and the receipt says so. A
// snoozed incident is an acknowledged one.
//
// The same is done where the acknowledgement that was to follow a trigger did
// not come to it: what was there before is not certain then.
//
// Somebody who was asked for by name is called about what somebody else has
// acknowledged, and the person's own service goes on calling until the person has
// answered, here or there, or the incident is resolved.
//
// To call again about an incident that is triggered there too is PagerDuty's own
// work; it is triggered again all the same: that adds to its log, or, where
// somebody has resolved it in PagerDuty alone, opens a new one.
//
// An incident that fires again after its resolution pages a service again at
// once, but a person only when called: the escalation begins anew, and may never
// come to who was called last time.
//
// Of a stopped delivery nothing is triggered. Where an earlier attempt may have
// done so, the acknowledgement follows it; PagerDuty drops one that it has no
// incident for.
//
// Notices are not told: PagerDuty has nothing but incidents, which page.
//
// When an earlier attempt may have reached PagerDuty, what was last told is not
// certain: the wanted state is told again even where the record says that it
// was told, since a resolve of unknown outcome that is followed by a reopening
// would otherwise leave PagerDuty resolved.
func next(n *tocsin.Notice) step {
	i, d := n.Incident, &n.Delivery
	unsure := n.MayBePosted || d.State != "" && d.Attempts > 0
	told := step{state: d.State, severity: cmp.Or(d.Severity, i.Severity)}
	switch {
	case i.Kind == tocsin.KindNotice:
		return step{state: i.State, severity: i.Severity, text: "not told: PagerDuty has no notices"}
	case i.State == tocsin.Resolved:
		return end(told, unsure)
	case d.Stopped && d.Ref == "":
		return stopped(told, unsure)
	case d.State == "":
		return trigger(n, unsure, "triggered in PagerDuty")
	case d.State == tocsin.Resolved && d.User != "" && !n.Call:
		if unsure {
			return stopped(told, unsure)
		}
		return told
	case d.State == tocsin.Resolved:
		return trigger(n, unsure, "triggered again in PagerDuty")
	case n.Call && still(n, unsure):
		return renew(told)
	case i.Severity.Rank() > d.Severity.Rank():
		return trigger(n, unsure, "told PagerDuty that the severity is "+string(i.Severity))
	case asked(n) && d.State == tocsin.Triggered && !n.Call:
		return told
	case i.State == tocsin.Acknowledged && !(asked(n) && n.Call):
		return acknowledge(n, told, unsure)
	case d.State == tocsin.Acknowledged && (unsure || d.Revision < i.StateRevision):
		return trigger(n, unsure, "told PagerDuty, where the incident stays acknowledged and notifies nobody")
	case n.Call:
		return trigger(n, unsure, "triggered again in PagerDuty, which goes on calling while nobody answers there")
	case unsure:
		return trigger(n, unsure, "triggered in PagerDuty")
	default:
		return told
	}
}

// asked reports whether the target calls somebody who was asked for by name and
// has not answered: that somebody else has acknowledged the incident is no answer.
func asked(n *tocsin.Notice) bool {
	i, d := n.Incident, &n.Delivery
	if i.State != tocsin.Acknowledged || i.Escalation == nil || d.User == "" || d.User == i.AcknowledgedBy {
		return false
	}
	r := i.Escalation.Responder(d.User)
	return r != nil && r.Asked && r.Acknowledged.IsZero()
}

// still reports whether what is there in PagerDuty may notify nobody, though it is
// to call.
func still(n *tocsin.Notice, unsure bool) bool {
	switch d := &n.Delivery; {
	case n.Incident.State == tocsin.Triggered:
		return d.State == tocsin.Acknowledged || d.State == tocsin.Triggered && d.More
	case !asked(n):
		return false
	default: // what is not known may be an acknowledgement
		return d.State == tocsin.Acknowledged || d.State == tocsin.Triggered && (d.More || unsure)
	}
}

// DeliverStopped is Deliver, which triggers nothing of a stopped delivery and
// acknowledges what an earlier attempt may have triggered.
func (p *Notifier) DeliverStopped(ctx context.Context, n tocsin.Notice) (tocsin.Receipt, error) {
	return p.Deliver(ctx, n)
}

// renew ends what is acknowledged in PagerDuty, so that the trigger after it
// pages.
func renew(told step) step {
	return step{
		action: actionResolve, state: tocsin.Resolved, severity: told.severity, more: true,
		text: "resolved in PagerDuty, to trigger it anew: what is acknowledged there notifies nobody",
	}
}

// stopped follows what an earlier attempt may have triggered.
func stopped(told step, unsure bool) step {
	if !unsure {
		told.text = "not sent to PagerDuty: somebody has answered"
		return told
	}
	told.action, told.state = actionAcknowledge, tocsin.Acknowledged
	told.text = "acknowledged in PagerDuty, in case it was triggered there"
	return told
}

// trigger leaves what is surely acknowledged in PagerDuty as it is.
func trigger(n *tocsin.Notice, unsure bool, text string) step {
	s := step{action: actionTrigger, state: tocsin.Triggered, severity: n.Incident.Severity, text: text}
	if n.Delivery.State == tocsin.Acknowledged && !unsure {
		s.state = tocsin.Acknowledged
	}
	s.more = n.Incident.State == tocsin.Acknowledged && s.state != tocsin.Acknowledged && !asked(n)
	return s
}

// acknowledge triggers first where PagerDuty may have missed, or may have been
// told, more than the acknowledgement: on an incident that is resolved there an
// acknowledgement is dropped.
func acknowledge(n *tocsin.Notice, told step, unsure bool) step {
	if unsure && n.Delivery.Revision+1 < n.Incident.StateRevision {
		return trigger(n, unsure, "triggered in PagerDuty")
	}
	if told.state == tocsin.Acknowledged && !unsure {
		if n.Call {
			told.text = "not called by PagerDuty: the incident is acknowledged there"
		}
		return told
	}
	told.action, told.state = actionAcknowledge, tocsin.Acknowledged
	told.text = "acknowledged in PagerDuty"
	return told
}

func end(told step, unsure bool) step {
	was := told.state
	told.state = tocsin.Resolved
	switch {
	case unsure || was != "" && was != tocsin.Resolved:
		told.action, told.text = actionResolve, "resolved in PagerDuty"
	case was == "":
		told.text = "resolved before PagerDuty could be told: not sent"
	}
	return told
}

// receipt records the step. Where more is to come the revision stays below that
// of the incident's state, so that the target goes on lagging if the next call
// is not made before a restart.
func (s step) receipt(n *tocsin.Notice, key string) tocsin.Receipt {
	revision := n.Incident.Revision
	if s.more {
		revision = max(n.Delivery.Revision, max(n.Incident.StateRevision, 1)-1)
	}
	var sent time.Time
	if s.action != "" {
		sent = n.Now
	}
	return tocsin.Receipt{
		Sent: sent, Ref: key, Revision: revision, State: s.state, Severity: s.severity, Heard: n.Delivery.Heard().HeardAt,
		More: s.more, Text: s.text,
	}
}
