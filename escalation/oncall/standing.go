package oncall

import "time"

// Standing is what one layer says at an instant.
type Standing struct {
	Layer string
	// User stands on the layer then; empty: nobody does.
	User string
	// Held is who would stand there, but for the layer's restriction to certain hours
	// or days; empty: nobody would.
	Held string
	// Shadow layers lie beside the schedule's line.
	Shadow bool
}

// Standing returns what each layer says at an instant, before any override: the one
// that wins first, the shadows last.
func (s *Schedule) Standing(t time.Time) []Standing {
	t = t.Round(0)
	cs := &clocks{from: t, to: t.Add(1)}
	first := func(spans []Span) string {
		if len(spans) == 0 {
			return ""
		}
		return spans[0].User
	}
	var out []Standing
	for _, layers := range [][]layer{s.line, s.shadows} {
		for i := range layers {
			l := &layers[i]
			st := Standing{Layer: l.Name, User: first(s.covers(l, cs)), Shadow: l.Shadow}
			if st.User == "" {
				open := *l
				open.Windows, open.Days = nil, EveryDay
				st.Held = first(s.covers(&open, cs))
			}
			out = append(out, st)
		}
	}
	return out
}
