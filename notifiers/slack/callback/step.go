package callback

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
)

const (
	// boxesLive is how long it is known what somebody ticked on a message that was
	// not brought up to date since.
	boxesLive = time.Hour
	maxGroups = 10_000
)

// boxes knows what each person's Slack shows as ticked, from their last click until
// the message comes with another block ID. Slack does not say which box was clicked,
// but which are ticked: whoever ticks and unticks before the message is updated
// sends what it showed before. The zero value is ready. What is not known, since it
// happened in another process or too long ago, is taken to be as the message showed.
type boxes struct {
	mu     sync.Mutex
	groups map[string]*boxGroup
}

// boxGroup is one group of check boxes as one person sees it.
type boxGroup struct {
	used time.Time
	// mu has the clicks of one person on one group work one after the other; it
	// guards what follows.
	mu sync.Mutex
	// ts is that of the latest click, ticked what it said, and reached what of that
	// could be done; nil: there was none.
	ts              string
	ticked, reached map[string]bool
}

func (b *boxes) of(key string, now time.Time) *boxGroup {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.groups) >= maxGroups {
		maps.DeleteFunc(b.groups, func(_ string, g *boxGroup) bool { return now.Sub(g.used) > boxesLive })
	}
	if b.groups == nil || len(b.groups) >= maxGroups {
		b.groups = map[string]*boxGroup{}
	}
	g := b.groups[key]
	if g == nil || now.Sub(g.used) > boxesLive {
		g = &boxGroup{}
		b.groups[key] = g
	}
	g.used = now
	return g
}

// base is what the person saw before they clicked: what the message showed, or what
// they had made of it. One click changes one box, so it is whichever differs less
// from what is ticked now: the person may look at the message on two devices.
func (g *boxGroup) base(shown *slack.StepGroup, now map[string]bool) map[string]bool {
	asShown := map[string]bool{}
	for _, s := range shown.Steps {
		asShown[s.Key] = s.Ticked
	}
	if g.ticked == nil {
		return asShown
	}
	before, since := 0, 0
	for _, s := range shown.Steps {
		if now[s.Key] != asShown[s.Key] {
			before++
		}
		if now[s.Key] != g.ticked[s.Key] {
			since++
		}
	}
	if before > 0 && (before < since || since == 0) {
		return asShown
	}
	return g.reached
}

// ticked takes a click on a check box of the runbook's steps
// (https://docs.slack.dev/reference/block-kit/block-elements/checkboxes-element).
func (h *Handler) ticked(ctx context.Context, p *interaction) answer {
	a := &p.Actions[0]
	shown, ours := slack.ParseStepGroup(a.BlockID)
	if !ours || a.Ticked == nil {
		return answer{refusal: malformed("payload", "its payload is not a click on check boxes of ours")}
	}
	now, bad := a.ticks(&shown)
	if bad == nil {
		bad = p.bears(shown.Incident)
	}
	if bad != nil {
		return answer{refusal: bad}
	}
	c, refused := h.clicker(ctx, p, shown.Incident, tocsin.RightRespond)
	switch {
	case refused != nil:
		return *refused
	case c.inc.Kind == tocsin.KindNotice:
		return answer{refusal: malformed("action", "the action is not one of a notice")}
	}
	key := strings.Join([]string{c.user, c.channel, p.Message.TS, a.BlockID}, " ")
	g := h.boxes.of(key, c.at)
	g.mu.Lock()
	defer g.mu.Unlock()
	if a.TS < g.ts {
		return ok("ignored") // a later click, which came first, has said it all
	}
	var err error
	if c.inc, err = h.d.Reader.Get(ctx, shown.Incident); err != nil { // what was done while we waited counts
		return h.notNow(c.sender)
	}
	if !c.inc.Open() {
		return h.stale(c, "")
	}
	t := h.tick(ctx, c, &shown, g.base(&shown, now), now)
	g.ts, g.ticked, g.reached = a.TS, now, t.reached
	return h.tickedAnswer(c, &t)
}

// ticks are the keys of the steps that are ticked. Each must be one of the group.
func (c *click) ticks(shown *slack.StepGroup) (map[string]bool, *refusal) {
	of := map[string]bool{}
	for _, s := range shown.Steps {
		of[s.Key] = true
	}
	now := map[string]bool{}
	for _, o := range c.Ticked {
		id, key := slack.ParseValue(o.Value)
		switch {
		case id != shown.Incident:
			return nil, malformed("incident", "a check box names another incident than its message")
		case !of[key] || now[key]:
			return nil, malformed("step", "a check box is not one of its group")
		}
		now[key] = true
	}
	return now, nil
}

// ticking is what became of one click.
type ticking struct {
	// done are the steps that now stand as the person wants, undone those that do
	// not, with the reason.
	done, undone []string
	// later is true when something could not be committed now.
	later bool
	// reached is what is ticked now as far as the person's clicks are concerned.
	reached map[string]bool
}

