package router

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tocsin-oncall/tocsin"
)

// maxTitle is the longest title of an incident, in runes.
const maxTitle = 200

// maxNamed is the number of alerts that one line of a timeline names.
const maxNamed = 3

// settle brings an incident in line with its counters after a batch, and writes
// it with its timeline.
func (d *decision) settle(w *work) {
	inc, now := w.inc, d.in.now
	l := log{inc: inc, now: now}
	if t := d.in.batch.Truncated; t != inc.Truncated && !w.fired.empty() {
		inc.Truncated = t
		if t > 0 {
			l.line(tocsin.EventTruncated, fmt.Sprintf("the sender left out %d alerts of this group; absence is not taken for resolution", t))
		}
	}
	if w.isNew {
		inc.Severity = cmp.Or(w.severity, w.worst)
		inc.StateRevision = inc.Revision
		l.line(tocsin.EventOpened, w.fired.text("fires", "fire"))
	} else {
		if !inc.Open() && (!w.fired.empty() || w.released) && inc.Firing > inc.Suppressed {
			d.out.Reopened++
			l.add(inc.Reopen("fires again", now), true)
		}
		w.tell(&l, d.rules.timing.Stale)
		l.add(inc.Raise(w.severity, now))
	}
	if w.marked > 0 {
		l.line(w.suppressionLine())
	}
	if w.wasFiring != (inc.Firing > 0) {
		l.add(inc.Flip(now, d.rules.timing.FlapChanges, d.rules.timing.FlapWindow))
	}
	d.rules.finish(&l)
	l.events = append(l.events, d.in.escalate(d.tx, inc)...)
	d.tx.PutIncident(inc)
	d.tx.Append(l.events...)
}

// tell writes what became of the incident's alerts. A flapping incident says so
// once and is shown by its counters after that.
func (w *work) tell(l *log, stale time.Duration) {
	if w.late != "" {
		l.line(tocsin.EventAlertLate, w.late)
	}
	if w.stale > 0 {
		l.line(tocsin.EventAlertStale, fmt.Sprintf("%d alerts closed as stale: not heard of for %s", w.stale, stale))
	}
	if w.inc.Flapping {
		return
	}
	if !w.fired.empty() {
		l.line(tocsin.EventAlertFired, w.fired.text("fires", "fire"))
	}
	if !w.ended.empty() {
		l.line(tocsin.EventAlertResolved, w.ended.text("is resolved", "are resolved"))
	}
}

func (w *work) suppressionLine() (tocsin.EventKind, string) {
	subject := "1 alert"
	if w.marked > 1 {
		subject = fmt.Sprintf("%d alerts", w.marked)
	}
	if w.why == nil {
		return tocsin.EventUnsuppressed, subject + " no longer suppressed"
	}
	return tocsin.EventSuppressed, subject + " " + w.why.Text
}

// log collects what happens to one incident in one decision.
type log struct {
	inc    *tocsin.Incident
	now    time.Time
	events []tocsin.Event
}

func (l *log) add(e tocsin.Event, ok bool) {
	if ok {
		l.events = append(l.events, e)
	}
}

func (l *log) line(kind tocsin.EventKind, text string) {
	l.events = append(l.events, l.inc.Event(kind, "", text, l.now))
}

// finish applies the rules that depend on the incident and the time alone. The
// sweep calls it too, as time passes. It is idempotent.
func (r *Rules) finish(l *log) {
	inc, now := l.inc, l.now
	targets, muted := r.aim(inc, now)
	if inc.Open() {
		l.add(inc.Mute(muted, now))
	}
	over := inc.Firing == 0 && inc.Kind == tocsin.KindAlerts
	settled := inc.Flapping && now.Sub(inc.Flips[len(inc.Flips)-1]) >= r.timing.FlapSettle
	switch {
	case inc.Open() && over && settled:
		l.add(inc.Resolve("", fmt.Sprintf("nothing has fired for %s", r.timing.FlapSettle), now))
	case inc.Open() && over && !inc.Flapping:
		l.add(inc.Resolve("", "all alerts are resolved", now))
	case settled:
		inc.Flapping, inc.Flaps = false, 0
		inc.Touch(now)
		l.line(tocsin.EventFlapping, "no longer flapping")
	}
	if inc.Open() && !inc.Quiet() {
		for _, t := range targets {
			inc.AddTarget(t.Key, t.Detail, now)
		}
	}
}

// tally names the first alerts of a kind and counts the rest.
type tally struct {
	n     int
	named []string
}

func (t *tally) empty() bool { return t.n == 0 }

func (t *tally) add(a *tocsin.Alert) {
	t.n++
	if len(t.named) < maxNamed {
		t.named = append(t.named, describe(a))
	}
}

func (t *tally) text(one, many string) string {
	verb := many
	if t.n == 1 {
		verb = one
	}
	s := strings.Join(t.named, ", ")
	if more := t.n - len(t.named); more > 0 {
		s = fmt.Sprintf("%s and %d more", s, more)
	}
	return s + " " + verb
}

// describe names an alert in a line: its name and the label that tells it from
// its siblings best.
func describe(a *tocsin.Alert) string {
	name := a.Name()
	if name == "" {
		return clip(a.Labels.String(), maxTitle)
	}
	for _, l := range [...]string{"instance", "pod", "node", "host", "service", "region", "job"} {
		if v := a.Labels[l]; v != "" {
			return clip(name+" "+v, maxTitle)
		}
	}
	return clip(name, maxTitle)
}

// clip cuts s to n runes.
func clip(s string, n int) string {
	if len(s) <= n || utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}
