package callback_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/callback"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// withHome lets the world publish Home tabs.
func withHome(w **world) option {
	return func(_ *callback.Config, d *callback.Deps, _ *slacktest.Callbacks) {
		d.Publish = func(ctx context.Context, user, hash string, v slack.Home) error {
			return (*w).client.Publish(ctx, user, hash, v)
		}
	}
}

func homeWorld(t *testing.T, opts ...option) *world {
	t.Helper()
	w := new(*world)
	*w = newWorld(t, append([]option{withHome(w)}, opts...)...)
	return *w
}

// called makes somebody one whom the incident has called.
func called(who string) func(*tocsin.Incident) {
	return func(i *tocsin.Incident) {
		i.Escalation = &tocsin.Escalation{Responders: []tocsin.Responder{{User: who, At: time.Now(), Calls: 1}}}
	}
}

// shows waits until a person's Home tab shows a text.
func (w *world) shows(user, text string) {
	w.Helper()
	require.Eventually(w, func() bool {
		v, ok := w.slack.Home(user)
		return ok && bytes.Contains(v.Blocks, []byte(text))
	}, 10*time.Second, 2*time.Millisecond, "the Home tab of %s never showed %q", user, text)
}

func (w *world) home(user string) string {
	w.Helper()
	v, _ := w.slack.Home(user)
	return string(v.Blocks)
}

func (w *world) openHome(user string) {
	w.Helper()
	a, err := w.slack.OpenHome(user, "home")
	require.NoError(w, err)
	require.Equal(w, http.StatusOK, a.Status)
	require.Empty(w, a.Body)
}

func TestHomeIsWorkedFrom(t *testing.T) {
	t.Parallel()
	w := homeWorld(t)
	w.open("k7f3q9", called("ana"))
	w.open("m2m2m2", called("bo"))
	w.open("z9z9z9", called("ana"), func(i *tocsin.Incident) { i.Severity = tocsin.Warning })
	w.openHome(ana)
	w.shows(ana, "My incidents (2)")
	text := w.home(ana)
	assert.NotContains(t, text, "m2m2m2", "it did not call ana")
	assert.Less(t, bytes.Index([]byte(text), []byte("k7f3q9")), bytes.Index([]byte(text), []byte("z9z9z9")), "the most urgent first")

	a, err := w.slack.ClickHome(ana, "tocsin:z9z9z9:", slack.ActionAcknowledge)
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, a.Status)
	w.shows(ana, "yours")
	_, err = w.slack.ClickHome(ana, "tocsin:k7f3q9:", slack.ActionResolveFiring)
	require.NoError(t, err)
	w.shows(ana, "My incidents (1)")
	assert.NotContains(t, w.home(ana), "k7f3q9")

	got := w.desk.actions()
	require.Len(t, got, 2)
	assert.Equal(t, tocsin.ActAcknowledge, got[0].Kind)
	assert.Equal(t, tocsin.ActResolve, got[1].Kind)
	assert.True(t, got[1].Force)
	for _, act := range got {
		assert.Equal(t, "ana", act.By)
		assert.Regexp(t, `^slack:\d+\.\d{6}:V\w+:`+ana+`$`, act.ID)
	}
	w.settle()
	assert.Empty(t, w.slack.Ephemerals(""), "what is said, is said in the tab")
}

func TestHomeSaysWhyNothingWasDone(t *testing.T) {
	t.Parallel()
	w := homeWorld(t)
	w.open("k7f3q9", called("ana"))
	w.openHome(ana)
	w.shows(ana, "k7f3q9")
	stale, err := w.slack.ClickHomePayload(ana, "tocsin:k7f3q9:", slack.ActionAcknowledge)
	require.NoError(t, err)
	w.desk.change("k7f3q9", func(i *tocsin.Incident) { i.Acknowledge("bo", time.Now()) })
	_, err = w.slack.Interact(stale)
	require.NoError(t, err)
	w.shows(ana, "the incident has moved on")
	w.shows(ana, "taken by bo")
	assert.Empty(t, w.desk.actions())

	w.desk.fail(tocsin.Unavailable(errors.New("the disk is full")))
	a, err := w.slack.ClickHome(ana, "tocsin:k7f3q9:", slack.ActionResolveFiring)
	require.NoError(t, err)
	assert.Equal(t, http.StatusServiceUnavailable, a.Status)
	w.shows(ana, "Try again in a moment")
	w.openHome(ana)
	require.Eventually(t, func() bool { return !bytes.Contains([]byte(w.home(ana)), []byte("Try again")) }, 10*time.Second, 2*time.Millisecond)
}

func TestHomeOfAStrangerAndOfAViewer(t *testing.T) {
	t.Parallel()
	w := homeWorld(t, func(_ *callback.Config, d *callback.Deps, _ *slacktest.Callbacks) {
		d.Person = boViews
	})
	w.open("k7f3q9", called("bo"))
	w.openHome(guest)
	w.shows(guest, "slack: "+guest)
	assert.NotContains(t, w.home(guest), "k7f3q9")
	w.openHome(bo)
	w.shows(bo, "k7f3q9")
	_, err := w.slack.ClickHome(bo, "tocsin:", slack.ActionAcknowledge)
	require.NoError(t, err)
	assert.Equal(t, "bo", w.desk.actions()[0].By, "whoever is called can answer")
}

