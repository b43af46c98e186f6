// Package story plays the whole service in a synctest bubble: the real rules, a
// real bbolt file, the emulators behind a socketless transport, and hours that
// pass in milliseconds. Only the sockets and NATS are missing; the wake-ups go
// straight to the dispatcher.
package story

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation"
	"github.com/tocsin-oncall/tocsin/escalation/watch"
	"github.com/tocsin-oncall/tocsin/notifiers"
	"github.com/tocsin-oncall/tocsin/notifiers/email/smtptest"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
	"github.com/tocsin-oncall/tocsin/router"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
	"github.com/tocsin-oncall/tocsin/test/leak"
)

const (
	routingKey = "canary0123456789abcdef0123456789"
	slackToken = "xoxb-canary"
)

// options of a service. The zero value has no rate limits, no look-up, and
// nobody on call.
type options struct {
	slackRate float64
	lookup    bool
	alarm     bool
	// at is when the story begins; zero: when the bubble does.
	at time.Time
	// crew has people called, as basic says and spec changes it; plan changes
	// what the watch follows.
	crew bool
	spec func(*escalation.Spec)
	plan func(*watch.Plan)
	// idle is how often the sweeps look; 0: as ever. A week has many seconds.
	idle time.Duration
}

// service is Tocsin without sockets.
type service struct {
	t         *testing.T
	o         options
	path      string
	log       *slog.Logger
	slack     *slacktest.Server
	pagerduty *pagerdutytest.Server
	mail      *smtptest.Server

	store      *bolt.Store
	router     *router.Router
	dispatcher *notifiers.Dispatcher
	engine     *escalation.Engine
	watch      *watch.Watch
	full       atomic.Bool                   // the dispatcher's receipts find the store full
	frozen     atomic.Pointer[chan struct{}] // nothing is written until it is closed
	ahead      atomic.Int64                  // how far the machine's clock is ahead of the true time
	began      time.Time                     // what times are told from
	stop       context.CancelFunc
	stopped    chan struct{}
}

// now is the machine's clock. It shows what people set it to: there is no
// monotonic reading that would know better.
func (s *service) now() time.Time {
	return time.Now().Add(time.Duration(s.ahead.Load())).Round(0)
}

// closable is a store that can refuse updates, as a full disk does, and keep
// them waiting, as a machine does that is asleep.
type closable struct {
	*bolt.Store
	full   *atomic.Bool
	frozen *atomic.Pointer[chan struct{}]
}

// Update refuses while the store is said to be full.
func (c closable) Update(ctx context.Context, fn func(tocsin.Tx) error) error {
	if thaw := c.frozen.Load(); thaw != nil {
		<-*thaw
	}
	if c.full.Load() {
		return tocsin.Unavailable(syscall.ENOSPC)
	}
	return c.Store.Update(ctx, fn)
}

// play runs a story in a bubble of its own.
func play(t *testing.T, o options, story func(t *testing.T, s *service)) {
	t.Helper()
	dir := t.TempDir()
	leak.After(t, dir)
	log := slog.New(slog.NewTextHandler(leak.Log(t, io.Discard), &slog.HandlerOptions{Level: slog.LevelDebug}))
	synctest.Test(t, func(t *testing.T) {
		if !o.at.IsZero() {
			time.Sleep(time.Until(o.at))
		}
		s := &service{
			t: t, o: o, log: log, began: o.at, path: filepath.Join(dir, "tocsin.db"),
			slack:     slacktest.New(slackLimits(o)...),
			pagerduty: pagerdutytest.New(pagerdutytest.Config{}),
			mail:      smtptest.New(smtptest.Config{}),
		}
		defer s.mail.Close()
		for name := range everybody {
			s.slack.AddUser(slacktest.User{ID: slackID(name), Name: name})
		}
		s.start()
		defer func() { s.halt() }()
		story(t, s)
	})
}

