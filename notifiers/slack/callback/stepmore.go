package callback

import (
	"context"
	"strings"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
)

// maxStepNote is the longest note about a step, in characters: as much as an
// incident keeps.
const maxStepNote = 500

// stepMore opens the window in which somebody says what became of a step.
func (h *Handler) stepMore(ctx context.Context, p *interaction) answer {
	a := &p.Actions[0]
	shown, ours := slack.ParseStepGroup(a.BlockID)
	if !ours || shown.Incident != a.Value {
		return answer{refusal: malformed("incident", "the button names another incident than its message")}
	}
	if bad := p.bears(shown.Incident); bad != nil {
		return answer{refusal: bad}
	}
	c, refused := h.clicker(ctx, p, shown.Incident, tocsin.RightRespond)
	switch {
	case refused != nil:
		return *refused
	case c.inc.Kind == tocsin.KindNotice:
		return answer{refusal: malformed("action", "the action is not one of a notice")}
	case !c.inc.Open():
		return h.stale(c, "")
	}
	rb := h.runbook(ctx, c.inc)
	choices := slack.StepChoices(rb, c.inc.Progress)
	if len(choices) == 0 {
		return h.told("stale", c.sender, "There is no runbook with steps for "+slack.Code(c.inc.ID, 40)+" any more.")
	}
	return h.show(c, func(context.Context) slack.Modal {
		return slack.Modal{
			Callback: modalStep, Title: "A step of the runbook", Submit: "Save",
			Lines: []string{slack.State(c.inc)},
			Inputs: []slack.Input{
				{ID: inputStep, Label: "Step", Kind: slack.InputChoice, Options: choices, Initial: slack.NextStep(rb, c.inc.Progress)},
				{ID: inputStatus, Label: "It is", Kind: slack.InputChoice, Initial: string(tocsin.StepStarted), Options: [][2]string{
					{string(tocsin.StepStarted), "begun"},
					{string(tocsin.StepDone), "done"},
					{string(tocsin.StepSkipped), "skipped"},
					{string(tocsin.StepOpen), "open again"},
				}},
				{ID: inputText, Label: "Note", Kind: slack.InputLines, Max: maxStepNote, Optional: true, Hint: "Why it was skipped, or what was found. It goes on the incident's timeline, and into its thread."},
			},
		}
	})
}

// workStep says where a step stands, once for each window.
func (h *Handler) workStep(ctx context.Context, c *clicking, v *view) answer {
	s, known := stepsByKey(h.runbook(ctx, c.inc))[v.input(inputStep)]
	status := tocsin.StepStatus(v.input(inputStatus))
	switch {
	case !known:
		return complain(inputStep, "This step is not in the runbook any more, which was edited meanwhile. Close the window and open it again.")
	case !status.Known():
		return complain(inputStatus, "Choose one of these.")
	case !c.inc.Open():
		return complain(inputStep, "The incident is resolved: its steps stay as they are.")
	}
	return h.actOrComplain(ctx, c, inputStep, tocsin.Action{
		Kind: tocsin.ActStep, RunbookStep: s.id, Status: status, Via: "Slack", Text: strings.TrimSpace(v.input(inputText)),
	})
}
