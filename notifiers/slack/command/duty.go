package command

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
)

const (
	// aheadOf is how far ahead the shifts of one schedule are shown; maxShifts is how
	// many, and maxOnCall how many over all schedules.
	aheadOf   = 14 * 24 * time.Hour
	maxShifts = 12
	maxOnCall = 40
)

// schedule reads the name of one.
func (d *Desk) schedule(c *call) (string, error) {
	w, ok := c.next()
	if !ok {
		return "", wrong("say which schedule.")
	}
	names := d.theirs(c)
	found, ok := among(names, strings.TrimPrefix(w.text, "#"))
	if !ok {
		return "", wrong("there is no schedule %s%s", quote(w.text), meant(w.text, names))
	}
	return found, nil
}

// theirs are the schedules that the person may view.
func (d *Desk) theirs(c *call) []string {
	return slices.DeleteFunc(d.schedules(), func(name string) bool { return !c.person.MayOn(tocsin.RightView, name) })
}

// shifts are those that the person may view, and their own.
func (d *Desk) shifts(ctx context.Context, c *call, q tocsin.ShiftQuery) ([]tocsin.Shift, error) {
	all, err := d.d.OnCall.Shifts(ctx, q)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(all), func(s tocsin.Shift) bool {
		return s.User != c.Who && !c.person.MayOn(tocsin.RightView, s.Schedule)
	}), nil
}

func (d *Desk) oncall(ctx context.Context, c *call) ([]string, error) {
	if d.d.OnCall == nil {
		return nil, errMissing
	}
	q := tocsin.ShiftQuery{From: c.At, To: c.At}
	if len(c.left()) > 0 {
		var err error
		if q.Schedule, err = d.schedule(c); err != nil {
			return nil, err
		}
		q.To = q.From.Add(aheadOf)
	}
	if err := c.end(); err != nil {
		return nil, err
	}
	shifts, err := d.shifts(ctx, c, q)
	if err != nil {
		return nil, err
	}
	if len(shifts) == 0 {
		return []string{"There are no schedules."}, nil
	}
	most, more := maxOnCall, "one schedule: "+typed("oncall SCHEDULE")
	lines := []string{"*On call now*"}
	if q.Schedule != "" {
		lines, most, more = []string{"*On call* on " + name(q.Schedule)}, maxShifts, "further ahead: the calendar, or "+slack.Code("tocsin oncall", 40)
	}
	for n := range shifts {
		if n == most {
			lines = append(lines, "… and "+plural(len(shifts)-n, "shift")+" more; "+more)
			break
		}
		lines = append(lines, turn(&shifts[n], q.Schedule == ""))
	}
	return lines, nil
}

// turn is a line about one shift.
func turn(s *tocsin.Shift, named bool) string {
	line := "• "
	if named {
		line += name(s.Schedule) + ": "
	}
	if s.Gap() {
		line += "⚠️ *nobody*"
	} else {
		line += "*" + slack.Escape(s.User, 60) + "*"
	}
	if !named {
		line += " from " + slack.Time(s.From)
	}
	line += " until " + slack.Time(s.To)
	if s.Shadow {
		line += ", as a shadow"
	}
	if s.Source != "" {
		line += " (" + slack.Escape(s.Source, 100) + ")"
	}
	return line
}

func (d *Desk) handoff(ctx context.Context, c *call) ([]string, error) {
	if d.d.Handoff == nil || d.d.OnCall == nil {
		return nil, errMissing
	}
	var schedule string
	var err error
	if len(c.left()) > 0 {
		schedule, err = d.schedule(c)
	} else {
		schedule, err = d.own(ctx, c)
	}
	if err == nil {
		err = c.end()
	}
	if err != nil {
		return nil, err
	}
	text, err := d.d.Handoff(ctx, &c.person, schedule)
	if err != nil {
		return nil, err
	}
	title := "*Handoff*"
	if schedule != "" {
		title += " of " + name(schedule)
	}
	return append([]string{title}, plain(text)...), nil
}

