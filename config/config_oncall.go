package config

// Days on which a layer covers, as they are written in Layer.On.
const (
	OnEveryDay = "every_day"
	OnHolidays = "holidays"
	OnWorkdays = "workdays"
)

// Units of a rotation, as they are written in Rotation.Unit.
const (
	UnitHours  = "hours"
	UnitDays   = "days"
	UnitWeeks  = "weeks"
	UnitMonths = "months"
)

// What becomes of a handoff that nobody acknowledges, as it is written in
// Handoff.Otherwise.
const (
	HandOver      = "hand_over"
	OutgoingStays = "outgoing_stays"
)

// Schedule says who is on call at any instant.
type Schedule struct {
	// The name that policies use.
	Name string `yaml:"name" example:"primary" jsonschema:"required"`
	// The time zone of the handoffs, restrictions and holidays, by its IANA
	// name.
	TimeZone string `yaml:"time_zone" default:"UTC" example:"Europe/Madrid"`
	// The layers. At any instant the one with the highest priority that covers
	// it says who is on call.
	Layers []Layer `yaml:"layers" jsonschema:"required"`
	// The days on which layers with "on: holidays" cover, and those with "on:
	// workdays" do not.
	Holidays Holidays `yaml:"holidays"`
	// Slack channel for shift notices and the handoff brief.
	Channel string `yaml:"channel" example:"'#oncall-handoff'"`
	// ID of a Slack user group whose members are those on call. Needs the scope
	// usergroups:write. It is never emptied.
	UserGroup string `yaml:"user_group" example:"S0614TZR7"`
	// Whether the one who comes on call must say so.
	Handoff Handoff `yaml:"handoff"`
	// Tell people of the start and the end of their shifts, and of changes.
	NotifyShifts bool `yaml:"notify_shifts" default:"true" example:"false"`
	// The team whose schedule it is. Whoever has no role but in other teams does
	// not see it.
	Team string `yaml:"team" example:"platform"`
	// Pos is where the schedule stands: "tocsin.yml:12".
	Pos string `yaml:"-" json:"-"`
}

// Layer is one line of a schedule. Each takes its people from one of four: users
// and a rotation, a calendar, a calendar file, or a schedule of PagerDuty's.
type Layer struct {
	// A name to explain shifts by.
	Name string `yaml:"name" defaultdoc:"layer 1, layer 2 …" example:"weekly"`
	// The highest priority that covers an instant wins; of equal ones the first.
	Priority int `yaml:"priority" default:"0" example:"10"`
	// Who takes turns, in order. A name may come more than once.
	Users []string `yaml:"users" example:"[ana, bo, cy]"`
	// When the turn goes to the next.
	Rotation *Rotation `yaml:"rotation"`
	// An iCalendar feed whose events are the shifts. People are found by the
	// e-mail address or the name of an attendee, or by the event's summary.
	Feed *Feed `yaml:"calendar"`
	// An iCalendar file whose events are the shifts.
	CalendarFile string `yaml:"calendar_file" path:"true" example:"shifts.ics" or:"or"`
	// ID of a schedule in PagerDuty: who is on call there is on call here. Needs
	// pagerduty.api_token, and pagerduty_user of each person.
	PagerDutySchedule string `yaml:"pagerduty_schedule" example:"PI7DH85" or:"or"`
	// The time zone of the layer's handoffs and restrictions: for schedules that
	// follow the sun.
	TimeZone string `yaml:"time_zone" defaultdoc:"the schedule's" example:"Asia/Tokyo"`
	// Parts of the week to which the layer is restricted, any of which will do.
	Restrictions []Window `yaml:"restrictions"`
	// The days on which the layer covers: every_day, holidays, or workdays,
	// which are the days that are no holidays.
	On string `yaml:"on" default:"every_day" example:"workdays" jsonschema:"enum=every_day,enum=holidays,enum=workdays"`
	// People of a shadow layer get copies of the pages beside those who are on
	// call. They never count as somebody being on call.
	Shadow bool `yaml:"shadow" default:"false" example:"true"`
	// Pos is where the layer stands: "tocsin.yml:12".
	Pos string `yaml:"-" json:"-"`
}

// Rotation hands the duty from one person to the next.
type Rotation struct {
	// What a turn is counted in: hours, days, weeks or months.
	Unit string `yaml:"unit" default:"weeks" example:"days" jsonschema:"enum=hours,enum=days,enum=weeks,enum=months"`
	// How many of them a turn lasts.
	Length int `yaml:"length" default:"1" example:"2"`
	// The day on which the first of the users begins. Of weeks its weekday, and
	// of months its day of the month, is the day of the handoff. Nobody is on
	// call before it.
	Start Date `yaml:"start" example:"'2026-01-05'" jsonschema:"required"`
	// The time of the handoff, HH:MM on the wall clock, also when clocks change.
	Handoff Clock `yaml:"handoff" default:"09:00" example:"'10:30'"`
}

// Feed is an iCalendar feed that is read again and again. The last good answer
// holds while the feed cannot be read.
type Feed struct {
	// Where it is. It is treated as a secret: such URLs often bear a token.
	URL Secret `yaml:"url" example:"https://calendar.example.com/oncall.ics"`
	// File with the URL.
	URLFile string `yaml:"url_file" path:"true" example:"calendar.url"`
	// How often it is read.
	Every Duration `yaml:"every" default:"15m" example:"1h"`
}

// Holidays are days of the calendar. Both ways of listing them may be used at
// once.
type Holidays struct {
	// The days, in the schedule's time zone.
	Dates []Date `yaml:"dates" example:"['2026-12-25', '2027-01-01']"`
	// An iCalendar file whose all-day events are holidays.
	CalendarFile string `yaml:"calendar_file" path:"true" example:"holidays.ics"`
}

// Handoff says whether a change of shift must be acknowledged.
type Handoff struct {
	// How long the one who comes on call has to acknowledge. 0: no
	// acknowledgement is asked for.
	AcknowledgeWithin Duration `yaml:"acknowledge_within" default:"0s" example:"30m"`
	// What happens without: hand_over (the shift changes all the same) or
	// outgoing_stays (whoever was on call is called too, until somebody
	// acknowledges).
	Otherwise string `yaml:"otherwise" default:"hand_over" example:"outgoing_stays" jsonschema:"enum=hand_over,enum=outgoing_stays"`
}

// TimeOffCalendar is an iCalendar feed of one person's absences.
type TimeOffCalendar struct {
	// Whose time off it is.
	User string `yaml:"user" example:"ana" jsonschema:"required"`
	// Where it is. It is treated as a secret: such URLs often bear a token.
	URL Secret `yaml:"url" example:"https://calendar.example.com/ana-away.ics"`
	// File with the URL.
	URLFile string `yaml:"url_file" path:"true" example:"ana-away.url"`
	// How often it is read.
	Every Duration `yaml:"every" default:"15m" example:"1h"`
	// Pos is where the calendar stands: "tocsin.yml:12".
	Pos string `yaml:"-" json:"-"`
}

// Calendars says what feeds may be read.
type Calendars struct {
	// Networks with private addresses that feeds may come from. Others with
	// private, loopback or link-local addresses are refused, lest a feed's URL
	// make Tocsin ask what only Tocsin can reach.
	AllowPrivate []string `yaml:"allow_private" example:"[10.0.0.0/8]"`
}
