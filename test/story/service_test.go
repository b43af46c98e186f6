// Package story plays the whole service in a synctest bubble: the real rules, a
// real bbolt file, the emulators behind a socketless transport, and hours that
// pass in milliseconds. Only the sockets and NATS are missing; the wake-ups go
// straight to the dispatcher.
package story

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation"
	"github.com/tocsin-oncall/tocsin/notifiers"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
	"github.com/tocsin-oncall/tocsin/router"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

const routingKey = "0123456789abcdef0123456789abcdef"

// options of a service. The zero value has no rate limits and no look-up.
type options struct {
	slackRate float64
	lookup    bool
	alarm     bool
}

// service is Tocsin without sockets.
type service struct {
	t         *testing.T
	o         options
	path      string
	slack     *slacktest.Server
	pagerduty *pagerdutytest.Server

	store      *bolt.Store
	router     *router.Router
	dispatcher *notifiers.Dispatcher
	engine     *escalation.Engine
	full       atomic.Bool // the dispatcher's receipts find the store full
	stop       context.CancelFunc
	stopped    chan struct{}
}

// closable is a store that can refuse updates, as a full disk does.
type closable struct {
	*bolt.Store
	full *atomic.Bool
}

// Update refuses while the store is said to be full.
func (c closable) Update(ctx context.Context, fn func(tocsin.Tx) error) error {
	if c.full.Load() {
		return tocsin.Unavailable(syscall.ENOSPC)
	}
	return c.Store.Update(ctx, fn)
}

// play runs a story in a bubble of its own.
func play(t *testing.T, o options, story func(t *testing.T, s *service)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := &service{
			t: t, o: o, path: filepath.Join(dir, "tocsin.db"),
			slack:     slacktest.New(slacktest.WithAutoCreate(), slacktest.WithRequestLog(10_000)),
			pagerduty: pagerdutytest.New(pagerdutytest.Config{}),
		}
		s.start()
		defer s.halt()
		story(t, s)
	})
}

func (s *service) targets() []notifiers.Target {
	client := slack.New(slack.Config{Token: "xoxb-test", APIURL: "http://slack.test/api/", HTTPClient: s.slack.Client(), Lookup: s.o.lookup})
	var out []notifiers.Target
	for _, name := range []string{"#incidents", "#chat", "#last-resort"} {
		out = append(out, notifiers.Target{
			Key: "slack:" + name, Notifier: client.Channel(name), Provider: "slack", PerSecond: s.o.slackRate, Thread: true,
		})
	}
	pd := pagerduty.New(pagerduty.Config{RoutingKey: routingKey, EventsURL: "http://pagerduty.test", Transport: s.pagerduty.Transport()})
	return append(out, notifiers.Target{Key: "pagerduty:page/0", Notifier: pd, PerSecond: 100.0 / 60, Burst: 10})
}

func (s *service) start() {
	s.t.Helper()
	var err error
	s.store, err = bolt.Open(s.path, bolt.Options{MinFree: -1, Ballast: -1, Committed: func(wakes []tocsin.Wake) {
		if s.dispatcher != nil {
			s.dispatcher.Wake(wakes) // what this loses, the sweep finds
		}
	}})
	require.NoError(s.t, err)
	rules, err := router.NewRules(router.Spec{
		Route: router.RouteSpec{Receiver: "chat", GroupBy: []string{"alertname", "instance"}, Pos: "t.yml:1", Routes: []router.RouteSpec{
			{Receiver: "page", Matchers: []string{`severity="critical"`}, Pos: "t.yml:3"},
		}},
		Targets: map[string][]router.Target{
			"chat": {{Key: "slack:#chat", Detail: true}},
			"page": {{Key: "slack:#incidents", Detail: true}, {Key: "pagerduty:page/0"}},
		},
		Timing: router.Timing{Reopen: 30 * time.Minute, Late: time.Minute, Stale: 12 * time.Hour, FlapChanges: 6, FlapWindow: 15 * time.Minute, FlapSettle: 10 * time.Minute},
	})
	require.NoError(s.t, err)
	s.dispatcher, err = notifiers.New(s.targets(), notifiers.Options{Store: closable{s.store, &s.full}})
	require.NoError(s.t, err)
	alarm := escalation.Alarm{After: 5 * time.Minute}
	if s.o.alarm {
		alarm.Targets = []escalation.Target{{Key: "slack:#last-resort", Detail: true}}
	}
	escalations, err := escalation.NewRules(escalation.Spec{Alarm: alarm})
	require.NoError(s.t, err)
	s.engine, err = escalation.NewEngine(escalations, escalation.Options{Store: s.store})
	require.NoError(s.t, err)
	s.router, err = router.New(rules, router.Options{Store: s.store, Escalator: s.engine})
	require.NoError(s.t, err)
	s.run()
}

func (s *service) run() {
	ctx, stop := context.WithCancel(context.Background())
	s.stop, s.stopped = stop, make(chan struct{})
	done := make(chan error, 3)
	go func() { done <- s.router.Run(ctx) }()
	go func() { done <- s.dispatcher.Run(ctx) }()
	go func() { done <- s.engine.Run(ctx) }()
	go func() {
		for range 3 {
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

// acknowledges is what a person does.
func (s *service) acknowledges(id, by string) {
	s.t.Helper()
	require.NoError(s.t, s.engine.Act(context.Background(), id, tocsin.Action{Kind: tocsin.ActAcknowledge, By: by}))
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
