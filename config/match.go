package config

import (
	"encoding/json"
	"fmt"

	"github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/alertmanager/timeinterval"
)

// ParseMatchers reads a list of matchers as Alertmanager does in its UTF-8 mode.
// An entry may hold several, in braces or not, separated by commas. All of them
// must match. The matchers of a configuration that was loaded parse.
func ParseMatchers(list []string) (labels.Matchers, error) {
	var out labels.Matchers
	for _, text := range list {
		m, err := parse.Matchers(text)
		if err != nil {
			return nil, fmt.Errorf("matcher %q: %w", text, err)
		}
		out = append(out, m...)
	}
	return out, nil
}

// Parse turns the times into Alertmanager's type, which answers whether a moment
// lies within. The times of a configuration that was loaded parse.
func (t Times) Parse() (timeinterval.TimeInterval, error) {
	var out timeinterval.TimeInterval
	var err error
	for _, r := range t.Times {
		if out.Times, err = appendParsed(out.Times, r.plain()); err != nil {
			return out, err
		}
	}
	if out.Weekdays, err = parseAll(out.Weekdays, t.Weekdays); err != nil {
		return out, err
	}
	if out.DaysOfMonth, err = parseAll(out.DaysOfMonth, t.DaysOfMonth); err != nil {
		return out, err
	}
	if out.Months, err = parseAll(out.Months, t.Months); err != nil {
		return out, err
	}
	if out.Years, err = parseAll(out.Years, t.Years); err != nil {
		return out, err
	}
	if t.Location != "" {
		out.Location = new(timeinterval.Location)
		err = parseAs(t.Location, out.Location)
	}
	return out, err
}

// plain is the range as Alertmanager's type reads it.
func (r TimeRange) plain() map[string]string {
	return map[string]string{"start_time": r.StartTime, "end_time": r.EndTime}
}

func parseAll[T any](out []T, list []string) ([]T, error) {
	var err error
	for _, text := range list {
		if out, err = appendParsed(out, text); err != nil {
			return out, err
		}
	}
	return out, nil
}

func appendParsed[T any](out []T, value any) ([]T, error) {
	var parsed T
	err := parseAs(value, &parsed)
	return append(out, parsed), err
}

// parseAs gives the value to Alertmanager's own reading of it, which takes JSON.
func parseAs(value, into any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}
