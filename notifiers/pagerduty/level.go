package pagerduty

import (
	"cmp"

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
// When an earlier attempt may have reached PagerDuty, what was last told is not
// certain: the wanted state is told again even where the record says that it
// was told, since a resolve of unknown outcome that is followed by a reopening
// would otherwise leave PagerDuty resolved.
func next(n *tocsin.Notice) step {
	i, d := n.Incident, &n.Delivery
	unsure := n.MayBePosted || d.State != "" && d.Attempts > 0
	told := step{state: d.State, severity: cmp.Or(d.Severity, i.Severity)}
	switch {
	case i.State == tocsin.Resolved:
		return end(told, unsure)
	case d.State == "":
		return trigger(i, "triggered in PagerDuty")
	case d.State == tocsin.Resolved:
		return trigger(i, "triggered again in PagerDuty")
	case i.Severity.Rank() > d.Severity.Rank():
		return trigger(i, "told PagerDuty that the severity is "+string(i.Severity))
	case i.State == tocsin.Acknowledged:
		return acknowledge(n, told, unsure)
	case d.State == tocsin.Acknowledged:
		return trigger(i, "triggered again in PagerDuty, where the incident stays acknowledged")
	case unsure:
		return trigger(i, "triggered in PagerDuty")
	default:
		return told
	}
}

func trigger(i *tocsin.Incident, text string) step {
	return step{
		action: actionTrigger, state: tocsin.Triggered, severity: i.Severity,
		more: i.State == tocsin.Acknowledged, text: text,
	}
}

// acknowledge triggers first where PagerDuty may have missed, or may have been
// told, more than the acknowledgement: on an incident that is resolved there an
// acknowledgement is dropped.
func acknowledge(n *tocsin.Notice, told step, unsure bool) step {
	if unsure && n.Delivery.Revision+1 < n.Incident.StateRevision {
		return trigger(n.Incident, "triggered in PagerDuty")
	}
	if told.state == tocsin.Acknowledged && !unsure {
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
	return tocsin.Receipt{
		Ref: key, Revision: revision, State: s.state, Severity: s.severity,
		More: s.more, Text: s.text,
	}
}
