package ical

import (
	"fmt"
	"strings"
	"time"

	ics "github.com/arran4/golang-ical"
)

// zones resolves the names of time zones in one calendar. The rules that the
// calendar brings for them are not read: those of the IANA database are used.
type zones struct {
	fallback *time.Location
	// aliases are the IANA names that the calendar gives its zones.
	aliases map[string]string
	found   map[string]*time.Location
}

func newZones(cal *ics.Calendar, fallback *time.Location) *zones {
	z := &zones{fallback: fallback, aliases: make(map[string]string), found: make(map[string]*time.Location)}
	for _, tz := range cal.Timezones() {
		name, iana := tz.GetProperty(ics.ComponentPropertyTzid), tz.GetProperty("X-LIC-LOCATION")
		if name != nil && iana != nil {
			z.aliases[strings.TrimSpace(name.Value)] = strings.TrimSpace(iana.Value)
		}
	}
	return z
}

// moment reads a value of a property, in the property's time zone.
func (z *zones) moment(p *ics.IANAProperty, value string) (moment, error) {
	zone := z.fallback
	if ids := p.ICalParameters["TZID"]; len(ids) > 0 && !strings.HasSuffix(value, "Z") && strings.Contains(value, "T") {
		if zone = z.location(strings.TrimSpace(ids[0])); zone == nil {
			return moment{}, fmt.Errorf("the time zone %q is not known: use an IANA name like Europe/Madrid", clip(ids[0]))
		}
	}
	return parseMoment(strings.TrimSpace(value), zone)
}

// location returns nil for a zone that is not known.
func (z *zones) location(id string) *time.Location {
	if loc, ok := z.found[id]; ok {
		return loc
	}
	var loc *time.Location
	for _, name := range []string{z.aliases[id], id, global(id), windows[id]} {
		if name == "" || name == "Local" {
			continue
		}
		if l, err := time.LoadLocation(name); err == nil {
			loc = l
			break
		}
	}
	z.found[id] = loc
	return loc
}

// global is the end of a globally unique TZID, which begins with a slash and
// ends by convention with the IANA name: "/mozilla.org/20050126_1/Europe/Berlin"
// (RFC 5545, section 3.2.19).
func global(id string) string {
	if !strings.HasPrefix(id, "/") {
		return ""
	}
	parts := strings.Split(id, "/")
	return strings.Join(parts[max(1, len(parts)-2):], "/")
}

// windows are the names that Outlook and Exchange write, with the IANA zone of
// their main territory (Unicode CLDR, windowsZones.xml).
var windows = map[string]string{
	"UTC":                             "Etc/UTC",
	"GMT Standard Time":               "Europe/London",
	"Greenwich Standard Time":         "Atlantic/Reykjavik",
	"W. Europe Standard Time":         "Europe/Berlin",
	"Central Europe Standard Time":    "Europe/Budapest",
	"Central European Standard Time":  "Europe/Warsaw",
	"Romance Standard Time":           "Europe/Paris",
	"GTB Standard Time":               "Europe/Bucharest",
	"E. Europe Standard Time":         "Europe/Chisinau",
	"FLE Standard Time":               "Europe/Kiev",
	"Turkey Standard Time":            "Europe/Istanbul",
	"Russian Standard Time":           "Europe/Moscow",
	"Israel Standard Time":            "Asia/Jerusalem",
	"Egypt Standard Time":             "Africa/Cairo",
	"South Africa Standard Time":      "Africa/Johannesburg",
	"E. Africa Standard Time":         "Africa/Nairobi",
	"W. Central Africa Standard Time": "Africa/Lagos",
	"Arab Standard Time":              "Asia/Riyadh",
	"Arabian Standard Time":           "Asia/Dubai",
	"Pakistan Standard Time":          "Asia/Karachi",
	"India Standard Time":             "Asia/Calcutta",
	"SE Asia Standard Time":           "Asia/Bangkok",
	"Singapore Standard Time":         "Asia/Singapore",
	"China Standard Time":             "Asia/Shanghai",
	"Taipei Standard Time":            "Asia/Taipei",
	"Tokyo Standard Time":             "Asia/Tokyo",
	"Korea Standard Time":             "Asia/Seoul",
	"W. Australia Standard Time":      "Australia/Perth",
	"E. Australia Standard Time":      "Australia/Brisbane",
	"AUS Eastern Standard Time":       "Australia/Sydney",
	"Cen. Australia Standard Time":    "Australia/Adelaide",
	"New Zealand Standard Time":       "Pacific/Auckland",
	"Hawaiian Standard Time":          "Pacific/Honolulu",
	"Alaskan Standard Time":           "America/Anchorage",
	"Pacific Standard Time":           "America/Los_Angeles",
	"US Mountain Standard Time":       "America/Phoenix",
	"Mountain Standard Time":          "America/Denver",
	"Central Standard Time":           "America/Chicago",
	"Central Standard Time (Mexico)":  "America/Mexico_City",
	"Eastern Standard Time":           "America/New_York",
	"Atlantic Standard Time":          "America/Halifax",
	"Newfoundland Standard Time":      "America/St_Johns",
	"SA Pacific Standard Time":        "America/Bogota",
	"Argentina Standard Time":         "America/Buenos_Aires",
	"E. South America Standard Time":  "America/Sao_Paulo",
}
