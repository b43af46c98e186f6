package config

// hours are the fields of a window, wherever they stand.
type hours struct {
	weekdays   *[]Weekdays
	start, end *Clock
	owner      any
}

func (w *Window) fields() hours       { return hours{&w.Weekdays, &w.StartTime, &w.EndTime, w} }
func (w *When) fields() hours         { return hours{&w.Weekdays, &w.StartTime, &w.EndTime, w} }
func (s *SupportHours) fields() hours { return hours{&s.Weekdays, &s.StartTime, &s.EndTime, s} }

// window refuses one that is never, and reports whether it could be read.
func (c *checker) window(h hours) bool {
	sound := !c.bad[h.start] && !c.bad[h.end] && !c.bad[h.weekdays] && !c.bad[h.owner]
	for i := range *h.weekdays {
		sound = sound && !c.bad[&(*h.weekdays)[i]]
	}
	if *h.weekdays != nil && len(*h.weekdays) == 0 {
		c.fail(at(h.weekdays), "weekdays is empty: this would be at no time; remove it for every day")
		sound = false
	}
	switch {
	case c.bad[h.start] || c.bad[h.end]:
	case *h.start == minutesADay:
		c.fail(at(h.start), "start_time: 24:00 is the end of the day; write 00:00, and the day after it")
	case *h.start == *h.end:
		c.fail(at(h.start, h.end, h.owner), "start_time and end_time are both %s, which could be no time or a whole day; remove both for the whole day, or write 24:00 for its end", *h.end)
	default:
		return sound
	}
	return false
}

// windows checks a list of them, and reports whether all could be read.
func (c *checker) windows(list []Window, key string) bool {
	sound := true
	for i := range list {
		w := &list[i]
		sound = c.window(w.fields()) && sound
		if w.Always() && !c.bad[w] && !c.given(&w.Weekdays) && !c.given(&w.StartTime) && !c.given(&w.EndTime) {
			c.fail(at(w), "an entry of %s has neither weekdays nor times; write them, or remove the entry", key)
			sound = false
		}
	}
	return sound
}

// minutesAWeek counts from Sunday's midnight.
const minutesAWeek = 7 * minutesADay

// fillsWeek reports whether the windows leave no minute of the week.
func fillsWeek(list []Window) bool {
	if len(list) == 0 {
		return false
	}
	var covered [minutesAWeek]bool
	left := minutesAWeek
	for i := range list {
		w := &list[i]
		from, to := w.Minutes()
		if to <= from {
			to += minutesADay
		}
		days := w.Days()
		if days == 0 {
			days = uint8(everyDay)
		}
		for day := range 7 {
			if days&(1<<day) == 0 {
				continue
			}
			for m := day*minutesADay + from; m < day*minutesADay+to; m++ {
				if at := m % minutesAWeek; !covered[at] {
					covered[at] = true
					left--
				}
			}
		}
		if left == 0 {
			return true
		}
	}
	return false
}
