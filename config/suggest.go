package config

import (
	"fmt"
	"reflect"
	"strings"
)

// elsewhere explains keys that people bring from Alertmanager, or put into the
// wrong place, by the struct they are put into and the key; "*" is any struct.
var elsewhere = map[string]string{
	"*.match":           `write it as matchers: ['name="value"']`,
	"*.match_re":        `write it as matchers: ['name=~"regular expression"']`,
	"*.source_match":    `write it as source_matchers: ['name="value"']`,
	"*.source_match_re": `write it as source_matchers: ['name=~"regular expression"']`,
	"*.target_match":    `write it as target_matchers: ['name="value"']`,
	"*.target_match_re": `write it as target_matchers: ['name=~"regular expression"']`,

	"Route.group_wait":              "an incident opens with its first alert and is updated in place; remove it",
	"Route.group_interval":          "an incident opens with its first alert and is updated in place; remove it",
	"Route.repeat_interval":         "an incident is told once and updated in place; remove it",
	"Config.mute_time_intervals":    "name the times under time_intervals, and the names in a route's mute_time_intervals",
	"Config.global":                 "providers have sections of their own: slack, pagerduty",
	"Config.templates":              "messages have one form, which is not templated; remove it",
	"Config.tracing":                "there is no tracing; remove it",
	"SlackConfig.api_url":           "Tocsin posts with a bot token: set slack.bot_token_file, and here the channel alone",
	"SlackConfig.api_url_file":      "Tocsin posts with a bot token: set slack.bot_token_file, and here the channel alone",
	"PagerDutyConfig.service_key":   "that is PagerDuty's older API; make an Events API v2 integration and set its routing_key",
	"PagerDutyConfig.url":           "it is set once, as pagerduty.events_url",
	"WebhookConfig.http_config":     "set bearer_token_file or basic_auth here",
	"WebhookConfig.authorization":   "set bearer_token_file here",
	"SlackConfig.send_resolved":     "the message is always updated when the incident resolves; remove it",
	"PagerDutyConfig.send_resolved": "the PagerDuty incident is always resolved with ours; remove it",
	"Schedule.overrides":            "overrides are not configuration: tocsin override add",
	"Schedule.rotations":            "write them as layers, each with users and a rotation",
	"Schedule.rotation":             "write it in a layer: layers: [{users: […], rotation: {…}}]",
	"Schedule.users":                "write them in a layer: layers: [{users: […], rotation: {…}}]",
	"EscalationPolicy.rules":        "write them as steps",
	"EscalationPolicy.num_loops":    "it is called repeat here",
	"Step.delay":                    "it is called after here",
	"Step.targets":                  "it is called notify here",
	"Rotation.type":                 "it is called unit here: hours, days, weeks or months",
	"Rotation.time_zone":            "it is the layer's time_zone, or the schedule's",
	"*.<<":                          "YAML merge keys are not supported; write the keys out",
}

// unknownKey says what is wrong with a key of section t that does not exist,
// and what was probably meant.
func unknownKey(t reflect.Type, key string) string {
	what := "unknown key " + quote(key)
	for _, section := range []string{t.Name(), "*"} {
		if hint, ok := elsewhere[section+"."+key]; ok {
			return what + ": " + hint
		}
	}
	keys := keysOf(t)
	if near, ok := closest(key, keys); ok {
		return fmt.Sprintf("%s; did you mean %s?", what, near)
	}
	if place, ok := placeOf(key); ok {
		return fmt.Sprintf("%s: it belongs in %s", what, place)
	}
	return fmt.Sprintf("%s; the keys here are %s", what, strings.Join(keys, ", "))
}

func keysOf(t reflect.Type) []string {
	var keys []string
	for i := range t.NumField() {
		if key := keyOf(t.Field(i)); key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

// placeOf finds the section that knows the key, if exactly one does.
func placeOf(key string) (string, bool) {
	var places []string
	for _, s := range sections() {
		if _, ok := fieldByKey(s.typ, key); ok {
			places = append(places, s.path)
		}
	}
	if len(places) != 1 || places[0] == "" {
		return "", false
	}
	return places[0], true
}

// closest finds the candidate that s was probably meant to be.
func closest(s string, candidates []string) (string, bool) {
	best, found := "", false
	least := max(1, min(len(s), 24)/3)
	for _, c := range candidates {
		if d := distance(strings.ToLower(s), strings.ToLower(c), least); d <= least && (!found || d < least) {
			best, least, found = c, d, true
		}
	}
	return best, found
}

// distance counts the insertions, deletions, replacements and swaps of
// neighbours between a and b. Lengths that differ by more than limit are not
// looked into.
func distance(a, b string, limit int) int {
	if d := len(a) - len(b); d > limit || -d > limit {
		return limit + 1
	}
	var before []int
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
