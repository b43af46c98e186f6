package remediation_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks/remediation"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

const (
	restart = "/usr/local/lib/tocsin/restart-node"
	undo    = "/usr/local/lib/tocsin/undo"
	isUp    = "/usr/local/lib/tocsin/is-up"
)

var sum = strings.Repeat("ab", 32)

// world is what remedies act on and what Prometheus sees: nodes that are up or
// not. It is the Runner, the Prober and the Pager.
type world struct {
	mu    sync.Mutex
	up    map[string]bool
	ran   []string // "restart-node node-3", in order of their starts
	cmds  []remediation.Command
	pages []tocsin.Manual
	dead  bool // Prometheus does not answer
	mute  bool // nobody can be paged

	// helps says whether the restart brings a node up; exit is its exit code; takes
	// is how long it runs; prints is what it writes.
	helps  bool
	exit   int
	takes  time.Duration
	prints string
	// refuses is what the runner says instead of running.
	refuses error
	// began is called when a command begins.
	began func(path string)
	// undoExit is the exit code of the rollback.
	undoExit int
	active   int
	peak     int
	// size is that of the fleet; 0: that of up.
	size float64
}

func newWorld() *world { return &world{up: map[string]bool{}, helps: true} }

func (w *world) Run(ctx context.Context, c remediation.Command, out io.Writer) (remediation.Result, error) {
	w.mu.Lock()
	if w.refuses != nil {
		defer w.mu.Unlock()
		return remediation.Result{}, w.refuses
	}
	path, target := c.Argv[0], c.Argv[len(c.Argv)-1]
	began, takes, prints := w.began, w.takes, w.prints
	if path != isUp {
		w.ran = append(w.ran, filepath.Base(path)+" "+target)
		w.cmds = append(w.cmds, c)
	}
	w.active++
	w.peak = max(w.peak, w.active)
	w.mu.Unlock()
	if began != nil {
		began(path)
	}
	defer func() { w.mu.Lock(); w.active--; w.mu.Unlock() }()
	_, _ = io.WriteString(out, prints)
	limit := time.NewTimer(min(takes, c.Timeout))
	defer limit.Stop()
	res := remediation.Result{Sandbox: "landlock 7"}
	select {
	case <-ctx.Done():
		res.Exit, res.Killed = -1, "stopped"
		return res, nil
	case <-limit.C:
	}
	if takes > c.Timeout {
		res.Exit, res.Killed = -1, "its time was over"
		return res, nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch path {
	case isUp:
		if !w.up[target] {
			res.Exit = 1
		}
	case undo:
		res.Exit = w.undoExit
	default:
		res.Exit = w.exit
		if w.helps && w.exit == 0 {
			w.up[target] = true
		}
	}
	return res, nil
}

func (w *world) Holds(context.Context, remediation.Command) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return "landlock 7", w.refuses
}

var upIs = regexp.MustCompile(`^up\{instance="([^"]*)"\} == ([01])$`)

func (w *world) Query(_ context.Context, expr string) ([]float64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead {
		return nil, errors.New("connection refused")
	}
	if expr == "count(up)" && w.size > 0 {
		return []float64{w.size}, nil
	}
	if expr == "count(up)" {
		return []float64{float64(len(w.up))}, nil
	}
	m := upIs.FindStringSubmatch(expr)
	if m == nil {
		return nil, fmt.Errorf("what is %s?", expr)
	}
	if w.up[m[1]] == (m[2] == "1") {
		return []float64{1}, nil
	}
	return nil, nil
}

func (w *world) OpenManual(_ context.Context, m tocsin.Manual) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mute {
		return "", tocsin.Unavailable(errors.New("mute"))
	}
	for i := range w.pages {
		if w.pages[i].Key == m.Key {
			return "page", nil
		}
	}
	w.pages = append(w.pages, m)
	return "page", nil
}

func (w *world) set(fn func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fn()
}

func (w *world) runs() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string{}, w.ran...)
}

func (w *world) titles() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := []string{}
	for i := range w.pages {
		out = append(out, w.pages[i].Title)
	}
	return out
}

// remedy restarts a node, verifies and can be undone.
func remedy(mode tocsin.Mode, change ...func(*remediation.Spec)) remediation.Spec {
	s := remediation.Spec{
		Name: "restart-node", Summary: "Restarts the node's process.",
		Command: []string{restart, "--node", "{{node}}"}, SHA256: sum,
		Parameters:  []remediation.Parameter{{Name: "node", Label: "instance"}},
		Environment: []string{"KUBECONFIG=/etc/tocsin/kubeconfig"},
		Matchers:    []string{`alertname="NodeDown"`}, Mode: mode,
		Contract: remediation.Contract{
			Precheck: remediation.Check{PromQL: `up{instance="{{node}}"} == 0`},
			Verify:   remediation.Verify{Check: remediation.Check{PromQL: `up{instance="{{node}}"} == 1`}, Within: 2 * time.Minute},
			Rollback: remediation.Rollback{Command: []string{undo, "{{node}}"}, SHA256: sum},
		},
	}
	for _, c := range change {
		c(&s)
	}
	return s
}

// stage plays remedies in a synctest bubble over a real store.
type stage struct {
	*testing.T
	world  *world
	store  *bolt.Store
	rules  *remediation.Rules
	engine *remediation.Engine
	stop   context.CancelFunc
	done   chan struct{}
	redact func([]byte) []byte
	opened int
	slots  int
	keep   time.Duration
}

