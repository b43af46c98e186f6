package ical

import (
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tocsin-oncall/tocsin/escalation/oncall"
)

// Spans returns the events as shifts, in UTC, of the users that find knows, and
// the titles of the events that it knows nobody for, each once.
func Spans(events []Event, find func(Event) (user string, ok bool)) (spans []oncall.Span, unknown []string) {
	for i := range events {
		e := &events[i]
		if user, ok := find(*e); ok {
			spans = append(spans, oncall.Span{User: user, From: e.From.UTC(), To: e.To.UTC()})
		} else {
			unknown = append(unknown, clip(e.Summary))
		}
	}
	slices.Sort(unknown)
	return spans, slices.Compact(unknown)
}

// Person is somebody whom an event can mean.
type Person struct {
	// User is the name that is returned, and looked for in titles.
	User  string
	Email string
}

// Finder returns a function for Spans that finds the person of an event: by the
// first attendee whose e-mail address is known; by the title, where it is or
// holds a known address or name; by the organizer's address. A title that names
// several people begins with the one it means, or means nobody.
func Finder(people []Person) func(Event) (string, bool) {
	byMail := make(map[string]string)
	for _, p := range people {
		if p.Email != "" {
			byMail[strings.ToLower(p.Email)] = p.User
		}
	}
	return func(e Event) (string, bool) {
		for _, mail := range e.Attendees {
			if user, ok := byMail[mail]; ok {
				return user, true
			}
		}
		if user, ok := byTitle(strings.ToLower(e.Summary), people); ok {
			return user, true
		}
		user, ok := byMail[e.Organizer]
		return user, ok
	}
}

func byTitle(title string, people []Person) (user string, ok bool) {
	found := 0
	for _, p := range people {
		at := min(wordIn(title, strings.ToLower(p.User)), wordIn(title, strings.ToLower(p.Email)))
		if at == 0 {
			return p.User, true
		}
		if at < math.MaxInt {
			user = p.User
			found++
		}
	}
	return user, found == 1
}

// wordIn is where word stands in title with no letter or digit beside it;
// math.MaxInt: nowhere.
func wordIn(title, word string) int {
	for at := 0; word != ""; {
		i := strings.Index(title[at:], word)
		if i < 0 {
			break
		}
		at += i
		before, _ := utf8.DecodeLastRuneInString(title[:at])
		after, size := utf8.DecodeRuneInString(title[at+len(word):])
		if !joins(before) && !(joins(after) || after == '@' && size > 0) {
			return at
		}
		at += len(word)
	}
	return math.MaxInt
}

// joins reports whether a word goes on with r.
func joins(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' }
