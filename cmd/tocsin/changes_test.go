package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
)

const (
	changeKey   = "canarychangekey00000000000000001"
	changeParts = `
route: {receiver: page, group_by: [alertname, instance]}
receivers:
  - {name: page, pagerduty_configs: [{routing_key: ` + changeKey + `}]}
  - {name: copy, pagerduty_configs: [{routing_key: ` + changeKey + `}]}
`
)

// changesHere are the entries of the event stream.
func (d *duty) changesHere() []string {
	d.t.Helper()
	events, err := d.app.store.Log(context.Background(), 0, 100)
	require.NoError(d.t, err)
	var out []string
	for i := range events {
		if events[i].Kind == tocsin.EventChange {
			out = append(out, events[i].Text)
		}
	}
	return out
}

// tellingChanges writes a configuration that has PagerDuty told of changes.
func (d *duty) tellingChanges(parts ...string) {
	d.t.Helper()
	d.write(parts...)
	text, err := os.ReadFile(d.file)
	require.NoError(d.t, err)
	require.NoError(d.t, os.WriteFile(d.file, []byte(strings.Replace(string(text), "pagerduty: {", "pagerduty: {change_events: true, ", 1)), 0o600))
}

func TestDutyAReloadIsToldToPagerDuty(t *testing.T) {
	t.Parallel()
	d := newDuty(t)
	told := func() (keys []string) {
		for _, e := range d.pagerduty.Events() {
			if e.Change && e.Outcome == "change" {
				keys = append(keys, e.RoutingKey)
			}
		}
		return keys
	}
	d.tellingChanges(changeParts)
	d.start()
	d.tellingChanges("# a comment moves the rest\n", changeParts)
	d.reload()
	assert.Empty(t, d.changesHere(), "nothing has changed")

	d.pagerduty.Fail(pagerdutytest.Fault{Status: http.StatusBadGateway, Times: 1})
	d.tellingChanges(changeParts, "users: [{name: ana, slack: U0ANA}]\n")
	d.reload()
	const users = "Tocsin configuration reloaded: users changed"
	assert.Equal(t, []string{users}, d.changesHere())
	d.eventually(func() bool { return len(told()) == 1 }, "the service is told, and once for both receivers")
	assert.Equal(t, []string{changeKey}, told())

	d.reload(changeParts) // which also says that changes are not told any more
	d.reload(changeParts, "users: [{name: bo, slack: U0BO}]\n")
	assert.Equal(t, []string{users, "Tocsin configuration reloaded: pagerduty, users changed", users}, d.changesHere(), "here it is kept all the same")
	d.quiet()
	assert.Len(t, told(), 1)
	assert.Empty(t, d.pagerduty.Incidents(""), "a change pages nobody")
}

// countOf is how many change events had an outcome.
func countOf(t *testing.T, reg *prometheus.Registry, outcome string) float64 {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "tocsin_pagerduty_changes_total" && m.GetLabel()[0].GetValue() == outcome {
				return m.GetCounter().GetValue()
			}
		}
	}
	return -1
}

// fakeService takes changes.
type fakeService struct {
	errs []error
	got  []pagerduty.Change
	at   []time.Time
}

func (f *fakeService) SendChange(_ context.Context, c pagerduty.Change) error {
	f.got, f.at = append(f.got, c), append(f.at, time.Now())
	if n := len(f.got); n <= len(f.errs) {
		return f.errs[n-1]
	}
	return nil
}

func TestChangesAreToldBehind(t *testing.T) {
	t.Parallel()
	down, gone := errors.New("down"), tocsin.Permanent(errors.New("wrong key"))
	for name, c := range map[string]struct {
		errs   []error
		tries  int
		took   time.Duration
		counts [3]float64 // sent, failed, dropped
	}{
		"at once":            {nil, 1, 0, [3]float64{1, 0, 0}},
		"after two failures": {[]error{down, tocsin.Unclear(down)}, 3, 6 * time.Second, [3]float64{1, 0, 0}},
		"asked to wait":      {[]error{tocsin.RetryAfter(down, 30*time.Second)}, 2, 30 * time.Second, [3]float64{1, 0, 0}},
		"asked to wait long": {[]error{tocsin.RetryAfter(down, time.Hour)}, 2, time.Minute, [3]float64{1, 0, 0}},
		"never":              {[]error{down, down, down, down, down}, 4, 14 * time.Second, [3]float64{0, 1, 0}},
		"refused":            {[]error{gone, gone}, 1, 0, [3]float64{0, 1, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				reg := prometheus.NewRegistry()
				ch := newChanges(slog.New(slog.DiscardHandler), reg)
				f, other := &fakeService{errs: c.errs}, &fakeService{}
				ch.services.Store(&[]changeService{{[]string{"page"}, f}, {[]string{"other"}, other}})
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- ch.run(ctx) }()
				ch.tell(pagerduty.Change{Summary: "x"}, "page", "third")
				ch.tell(pagerduty.Change{Summary: "x"}, "third")
				time.Sleep(time.Hour)
				synctest.Wait()
				assert.Len(t, f.got, c.tries)
				assert.Equal(t, c.took, f.at[len(f.at)-1].Sub(f.at[0]))
				assert.Empty(t, other.got, "it was not named")
				for n, outcome := range []string{"sent", "failed", "dropped"} {
					assert.InDelta(t, c.counts[n], countOf(t, reg, outcome), 0, outcome)
				}
				ch.tell(pagerduty.Change{Summary: "y"})
				synctest.Wait()
				assert.Len(t, other.got, 1, "all are, where nobody is")
				cancel()
				require.NoError(t, <-done)
			})
		})
	}
}

func TestTooManyChangesAreDropped(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	ch := newChanges(slog.New(slog.DiscardHandler), reg)
	ch.services.Store(&[]changeService{{[]string{"page"}, &fakeService{}}})
	for range changesKept + 3 {
		ch.tell(pagerduty.Change{Summary: "x"}) // nobody sends, and nobody waits
	}
	assert.InDelta(t, 3, countOf(t, reg, "dropped"), 0)
}

func TestChangeServices(t *testing.T) {
	t.Parallel()
	parse := func(on string) *config.Config {
		cfg, _, err := config.Parse("tocsin.yml", []byte("pagerduty: {change_events: "+on+"}\n"+changeParts))
		require.NoError(t, err)
		return cfg
	}
	ch := newChanges(slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	ch.set(parse("true"))
	services := *ch.services.Load()
	require.Len(t, services, 1, "a service is told once, whoever names it")
	assert.Equal(t, []string{"page", "copy"}, services[0].receivers)
	ch.set(parse("false"))
	assert.Empty(t, *ch.services.Load())
}
