package oncall

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// maxLength bounds the length of a shift, in units, so that no sum overflows.
const maxLength = 100_000

// Schedule is a Spec that was found sound. It does not change, and is safe for
// concurrent use.
type Schedule struct {
	name string
	loc  *time.Location
	// line holds the layers that somebody can be on call on, the one that wins
	// first; shadows the others.
	line, shadows []layer
	// holidays in order.
	holidays []int64
	// order holds the layers' names as they were given.
	order []string
	users []string
}

// layer is a Layer with its spans in order.
type layer struct {
	Layer
	source string
}

// New checks a spec and compiles it; it keeps no part of it. The error says which
// layer is wrong, and how.
func New(spec Spec) (*Schedule, error) {
	s := &Schedule{name: spec.Name, loc: spec.Location}
	if s.loc == nil {
		s.loc = time.UTC
	}
	if spec.Name == "" {
		return nil, errors.New("oncall: a schedule has no name: give it one")
	}
	for i := range spec.Layers {
		if err := s.add(&spec.Layers[i]); err != nil {
			return nil, fmt.Errorf("oncall: schedule %s, layer %d (%s): %w", spec.Name, i+1, spec.Layers[i].Name, err)
		}
	}
	if len(s.line) == 0 {
		return nil, fmt.Errorf("oncall: schedule %s has no layer that anybody is on call on: give it one that is no shadow", spec.Name)
	}
	for _, d := range spec.Holidays {
		if !d.Valid() {
			return nil, fmt.Errorf("oncall: schedule %s: there is no day %s: strike it from the holidays", spec.Name, d)
		}
		s.holidays = append(s.holidays, d.days())
	}
	slices.Sort(s.holidays)
	s.holidays = slices.Compact(s.holidays)
	slices.SortStableFunc(s.line, func(a, b layer) int { return b.Priority - a.Priority })
	return s, nil
}

// add checks a layer and adds it.
func (s *Schedule) add(given *Layer) error {
	if err := given.check(); err != nil {
		return err
	}
	if slices.Contains(s.order, given.Name) {
		return errors.New("another layer has this name: give it one of its own")
	}
	l := layer{Layer: *given, source: "layer " + given.Name}
	if l.Location == nil {
		l.Location = s.loc
	}
	l.Windows = slices.Clone(l.Windows)
	if l.Rotation != nil {
		r := *l.Rotation
		r.Users = slices.Clone(r.Users)
		l.Rotation = &r
	} else {
		l.Spans = flatten(l.Spans)
	}
	if l.Shadow {
		s.shadows = append(s.shadows, l)
	} else {
		s.line = append(s.line, l)
	}
	s.order = append(s.order, l.Name)
	for _, user := range given.users() {
		if !slices.Contains(s.users, user) {
			s.users = append(s.users, user)
		}
	}
	return nil
}

// users yields everybody on the layer, in order; the same person may come twice.
func (l *Layer) users() []string {
	if l.Rotation != nil {
		return l.Rotation.Users
	}
	var out []string
	for i := range l.Spans {
		if user := l.Spans[i].User; !slices.Contains(out, user) {
			out = append(out, user)
		}
	}
	return out
}

func (l *Layer) check() error {
	switch {
	case l.Name == "":
		return errors.New("it has no name: give it one")
	case l.Rotation == nil && l.Spans == nil:
		return errors.New("it has neither a rotation nor fixed shifts: give it one of them")
	case l.Rotation != nil && l.Spans != nil:
		return errors.New("it has both a rotation and fixed shifts: make two layers of it")
	case l.Days > NotHolidays:
		return fmt.Errorf("%d is no value of Days", l.Days)
	}
	for _, w := range l.Windows {
		if err := w.check(); err != nil {
			return err
		}
	}
	if l.Rotation != nil {
		return l.Rotation.check()
	}
	for i := range l.Spans {
		if span := &l.Spans[i]; span.User == "" {
			return fmt.Errorf("fixed shift %d has no user", i+1)
		} else if !span.From.Before(span.To) {
			return fmt.Errorf("fixed shift %d (%s) ends at %s, which is not after its begin", i+1, span.User, span.To.Format(time.RFC3339))
		}
	}
	return nil
}

func (r *Rotation) check() error {
	switch {
	case len(r.Users) == 0:
		return errors.New("its rotation has no users: name at least one")
	case slices.Contains(r.Users, ""):
		return errors.New("its rotation has a user without a name")
	case r.Unit > Months:
		return fmt.Errorf("%d is no unit of a rotation", r.Unit)
	case r.Length < 1 || r.Length > maxLength:
		return fmt.Errorf("a shift of its rotation is %d units long: make it 1 to %d", r.Length, maxLength)
	case r.Handoff < 0 || r.Handoff >= dayMinutes:
		return fmt.Errorf("its handoff is at minute %d of the day: make it 0 (00:00) to %d (23:59)", r.Handoff, dayMinutes-1)
	case !r.Start.Valid():
		return fmt.Errorf("its rotation starts on %s, and there is no such day", r.Start)
	}
	return nil
}

func (w Window) check() error {
	if w.From < 0 || w.From >= dayMinutes || w.To < 0 || w.To > dayMinutes || w.Days >= 1<<7 {
		return fmt.Errorf("there is no window from minute %d to minute %d on the days %07b: minutes are 0 to %d", w.From, w.To, w.Days, dayMinutes)
	}
	return nil
}

// Name returns the schedule's name.
func (s *Schedule) Name() string { return s.name }

// Location returns the schedule's time zone; it is never nil.
func (s *Schedule) Location() *time.Location { return s.loc }

// Users returns everybody who stands on a layer, those of shadows too, in the
// order of the spec.
func (s *Schedule) Users() []string { return slices.Clone(s.users) }

// Info describes the schedule to people. Its users are those who may be on call,
// so without those who are on shadows only.
func (s *Schedule) Info() tocsin.ScheduleInfo {
	info := tocsin.ScheduleInfo{Name: s.name, TimeZone: s.loc.String()}
	var serve []string
	for i := range s.line {
		info.Layers = append(info.Layers, s.line[i].Name)
		serve = append(serve, s.line[i].users()...)
	}
	for i := range s.shadows {
		info.Layers = append(info.Layers, s.shadows[i].Name)
	}
	for _, user := range s.users {
		if slices.Contains(serve, user) {
			info.Users = append(info.Users, user)
		}
	}
	return info
}
