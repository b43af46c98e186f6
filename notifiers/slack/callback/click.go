package callback

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
)

// interaction takes a click or the answer to a modal.
func (h *Handler) interaction(ctx context.Context, body []byte) answer {
	p, bad := parse(body)
	if bad == nil {
		bad = h.ours(p.Team.ID)
	}
	if bad != nil {
		return answer{refusal: bad}
	}
	ctx, cancel := context.WithTimeout(ctx, actWithin)
	defer cancel()
	switch p.Type {
	case "block_actions":
		return h.clicked(ctx, p)
	case "view_submission":
		return h.submitted(ctx, p)
	case "view_closed":
		return ok("ignored")
	default:
		return answer{refusal: malformed("action", "it is of a kind that no message of ours asks for")}
	}
}

// clicking is one click that is understood: who did what on which incident.
type clicking struct {
	sender
	who    string
	action string
	choice string
	inc    *tocsin.Incident
	// id is the same for the same click, however often it is sent.
	id string
}

// actions are what each action ID does, in which states of the incident. A message
// that was posted earlier may show what the incident has left behind.
var actions = map[string]struct {
	states []tocsin.State
	do     func(*Handler, context.Context, *clicking) answer
}{
	slack.ActionAcknowledge:   {[]tocsin.State{tocsin.Triggered}, simply(tocsin.ActAcknowledge)},
	slack.ActionKeep:          {[]tocsin.State{tocsin.Acknowledged}, simply(tocsin.ActAcknowledge)},
	slack.ActionResolve:       {open, simply(tocsin.ActResolve)},
	slack.ActionResolveFiring: {open, (*Handler).resolveFiring},
	slack.ActionEscalate:      {open, simply(tocsin.ActEscalate)},
	slack.ActionSnooze:        {open, (*Handler).snooze},
	slack.ActionSilence:       {open, (*Handler).askSilence},
	slack.ActionMore:          {[]tocsin.State{tocsin.Triggered, tocsin.Acknowledged, tocsin.Resolved}, (*Handler).more},
}

var open = []tocsin.State{tocsin.Triggered, tocsin.Acknowledged}

func simply(kind tocsin.ActionKind) func(*Handler, context.Context, *clicking) answer {
	return func(h *Handler, ctx context.Context, c *clicking) answer {
		return h.act(ctx, c, tocsin.Action{Kind: kind})
	}
}

func (h *Handler) resolveFiring(ctx context.Context, c *clicking) answer {
	return h.act(ctx, c, tocsin.Action{Kind: tocsin.ActResolve, Force: true})
}

func (h *Handler) clicked(ctx context.Context, p *interaction) answer {
	if len(p.Actions) != 1 || p.Message == nil || p.User.ID == "" {
		return answer{refusal: malformed("payload", "its payload is not one click on a message")}
	}
	a := &p.Actions[0]
	if _, known := actions[a.ActionID]; !known {
		return answer{refusal: malformed("action", "the action is not one of ours")}
	}
	if a.Value == "" && a.Selected == nil {
		return ok("ignored") // a menu whose choice was taken back
	}
	id, choice := slack.ParseValue(a.value())
	if bad := names(p, id); bad != nil {
		return answer{refusal: bad}
	}
	c := &clicking{
		action: a.ActionID, choice: choice, id: "slack:" + a.TS + ":" + p.Message.TS + ":" + p.User.ID,
		sender: sender{p.User.ID, p.Channel.ID, p.ResponseURL, p.TriggerID, h.cfg.Now()},
	}
	var known bool
	if c.who, known = h.d.Who(p.User.ID); !known {
		return h.stranger(c.sender)
	}
	right := tocsin.RightRespond
	if a.ActionID == slack.ActionMore && (choice == slack.ChoiceRunbook || choice == slack.ChoiceWhy) {
		right = tocsin.RightView
	}
	if !h.may(c.who, right) {
		return h.told("forbidden", c.sender, forbidden(c.who, right))
	}
	var err error
	switch c.inc, err = h.d.Reader.Get(ctx, id); {
	case errors.Is(err, tocsin.ErrNotFound):
		return h.told("stale", c.sender, "The incident "+slack.Code(id, 40)+" is not kept any more.")
	case err != nil:
		return h.notNow(c.sender)
	case p.Message.Metadata == nil && !shownAt(c.inc, p.Channel.ID+"/"+p.Message.TS):
		return answer{refusal: malformed("incident", "the button names another incident than its message")}
	}
	return h.once(ctx, c)
}