// tick does what the person has changed, from what they saw to what they want, and
// that alone: what others do meanwhile stays.
func (h *Handler) tick(ctx context.Context, c *clicking, shown *slack.StepGroup, was, want map[string]bool) ticking {
	t := ticking{reached: maps.Clone(was)}
	steps := stepsByKey(h.runbook(ctx, c.inc))
	for _, box := range shown.Steps {
		if want[box.Key] == was[box.Key] {
			continue
		}
		s, known := steps[box.Key]
		switch {
		case !known:
			t.undone = append(t.undone, "A step is not in the runbook any more, which was edited since this was shown. Runbook in the menu ⋯ shows it as it is now.")
		case (c.inc.Progress.Status(s.id) == tocsin.StepDone) == want[box.Key]:
			t.reached[box.Key] = want[box.Key] // somebody else was first
		case t.later:
			t.undone = append(t.undone, s.said()+": not tried.")
		default:
			h.tickOne(ctx, c, s, box.Key, want[box.Key], &t)
		}
	}
	return t
}

// tickOne has one step done, or open again, and committed.
func (h *Handler) tickOne(ctx context.Context, c *clicking, s numbered, key string, on bool, t *ticking) {
	status := tocsin.StepOpen
	if on {
		status = tocsin.StepDone
	}
	err := h.d.Actions.Act(ctx, c.inc.ID, tocsin.Action{
		Kind: tocsin.ActStep, ID: c.id + ":" + key, By: c.who.Name, RunbookStep: s.id, Status: status, Via: "Slack",
	})
	switch {
	case err == nil:
		t.done = append(t.done, s.said()+" is "+string(status)+".")
		t.reached[key] = on
	case errors.Is(err, tocsin.ErrConflict), errors.Is(err, tocsin.ErrInvalid), errors.Is(err, tocsin.ErrNotFound):
		t.undone = append(t.undone, s.said()+": "+slack.Escape(slack.Reason(err), 300)+".")
	default:
		h.log.once(h.cfg.Now(), "act").Warn("what was clicked in Slack could not be done now; the person was told", "incident", c.inc.ID, "action", string(tocsin.ActStep), "error", err)
		t.undone = append(t.undone, s.said()+": Tocsin cannot commit anything right now. Try again in a moment.")
		t.later = true
	}
}

// tickedAnswer says what could not be done. What was done shows in the message.
func (h *Handler) tickedAnswer(c *clicking, t *ticking) answer {
	if len(t.undone) == 0 {
		if len(t.done) == 0 {
			return ok("ignored")
		}
		return ok("done")
	}
	lines := []string{"⚠️ Not done:"}
	if len(t.done) > 0 {
		lines[0] = "⚠️ Not all was done:"
	}
	for _, line := range t.undone {
		lines = append(lines, "• "+line)
	}
	for _, line := range t.done {
		lines = append(lines, "✓ "+line)
	}
	a := h.told("stale", c.sender, append(lines, slack.State(c.inc))...)
	if t.later {
		a.outcome, a.status = "failed", http.StatusServiceUnavailable
	}
	return a
}

// numbered is a step with its place in the runbook.
type numbered struct {
	id     string
	number int
}

func (n numbered) said() string { return fmt.Sprintf("Step %d", n.number) }

// stepsByKey are a runbook's steps; of nil there are none.
func stepsByKey(rb *tocsin.Runbook) map[string]numbered {
	if rb == nil {
		return nil
	}
	out := make(map[string]numbered, len(rb.Steps))
	for n := range rb.Steps {
		id := rb.Steps[n].ID
		if key := slack.StepKey(id); key != "" && out[key].number == 0 {
			out[key] = numbered{id, n + 1}
		}
	}
	return out
}

// runbook is the incident's as it is now, filled in; nil: there is none.
func (h *Handler) runbook(ctx context.Context, inc *tocsin.Incident) *tocsin.Runbook {
	if h.d.Runbook == nil || inc.Runbook == "" {
		return nil
	}
	var labels tocsin.Labels
	if alerts, err := h.d.Reader.AlertsOf(ctx, inc.ID, 1); err == nil && len(alerts) > 0 {
		labels = alerts[0].Labels
	}
	return h.d.Runbook(inc.Runbook, labels)
}

func (h *Handler) showRunbook(ctx context.Context, c *clicking) answer {
	if rb := h.runbook(ctx, c.inc); rb != nil && len(rb.Steps) > 0 {
		return h.told("done", c.sender, slack.RunbookLines(rb, c.inc.Progress)...)
	}
	return h.told("done", c.sender, "There is no runbook with steps for "+slack.Code(c.inc.ID, 40)+" any more.")
}
