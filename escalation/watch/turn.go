package watch

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation/oncall"
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
	Handoff  string `json:"handoff,omitempty"`
	Incoming string `json:"incoming,omitempty"`
	// Outgoing is who was on call before: the one who cannot acknowledge it.
	Outgoing string    `json:"outgoing,omitempty"`
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
	// ask has the reader acknowledge; from is whose duty is taken over.
	ask  bool
	from string
}

// body is the text of a notice, with how to answer one that asks.
func (n notice) body(id string) string {
	if !n.ask {
		return n.text
	}
	return strings.TrimSpace("Please acknowledge: tocsin ack " + id + "\n" + n.text)
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
			n.ask, n.from = true, t.from
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
	before, after := duty(known, now, until), duty(next, now, until)
	var out []notice
	for _, u := range slices.Sorted(maps.Keys(union(before, after))) {
		var lines []string
		for _, in := range after[u].Subtract(before[u]) {
			lines = append(lines, fmt.Sprintf("new: %s to %s (%s)", stamp(in.From, s), stamp(in.To, s), whose(next, in.From, u)))
		}
		for _, in := range before[u].Subtract(after[u]) {
			lines = append(lines, fmt.Sprintf("no longer: %s to %s (%s)", stamp(in.From, s), stamp(in.To, s), whose(next, in.From, "")))
		}
		if len(lines) > 0 {
			out = append(out, notice{to: u, title: fmt.Sprintf("Your shifts on %s have changed", s.Name()), text: strings.Join(lines, "\n")})
		}
	}
	return out
}

// duty is when each person is on call in [from, to).
func duty(shifts []tocsin.Shift, from, to time.Time) map[string]oncall.Set {
	spans := map[string][]oncall.Interval{}
	for i := range shifts {
		if sh := &shifts[i]; !sh.Gap() && !sh.Shadow {
			spans[sh.User] = append(spans[sh.User], oncall.Interval{From: sh.From, To: sh.To})
		}
	}
	out := map[string]oncall.Set{}
	for u, list := range spans {
		out[u] = oncall.Union(list...).Intersect(oncall.Between(from, to))
	}
	return out
}

func union(a, b map[string]oncall.Set) map[string]oncall.Set {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

// whose says who is on call at an instant, and why: of a person why alone, and
// of nobody ("") who.
func whose(shifts []tocsin.Shift, at time.Time, user string) string {
	for i := range shifts {
		sh := &shifts[i]
		if sh.Shadow || sh.From.After(at) || !sh.To.After(at) || user != "" && sh.User != user {
			continue
		}
		switch {
		case sh.Gap():
			return strings.TrimSpace("nobody " + sh.Source)
		case user == "":
			return sh.User + ", " + sh.Source
		default:
			return sh.Source
		}
	}
	return "nobody"
}
