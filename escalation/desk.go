package escalation

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// The kinds of documents that escalation keeps.
const (
	kindPolicy   = "policy"
	kindOverride = "override"
	kindTurn     = "turn"
)

// library holds what is decoded from documents, so that a storm of incidents
// does not decode them again and again. What it returns depends on the
// documents alone.
type library struct {
	mu        sync.Mutex
	policies  map[string]*Policy
	version   uint64
	overrides []tocsin.Override
}

// documents is the part of the store that a library reads.
type documents interface {
	Documents(kind string) ([]tocsin.Document, uint64)
	Document(kind, id string) []byte
}

// policy returns a frozen policy, or nil when it is not there.
func (l *library) policy(docs documents, id string) *Policy {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.policies[id]; p != nil {
		return p
	}
	value := docs.Document(kindPolicy, id)
	if value == nil {
		return nil
	}
	p := &Policy{}
	if json.Unmarshal(value, p) != nil {
		return nil
	}
	if l.policies == nil {
		l.policies = map[string]*Policy{}
	}
	l.policies[id] = p
	return p
}

// overridesIn returns all overrides, by ID.
func (l *library) overridesIn(docs documents) []tocsin.Override {
	list, version := docs.Documents(kindOverride)
	return l.decodeOverrides(list, version)
}

func (l *library) decodeOverrides(list []tocsin.Document, version uint64) []tocsin.Override {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.overrides != nil && l.version == version {
		return l.overrides
	}
	out := make([]tocsin.Override, 0, len(list))
	for _, doc := range list {
		var o tocsin.Override
		if json.Unmarshal(doc.Value, &o) == nil {
			out = append(out, o)
		}
	}
	l.version, l.overrides = version, out
	return out
}

// desk is one decision about one incident, inside one transaction. It is pure
// but for tx.
type desk struct {
	rules *Rules
	lib   *library
	tx    tocsin.Tx
	inc   *tocsin.Incident
	now   time.Time
	// was is the incident's deadline before the decision.
	was time.Time
	// runbook returns a runbook as it is now, or nil; nil: there are none.
	runbook func(id string) *tocsin.Runbook

	events []tocsin.Event
	// called holds who was called in this decision, and how: steps that come
	// late, and all at once, call everybody once by each way.
	called map[string]bool
}

func (d *desk) line(kind tocsin.EventKind, actor, format string, args ...any) *tocsin.Event {
	d.events = append(d.events, d.inc.Event(kind, actor, fmt.Sprintf(format, args...), d.now))
	return &d.events[len(d.events)-1]
}

func (d *desk) add(e tocsin.Event, ok bool) {
	if ok {
		d.events = append(d.events, e)
	}
}

// settle brings the escalation of the incident in line with its state, and takes
// every step that is due. It is idempotent.
func (d *desk) settle() {
	inc := d.inc
	if inc.Kind == tocsin.KindNotice {
		return
	}
	switch {
	case !inc.Open():
		d.rest()
	case inc.State == tocsin.Acknowledged:
		d.answered()
	case inc.Quiet():
		d.rest()
	default:
		d.begin()
	}
	if slices.Contains(d.rules.spec.Channels.Severities, inc.Severity) && inc.Open() && !inc.Quiet() {
		d.openChannel("")
	}
	if inc.Escalation != nil {
		d.advance()
		d.unreachable()
	}
}

// rest ends everything: nobody is to be called, and if somebody is again, then
// from the first step.
func (d *desk) rest() {
	e := d.inc.Escalation
	if e == nil {
		return
	}
	for n := range e.Runs {
		r := &e.Runs[n]
		r.Due, r.Step, r.Round, r.Reached = time.Time{}, 0, 0, false
	}
	e.Calls = nil
	e.SnoozedUntil, e.RemindAt, e.ReturnAt = time.Time{}, time.Time{}, time.Time{}
	d.forgetAnswers()
	d.stop()
}

// forgetAnswers has everybody answer anew: what was answered, or asked of people
// by name, was for the time before.
func (d *desk) forgetAnswers() {
	e := d.inc.Escalation
	e.Answered = time.Time{}
	for n := range e.Responders {
		r := &e.Responders[n]
		r.Acknowledged, r.Asked, r.Must = time.Time{}, false, false
	}
}

// answered stops what is queued once somebody has taken the incident. People
// who were asked for by name are still called.
func (d *desk) answered() {
	inc, since := d.inc, d.inc.AcknowledgedAt
	if inc.Escalation == nil {
		since = d.now // there were no policies when it was acknowledged
	}
	if !d.follow() {
		return
	}
	e := inc.Escalation
	answer := !e.Answered.Equal(inc.AcknowledgedAt)
	for n := range e.Runs {
		e.Runs[n].Due = time.Time{}
	}
	var asked []string
	e.Calls = slices.DeleteFunc(e.Calls, func(c tocsin.Call) bool {
		if !c.Asked || answer && c.User == inc.AcknowledgedBy {
			return true
		}
		asked = append(asked, c.User)
		return false
	})
	if r := e.Responder(inc.AcknowledgedBy); r != nil && r.Acknowledged.IsZero() {
		r.Acknowledged = d.now
	}
	if answer {
		d.stop(append(asked, d.askedNow()...)...)
		e.Answered = inc.AcknowledgedAt
		d.setTimers(since)
	}
}

// askedNow are the people whose call by name is under way.
func (d *desk) askedNow() []string {
	var names []string
	for _, r := range d.inc.Escalation.Responders {
		if r.Asked && r.Acknowledged.IsZero() {
			names = append(names, r.User)
		}
	}
	return names
}

