package command

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
)

const (
	// maxNote is the longest note, in characters, as in the window.
	maxNote = 2000
	// maxTitle is the longest title of an incident that is opened by hand, in bytes.
	maxTitle = 500
	// via is where the person acts.
	via = "Slack"
)

// act has an action done, and says how the incident stands then.
func (d *Desk) act(ctx context.Context, c *call, inc *tocsin.Incident, a tocsin.Action) ([]string, error) {
	if n := utf8.RuneCountInString(a.Text); n > maxNote {
		return nil, refuse("the text has %d characters; %d is the most.", n, maxNote)
	}
	a.ID, a.By, a.Via = c.id(), c.Who, via
	if err := d.d.Actions.Act(ctx, inc.ID, a); err != nil {
		return nil, d.notDone(ctx, inc, a, err)
	}
	now, err := d.d.Reader.Get(ctx, inc.ID)
	if err != nil {
		now = inc // it is done all the same
	}
	lines := []string{"✅ " + slack.State(now)}
	if did := d.did(ctx, c, a, now); did != "" {
		lines = []string{"✅ " + did, slack.State(now)}
	}
	if a.Kind == tocsin.ActEscalate || a.Kind == tocsin.ActReassign || a.Kind == tocsin.ActAddResponder || a.Kind == tocsin.ActUnacknowledge {
		lines = append(lines, d.called(now, inc)...)
	}
	return lines, nil
}

// notDone says why an action was refused, how the incident stands, and how to have
// it all the same.
func (d *Desk) notDone(ctx context.Context, inc *tocsin.Incident, a tocsin.Action, err error) error {
	if !errors.Is(err, tocsin.ErrConflict) && !errors.Is(err, tocsin.ErrInvalid) {
		return err
	}
	if now, gone := d.d.Reader.Get(ctx, inc.ID); gone == nil {
		inc = now
	}
	said := slack.Escape(slack.Reason(err), 400) + ".\n" + slack.State(inc)
	forced := map[tocsin.ActionKind]string{tocsin.ActResolve: "resolve", tocsin.ActAcknowledge: "ack", tocsin.ActUnacknowledge: "unack"}[a.Kind]
	if errors.Is(err, tocsin.ErrConflict) && !a.Force && forced != "" && inc.Open() {
		said += "\nIf that is meant: " + typed(forced+" "+inc.ID+" force")
	}
	return refuse("%s", said)
}

// simply does what takes an incident, force where it may be forced, and a note
// where it takes one.
func (d *Desk) simply(ctx context.Context, c *call, a tocsin.Action, forced bool) ([]string, error) {
	inc, err := d.incident(ctx, c)
	if err != nil {
		return nil, err
	}
	a.Force = forced && c.take("force", "--force")
	if c.cmd.prose {
		a.Text = c.rest()
	} else if err := c.end(); err != nil {
		return nil, err
	}
	return d.act(ctx, c, inc, a)
}

func (d *Desk) acknowledge(ctx context.Context, c *call) ([]string, error) {
	return d.simply(ctx, c, tocsin.Action{Kind: tocsin.ActAcknowledge}, true)
}

func (d *Desk) unacknowledge(ctx context.Context, c *call) ([]string, error) {
	return d.simply(ctx, c, tocsin.Action{Kind: tocsin.ActUnacknowledge}, true)
}

func (d *Desk) resolve(ctx context.Context, c *call) ([]string, error) {
	return d.simply(ctx, c, tocsin.Action{Kind: tocsin.ActResolve}, true)
}

func (d *Desk) reopen(ctx context.Context, c *call) ([]string, error) {
	return d.simply(ctx, c, tocsin.Action{Kind: tocsin.ActReopen}, false)
}

func (d *Desk) unmerge(ctx context.Context, c *call) ([]string, error) {
	return d.simply(ctx, c, tocsin.Action{Kind: tocsin.ActUnmerge}, false)
}

func (d *Desk) channel(ctx context.Context, c *call) ([]string, error) {
	return d.simply(ctx, c, tocsin.Action{Kind: tocsin.ActChannel}, false)
}

func (d *Desk) note(ctx context.Context, c *call) ([]string, error) {
	inc, err := d.incident(ctx, c)
	if err != nil {
		return nil, err
	}
	text := c.rest()
	if text == "" {
		return nil, wrong("say what to note.")
	}
	return d.act(ctx, c, inc, tocsin.Action{Kind: tocsin.ActNote, Text: text})
}

