package router

import (
	"slices"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// input is a batch made ready outside the transaction.
type input struct {
	batch tocsin.Batch
	ids   []tocsin.Key
	seed  tocsin.Seed
	now   time.Time
	// runbooks may be nil; pins is not where they are not.
	runbooks RunbookFinder
	pins     *pins
	// escalator may be nil.
	escalator Escalator
}

// escalate brings the incident's escalation in line with what was decided.
func (in *input) escalate(tx tocsin.Tx, inc *tocsin.Incident) []tocsin.Event {
	if in.escalator == nil {
		return nil
	}
	return in.escalator.Settle(tx, inc, in.now)
}

// decision is one run of the rules over one batch. It lives inside one
// transaction.
type decision struct {
	tx    tocsin.Tx
	rules *Rules
	quiet silencer
	in    input
	out   tocsin.Outcome
	work  []*work
	byID  map[string]*work
	// byGroup finds the incidents that this decision opened or loaded.
	byGroup map[tocsin.Key]*work
	changed []changed
	opened  int
}

// work is an incident that the decision touches.
type work struct {
	inc *tocsin.Incident
	// wasFiring and isNew tell how the incident was before the decision.
	wasFiring, isNew bool
	fired, ended     tally
	// marked counts the alerts whose suppression changed; why is the last
	// cause, nil when one was released.
	marked   int
	stale    int
	why      *tocsin.Suppression
	released bool
	// worst and severity are the highest of the alerts that fired: of all, and
	// of those that page.
	worst, severity tocsin.Severity
	late            string
}

type changed struct {
	alert *tocsin.Alert
	state tocsin.AlertState
	work  *work
}

// decide applies a batch. It is pure but for tx.
func decide(tx tocsin.Tx, rules *Rules, quiet silencer, in input) tocsin.Outcome {
	d := &decision{tx: tx, rules: rules, quiet: quiet, in: in}
	for i := range in.batch.Alerts {
		d.observe(&in.batch.Alerts[i], in.ids[i])
	}
	for _, c := range d.changed {
		d.suppress(c)
	}
	for _, c := range d.changed {
		d.weigh(c)
	}
	for _, w := range d.work {
		d.settle(w)
	}
	return d.out
}

func (d *decision) observe(a *tocsin.Alert, id tocsin.Key) {
	old, known := d.tx.Alert(id)
	old.ID = id
	state, change := old.Observe(a, d.in.now, d.rules.timing.Late)
	switch change {
	case tocsin.Repeated:
		d.out.Repeated++
		d.tx.Observed(state)
	case tocsin.Late:
		d.out.Late++
		d.tx.Observed(state)
		if w := d.load(old.Incident); w != nil {
			w.late = "a message about " + describe(a) + " told of a time before what is known, and was ignored"
		}
	case tocsin.Fired:
		d.out.Fired++
		d.fire(a, old, state)
	case tocsin.Ended:
		d.out.Ended++
		if !known {
			d.tx.PutAlert(state, nil) // remembered, so that its late "firing" opens nothing
			return
		}
		d.end(a, old, state)
	}
}

// load returns the work for a live incident, or nil.
func (d *decision) load(id string) *work {
	if id == "" {
		return nil
	}
	if w := d.byID[id]; w != nil {
		return w
	}
	inc := d.tx.Incident(id)
	if inc == nil {
		return nil
	}
	return d.take(&work{inc: inc, wasFiring: inc.Firing > 0})
}

func (d *decision) take(w *work) *work {
	if d.byID == nil {
		d.byID, d.byGroup = map[string]*work{}, map[tocsin.Key]*work{}
	}
	d.byID[w.inc.ID], d.byGroup[w.inc.Group] = w, w
	d.work = append(d.work, w)
	return w
}

func (d *decision) fire(a *tocsin.Alert, old, state tocsin.AlertState) {
	w := d.home(a, old)
	if state.Incident != w.inc.ID {
		w.inc.Alerts++
		state.Incident, state.Seq, old.Incident = w.inc.ID, w.inc.Alerts, ""
	}
	state.Severity, state.Suppression = a.Severity(), nil
	state.Index = d.rules.indexKeys(a)
	d.tx.PutAlert(state, a)
	w.inc.Count(old, state, d.in.now)
	w.fired.add(a)
	d.changed = append(d.changed, changed{alert: a, state: state, work: w})
}

func (d *decision) end(a *tocsin.Alert, old, state tocsin.AlertState) {
	d.tx.PutAlert(state, nil)
	w := d.load(old.Incident)
	if w == nil {
		return
	}
	w.inc.Count(old, state, d.in.now)
	w.ended.add(a)
	d.changed = append(d.changed, changed{alert: a, state: state, work: w})
}

// home finds the incident that a firing alert belongs to, or opens one.
func (d *decision) home(a *tocsin.Alert, old tocsin.AlertState) *work {
	if w := d.load(old.Incident); w != nil && !d.over(w) {
		return w
	}
	p := d.rules.place(a)
	w := d.byGroup[p.group]
	if w == nil {
		if inc := d.tx.ByGroup(p.group); inc != nil {
			w = d.load(inc.ID)
		}
	}
	if w != nil && !d.over(w) {
		return w
	}
	return d.open(a, p)
}

// over archives an incident whose reopen window has passed before the sweep
// came by, and reports whether it did. One that somebody has not been told of
// yet is not over: it reopens.
func (d *decision) over(w *work) bool {
	if !d.rules.archivable(w.inc, d.in.now) {
		return false
	}
	d.tx.Archive(w.inc.ID)
	delete(d.byID, w.inc.ID)
	delete(d.byGroup, w.inc.Group)
	d.work = slices.DeleteFunc(d.work, func(x *work) bool { return x == w })
	return true
}

func (d *decision) open(a *tocsin.Alert, p placement) *work {
	d.out.Opened++
	inc := &tocsin.Incident{
		ID: d.freshID(), State: tocsin.Triggered, Severity: a.Severity(),
		Title: clip(a.Summary(), maxTitle), Group: p.group, GroupBy: p.groupBy,
		Route: p.routes[0].pos, Routes: p.keys, Receivers: p.receivers,
		OpenedAt: d.in.now, ChangedAt: d.in.now,
	}
	if d.in.runbooks != nil {
		d.in.pins.pin(d.tx, d.in.runbooks, inc, a)
	}
	return d.take(&work{inc: inc, isNew: true})
}

func (d *decision) freshID() string {
	for {
		id := d.in.seed.ID(d.opened)
		d.opened++
		if d.byID[id] == nil && d.tx.Incident(id) == nil {
			return id
		}
	}
}

// suppress settles what a changed alert's suppression is, and what its change
// does to the alerts that it inhibits.
func (d *decision) suppress(c changed) {
	if state, ok := d.tx.Alert(c.state.ID); ok && state.Firing && c.alert != nil {
		if why := d.suppression(c.alert, state); why != nil {
			d.out.Suppressed++
			d.mark(state, why)
		}
	}
	for _, key := range targetKeys(c.state) {
		for _, target := range slices.Collect(d.tx.Indexed(key)) {
			if target.ID == c.state.ID || isSilenced(target) {
				continue
			}
			if why := d.rules.inhibitedBy(d.tx, target); !why.Same(target.Suppression) {
				d.mark(target, why)
			}
		}
	}
}

func isSilenced(s tocsin.AlertState) bool {
	return s.Suppression != nil && s.Suppression.Reason == tocsin.Silenced
}

// suppression says why an alert does not page: a silence before an inhibition,
// so that an inhibition that ends never has to look for silences.
func (d *decision) suppression(a *tocsin.Alert, s tocsin.AlertState) *tocsin.Suppression {
	if why := d.quiet.silencedBy(a); why != nil {
		return why
	}
	return d.rules.inhibitedBy(d.tx, s)
}

// mark changes the suppression of a firing alert and of its incident.
func (d *decision) mark(old tocsin.AlertState, why *tocsin.Suppression) {
	state := old
	state.Suppression = why
	d.tx.PutAlert(state, nil)
	w := d.load(old.Incident)
	if w == nil {
		return
	}
	w.inc.Count(old, state, d.in.now)
	w.marked++
	w.why = why
	if why == nil {
		w.released = true
		w.severity = worse(w.severity, old.Severity)
	}
}

// weigh notes how severe a change makes its incident, once all suppressions are
// settled.
func (d *decision) weigh(c changed) {
	state, ok := d.tx.Alert(c.state.ID)
	if !ok || !state.Firing {
		return
	}
	c.work.worst = worse(c.work.worst, state.Severity)
	if state.Suppression == nil {
		c.work.severity = worse(c.work.severity, state.Severity)
	}
}

func worse(a, b tocsin.Severity) tocsin.Severity {
	if b.Rank() > a.Rank() {
		return b
	}
	return a
}
