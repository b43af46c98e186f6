package bolt_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

// mostEach bounds the bytes of live heap for an open incident with one alert.
const mostEach = 1500

// heap is the live heap in bytes.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// fill opens incidents with one alert each and records their delivery.
func fill(tb testing.TB, s *bolt.Store, incidents int) {
	receivers, pinned := []string{"platform"}, &tocsin.Progress{Version: "3f9a01c2b4d5@1a2b3c4d5e"}
	const step = 1000
	for from := 0; from < incidents; from += step {
		var fns []func(tocsin.Tx) error
		for n := from; n < from+step; n++ {
			fns = append(fns, opening(n, receivers, pinned))
		}
		require.NoError(tb, s.Update(context.Background(), func(tx tocsin.Tx) error {
			for _, fn := range fns {
				if err := fn(tx); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	deliver(tb, s, step)
}

// deliver records a receipt for everything that lags.
func deliver(tb testing.TB, s *bolt.Store, step int) {
	wakes := s.Lagging(time.Now())
	for from := 0; from < len(wakes); from += step {
		require.NoError(tb, s.Update(context.Background(), func(tx tocsin.Tx) error {
			for _, w := range wakes[from:min(from+step, len(wakes))] {
				i := tx.Incident(w.Incident)
				d := i.Delivery(w.Target)
				d.Revision, d.State, d.Severity = i.Revision, i.State, i.Severity
				d.Ref, d.DeliveredAt = "C0123456789/1700000000."+i.ID, time.Now()
				tx.PutIncident(i)
				tx.Append(i.Event(tocsin.EventDelivered, "", "posted to #incidents", time.Now()))
			}
			return nil
		}))
	}
}

// TestManyOpenIncidents measures the memory of open incidents and the time to
// open their file again. BenchmarkOpen has five times as many.
func TestManyOpenIncidents(t *testing.T) {
	const incidents = 20_000
	dir := t.TempDir()
	before := heap()
	s, err := bolt.Open(dir, bolt.Options{})
	require.NoError(t, err)
	fill(t, s, incidents)
	each := (heap() - before) / int64(incidents)
	t.Logf("%d bytes of live heap each, file %d MiB", each, s.Stats().Size>>20)
	assert.LessOrEqual(t, each, int64(mostEach), "bytes an incident with one alert")
	assert.Equal(t, incidents, s.Stats().Live)
	require.NoError(t, s.Close())
	runtime.KeepAlive(s)
	s = nil // lets the memory go before it is measured again

	before = heap()
	began := time.Now()
	again, err := bolt.Open(dir, bolt.Options{})
	require.NoError(t, err)
	took := time.Since(began)
	each = (heap() - before) / int64(incidents)
	t.Logf("%d bytes of live heap each after opening it again in %s", each, took)
	assert.LessOrEqual(t, each, int64(mostEach), "bytes an incident with one alert")
	assert.Less(t, took, time.Minute, "generous: other tests run beside this one; see BenchmarkOpen")
	st := again.Stats()
	assert.Equal(t, []int{incidents, incidents, incidents, incidents, 0}, []int{st.Live, st.Open, st.Alerts, st.Firing, st.Lagging})
	require.NoError(t, again.Close())
}

// BenchmarkOpen opens a file of 100,000 open incidents.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s, err := bolt.Open(dir, bolt.Options{})
	require.NoError(b, err)
	fill(b, s, 100_000)
	require.NoError(b, s.Close())
	s = nil
	before := heap()
	for b.Loop() {
		s, err = bolt.Open(dir, bolt.Options{})
		require.NoError(b, err)
		b.StopTimer()
		b.ReportMetric(float64(heap()-before)/100_000, "heap-bytes/incident")
		require.NoError(b, s.Close())
		s = nil
		b.StartTimer()
	}
}

// BenchmarkBigIncident adds alerts to one incident, 50 an update, and reports
// what the last thousand cost against the first.
func BenchmarkBigIncident(b *testing.B) {
	for b.Loop() {
		s := openBench(b, nil)
		require.NoError(b, s.Update(context.Background(), func(tx tocsin.Tx) error {
			now := time.Now()
			tx.PutIncident(&tocsin.Incident{ID: "big", State: tocsin.Triggered, Group: tocsin.NewKey("g"), OpenedAt: now})
			return nil
		}))
		var first, last time.Duration
		const alerts, thousand = 50_000, 1000
		for n := 0; n < alerts; n += thousand {
			began := time.Now()
			for k := n; k < n+thousand; k += 50 {
				attach(b, s, "big", k, 50)
			}
			last = time.Since(began)
			if n == thousand { // the first after the warm-up
				first = last
			}
		}
		b.ReportMetric(float64(last)/float64(first), "last/first")
		b.ReportMetric(float64(last)/thousand/1e3, "µs/alert")
		archiveBig(b, s)
	}
}

// attach adds n alerts from number from on to an incident.
func attach(tb testing.TB, s *bolt.Store, id string, from, n int) {
	var alerts []tocsin.Alert
	for k := range n {
		alerts = append(alerts, node(from+k))
	}
	now := time.Now()
	require.NoError(tb, s.Update(context.Background(), func(tx tocsin.Tx) error {
		i := tx.Incident(id)
		for k := range alerts {
			i.Alerts++
			st := tocsin.AlertState{ID: alerts[k].ID(), Incident: id, Seq: i.Alerts, Severity: tocsin.Critical, Index: []tocsin.Key{tocsin.NewKey("region", "eu")}}
			fired, _ := st.Observe(&alerts[k], now, time.Minute)
			i.Count(st, fired, now)
			tx.PutAlert(fired, &alerts[k])
			tx.Append(i.Event(tocsin.EventAlertFired, "", fmt.Sprint("alert ", i.Alerts), now))
		}
		tx.PutIncident(i)
		return nil
	}))
}

// archiveBig reports how long the update takes that archives an incident.
func archiveBig(b *testing.B, s *bolt.Store) {
	began := time.Now()
	records, err := s.AlertsOf(context.Background(), "big", 10)
	require.NoError(b, err)
	require.Len(b, records, 10)
	b.ReportMetric(float64(time.Since(began))/1e3, "µs/AlertsOf")
	began = time.Now()
	require.NoError(b, s.Update(context.Background(), func(tx tocsin.Tx) error {
		i := tx.Incident("big")
		i.Resolve("ana", "resolved", time.Now())
		tx.PutIncident(i)
		tx.Archive("big")
		return nil
	}))
	b.ReportMetric(float64(time.Since(began))/1e3, "µs/archive")
}
