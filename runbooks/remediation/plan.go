package remediation

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-oncall/tocsin"
)

// Plan says what a remedy would do for an incident, were it run now, and what
// would forbid it: of one that is proposed, exactly what is to be approved. Its
// precheck is asked; nothing else is done. A target is needed where several alerts
// of the incident fit. The error is that of Start.
func (e *Engine) Plan(ctx context.Context, incident, remedy, target string) (tocsin.RemedyPlan, error) {
	c, err := e.choose(ctx, incident, remedy, target)
	if err != nil {
		return tocsin.RemedyPlan{}, err
	}
	p := tocsin.RemedyPlan{Remedy: remedy, Incident: incident, Target: c.shown, Matched: slices.Clone(c.remedy.spec.Matchers)}
	inc, err := e.o.Store.Get(ctx, incident)
	if err != nil {
		return p, err
	}
	x, err := e.committed(ctx)
	if err != nil {
		return p, err
	}
	find := func(id string) (*record, error) { return x.find(id), nil }
	r := &record{}
	id, was, _ := locate(find, incident, identity(incident, inc.Reopened, remedy, c.raw))
	r.ID, r.Remedy, r.Incident, r.ProposedBy = id, remedy, incident, "whoever asks"
	if err := r.fill(c); err != nil {
		p.Refused = append(p.Refused, err.Error())
		return p, nil
	}
	switch {
	case was == nil:
	case was.State.Ran():
		p.Refused = append(p.Refused, fmt.Sprintf("it is %s already, and runs once for an incident (%s)", was.State, id))
	case !was.State.Final():
		r.Parameters, r.Input = was.Parameters, was.Input
		if c.remedy.changed(was) {
			p.Refused = append(p.Refused, "the remedy was changed since it was proposed")
		}
	}
	return p, e.plan(ctx, c.remedy, r, x, &p)
}

func (e *Engine) plan(ctx context.Context, m *remedy, r *record, x *index, p *tocsin.RemedyPlan) error {
	for i := range m.parameters {
		of := &m.parameters[i]
		p.Matched = append(p.Matched, fmt.Sprintf("%s = %q (label %s)", of.name, r.Parameters[of.name], of.label))
	}
	cmd := m.command(m.program, r.Parameters, r.Input)
	p.Argv, p.Stdin, p.Environment = cmd.Argv, r.Input, []string{}
	for _, v := range cmd.Environment {
		p.Environment = append(p.Environment, string(e.o.Redact([]byte(v))))
	}
	before := e.lookAhead(ctx, m, r)
	switch {
	case before.unreachable != nil:
		p.Precheck = before.unreachable.Error()
		p.Refused = append(p.Refused, p.Precheck)
	case before.no != "":
		p.Precheck = "no: " + before.no
		p.Refused = append(p.Refused, "the precheck says no: "+before.no)
	case m.precheck.asked():
		p.Precheck = "yes: " + before.said
	}
	docs, version, err := e.o.Store.Documents(ctx, KindSwitch)
	if err != nil {
		return err
	}
	q := question{remedy: m, id: r.ID, target: r.Target, others: x, stops: readStops(docs, version), fleet: before.fleet, now: e.o.Now()}
	for _, why := range q.refusals() {
		p.Refused = append(p.Refused, why.text)
	}
	target, _ := q.perTarget()
	over, _ := q.overFleet()
	p.Budget = strings.Join(slices.DeleteFunc([]string{target, over}, func(s string) bool { return s == "" }), "; ")
	if p.Sandbox, err = e.o.Runner.Holds(ctx, cmd); err != nil {
		p.Refused = append(p.Refused, err.Error())
	}
	return nil
}
