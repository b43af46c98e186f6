package oncall

import "time"

// Within reports whether an instant lies in one of the windows, on the wall clock
// of its own location. No windows are no restriction: it is true.
func Within(windows []Window, t time.Time) bool {
	return len(windows) == 0 || len(WindowSpans(windows, t.Location(), t, t.Add(1))) > 0
}

// NextEnd returns the end of the windows that t is in: the first instant, from t
// on, that lies in none, on the wall clock of t's location. That is t itself when
// it lies in none now. False: there is no end, the windows fill the week or there
// are none.
func NextEnd(windows []Window, t time.Time) (time.Time, bool) {
	// What is covered for longer than a week, with whatever the clocks do in it, is
	// covered for ever.
	const ahead = 9 * 24 * time.Hour
	t = t.Round(0)
	covered := WindowSpans(windows, t.Location(), t, t.Add(ahead))
	switch {
	case len(covered) == 0 || covered[0].From.After(t):
		return t, true
	case covered[0].To.Before(t.Add(ahead)):
		return covered[0].To, true
	default:
		return time.Time{}, false
	}
}

// WindowSpans returns the part of [from, to) that lies in one of the windows, on
// the wall clock of a location (nil: UTC). No windows are no restriction: it is
// everything.
func WindowSpans(windows []Window, loc *time.Location, from, to time.Time) Set {
	if len(windows) == 0 || !from.Before(to) {
		return Between(from, to)
	}
	return windowSpans(windows, newClock(loc, from, to), from, to)
}

func windowSpans(windows []Window, c *clock, from, to time.Time) Set {
	// A window ends at most a day after it began, and the clock may jump for one.
	first := floor(c.civil(from), dayMinutes) - 2
	days := floor(c.civil(to), dayMinutes) - first + 2
	found := make(Set, 0, int(days)*len(windows))
	sorted := true
	for day := first; c.instant(day * dayMinutes).Before(to); day++ {
		for _, w := range windows {
			in, ok := w.on(day, c, from, to)
			if !ok {
				continue
			}
			if n := len(found); n > 0 && in.From.Before(found[n-1].From) {
				sorted = false
			}
			found = append(found, in)
		}
	}
	if !sorted {
		return Union(found...)
	}
	out := found[:0]
	for _, in := range found {
		out = out.add(in)
	}
	return out
}

// on returns the window that begins on a day, clipped.
func (w Window) on(day int64, c *clock, from, to time.Time) (Interval, bool) {
	if w.Days != 0 && w.Days&(1<<weekday(day)) == 0 {
		return Interval{}, false
	}
	end := w.To
	if end <= w.From {
		end += dayMinutes
	}
	begins, ends := c.instant(day*dayMinutes+int64(w.From)), c.instant(day*dayMinutes+int64(end))
	in := Interval{later(begins, from), earlier(ends, to)}
	return in, in.From.Before(in.To)
}
