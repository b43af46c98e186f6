package callback_test

import (
	"context"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
)

// TestBothSidesEndInTheSameState: people act on both sides at once, calls and
// their receipts, webhooks and their order are delayed, swapped and doubled; when
// all has been told, both show the same, and little was sent.
func TestBothSidesEndInTheSameState(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		require.NoError(r, err)
		w := newWorld(r, dir)
		defer func() { require.NoError(r, w.store.Close()) }()
		w.skew = time.Duration(rapid.SampledFrom([]int{0, 0, 0, -7, 7}).Draw(r, "skew")) * time.Second
		const id = "k7f3q9"
		w.open(id)
		acts := 1
		for range rapid.IntRange(1, 30).Draw(r, "steps") {
			if w.step(r, id) {
				acts++
			}
		}
		w.settle(id)
		inc := w.inc(id)
		assert.LessOrEqual(r, w.pd.Stats().Calls, 4*acts, "messages to PagerDuty")
		if list := w.pd.Incidents(routingKey); len(list) > 0 {
			is := list[len(list)-1].Status
			if w.reopened && inc.State == tocsin.Triggered && is == pagerdutytest.Acknowledged {
				is = pagerdutytest.Triggered // an acknowledgement met a reopening on its way: here somebody is called on
			}
			if w.skew != 0 {
				is = string(inc.State) // which came first is then not known within the difference
			}
			assert.Equal(r, string(inc.State), is, "%v\n%v", w.timeline(id), story(w.pd))
		} else {
			d := inc.Delivery(target)
			assert.True(r, inc.State == tocsin.Resolved || d.Stopped, "PagerDuty was told nothing")
		}
		assert.Zero(r, w.count("forged")+w.count("malformed")+w.count("unavailable"))
		calls := w.pd.Stats().Calls
		w.settle(id)
		assert.Equal(r, calls, w.pd.Stats().Calls, "it is at rest")
		assert.False(r, inc.Delivery(target).Lags(inc))
	})
}

// step does one thing, and reports whether somebody did it.
func (w *world) step(r *rapid.T, id string) bool {
	w.now = w.now.Add(time.Duration(rapid.IntRange(1, 100).Draw(r, "tenths")) * 100 * time.Millisecond)
	ctx := context.Background()
	switch rapid.SampledFrom([]string{"here", "here", "there", "there", "call", "call", "save", "hook", "hook", "swap", "double"}).Draw(r, "what") {
	case "here":
		w.here(r, id)
		return true
	case "there":
		return w.thereActs(r)
	case "call":
		w.call(id)
	case "save":
		w.save(id)
	case "hook":
		if hooks := w.pd.Hooks(); len(hooks) > 0 {
			w.pd.SendHook(ctx, hooks[0])
		}
	case "swap":
		if hooks := firsts(w.pd.Hooks()); len(hooks) > 0 {
			w.pd.SendHook(ctx, hooks[rapid.IntRange(0, len(hooks)-1).Draw(r, "hook")])
		}
	case "double":
		if hooks := w.pd.Hooks(); len(hooks) > 0 {
			w.pd.Duplicate(hooks[rapid.IntRange(0, len(hooks)-1).Draw(r, "hook")])
		}
	}
	return false
}

// firsts are the first webhook of each of PagerDuty's incidents: PagerDuty keeps
// the order of one incident's.
func firsts(hooks []pagerdutytest.Hook) []pagerdutytest.Hook {
	seen := map[string]bool{}
	return slices.DeleteFunc(hooks, func(h pagerdutytest.Hook) bool {
		was := seen[h.Incident]
		seen[h.Incident] = true
		return was
	})
}

func (w *world) here(r *rapid.T, id string) {
	ctx := context.Background()
	switch rapid.SampledFrom([]string{"acknowledge", "resolve", "fires", "return", "note", "severity"}).Draw(r, "here") {
	case "acknowledge":
		_ = w.engine.Act(ctx, id, tocsin.Action{Kind: tocsin.ActAcknowledge, By: "ana"})
	case "resolve":
		_ = w.engine.Act(ctx, id, tocsin.Action{Kind: tocsin.ActResolve, By: "ana", Force: true})
	case "note":
		require.NoError(w, w.engine.Act(ctx, id, tocsin.Action{Kind: tocsin.ActNote, By: "ana", Text: "looking"}))
	case "severity":
		_ = w.engine.Act(ctx, id, tocsin.Action{Kind: tocsin.ActSeverity, By: "ana", Severity: rapid.SampledFrom([]tocsin.Severity{tocsin.Info, tocsin.Critical}).Draw(r, "severity")})
	case "fires", "return":
		w.update(func(tx tocsin.Tx) {
			inc := tx.Incident(id)
			var e tocsin.Event
			switch inc.State {
			case tocsin.Resolved:
				e = inc.Reopen("fires again", w.now)
			case tocsin.Acknowledged:
				e, _ = inc.Return("cy", "escalated", w.now)
			default:
				return
			}
			inc.Call(target, "", "", false, w.now)
			tx.PutIncident(inc)
			tx.Append(e)
		})
	}
}

func (w *world) thereActs(r *rapid.T) bool {
	list := w.pd.Incidents(routingKey)
	if len(list) == 0 {
		return false
	}
	id := list[len(list)-1].ID
	by := rapid.SampledFrom([]pagerdutytest.Reference{bo, eve}).Draw(r, "by")
	switch rapid.SampledFrom([]string{"acknowledge", "unacknowledge", "resolve", "reopen", "reassign", "note"}).Draw(r, "there") {
	case "acknowledge":
		return w.pd.Acknowledge(id, by)
	case "unacknowledge":
		return w.pd.Unacknowledge(id)
	case "resolve":
		return w.pd.Resolve(id, by)
	case "reopen":
		again := w.pd.Reopen(id, by)
		w.reopened = w.reopened || again
		return again
	case "reassign":
		return w.pd.Reassign(id, by, ana)
	default:
		return w.pd.Annotate(id, by, "looking there")
	}
}

// story is what PagerDuty was told, in a line each.
func story(s *pagerdutytest.Server) []string {
	var out []string
	for _, e := range s.Events() {
		out = append(out, e.At.Format("04:05.0 ")+e.Action+" "+e.DedupKey+" "+e.Outcome)
	}
	return out
}
