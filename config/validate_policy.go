package config

import (
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

const (
	// maxRepeat keeps a round from being gone through for days.
	maxRepeat = 20
	// leastWait is the shortest time between calls that a person can answer in.
	leastWait = Duration(time.Minute)
	// longWait is when nobody may be expected to wait for a step any more.
	longWait = Duration(24 * time.Hour)
)

// severities, the most urgent first.
func severities() []tocsin.Severity {
	return []tocsin.Severity{tocsin.Critical, tocsin.Error, tocsin.Warning, tocsin.Info}
}

func (c *checker) allPolicies() {
	places := map[string]string{}
	for i := range c.cfg.EscalationPolicies {
		p := &c.cfg.EscalationPolicies[i]
		if c.unique(at(&p.Name, p), "escalation policy", p.Name, p.Pos, places) {
			c.policies[p.Name] = p
		}
		c.policy(p)
	}
	c.reachable()
}

func (c *checker) policy(p *EscalationPolicy) {
	if len(p.Steps) == 0 {
		c.fail(at(&p.Steps, p), "steps is missing: nobody would be called before the last resort; write at least one")
	}
	for i := range p.Steps {
		c.step(&p.Steps[i])
	}
	c.untold(p)
	if p.Repeat < 0 || p.Repeat > maxRepeat {
		c.fail(at(&p.Repeat), "repeat: %d is not from 0 to %d; the last resort is repeated without end anyway", p.Repeat, maxRepeat)
	}
	if p.RepeatAfter < leastWait {
		c.fail(at(&p.RepeatAfter), "repeat_after: in %s nobody can answer the last step; write 1m or more", p.RepeatAfter)
	}
	if p.LastResortEvery < leastWait {
		c.fail(at(&p.LastResortEvery), "last_resort_every: in %s nobody can answer; write 1m or more", p.LastResortEvery)
	}
	c.lastResort(p)
	a := &p.Acknowledgement
	if a.ReturnAfter > 0 && a.RemindAfter >= a.ReturnAfter {
		c.fail(at(&a.RemindAfter, a), "remind_after: at %s the incident has come back to triggered already, after %s; write less, or a longer return_after", a.RemindAfter, a.ReturnAfter)
	}
	c.urgency(&p.Urgency)
}

func (c *checker) step(s *Step) {
	if len(s.Notify) == 0 {
		c.fail(at(&s.Notify, s), "notify is missing: the step calls nobody; list whom it calls")
	}
	people := false
	for i := range s.Notify {
		r := &s.Notify[i]
		c.recipient(r)
		people = people || r.User != "" || r.Schedule != "" || r.Team != "" || c.bad[r]
	}
	c.when(&s.When, people || len(s.Notify) == 0)
	if s.After > longWait {
		c.warn(at(&s.After), "after: %s is more than a day in which nobody else is called; write less", s.After)
	}
	if s.RoundRobin && s.AllMustAcknowledge {
		c.fail(at(&s.AllMustAcknowledge, s), "round_robin calls one person, and all_must_acknowledge waits for all; keep one")
	}
	if people || len(s.Notify) == 0 {
		return
	}
	if s.RoundRobin {
		c.fail(at(&s.RoundRobin, s), "round_robin: the step calls no people to take turns; name a team, a schedule or users, or remove it")
	}
	if s.AllMustAcknowledge {
		c.fail(at(&s.AllMustAcknowledge, s), "all_must_acknowledge: the step calls no people who could; name a team, a schedule or users, or remove it")
	}
}

// when refuses conditions that never hold.
func (c *checker) when(w *When, people bool) {
	c.severityList(&w.Severities, w.Severities, "the step would never run; remove it for any")
	sound := c.window(w.fields())
	c.zone(at(&w.TimeZone, w), "time_zone", w.TimeZone)
	hours := w.Window()
	switch limited := !hours.Always(); {
	case w.TimeZone != "" && !limited && sound:
		c.warn(at(&w.TimeZone), "time_zone means nothing without weekdays, start_time or end_time; set them, or remove it")
	case w.TimeZone == "" && limited && !people:
		c.fail(at(&w.TimeZone, w), "time_zone is missing: the step calls no people whose time it could be; set it")
	}
}

// severityList refuses what is no severity. empty says what an empty list means.
func (c *checker) severityList(field *[]tocsin.Severity, list []tocsin.Severity, empty string) {
	if list != nil && len(list) == 0 && empty != "" {
		c.fail(at(field), "severities is empty: %s", empty)
	}
	seen := map[tocsin.Severity]bool{}
	for i, s := range list {
		where := at(&list[i], field)
		switch {
		case !slices.Contains(severities(), s):
			hint := "write one of them"
			if meant := tocsin.ParseSeverity(string(s)); meant != tocsin.Error {
				hint = "did you mean " + string(meant) + "?"
			}
			c.fail(where, "severity %s is unknown: incidents are critical, error, warning or info; %s", quote(string(s)), hint)
		case seen[s]:
			c.fail(where, "severity %s is listed twice; remove one", s)
		}
		seen[s] = true
	}
}

// untold warns of severities that no step is for.
func (c *checker) untold(p *EscalationPolicy) {
	var left []string
	for _, s := range severities() {
		hears := func(step Step) bool {
			return len(step.When.Severities) == 0 || slices.Contains(step.When.Severities, s)
		}
		if !slices.ContainsFunc(p.Steps, hears) {
			left = append(left, string(s))
		}
	}
	if len(left) > 0 && len(p.Steps) > 0 {
		c.warn(at(&p.Steps), "no step is for severity %s: the last resort is called at once; add a step without severities", strings.Join(left, ", "))
	}
}

func (c *checker) urgency(u *Urgency) {
	c.severityList(&u.High, u.High, "")
	h := u.SupportHours
	if len(u.High) == 0 && h == nil && !c.bad[&u.High] && !c.bad[&u.SupportHours] {
		c.warn(at(&u.High), "high is empty: nothing is urgent, and critical incidents wait for the end of quiet hours; list critical at least")
	}
	if h == nil {
		return
	}
	if len(h.Severities) == 0 {
		c.fail(at(&h.Severities, h), "severities is missing: nothing is urgent in the support hours; list them, such as [warning]")
	}
	c.severityList(&h.Severities, h.Severities, "")
	for i, s := range h.Severities {
		if slices.Contains(u.High, s) {
			c.warn(at(&h.Severities[i]), "severity %s is urgent at any hour already; remove it here, or from high", s)
		}
	}
	c.window(h.fields())
	c.zone(at(&h.TimeZone, h), "time_zone", h.TimeZone)
}

// lastResort refuses one that nobody could answer.
func (c *checker) lastResort(p *EscalationPolicy) {
	if len(p.LastResort) == 0 {
		c.fail(at(&p.LastResort, p), "last_resort is missing: it is who is called when nobody has answered; name a person, such as [{user: NAME}]")
		return
	}
	reaches := false
	for i := range p.LastResort {
		r := &p.LastResort[i]
		c.recipient(r)
		s, known := c.schedules[r.Schedule]
		staffed := known && slices.ContainsFunc(s.Layers, func(l Layer) bool { return !l.Shadow })
		t, team := c.teams[r.Team]
		reaches = reaches || c.bad[r] || r.User != "" || r.Receiver != "" ||
			r.Schedule != "" && (!known || staffed) || r.Team != "" && (!team || len(t.Users) > 0)
	}
	if !reaches {
		c.fail(at(&p.LastResort), "last_resort reaches nobody who could answer; add a user, a team, a schedule with people on call, or a receiver")
	}
}

// recipient refuses one that names nobody, or two.
func (c *checker) recipient(r *Recipient) {
	var kinds []string
	for _, k := range []struct{ key, value string }{
		{"user", r.User}, {"schedule", r.Schedule}, {"team", r.Team}, {"slack_channel", r.SlackChannel}, {"receiver", r.Receiver},
	} {
		if k.value != "" {
			kinds = append(kinds, k.key)
		}
	}
	if len(kinds) == 0 && r.UserGroup == "" {
		c.fail(at(r), "this recipient names nobody; write one of user, schedule, team, slack_channel and receiver")
	}
	if len(kinds) > 1 {
		c.fail(at(r), "this recipient names %s; keep one, and make an entry of each other", strings.Join(kinds, " and "))
	}
	if r.User != "" {
		c.userName(at(&r.User), r.User)
	}
	if r.Schedule != "" {
		c.usedSchedules[r.Schedule] = true
		refer(c, &r.Schedule, "schedule", c.schedules, &c.cfg.Schedules, "schedules")
	}
	if r.Team != "" {
		c.usedTeams[r.Team] = true
		refer(c, &r.Team, "team", c.teams, &c.cfg.Teams, "teams")
	}
	if r.Receiver != "" {
		c.placesOf(r)
	}
	c.channelOf(r)
}

// refer refuses a name that is not known.
func refer[T any](c *checker, field *string, what string, known map[string]T, section any, key string) {
	if _, ok := known[*field]; !ok && !c.bad[section] {
		c.fail(at(field), "%s %s does not exist; %s", what, quote(*field), knownNames(c, *field, known, key))
	}
}

// placesOf refuses a receiver that has no places to tell.
func (c *checker) placesOf(r *Recipient) {
	c.receiver(at(&r.Receiver), r.Receiver)
	if to, ok := c.receivers[r.Receiver]; ok && to.kinds() == nil && !c.bad[to] {
		c.fail(at(&r.Receiver), "receiver %s has no *_configs and tells nobody; give it some, or name people", quote(r.Receiver))
	}
}

func (c *checker) channelOf(r *Recipient) {
	if r.SlackChannel != "" {
		need(&c.slackUse, "slack_channel needs", &r.SlackChannel)
		if problem := checkChannel(r.SlackChannel); problem != "" {
			c.fail(at(&r.SlackChannel), "slack_channel %s", problem)
		}
	}
	if r.UserGroup != "" && r.SlackChannel == "" {
		c.fail(at(&r.UserGroup), "user_group is mentioned in a channel, and there is none; set slack_channel beside it")
		return
	}
	c.userGroup(&r.UserGroup, "this recipient")
}

// receiversPolicies refuses policies that do not exist.
func (c *checker) receiversPolicies() {
	for i := range c.cfg.Receivers {
		if r := &c.cfg.Receivers[i]; r.EscalationPolicy != "" {
			c.usedPolicies[r.EscalationPolicy] = true
			refer(c, &r.EscalationPolicy, "escalation policy", c.policies, &c.cfg.EscalationPolicies, "escalation_policies")
		}
	}
}
