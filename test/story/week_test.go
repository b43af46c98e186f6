package story

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
)

// week is a week in which everything may happen at any time.
type week struct {
	*service
	r      *rand.Rand
	opened int
	firing map[string]string // by incident, its alert
	asked  map[string]map[string]bool
}

// Whatever people do in a week, and however often the process dies: somebody is
// always next, who was answered for is left alone, and no phone rings twice.
func TestAWeek(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano()) // another week each time
	if again, err := strconv.ParseUint(os.Getenv("STORY_SEED"), 10, 64); err == nil {
		seed = again
	}
	t.Logf("STORY_SEED=%d", seed)
	o := watched(func(spec *escalation.Spec) {
		spec.Policies[0].RemindAfter, spec.Policies[0].ReturnAfter = 2*time.Hour, 3*time.Hour
		spec.Policies[0].LastResortEvery = time.Hour
	})
	o.slackRate, o.idle = 1, time.Minute
	play(t, o, func(_ *testing.T, s *service) {
		w := &week{service: s, r: rand.New(rand.NewPCG(seed, 7)), firing: map[string]string{}, asked: map[string]map[string]bool{}}
		for hour := range 7 * 24 {
			end := sunday.Add(time.Duration(hour+1) * time.Hour)
			for range w.r.IntN(3) {
				s.pass(time.Duration(w.r.Int64N(int64(25 * time.Minute))))
				w.something()
			}
			w.tidy()
			s.pass(time.Until(end) + time.Duration(w.r.IntN(60))*time.Second)
			w.holds()
		}
		assert.Greater(s.t, w.opened, 20)
	})
}

// tidy ends what has been open for long: a real week would end for lack of
// people else.
func (w *week) tidy() {
	for _, inc := range w.live() {
		if inc.Open() && w.firing[inc.ID] != "" && time.Since(inc.OpenedAt) > 3*time.Hour && w.r.IntN(2) == 0 {
			w.ended(inc.ID)
		}
	}
}

func (w *week) ended(id string) {
	for _, severity := range []string{"critical", "error", "warning"} {
		w.send(ends(ops(w.firing[id], severity)))
	}
}

// something happens.
func (w *week) something() {
	inc := w.some()
	switch n := w.r.IntN(100); {
	case n < 35 || inc == nil:
		w.opened++
		name := fmt.Sprint("Alert", w.opened)
		w.firing[w.opens(name, []string{"critical", "error", "warning"}[w.r.IntN(3)])] = name
	case n < 55:
		w.acknowledges(inc.ID, w.somebody())
	case n < 70:
		w.ended(inc.ID)
	case n < 75:
		w.send(fires(ops(w.firing[inc.ID], "critical")))
	case n < 82:
		who := w.somebody()
		if w.asked[inc.ID] == nil {
			w.asked[inc.ID] = map[string]bool{}
		}
		w.asked[inc.ID][who] = true
		w.acts(inc.ID, tocsin.Action{Kind: tocsin.ActAddResponder, By: "boss", User: who})
	case n < 86:
		w.acts(inc.ID, tocsin.Action{Kind: tocsin.ActSnooze, By: w.somebody(), Until: time.Now().Add(time.Hour)})
	case n < 92:
		from := time.Now().Add(time.Duration(w.r.Int64N(int64(time.Hour))))
		kind := []tocsin.OverrideKind{tocsin.OverrideReplace, tocsin.OverrideAdd, tocsin.OverrideTimeOff}[w.r.IntN(3)]
		_, err := w.engine.PutOverride(context.Background(), tocsin.Override{
			Kind: kind, Schedule: "primary", User: w.somebody(), From: from, To: from.Add(3 * time.Hour), CreatedBy: "boss",
		})
		require.NoError(w.t, err)
	default:
		w.halt()
		w.pass(time.Duration(w.r.Int64N(int64(10 * time.Minute))))
		w.start()
	}
}

// some is one of the open incidents, or nil.
func (w *week) some() *tocsin.Incident {
	open := slices.DeleteFunc(w.live(), func(inc *tocsin.Incident) bool { return !inc.Open() || w.firing[inc.ID] == "" })
	if len(open) == 0 {
		return nil
	}
	return open[w.r.IntN(len(open))]
}

func (w *week) somebody() string {
	return []string{"ana", "bo", "cy", "dan", "eve"}[w.r.IntN(5)]
}

// holds requires what is always so.
func (w *week) holds() {
	w.t.Helper()
	contacts := w.contacts()
	for _, inc := range w.live() {
		switch {
		case inc.State == tocsin.Triggered && !inc.Quiet():
			require.True(w.t, inc.Deadline().After(time.Now()), "%s: open, not taken, and nothing is to come", inc.ID)
			require.True(w.t, len(inc.Escalation.Responders) > 0 || len(w.said(inc.ID, tocsin.EventNobody)) > 0, "%s: nobody was called, and it does not say why", inc.ID)
		case inc.State == tocsin.Acknowledged:
			for _, c := range contacts {
				late := c.about == inc.ID && c.at.After(inc.AcknowledgedAt.Add(5*time.Second))
				require.False(w.t, late && c.user != inc.AcknowledgedBy && !w.asked[inc.ID][c.user],
					"%s: %s was called at %s by %s, and %s had answered at %s", inc.ID, c.user, c.at, c.by, inc.AcknowledgedBy, inc.AcknowledgedAt)
			}
		}
		for _, d := range inc.Deliveries {
			require.False(w.t, d.Lags(inc) && time.Since(d.Since) > time.Minute, "%s: %s is behind since %s", inc.ID, d.Target, d.Since)
		}
	}
	w.phones()
}

// phones requires that nobody's phone rings twice for one incident, or for one
// that is resolved.
func (w *week) phones() {
	w.t.Helper()
	for name, key := range everybody {
		open := map[string]int{}
		for _, p := range w.pagerduty.Incidents(key) {
			if p.Status == pagerdutytest.Resolved {
				continue
			}
			about, ours := pagerduty.ParseKey(p.DedupKey)
			require.True(w.t, ours, p.DedupKey)
			open[about.Incident]++
			require.Equal(w.t, 1, open[about.Incident], "%s has two incidents for one", name)
			inc := w.get(about.Incident)
			require.True(w.t, inc.Open(), "%s's phone rings for %s, which is resolved", name, inc.ID)
			if p.Status == pagerdutytest.Triggered && inc.State == tocsin.Acknowledged {
				require.True(w.t, w.asked[inc.ID][name], "%s's phone rings for %s, which %s has", name, inc.ID, inc.AcknowledgedBy)
			}
		}
	}
	require.Empty(w.t, w.pagerduty.Violations())
}