// own is the schedule that a person is on call on, or the only one there is; of
// several none.
func (d *Desk) own(ctx context.Context, c *call) (string, error) {
	shifts, err := d.d.OnCall.Shifts(ctx, tocsin.ShiftQuery{From: c.At, To: c.At})
	if err != nil {
		return "", err
	}
	var names []string
	for n := range shifts {
		if s := &shifts[n]; s.User == c.Who && !s.Shadow && !slices.Contains(names, s.Schedule) && c.person.MayOn(tocsin.RightView, s.Schedule) {
			names = append(names, s.Schedule)
		}
	}
	if len(names) == 0 {
		names = d.theirs(c)
	}
	if len(names) == 1 {
		return names[0], nil
	}
	return "", nil
}

func (d *Desk) override(ctx context.Context, c *call) ([]string, error) {
	if d.d.OnCall == nil || d.d.Overrides == nil {
		return nil, errMissing
	}
	w, ok := c.next()
	if !ok {
		return d.overrides(ctx, c)
	}
	switch {
	case w.is("list", "ls"):
		return d.overrides(ctx, c)
	case w.is("add", "create"):
		return d.addOverride(ctx, c)
	case w.is("cancel", "end", "delete", "remove"):
		return d.cancelOverride(ctx, c)
	}
	return nil, wrong("what is %s%s", quote(w.text), or(strings.TrimSuffix(meant(w.text, []string{"list", "add", "cancel"}), "."), "?"))
}

func (d *Desk) overrides(ctx context.Context, c *call) ([]string, error) {
	page, err := c.paged()
	if err == nil {
		err = c.end()
	}
	if err != nil {
		return nil, err
	}
	all, err := d.d.Overrides.Overrides(ctx)
	if err != nil {
		return nil, err
	}
	var lines []string
	for n := range all {
		if o := &all[n]; c.person.Sees(o) && (o.State == tocsin.OverrideActive || o.State == tocsin.OverrideRequested) && o.To.After(c.At) {
			lines = append(lines, "• "+change(o))
		}
	}
	if len(lines) == 0 {
		return []string{"No override is in force or to come."}, nil
	}
	return cut(lines, page, "override list"), nil
}

// change says what an override does.
func change(o *tocsin.Override) string {
	user, replaced := slack.Escape(or(o.User, "anybody"), 60), slack.Escape(or(o.Replaces, "whoever is on call"), 60)
	on := "all schedules"
	if o.Schedule != "" {
		on = name(o.Schedule)
	}
	line := name(o.ID) + " "
	switch {
	case o.State == tocsin.OverrideRequested:
		line += user + " is asked to take over from " + replaced + " on " + on
	case o.Kind == tocsin.OverrideTimeOff:
		line += user + " is away from " + on
	case o.Kind == tocsin.OverrideAdd:
		line += user + " is on call beside the others on " + on
	default:
		line += user + " replaces " + replaced + " on " + on
	}
	line += ", " + slack.Time(o.From) + " to " + slack.Time(o.To)
	if o.Comment != "" {
		line += ": " + slack.Escape(o.Comment, 150)
	}
	return line
}

func (d *Desk) addOverride(ctx context.Context, c *call) ([]string, error) {
	schedule, err := d.schedule(c)
	if err == nil && !c.person.MayOn(tocsin.RightRespond, schedule) {
		err = c.forbidden(tocsin.RightRespond)
	}
	if err != nil {
		return nil, err
	}
	o := tocsin.Override{Kind: tocsin.OverrideReplace, Schedule: schedule, CreatedBy: c.Who}
	if o.User, err = d.someone(c); err != nil {
		return nil, err
	}
	if err := d.terms(c, &o); err != nil {
		return nil, err
	}
	if o.Comment = c.rest(); len([]rune(o.Comment)) > maxNote {
		return nil, refuse("the comment is longer than %d characters.", maxNote)
	}
	if err := d.mayChange(ctx, c, &o); err != nil {
		return nil, err
	}
	made, err := d.d.Overrides.PutOverride(ctx, o)
	if err != nil {
		return nil, err
	}
	return []string{"✅ " + change(&made), "To end it: " + typed("override cancel "+made.ID)}, nil
}

