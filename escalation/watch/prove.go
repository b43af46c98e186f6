package watch

import (
	"context"
	"fmt"
	"slices"
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

// kindCoverage are the documents that name the incident about the gaps of each
// policy that has some.
const kindCoverage = "coverage"

// near is how long before a gap people are called about it. Before that it is
// only shown.
const near = 24 * time.Hour

// settled is how long coverage must hold before an incident about it that has
// come again and again is resolved.
const settled = time.Hour

// prove proves the coverage of every policy, and returns when to do it again.
// Where it does not hold, an incident says so ahead of time, and is resolved when
// it holds again.
func (w *Watch) prove(ctx context.Context, plan *Plan, overrides []tocsin.Override, now time.Time) (time.Duration, error) {
	schedules := map[string]*oncall.Schedule{}
	for i := range plan.Schedules {
		schedules[plan.Schedules[i].Name()] = plan.Schedules[i].Schedule
	}
	end := now.Add(ahead(plan))
	again := daily
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
		unsettled, err := w.report(ctx, plan, p.Name, gaps, now)
		if err != nil {
			return 0, err
		}
		if unsettled {
			again = min(again, settled)
		}
		if len(gaps) > 0 {
			if wait := gaps[0].From.Add(-near).Sub(now); wait > 0 {
				again = min(again, wait)
			}
		}
	}
	return again, w.drop(ctx, plan, now)
}

// drop resolves what was said of policies that there are no more.
func (w *Watch) drop(ctx context.Context, plan *Plan, now time.Time) error {
	docs, _, err := w.o.Store.Documents(ctx, kindCoverage)
	if err != nil {
		return err
	}
	for _, doc := range docs {
		if slices.ContainsFunc(plan.Policies, func(p escalation.Policy) bool { return p.Name == doc.ID }) {
			continue
		}
		err := w.o.Store.Update(ctx, func(tx tocsin.Tx) error {
			tx.DeleteDocument(kindCoverage, doc.ID)
			inc := tx.ByGroup(coverageOf(doc.ID))
			if inc == nil {
				return nil
			}
			if e, ok := inc.Resolve("", fmt.Sprintf("there is no policy %s any more", doc.ID), now); ok {
				tx.PutIncident(inc)
				tx.Append(e)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// coverageOf is the group of the incident about a policy's gaps.
func coverageOf(policy string) tocsin.Key { return tocsin.NewKey("coverage", policy) }

// report opens, keeps up to date and resolves the incident about a policy's
// gaps. unsettled: the gaps are gone, and too short a time ago.
func (w *Watch) report(ctx context.Context, plan *Plan, policy string, gaps []tocsin.Uncovered, now time.Time) (unsettled bool, err error) {
	seed := tocsin.NewSeed()
	err = w.o.Store.Update(ctx, func(tx tocsin.Tx) error {
		inc := tx.ByGroup(coverageOf(policy))
		unsettled = false
		var e tocsin.Event
		switch text := describe(gaps); {
		case len(gaps) == 0 && (inc == nil || !inc.Open()):
			return nil
		case len(gaps) == 0 && inc.Reopened > 1 && now.Sub(inc.ChangedAt) < settled:
			unsettled = true
			return nil
		case len(gaps) == 0:
			e, _ = inc.Resolve("", fmt.Sprintf("policy %s reaches somebody at every minute again", policy), now)
			tx.DeleteDocument(kindCoverage, policy)
		case inc == nil:
			inc = gapIncident(plan, policy, gaps, now)
			for try := 0; inc.ID == "" || tx.Incident(inc.ID) != nil; try++ {
				inc.ID = seed.ID(try)
			}
			e = inc.Event(tocsin.EventOpened, "", inc.Title, now)
		case !inc.Open():
			e = inc.Reopen("policy "+policy+" will reach nobody again", now)
		case inc.Text == text && slices.Equal(inc.Receivers, plan.called(gaps, now)):
			return nil
		default:
			inc.Touch(now)
			e = inc.Event(tocsin.EventNote, "", "the gaps have changed, or who is told of them", now)
		}
		if len(gaps) > 0 {
			inc.Title, inc.Text, inc.Receivers = headlineOf(policy, gaps), describe(gaps), plan.called(gaps, now)
			for _, t := range plan.Targets {
				inc.AddTarget(t.Key, t.Detail, now)
			}
			tx.PutDocument(kindCoverage, policy, fmt.Appendf(nil, "%q", inc.ID))
		}
		tx.PutIncident(inc)
		tx.Append(e)
		return nil
	})
	return unsettled, err
}

// gapIncident is a new incident about gaps, without an ID.
func gapIncident(plan *Plan, policy string, gaps []tocsin.Uncovered, now time.Time) *tocsin.Incident {
	return &tocsin.Incident{
		Kind: tocsin.KindManual, State: tocsin.Triggered, Severity: tocsin.Warning, Group: coverageOf(policy),
		Title: headlineOf(policy, gaps), OpenedAt: now, ChangedAt: now, Revision: 1, StateRevision: 1,
	}
}

func headlineOf(policy string, gaps []tocsin.Uncovered) string {
	return fmt.Sprintf("policy %s will reach nobody from %s", policy, gaps[0].From.UTC().Format("Mon 2 Jan 15:04 MST"))
}

// called are the receivers whose policies call people about gaps.
func (p *Plan) called(gaps []tocsin.Uncovered, now time.Time) []string {
	if gaps[0].From.Sub(now) > near {
		return []string{}
	}
	return p.Receivers
}

// describe tells the first gaps.
func describe(gaps []tocsin.Uncovered) string {
	var lines []string
	for i := range gaps[:min(len(gaps), 5)] {
		g := &gaps[i]
		const minute = "Mon 2 Jan 2006 15:04 MST"
		lines = append(lines, fmt.Sprintf("%s to %s (severity %s): %s", g.From.UTC().Format(minute), g.To.UTC().Format(minute), g.Severity, strings.Join(g.Why, "; ")))
	}
	if more := len(gaps) - 5; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more; see tocsin oncall verify", more))
	}
	return strings.Join(append(lines, "Fill it with: tocsin override add --schedule … --user … --from … --to …"), "\n")
}
