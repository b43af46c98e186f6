package config

import (
	"slices"
	"strings"
	"time"
)

// farAhead is when the start of a rotation is more likely a slip of the pen than
// a plan.
const farAhead = 90 * 24 * time.Hour

func (c *checker) allSchedules() {
	places := map[string]string{}
	for i := range c.cfg.Schedules {
		s := &c.cfg.Schedules[i]
		if c.unique(at(&s.Name, s), "schedule", s.Name, s.Pos, places) {
			c.pathName(at(&s.Name), "schedule", s.Name)
			c.schedules[s.Name] = s
		}
		c.schedule(s)
	}
}

func (c *checker) schedule(s *Schedule) {
	c.zone(at(&s.TimeZone, s), "time_zone", s.TimeZone)
	c.holidays(&s.Holidays)
	layers, sound := map[string]string{}, true
	for i := range s.Layers {
		l := &s.Layers[i]
		c.unique(at(&l.Name, l), "layer", l.Name, l.Pos, layers)
		before := len(c.errors)
		c.layer(s, l)
		sound = sound && len(c.errors) == before && !c.bad[l]
	}
	switch {
	case len(s.Layers) == 0:
		c.fail(at(&s.Layers, s), "layers is missing: nobody would ever be on call; give the schedule at least one")
	case !slices.ContainsFunc(s.Layers, func(l Layer) bool { return !l.Shadow }):
		c.fail(at(&s.Layers, s), "all layers are shadows, which get copies only: nobody would ever be on call; add a layer without shadow")
	case sound:
		c.hidden(s)
	}
	if s.Channel != "" {
		need(&c.slackUse, "the channel of schedule "+quote(s.Name)+" needs", &s.Channel)
		if problem := checkChannel(s.Channel); problem != "" {
			c.fail(at(&s.Channel), "channel %s", problem)
		}
	}
	c.userGroup(&s.UserGroup, "schedule "+quote(s.Name))
	h := &s.Handoff
	c.oneOf(at(&h.Otherwise, h), "otherwise", h.Otherwise, HandOver, OutgoingStays)
	if h.Otherwise == OutgoingStays && h.AcknowledgeWithin == 0 && !c.bad[&h.AcknowledgeWithin] {
		c.warn(at(&h.Otherwise), "otherwise means nothing without acknowledge_within: no acknowledgement is asked for; set it, such as 30m")
	}
}

// userGroup refuses what is not the ID of a user group.
func (c *checker) userGroup(field *string, whose string) {
	if *field == "" {
		return
	}
	need(&c.slackUse, "the user group of "+whose+" needs", field)
	if !slackGroupID.MatchString(*field) {
		c.fail(at(field), "user_group: %s is not the ID of a user group; copy it from the group's page in Slack, such as S0614TZR7", quote(*field))
	}
}

func (c *checker) holidays(h *Holidays) {
	c.file(&h.CalendarFile, "calendar_file", h.CalendarFile, false)
	seen := map[Date]bool{}
	for i := range h.Dates {
		if d := h.Dates[i]; seen[d] && !d.IsZero() {
			c.fail(at(&h.Dates[i]), "dates: %s is listed twice; remove one", d)
		}
		seen[h.Dates[i]] = true
	}
}

// none reports whether there are no holidays at all.
func (h *Holidays) none() bool { return len(h.Dates) == 0 && h.CalendarFile == "" }

func (c *checker) layer(s *Schedule, l *Layer) {
	c.sources(l)
	c.userNames(l.Users)
	c.zone(at(&l.TimeZone, l), "time_zone", l.TimeZone)
	if l.Rotation != nil {
		c.rotation(l.Rotation, len(l.Users))
	}
	if l.Feed != nil {
		c.feed(at(&l.Feed.URL, &l.Feed.URLFile, l.Feed), &l.Feed.Every, l.Feed.URL, l.Feed.Every)
	}
	c.file(&l.CalendarFile, "calendar_file", l.CalendarFile, false)
	c.pagerDutySchedule(l)
	c.windows(l.Restrictions, "restrictions")
	if l.Restrictions != nil && len(l.Restrictions) == 0 {
		c.fail(at(&l.Restrictions), "restrictions is empty: write the times, or remove it for any time")
	}
	c.oneOf(at(&l.On, l), "on", l.On, OnEveryDay, OnHolidays, OnWorkdays)
	c.onHolidays(s, l)
}

// sources refuses a layer that takes its people from nowhere, or from two.
func (c *checker) sources(l *Layer) {
	var from []string
	for _, s := range []struct {
		key   string
		given bool
		field any
	}{
		{"rotation", l.Rotation != nil, &l.Rotation},
		{"calendar", l.Feed != nil, &l.Feed},
		{"calendar_file", l.CalendarFile != "", &l.CalendarFile},
		{"pagerduty_schedule", l.PagerDutySchedule != "", &l.PagerDutySchedule},
	} {
		if s.given || c.bad[s.field] {
			from = append(from, s.key)
		}
	}
	switch {
	case len(from) > 1:
		c.fail(at(l), "layer %s takes its people from %s; keep one, and make a layer of each other", quote(l.Name), strings.Join(from, " and "))
	case len(from) == 0 && len(l.Users) == 0:
		c.fail(at(l), "layer %s has nobody: give it users and a rotation, or a calendar, calendar_file or pagerduty_schedule", quote(l.Name))
	case len(from) == 0:
		c.fail(at(&l.Rotation, &l.Users, l), "rotation is missing: it says when it is whose turn; write rotation: {unit: weeks, start: '2026-01-05'}, also for one person")
	case from[0] == "rotation" && len(l.Users) == 0:
		c.fail(at(&l.Users, &l.Rotation, l), "users is missing: the rotation has nobody; list who takes turns")
	case from[0] != "rotation" && len(l.Users) > 0:
		c.fail(at(&l.Users), "users belong to a rotation, and %s says itself who is on call; remove one of them", from[0])
	}
}

