package escalation

import (
	"cmp"
	"slices"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation/oncall"
)

// Page is an incident that called a person.
type Page struct {
	User string
	At   time.Time
}

// Fairness returns what each person bears of the on-call duty in [from, to), who
// bears most first: everybody who may be on call on one of the schedules, who was
// on call, or who was paged. An hour on two schedules at once is one hour, and two
// shifts. People who were added by an override count, shadows do not. Nights and
// weekends are those of the person's own time zone (of one who is not in users:
// UTC), holidays those of the schedule. Pages outside [from, to) do not count.
func Fairness(schedules []*oncall.Schedule, users map[string]User, overrides []tocsin.Override, pages []Page, from, to time.Time) []tocsin.Share {
	loads := map[string]*load{}
	of := func(name string) *load {
		if loads[name] == nil {
			loads[name] = &load{share: tocsin.Share{User: name}}
		}
		return loads[name]
	}
	for _, s := range schedules {
		for _, name := range s.Info().Users {
			of(name)
		}
		holidays := s.HolidaySpans(from, to)
		for _, sh := range s.Shifts(overrides, from, to) {
			if sh.Gap() || sh.Shadow {
				continue
			}
			l, in := of(sh.User), oncall.Interval{From: sh.From, To: sh.To}
			l.share.Shifts++
			l.served = append(l.served, in)
			l.holidays = append(l.holidays, oncall.Set{in}.Intersect(holidays)...)
		}
	}
	for _, page := range pages {
		if !page.At.Before(from) && page.At.Before(to) {
			l := of(page.User)
			l.pages = append(l.pages, page.At)
		}
	}
	out := make([]tocsin.Share, 0, len(loads))
	for name, l := range loads {
		u := users[name]
		out = append(out, l.sum(location(u.Zone), from, to))
	}
	slices.SortFunc(out, func(a, b tocsin.Share) int {
		return cmp.Or(cmp.Compare(b.Hours, a.Hours), cmp.Compare(a.User, b.User))
	})
	return out
}

// load is what one person bears.
type load struct {
	share            tocsin.Share
	served, holidays []oncall.Interval
	pages            []time.Time
}

// sum adds a load up in the person's time zone.
func (l *load) sum(loc *time.Location, from, to time.Time) tocsin.Share {
	night := []oncall.Window{{From: 22 * 60, To: 7 * 60}}
	weekend := []oncall.Window{{Days: 1<<time.Saturday | 1<<time.Sunday}}
	served := oncall.Union(l.served...)
	part := func(w []oncall.Window) float64 {
		return served.Intersect(oncall.WindowSpans(w, loc, from, to)).Length().Hours()
	}
	s := l.share
	s.Hours, s.NightHours, s.WeekendHours = served.Length().Hours(), part(night), part(weekend)
	s.HolidayHours = oncall.Union(l.holidays...).Length().Hours()
	s.Pages = len(l.pages)
	for _, at := range l.pages {
		if oncall.Within(night, at.In(loc)) {
			s.NightPages++
		}
	}
	return s
}
