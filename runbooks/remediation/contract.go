package remediation

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// stop is the kill switch of one remedy, or of all.
type stop struct {
	// Stopped holds new starts and ends what runs.
	Stopped bool      `json:"stopped"`
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	// Resumed is when it was last let go: what failed before is forgotten by the
	// breaker.
	Resumed time.Time `json:"resumed,omitzero"`
}

// stops are the kill switches by their names.
type stops map[string]stop

// held says who holds a remedy, or "".
func (s stops) held(remedy string) string {
	for _, name := range []string{everything, remedy} {
		if k := s[name]; k.Stopped {
			return fmt.Sprintf("stopped by %s at %s; resume it first", k.By, stamp(k.At))
		}
	}
	return ""
}

// resumed is when a remedy's past was last forgotten.
func (s stops) resumed(remedy string) time.Time {
	if all, one := s[everything].Resumed, s[remedy].Resumed; all.After(one) {
		return all
	}
	return s[remedy].Resumed
}

// fleet is what is known of the size of a fleet.
type fleet struct {
	asked bool
	size  float64
}

// question is whether a remedy may be started now. It is pure.
type question struct {
	remedy *remedy
	// record is the one to start, which is among the others when it is kept
	// already.
	id, target string
	others     *index
	stops      stops
	fleet      fleet
	now        time.Time
}

// refusal is one reason why not.
type refusal struct {
	text string
	// gaveUp is true when the breaker is open.
	gaveUp bool
}

// refusals are all the reasons why not; none: it may.
func (q *question) refusals() []refusal {
	var out []refusal
	say := func(text string) {
		if text != "" {
			out = append(out, refusal{text: text})
		}
	}
	if q.others.bad != nil {
		say(q.others.bad.Error())
	}
	say(q.stops.held(q.remedy.spec.Name))
	say(q.busy())
	say(q.cooling())
	text, over := q.perTarget()
	if over {
		say(text)
	}
	if text, over = q.overFleet(); over {
		say(text)
	}
	if text := q.broken(); text != "" {
		out = append(out, refusal{text: text, gaveUp: true})
	}
	return out
}

// mine yields the remediations of the same remedy.
func (q *question) mine(yield func(*record) bool) {
	q.others.each(func(r *record) bool { return r.Remedy != q.remedy.spec.Name || yield(r) })
}

// busy says where the same runs for the same target now.
func (q *question) busy() (text string) {
	q.mine(func(r *record) bool {
		if r.ID != q.id && r.Target == q.target && r.active() {
			text = fmt.Sprintf("it is at work on %s already, for another incident or run", orAll(q.target))
		}
		return text == ""
	})
	return text
}

func (q *question) cooling() (text string) {
	cooldown := q.remedy.spec.Contract.Cooldown
	q.mine(func(r *record) bool {
		if r.ID != q.id && r.Target == q.target && r.State.Ran() && r.State.Final() && r.EndedAt.Add(cooldown).After(q.now) {
			text = fmt.Sprintf("cooldown: it ran on %s until %s; again from %s on", orAll(q.target), stamp(r.EndedAt), stamp(r.EndedAt.Add(cooldown)))
		}
		return text == ""
	})
	return text
}

// perTarget says how much of the target's budget is spent, and whether one more
// run would be too many.
func (q *question) perTarget() (text string, over bool) {
	b := q.remedy.spec.Contract.Budget.PerTarget
	if b.Runs == 0 {
		return "", false
	}
	spent := 0
	q.started(b.In, func(r *record) {
		if r.Target == q.target {
			spent++
		}
	})
	return fmt.Sprintf("budget: %d of %d runs on %s in %s", spent, b.Runs, orAll(q.target), span(b.In)), spent >= b.Runs
}

// overFleet does the same over all targets. A share counts targets: one that was
// acted on before makes it no larger.
func (q *question) overFleet() (text string, over bool) {
	b := q.remedy.spec.Contract.Budget.Fleet
	runs, targets := 0, map[string]bool{}
	q.started(b.In, func(r *record) {
		runs++
		targets[r.Target] = true
	})
	switch {
	case b.Percent > 0 && !q.fleet.asked:
		return fmt.Sprintf("budget: %d targets in %s, of %g %% of the fleet", len(targets), span(b.In), b.Percent), false
	case b.Percent > 0:
		limit := fleetLimit(b.Percent, q.fleet.size)
		text = fmt.Sprintf("budget: %d of %d targets in %s (%g %% of %g)", len(targets), limit, span(b.In), b.Percent, q.fleet.size)
		return text, !targets[q.target] && len(targets) >= limit
	case b.Runs > 0:
		return fmt.Sprintf("budget: %d of %d runs over all targets in %s", runs, b.Runs, span(b.In)), runs >= b.Runs
	default:
		return "", false
	}
}

// started calls count for every start of the remedy within a time. One that the
// clock puts into the future counts too.
func (q *question) started(within time.Duration, count func(*record)) {
	q.mine(func(r *record) bool {
		for _, at := range r.Starts {
			if at.Add(within).After(q.now) {
				count(r)
			}
		}
		return true
	})
}

// broken says why the remedy is given up, with its history; "": it is not.
func (q *question) broken() string {
	b := q.remedy.spec.Contract.Breaker
	if b.Runs == 0 {
		return ""
	}
	since := q.now.Add(-b.In)
	if at := q.stops.resumed(q.remedy.spec.Name); at.After(since) {
		since = at
	}
	var failed []*record
	q.mine(func(r *record) bool {
		if unhelpful(r.State) && r.EndedAt.After(since) {
			failed = append(failed, r)
		}
		return true
	})
	if len(failed) < b.Runs {
		return ""
	}
	return fmt.Sprintf("breaker: %d runs in %s have not helped (%s); resume it when it is mended", len(failed), span(b.In), history(failed, 3))
}

// unhelpful are the ends that the breaker counts. What nobody saw the end of has
// not been seen to help.
func unhelpful(s tocsin.RemediationState) bool {
	return s == tocsin.RemediationNotFixed || s == tocsin.RemediationRolledBack || s == tocsin.RemediationUnknown
}

// fleetSize reads the answer to "how large is the fleet?".
func fleetSize(values []float64) (fleet, error) {
	if len(values) != 1 || math.IsNaN(values[0]) || math.IsInf(values[0], 0) || values[0] < 1 {
		return fleet{}, fmt.Errorf("the size of the fleet is not known: want one value of at least 1, got %v", firstFew(values))
	}
	return fleet{asked: true, size: values[0]}, nil
}

func firstFew(values []float64) []float64 { return values[:min(len(values), 3)] }

// history tells of runs, the newest first.
func history(runs []*record, most int) string {
	runs = newestFirst(runs)
	var lines []string
	for _, r := range runs[:min(len(runs), most)] {
		lines = append(lines, fmt.Sprintf("%s %s: %s", stamp(r.EndedAt), orAll(r.Target), r.State))
	}
	if n := len(runs) - most; n > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", n))
	}
	return strings.Join(lines, "; ")
}

func orAll(target string) string {
	if target == "" {
		return "its target"
	}
	return target
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// span is "1h", "7d", "90s".
func span(d time.Duration) string {
	if day := 24 * time.Hour; d >= day && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