// setTimers has the owner reminded, and the acknowledgement end, as the
// policies say, counted from since: the shortest of them.
func (d *desk) setTimers(since time.Time) {
	e := d.inc.Escalation
	e.RemindAt, e.ReturnAt = time.Time{}, time.Time{}
	if !e.SnoozedUntil.IsZero() {
		return
	}
	for n := range e.Runs {
		p := cmp.Or(d.policy(&e.Runs[n]), d.rules.named(e.Runs[n].Policy))
		if p == nil {
			continue
		}
		e.RemindAt = sooner(e.RemindAt, since, p.RemindAfter)
		e.ReturnAt = sooner(e.ReturnAt, since, p.ReturnAfter)
	}
}

func sooner(t, base time.Time, after time.Duration) time.Time {
	at := base.Add(after)
	if after <= 0 || !t.IsZero() && t.Before(at) {
		return t
	}
	return at
}

// stop stops the deliveries that call somebody and were not made yet.
func (d *desk) stop(except ...string) {
	stopped := d.inc.StopCalls(except...)
	if len(stopped) > 0 {
		d.line(tocsin.EventStopped, "", "not called any more, unless it was on its way already: %s", strings.Join(stopped, ", "))
	}
}

// begin starts the policies of the incident's receivers unless they are at
// work.
func (d *desk) begin() {
	if !d.follow() {
		return
	}
	e := d.inc.Escalation
	e.SnoozedUntil, e.RemindAt, e.ReturnAt = time.Time{}, time.Time{}, time.Time{}
	if !e.Answered.IsZero() {
		d.forgetAnswers()
	}
	high := d.high()
	for n := range e.Runs {
		r := &e.Runs[n]
		switch p := d.policy(r); {
		case r.Due.IsZero() || high && !e.High:
			r.Step, r.Round, r.Reached = 0, 0, false
			r.Due = d.now.Add(d.delay(r))
		case p != nil && high && r.Due.Sub(d.now) > p.longest(): // the clock was set back
			r.Due = d.now.Add(cmp.Or(d.delay(r), p.RepeatAfter))
			d.hurry(p)
		}
	}
	e.High = high
}

// hurry has nobody wait longer for an urgent call than the contact says. What is
// not urgent waits for quiet hours to end, whatever the clock does.
func (d *desk) hurry(p *Policy) {
	e := d.inc.Escalation
	for n := range e.Calls {
		c := &e.Calls[n]
		u, _ := d.rules.user(p, c.User)
		for _, contact := range u.High {
			if at := d.now.Add(contact.After); contact.Target.Key == c.Target && c.Due.After(at) {
				c.Due = at
			}
		}
	}
	slices.SortStableFunc(e.Calls, func(a, b tocsin.Call) int { return a.Due.Compare(b.Due) })
}

// follow has the incident follow the policies of its receivers, if there are any
// and it follows none, and reports whether there is anything to keep account of.
func (d *desk) follow() bool {
	inc := d.inc
	if inc.Escalation != nil && len(inc.Escalation.Runs) > 0 {
		return true
	}
	runs := d.freeze()
	switch {
	case inc.Escalation != nil:
		inc.Escalation.Runs = runs
	case len(runs) > 0:
		inc.Escalation = &tocsin.Escalation{Runs: runs}
	}
	return inc.Escalation != nil
}

// account is follow for incidents that somebody is called for whether they
// follow a policy or not.
func (d *desk) account() *tocsin.Escalation {
	if !d.follow() {
		d.inc.Escalation = &tocsin.Escalation{}
	}
	return d.inc.Escalation
}

// policy returns what a run follows: the frozen policy, or, where that is lost,
// the configured one if it is still the same. Nil: there is none.
func (d *desk) policy(r *tocsin.Run) *Policy {
	if p := d.lib.policy(d.tx, r.Plan); p != nil {
		return p
	}
	if f := d.rules.policies[r.Policy]; f != nil && f.id == r.Plan {
		return f.policy
	}
	return nil
}

// freeze keeps the policies of the incident's receivers as they are now.
func (d *desk) freeze() []tocsin.Run {
	var runs []tocsin.Run
	for _, receiver := range d.inc.Receivers {
		f := d.rules.policies[d.rules.spec.Receivers[receiver]]
		if f == nil || slices.ContainsFunc(runs, func(r tocsin.Run) bool { return r.Policy == f.policy.Name }) {
			continue
		}
		runs = append(runs, d.run(f))
	}
	return runs
}

func (d *desk) run(f *frozen) tocsin.Run {
	if d.tx.Document(kindPolicy, f.id) == nil {
		d.tx.PutDocument(kindPolicy, f.id, f.value)
	}
	return tocsin.Run{Policy: f.policy.Name, Plan: f.id}
}

// high tells whether one of the policies at work holds the incident urgent. One
// without a policy is.
func (d *desk) high() bool {
	e := d.inc.Escalation
	known := false
	for n := range e.Runs {
		if p := d.policy(&e.Runs[n]); p != nil {
			known = true
			if p.Urgency.high(d.inc.Severity, d.now) {
				return true
			}
		}
	}
	return !known
}

// delay is the wait before the run's next step, behind the one before it.
func (d *desk) delay(r *tocsin.Run) time.Duration {
	p := d.policy(r)
	if p == nil || r.Step >= len(p.Steps) {
		return 0
	}
	return p.Steps[r.Step].After
}
