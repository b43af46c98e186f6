package callback

import (
	"context"
	"errors"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
)

// The modals by their callback ID, and the IDs of their inputs.
const (
	modalNote    = "tocsin_note"
	modalPerson  = "tocsin_person"
	modalSilence = "tocsin_silence"
	modalStep    = "tocsin_step"

	inputText   = "text"
	inputPerson = "person"
	inputFor    = "for"
	inputStep   = "step"
	inputStatus = "status"
)

// maxNote is the longest note that a modal takes, in characters.
const maxNote = 2000

// show opens a modal behind the answer: what the trigger allows is 3 s from the
// click, and the answer goes first.
func (h *Handler) show(c *clicking, make func(context.Context) slack.Modal) answer {
	trouble := h.say(c.sender, slack.Reply{Lines: []string{"⚠️ The window could not be opened in time. Click again."}})
	return answer{outcome: "asked", after: func(ctx context.Context) {
		within, cancel := context.WithTimeout(ctx, actWithin)
		m := make(within)
		m.Private = c.inc.ID + " " + c.channel
		err := h.behind.call(within, func(ctx context.Context) error { return h.d.Slack.Open(ctx, c.trigger, m) })
		cancel()
		if err != nil {
			h.log.once(h.cfg.Now(), "modal").Warn("a window in Slack could not be opened; the person was told", "error", err)
			trouble(ctx)
		}
	}}
}

func (h *Handler) askNote(c *clicking) answer {
	return h.show(c, func(context.Context) slack.Modal {
		return slack.Modal{
			Callback: modalNote, Title: "Add a note", Submit: "Add",
			Lines:  []string{slack.State(c.inc)},
			Inputs: []slack.Input{{ID: inputText, Label: "Note", Kind: slack.InputLines, Max: maxNote, Hint: "It goes on the incident's timeline, and into its thread."}},
		}
	})
}

func (h *Handler) askPerson(c *clicking) answer {
	return h.show(c, func(context.Context) slack.Modal {
		return slack.Modal{
			Callback: modalPerson, Title: "Escalate to a person", Submit: "Call",
			Lines: []string{slack.State(c.inc)},
			Inputs: []slack.Input{
				{ID: inputPerson, Label: "Whom to call", Kind: slack.InputPerson},
				{ID: inputText, Label: "Why", Kind: slack.InputText, Max: 300, Optional: true},
			},
		}
	})
}

// submitted takes the answer to a modal.
func (h *Handler) submitted(ctx context.Context, p *interaction) answer {
	v := &p.View
	id, channel, cut := strings.Cut(v.Private, " ")
	if !cut || v.ID == "" || p.User.ID == "" {
		return answer{refusal: malformed("payload", "its payload is not the answer to a window of ours")}
	}
	do, known := map[string]func(context.Context, *clicking, *view) answer{
		modalNote: h.addNote, modalPerson: h.callPerson, modalSilence: h.makeSilence, modalStep: h.workStep,
	}[v.Callback]
	if !known {
		return answer{refusal: malformed("action", "the window is not one of ours")}
	}
	c := &clicking{sender: sender{user: p.User.ID, channel: channel, trigger: p.TriggerID, at: h.cfg.Now()}, id: "slack:" + v.ID}
	name, known := h.d.Who(p.User.ID)
	if !known {
		return h.stranger(c.sender)
	}
	c.who = h.d.Person(name)
	var err error
	switch c.inc, err = h.d.Reader.Get(ctx, id); {
	case errors.Is(err, tocsin.ErrNotFound):
		return h.gone(c.sender, id)
	case err != nil:
		return complain(inputText, "Not done: Tocsin cannot read its store right now. Try again in a moment.")
	case !c.who.MayIn(tocsin.RightRespond, c.inc):
		return h.forbidden(c.sender, &c.who, tocsin.RightRespond)
	}
	return do(ctx, c, v)
}

// complain keeps the window open, with what was written, and says below an input
// what is wrong (https://docs.slack.dev/surfaces/modals#displaying_errors).
func complain(input, text string) answer {
	body, err := json.Marshal(struct {
		Action string            `json:"response_action"`
		Errors map[string]string `json:"errors"`
	}{"errors", map[string]string{input: text}})
	if err != nil {
		body = nil // strings do not fail; without a body the window closes
	}
	return answer{outcome: "asked", body: body}
}

func (h *Handler) addNote(ctx context.Context, c *clicking, v *view) answer {
	text := strings.TrimSpace(v.input(inputText))
	if text == "" {
		return complain(inputText, "Say what to note.")
	}
	return h.actOrComplain(ctx, c, inputText, tocsin.Action{Kind: tocsin.ActNote, Text: text})
}

func (h *Handler) callPerson(ctx context.Context, c *clicking, v *view) answer {
	name, known := h.d.Who(v.input(inputPerson))
	if !known {
		return complain(inputPerson, "Tocsin does not know this person: their Slack ID is in no entry of users. Choose somebody else.")
	}
	return h.actOrComplain(ctx, c, inputPerson, tocsin.Action{
		Kind: tocsin.ActEscalate, User: name, Text: strings.TrimSpace(v.input(inputText)),
	})
}

// actOrComplain is act for a window, which stays open when it failed.
func (h *Handler) actOrComplain(ctx context.Context, c *clicking, input string, a tocsin.Action) answer {
	a.ID, a.By = c.id, c.who.Name
	err := h.d.Actions.Act(ctx, c.inc.ID, a)
	switch {
	case err == nil:
		return ok("done")
	case errors.Is(err, tocsin.ErrConflict), errors.Is(err, tocsin.ErrInvalid), errors.Is(err, tocsin.ErrNotFound):
		return complain(input, slack.Plain(slack.Reason(err), 300))
	default:
		h.log.once(h.cfg.Now(), "act").Warn("what was asked for in Slack could not be done now; the person was told", "incident", c.inc.ID, "action", string(a.Kind), "error", err)
		return complain(input, "Not done: Tocsin cannot commit anything right now. Try again in a moment.")
	}
}