// slackLimits has Slack refuse what is faster than the rate that is kept.
func slackLimits(o options) []slacktest.Option {
	out := []slacktest.Option{slacktest.WithAutoCreate(), slacktest.WithRequestLog(10_000)}
	if o.slackRate > 0 {
		out = append(out, slacktest.WithRateLimit(o.slackRate, 1))
	}
	return out
}

func (s *service) targets() []notifiers.Target {
	client := slack.New(slack.Config{Token: slackToken, APIURL: "http://slack.test/api/", HTTPClient: s.slack.Client(), Lookup: s.o.lookup})
	var out []notifiers.Target
	for _, name := range []string{"#incidents", "#chat", "#last-resort"} {
		out = append(out, notifiers.Target{
			Key: "slack:" + name, Notifier: client.Channel(name), Provider: "slack", PerSecond: s.o.slackRate, Thread: true,
		})
	}
	for name, key := range everybody {
		out = append(out, s.waysTo(client, name, key)...)
	}
	pd := pagerduty.New(pagerduty.Config{RoutingKey: routingKey, EventsURL: "http://pagerduty.test", Transport: s.pagerduty.Transport()})
	return append(out, notifiers.Target{Key: "pagerduty:page/0", Notifier: pd, PerSecond: 100.0 / 60, Burst: 10})
}

// committed is what the store tells of every commit, as cmd/tocsin has it.
func (s *service) committed(wakes []tocsin.Wake) {
	if s.dispatcher != nil {
		s.dispatcher.Wake(wakes) // what this loses, the sweep finds
	}
	if s.engine != nil && s.store != nil {
		s.engine.Committed(s.store.NextDeadline())
	}
}

func (s *service) routes() *router.Rules {
	s.t.Helper()
	rules, err := router.NewRules(router.Spec{
		Route: router.RouteSpec{Receiver: "chat", GroupBy: []string{"alertname", "instance"}, Pos: "t.yml:1", Routes: []router.RouteSpec{
			{Receiver: "oncall", Matchers: []string{`team="ops"`}, Pos: "t.yml:2"},
			{Receiver: "page", Matchers: []string{`severity="critical"`}, Pos: "t.yml:3"},
		}},
		Targets: map[string][]router.Target{
			"chat": {{Key: "slack:#chat", Detail: true}},
			"page": {{Key: "slack:#incidents", Detail: true}, {Key: "pagerduty:page/0"}},
			// Nobody but the policy calls there.
			"oncall": {{Key: "slack:#incidents", Detail: true}},
		},
		InhibitRules: []router.InhibitSpec{{
			SourceMatchers: []string{`alertname="RegionDown"`}, TargetMatchers: []string{`alertname="NodeDown"`}, Equal: []string{"team"}, Pos: "t.yml:9",
		}},
		Timing: router.Timing{Reopen: 30 * time.Minute, Late: time.Minute, Stale: 12 * time.Hour, FlapChanges: 6, FlapWindow: 15 * time.Minute, FlapSettle: 10 * time.Minute},
	})
	require.NoError(s.t, err)
	return rules
}

// spec is what the engine decides by.
func (s *service) spec() escalation.Spec {
	s.t.Helper()
	spec := escalation.Spec{}
	if s.o.crew {
		spec = basic(s.t)
	}
	spec.Alarm.After = 5 * time.Minute
	if s.o.alarm {
		spec.Alarm.Targets = []escalation.Target{{Key: "slack:#last-resort", Detail: true}}
	}
	if s.o.spec != nil {
		s.o.spec(&spec)
	}
	return spec
}