func TestHomeShowsTheShifts(t *testing.T) {
	t.Parallel()
	now := time.Now()
	var failing atomic.Int32
	failing.Store(1)
	shift := func(who string, from, to time.Duration) tocsin.Shift {
		return tocsin.Shift{Schedule: "primary", User: who, From: now.Add(from), To: now.Add(to)}
	}
	w := homeWorld(t, func(_ *callback.Config, d *callback.Deps, _ *slacktest.Callbacks) {
		d.Shifts = func(_ context.Context, q tocsin.ShiftQuery) ([]tocsin.Shift, error) {
			switch at := q.From.Equal(q.To); {
			case failing.Add(-1) >= 0:
				return nil, tocsin.Unavailable(errors.New("not yet"))
			case at && q.Schedule == "primary":
				return []tocsin.Shift{shift("bo", -time.Hour, time.Hour)}, nil
			case at:
				return nil, nil
			default:
				return []tocsin.Shift{shift("ana", 2*time.Hour, 3*time.Hour)}, nil
			}
		}
	})
	w.openHome(ana)
	w.shows(ana, "Next: `primary` *from*")
	w.shows(ana, "On call now on `primary`: bo")
}

// TestHomeAfterManyChangesShowsTheLast: a tab that is slow on its way is not the
// last that is seen.
func TestHomeAfterManyChangesShowsTheLast(t *testing.T) {
	t.Parallel()
	held, release := make(chan struct{}), make(chan struct{})
	var calls atomic.Int32
	w := new(*world)
	*w = newWorld(t, func(_ *callback.Config, d *callback.Deps, _ *slacktest.Callbacks) {
		d.Publish = func(ctx context.Context, user, hash string, v slack.Home) error {
			if calls.Add(1) == 1 {
				close(held)
				<-release
			}
			return (*w).client.Publish(ctx, user, hash, v)
		}
	})
	(*w).open("k7f3q9", called("ana"))
	(*w).openHome(ana)
	<-held
	(*w).desk.change("k7f3q9", func(i *tocsin.Incident) { i.Acknowledge("bo", time.Now()) })
	for range 5 {
		(*w).openHome(ana)
	}
	assert.EqualValues(t, 1, calls.Load(), "one at a time")
	close(release)
	(*w).settle()
	assert.Contains(t, (*w).home(ana), "taken by bo")
}

// TestHomeSurvivesAConflict: somebody else has published since Slack told the hash.
func TestHomeSurvivesAConflict(t *testing.T) {
	t.Parallel()
	w := homeWorld(t)
	w.open("k7f3q9", called("ana"))
	w.openHome(ana)
	w.shows(ana, "k7f3q9")
	payload, err := w.slack.ClickHomePayload(ana, "tocsin:k7f3q9:", slack.ActionAcknowledge)
	require.NoError(t, err)
	require.NoError(t, w.client.Publish(t.Context(), ana, "", slack.Home{Now: time.Now(), Who: "ana"}))
	_, err = w.slack.Interact(payload)
	require.NoError(t, err)
	w.shows(ana, "yours")
	assert.NotContains(t, w.home(ana), `"tocsin_acknowledge"`)
}

func TestClicksThatAreOnNoHomeOfOurs(t *testing.T) {
	t.Parallel()
	w := homeWorld(t)
	w.open("k7f3q9", called("ana"))
	w.open("m2m2m2")
	w.openHome(ana)
	w.shows(ana, "k7f3q9")
	good, err := w.slack.ClickHomePayload(ana, "tocsin:k7f3q9:", slack.ActionAcknowledge)
	require.NoError(t, err)
	for name, change := range map[string][2]string{
		"somebody else's tab":                   {`"private_metadata":"` + ana + `"`, `"private_metadata":"` + bo + `"`},
		"a modal":                               {`"type":"home"`, `"type":"modal"`},
		"another incident":                      {`"value":"k7f3q9"}]`, `"value":"m2m2m2"}]`},
		"an action that the tab does not offer": {`"action_id":"` + slack.ActionAcknowledge + `","action_ts"`, `"action_id":"` + slack.ActionEscalate + `","action_ts"`},
	} {
		payload := bytes.Replace(good, []byte(change[0]), []byte(change[1]), 1)
		require.NotEqual(t, string(good), string(payload), name)
		a, err := w.slack.Interact(payload)
		require.NoError(t, err)
		assert.Equal(t, http.StatusBadRequest, a.Status, name)
	}
	assert.Empty(t, w.desk.actions())
	a, err := w.slack.Interact(good)
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, a.Status)
	assert.Len(t, w.desk.actions(), 1)
}

func TestOtherTabsAndNoPublisher(t *testing.T) {
	t.Parallel()
	w := homeWorld(t)
	_, err := w.slack.OpenHome(ana, "messages")
	require.NoError(t, err)
	w.settle()
	assert.Zero(t, w.slack.Calls("views.publish"))

	w = newWorld(t)
	w.openHome(ana)
	w.settle()
	assert.Zero(t, w.slack.Calls("views.publish"))

	w = homeWorld(t)
	w.slack.Fault(slacktest.Fault{Method: "views.publish", Error: "not_enabled"})
	w.openHome(ana)
	w.settle()
	assert.Equal(t, 1, w.slack.Calls("views.publish"), "it is not tried again until the tab is opened")
	assert.Equal(t, 1, w.logs.lines("could not be shown"))
}
