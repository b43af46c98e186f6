package callback

import (
	"context"
	"errors"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
)

// Remedies are what people approve.
type Remedies interface {
	// Remediation returns one run, with its output, or tocsin.ErrNotFound.
	Remediation(ctx context.Context, id string) (r tocsin.Remediation, output string, err error)
	// Answer approves or denies it, and returns when that is durable. Doing it again
	// is a success. tocsin.ErrConflict says in words why it cannot be done.
	Answer(ctx context.Context, id, by string, approve bool) (tocsin.Remediation, error)
	// Plan returns what a remedy would do for a target of an incident.
	Plan(ctx context.Context, incident, remedy, target string) ([]tocsin.RemedyPlan, error)
}

// remedyActions are what can be clicked about a remedy.
func isRemedyAction(id string) bool {
	return id == slack.ActionApprove || id == slack.ActionDeny || id == slack.ActionPlan
}

// remedied takes a click about a remedy.
func (h *Handler) remedied(ctx context.Context, p *interaction) answer {
	a := &p.Actions[0]
	id, run := slack.ParseValue(a.value())
	shown, ours := slack.ParseRemedyBlock(a.BlockID)
	if !ours || shown != id || run == "" {
		return answer{refusal: malformed("incident", "the button names another incident than its message")}
	}
	if bad := p.bears(id); bad != nil {
		return answer{refusal: bad}
	}
	right := tocsin.RightRespond
	if a.ActionID == slack.ActionPlan {
		right = tocsin.RightView
	}
	c, refused := h.clicker(ctx, p, id, right)
	switch {
	case refused != nil:
		return *refused
	case h.d.Remedies == nil:
		return h.told("stale", c.sender, "There are no remedies here any more.")
	}
	r, _, err := h.d.Remedies.Remediation(ctx, run)
	switch {
	case errors.Is(err, tocsin.ErrNotFound):
		return h.told("stale", c.sender, "This run is not kept any more.")
	case err != nil:
		return h.notNow(c.sender)
	case r.Incident != id:
		return answer{refusal: malformed("incident", "the button names another incident's remedy")}
	case a.ActionID == slack.ActionPlan:
		return h.plan(ctx, c, &r)
	}
	return h.answerRemedy(ctx, c, &r, a.ActionID == slack.ActionApprove)
}

func (h *Handler) answerRemedy(ctx context.Context, c *clicking, r *tocsin.Remediation, approve bool) answer {
	_, err := h.d.Remedies.Answer(ctx, r.ID, c.who.Name, approve)
	switch {
	case err == nil:
		return ok("done")
	case errors.Is(err, tocsin.ErrConflict), errors.Is(err, tocsin.ErrInvalid), errors.Is(err, tocsin.ErrNotFound):
		return h.told("stale", c.sender, "Nothing was done: "+slack.Escape(slack.Reason(err), 400)+".")
	default:
		h.log.once(h.cfg.Now(), "act").Warn("a remedy could not be answered for in Slack now; the person was told", "incident", c.inc.ID, "remediation", r.ID, "error", err)
		return h.notNow(c.sender)
	}
}

// plan says what would be done: behind the answer, since a precheck takes its time.
func (h *Handler) plan(_ context.Context, c *clicking, r *tocsin.Remediation) answer {
	return answer{outcome: "done", after: func(ctx context.Context) {
		within, cancel := context.WithTimeout(ctx, planWithin)
		defer cancel()
		lines := []string{"The plan cannot be made now. Try again in a moment."}
		plans, err := h.d.Remedies.Plan(within, r.Incident, r.Remedy, r.Target)
		if len(plans) > 0 {
			lines = slack.PlanLines(&plans[0])
		}
		if err != nil {
			h.log.once(h.cfg.Now(), "plan").Warn("a remedy's plan could not be made", "incident", r.Incident, "remedy", r.Remedy, "error", err)
		}
		h.say(c.sender, slack.Reply{Lines: lines})(ctx)
	}}
}