// names refuses a value that names another incident than the message does: in the
// block's ID, and in its metadata where Slack sends them along.
func names(p *interaction, id string) *refusal {
	bad := malformed("incident", "the button names another incident than its message")
	shown, ours := slack.ParseBlockID(p.Actions[0].BlockID)
	if !ours || shown != id {
		return bad
	}
	if m := p.Message.Metadata; m != nil && (!slack.IsIncident(m.Type) || m.Payload.Incident != id) {
		return bad
	}
	return nil
}

// shownAt reports whether the incident is known to be shown by the message, or
// whether there may be messages of it that we do not know of: their receipt was
// lost, or is not written yet.
func shownAt(inc *tocsin.Incident, ref string) bool {
	for n := range inc.Deliveries {
		d := &inc.Deliveries[n]
		if strings.HasPrefix(d.Target, "slack:") && (d.Ref == ref || d.Ref == "" || d.Attempts > 0) {
			return true
		}
	}
	return false
}

// once does what was clicked, unless the same person has just clicked the same.
func (h *Handler) once(ctx context.Context, c *clicking) answer {
	what := actions[c.action]
	stale := true
	for _, s := range what.states {
		stale = stale && s != c.inc.State
	}
	key := strings.Join([]string{c.user, c.inc.ID, c.action, c.choice}, " ")
	if h.clicks.add(key, h.cfg.Now()) == seenBefore {
		return ok("ignored")
	}
	switch {
	case c.inc.Kind == tocsin.KindNotice && c.action != slack.ActionAcknowledge:
		return answer{refusal: malformed("action", "the action is not one of a notice")}
	case stale:
		return h.stale(c, "")
	}
	a := what.do(h, ctx, c)
	if a.status >= http.StatusInternalServerError {
		h.clicks.forget(key)
	}
	return a
}

// act has the action done and committed. Its effect shows in the message; what
// prevented it is said.
func (h *Handler) act(ctx context.Context, c *clicking, a tocsin.Action) answer {
	a.ID, a.By = c.id, c.who
	err := h.d.Actions.Act(ctx, c.inc.ID, a)
	switch {
	case err == nil:
		return ok("done")
	case errors.Is(err, tocsin.ErrConflict), errors.Is(err, tocsin.ErrInvalid), errors.Is(err, tocsin.ErrNotFound):
		if now, err := h.d.Reader.Get(ctx, c.inc.ID); err == nil {
			c.inc = now
		}
		return h.stale(c, slack.Escape(err.Error(), 400))
	default:
		h.log.once(h.cfg.Now(), "act").Warn("what was clicked in Slack could not be done now; the person was told", "incident", c.inc.ID, "action", string(a.Kind), "error", err)
		return h.notNow(c.sender)
	}
}

// stale says why nothing was done, and how things stand.
func (h *Handler) stale(c *clicking, why string) answer {
	first := "Nothing was done: the incident has moved on."
	if why != "" {
		first = "Nothing was done: " + why + "."
	}
	return h.told("stale", c.sender, first, slack.State(c.inc))
}

func (h *Handler) told(outcome string, to sender, lines ...string) answer {
	return answer{outcome: outcome, after: h.say(to, slack.Reply{Lines: lines})}
}

