package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
)

// Actions are what people do to incidents.
type Actions interface {
	// Act does a to the incident, once for each a.ID, and returns when it is
	// durable. Errors that satisfy errors.Is with tocsin.ErrConflict or
	// tocsin.ErrInvalid are shown to the person.
	Act(ctx context.Context, id string, a tocsin.Action) error
	// OpenManual opens an incident without an alert and calls whom it names; while
	// one with the same key is open it returns that one's ID.
	OpenManual(ctx context.Context, m tocsin.Manual) (id string, err error)
}

// OnCall knows the schedules.
type OnCall interface {
	// Schedules describes them, by name.
	Schedules() []tocsin.ScheduleInfo
	// Shifts returns the shifts of a query, by schedule and then by time; where
	// From is To, those in force at that instant.
	Shifts(ctx context.Context, q tocsin.ShiftQuery) ([]tocsin.Shift, error)
}

// Overrides keeps what changes the schedules for a while.
type Overrides interface {
	// Overrides returns all that are kept, the earliest first.
	Overrides(ctx context.Context) ([]tocsin.Override, error)
	// PutOverride makes one. The same one twice is one.
	PutOverride(ctx context.Context, o tocsin.Override) (tocsin.Override, error)
	// AnswerOverride cancels one. The same answer twice is one.
	AnswerOverride(ctx context.Context, id, by string, answer tocsin.OverrideAnswer) (tocsin.Override, error)
}

// Silencer keeps silences.
type Silencer interface {
	// PutSilence makes a silence, gives it an ID, and returns it as it was kept.
	PutSilence(ctx context.Context, s tocsin.Silence) (tocsin.Silence, error)
	// ExpireSilence ends one now; one that is over already stays so.
	ExpireSilence(ctx context.Context, id, by string) error
	// Silences returns those that are kept, expired ones too.
	Silences(ctx context.Context) ([]tocsin.Silence, error)
}

// Runbooks knows the runbooks.
type Runbooks interface {
	// List returns all of them. They are shared.
	List() []*tocsin.Runbook
}

