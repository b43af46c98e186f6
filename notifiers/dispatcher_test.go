package notifiers_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
	"github.com/tocsin-oncall/tocsin/test/leak"
)

const (
	ana  = "U0ANA00001"
	dm   = "slack:@ana"
	room = "slack:#incidents"
	pdt  = "pagerduty:@ana"
)

// world is a dispatcher over a real store and emulators, in a bubble.
type world struct {
	*testing.T
	store *bolt.Store
	slack *slacktest.Server
	pd    *pagerdutytest.Server
	d     atomic.Pointer[notifiers.Dispatcher]
	stop  func()
	ahead []tocsin.Ahead
	mails mailer
}

// mailer is a notifier that cannot look anything up; its first attempt ends
// unclear.
type mailer struct{ sent atomic.Int32 }

// Deliver counts.
func (m *mailer) Deliver(_ context.Context, n tocsin.Notice) (tocsin.Receipt, error) {
	if m.sent.Add(1) == 1 {
		return tocsin.Receipt{}, tocsin.Unclear(errors.New("the connection broke"))
	}
	return tocsin.Receipt{Ref: n.Incident.ID, Revision: n.Incident.Revision, State: n.Incident.State}, nil
}

// bubble runs a test in a bubble, with a dispatcher that is started when fn is.
func bubble(t *testing.T, fn func(w *world)) {
	t.Helper()
	dir := t.TempDir()
	leak.After(t, dir)
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, slack: slacktest.New(slacktest.WithAutoCreate()), pd: pagerdutytest.New(pagerdutytest.Config{})}
		var err error
		w.store, err = bolt.Open(filepath.Join(dir, "test.db"), bolt.Options{
			MinFree: -1, Ballast: -1, Committed: func(wakes []tocsin.Wake) {
				if d := w.d.Load(); d != nil {
					d.Wake(wakes)
				}
			},
		})
		require.NoError(t, err)
		w.slack.AddUser(slacktest.User{ID: ana, Name: "ana"})
		w.start()
		defer func() {
			w.slack.Close()
			w.stop()
			assert.NoError(t, w.store.Close())
		}()
		fn(w)
	})
}

// start starts a dispatcher, as a new process would.
func (w *world) start() {
	w.Helper()
	c := slack.New(slack.Config{Token: "xoxb-canary", HTTPClient: w.slack.Client(), Lookup: true})
	settles := 2 * time.Second
	targets := []notifiers.Target{
		{Key: dm, Notifier: c.Person(ana), Provider: "slack", PerSecond: 1, Thread: true, LookAfter: settles},
		{Key: room, Notifier: c.Channel("#incidents"), Provider: "slack", PerSecond: 1, Thread: true, LookAfter: settles},
		{Key: "mail:@ana", Notifier: &w.mails},
		{Key: pdt, Notifier: pagerduty.New(pagerduty.Config{RoutingKey: "canary0123456789abcdef0123456789", Transport: w.pd.Transport()})},
	}
	d, err := notifiers.New(targets, notifiers.Options{
		Store: w.store, Ahead: func(*tocsin.Incident) []tocsin.Ahead { return w.ahead },
	})
	require.NoError(w, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = d.Run(ctx) }() // Run returns nil always
	synctest.Wait()
	w.d.Store(d)
	w.stop = func() { cancel(); <-ended }
}

// change changes an incident, made where there is none.
func (w *world) change(id string, fn func(*tocsin.Incident, time.Time) []tocsin.Event) {
	w.Helper()
	now := time.Now()
	require.NoError(w, w.store.Update(context.Background(), func(tx tocsin.Tx) error {
		i := tx.Incident(id)
		if i == nil {
			i = &tocsin.Incident{
				ID: id, Revision: 1, StateRevision: 1, State: tocsin.Triggered, Severity: tocsin.Critical,
				Title: "node " + id + " is down", Group: tocsin.NewKey(id), OpenedAt: now, ChangedAt: now, Kind: tocsin.KindManual,
			}
		}
		events := fn(i, now)
		tx.PutIncident(i)
		tx.Append(events...)
		return nil
	}))
}

// call calls by the targets, as the escalation does.
func (w *world) call(id string, targets ...string) {
	w.Helper()
	w.change(id, func(i *tocsin.Incident, now time.Time) (out []tocsin.Event) {
		for _, target := range targets {
			user := "ana"
			if target == room {
				user = ""
			}
			i.Call(target, user, "", true, now)
			e := i.Event(tocsin.EventCalled, "", "calling ana", now)
			e.Target = target
			out = append(out, e)
		}
		i.Touch(now)
		return out
	})
}

// ack has somebody answer.
func (w *world) ack(id string) {
	w.Helper()
	w.change(id, func(i *tocsin.Incident, now time.Time) []tocsin.Event {
		e, _ := i.Acknowledge("bo", now)
		i.StopCalls()
		return []tocsin.Event{e}
	})
}

