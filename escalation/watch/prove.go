package watch

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation"
	"github.com/tocsin-oncall/tocsin/escalation/oncall"
)

type metrics struct {
	groupErrors prometheus.Counter
	uncovered   *prometheus.GaugeVec
	until       *prometheus.GaugeVec
}

// newMetrics makes the metrics; they are exposed where reg is not nil.
func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		groupErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tocsin_usergroup_errors_total", Help: "Failures to make a Slack user group follow its schedule.",
		}),
		uncovered: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "tocsin_oncall_uncovered_seconds", Help: "Time within the next weeks at which no step of the policy would reach anybody.",
		}, []string{"policy"}),
		until: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "tocsin_oncall_covered_until_timestamp_seconds", Help: "Unix time up to which the policy is proven to reach somebody at every minute.",
		}, []string{"policy"}),
	}
	if reg != nil {
		reg.MustRegister(m.groupErrors, m.uncovered, m.until)
	}
	return m
}

// prove proves the coverage of every policy. Where it does not hold, an incident
// says so ahead of time, and is resolved when it holds again.
func (w *Watch) prove(ctx context.Context, plan *Plan, overrides []tocsin.Override, now time.Time) error {
	schedules := map[string]*oncall.Schedule{}
	for i := range plan.Schedules {
		schedules[plan.Schedules[i].Name()] = plan.Schedules[i].Schedule
	}
	end := now.Add(ahead(plan))
	w.metrics.uncovered.Reset()
	w.metrics.until.Reset()
	for i := range plan.Policies {
		p := &plan.Policies[i]
		gaps := escalation.Verify(*p, schedules, overrides, now, end)
		total, until := 0.0, end
		for n := range gaps {
			total += gaps[n].To.Sub(gaps[n].From).Seconds()
			if gaps[n].From.Before(until) {
				until = gaps[n].From
			}
		}
		w.metrics.uncovered.WithLabelValues(p.Name).Set(total)
		w.metrics.until.WithLabelValues(p.Name).Set(float64(until.Unix()))
		if len(gaps) > 0 {
			w.o.Logger.Warn("nobody could be called at some time ahead", "policy", p.Name, "from", gaps[0].From, "to", gaps[0].To, "why", strings.Join(gaps[0].Why, "; "))
		}
		if err := w.report(ctx, plan, p.Name, gaps, now); err != nil {
			return err
		}
	}
	return nil
}

// report opens, keeps up to date and resolves the incident about a policy's
// gaps.
func (w *Watch) report(ctx context.Context, plan *Plan, policy string, gaps []tocsin.Uncovered, now time.Time) error {
	group := tocsin.NewKey("coverage", policy)
	seed := tocsin.NewSeed()
	return w.o.Store.Update(ctx, func(tx tocsin.Tx) error {
		inc := tx.ByGroup(group)
		var events []tocsin.Event
		add := func(e tocsin.Event, ok bool) {
			if ok {
				events = append(events, e)
			}
		}
		switch {
		case len(gaps) == 0 && (inc == nil || !inc.Open()):
			return nil
		case len(gaps) == 0:
			add(inc.Resolve("", fmt.Sprintf("policy %s reaches somebody at every minute again", policy), now))
		case inc == nil:
			inc = &tocsin.Incident{
				Kind: tocsin.KindManual, State: tocsin.Triggered, Severity: tocsin.Warning, Group: group,
				Title: fmt.Sprintf("policy %s will reach nobody from %s", policy, gaps[0].From.UTC().Format("Mon 2 Jan 15:04 MST")), Text: describe(gaps),
				OpenedAt: now, ChangedAt: now, Revision: 1, StateRevision: 1, Receivers: plan.Receivers,
			}
			for try := 0; inc.ID == "" || tx.Incident(inc.ID) != nil; try++ {
				inc.ID = seed.ID(try)
			}
			add(inc.Event(tocsin.EventOpened, "", inc.Title, now), true)
		case !inc.Open():
			add(inc.Reopen("policy "+policy+" will reach nobody again", now), true)
			inc.Text = describe(gaps)
		case inc.Text != describe(gaps):
			inc.Text = describe(gaps)
			inc.Touch(now)
			add(inc.Event(tocsin.EventNote, "", "the gaps have changed", now), true)
		default:
			return nil
		}
		tx.PutIncident(inc)
		tx.Append(events...)
		return nil
	})
}

// describe tells the first gaps.
func describe(gaps []tocsin.Uncovered) string {
	var lines []string
	for i := range gaps[:min(len(gaps), 5)] {
		g := &gaps[i]
		lines = append(lines, fmt.Sprintf("%s to %s (severity %s): %s", g.From.UTC().Format(time.DateTime), g.To.UTC().Format(time.DateTime), g.Severity, strings.Join(g.Why, "; ")))
	}
	if more := len(gaps) - 5; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more; see tocsin oncall verify", more))
	}
	return strings.Join(lines, "\n")
}