func (d *Desk) snooze(ctx context.Context, c *call) ([]string, error) {
	inc, err := d.incident(ctx, c)
	if err != nil {
		return nil, err
	}
	c.take("until", "till", "for")
	if len(c.left()) == 0 {
		return nil, wrong("say until when.")
	}
	until, n, err := when(c.left(), c.At, c.At, c.loc)
	if err != nil {
		return nil, wrong("%s %s.", quote(c.left()[0].text), err)
	}
	c.at += n
	if err := c.end(); err != nil {
		return nil, err
	}
	if !until.After(c.At) {
		return nil, refuse("%s is over.", slack.Time(until))
	}
	return d.act(ctx, c, inc, tocsin.Action{Kind: tocsin.ActSnooze, Until: until.UTC()})
}

func (d *Desk) escalate(ctx context.Context, c *call) ([]string, error) {
	inc, err := d.incident(ctx, c)
	if err != nil {
		return nil, err
	}
	a := tocsin.Action{Kind: tocsin.ActEscalate}
	if c.take("step") {
		w, _ := c.next()
		if a.Step, err = strconv.Atoi(w.text); err != nil || a.Step < 1 {
			return nil, wrong("which step? Write its number; the first is 1.")
		}
	} else if err := d.perhaps(c, &a); err != nil {
		return nil, err
	}
	a.Text = c.rest()
	return d.act(ctx, c, inc, a)
}

// perhaps reads whom an escalation is for, if anybody. A reason that begins with
// somebody's bare name must not call them instead of the next step.
func (d *Desk) perhaps(c *call, a *tocsin.Action) error {
	if left := c.left(); len(left) > 1 && left[0].user == "" {
		if user, ok := among(d.people(), left[0].text); ok {
			return wrong("%s is a user. Write %s to call them, or begin the reason with another word.", quote(left[0].text), quote("@"+user))
		}
	}
	if err := d.address(c, a, true); err != nil && !errors.Is(err, errNobody) {
		return err
	}
	return nil
}

func (d *Desk) reassign(ctx context.Context, c *call) ([]string, error) {
	return d.hand(ctx, c, tocsin.ActReassign, true)
}

func (d *Desk) add(ctx context.Context, c *call) ([]string, error) {
	return d.hand(ctx, c, tocsin.ActAddResponder, false)
}

func (d *Desk) hand(ctx context.Context, c *call, kind tocsin.ActionKind, policies bool) ([]string, error) {
	inc, err := d.incident(ctx, c)
	if err != nil {
		return nil, err
	}
	a := tocsin.Action{Kind: kind}
	if err := d.address(c, &a, policies); err != nil {
		return nil, d.nobody(c, policies, err)
	}
	a.Text = c.rest()
	return d.act(ctx, c, inc, a)
}

func (d *Desk) severity(ctx context.Context, c *call) ([]string, error) {
	inc, err := d.incident(ctx, c)
	if err != nil {
		return nil, err
	}
	known := []string{string(tocsin.Critical), string(tocsin.Error), string(tocsin.Warning), string(tocsin.Info)}
	w, ok := c.next()
	if !ok {
		return nil, wrong("say which severity: critical, error, warning or info.")
	}
	to, ok := among(known, w.text)
	if !ok {
		return nil, wrong("%s is no severity%s", quote(w.text), meant(w.text, known))
	}
	if err := c.end(); err != nil {
		return nil, err
	}
	return d.act(ctx, c, inc, tocsin.Action{Kind: tocsin.ActSeverity, Severity: tocsin.Severity(to)})
}

func (d *Desk) merge(ctx context.Context, c *call) ([]string, error) {
	inc, err := d.incident(ctx, c)
	if err != nil {
		return nil, err
	}
	c.take("into")
	if len(c.left()) == 0 {
		return nil, wrong("into which incident?")
	}
	into, err := d.incident(ctx, c)
	if err == nil {
		err = c.end()
	}
	if err != nil {
		return nil, err
	}
	return d.act(ctx, c, inc, tocsin.Action{Kind: tocsin.ActMerge, Into: into.ID})
}

