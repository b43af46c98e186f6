package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/tocsin-oncall/tocsin"
)

var (
	// Member IDs begin with U or W, those of user groups with S:
	// https://api.slack.com/reference/surfaces/formatting.
	slackUserID  = regexp.MustCompile(`^[UW][A-Z0-9]{2,}$`)
	slackGroupID = regexp.MustCompile(`^S[A-Z0-9]{2,}$`)
	// PagerDuty's IDs are capital letters and digits:
	// https://developer.pagerduty.com/api-reference.
	pagerDutyID = regexp.MustCompile(`^[A-Z0-9]{3,}$`)
)

func (c *checker) people() {
	places := map[string]string{}
	for i := range c.cfg.Users {
		u := &c.cfg.Users[i]
		if c.unique(at(&u.Name, u), "user", u.Name, u.Pos, places) {
			c.pathName(at(&u.Name), "user", u.Name)
			c.users[u.Name] = u
		}
	}
	for i := range c.cfg.Users {
		c.user(&c.cfg.Users[i])
	}
	c.samePerson()
	places = map[string]string{}
	for i := range c.cfg.Teams {
		t := &c.cfg.Teams[i]
		if c.unique(at(&t.Name, t), "team", t.Name, t.Pos, places) {
			c.teams[t.Name] = t
		}
		if len(t.Users) == 0 {
			c.fail(at(&t.Users, t), "users is missing: the team has nobody; list who is on it")
		}
		c.userNames(t.Users)
		c.twice(t.Users, "users")
		c.teamRole(at(&t.Role), t.Role)
		c.matchers(&t.SilenceMatchers, t.SilenceMatchers)
		c.usedTeams[t.Name] = c.usedTeams[t.Name] || len(t.SilenceMatchers) > 0
	}
}

// unique refuses a name that is missing, odd or taken.
func (c *checker) unique(fields []any, what, name, pos string, places map[string]string) bool {
	if !c.name(fields, "the name of this "+what, name) {
		return false
	}
	if first, taken := places[name]; taken {
		c.fail(fields, "%s %s is given twice, first at %s; rename one", what, quote(name), first)
		return false
	}
	places[name] = pos
	return true
}

// pathName refuses a name that would be in the way in URLs, and in the names of
// targets.
func (c *checker) pathName(fields []any, what, name string) {
	if strings.ContainsRune(name, '/') || strings.HasPrefix(name, "@") || strings.HasPrefix(name, "#") {
		c.fail(fields, "%s %s holds a / or begins with @ or #, and is part of URLs; write letters and digits, with - between", what, quote(name))
	}
}

func (c *checker) twice(list []string, key string) {
	seen := map[string]bool{}
	for i := range list {
		if seen[list[i]] && list[i] != "" {
			c.fail(at(&list[i]), "%s: %s is listed twice; remove one", key, quote(list[i]))
		}
		seen[list[i]] = true
	}
}

func (c *checker) user(u *User) {
	c.zone(at(&u.TimeZone, u), "time_zone", u.TimeZone)
	if u.Slack != "" && !slackUserID.MatchString(u.Slack) {
		c.fail(at(&u.Slack), "slack: %s is not a member ID; copy it from the profile in Slack, such as U024BE7LH", quote(u.Slack))
	}
	if u.Email != "" {
		c.address(at(&u.Email), "email", u.Email)
	}
	if u.PagerDutyUser != "" && !pagerDutyID.MatchString(u.PagerDutyUser) {
		c.fail(at(&u.PagerDutyUser), "pagerduty_user: %s is not the ID of a user; copy it from the address of the user's page, such as PXPGF42", quote(u.PagerDutyUser))
	}
	if !u.PagerDutyRoutingKey.IsZero() {
		where := at(&u.PagerDutyRoutingKey)
		if c.token(where, "pagerduty_routing_key", u.PagerDutyRoutingKey) {
			c.looksLikeKey(where, "pagerduty_routing_key", u.PagerDutyRoutingKey)
		}
	}
	if u.Role != "" {
		c.oneOf(at(&u.Role), "role", u.Role, "viewer", "responder", "manager", "admin", string(tocsin.RoleNone))
	}
	c.contacts(u, u.Contacts)
	if c.given(&u.LowUrgencyContacts) {
		if u.LowUrgencyContacts != nil && len(u.LowUrgencyContacts) == 0 {
			c.fail(at(&u.LowUrgencyContacts), "low_urgency_contacts is empty: low urgency would never reach %s; remove it to use contacts", quote(u.Name))
		}
		c.contacts(u, u.LowUrgencyContacts)
	}
	if c.windows(u.QuietHours, "quiet_hours") && fillsWeek(u.QuietHours) {
		c.fail(at(&u.QuietHours), "quiet_hours fill the whole week: low urgency would wait for ever; leave some time")
	}
}

func (c *checker) contacts(u *User, list []Contact) {
	var last Duration
	for i := range list {
		k := &list[i]
		c.contact(u, k)
		if k.After < last {
			c.fail(at(&k.After, k), "after: %s is less than that of the contact before, %s; both count from the call of the person: put them in order", k.After, last)
		}
		last = max(last, k.After)
	}
}

