package trace

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// route says which rule took it; what the others say is as they are written now.
func (m *Material) route() []tocsin.Reason {
	inc := m.Incident
	r := reason(tocsin.StageRoute, "", inc.OpenedAt, "for %s", receivers(inc.Receivers))
	r.Where = inc.Route
	if inc.Route != "" {
		r.Text = "took the first alert, for " + receivers(inc.Receivers)
	}
	out := []tocsin.Reason{r}
	if len(m.Rules) == 0 {
		return out
	}
	out = append(out, m.moved()...)
	left := 0
	for n := range m.Rules {
		rule := &m.Rules[n]
		switch {
		case rule.Takes:
			out = append(out, rule.takes()...)
		case left < Routes:
			left++
			out = append(out, now("", rule.Pos, "%s, for receiver %s, did not take it: %s", rule.title(), rule.Receiver, rule.Not))
		default:
			left++
		}
	}
	if left > Routes {
		out = append(out, now("", "", "and %d more routes did not take it", left-Routes))
	}
	return out
}

func now(end tocsin.ReasonEnd, where, format string, args ...any) tocsin.Reason {
	r := reason(tocsin.StageRoute, end, time.Time{}, format, args...)
	r.Where, r.Now = where, true
	return r
}

// moved says what became of the route since, where the configuration was read again.
func (m *Material) moved() []tocsin.Reason {
	i := slices.IndexFunc(m.Rules, func(r Rule) bool { return r.Takes })
	if i < 0 || len(m.Incident.Routes) == 0 {
		return nil
	}
	first := &m.Rules[i]
	switch {
	case first.Key != m.Incident.Routes[0]:
		return []tocsin.Reason{now("", first.Pos, "the configuration is another one since, read at %s: it would be taken by %s now; what was decided stands", clock(m.Loaded), first.title())}
	case first.Pos != m.Incident.Route:
		return []tocsin.Reason{now("", first.Pos, "the configuration was read again at %s: the route that stood at %s then stands here now; other lines may have moved too", clock(m.Loaded), m.Incident.Route)}
	case m.Loaded.After(m.Incident.OpenedAt):
		return []tocsin.Reason{now("", "", "the configuration was read again at %s, after it had opened: lines may have moved", clock(m.Loaded))}
	}
	return nil
}

func (r *Rule) takes() []tocsin.Reason {
	text := r.title() + " takes it, for receiver " + r.Receiver
	if r.Continue {
		text += "; it says continue: true, so that those behind it are tried too"
	}
	out := []tocsin.Reason{now("", r.Pos, "%s", text)}
	if r.MutedBy != "" {
		out = append(out, now(tocsin.EndHeld, r.Pos, "receiver %s is not told by this route now: time interval %s mutes it", r.Receiver, r.MutedBy))
	}
	return out
}

func (r *Rule) title() string {
	if r.Matchers == "" || r.Matchers == "{}" {
		return "the route for everything"
	}
	return r.Matchers
}

func receivers(names []string) string {
	if len(names) == 0 {
		return "no receiver"
	}
	return fmt.Sprint(strings.Join(names, ", "))
}
