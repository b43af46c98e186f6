package config

// needed refuses what needs a provider that is not set up.
func (c *checker) needed() {
	cfg := c.cfg
	if u := c.slackUse; u != nil && cfg.Slack.BotToken.IsZero() {
		c.fail(append(at(&cfg.Slack.BotToken, &cfg.Slack), u.fields...), "%s a bot token; set slack.bot_token_file", u.what)
	}
	if u := c.mailUse; u != nil && cfg.SMTP.Host == "" && !c.given(&cfg.SMTP) {
		c.fail(u.fields, "%s a mail server; set smtp.host and smtp.from", u.what)
	}
	if u := c.pdUse; u != nil && cfg.PagerDuty.APIToken.IsZero() {
		c.fail(append(at(&cfg.PagerDuty.APIToken, &cfg.PagerDuty), u.fields...), "%s a token of PagerDuty's REST API; set pagerduty.api_token_file", u.what)
	}
}

// unused warns of what nothing refers to, which may well be a slip of the pen
// somewhere else.
func (c *checker) unused() {
	for name, r := range c.receivers {
		if !c.usedReceivers[name] {
			c.warn(at(&r.Name, r), "receiver %s is used by no route; use it, or remove it", quote(name))
		}
	}
	for name, t := range c.intervals {
		if !c.usedIntervals[name] {
			c.warn(at(&t.Name, t), "time interval %s is used by no route; use it, or remove it", quote(name))
		}
	}
	for name, t := range c.teams {
		if !c.usedTeams[name] {
			c.warn(at(&t.Name, t), "team %s is called by no escalation policy and has no receiver or schedule; use it, or remove it", quote(name))
		}
	}
	for name, s := range c.schedules {
		if !c.usedSchedules[name] && s.UserGroup == "" {
			c.warn(at(&s.Name, s), "schedule %s is called by no escalation policy: it pages nobody; use it, or remove it", quote(name))
		}
	}
	for name, p := range c.policies {
		if !c.usedPolicies[name] {
			c.warn(at(&p.Name, p), "escalation policy %s is named by no receiver: it pages nobody; set escalation_policy of a receiver, or remove it", quote(name))
		}
	}
	c.unusedUsers()
}

// unusedUsers warns of people whom nothing calls. Those whom a calendar or
// PagerDuty may put on call are no such people.
func (c *checker) unusedUsers() {
	byCalendar, byPagerDuty := c.imports()
	for name, u := range c.users {
		may := byCalendar || byPagerDuty && u.PagerDutyUser != ""
		switch {
		case c.usedUsers[name]:
		case len(u.Contacts) == 0 && may:
			c.warn(at(&u.Name, u), "user %s may come on call and cannot be reached; give slack, pagerduty_routing_key or email (with smtp)", quote(name))
		case !may && !c.byOthers(): // who logs in need not come on call
			c.warn(at(&u.Name, u), "user %s is on no schedule, team or escalation policy; use it, or remove it", quote(name))
		}
	}
}

// imports reports whether any schedule takes its people from calendars, or from
// PagerDuty.
func (c *checker) imports() (byCalendar, byPagerDuty bool) {
	for i := range c.cfg.Schedules {
		layers := c.cfg.Schedules[i].Layers
		for j := range layers {
			byCalendar = byCalendar || layers[j].Feed != nil || layers[j].CalendarFile != ""
			byPagerDuty = byPagerDuty || layers[j].PagerDutySchedule != ""
		}
	}
	return byCalendar, byPagerDuty
}
