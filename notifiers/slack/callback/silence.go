package callback

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
)

const (
	// maxSilence is the longest silence that is made by a click.
	maxSilence = 30 * 24 * time.Hour
)

// mayNotSilence is what those are told who may respond to the incident, and not to
// everything.
const mayNotSilence = "Nothing was done: a silence can hide other teams' alerts, so it takes the right to respond everywhere, which you have not. " +
	"Snooze the incident instead, or ask somebody who has it."

// silenceFor are the durations that can be chosen.
var silenceFor = [][2]string{
	{"30m", "30 minutes"}, {"1h", "1 hour"}, {"4h", "4 hours"}, {"24h", "1 day"}, {"72h", "3 days"}, {"168h", "1 week"},
}

var bareName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// quoted escapes what Alertmanager's matchers give a meaning to inside of quotes,
// and that alone (github.com/prometheus/alertmanager/matcher/parse).
var quoted = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// matchers are those that select exactly what has the labels.
func matchers(l tocsin.Labels) []string {
	var out []string
	for _, name := range l.Names() {
		left := name
		if !bareName.MatchString(name) {
			left = `"` + quoted.Replace(name) + `"`
		}
		out = append(out, left+`="`+quoted.Replace(l[name])+`"`)
	}
	return out
}

// group are the labels that the incident's alerts share.
func (h *Handler) group(ctx context.Context, inc *tocsin.Incident) (tocsin.Labels, error) {
	alerts, err := h.d.Reader.AlertsOf(ctx, inc.ID, 1)
	if err != nil || len(alerts) == 0 {
		return nil, err
	}
	return alerts[0].Labels.Pick(inc.GroupBy), nil
}

// askSilence shows what a silence would hide before it is made.
func (h *Handler) askSilence(ctx context.Context, c *clicking) answer {
	if _, ok := duration(c.choice, maxSilence); !ok {
		return answer{refusal: malformed("action", "the menu has no such choice")}
	}
	labels, err := h.group(ctx, c.inc)
	switch {
	case !c.who.May(tocsin.RightRespond):
		return h.told("forbidden", c.sender, mayNotSilence)
	case err != nil:
		return h.notNow(c.sender)
	case h.d.Silencer == nil:
		return h.told("stale", c.sender, "Silences cannot be made from Slack here.")
	case len(labels) == 0:
		return h.told("stale", c.sender, "Nothing was done: the incident's alerts are not grouped by any label, so a silence of its group would hide everything.")
	}
	return h.show(c, func(ctx context.Context) slack.Modal {
		lines := []string{"Hides the alerts that have all of these labels:"}
		for _, m := range matchers(labels) {
			lines = append(lines, "• "+slack.Code(m, 300))
		}
		lines = append(lines, h.impact(ctx, matchers(labels))...)
		return slack.Modal{
			Callback: modalSilence, Title: "Silence", Submit: "Silence", Lines: lines,
			Inputs: []slack.Input{
				{ID: inputFor, Label: "For how long", Kind: slack.InputChoice, Options: silenceFor, Initial: c.choice},
				{ID: inputText, Label: "Why", Kind: slack.InputText, Max: 300, Hint: "Whoever wonders why nothing pages reads this."},
			},
		}
	})
}

func (h *Handler) makeSilence(ctx context.Context, c *clicking, v *view) answer {
	d, ok1 := duration(v.input(inputFor), maxSilence)
	comment := strings.TrimSpace(v.input(inputText))
	switch {
	case !c.who.May(tocsin.RightRespond):
		return h.told("forbidden", c.sender, mayNotSilence)
	case !ok1:
		return complain(inputFor, "Choose how long.")
	case comment == "":
		return complain(inputText, "Say why: whoever wonders why nothing pages reads this.")
	case h.d.Silencer == nil:
		return complain(inputText, "Silences cannot be made from Slack here.")
	}
	labels, err := h.group(ctx, c.inc)
	if err != nil {
		return complain(inputText, "Not done: Tocsin cannot read its store right now. Try again in a moment.")
	}
	now := h.cfg.Now()
	if h.answered.add(v.ID, now) == seenBefore {
		return ok("ignored")
	}
	s, err := h.d.Silencer.PutSilence(ctx, tocsin.Silence{
		Matchers: matchers(labels), StartsAt: now, EndsAt: now.Add(d), CreatedBy: c.who.Name, Comment: comment,
	})
	if err == nil {
		return h.told("done", c.sender, "🔕 Silenced until "+slack.Time(s.EndsAt)+" as "+slack.Code(s.ID, 40)+
			". To end it early: "+slack.Code("tocsin silence expire "+s.ID, 80))
	}
	h.answered.forget(v.ID)
	if errors.Is(err, tocsin.ErrInvalid) {
		return complain(inputText, slack.Plain(slack.Reason(err), 300))
	}
	h.log.once(now, "act").Warn("a silence that was asked for in Slack could not be made now; the person was told", "incident", c.inc.ID, "error", err)
	return complain(inputText, "Not done: Tocsin cannot commit anything right now. Try again in a moment.")
}
