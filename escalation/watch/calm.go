package watch

import (
	"maps"
	"slices"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// A calendar that says one thing now and another in five minutes must not have
// people told of it again and again. What is held back is told later, as it is
// then, and not at all where everything is as it was.
const (
	// mostTurns is how many changes of shift are told within turnsWithin.
	mostTurns   = 4
	turnsWithin = time.Hour
	// firstCalm is how long a person is told of no other change of shifts to come
	// after one. It doubles up to longestCalm, until there was none for calmAfter.
	firstCalm   = 5 * time.Minute
	longestCalm = 6 * time.Hour
	calmAfter   = 24 * time.Hour
)

// news is when a person was last told of changes, and for how long of no others.
type news struct {
	At   time.Time     `json:"at"`
	Wait time.Duration `json:"wait"`
}

// mayTurn reports whether a change of shift may be told now, and notes that it
// is.
func (t *told) mayTurn(now time.Time) bool {
	recent := slices.DeleteFunc(slices.Clone(t.Turns), func(at time.Time) bool { return now.Sub(at) >= turnsWithin || at.After(now) })
	if len(recent) >= mostTurns {
		return false
	}
	t.Turns = append(recent, now)
	return true
}

// hold tells the notices that may be told now from the people who were told of
// changes too lately, and says until when the first of these is held back.
func (t *told) hold(notices []notice, now time.Time) (tell []notice, held map[string]bool, until time.Time) {
	t.News = maps.Clone(t.News)
	maps.DeleteFunc(t.News, func(_ string, n news) bool { return now.Sub(n.At) >= calmAfter || n.At.After(now) })
	held = map[string]bool{}
	for _, n := range notices {
		last := t.News[n.to]
		if at := last.At.Add(last.Wait); at.After(now) {
			held[n.to] = true
			if until.IsZero() || at.Before(until) {
				until = at
			}
			continue
		}
		if t.News == nil {
			t.News = map[string]news{}
		}
		t.News[n.to] = news{At: now, Wait: min(max(2*last.Wait, firstCalm), longestCalm)}
		tell = append(tell, n)
	}
	return tell, held, until
}

// mix keeps what those who were held back know of up to knownUntil, and takes
// the shifts to come of all others.
func mix(known, next []tocsin.Shift, held map[string]bool, knownUntil time.Time) []tocsin.Shift {
	var out []tocsin.Shift
	for _, sh := range known {
		if held[sh.User] {
			out = append(out, sh)
		}
	}
	for _, sh := range next {
		if held[sh.User] {
			if !sh.To.After(knownUntil) {
				continue
			}
			if sh.From.Before(knownUntil) {
				sh.From = knownUntil
			}
		}
		out = append(out, sh)
	}
	slices.SortStableFunc(out, func(a, b tocsin.Shift) int { return a.From.Compare(b.From) })
	return out
}