// Deps are what a Desk stands on. Actions and Reader are required; of the others a
// nil one has its words answered with "not available here".
type Deps struct {
	Actions   Actions
	Reader    tocsin.Reader
	OnCall    OnCall
	Overrides Overrides
	Silencer  Silencer
	Runbooks  Runbooks
	// Runbook returns the runbook of an ID with its placeholders filled from an
	// alert's labels, or nil.
	Runbook func(id string, labels tocsin.Labels) *tocsin.Runbook
	// Ahead returns what happens if nobody answers, the next first. Nil: it is not
	// told.
	Ahead func(*tocsin.Incident) []tocsin.Ahead
	// Why explains why an incident called a user, in lines of a slack.Reply.
	Why func(ctx context.Context, inc *tocsin.Incident, who string) []string
	// Handoff returns what the next one on call on a schedule should know, on all of
	// them where it is empty, as far as somebody may view it: plain text, in lines.
	Handoff func(ctx context.Context, who *tocsin.Principal, schedule string) (string, error)
	// Status says how Tocsin itself is: plain text, by lines.
	Status func(ctx context.Context) []string
	// People and Policies name the users and the escalation policies. Nil: there
	// are none.
	People, Policies func() []string
	// Who returns the user with a Slack ID. Nil: nobody is known by it.
	Who func(slackID string) (name string, ok bool)
	// Person returns what a user may do. Nil: everybody may do everything.
	Person func(name string) tocsin.Principal
	// Zone returns the time zone of a user. Nil: UTC for everybody.
	Zone func(name string) *time.Location
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Desk runs commands. Make it with New. It keeps no state and is safe for
// concurrent use.
type Desk struct{ d Deps }

// New returns a Desk.
func New(d Deps) *Desk {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Person == nil {
		d.Person = func(name string) tocsin.Principal { return tocsin.Principal{Name: name, Role: tocsin.RoleAdmin} }
	}
	return &Desk{d}
}

// call is one command that is understood so far.
type call struct {
	slack.Said
	*line
	cmd *command
	loc *time.Location
	// person is who said it; reader shows what they may view.
	person tocsin.Principal
	reader tocsin.Reader
	// public: the answer is for everybody.
	public bool
}

// id is the same for the same words, however often they come.
func (c *call) id() string {
	if c.ID == "" {
		return ""
	}
	return c.ID + ":" + c.cmd.name
}

// Run does what was said, once for each said.ID, and returns what there is to say:
// to the person alone, unless public was asked for and nothing went wrong. The
// error is for what may succeed later: a store that cannot be written now, or ctx
// that has ended.
func (d *Desk) Run(ctx context.Context, said slack.Said) (slack.Reply, error) {
	if said.At.IsZero() {
		said.At = d.d.Now()
	}
	if len(said.Text) > maxText {
		return slack.Reply{Lines: []string{"Nothing was done: that is too long to be a command."}}, nil
	}
	c := &call{Said: said, line: read(said.Text, d.nameOf), loc: d.zone(said.Who), person: d.d.Person(said.Who)}
	c.reader = c.person.Reader(d.d.Reader)
	c.take("/tocsin", "tocsin", "@tocsin")
	c.public = c.take("public")
	var bad error
	if c.cmd, bad = lookup(c.line); bad == nil {
		if n := len(c.words); !c.cmd.prose && n > c.at && c.words[n-1].is("public") {
			c.words, c.public = c.words[:n-1], true
		}
		var lines []string
		if lines, bad = d.do(ctx, c); bad == nil {
			return slack.Reply{Lines: lines, Public: c.public}, nil
		}
	}
	lines, err := d.excuse(ctx, c, bad)
	return slack.Reply{Lines: lines}, err
}

func (d *Desk) do(ctx context.Context, c *call) ([]string, error) {
	if c.cmd.may != nil && !c.cmd.may(&c.person, c.cmd.right) {
		return nil, c.forbidden(c.cmd.right)
	}
	lines, err := c.cmd.do(d, ctx, c)
	if err != nil {
		return nil, err
	}
	return lines, nil
}

// forbidden says what the person has no right to.
func (c *call) forbidden(right tocsin.Right) error {
	said := slack.Escape(c.Who, 80) + " has no right to " + string(right)
	if c.person.MaySomewhere(right) || c.person.Role == tocsin.RoleNone {
		return refuse("%s here. Whoever keeps the configuration can change your teams and roles in %s and %s.", said, slack.Code("teams", 20), slack.Code("users", 20))
	}
	return refuse("%s. Ask whoever keeps the configuration to change %s in your entry in `users`.", said, slack.Code("role", 20))
}

func (d *Desk) zone(who string) *time.Location {
	if d.d.Zone != nil {
		if loc := d.d.Zone(who); loc != nil {
			return loc
		}
	}
	return time.UTC
}

// nameOf is the user with a Slack ID, or "".
func (d *Desk) nameOf(slackID string) string {
	if d.d.Who == nil {
		return ""
	}
	name, _ := d.d.Who(slackID)
	return name
}

// misuse is words that make no sense. The text is escaped already.
type misuse struct{ text string }

func (e *misuse) Error() string { return e.text }

func wrong(format string, args ...any) error { return &misuse{fmt.Sprintf(format, args...)} }

// refusal is what makes sense and is not done. The text is escaped already.
type refusal struct{ text string }

func (e *refusal) Error() string { return e.text }

func refuse(format string, args ...any) error { return &refusal{fmt.Sprintf(format, args...)} }

var errMissing = errors.New("not available here")

// excuse says why nothing was done. What may succeed later it returns.
func (d *Desk) excuse(ctx context.Context, c *call, err error) ([]string, error) {
	var used *misuse
	var no *refusal
	switch {
	case errors.As(err, &used):
		if c.cmd == nil {
			return []string{used.text}, nil
		}
		return append([]string{"Nothing was done: " + used.text}, c.cmd.usageLines()...), nil
	case errors.As(err, &no):
		return []string{"Nothing was done: " + no.text}, nil
	case errors.Is(err, errMissing):
		return []string{typed(c.cmd.name) + " is not available here: what it needs is not configured."}, nil
	case ctx.Err() != nil, errors.Is(err, tocsin.ErrUnavailable):
		return nil, err
	case errors.Is(err, tocsin.ErrConflict), errors.Is(err, tocsin.ErrInvalid), errors.Is(err, tocsin.ErrNotFound):
		return []string{"Nothing was done: " + slack.Escape(slack.Reason(err), 400) + "."}, nil
	default:
		return nil, err
	}
}

// typed shows a command as it is typed.
func typed(text string) string { return slack.Code("/tocsin "+text, 200) }

// name shows a name from the configuration.
func name(s string) string { return slack.Code(s, 60) }

// quote shows what somebody has typed.
func quote(s string) string { return slack.Code(s, 60) }

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// among finds a name in any case.
func among(names []string, s string) (string, bool) {
	for _, n := range names {
		if n == s {
			return n, true
		}
	}
	for _, n := range names {
		if strings.EqualFold(n, s) {
			return n, true
		}
	}
	return "", false
}
