package callback

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
)

// interaction takes a click or the answer to a modal, in the field of a form.
func (h *Handler) interaction(ctx context.Context, body []byte) answer {
	f, bad := fields(body)
	if bad != nil {
		return answer{refusal: bad}
	}
	return h.interacted(ctx, []byte(f["payload"]))
}

// interacted takes a click or the answer to a modal.
func (h *Handler) interacted(ctx context.Context, payload []byte) answer {
	p, bad := parse(payload)
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
	who    tocsin.Principal
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
	if len(p.Actions) != 1 || p.User.ID == "" || p.Message == nil && !p.atHome() {
		return answer{refusal: malformed("payload", "its payload is not one click on a message")}
	}
	a := &p.Actions[0]
	if a.ActionID == slack.ActionSteps && p.Message != nil {
		return h.ticked(ctx, p)
	}
	if a.ActionID == slack.ActionStepMore && p.Message != nil {
		return h.stepMore(ctx, p)
	}
	if isRemedyAction(a.ActionID) && p.Message != nil {
		return h.remedied(ctx, p)
	}
	if _, known := actions[a.ActionID]; !known || p.atHome() && !slices.Contains(slack.HomeActions(), a.ActionID) {
		return answer{refusal: malformed("action", "the action is not one of ours")}
	}
	if a.Value == "" && a.Selected == nil {
		return ok("ignored") // a menu whose choice was taken back
	}
	id, choice := slack.ParseValue(a.value())
	if bad := names(p, id); bad != nil {
		return answer{refusal: bad}
	}
	right := tocsin.RightRespond
	if a.ActionID == slack.ActionMore && (choice == slack.ChoiceRunbook || choice == slack.ChoiceWhy) {
		right = tocsin.RightView
	}
	c, refused := h.clicker(ctx, p, id, right)
	if refused != nil {
		return *refused
	}
	c.choice = choice
	answered := h.once(ctx, c)
	if c.home && answered.outcome == "done" && answered.after == nil {
		answered.after = h.showHome(c.user, c.hash)
	}
	return answered
}

// clicker finds out who clicked on which incident, and whether they may; else the
// answer is what they get.
func (h *Handler) clicker(ctx context.Context, p *interaction, id string, right tocsin.Right) (*clicking, *answer) {
	a := &p.Actions[0]
	c := &clicking{
		action: a.ActionID, id: "slack:" + a.TS + ":" + p.shown() + ":" + p.User.ID,
		sender: sender{
			user: p.User.ID, channel: p.Channel.ID, responseURL: p.ResponseURL, trigger: p.TriggerID, at: h.cfg.Now(),
			home: p.atHome(), hash: p.View.Hash,
		},
	}
	var no answer
	name, known := h.d.Who(p.User.ID)
	if !known {
		no = h.stranger(c.sender)
		return nil, &no
	}
	c.who = h.d.Person(name)
	var err error
	switch c.inc, err = h.d.Reader.Get(ctx, id); {
	case errors.Is(err, tocsin.ErrNotFound):
		no = h.gone(c.sender, id)
	case err != nil:
		no = h.notNow(c.sender)
	case !c.who.MayIn(right, c.inc):
		no = h.forbidden(c.sender, &c.who, right)
	case p.Message != nil && p.Message.Metadata == nil && !shownAt(c.inc, p.Channel.ID+"/"+p.Message.TS):
		no = answer{refusal: malformed("incident", "the button names another incident than its message")}
	default:
		return c, nil
	}
	return nil, &no
}

// shown is what the click was on: a message, or a Home tab.
func (p *interaction) shown() string {
	if p.Message != nil {
		return p.Message.TS
	}
	return p.View.ID
}

// names refuses a value that names another incident than the message does: in the
// block's ID, and in its metadata where Slack sends them along.
func names(p *interaction, id string) *refusal {
	if shown, ours := slack.ParseBlockID(p.Actions[0].BlockID); !ours || shown != id {
		return malformed("incident", "the button names another incident than its message")
	}
	return p.bears(id)
}

// bears refuses a message whose metadata name another incident.
func (p *interaction) bears(id string) *refusal {
	if p.Message == nil || p.Message.Metadata == nil {
		return nil
	}
	if m := p.Message.Metadata; !slack.IsIncident(m.Type) || m.Payload.Incident != id {
		return malformed("incident", "the button names another incident than its message")
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
	a.ID, a.By = c.id, c.who.Name
	err := h.d.Actions.Act(ctx, c.inc.ID, a)
	switch {
	case err == nil:
		return ok("done")
	case errors.Is(err, tocsin.ErrConflict), errors.Is(err, tocsin.ErrInvalid), errors.Is(err, tocsin.ErrNotFound):
		if now, err := h.d.Reader.Get(ctx, c.inc.ID); err == nil {
			c.inc = now
		}
		return h.stale(c, slack.Escape(slack.Reason(err), 400))
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

// gone says that there is no such incident.
func (h *Handler) gone(to sender, id string) answer {
	return h.told("stale", to, "The incident "+slack.Code(id, 40)+" is not kept any more.")
}

// forbidden says what a user has no right to. Where people of several teams see a
// message it tells no more of its incident than the message does.
func (h *Handler) forbidden(to sender, who *tocsin.Principal, right tocsin.Right) answer {
	said := "Nothing was done: " + slack.Escape(who.Name, 80) + " has no right to " + string(right)
	if who.MaySomewhere(right) || who.Role == tocsin.RoleNone {
		return h.told("forbidden", to, said+" here: the incident is not told to a team in which you have it, and it does not call you.",
			"Whoever is called can add you. Whoever keeps the configuration can change your teams and roles in "+slack.Code("teams", 20)+" and "+slack.Code("users", 20)+".")
	}
	return h.told("forbidden", to, said+". Ask whoever keeps the configuration to change "+slack.Code("role", 20)+" in your entry in `users`.")
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
		until = morning(now, h.zone(c.who.Name))
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
		return h.why(ctx, c)
	default:
		return answer{refusal: malformed("action", "the menu has no such choice")}
	}
}