func (w *world) delivery(id, target string) tocsin.Delivery {
	w.Helper()
	i, err := w.store.Get(context.Background(), id)
	require.NoError(w, err)
	return *i.Delivery(target)
}

func (w *world) idle() {
	w.Helper()
	assert.Zero(w, w.store.Stats().Lagging, "something lags for ever")
}

func TestEveryCallIsMadeOnce(t *testing.T) {
	bubble(t, func(w *world) {
		w.ahead = []tocsin.Ahead{{At: time.Now().Add(time.Minute), Text: "bo by PagerDuty"}}
		for n := range 4 {
			w.call("k7f3q9", dm, room, pdt)
			time.Sleep(10 * time.Second)
			assert.Equal(w, n+1, w.slack.Count(ana))
			assert.Equal(w, n+1, w.slack.Count("incidents"))
			assert.Equal(w, uint32(n+1), w.delivery("k7f3q9", dm).Called)
		}
		assert.Contains(w, string(w.slack.Messages(ana)[0].Blocks), "Next: bo by PagerDuty at ")
		assert.Len(w, w.pd.Incidents(""), 1, "PagerDuty calls again itself")
		assert.Len(w, w.pd.Events(), 4)
		w.idle()
	})
}

// An acknowledgement stops what is queued, at once: here while Slack has asked
// all its lanes to wait.
func TestAnAckStopsWhatIsQueued(t *testing.T) {
	bubble(t, func(w *world) {
		remove := w.slack.Fault(slacktest.Fault{Method: "chat.postMessage", Status: http.StatusTooManyRequests, RetryAfter: slacktest.Seconds(60)})
		for n := range 20 {
			w.call(fmt.Sprintf("k7f3q%d", n), dm, room)
		}
		time.Sleep(30 * time.Second)
		require.Zero(w, w.slack.Count(ana)+w.slack.Count("incidents"))
		require.NotZero(w, w.slack.Calls("chat.postMessage"))
		remove()
		for n := range 20 {
			w.ack(fmt.Sprintf("k7f3q%d", n))
		}
		time.Sleep(10 * time.Minute)
		assert.Zero(w, w.slack.Count(ana)+w.slack.Count("incidents"), "somebody was called after the answer")
		w.idle()
	})
}

// A repeated call that waits is stopped too; the message goes on showing what
// is.
func TestAnAckStopsTheNextCall(t *testing.T) {
	bubble(t, func(w *world) {
		w.call("k7f3q9", dm)
		time.Sleep(5 * time.Second)
		w.slack.Fault(slacktest.Fault{Status: http.StatusTooManyRequests, RetryAfter: slacktest.Seconds(60), Count: 1})
		w.call("k7f3q9", dm)
		time.Sleep(5 * time.Second)
		w.ack("k7f3q9")
		time.Sleep(10 * time.Minute)
		m := w.slack.Messages(ana)
		require.Len(w, m, 1)
		assert.Contains(w, m[0].Text, "Acknowledged")
		require.Len(w, m[0].Replies, 1, "one line of the acknowledgement")
		assert.False(w, m[0].Replies[0].Broadcast)
		assert.NotContains(w, string(m[0].Replies[0].Blocks), "calling")
		w.idle()
	})
}

// The answer to the page was lost, and somebody acknowledged meanwhile: what is
// there is brought up to date, by this process or the next, and nothing is
// posted.
func TestAnAckFollowsAPageOfUnknownOutcome(t *testing.T) {
	for _, restart := range []bool{false, true} {
		for _, arrived := range []bool{false, true} {
			bubble(t, func(w *world) {
				w.slack.Fault(slacktest.Fault{Method: "chat.postMessage", DropAfter: arrived, BlackHole: !arrived, Count: 1})
				w.pd.Fail(pagerdutytest.Fault{Drop: true})
				w.call("k7f3q9", dm, pdt, "mail:@ana")
				time.Sleep(100 * time.Millisecond)
				w.ack("k7f3q9")
				if restart {
					w.stop()
					w.slack.ClearFaults()
					w.start()
				}
				time.Sleep(5 * time.Minute)
				if arrived {
					require.Len(w, w.slack.Messages(ana), 1, "restart: %v", restart)
					assert.Contains(w, w.slack.Messages(ana)[0].Text, "Acknowledged", "restart: %v", restart)
				} else {
					assert.Zero(w, w.slack.Count(ana), "restart: %v", restart)
				}
				assert.Equal(w, int32(1), w.mails.sent.Load(), "a mail that cannot be looked for is not sent again")
				for _, i := range w.pd.Incidents("") {
					assert.Equal(w, pagerdutytest.Acknowledged, i.Status, "PagerDuty goes on calling")
				}
				w.idle()
			})
		}
	}
}