// contact refuses one whose means the person lacks.
func (c *checker) contact(u *User, k *Contact) {
	where := at(&k.By, k, u)
	who := quote(u.Name)
	lacks := func(means ...any) bool {
		return !slices.ContainsFunc(means, func(m any) bool { return c.bad[m] }) && !c.bad[u]
	}
	switch k.By {
	case BySlack:
		need(&c.slackUse, "the Slack messages of user "+who+" need", &k.By, k, &u.Slack, u)
		if u.Slack == "" && lacks(&u.Slack) {
			c.fail(where, "by: slack needs the member ID of %s, which is missing; set slack: U…", who)
		}
	case ByPagerDuty:
		if u.PagerDutyRoutingKey.IsZero() && lacks(&u.PagerDutyRoutingKey, &u.PagerDutyRoutingKeyFile) {
			c.fail(where, "by: pagerduty needs a routing key of %s, which is missing; set pagerduty_routing_key_file", who)
		}
	case ByEmail:
		need(&c.mailUse, "by: email (user "+who+") needs", &k.By, k, &u.Email, u)
		if u.Email == "" && lacks(&u.Email) {
			c.fail(where, "by: email needs the address of %s, which is missing; set email", who)
		}
	default:
		c.oneOf(where, "by", k.By, BySlack, ByPagerDuty, ByEmail)
	}
}

// samePerson tells of people who could not be told apart.
func (c *checker) samePerson() {
	slack, inPagerDuty, email, key := map[string]string{}, map[string]string{}, map[string]string{}, map[Secret]string{}
	for i := range c.cfg.Users {
		u := &c.cfg.Users[i]
		if first := takes(slack, u.Slack, u.Name); first != "" {
			c.fail(at(&u.Slack), "slack: %s is %s already; give each their own", quote(u.Slack), quote(first))
		}
		if first := takes(inPagerDuty, u.PagerDutyUser, u.Name); first != "" {
			c.fail(at(&u.PagerDutyUser), "pagerduty_user: %s is %s already; give each their own", quote(u.PagerDutyUser), quote(first))
		}
		if first := takes(email, strings.ToLower(u.Email), u.Name); first != "" {
			c.warn(at(&u.Email), "email: %s has this address too: calendars cannot tell them apart; give each their own", quote(first))
		}
		if first := takes(key, u.PagerDutyRoutingKey, u.Name); first != "" {
			c.warn(at(&u.PagerDutyRoutingKey), "pagerduty_routing_key: %s has the same: whoever is called, PagerDuty pages the same person; make a service for each", quote(first))
		}
	}
}

// takes returns who has the value already; "" for nobody, or for no value.
func takes[K comparable](taken map[K]string, value K, name string) string {
	var none K
	first, ok := taken[value]
	if value == none || ok {
		return first
	}
	taken[value] = name
	return ""
}

// userNames refuses names of people who do not exist.
func (c *checker) userNames(list []string) {
	for i := range list {
		c.userName(at(&list[i]), list[i])
	}
}

func (c *checker) userName(fields []any, name string) {
	c.usedUsers[name] = true
	if _, ok := c.users[name]; !ok && !c.bad[&c.cfg.Users] {
		c.fail(fields, "user %s does not exist; %s", quote(name), knownNames(c, name, c.users, "users"))
	}
}

// reachable refuses people who are to be called and cannot be.
func (c *checker) reachable() {
	for i := range c.cfg.Users {
		u := &c.cfg.Users[i]
		if len(u.Contacts) > 0 || !c.usedUsers[u.Name] || c.bad[u] {
			continue
		}
		if slices.ContainsFunc([]any{&u.Slack, &u.PagerDutyRoutingKey, &u.PagerDutyRoutingKeyFile, &u.Email}, func(f any) bool { return c.bad[f] }) {
			continue
		}
		how := "give slack, pagerduty_routing_key_file or email"
		switch {
		case c.given(&u.Contacts) && u.Contacts != nil:
			how = "contacts is empty: list them, or remove it"
		case u.Email != "":
			how = "mail needs smtp.host: set it, or give slack or pagerduty_routing_key_file"
		}
		c.fail(at(&u.Contacts, &u.Name, u), "user %s is to be called and has no usable contact; %s", quote(u.Name), how)
	}
}

// oneOf refuses a value that is none of the options.
func (c *checker) oneOf(fields []any, key, value string, options ...string) {
	if slices.Contains(options, value) {
		return
	}
	last := len(options) - 1
	hint := "write " + strings.Join(options[:last], ", ") + " or " + options[last]
	if near, ok := closest(value, options); ok {
		hint = "did you mean " + near + "?"
	}
	if value == "" {
		c.fail(fields, "%s is missing; %s", key, hint)
		return
	}
	c.fail(fields, "%s: %s is unknown; %s", key, quote(value), hint)
}

// zone refuses what is not an IANA time zone, and the machine's own: a schedule
// must not depend on where it runs.
func (c *checker) zone(fields []any, key, name string) {
	// The world has about 600, and looking one up takes time.
	const most = 1000
	problem, known := c.zones[name]
	switch {
	case known:
	case len(c.zones) < most:
		problem = checkZone(name)
		c.zones[name] = problem
	default:
		problem = quote(name) + " is one time zone too many for a file; write IANA names such as Europe/Madrid"
	}
	if problem != "" {
		c.fail(fields, "%s: %s", key, problem)
	}
}

func checkZone(name string) string {
	if strings.EqualFold(name, "local") {
		return "Local is whatever each machine is set to; write an IANA name such as Europe/Madrid"
	}
	if _, err := time.LoadLocation(name); err == nil {
		return ""
	}
	if near := titled(name); near != name {
		if _, err := time.LoadLocation(near); err == nil {
			return fmt.Sprintf("%s is not a time zone; did you mean %s?", quote(name), near)
		}
	}
	return quote(name) + " is not a time zone; write an IANA name such as Europe/Madrid, Asia/Tokyo or UTC"
}

// titled writes a name as IANA does: america/new york becomes America/New_York.
func titled(name string) string {
	start := true
	return strings.Map(func(r rune) rune {
		if r == ' ' {
			r = '_'
		}
		if start {
			r = unicode.ToUpper(r)
		} else {
			r = unicode.ToLower(r)
		}
		start = !unicode.IsLetter(r)
		return r
	}, name)
}
