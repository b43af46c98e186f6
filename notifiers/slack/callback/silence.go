package callback

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
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
const mayNotSilence = "Nothing was done: a silence can hide other teams' alerts, so it takes the right to respond everywhere, or `silence_matchers` of your team in the configuration. " +
	"Snooze the incident instead, or ask somebody who has it."

// notTheirs is what those are told of whose team has silences of its own, which one of
// this incident would not be.
const notTheirs = "Nothing was done: your team's silences have %s, and this incident's alerts do not match that: a silence of them could hide other teams' alerts. " +
	"Snooze the incident instead, or ask somebody who may respond everywhere."

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

// group are the matchers of a silence of what the incident's alerts share, and none
// where they share nothing. For people whose rights are in teams those that their
// team's silences have are among them, where an alert of the incident matches these;
// no is why there is nothing that they may silence.
func (h *Handler) group(ctx context.Context, c *clicking) (list []string, no string, err error) {
	alerts, err := h.d.Reader.AlertsOf(ctx, c.inc.ID, 1)
	if err != nil || len(alerts) == 0 {
		return nil, "", err
	}
	list = matchers(alerts[0].Labels.Pick(c.inc.GroupBy))
	if len(list) == 0 || c.who.May(tocsin.RightRespond) {
		return list, "", nil
	}
	theirs, err := slack.Written(list)
	if err != nil || c.who.MaySilence(tocsin.RightRespond, theirs) {
		return theirs, "", err
	}
	var own []string
	for _, scope := range c.who.Silences {
		all, err := compile(scope.Matchers)
		if err != nil || !scope.Role.May(tocsin.RightRespond) {
			continue
		}
		if n := (counter{matchers: all}); n.matches(alerts[0].Labels) {
			return slices.Compact(slices.Sorted(slices.Values(append(theirs, scope.Matchers...)))), "", nil
		}
		own = append(own, slack.Code(strings.Join(scope.Matchers, ", "), 200))
	}
	return nil, fmt.Sprintf(notTheirs, strings.Join(own, " or ")), nil
}

// askSilence shows what a silence would hide before it is made.
func (h *Handler) askSilence(ctx context.Context, c *clicking) answer {
	if _, ok := duration(c.choice, maxSilence); !ok {
		return answer{refusal: malformed("action", "the menu has no such choice")}
	}
	list, no, err := h.group(ctx, c)
	switch {
	case !c.who.MaySilenceSome(tocsin.RightRespond):
		return h.told("forbidden", c.sender, mayNotSilence)
	case err != nil:
		return h.notNow(c.sender)
	case no != "":
		return h.told("forbidden", c.sender, no)
	case h.d.Silencer == nil:
		return h.told("stale", c.sender, "Silences cannot be made from Slack here.")
	case len(list) == 0:
		return h.told("stale", c.sender, "Nothing was done: the incident's alerts are not grouped by any label, so a silence of its group would hide everything.")
	}
	return h.show(c, func(ctx context.Context) slack.Modal {
		lines := []string{"Hides the alerts that have all of these labels:"}
		for _, m := range list {
			lines = append(lines, "• "+slack.Code(m, 300))
		}
		lines = append(lines, h.impact(ctx, &c.who, list)...)
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
	case !c.who.MaySilenceSome(tocsin.RightRespond):
		return h.told("forbidden", c.sender, mayNotSilence)
	case !ok1:
		return complain(inputFor, "Choose how long.")
	case comment == "":
		return complain(inputText, "Say why: whoever wonders why nothing pages reads this.")
	case h.d.Silencer == nil:
		return complain(inputText, "Silences cannot be made from Slack here.")
	}
	list, no, err := h.group(ctx, c)
	switch {
	case err != nil:
		return complain(inputText, "Not done: Tocsin cannot read its store right now. Try again in a moment.")
	case no != "":
		return h.told("forbidden", c.sender, no)
	}
	now := h.cfg.Now()
	if h.answered.add(v.ID, now) == seenBefore {
		return ok("ignored")
	}
	s, err := h.d.Silencer.PutSilence(ctx, tocsin.Silence{
		Matchers: list, StartsAt: now, EndsAt: now.Add(d), CreatedBy: c.who.Name, Comment: comment,
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
