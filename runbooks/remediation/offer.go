package remediation

import (
	"context"
	"fmt"

	"github.com/tocsin-oncall/tocsin"
)

const (
	// maxAlerts is how many alerts of an incident are looked at, the firing ones
	// first.
	maxAlerts = 1000
	// maxPerIncident is how many remediations an incident gets without anybody
	// asking, and maxRecords how many are kept at most.
	maxPerIncident = 200
	maxRecords     = 10_000
)

// candidate is a remedy that fits an alert.
type candidate struct {
	remedy     *remedy
	alert      *tocsin.AlertRecord
	raw, shown string
}

// candidates are the remedies that fit the alerts that fire, one for each target.
// What is suppressed is remedied as little as it pages, unless somebody asks.
func candidates(remedies []*remedy, alerts []tocsin.AlertRecord, asked bool) []candidate {
	var out []candidate
	seen := map[[2]string]bool{}
	for i := range alerts {
		a := &alerts[i]
		if !a.State.Firing || a.State.Suppression != nil && !asked {
			continue
		}
		for _, m := range remedies {
			if !m.fits(a.Labels) {
				continue
			}
			raw, shown := m.target(a.Labels)
			if at := [2]string{m.spec.Name, raw}; !seen[at] {
				seen[at] = true
				out = append(out, candidate{m, a, raw, shown})
			}
		}
	}
	return out
}

// propose looks at an incident, and writes what its alerts ask for.
func (e *Engine) propose(ctx context.Context, incident string) error {
	remedies := e.rules.Load().remedies
	if len(remedies) == 0 {
		return nil
	}
	alerts, err := e.o.Store.AlertsOf(ctx, incident, maxAlerts)
	if err != nil {
		return err
	}
	fit := candidates(remedies, alerts, false)
	if len(fit) > 0 {
		fit, err = e.unknown(ctx, incident, fit)
	}
	if err != nil || len(fit) == 0 {
		return err
	}
	var start, paged []string
	err = e.write(ctx, func(l *ledger) error {
		start, paged = nil, nil
		inc := l.tx.Incident(incident)
		if inc == nil || !inc.Open() {
			return nil
		}
		room := l.room(incident)
		for i := range fit {
			r, err := l.create(inc, &fit[i], &room)
			switch {
			case err != nil:
				return err
			case r == nil:
			case r.State == tocsin.RemediationApproved:
				start = append(start, r.ID)
			case r.Page != nil:
				paged = append(paged, r.ID)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range start {
		e.carry.push(id)
	}
	for _, id := range paged {
		e.sendPage(ctx, id)
	}
	return nil
}

// unknown leaves out the candidates that there is a remediation for already, so
// that an alert that comes again costs no transaction.
func (e *Engine) unknown(ctx context.Context, incident string, fit []candidate) ([]candidate, error) {
	inc, err := e.o.Store.Get(ctx, incident)
	if err != nil || !inc.Open() {
		return nil, err
	}
	x, err := e.committed(ctx)
	if err != nil {
		return nil, err
	}
	find := func(id string) (*record, error) { return x.find(id), nil }
	var out []candidate
	for _, c := range fit {
		_, r, _ := locate(find, incident, identity(incident, inc.Reopened, c.remedy.spec.Name, c.raw))
		if r == nil {
			out = append(out, c)
		}
	}
	return out, nil
}

// room is how many more remediations an incident may get.
func (l *ledger) room(incident string) int {
	x := l.all()
	n := min(maxPerIncident, maxRecords-len(x.records)+1)
	x.each(func(r *record) bool {
		if r.Incident == incident {
			n--
		}
		return true
	})
	return n
}

// create writes what an alert asks for; nil: it is there already, or there is no
// room for more.
func (l *ledger) create(inc *tocsin.Incident, c *candidate, room *int) (*record, error) {
	key := identity(inc.ID, inc.Reopened, c.remedy.spec.Name, c.raw)
	id, r, err := locate(l.find, inc.ID, key)
	if err != nil || r != nil || *room <= 0 {
		return nil, err
	}
	*room--
	r = &record{Key: key, Reopened: inc.Reopened}
	r.ID, r.Remedy, r.Incident = id, c.remedy.spec.Name, inc.ID
	if err := r.fill(c); err != nil {
		r.Mode, r.ProposedAt = c.remedy.spec.Mode, l.now
		return r, l.end(r, tocsin.RemediationRefused, "", "not run: "+err.Error())
	}
	text := c.remedy.propose(r, "", l.now)
	if why, refused := l.atOnce(c.remedy, r); refused {
		return r, l.refuse(r, why)
	}
	if *room == 0 {
		text += fmt.Sprintf("; there are as many for this incident as there may be (%d), and no more are proposed", maxPerIncident)
	}
	r.Until = l.now.Add(lease)
	return r, l.say(r, "", text)
}

// atOnce is why a remedy is not even proposed: it is given up, or nothing may
// start by itself.
func (l *ledger) atOnce(m *remedy, r *record) (refusal, bool) {
	q := question{remedy: m, id: r.ID, target: r.Target, others: l.all(), stops: l.stops(), now: l.now}
	if text := q.broken(); text != "" {
		return refusal{text: text, gaveUp: true}, true
	}
	if text := q.stops.held(m.spec.Name); text != "" && m.spec.Mode == tocsin.ModeAuto {
		return refusal{text: text}, true
	}
	return refusal{}, false
}

// fill takes from an alert what the command is to get. Whoever approves it
// approves exactly that.
func (r *record) fill(c *candidate) error {
	r.Target, r.Alert = c.shown, c.alert.State.ID
	values, err := c.remedy.fill(c.alert.Labels)
	if err != nil {
		return err
	}
	r.Parameters, r.Argv = values, c.remedy.program.argv(values)
	r.Input, err = c.remedy.stdin(r.Incident, r.Target, values, &c.alert.Alert)
	return err
}

// committed is what is written of the remediations.
func (e *Engine) committed(ctx context.Context) (*index, error) {
	docs, version, err := e.o.Store.Documents(ctx, KindRecord)
	if err != nil {
		return nil, err
	}
	return e.decoder.index(docs, version), nil
}
