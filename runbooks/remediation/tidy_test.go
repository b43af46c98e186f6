package remediation_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks/remediation"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

func TestAnIncidentGetsSoManyAndNoMore(t *testing.T) {
	t.Parallel()
	play(t, func(s *stage) {
		id := s.burn(nodes(300)...)
		s.pass(time.Hour)
		assert.Len(s, s.all(id), 200)
		assert.Len(s, s.world.runs(), 200)
		said := s.said(id)
		assert.True(s, slices.ContainsFunc(said, func(line string) bool {
			return line == "restart-node on node-199: starts by itself; there are as many for this incident as there may be (200), and no more are proposed"
		}))
		_, err := s.engine.Start(context.Background(), id, "restart-node", "node-250", "ana")
		require.NoError(s, err, "somebody may ask for more")
	}, remedy(tocsin.ModeAuto))
}

func TestWhatIsOldIsDropped(t *testing.T) {
	t.Parallel()
	play(t, func(s *stage) {
		s.halt()
		s.keep = 48 * time.Hour
		s.start()
		s.world.prints = "x"
		open, closed := s.burn("node-1"), s.burn("node-2")
		require.Equal(s, tocsin.RemediationVerified, s.one(open).State)
		s.resolve(closed)
		require.NoError(s, s.store.Update(context.Background(), func(tx tocsin.Tx) error { tx.Archive(closed); return nil }))
		s.pass(47 * time.Hour)
		assert.Len(s, s.all(""), 2)
		s.pass(2 * time.Hour)
		assert.Empty(s, s.all(closed))
		assert.Len(s, s.all(open), 1, "it would be run again")
		docs, _, err := s.store.Documents(context.Background(), remediation.KindOutput)
		require.NoError(s, err)
		assert.Len(s, docs, 1)
	}, remedy(tocsin.ModeAuto, func(s *remediation.Spec) { s.Contract.Breaker.In = time.Hour }))
}

func TestOutputsAreBounded(t *testing.T) {
	t.Parallel()
	play(t, func(s *stage) {
		s.world.prints = "x"
		for i := range 3 {
			var list []string
			for n := range 150 {
				list = append(list, fmt.Sprintf("node-%d-%d", i, n))
			}
			s.burn(list...)
			s.pass(2 * time.Minute)
		}
		s.pass(10 * time.Minute)
		docs, _, err := s.store.Documents(context.Background(), remediation.KindOutput)
		require.NoError(s, err)
		assert.Len(s, docs, 256)
		assert.Len(s, s.all(""), 450)
	}, remedy(tocsin.ModeAuto))
}

func TestWhatCannotBeReadStopsEverything(t *testing.T) {
	t.Parallel()
	play(t, func(s *stage) {
		require.NoError(s, s.store.Update(context.Background(), func(tx tocsin.Tx) error {
			tx.PutDocument(remediation.KindRecord, "damaged", []byte(`{"id": 7}`))
			return nil
		}))
		id := s.burn("node-1")
		s.pass(time.Minute)
		assert.Equal(s, tocsin.RemediationRefused, s.one(id).State)
		assert.Contains(s, s.one(id).Why, "remediation damaged cannot be read, so nothing can be counted")
		assert.Empty(s, s.world.runs())
	}, remedy(tocsin.ModeAuto))
	play(t, func(s *stage) {
		value, err := json.Marshal("what?")
		require.NoError(s, err)
		require.NoError(s, s.store.Update(context.Background(), func(tx tocsin.Tx) error {
			tx.PutDocument(remediation.KindSwitch, "all", value)
			return nil
		}))
		assert.Contains(s, s.one(s.burn("node-1")).Why, "a switch that cannot be read")
	}, remedy(tocsin.ModeAuto))
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	rules, err := remediation.NewRules([]remediation.Spec{remedy(tocsin.ModeAuto)})
	require.NoError(t, err)
	play(t, func(s *stage) {
		s.halt()
		o := s.options(s.store)
		o.Registerer = reg
		s.engine, s.stop, s.done = run(s.T, rules, o)
		s.world.takes = time.Second
		s.burn("node-1", "-x")
		assert.Equal(s, 1.0, gauge(s, reg, "tocsin_remediations_running"))
		s.pass(time.Minute)
		assert.Equal(s, 0.0, gauge(s, reg, "tocsin_remediations_running"))
		all, err := reg.Gather()
		require.NoError(s, err)
		n := map[string]int{}
		for _, f := range all {
			n[f.GetName()] = len(f.GetMetric())
		}
		assert.Equal(s, map[string]int{
			"tocsin_remediations_total": 2, "tocsin_remediations_running": 1, "tocsin_remediation_start_seconds": 1,
		}, n, "one verified and one refused")
	}, remedy(tocsin.ModeAuto))
}

func gauge(t testing.TB, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	all, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range all {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// BenchmarkAutoStart measures from Offer to Runner.Run over a store on disk, with a
// precheck that costs nothing: p99 at most 100 ms is promised.
func BenchmarkAutoStart(b *testing.B) {
	store, err := bolt.Open(filepath.Join(b.TempDir(), "tocsin.db"), bolt.Options{MinFree: -1, Ballast: -1})
	require.NoError(b, err)
	defer store.Close()
	w := newWorld()
	began := make(chan time.Time, 1)
	w.began = func(string) { began <- time.Now() }
	rules, err := remediation.NewRules([]remediation.Spec{remedy(tocsin.ModeAuto, tenPercent, func(s *remediation.Spec) {
		s.Contract.Budget.Fleet.Percent = 100
	})})
	require.NoError(b, err)
	w.size = 1e9
	e, stop, done := run(b, rules, remediation.Options{Store: store, Runner: w, Prober: w, Pager: w})
	defer func() { stop(); <-done }()
	var took []time.Duration
	for i := range b.N {
		id, node := fmt.Sprintf("i%06d", i), fmt.Sprintf("node-%d", i)
		w.set(func() { w.up[node] = false })
		put(b, store, id, alertOf(node))
		at := time.Now()
		e.Offer(context.Background(), id)
		took = append(took, (<-began).Sub(at))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