func (d *Desk) page(ctx context.Context, c *call) ([]string, error) {
	var a tocsin.Action
	m := tocsin.Manual{Key: c.id(), By: c.Who}
	if left := c.left(); len(left) > 1 && left[0].is("receiver") {
		m.Receivers, c.at = []string{left[1].text}, c.at+2
	}
	if err := d.address(c, &a, true); err != nil {
		return nil, d.nobody(c, true, err)
	}
	text := c.rest()
	if text == "" {
		return nil, wrong("say what is wrong.")
	}
	if n := utf8.RuneCountInString(text); n > maxNote {
		return nil, refuse("the text has %d characters; %d is the most.", n, maxNote)
	}
	if err := c.person.Opens(&m); err != nil {
		return nil, wrong("%s.", slack.Escape(err.Error(), 400))
	}
	m.User, m.Schedule, m.Policy = a.User, a.Schedule, a.Policy
	m.Title, m.Text = titled(text)
	id, err := d.d.Actions.OpenManual(ctx, m)
	if err != nil {
		return nil, err
	}
	inc, err := d.d.Reader.Get(ctx, id)
	if err != nil {
		inc = &tocsin.Incident{ID: id, State: tocsin.Triggered, Title: m.Title, OpenedAt: c.At} // it is open all the same
	}
	return append([]string{"🚨 Opened: " + slack.State(inc)}, d.called(inc, inc)...), nil
}

// titled splits a text into a title and the rest, which is the whole where the
// title had to be cut.
func titled(text string) (title, rest string) {
	title, rest, _ = strings.Cut(text, "\n")
	title, rest = strings.TrimSpace(title), strings.TrimSpace(rest)
	if len(title) <= maxTitle {
		return title, rest
	}
	end := maxTitle - len("…")
	for !utf8.RuneStart(title[end]) {
		end--
	}
	return title[:end] + "…", text
}

// errNobody: the next word names nobody.
var errNobody = errors.New("names nobody")

// address reads whom an action is for: a person, a schedule, a policy. errNobody:
// the next word is none of them, and was not read.
func (d *Desk) address(c *call, a *tocsin.Action, policies bool) error {
	w, ok := c.peek()
	if !ok {
		return errNobody
	}
	schedules, plans := d.schedules(), []string(nil)
	if policies && d.d.Policies != nil {
		plans = d.d.Policies()
	}
	if user, named, err := d.person(c, w); named {
		if err == nil {
			a.User, c.at = user, c.at+1
		}
		return err
	}
	if left := c.left(); len(left) > 1 && w.is("schedule", "policy") {
		of := map[bool][]string{true: schedules, false: plans}[w.is("schedule")]
		if found, ok := among(of, left[1].text); ok {
			if c.at += 2; w.is("schedule") {
				a.Schedule = found
			} else {
				a.Policy = found
			}
			return nil
		}
	}
	var ways []string
	if found, ok := among(d.people(), w.text); ok {
		a.User, ways = found, append(ways, "@"+found)
	}
	if found, ok := among(schedules, w.text); ok {
		a.Schedule, ways = found, append(ways, "schedule "+found)
	}
	if found, ok := among(plans, w.text); ok {
		a.Policy, ways = found, append(ways, "policy "+found)
	}
	switch len(ways) {
	case 0:
		return errNobody
	case 1:
		c.at++
		return nil
	default:
		for n := range ways {
			ways[n] = quote(ways[n])
		}
		return wrong("%s names several. Write %s.", quote(w.text), strings.Join(ways, " or "))
	}
}

// person reads a mention, a name behind an @, or me. named is false for any other
// word.
func (d *Desk) person(c *call, w word) (user string, named bool, err error) {
	at, behind := strings.CutPrefix(w.text, "@")
	at = strings.TrimRight(at, ",:;")
	switch {
	case w.user != "":
		if user = d.nameOf(w.user); user == "" {
			return "", true, refuse("Tocsin does not know %s: their Slack ID is in no entry of users.", quote(w.text))
		}
		return user, true, nil
	case strings.EqualFold(at, "me"):
		return c.Who, true, nil
	case !behind:
		return "", false, nil
	}
	if user, ok := among(d.people(), at); ok {
		return user, true, nil
	}
	return "", true, wrong("there is no user %s%s", quote(at), meant(at, d.people()))
}

// nobody says that the next word names nobody.
func (d *Desk) nobody(c *call, policies bool, err error) error {
	if !errors.Is(err, errNobody) {
		return err
	}
	w, ok := c.peek()
	if !ok {
		return wrong("say whom to call.")
	}
	what, all := "user or schedule", slices.Concat(d.people(), d.schedules())
	if policies {
		what = "user, schedule or policy"
		if d.d.Policies != nil {
			all = append(all, d.d.Policies()...)
		}
	}
	return wrong("there is no %s %s%s", what, quote(w.text), meant(w.text, all))
}

func (d *Desk) people() []string {
	if d.d.People == nil {
		return nil
	}
	return d.d.People()
}

func (d *Desk) schedules() []string {
	if d.d.OnCall == nil {
		return nil
	}
	var names []string
	for _, s := range d.d.OnCall.Schedules() {
		names = append(names, s.Name)
	}
	return names
}
