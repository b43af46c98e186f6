package watch

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// me is who makes overrides for a handoff.
const me = "tocsin"

// kindWatch are the documents that hold what was told, one for each schedule.
const kindWatch = "watch"

// told is what a schedule's people were told last.
type told struct {
	// User is who was on call, and Since when the shift was told.
	User  string    `json:"user"`
	Since time.Time `json:"since"`
	// Future are the shifts that people know of, up to Until.
	Future []tocsin.Shift `json:"future,omitempty"`
	Until  time.Time      `json:"until,omitzero"`
	// Handoff is the notice that waits for an acknowledgement, Incoming whose it
	// is to give, and Override what keeps the outgoing one on call meanwhile.
	Handoff  string    `json:"handoff,omitempty"`
	Incoming string    `json:"incoming,omitempty"`
	Override string    `json:"override,omitempty"`
	Expires  time.Time `json:"expires,omitzero"`
	// Boundary is the change of shift that an acknowledgement was last asked for
	// ahead of.
	Boundary time.Time `json:"boundary,omitzero"`
	// Turns are when the latest changes of shift were told, and News when people
	// were last told that their shifts have changed.
	Turns []time.Time     `json:"turns,omitempty"`
	News  map[string]news `json:"news,omitempty"`
}

// waits tells what is waited for.
func (t *told) waits() string { return t.Handoff + " " + t.Override }

// notice is something to tell.
type notice struct {
	// to names a person, or is empty for the schedule's channel.
	to, title, text string
	// ask has the reader acknowledge.
	ask bool
}

// body is the text of a notice, with how to answer one that asks.
func (n notice) body(id string) string {
	if !n.ask {
		return n.text
	}
	return strings.TrimSpace("To acknowledge: tocsin ack " + id + "\n" + n.text)
}

// turn is a change of who is on call.
type turn struct {
	from, to string
	shift    tocsin.Shift
}

// current is who is on call on the schedule's own line, or the gap.
func current(s *Schedule, overrides []tocsin.Override, now time.Time) tocsin.Shift {
	for _, sh := range s.At(overrides, now) {
		if !sh.Extra && !sh.Shadow {
			return sh
		}
	}
	return tocsin.Shift{Schedule: s.Name(), From: now, To: now}
}

// changed reports the change of shift since the last look, if there was one. The
// first look at a schedule is none.
func changed(was *told, sh tocsin.Shift) (turn, bool) {
	if was.Since.IsZero() || was.User == sh.User {
		return turn{}, false
	}
	return turn{from: was.User, to: sh.User, shift: sh}, true
}

// notices are what people are told of a change of shift.
func (t turn) notices(s *Schedule, brief string) []notice {
	name := s.Name()
	var out []notice
	if s.Notify && t.from != "" {
		out = append(out, notice{to: t.from, title: fmt.Sprintf("Your shift on %s is over", name), text: takenBy(t.to)})
	}
	asks := s.AcknowledgeWithin > 0 && !s.OutgoingStays
	if (s.Notify || asks) && t.to != "" {
		n := notice{to: t.to, title: fmt.Sprintf("You are on call on %s until %s", name, stamp(t.shift.To, s)), text: brief}
		if asks {
			n.ask = true
			n.text = fmt.Sprintf("Please acknowledge within %s.\n%s", s.AcknowledgeWithin, brief)
		}
		out = append(out, n)
	}
	if s.Channel.Key != "" {
		out = append(out, notice{title: headline(t, s), text: brief})
	}
	return out
}

func headline(t turn, s *Schedule) string {
	switch {
	case t.to == "":
		return fmt.Sprintf("NOBODY is on call on %s until %s", s.Name(), stamp(t.shift.To, s))
	case t.from == "":
		return fmt.Sprintf("%s is on call on %s until %s", t.to, s.Name(), stamp(t.shift.To, s))
	default:
		return fmt.Sprintf("%s takes over from %s on %s until %s", t.to, t.from, s.Name(), stamp(t.shift.To, s))
	}
}

func takenBy(user string) string {
	if user == "" {
		return "Nobody takes over: there is a gap in the schedule."
	}
	return user + " takes over."
}

func stamp(t time.Time, s *Schedule) string { return t.In(s.Location()).Format("Mon 2 Jan 15:04 MST") }

// moved compares the shifts that people know of with those that are to come,
// and returns what each of them is told. Both cover [now, until).
func moved(known, next []tocsin.Shift, s *Schedule, now, until time.Time) []notice {
	before, after := byUser(known, now, until), byUser(next, now, until)
	users := map[string]bool{}
	for u := range before {
		users[u] = true
	}
	for u := range after {
		users[u] = true
	}
	names := make([]string, 0, len(users))
	for u := range users {
		names = append(names, u)
	}
	slices.Sort(names)
	var out []notice
	for _, u := range names {
		gone, come := missing(before[u], after[u]), missing(after[u], before[u])
		if len(gone) == 0 && len(come) == 0 {
			continue
		}
		var lines []string
		for _, sh := range come {
			lines = append(lines, fmt.Sprintf("new: %s to %s (%s)", stamp(sh.From, s), stamp(sh.To, s), sh.Source))
		}
		for _, sh := range gone {
			lines = append(lines, fmt.Sprintf("no longer: %s to %s", stamp(sh.From, s), stamp(sh.To, s)))
		}
		out = append(out, notice{to: u, title: fmt.Sprintf("Your shifts on %s have changed", s.Name()), text: strings.Join(lines, "\n")})
	}
	return out
}

// byUser gathers the shifts of each person, clipped and joined, so that only
// what changes for the person counts.
func byUser(shifts []tocsin.Shift, from, to time.Time) map[string][]tocsin.Shift {
	out := map[string][]tocsin.Shift{}
	for _, sh := range shifts {
		if sh.Gap() || sh.Shadow || !sh.To.After(from) || !sh.From.Before(to) {
			continue
		}
		if sh.From.Before(from) {
			sh.From = from
		}
		if sh.To.After(to) {
			sh.To = to
		}
		list := out[sh.User]
		if n := len(list); n > 0 && list[n-1].To.Equal(sh.From) {
			list[n-1].To = sh.To
		} else {
			list = append(list, sh)
		}
		out[sh.User] = list
	}
	return out
}

// missing are the shifts of a that b has not.
func missing(a, b []tocsin.Shift) []tocsin.Shift {
	var out []tocsin.Shift
	for _, x := range a {
		if !slices.ContainsFunc(b, func(y tocsin.Shift) bool { return x.From.Equal(y.From) && x.To.Equal(y.To) }) {
			out = append(out, x)
		}
	}
	return out
}
