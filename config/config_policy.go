package config

import "github.com/tocsin-oncall/tocsin"

// EscalationPolicy says who is told of an incident, and what happens when nobody
// answers.
type EscalationPolicy struct {
	// The name that receivers use.
	Name string `yaml:"name" example:"platform" jsonschema:"required"`
	// Whom to call, one step after the other until somebody acknowledges. A step
	// that reaches nobody is skipped at once, and said so.
	Steps []Step `yaml:"steps" jsonschema:"required"`
	// How often to go through the steps again before the last resort, at most
	// 20.
	Repeat int `yaml:"repeat" default:"0" example:"2"`
	// How long the last step gets before the steps are gone through again, or
	// the last resort is called. At least 1m.
	RepeatAfter Duration `yaml:"repeat_after" default:"15m" example:"10m"`
	// Whom to call, by every contact at once, when the steps have run out. At
	// least one must be a person, a team, a schedule or a receiver.
	LastResort []Recipient `yaml:"last_resort" jsonschema:"required"`
	// How often the last resort is called again until somebody acknowledges. At
	// least 1m.
	LastResortEvery Duration `yaml:"last_resort_every" default:"15m" example:"10m"`
	// What happens to an incident that was acknowledged and is not resolved.
	Acknowledgement Acknowledgement `yaml:"acknowledgement"`
	// Which incidents call people by their contacts for high urgency, at any
	// hour.
	Urgency Urgency `yaml:"urgency"`
	// Pos is where the policy stands: "tocsin.yml:12".
	Pos string `yaml:"-" json:"-"`
}

// Step is one step of a policy.
type Step struct {
	// How long to wait behind the step before; for the first step: behind the
	// opening of the incident, or the end of the round before.
	After Duration `yaml:"after" default:"0s" example:"15m"`
	// Whom to call.
	Notify []Recipient `yaml:"notify" jsonschema:"required"`
	// When the step applies. Without it: always.
	When When `yaml:"when"`
	// Call one of the people only, a different one each time.
	RoundRobin bool `yaml:"round_robin" default:"false" example:"true"`
	// Go on until everybody on this step has acknowledged.
	AllMustAcknowledge bool `yaml:"all_must_acknowledge" default:"false" example:"true" or:"or"`
	// Pos is where the step stands: "tocsin.yml:12".
	Pos string `yaml:"-" json:"-"`
}

// Recipient is whom a step calls: exactly one of user, schedule, team,
// slack_channel and receiver.
type Recipient struct {
	// A person.
	User string `yaml:"user" example:"ana"`
	// Whoever is on call on a schedule.
	Schedule string `yaml:"schedule" example:"primary" or:"or"`
	// Everybody on a team.
	Team string `yaml:"team" example:"leads" or:"or"`
	// A Slack channel, by its name with its #, in quotes, or by its ID.
	SlackChannel string `yaml:"slack_channel" example:"'#incidents'" or:"or"`
	// ID of a Slack user group to mention in slack_channel.
	UserGroup string `yaml:"user_group" example:"S0614TZR7" or:"and in it"`
	// All that a receiver lists in its *_configs, such as a PagerDuty service.
	Receiver string `yaml:"receiver" example:"platform-critical" or:"or"`
}

// When says when a step applies. All that is given must hold.
type When struct {
	// Severities that the incident may have: critical, error, warning, info.
	Severities []tocsin.Severity `yaml:"severities" example:"[critical]"`
	// Days on which the hours begin, or spans of days. Absent: every day.
	Weekdays []Weekdays `yaml:"weekdays" example:"['saturday:sunday']"`
	// The first minute, HH:MM.
	StartTime Clock `yaml:"start_time" default:"00:00" example:"'09:00'"`
	// The first minute after, HH:MM, up to 24:00. Before the start time: on the
	// next day.
	EndTime Clock `yaml:"end_time" default:"24:00" example:"'17:00'"`
	// The time zone of the hours, by its IANA name.
	TimeZone string `yaml:"time_zone" defaultdoc:"each person's own: the step calls those for whom it is that time" example:"Europe/Madrid"`
}

// Window is the part of the week in which the step applies.
func (w *When) Window() Window { return Window{w.Weekdays, w.StartTime, w.EndTime} }

// Acknowledgement bounds how long an acknowledgement holds.
type Acknowledgement struct {
	// When to remind the one who acknowledged. 0: never.
	RemindAfter Duration `yaml:"remind_after" defaultdoc:"three quarters of return_after" example:"45m"`
	// When the incident comes back to triggered, and its policy goes on where it
	// was. 0: never.
	ReturnAfter Duration `yaml:"return_after" default:"1h" example:"2h"`
}

// Urgency says which incidents are urgent. The others call people by
// low_urgency_contacts, and wait for the end of quiet_hours.
type Urgency struct {
	// Severities that are urgent at any hour.
	High []tocsin.Severity `yaml:"high" defaultdoc:"[critical, error]" example:"[critical]"`
	// Severities that are urgent at some hours.
	SupportHours *SupportHours `yaml:"support_hours"`
}

// SupportHours are hours in which more is urgent.
type SupportHours struct {
	// Severities that are urgent in these hours.
	Severities []tocsin.Severity `yaml:"severities" example:"[warning]" jsonschema:"required"`
	// Days on which the hours begin, or spans of days. Absent: every day.
	Weekdays []Weekdays `yaml:"weekdays" example:"['monday:friday']"`
	// The first minute, HH:MM.
	StartTime Clock `yaml:"start_time" default:"00:00" example:"'09:00'"`
	// The first minute after, HH:MM, up to 24:00. Before the start time: on the
	// next day.
	EndTime Clock `yaml:"end_time" default:"24:00" example:"'17:00'"`
	// The time zone of the hours, by its IANA name.
	TimeZone string `yaml:"time_zone" default:"UTC" example:"Europe/Madrid"`
}

// Window is the part of the week that the hours are.
func (s *SupportHours) Window() Window { return Window{s.Weekdays, s.StartTime, s.EndTime} }

// How mail is protected on its way, as it is written in SMTP.TLS.
const (
	TLSStartTLS = "starttls"
	TLSImplicit = "implicit"
	TLSNone     = "none"
)

// SMTP is the mail server that takes Tocsin's mail.
type SMTP struct {
	// The mail server's name or address, without a port.
	Host string `yaml:"host" example:"smtp.example.com"`
	// Its port.
	Port int `yaml:"port" defaultdoc:"587; with tls implicit 465, with tls none 25" example:"2525"`
	// Who the mail is from: an address, or a name and an address.
	From string `yaml:"from" example:"Tocsin <tocsin@example.com>"`
	// The user name, where the server asks for one.
	Username string `yaml:"username" example:"tocsin"`
	// The password.
	Password Secret `yaml:"password" example:"${SMTP_PASSWORD}"`
	// File with the password.
	PasswordFile string `yaml:"password_file" path:"true" example:"smtp.password"`
	// starttls (refused when the server cannot), implicit (TLS from the first
	// byte) or none.
	TLS string `yaml:"tls" default:"starttls" example:"implicit" jsonschema:"enum=starttls,enum=implicit,enum=none"`
	// How long sending one message may take.
	Timeout Duration `yaml:"timeout" default:"10s" example:"20s"`
	// Messages a second and address. 0: no limit.
	RateLimit float64 `yaml:"rate_limit" default:"10" example:"2"`
}
