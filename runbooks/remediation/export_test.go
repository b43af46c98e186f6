package remediation

import (
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// Fill builds what a remedy's command would get for labels, as the engine does.
func (r *Rules) Fill(name string, a *tocsin.Alert) (Command, error) {
	m := r.byName[name]
	rec := &record{}
	rec.Remedy, rec.Incident = name, "inc001"
	rec.Remediation.Remedy = name
	c := &candidate{remedy: m, alert: &tocsin.AlertRecord{Alert: *a}}
	c.raw, c.shown = m.target(a.Labels)
	if err := rec.fill(c); err != nil {
		return Command{}, err
	}
	return m.command(m.program, rec.Parameters, rec.Input), nil
}

// FillQuery fills a PromQL template.
func FillQuery(template string, values map[string]string) (string, error) {
	known := map[string]bool{}
	for name := range values {
		known[name] = true
	}
	q, err := parseQuery(template, known)
	if err != nil {
		return "", err
	}
	return q.fill(values), nil
}

// Tape is what keeps an output.
type Tape struct{ t tape }

// NewTape returns one that redacts.
func NewTape(redact func([]byte) []byte) *Tape { return &Tape{tape{redact: redact}} }

// Write writes.
func (t *Tape) Write(p []byte) (int, error) { return t.t.Write(p) }

// Text is what is kept.
func (t *Tape) Text(ended bool) string { return t.t.text(ended) }

// FleetLimit is how many targets a share allows.
func FleetLimit(percent, size float64) int { return fleetLimit(percent, size) }

// Past is one start of a remedy for a target.
type Past struct {
	Target string
	At     time.Time
}

// Allows reports whether the budgets of a remedy allow one more run.
func (r *Rules) Allows(name, target string, past []Past, fleetSize float64, now time.Time) bool {
	x := &index{}
	for _, p := range past {
		rec := &record{Starts: []time.Time{p.At}}
		rec.Remedy, rec.Target, rec.State, rec.EndedAt = name, p.Target, tocsin.RemediationVerified, p.At
		x.records = append(x.records, rec)
	}
	q := question{remedy: r.byName[name], id: "new", target: target, others: x, fleet: fleet{asked: true, size: fleetSize}, now: now}
	return len(q.refusals()) == 0
}
