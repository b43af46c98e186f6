package config

import "github.com/tocsin-oncall/tocsin"

// StatusPage is what anybody may see of how things stand: /status as a page, and
// /status.json.
type StatusPage struct {
	// The heading of the page.
	Title string `yaml:"title" default:"Status" example:"How we are doing"`
	// What it tells of, in this order. Only what is written here is shown: names,
	// descriptions, how each stands and since when. Without any there is no page.
	Components []StatusComponent `yaml:"components"`
}

// StatusComponent is a part of what others use. It is as bad as the worst of its
// alerts that fires in an open incident and is not silenced.
type StatusComponent struct {
	// What others call it.
	Name string `yaml:"name" example:"Payments" jsonschema:"required"`
	// What it is.
	Description string `yaml:"description" example:"Paying by card and by invoice"`
	// The alerts that tell of it: all of these match.
	Matchers []string `yaml:"matchers" example:"['service=\"payments\"']" jsonschema:"required"`
	// The severity from which on it is degraded.
	Degraded tocsin.Severity `yaml:"degraded" default:"warning" example:"error"`
	// The severity from which on it is down.
	Down tocsin.Severity `yaml:"down" default:"critical" example:"error"`
	// Pos is where the component stands: "tocsin.yml:12".
	Pos string `yaml:"-" json:"-"`
}