func (c *checker) rotation(r *Rotation, users int) {
	c.oneOf(at(&r.Unit, r), "unit", r.Unit, UnitHours, UnitDays, UnitWeeks, UnitMonths)
	if r.Length < 1 {
		c.fail(at(&r.Length), "length: a turn of %d %s does not end; write 1 or more", r.Length, r.Unit)
	}
	aYear := map[string]int{UnitHours: 366 * 24, UnitDays: 366, UnitWeeks: 53, UnitMonths: 12}[r.Unit]
	if users > 1 && aYear > 0 && r.Length > aYear {
		c.warn(at(&r.Length), "length: a turn of %d %s is longer than a year; write less", r.Length, r.Unit)
	}
	if r.Handoff == minutesADay {
		c.fail(at(&r.Handoff), "handoff: 24:00 is the end of the day; write '00:00', and the day after it as start")
	}
	switch {
	case r.Start.IsZero():
		c.fail(at(&r.Start, r), "start is missing: the first day, such as '2026-01-05'; its weekday is the day of the handoff of a rotation by weeks")
	case r.Start.Year < 1970:
		c.fail(at(&r.Start), "start: %s is too long ago; write a day from 1970 on", r.Start)
	case r.Start.in(time.UTC).After(c.now.Add(farAhead)):
		c.warn(at(&r.Start), "start: nobody is on call by this rotation before %s, which is far ahead; write a day that has been, if that is not meant", r.Start)
	}
}

func (c *checker) pagerDutySchedule(l *Layer) {
	if l.PagerDutySchedule == "" {
		return
	}
	where := at(&l.PagerDutySchedule)
	if !pagerDutyID.MatchString(l.PagerDutySchedule) {
		c.fail(where, "pagerduty_schedule: %s is not the ID of a schedule; copy it from the address of the schedule's page, such as PI7DH85", quote(l.PagerDutySchedule))
	}
	need(&c.pdUse, "pagerduty_schedule needs", &l.PagerDutySchedule)
	known := func(u User) bool { return u.PagerDutyUser != "" }
	if !slices.ContainsFunc(c.cfg.Users, known) && !c.bad[&c.cfg.Users] {
		c.fail(where, "pagerduty_schedule: no user has a pagerduty_user, so nobody of that schedule is known here; set it for each")
	}
}

// onHolidays refuses a layer that covers on holidays that there are none of.
func (c *checker) onHolidays(s *Schedule, l *Layer) {
	h := &s.Holidays
	if l.On == OnEveryDay || c.bad[h] || c.bad[&h.Dates] || c.bad[&h.CalendarFile] {
		return
	}
	if h.none() {
		switch l.On {
		case OnHolidays:
			c.fail(at(&l.On), "on: the schedule has no holidays, so that this layer never covers; list them in its holidays")
		case OnWorkdays:
			c.warn(at(&l.On), "on: the schedule has no holidays, so that this is every day; list them in its holidays")
		}
		return
	}
	if l.On != OnHolidays || h.CalendarFile != "" {
		return
	}
	if last := slices.MaxFunc(h.Dates, dateOrder); last.in(time.UTC).Before(c.now.AddDate(0, 0, -1)) {
		c.warn(at(&l.On), "on: all holidays have been, the last on %s, so that this layer does not cover any more; add those to come", last)
	}
	if days := coveredDays(l.Restrictions); !slices.ContainsFunc(h.Dates, func(d Date) bool { return d.IsZero() || days&(1<<d.Weekday()) != 0 }) {
		c.fail(at(&l.Restrictions, l), "restrictions: none of the holidays is on one of these weekdays, so that this layer never covers; change either")
	}
}

func dateOrder(a, b Date) int { return a.in(time.UTC).Compare(b.in(time.UTC)) }

// coveredDays are the weekdays of which the windows cover any part.
func coveredDays(list []Window) Weekdays {
	if len(list) == 0 {
		return everyDay
	}
	var days Weekdays
	for i := range list {
		w := &list[i]
		set := Weekdays(w.Days())
		if set == 0 {
			set = everyDay
		}
		days |= set
		if from, to := w.Minutes(); to <= from && to > 0 {
			days |= set<<1&everyDay | set>>6
		}
	}
	return days
}

// hidden tells of layers that another one always covers.
func (c *checker) hidden(s *Schedule) {
	var top *Layer
	for i := range s.Layers {
		l := &s.Layers[i]
		if c.alwaysCovers(l) && (top == nil || l.Priority > top.Priority) {
			top = l
		}
	}
	if top == nil {
		return
	}
	behind := false
	for i := range s.Layers {
		l := &s.Layers[i]
		behind = behind || l == top
		switch {
		case l == top || l.Shadow:
		case l.Priority < top.Priority:
			c.warn(at(l), "layer %s covers only while people of layer %s are away: that one is there all the time, with a higher priority; raise the priority of this one, if that is not meant",
				quote(l.Name), quote(top.Name))
		case l.Priority == top.Priority && behind:
			c.fail(at(l), "layer %s never covers: layer %s is there all the time, with the same priority, and is listed first; give this one a higher priority, or a lower one to take over when people are away",
				quote(l.Name), quote(top.Name))
		}
	}
}

// alwaysCovers reports whether a layer has somebody at any instant.
func (c *checker) alwaysCovers(l *Layer) bool {
	return l.Rotation != nil && !l.Shadow && len(l.Users) > 0 && l.On == OnEveryDay &&
		(len(l.Restrictions) == 0 || fillsWeek(l.Restrictions)) && !l.Rotation.Start.in(time.UTC).After(c.now)
}
