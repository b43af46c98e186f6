package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The demo's chain: nodes that are servers of their own on this machine, and what
// starts and stops them, as systemd does elsewhere.

// chainNode is one node. It runs while its server does.
type chainNode struct {
	name, region string
	// waiting are the transactions in its mempool.
	waiting atomic.Int64

	mu      sync.Mutex
	addr    string // where it listens, the same each time
	server  *http.Server
	starts  int
	samples []sample // what was seen of it, the oldest first
}

// sample is what was seen of a node from a time on.
type sample struct {
	at      time.Time
	up      bool
	waiting float64
}

// chain are the demo's nodes.
type chain []*chainNode

// newChain returns seven nodes in four regions, none of which runs.
func newChain() chain {
	var c chain
	for _, place := range []struct {
		region string
		nodes  int
	}{{"us-east", 3}, {"us-west", 1}, {"eu-west", 2}, {"ap-south", 1}} {
		for n := range place.nodes {
			c = append(c, &chainNode{name: fmt.Sprintf("node-%s-%d", place.region, n+1), region: place.region})
		}
	}
	return c
}

// node returns the one of that name; nil: there is none.
func (c chain) node(name string) *chainNode {
	for _, n := range c {
		if n.name == name {
			return n
		}
	}
	return nil
}

// start starts what does not run.
func (c chain) start() error {
	var errs []error
	for _, n := range c {
		errs = append(errs, n.start())
	}
	return errors.Join(errs...)
}

// stop stops all.
func (c chain) stop() {
	for _, n := range c {
		n.stop()
	}
}

// instance is how Prometheus calls the node.
func (n *chainNode) instance() string { return n.name + ":9090" }

// start starts the node; it is a success when it runs already.
func (n *chainNode) start() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.server != nil {
		return nil
	}
	l, err := net.Listen("tcp", n.addr)
	if n.addr == "" || err != nil { // the first time, or somebody else is there now
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return fmt.Errorf("starting %s: %w", n.name, err)
	}
	n.addr = l.Addr().String()
	n.starts++
	n.server = &http.Server{Handler: n.handler(), ReadHeaderTimeout: 5 * time.Second}
	go func(s *http.Server) { _ = s.Serve(l) }(n.server) // it always ends with an error: that it was stopped
	return nil
}

// stop ends the node as a crash does: with what it was doing.
func (n *chainNode) stop() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.server != nil {
		_ = n.server.Close() // it listens no more, whatever it says
		n.server = nil
	}
}

// where returns where the node listens, or did, and how often it was started.
func (n *chainNode) where() (addr string, starts int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.addr, n.starts
}

func (n *chainNode) handler() http.Handler {
	began := time.Now()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		fmt.Fprintf(w, "# TYPE chain_height counter\nchain_height %d\n", time.Since(began)/time.Second)
		fmt.Fprintf(w, "# TYPE %s gauge\n%[1]s %d\n", waitingMetric, n.waiting.Load())
	})
	return mux
}

// waitingMetric is how the transactions in the mempool are called.
const waitingMetric = "chain_pending_transactions"

// scrape looks at the node as Prometheus does, and keeps what it has seen.
func (n *chainNode) scrape(ctx context.Context, client *http.Client) {
	addr, _ := n.where()
	seen := sample{at: time.Now()}
	seen.waiting, seen.up = metric(ctx, client, "http://"+addr+"/metrics")
	n.mu.Lock()
	defer n.mu.Unlock()
	if k := len(n.samples); k == 0 || n.samples[k-1].up != seen.up || n.samples[k-1].waiting != seen.waiting {
		n.samples = append(n.samples, seen)
	}
}

// metric reads the mempool's metric from a node; false: it does not answer.
func metric(ctx context.Context, client *http.Client, url string) (value float64, ok bool) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, false
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, false
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err != nil || resp.StatusCode != http.StatusOK {
		return 0, false
	}
	for line := range strings.Lines(string(body)) {
		if text, ours := strings.CutPrefix(line, waitingMetric+" "); ours {
			value, err = strconv.ParseFloat(strings.TrimSpace(text), 64)
			return value, err == nil
		}
	}
	return 0, false
}

// at is what was known of the node at a time; false: it was not looked at yet.
func (n *chainNode) at(t time.Time) (sample, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := len(n.samples) - 1; i >= 0; i-- {
		if !n.samples[i].at.After(t) {
			return n.samples[i], true
		}
	}
	return sample{}, false
}

// supervisor starts and stops nodes: POST /NODE/start, /NODE/stop, /NODE/restart.
func (c chain) supervisor() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		for _, n := range c {
			addr, starts := n.where()
			state := "does not answer"
			if s, ok := n.at(time.Now()); ok && s.up {
				state = "answers"
			}
			fmt.Fprintf(w, "%-16s http://%s/health  %s, started %d times\n", n.name, addr, state, starts)
		}
		fmt.Fprintln(w, "\nPOST /NODE/start, /NODE/stop and /NODE/restart; /api/v1/query answers as Prometheus does")
	})
	mux.HandleFunc("POST /{node}/{verb}", func(w http.ResponseWriter, r *http.Request) {
		n, verb := c.node(r.PathValue("node")), r.PathValue("verb")
		if n == nil || verb != "start" && verb != "stop" && verb != "restart" {
			http.NotFound(w, r)
			return
		}
		if verb != "start" {
			n.stop()
		}
		if verb == "stop" {
			fmt.Fprintln(w, n.name, "is stopped")
			return
		}
		if err := n.start(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		addr, starts := n.where()
		fmt.Fprintf(w, "%s runs at %s; this is its start number %d\n", n.name, addr, starts)
	})
	return mux
}
