package bolt_test

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

// node returns an alert as Prometheus' node exporter rules send them.
func node(n int) tocsin.Alert {
	host := fmt.Sprintf("node-%06d", n)
	return tocsin.Alert{
		Source: "prod", Firing: true, StartsAt: time.Now().UTC(),
		Labels: tocsin.Labels{
			"alertname": "NodeDown", "severity": "critical", "region": "eu-west-1", "job": "node",
			"instance": host + ":9100", "cluster": "prod-1",
		},
		Annotations: tocsin.Labels{
			"summary":     host + " is down",
			"description": "Prometheus has not been able to scrape " + host + " for more than 5 minutes.",
			"runbook_url": "https://runbooks.example.com/node-down",
		},
		GeneratorURL: "http://prometheus.example.com/graph?g0.expr=up+%3D%3D+0&g0.tab=1",
	}
}

// opening returns an update that opens an incident with one alert, one delivery and
// one event, as the router does.
func opening(n int, receivers []string, pinned ...*tocsin.Progress) func(tocsin.Tx) error {
	a := node(n)
	now := time.Now()
	seed := tocsin.NewSeed()
	key, group := a.ID(), tocsin.NewKey("route", a.Labels["instance"])
	return func(tx tocsin.Tx) error {
		if _, known := tx.Alert(key); known || tx.ByGroup(group) != nil {
			return fmt.Errorf("%s has an incident already", a.Labels["instance"])
		}
		take := 0
		for tx.Incident(seed.ID(take)) != nil {
			take++
		}
		id := seed.ID(take)
		i := &tocsin.Incident{
			ID: id, State: tocsin.Triggered, Severity: tocsin.Critical, Title: a.Summary(), Group: group,
			Route: "tocsin.yml:12", Receivers: receivers, Runbook: "ops/nodes#node-down", OpenedAt: now, Alerts: 1,
		}
		if len(pinned) > 0 {
			i.Progress = pinned[0]
		}
		s, _ := tocsin.AlertState{ID: key, Incident: id, Seq: 1, Severity: tocsin.Critical}.Observe(&a, now, time.Minute)
		i.Count(tocsin.AlertState{}, s, now)
		i.AddTarget("slack:#incidents", true, now)
		tx.PutAlert(s, &a)
		tx.PutIncident(i)
		tx.Append(i.Event(tocsin.EventOpened, "", "opened by NodeDown", now))
		return nil
	}
}

// cpu is the processor time that the process has used.
func cpu(tb testing.TB) time.Duration {
	var u syscall.Rusage
	require.NoError(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkOpenIncidents opens incidents from 32 goroutines at once.
func BenchmarkOpenIncidents(b *testing.B) {
	reg := prometheus.NewRegistry()
	s := openBench(b, reg)
	receivers := []string{"platform"}
	var n atomic.Int64
	b.SetParallelism(32 / runtime.GOMAXPROCS(0))
	b.ReportAllocs()
	before := cpu(b)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			fn := opening(int(n.Add(1)), receivers)
			if err := s.Update(context.Background(), fn); err != nil {
				b.Error(err)
			}
		}
	})
	b.StopTimer()
	b.ReportMetric(float64(b.N)/commits(b, reg), "updates/commit")
	b.ReportMetric(float64(cpu(b)-before)/float64(b.N)/1e3, "µs-cpu/op")
}

// BenchmarkRepeats observes known alerts again, 50 an update.
func BenchmarkRepeats(b *testing.B) {
	s := openBench(b, nil)
	var keys []tocsin.Key
	require.NoError(b, s.Update(context.Background(), func(tx tocsin.Tx) error {
		for n := range 5000 {
			fn := opening(n, nil)
			if err := fn(tx); err != nil {
				return err
			}
			a := node(n)
			keys = append(keys, a.ID())
		}
		return nil
	}))
	var n atomic.Int64
	b.SetParallelism(32 / runtime.GOMAXPROCS(0))
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			from := int(n.Add(50)) % (len(keys) - 50)
			err := s.Update(context.Background(), func(tx tocsin.Tx) error {
				for _, k := range keys[from : from+50] {
					a, _ := tx.Alert(k)
					a.Repeats++
					tx.Observed(a)
				}
				return nil
			})
			if err != nil {
				b.Error(err)
			}
		}
	})
}

// commits is how many there were, as the metrics have it.
func commits(tb testing.TB, reg *prometheus.Registry) float64 {
	families, err := reg.Gather()
	require.NoError(tb, err)
	for _, f := range families {
		if f.GetName() == "tocsin_store_commits_total" {
			return f.Metric[0].Counter.GetValue()
		}
	}
	tb.Fatal("no commits are counted")
	return 0
}

func openBench(b *testing.B, reg prometheus.Registerer) *bolt.Store {
	s, err := bolt.Open(b.TempDir(), bolt.Options{Registerer: reg})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	return s
}