func play(t *testing.T, story func(s *stage), specs ...remediation.Spec) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tocsin.db")
	rules, err := remediation.NewRules(specs)
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		store, err := bolt.Open(path, bolt.Options{MinFree: -1, Ballast: -1})
		require.NoError(t, err)
		s := &stage{T: t, world: newWorld(), store: store, rules: rules}
		s.start()
		defer func() {
			s.halt()
			require.NoError(t, store.Close())
		}()
		story(s)
	})
}

func (s *stage) options(store remediation.Store) remediation.Options {
	return remediation.Options{Store: store, Runner: s.world, Prober: s.world, Pager: s.world, Redact: s.redact, Owner: "test", Runs: s.slots, Retention: s.keep}
}

func (s *stage) start() {
	s.Helper()
	s.engine, s.stop, s.done = run(s.T, s.rules, s.options(s.store))
	synctest.Wait()
}

// run runs an engine until it is stopped.
func run(t testing.TB, rules *remediation.Rules, o remediation.Options) (*remediation.Engine, context.CancelFunc, chan struct{}) {
	t.Helper()
	e, err := remediation.New(rules, o)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = e.Run(ctx) }()
	return e, stop, done
}

func (s *stage) halt() {
	s.stop()
	<-s.done
}

func (s *stage) setRules(specs ...remediation.Spec) {
	s.Helper()
	var err error
	s.rules, err = remediation.NewRules(specs)
	require.NoError(s, err)
	s.engine.SetRules(s.rules)
}

func alertOf(instance string) tocsin.Alert {
	return tocsin.Alert{
		Source: "am", Firing: true, Labels: tocsin.Labels{"alertname": "NodeDown", "instance": instance},
		Annotations: tocsin.Labels{"summary": instance + " is down"}, StartsAt: time.Now(),
	}
}

// burn opens an incident about nodes that are down, and offers it.
func (s *stage) burn(nodes ...string) string {
	s.Helper()
	id := s.smoulder(nodes...)
	s.engine.Offer(context.Background(), id)
	synctest.Wait()
	return id
}

// smoulder opens an incident, and tells nobody.
func (s *stage) smoulder(nodes ...string) string {
	s.Helper()
	s.world.set(func() {
		for _, n := range nodes {
			s.world.up[n] = false
		}
	})
	s.opened++
	id := fmt.Sprintf("inc%03d", s.opened)
	var alerts []tocsin.Alert
	for _, n := range nodes {
		alerts = append(alerts, alertOf(n))
	}
	put(s.T, s.store, id, alerts...)
	return id
}

// put opens an incident as the router does.
func put(t testing.TB, store *bolt.Store, id string, alerts ...tocsin.Alert) {
	t.Helper()
	now := time.Now()
	inc := &tocsin.Incident{
		ID: id, State: tocsin.Triggered, Severity: tocsin.Critical, Title: "nodes are down", Group: tocsin.NewKey(id),
		OpenedAt: now, ChangedAt: now, Revision: 1, StateRevision: 1, Firing: uint32(len(alerts)), Alerts: uint32(len(alerts)), Receivers: []string{"team"},
	}
	require.NoError(t, store.Update(context.Background(), func(tx tocsin.Tx) error {
		tx.PutIncident(inc)
		for i := range alerts {
			tx.PutAlert(tocsin.AlertState{
				ID: alerts[i].ID(), Incident: id, Seq: uint32(i + 1), Firing: true, StartsAt: now, ChangedAt: now, SeenAt: now,
			}, &alerts[i])
		}
		return nil
	}))
}

// calm ends the alert about a node.
func (s *stage) calm(id, node string) {
	s.Helper()
	a := alertOf(node)
	key := a.ID()
	require.NoError(s, s.store.Update(context.Background(), func(tx tocsin.Tx) error {
		was, ok := tx.Alert(key)
		require.True(s, ok)
		is := was
		is.Firing, is.EndsAt, is.ChangedAt = false, time.Now(), time.Now()
		inc := tx.Incident(id)
		inc.Count(was, is, time.Now())
		tx.PutIncident(inc)
		tx.PutAlert(is, nil)
		return nil
	}))
}

// resolve resolves an incident, and leaves its alerts as they are.
func (s *stage) resolve(id string) {
	s.Helper()
	s.edit(id, func(inc *tocsin.Incident) { inc.Resolve("ana", "resolved by ana", time.Now()) })
}

func (s *stage) edit(id string, fn func(*tocsin.Incident)) {
	s.Helper()
	require.NoError(s, s.store.Update(context.Background(), func(tx tocsin.Tx) error {
		inc := tx.Incident(id)
		fn(inc)
		tx.PutIncident(inc)
		return nil
	}))
}

// all are the remediations of an incident, those of the first targets first.
func (s *stage) all(incident string) []tocsin.Remediation {
	s.Helper()
	list, err := s.engine.List(context.Background(), incident, 10_000)
	require.NoError(s, err)
	return list
}

// one is the only remediation of an incident.
func (s *stage) one(incident string) tocsin.Remediation {
	s.Helper()
	list := s.all(incident)
	require.Len(s, list, 1)
	return list[0]
}

// pass lets time go by.
func (s *stage) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// said is what the incident's timeline says of remedies.
func (s *stage) said(incident string) []string {
	s.Helper()
	events, err := s.store.Timeline(context.Background(), incident, 0, 10_000)
	require.NoError(s, err)
	out := []string{}
	for i := range events {
		if events[i].Kind == tocsin.EventRemediation {
			out = append(out, events[i].Text)
		}
	}
	return out
}

// states counts the states.
func states(list []tocsin.Remediation) map[tocsin.RemediationState]int {
	out := map[tocsin.RemediationState]int{}
	for i := range list {
		out[list[i].State]++
	}
	return out
}
