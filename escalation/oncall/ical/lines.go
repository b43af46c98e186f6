package ical

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// maxParameters of one property. The library's cost of reading a line grows with
// their number times the line's length.
const maxParameters = 64

// kept are the properties that are handed to the library, by component.
var kept = map[string]map[string]bool{
	"VCALENDAR": {"VERSION": true, "PRODID": true},
	"VTIMEZONE": {"TZID": true, "X-LIC-LOCATION": true},
	"VEVENT": {
		"UID": true, "SEQUENCE": true, "STATUS": true, "SUMMARY": true, "ATTENDEE": true, "ORGANIZER": true,
		"DTSTART": true, "DTEND": true, "DURATION": true, "RRULE": true, "RDATE": true, "EXRULE": true,
		"EXDATE": true, "RECURRENCE-ID": true,
	},
}

// cleaner reduces a calendar to what is read of it: unfolded lines with
// upper-case names, of the components and properties in kept. It also sees that
// components are closed: a download that broke off must not pass for a calendar
// with fewer events.
type cleaner struct {
	out    bytes.Buffer
	stack  []string
	events int
	line   int
	done   bool
}

func clean(data []byte) ([]byte, error) {
	c := &cleaner{}
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	var logical []byte
	for len(data) > 0 {
		var line []byte
		line, data, _ = bytes.Cut(data, []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
		c.line++
		if len(line) > 0 && (line[0] == ' ' || line[0] == '\t') {
			logical = append(logical, line[1:]...)
			continue
		}
		if err := c.take(logical); err != nil {
			return nil, err
		}
		logical = append(logical[:0], line...)
	}
	if err := c.take(logical); err != nil {
		return nil, err
	}
	if !c.done {
		return nil, errors.New("the calendar is cut off: END:VCALENDAR is missing")
	}
	return c.out.Bytes(), nil
}

// take looks at one unfolded line.
func (c *cleaner) take(line []byte) error {
	if len(bytes.TrimSpace(line)) == 0 || c.done {
		return nil
	}
	end := bytes.IndexAny(line, ";:")
	if end < 0 {
		end = len(line)
	}
	name := strings.ToUpper(string(line[:end]))
	rest := line[end:]
	value := strings.ToUpper(string(bytes.TrimSpace(bytes.TrimPrefix(rest, []byte(":")))))
	switch {
	case len(c.stack) == 0 && (name != "BEGIN" || value != "VCALENDAR"):
		return errors.New("this is no iCalendar: it does not begin with BEGIN:VCALENDAR; does the address lead to a login page?")
	case name == "BEGIN":
		return c.begin(value)
	case name == "END":
		return c.end(value)
	}
	inner := c.stack[len(c.stack)-1]
	if !kept[inner][name] || !c.keeps() {
		return nil
	}
	if parameters(rest) > maxParameters {
		return fmt.Errorf("line %d: %s has more than %d parameters", c.line, name, maxParameters)
	}
	c.write(name + strings.ToValidUTF8(string(rest), "\uFFFD"))
	return nil
}

func (c *cleaner) begin(component string) error {
	c.stack = append(c.stack, component)
	if !c.keeps() {
		return nil
	}
	if component == "VEVENT" {
		if c.events++; c.events > MaxEvents {
			return fmt.Errorf("the calendar has more than %d events", MaxEvents)
		}
	}
	c.write("BEGIN:" + component)
	return nil
}

func (c *cleaner) end(component string) error {
	last := len(c.stack) - 1
	if c.stack[last] != component {
		return fmt.Errorf("line %d: END:%s closes BEGIN:%s", c.line, clip(component), clip(c.stack[last]))
	}
	if c.keeps() {
		c.write("END:" + component)
	}
	c.stack = c.stack[:last]
	c.done = last == 0
	return nil
}

// keeps reports whether the innermost component is one that is read: an event or
// a time zone right inside the calendar, not an alarm in an event.
func (c *cleaner) keeps() bool {
	switch len(c.stack) {
	case 1:
		return true
	case 2:
		return kept[c.stack[1]] != nil && c.stack[1] != "VCALENDAR"
	}
	return false
}

func (c *cleaner) write(line string) {
	c.out.WriteString(line)
	c.out.WriteString("\r\n")
}

// parameters counts the separators before a property's value, as the library
// splits them: a backslash hides the character behind it.
func parameters(rest []byte) int {
	n, quoted := 0, false
	for i := 0; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			i++
		case '"':
			quoted = !quoted
		case ';', ',':
			n++
		case ':':
			if !quoted {
				return n
			}
		}
	}
	return n
}
