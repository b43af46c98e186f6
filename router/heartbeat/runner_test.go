package heartbeat_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/router"
	"github.com/tocsin-oncall/tocsin/router/heartbeat"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

// ward listens for heartbeats in a bubble, before a real router and store.
type ward struct {
	*testing.T
	path   string
	store  *bolt.Store
	router *router.Router
	runner *heartbeat.Runner
	stop   context.CancelFunc
	done   chan error
	mu     sync.Mutex
	broken error
}

func watch(t *testing.T, list []heartbeat.Heartbeat, story func(w *ward)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tocsin.db")
	synctest.Test(t, func(t *testing.T) {
		w := &ward{T: t, path: path}
		w.start(list...)
		defer w.halt()
		story(w)
	})
}

func (w *ward) Receive(ctx context.Context, b tocsin.Batch) (tocsin.Outcome, error) {
	w.mu.Lock()
	err := w.broken
	w.mu.Unlock()
	if err != nil {
		return tocsin.Outcome{}, err
	}
	return w.router.Receive(ctx, b)
}

func (w *ward) breaks(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = err
}

func (w *ward) start(list ...heartbeat.Heartbeat) {
	w.Helper()
	var err error
	w.store, err = bolt.Open(w.path, bolt.Options{MinFree: -1, Ballast: -1})
	require.NoError(w, err)
	rules, err := router.NewRules(router.Spec{
		Route:   router.RouteSpec{Receiver: "chat", GroupBy: []string{"alertname", "name"}, Pos: "t.yml:1"},
		Targets: map[string][]router.Target{"chat": nil},
		Timing:  router.Timing{Reopen: time.Minute, Late: time.Minute},
	})
	require.NoError(w, err)
	w.router, err = router.New(rules, router.Options{Store: w.store})
	require.NoError(w, err)
	w.runner, err = heartbeat.New(list, heartbeat.Options{Receiver: w, Store: w.store})
	require.NoError(w, err)
	var ctx context.Context
	ctx, w.stop = context.WithCancel(context.Background())
	w.done = make(chan error, 1)
	go func() { w.done <- w.runner.Run(ctx) }()
	synctest.Wait()
}

func (w *ward) halt() {
	w.Helper()
	w.stop()
	require.NoError(w, <-w.done)
	require.NoError(w, w.store.Close())
}

// wait lets time pass.
func (w *ward) wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (w *ward) beat(name string) {
	w.Helper()
	require.NoError(w, w.runner.Beat(context.Background(), name))
}

// open lists the incidents that are open.
func (w *ward) open() []*tocsin.Incident {
	w.Helper()
	list, err := w.store.List(context.Background(), tocsin.Filter{States: []tocsin.State{tocsin.Triggered, tocsin.Acknowledged}})
	require.NoError(w, err)
	return list
}

func backup() heartbeat.Heartbeat {
	return heartbeat.Heartbeat{
		Name: "backup", Every: 5 * time.Minute, Grace: time.Minute, Severity: tocsin.Warning, Labels: tocsin.Labels{"team": "db"},
	}
}

func TestAMissedHeartbeatOpensAndABeatResolves(t *testing.T) {
	watch(t, []heartbeat.Heartbeat{backup()}, func(w *ward) {
		for range 5 {
			w.wait(5*time.Minute + 59*time.Second)
			w.beat("backup")
		}
		assert.Empty(w, w.open())
		w.wait(5*time.Minute + 59*time.Second)
		assert.Empty(w, w.open())
		w.wait(2 * time.Second)
		require.Len(w, w.open(), 1)
		inc := w.open()[0]
		assert.Equal(w, "Heartbeat backup is missed", inc.Title)
		assert.Equal(w, tocsin.Warning, inc.Severity)
		alerts, err := w.store.AlertsOf(context.Background(), inc.ID, 0)
		require.NoError(w, err)
		assert.Equal(w, tocsin.Labels{"alertname": "HeartbeatMissed", "name": "backup", "severity": "warning", "team": "db"}, alerts[0].Labels)
		w.wait(time.Hour)
		require.Len(w, w.open(), 1)
		w.beat("backup")
		assert.Empty(w, w.open())
		w.wait(7 * time.Minute)
		assert.Len(w, w.open(), 1, "it is missed again")
	})
}

func TestABeatThatNeverCame(t *testing.T) {
	watch(t, []heartbeat.Heartbeat{backup()}, func(w *ward) {
		w.wait(6*time.Minute - time.Second)
		assert.Empty(w, w.open())
		w.wait(2 * time.Second)
		require.Len(w, w.open(), 1)
		assert.ErrorIs(w, w.runner.Beat(context.Background(), "nobody"), tocsin.ErrNotFound)
	})
}