// What is acknowledged in PagerDuty notifies nobody: to call again it is
// triggered anew.
func TestAnAcknowledgementThatRanOutPagesAnew(t *testing.T) {
	bubble(t, func(w *world) {
		w.call("k7f3q9", pdt)
		time.Sleep(5 * time.Second)
		w.ack("k7f3q9")
		time.Sleep(5 * time.Second)
		w.change("k7f3q9", func(i *tocsin.Incident, now time.Time) []tocsin.Event {
			e, _ := i.Return("", "not acknowledged again", now)
			return []tocsin.Event{e}
		})
		w.call("k7f3q9", pdt)
		time.Sleep(time.Minute)
		all := w.pd.Incidents("")
		require.Len(w, all, 2)
		assert.Equal(w, pagerdutytest.Resolved, all[0].Status)
		assert.Equal(w, pagerdutytest.Triggered, all[1].Status, "this one pages")
		w.idle()
	})
}

// Many pages of one person at once are one message; when they are called again,
// another one.
func TestAPersonGetsADigest(t *testing.T) {
	bubble(t, func(w *world) {
		const many = 40
		remove := w.slack.Fault(slacktest.Fault{Status: http.StatusTooManyRequests, RetryAfter: slacktest.Seconds(5)})
		for n := range many {
			w.call(fmt.Sprintf("k7f%03d", n), dm)
		}
		time.Sleep(4 * time.Second)
		remove()
		time.Sleep(20 * time.Second)
		first := len(w.slack.Messages(ana))
		assert.LessOrEqual(w, first, 3, "a digest, and what went before it")
		for n := range many {
			d := w.delivery(fmt.Sprintf("k7f%03d", n), dm)
			require.Equal(w, uint32(1), d.Called, "%+v", d)
		}
		w.stop() // so that all calls are there at once
		for n := range many {
			w.call(fmt.Sprintf("k7f%03d", n), dm)
		}
		w.start()
		time.Sleep(time.Minute)
		assert.Greater(w, len(w.slack.Messages(ana)), first, "a digest that is only changed calls nobody")
		assert.LessOrEqual(w, len(w.slack.Messages(ana)), first+3)
		for n := range many {
			d := w.delivery(fmt.Sprintf("k7f%03d", n), dm)
			require.Equal(w, uint32(2), d.Called, "%+v", d)
		}
		w.idle()
	})
}

// Notices are told one by one.
func TestNoticesAreNoDigest(t *testing.T) {
	bubble(t, func(w *world) {
		w.stop()
		for n := range 8 {
			w.change(fmt.Sprintf("k7f3q%d", n), func(i *tocsin.Incident, now time.Time) []tocsin.Event {
				i.Kind, i.Text = tocsin.KindNotice, "Your shift begins."
				i.Call(dm, "ana", "", true, now)
				i.Call(pdt, "ana", "", true, now)
				return nil
			})
		}
		w.start()
		time.Sleep(time.Minute)
		assert.Len(w, w.slack.Messages(ana), 8)
		assert.Empty(w, w.pd.Events())
		w.idle()
	})
}

// A call that falls into a quiet time waits for its end and disturbs nobody.
func TestAQuietIncidentCallsNobody(t *testing.T) {
	bubble(t, func(w *world) {
		w.call("k7f3q9", dm)
		time.Sleep(5 * time.Second)
		mute := func(interval string) {
			w.change("k7f3q9", func(i *tocsin.Incident, now time.Time) []tocsin.Event {
				e, _ := i.Mute(interval, now)
				return []tocsin.Event{e}
			})
		}
		mute("night")
		w.call("k7f3q9", dm)
		time.Sleep(time.Minute)
		replies := len(w.slack.Messages(ana)[0].Replies)
		calls := w.slack.Calls("")
		time.Sleep(time.Hour)
		assert.Equal(w, calls, w.slack.Calls(""), "it is delivered over and over")
		mute("")
		time.Sleep(time.Minute)
		m := w.slack.Messages(ana)[0]
		require.Greater(w, len(m.Replies), replies)
		assert.Contains(w, string(m.Replies[len(m.Replies)-1].Blocks), "calling again (2)")
		w.idle()
	})
}

// What comes while Run ends is refused, or waited for: nothing begins behind its
// back.
func TestNothingBeginsBehindTheEnd(t *testing.T) {
	t.Parallel()
	store, err := bolt.Open(filepath.Join(t.TempDir(), "test.db"), bolt.Options{MinFree: -1, Ballast: -1})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, store.Close()) })
	var targets []notifiers.Target
	for n := range 50 {
		targets = append(targets, notifiers.Target{Key: fmt.Sprint("mail:", n), Notifier: &mailer{}})
	}
	for range 100 {
		d, err := notifiers.New(targets, notifiers.Options{Store: store})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		ended, told := make(chan error), make(chan struct{})
		go func() { ended <- d.Run(ctx) }()
		go func() {
			defer close(told)
			for n := range targets {
				if n == 10 {
					cancel()
				}
				_ = d.Handle(ctx, tocsin.Wake{Incident: "k7f3q9", Target: targets[n].Key}) // it may be too late
			}
		}()
		require.NoError(t, <-ended)
		<-told
		assert.Error(t, d.Handle(context.Background(), tocsin.Wake{Incident: "k7f3q9", Target: targets[0].Key}), "it has ended")
	}
}
