package config

// Ways to reach a person, as they are written in Contact.By.
const (
	BySlack     = "slack"
	ByPagerDuty = "pagerduty"
	ByEmail     = "email"
)

// User is a person who can be called.
type User struct {
	// What the person is called everywhere.
	Name string `yaml:"name" example:"ana" jsonschema:"required"`
	// The person's time zone, by its IANA name: quiet hours and nights are in it.
	TimeZone string `yaml:"time_zone" default:"UTC" example:"Europe/Madrid"`
	// The member ID in Slack (a profile's three dots, "Copy member ID"): for
	// direct messages and mentions.
	Slack string `yaml:"slack" example:"U024BE7LH"`
	// The e-mail address: for mail, and to find the person in calendars.
	Email string `yaml:"email" example:"ana@example.com"`
	// The ID of the person's user in PagerDuty, as in the address of its page:
	// who it is that a pagerduty_schedule names.
	PagerDutyUser string `yaml:"pagerduty_user" example:"PXPGF42"`
	// The integration key of a PagerDuty service that pages this person, and
	// nobody else.
	PagerDutyRoutingKey Secret `yaml:"pagerduty_routing_key" example:"${ANA_PAGERDUTY_KEY}"`
	// File with the routing key.
	PagerDutyRoutingKeyFile string `yaml:"pagerduty_routing_key_file" path:"true" example:"ana.key"`
	// What the OpenID Connect provider, or the proxy, calls the person, where that is
	// neither the name nor the e-mail address.
	Login string `yaml:"login" example:"ana.garcia"`
	// What the person may do, wherever they ask and whatever it concerns: viewer (look),
	// responder (also answer, page, silence, work through runbooks), manager (also
	// change other people's shifts), admin; or none: what their teams may, with what
	// is the teams', and to answer what calls them.
	Role string `yaml:"role" default:"responder" example:"manager" jsonschema:"enum=viewer,enum=responder,enum=manager,enum=admin,enum=none"`
	// How to reach the person at high urgency, in order. Each is tried until
	// somebody answers.
	Contacts []Contact `yaml:"contacts" defaultdoc:"every way that is given, at once: slack, pagerduty, email (where smtp is set)"`
	// How to reach the person at low urgency.
	LowUrgencyContacts []Contact `yaml:"low_urgency_contacts" defaultdoc:"contacts"`
	// When low urgency waits, in the person's time zone, until the hours end.
	// High urgency never waits.
	QuietHours []Window `yaml:"quiet_hours"`
	// Pos is where the user stands: "tocsin.yml:12".
	Pos string `yaml:"-" json:"-"`
}

// Contact is one way to reach a person.
type Contact struct {
	// The way: slack (a direct message, needs slack), pagerduty (needs
	// pagerduty_routing_key) or email (needs email, and smtp).
	By string `yaml:"by" example:"pagerduty" jsonschema:"required,enum=slack,enum=pagerduty,enum=email"`
	// How long to wait for an answer first, from the moment the person is
	// called. Not less than that of the contact before.
	After Duration `yaml:"after" default:"0s" example:"2m"`
}

// Team is a named group of people. Whoever calls a team calls all of them; and
// receivers and schedules may be a team's.
type Team struct {
	// The name that policies use.
	Name string `yaml:"name" example:"platform" jsonschema:"required"`
	// Who is on the team.
	Users []string `yaml:"users" example:"[ana, bo]" jsonschema:"required"`
	// What they may do with incidents that a receiver of the team is told of, and
	// on schedules of the team, besides what they may do anyway.
	Role string `yaml:"role" default:"responder" example:"manager" jsonschema:"enum=viewer,enum=responder,enum=manager"`
	// What makes a silence the team's: matchers in Alertmanager's syntax, all of which
	// it must have as they are written here, beside whatever else. People with the
	// role responder in the team make, change and end such silences, and viewers see
	// them; they hide nothing but what these matchers match. Absent: silences take a
	// role for everything.
	SilenceMatchers []string `yaml:"silence_matchers" example:"['team=\"web\"']"`
	// Pos is where the team stands: "tocsin.yml:12".
	Pos string `yaml:"-" json:"-"`
}

// Window is a part of the week on the clock of a time zone; its zero value is all
// of the week.
type Window struct {
	// Days on which it begins, or spans of days, also over the week's end:
	// friday:monday. Absent: every day.
	Weekdays []Weekdays `yaml:"weekdays" example:"['monday:friday']"`
	// Its first minute, HH:MM.
	StartTime Clock `yaml:"start_time" default:"00:00" example:"'22:00'"`
	// The first minute after it, HH:MM, up to 24:00. Before the start time: on
	// the next day.
	EndTime Clock `yaml:"end_time" default:"24:00" example:"'07:00'"`
}

// Days has bit 1<<time.Weekday set for each day on which the window begins; 0:
// it begins every day.
func (w *Window) Days() uint8 { return daySet(w.Weekdays) }

// Minutes are the beginning and the end in minutes since midnight, without the
// last, both less than a day. An end at or before the beginning is on the next
// day; 0 and 0: the whole day.
func (w *Window) Minutes() (from, to int) {
	return int(w.StartTime), int(w.EndTime) % minutesADay
}

// Always reports whether the window is all of the week.
func (w *Window) Always() bool {
	from, to := w.Minutes()
	return from == 0 && to == 0 && (w.Days() == 0 || w.Days() == uint8(everyDay))
}