func TestRestartsKeepWhatIsKnown(t *testing.T) {
	daily := backup()
	daily.Every = 24 * time.Hour
	watch(t, []heartbeat.Heartbeat{daily}, func(w *ward) {
		w.wait(time.Hour)
		w.beat("backup")
		for range 5 {
			w.wait(4 * time.Hour)
			w.halt()
			w.start(daily)
			assert.Empty(w, w.open())
		}
		w.wait(4*time.Hour + 2*time.Minute)
		require.Len(w, w.open(), 1, "restarts do not put off what is missed")
		w.halt()
		w.start(daily)
		require.Len(w, w.open(), 1)
		w.beat("backup")
		assert.Empty(w, w.open())
		w.halt()
		w.wait(30 * time.Hour)
		w.start(daily)
		w.wait(5 * time.Minute)
		assert.Empty(w, w.open(), "while Tocsin is away, nothing can be heard")
		w.wait(7 * time.Minute)
		assert.Len(w, w.open(), 1)
	})
}

func TestACrashBetweenTheStepsLosesNothing(t *testing.T) {
	watch(t, []heartbeat.Heartbeat{backup()}, func(w *ward) {
		w.breaks(errors.New("disk full"))
		w.wait(7 * time.Minute)
		assert.Empty(w, w.open())
		w.halt()
		w.breaks(nil)
		w.start(backup())
		require.Len(w, w.open(), 1, "it was kept that it is missed; the alert follows")

		w.breaks(errors.New("disk full"))
		require.Error(w, w.runner.Beat(context.Background(), "backup"))
		require.Len(w, w.open(), 1)
		w.halt()
		w.breaks(nil)
		w.start(backup())
		assert.Empty(w, w.open(), "the beat was kept; the end of the alert follows")
	})
}

func TestWhatCannotBeStoredIsTriedAgain(t *testing.T) {
	watch(t, []heartbeat.Heartbeat{backup()}, func(w *ward) {
		w.breaks(tocsin.Unavailable(errors.New("disk full")))
		w.wait(7 * time.Minute)
		w.breaks(nil)
		w.wait(2 * time.Second)
		require.Len(w, w.open(), 1)
	})
}

func TestBeatsAreSavedRarely(t *testing.T) {
	watch(t, []heartbeat.Heartbeat{backup()}, func(w *ward) {
		versions := map[uint64]bool{}
		for range 600 {
			w.wait(time.Second)
			w.beat("backup")
			_, v, err := w.store.Documents(context.Background(), heartbeat.Kind)
			require.NoError(w, err)
			versions[v] = true
		}
		assert.LessOrEqual(w, len(versions), 12)
		assert.GreaterOrEqual(w, len(versions), 9)
	})
}

func TestAChangedConfiguration(t *testing.T) {
	watch(t, []heartbeat.Heartbeat{backup()}, func(w *ward) {
		w.wait(7 * time.Minute)
		require.Len(w, w.open(), 1)
		worse := backup()
		worse.Severity = tocsin.Critical
		w.runner.SetHeartbeats([]heartbeat.Heartbeat{worse})
		w.wait(2 * time.Minute)
		require.Len(w, w.open(), 1)
		assert.Equal(w, tocsin.Critical, w.open()[0].Severity)
		assert.EqualValues(w, 1, w.open()[0].Firing)
		w.runner.SetHeartbeats(nil)
		w.wait(time.Second)
		assert.Empty(w, w.open(), "what is not expected is not missed")
		assert.ErrorIs(w, w.runner.Beat(context.Background(), "backup"), tocsin.ErrNotFound)
		docs, _, err := w.store.Documents(context.Background(), heartbeat.Kind)
		require.NoError(w, err)
		assert.Empty(w, docs)
		w.wait(time.Hour)
		w.runner.SetHeartbeats([]heartbeat.Heartbeat{backup()})
		w.wait(5 * time.Minute)
		assert.Empty(w, w.open(), "it begins anew")
		w.wait(2 * time.Minute)
		assert.Len(w, w.open(), 1)
	})
}

func TestWatchdogIsAHeartbeat(t *testing.T) {
	m, err := labels.NewMatcher(labels.MatchEqual, "alertname", "Watchdog")
	require.NoError(t, err)
	dog := heartbeat.Heartbeat{Name: "watchdog", Every: 5 * time.Minute, Grace: time.Minute, Severity: tocsin.Critical, Matchers: labels.Matchers{m}}
	watch(t, []heartbeat.Heartbeat{dog}, func(w *ward) {
		send := func(firing bool, names ...string) {
			b := tocsin.Batch{Source: "alertmanager"}
			for _, n := range names {
				b.Alerts = append(b.Alerts, tocsin.Alert{Source: "alertmanager", Labels: tocsin.Labels{"alertname": n}, Firing: firing, StartsAt: time.Now()})
			}
			_, err := w.runner.Receive(context.Background(), b)
			require.NoError(w, err)
		}
		for range 10 {
			send(true, "Watchdog")
			w.wait(5 * time.Minute)
		}
		assert.Empty(w, w.open())
		send(true, "Watchdog", "NodeDown")
		require.Len(w, w.open(), 1)
		assert.Equal(w, "NodeDown", w.open()[0].Title)
		send(false, "Watchdog", "NodeDown")
		assert.Empty(w, w.open())
		w.wait(4 * time.Minute)
		send(false, "Watchdog")
		w.wait(2*time.Minute + time.Second)
		require.Len(w, w.open(), 1, "a resolved Watchdog is no beat")
		send(true, "Watchdog")
		assert.Empty(w, w.open())
	})
}
