package config

// Route is a node of the routing tree. The root takes every alert; of its
// routes, the first that matches takes over, and so on down.
type Route struct {
	// Who is told. A route without one uses its parent's. The root needs one.
	Receiver string `yaml:"receiver" example:"platform"`
	// Labels whose values an incident's alerts share: alerts that agree on all
	// of them make one incident. ['...'] is all labels, an incident for each
	// alert. A route without it uses its parent's; [] makes one incident of all.
	GroupBy []string `yaml:"group_by" example:"[alertname, region]"`
	// All must match. In Alertmanager's syntax, UTF-8 names too. Not for the
	// root.
	Matchers []string `yaml:"matchers" example:"['severity=\"critical\"', 'team=~\"db|storage\"']"`
	// Go on to the next sibling after this route matched, so that both are
	// told.
	Continue bool `yaml:"continue" default:"false" example:"true"`
	// Time intervals in which this route pages nobody. Not for the root.
	MuteTimeIntervals []string `yaml:"mute_time_intervals" example:"[weekends]"`
	// Time intervals outside of which this route pages nobody. Not for the
	// root.
	ActiveTimeIntervals []string `yaml:"active_time_intervals" example:"[office-hours]"`
	// Routes to try, in order, before this one takes the alert itself.
	Routes []Route `yaml:"routes"`
	// Pos is where the route stands: "tocsin.yml:12".
	Pos string `yaml:"-" json:"-"`
}

// InhibitRule says which alerts make others not worth a page. An inhibited alert
// is kept and explained; when the inhibition ends and it still fires, it pages.
type InhibitRule struct {
	// A name to explain it by. Without one it is named by file and line.
	Name string `yaml:"name" example:"region-down"`
	// The alert that inhibits. All must match.
	SourceMatchers []string `yaml:"source_matchers" example:"['alertname=\"RegionDown\"']" jsonschema:"required"`
	// The alerts that do not page. All must match.
	TargetMatchers []string `yaml:"target_matchers" example:"['alertname=\"NodeDown\"']" jsonschema:"required"`
	// Labels that must be the same in both. A label missing in both is the same.
	Equal []string `yaml:"equal" example:"[region]"`
	// Pos is where the rule stands: "tocsin.yml:12".
	Pos string `yaml:"-" json:"-"`
}

// TimeInterval is a named set of times. Names are unique.
type TimeInterval struct {
	// The name that routes use.
	Name string `yaml:"name" example:"office-hours" jsonschema:"required"`
	// The times, any of which will do.
	TimeIntervals []Times `yaml:"time_intervals" jsonschema:"required"`
	// Pos is where the interval stands: "tocsin.yml:12".
	Pos string `yaml:"-" json:"-"`
}

// Times is one set of times, written as in Alertmanager. A moment must lie in
// one of each kind that is given; a kind that is absent allows all.
type Times struct {
	// Spans within a day.
	Times []TimeRange `yaml:"times"`
	// Days or spans of days, monday:friday. The week begins on sunday.
	Weekdays []string `yaml:"weekdays" example:"['monday:friday']"`
	// Days or spans of days, from 1. Negative ones count from the month's end.
	DaysOfMonth []string `yaml:"days_of_month" example:"['1:5', '-1']" scalar:"true"`
	// Months or spans of months, by name or by number.
	Months []string `yaml:"months" example:"['january:march', '12']" scalar:"true"`
	// Years or spans of years.
	Years []string `yaml:"years" example:"['2026:2028']" scalar:"true"`
	// The time zone, by its IANA name. Local is the machine's.
	Location string `yaml:"location" defaultdoc:"UTC" example:"Europe/Madrid"`
}

// TimeRange is a span within a day.
type TimeRange struct {
	// The first minute, HH:MM.
	StartTime string `yaml:"start_time" example:"'09:00'" jsonschema:"required"`
	// The first minute after it, HH:MM up to 24:00. A span over midnight is two.
	EndTime string `yaml:"end_time" example:"'17:00'" jsonschema:"required"`
}