// someone reads a person, who may be named without an @.
func (d *Desk) someone(c *call) (string, error) {
	w, ok := c.peek()
	if !ok {
		return "", wrong("say who.")
	}
	user, named, err := d.person(c, w)
	if !named {
		if user, ok = among(d.people(), w.text); !ok {
			return "", wrong("there is no user %s%s", quote(w.text), meant(w.text, d.people()))
		}
	}
	c.at++
	return user, err
}

// terms reads how and when an override holds; the first word that says neither
// begins the comment.
func (d *Desk) terms(c *call, o *tocsin.Override) error {
	o.From = c.At
	var err error
	for err == nil {
		switch {
		case o.To.IsZero() && c.take("from"):
			o.From, err = c.time(c.At)
		case o.To.IsZero() && c.take("to", "until", "till", "for"):
			o.To, err = c.time(o.From)
		case c.take("replaces", "replacing"):
			o.Replaces, err = d.someone(c)
		case c.take("beside"):
			o.Kind = tocsin.OverrideAdd
		case o.To.IsZero():
			if w, ok := c.peek(); ok {
				return wrong("%s is not understood: say until when, %s or %s.", quote(w.text), quote("to 18:00"), quote("for 2h"))
			}
			return wrong("say until when: %s or %s.", quote("to 18:00"), quote("for 2h"))
		case !o.To.After(o.From):
			return wrong("the end, %s, is not behind the start, %s.", slack.Time(o.To), slack.Time(o.From))
		default:
			return nil
		}
	}
	return err
}

// time reads one that is counted from base.
func (c *call) time(base time.Time) (time.Time, error) {
	left := c.left()
	if len(left) == 0 {
		return time.Time{}, wrong("say when.")
	}
	t, n, err := when(left, c.At, base, c.loc)
	if err != nil {
		return time.Time{}, wrong("%s %s.", quote(left[0].text), err)
	}
	c.at += n
	return t, nil
}

// mayChange holds an override to the rights of who makes it: everybody who responds
// may take over a shift, and hand over their own, which alone it then changes.
func (d *Desk) mayChange(ctx context.Context, c *call, o *tocsin.Override) error {
	if c.person.MayPut(o) {
		return nil
	}
	const without = "without the right to " + string(tocsin.RightManage) + " one can take over a shift, or hand over one's own"
	if o.Kind != tocsin.OverrideReplace || o.Replaces != "" {
		return refuse("this changes other people's shifts; %s.", without)
	}
	shifts, err := d.d.OnCall.Shifts(ctx, tocsin.ShiftQuery{Schedule: o.Schedule, User: c.Who, From: o.From, To: o.To})
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(shifts, func(s tocsin.Shift) bool { return !s.Extra && !s.Shadow && s.User == c.Who }) {
		return refuse("you are not on call on %s then; %s.", name(o.Schedule), without)
	}
	o.Replaces = c.Who
	return nil
}

func (d *Desk) cancelOverride(ctx context.Context, c *call) ([]string, error) {
	id, err := c.which("override list")
	if err != nil {
		return nil, err
	}
	all, err := d.d.Overrides.Overrides(ctx)
	if err != nil {
		return nil, err
	}
	n := slices.IndexFunc(all, func(o tocsin.Override) bool { return o.ID == id && c.person.Sees(&o) })
	switch {
	case n < 0:
		return nil, refuse("there is no override %s; those in force and to come: %s", quote(id), typed("override list"))
	case !c.person.MayCancel(&all[n]) && !c.person.MayOn(tocsin.RightRespond, all[n].Schedule):
		return nil, c.forbidden(tocsin.RightRespond)
	case !c.person.MayCancel(&all[n]):
		return nil, refuse("it was made by %s; without the right to %s one can cancel one's own.",
			slack.Escape(cmp.Or(all[n].CreatedBy, "somebody else"), 60), tocsin.RightManage)
	}
	o, err := d.d.Overrides.AnswerOverride(ctx, id, c.Who, tocsin.OverrideCancel)
	if err != nil {
		return nil, err
	}
	if o.State == tocsin.OverrideActive {
		return []string{"✅ Ended now: " + change(&o)}, nil
	}
	return []string{"✅ " + name(o.ID) + " is " + slack.Escape(string(o.State), 20) + "."}, nil
}