func (h *Handler) notNow(to sender) answer {
	a := h.told("failed", to, "⚠️ Not done: Tocsin cannot commit anything right now. Try again in a moment.")
	a.status = http.StatusServiceUnavailable
	return a
}

func (h *Handler) stranger(to sender) answer {
	return h.told("stranger", to, strangerLines(to.user)...)
}

// may reports whether a user has a right.
func (h *Handler) may(who string, right tocsin.Right) bool {
	return h.d.May == nil || h.d.May(who, right)
}

// forbidden says what a user has no right to.
func forbidden(who string, right tocsin.Right) string {
	return "Nothing was done: " + slack.Escape(who, 80) + " has no right to " + string(right) +
		". Ask whoever keeps the configuration to change " + slack.Code("role", 20) + " in your entry in `users`."
}

func strangerLines(user string) []string {
	return []string{
		"Nothing was done: Tocsin does not know who you are.",
		"Ask whoever keeps its configuration to add your Slack ID to your entry in `users`: " + slack.Code("slack: "+user, 60),
	}
}

// snooze takes a duration, or until the morning.
func (h *Handler) snooze(ctx context.Context, c *clicking) answer {
	now := h.cfg.Now()
	var until time.Time
	if c.choice == slack.ChoiceMorning {
		until = morning(now, h.zone(c.who))
	} else if d, ok := duration(c.choice, 24*time.Hour); ok {
		until = now.Add(d)
	} else {
		return answer{refusal: malformed("action", "the menu has no such choice")}
	}
	return h.act(ctx, c, tocsin.Action{Kind: tocsin.ActSnooze, Until: until})
}

// duration reads a menu's choice of at most a given length.
func duration(choice string, most time.Duration) (time.Duration, bool) {
	d, err := time.ParseDuration(choice)
	return d, err == nil && d >= time.Minute && d <= most
}

// morning is the next 09:00 that is at least an hour away: whoever is woken at
// 03:00 means this one, whoever snoozes at noon the next.
func morning(now time.Time, loc *time.Location) time.Time {
	const nine = 9
	local := now.In(loc)
	at := time.Date(local.Year(), local.Month(), local.Day(), nine, 0, 0, 0, loc)
	if at.Sub(now) < time.Hour {
		at = time.Date(local.Year(), local.Month(), local.Day()+1, nine, 0, 0, 0, loc)
	}
	return at
}

func (h *Handler) zone(who string) *time.Location {
	if h.d.Zone != nil {
		if loc := h.d.Zone(who); loc != nil {
			return loc
		}
	}
	return time.UTC
}

// more is what the last menu offers: questions, which nothing is committed for.
func (h *Handler) more(ctx context.Context, c *clicking) answer {
	switch c.choice {
	case slack.ChoicePerson:
		if !c.inc.Open() {
			return h.stale(c, "")
		}
		return h.askPerson(c)
	case slack.ChoiceNote:
		return h.askNote(c)
	case slack.ChoiceRunbook:
		return h.showRunbook(ctx, c)
	case slack.ChoiceWhy:
		return h.told("done", c.sender, h.why(ctx, c)...)
	default:
		return answer{refusal: malformed("action", "the menu has no such choice")}
	}
}

func (h *Handler) showRunbook(ctx context.Context, c *clicking) answer {
	var labels tocsin.Labels
	if alerts, err := h.d.Reader.AlertsOf(ctx, c.inc.ID, 1); err == nil && len(alerts) > 0 {
		labels = alerts[0].Labels
	}
	if h.d.Runbook != nil && c.inc.Runbook != "" {
		if rb := h.d.Runbook(c.inc.Runbook, labels); rb != nil && len(rb.Steps) > 0 {
			return h.told("done", c.sender, slack.RunbookLines(rb)...)
		}
	}
	return h.told("done", c.sender, "There is no runbook with steps for "+slack.Code(c.inc.ID, 40)+" any more.")
}