func (s *service) start() {
	s.t.Helper()
	var err error
	s.store, s.dispatcher, s.engine, s.watch = nil, nil, nil, nil
	s.store, err = bolt.Open(s.path, bolt.Options{MinFree: -1, Ballast: -1, Committed: s.committed, Logger: s.log})
	require.NoError(s.t, err)
	store := closable{s.store, new(atomic.Bool), &s.frozen}
	escalations, err := escalation.NewRules(s.spec())
	require.NoError(s.t, err)
	s.engine, err = escalation.NewEngine(escalations, escalation.Options{Store: store, Incidents: s.store, Now: s.now, Logger: s.log, Changed: func() {
		if s.watch != nil {
			s.watch.Changed()
		}
	}})
	require.NoError(s.t, err)
	s.dispatcher, err = notifiers.New(s.targets(), notifiers.Options{
		Store: closable{s.store, &s.full, &s.frozen}, Ahead: s.engine.Ahead, Now: s.now, SweepEvery: s.o.idle, Logger: s.log,
	})
	require.NoError(s.t, err)
	s.router, err = router.New(s.routes(), router.Options{Store: store, Escalator: s.engine, Now: s.now, SweepEvery: s.o.idle, Logger: s.log})
	require.NoError(s.t, err)
	s.watch, err = watch.New(s.plan(escalations), watch.Options{Store: store, Roster: s.engine, Now: s.now, Logger: s.log})
	require.NoError(s.t, err)
	s.run()
}

func (s *service) plan(rules *escalation.Rules) watch.Plan {
	plan := watch.Plan{Users: rules.Users(), Slack: map[string]string{}, Receivers: []string{"chat"}}
	for name := range everybody {
		plan.Slack[name] = slackID(name)
	}
	for _, schedule := range watch.Schedules(rules) {
		plan.Schedules = append(plan.Schedules, watch.Schedule{Schedule: schedule})
	}
	if s.o.plan != nil {
		s.o.plan(&plan)
	}
	return plan
}

func (s *service) run() {
	ctx, stop := context.WithCancel(context.Background())
	s.stop, s.stopped = stop, make(chan struct{})
	parts := []func(context.Context) error{s.router.Run, s.dispatcher.Run, s.engine.Run, s.watch.Run}
	done := make(chan error, len(parts))
	for _, run := range parts {
		go func() { done <- run(ctx) }()
	}
	go func() {
		for range parts {
			if err := <-done; err != nil {
				s.t.Error(err)
			}
		}
		close(s.stopped)
	}()
}

func (s *service) halt() {
	s.t.Helper()
	s.stop()
	<-s.stopped
	require.NoError(s.t, s.store.Check(context.Background()))
	require.NoError(s.t, s.store.Close())
}

func (s *service) restart() {
	s.t.Helper()
	s.halt()
	s.start()
}

// pass lets time go by.
func (s *service) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (s *service) send(alerts ...tocsin.Alert) {
	s.t.Helper()
	_, err := s.router.Receive(context.Background(), tocsin.Batch{Source: "am", Alerts: alerts})
	require.NoError(s.t, err)
}

func alert(name string, n int, severity string) tocsin.Alert {
	return tocsin.Alert{
		Source:      "am",
		Labels:      tocsin.Labels{"alertname": name, "instance": fmt.Sprintf("node-%d", n), "severity": severity},
		Annotations: tocsin.Labels{"summary": fmt.Sprintf("%s on node-%d", name, n)},
	}
}

func fires(a tocsin.Alert) tocsin.Alert {
	a.Firing, a.StartsAt = true, time.Now()
	return a
}

func ends(a tocsin.Alert) tocsin.Alert {
	a.EndsAt = time.Now()
	a.StartsAt = a.EndsAt.Add(-time.Minute)
	return a
}

// acts is what a person does.
func (s *service) acts(id string, a tocsin.Action) {
	s.t.Helper()
	require.NoError(s.t, s.engine.Act(context.Background(), id, a))
}

func (s *service) acknowledges(id, by string) {
	s.t.Helper()
	s.acts(id, tocsin.Action{Kind: tocsin.ActAcknowledge, By: by})
}

func (s *service) live() []*tocsin.Incident {
	s.t.Helper()
	list, err := s.store.List(context.Background(), tocsin.Filter{Limit: 1000})
	require.NoError(s.t, err)
	return list
}

func (s *service) only() *tocsin.Incident {
	s.t.Helper()
	list := s.live()
	require.Len(s.t, list, 1)
	return list[0]
}
