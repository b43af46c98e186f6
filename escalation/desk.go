package escalation

import (
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

	events []tocsin.Event
	// called holds who was called in this decision: steps that come late, and
	// all at once, call everybody once.
	called map[string]bool
	// loud counts the last resorts that were called.
	loud int
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
	e.SnoozedUntil, e.RemindAt, e.ReturnAt, e.Answered = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	d.stop()
}

// answered stops what is queued once somebody has taken the incident. People
// who were asked for by name are still called.
func (d *desk) answered() {
	inc, e := d.inc, d.inc.Escalation
	if e == nil {
		return
	}
	var asked []string
	for n := range e.Runs {
		e.Runs[n].Due = time.Time{}
	}
	e.Calls = slices.DeleteFunc(e.Calls, func(c tocsin.Call) bool {
		if c.Asked {
			asked = append(asked, c.User)
		}
		return !c.Asked
	})
	if r := e.Responder(inc.AcknowledgedBy); r != nil && r.Acknowledged.IsZero() {
		r.Acknowledged = d.now
	}
	if !e.Answered.Equal(inc.AcknowledgedAt) {
		d.stop(append(asked, d.askedNow()...)...)
		e.Answered = inc.AcknowledgedAt
		d.setTimers()
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
// policies say: the shortest of them.
func (d *desk) setTimers() {
	e := d.inc.Escalation
	e.RemindAt, e.ReturnAt = time.Time{}, time.Time{}
	if !e.SnoozedUntil.IsZero() {
		return
	}
	for n := range e.Runs {
		p := d.lib.policy(d.tx, e.Runs[n].Plan)
		if p == nil {
			continue
		}
		e.RemindAt = sooner(e.RemindAt, e.Answered, p.RemindAfter)
		e.ReturnAt = sooner(e.ReturnAt, e.Answered, p.ReturnAfter)
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
		d.line(tocsin.EventStopped, "", "queued and not sent any more: %s", strings.Join(stopped, ", "))
	}
}

// begin starts the policies of the incident's receivers unless they are at
// work.
func (d *desk) begin() {
	inc := d.inc
	if inc.Escalation == nil {
		runs := d.freeze()
		if len(runs) == 0 {
			return
		}
		inc.Escalation = &tocsin.Escalation{Runs: runs}
	}
	e := inc.Escalation
	e.SnoozedUntil, e.RemindAt, e.ReturnAt, e.Answered = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	high := d.high()
	for n := range e.Runs {
		r := &e.Runs[n]
		if r.Due.IsZero() || high && !e.High {
			r.Step, r.Round, r.Reached = 0, 0, false
			r.Due = d.now.Add(d.delay(r))
		}
	}
	e.High = high
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
		if p := d.lib.policy(d.tx, e.Runs[n].Plan); p != nil {
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
	p := d.lib.policy(d.tx, r.Plan)
	if p == nil || r.Step >= len(p.Steps) {
		return 0
	}
	return p.Steps[r.Step].After
}
