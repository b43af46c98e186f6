package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"time"
)

// size prints the binary's size.
func size(_ context.Context, o options) error {
	st, err := os.Stat(o.tocsin)
	if err != nil {
		return err
	}
	fmt.Printf("binary                    %8.1f MiB   (at most 40)\n", float64(st.Size())/(1<<20))
	return nil
}

// with runs f with a fresh sink and folder.
func with(f func(s *sink, dir string) error) error {
	dir, err := os.MkdirTemp("", "tocsin-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s := newSink()
	defer s.Close()
	return f(s, dir)
}

// idle prints what a started, unused Tocsin holds.
func idle(ctx context.Context, o options) error {
	return with(func(s *sink, dir string) error {
		p, err := startTocsin(ctx, o, dir, s.URL, "alertname, instance")
		if err != nil {
			return err
		}
		time.Sleep(3 * time.Second) // let the start's garbage settle: it is idleness that is measured
		fmt.Printf("resident when idle        %8.1f MiB   (at most 40)\n", p.memory("VmRSS"))
		return p.stop()
	})
}

// result is one program's storm.
type result struct {
	rate, cpu, peak float64
}

func (r result) print(name string) {
	fmt.Printf("%-14s %8.0f incidents/s   %6.3f ms CPU an alert   %6.0f MiB at the peak\n", name, r.rate, r.cpu, r.peak)
}

// storm posts distinct incidents, one alert a request, and then the same again
// in requests of 50.
func storm(ctx context.Context, o options) error {
	var ours, theirs result
	err := with(func(s *sink, dir string) error {
		p, err := startTocsin(ctx, o, dir, s.URL, "alertname, instance")
		if err != nil {
			return err
		}
		single, fifty := stormBodies(o.n)
		ours, err = measureStorm(ctx, o, s, p, single)
		if err == nil {
			ours.print("tocsin")
			err = repeat(ctx, o, p, fifty)
		}
		return errors.Join(err, p.stop())
	})
	if err != nil || o.alertmanager == "" {
		return err
	}
	err = with(func(s *sink, dir string) error {
		p, err := startAlertmanager(ctx, o, dir, s.URL)
		if err != nil {
			return err
		}
		bodies := make([][]byte, o.n)
		for i := range bodies {
			bodies[i] = apiBody(makeAlert(i, fmt.Sprintf("node-%d:9090", i)))
		}
		theirs, err = measureStorm(ctx, o, s, p, bodies)
		if err == nil {
			theirs.print("alertmanager")
		}
		return errors.Join(err, p.stop())
	})
	if err == nil {
		fmt.Printf("tocsin / alertmanager     %8.2f x rate (at least 2)   %.2f x CPU   %.2f x memory\n",
			ours.rate/theirs.rate, ours.cpu/theirs.cpu, ours.peak/theirs.peak)
	}
	return err
}

func stormBodies(n int) (single, fifty [][]byte) {
	all := make([]amAlert, n)
	for i := range all {
		all[i] = makeAlert(i, fmt.Sprintf("node-%d:9090", i))
		single = append(single, webhookBody(all[i]))
	}
	for chunk := range slices.Chunk(all, 50) {
		fifty = append(fifty, webhookBody(chunk...))
	}
	return single, fifty
}

func measureStorm(ctx context.Context, o options, s *sink, p *process, bodies [][]byte) (result, error) {
	before := p.cpu()
	first, err := postAll(ctx, p.url, o.connections, bodies)
	if err != nil {
		return result{}, err
	}
	last, err := s.wait(ctx, int64(len(bodies)))
	if err != nil {
		return result{}, err
	}
	n := float64(len(bodies))
	return result{
		rate: n / last.Sub(first).Seconds(),
		cpu:  float64(p.cpu()-before) / float64(time.Millisecond) / n,
		peak: p.memory("VmHWM"),
	}, nil
}

// repeat posts what is known already, for at least half a second.
func repeat(ctx context.Context, o options, p *process, fifty [][]byte) error {
	var rounds [][]byte
	for len(rounds) < 2000 {
		rounds = append(rounds, fifty...)
	}
	first, err := postAll(ctx, p.url, o.connections, rounds)
	if err != nil {
		return err
	}
	fmt.Printf("the same again            %8.0f alerts/s in requests of 50   (at least 30,000)\n",
		50*float64(len(rounds))/time.Since(first).Seconds())
	return nil
}

// paced posts 50 a second and prints how long each took from POST to Slack.
func paced(ctx context.Context, o options) error {
	if err := with(func(s *sink, dir string) error {
		p, err := startTocsin(ctx, o, dir, s.URL, "alertname, instance")
		if err != nil {
			return err
		}
		return errors.Join(pace(ctx, "tocsin", s, p, func(i int) []byte { return webhookBody(makeAlert(i, fmt.Sprintf("node-%d:9090", i))) }), p.stop())
	}); err != nil || o.alertmanager == "" {
		return err
	}
	return with(func(s *sink, dir string) error {
		p, err := startAlertmanager(ctx, o, dir, s.URL)
		if err != nil {
			return err
		}
		return errors.Join(pace(ctx, "alertmanager", s, p, func(i int) []byte { return apiBody(makeAlert(i, fmt.Sprintf("node-%d:9090", i))) }), p.stop())
	})
}

func pace(ctx context.Context, name string, s *sink, p *process, body func(int) []byte) error {
	const n, warm = 1000, 50
	client := &http.Client{}
	sent := make([]time.Time, n)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := range n {
		<-tick.C
		b := body(i)
		sent[i] = time.Now()
		if err := postOne(ctx, client, p.url, b); err != nil {
			return err
		}
	}
	if _, err := s.wait(ctx, n); err != nil {
		return err
	}
	var took []time.Duration
	for i := warm; i < n; i++ {
		if at, ok := s.arrived(i); ok {
			took = append(took, at.Sub(sent[i]))
		}
	}
	slices.Sort(took)
	ms := func(q float64) float64 { return float64(took[int(q*float64(len(took)-1))]) / float64(time.Millisecond) }
	fmt.Printf("%-14s POST to Slack at 50/s: p50 %.2f ms, p99 %.2f ms, max %.2f ms\n", name, ms(0.5), ms(0.99), ms(1))
	return nil
}

// oneIncident posts 50,000 alerts of one incident.
func oneIncident(ctx context.Context, o options) error {
	return with(func(s *sink, dir string) error {
		p, err := startTocsin(ctx, o, dir, s.URL, "alertname")
		if err != nil {
			return err
		}
		return errors.Join(growth(ctx, o, nil, p, 50_000), p.stop())
	})
}

// manyIncidents opens 100,000 incidents and restarts.
func manyIncidents(ctx context.Context, o options) error {
	return with(func(s *sink, dir string) error {
		p, err := startTocsin(ctx, o, dir, s.URL, "alertname, instance")
		if err != nil {
			return err
		}
		err = growth(ctx, o, s, p, 100_000)
		fmt.Printf("resident with all told    %8.0f MiB (of it anonymous %.0f)\n", p.memory("VmRSS"), p.memory("RssAnon"))
		if err := errors.Join(err, p.stop()); err != nil {
			return err
		}
		began := time.Now()
		p, err = startTocsin(ctx, o, dir, s.URL, "alertname, instance")
		if err != nil {
			return err
		}
		fmt.Printf("ready after a restart in  %8.2f s   (at most 3)   resident %.0f MiB\n", time.Since(began).Seconds(), p.memory("VmRSS"))
		return p.stop()
	})
}

// growth posts n alerts in requests of 50 and compares what the last thousand
// cost with what the first did, and prints the memory an alert. The first
// thousand is taken after a warm-up of another thousand. With a sink, every
// thousand is told before the next is posted.
func growth(ctx context.Context, o options, s *sink, p *process, n int) error {
	const step = 1000
	var costs []time.Duration
	base := p.memory("RssAnon")
	for from := 0; from < n; from += step {
		var bodies [][]byte
		for i := from; i < from+step; i += 50 {
			var alerts []amAlert
			for k := i; k < i+50; k++ {
				alerts = append(alerts, makeAlert(k, fmt.Sprintf("node-%d:9090", k)))
			}
			bodies = append(bodies, webhookBody(alerts...))
		}
		before := p.cpu()
		if _, err := postAll(ctx, p.url, o.connections, bodies); err != nil {
			return err
		}
		if s != nil {
			if _, err := s.wait(ctx, int64(from+step)); err != nil {
				return err
			}
		}
		costs = append(costs, p.cpu()-before)
	}
	per := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) / step }
	early, late := costs[1], slices.Clone(costs[len(costs)-10:])
	slices.Sort(late)
	fmt.Printf("CPU an alert: first thousand %.0f us, last thousand (median of ten) %.0f us: ratio %.2f (at most 1.3)\n",
		per(early), per(late[5]), float64(late[5])/float64(early))
	fmt.Printf("memory an alert           %8.2f KiB anonymous   (at most 1.5)\n", (p.memory("RssAnon")-base)*1024/float64(n))
	return nil
}
