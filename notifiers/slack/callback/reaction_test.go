package callback_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/callback"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// library is a desk with documents.
type library struct {
	*desk
	docs []tocsin.Document
	err  error
}

func (l *library) Documents(_ context.Context, kind string) ([]tocsin.Document, uint64, error) {
	if kind != slack.ChannelDocuments {
		return nil, 0, errors.New("no such kind")
	}
	return l.docs, 0, l.err
}

// newPinWorld is newWorld with the reader and the client that pins need.
func newPinWorld(t testing.TB, opts ...option) (*world, *library) {
	t.Helper()
	lib := &library{}
	var w *world
	w = newWorld(t, append([]option{func(_ *callback.Config, d *callback.Deps, _ *slacktest.Callbacks) {
		lib.desk = d.Reader.(*desk)
		d.Reader = lib
		d.Message = func(ctx context.Context, channel, ts string) (slack.Found, error) {
			return w.client.Message(ctx, channel, ts)
		}
	}}, opts...)...)
	return w, lib
}

// pin has somebody mark a message.
func (w *world) pin(channel, ts, user, emoji string) slacktest.Answer {
	w.Helper()
	a, err := w.slack.React(channel, ts, user, emoji)
	require.NoError(w, err)
	return a
}

func (w *world) notes() []tocsin.Action {
	var out []tocsin.Action
	for _, a := range w.desk.actions() {
		if a.Kind == tocsin.ActNote {
			out = append(out, a)
		}
	}
	return out
}

func TestAMarkedReplyBecomesANote(t *testing.T) {
	t.Parallel()
	w, _ := newPinWorld(t)
	w.open("k7f3q9")
	m := w.message("k7f3q9")
	ts := w.slack.Say("incidents", ana, "the disk of &lt;node-3&gt; is full, <@"+bo+">; see <https://wiki.example.com/disk|wiki> and <#C0OPS00001|ops> <!here>", m.TS)

	assert.Equal(t, http.StatusOK, w.pin("incidents", ts, bo, "pushpin").Status)
	want := tocsin.Action{
		Kind: tocsin.ActNote, ID: "slack:pin:" + m.Channel + "/" + ts, By: "ana", Via: "Slack",
		Text: "the disk of <node-3> is full, @bo; see wiki (https://wiki.example.com/disk) and #ops @here (marked with 📌 by bo)",
	}
	assert.Equal(t, []tocsin.Action{want}, w.notes())

	w.pin("incidents", ts, ana, "round_pushpin")
	w.pin("incidents", ts, bo, "pushpin")
	assert.Len(t, w.notes(), 1, "once, however many people mark it")

	w.pin("incidents", ts, ana, "eyes")
	w.pin("incidents", m.TS, ana, "pushpin")
	assert.Len(t, w.notes(), 1, "our own message is no note, and eyes are no pin")

	stray := w.slack.Say("incidents", ana, "lunch?", "")
	inStray := w.slack.Say("incidents", bo, "yes", stray)
	w.pin("incidents", stray, ana, "pushpin")
	w.pin("incidents", inStray, guest, "pushpin")
	assert.Len(t, w.notes(), 1, "what has to do with no incident")
	w.settle()
	assert.Empty(t, w.slack.Ephemerals(""), "nobody is told about that")
}

func TestAMarkedMessageOfTheIncidentsChannel(t *testing.T) {
	t.Parallel()
	w, lib := newPinWorld(t)
	w.open("k7f3q9")
	w.slack.AddChannel("inc-k7f3q9")
	r, _ := w.slack.Room("inc-k7f3q9")
	lib.docs = []tocsin.Document{{ID: "aaaaaa", Value: []byte("{")}, {ID: "k7f3q9", Value: []byte(`{"name":"inc-k7f3q9","number":1,"channel":"` + r.ID + `"}`)}}
	first := w.slack.Say("inc-k7f3q9", guest, "rebooted it", "")
	reply := w.slack.Say("inc-k7f3q9", "", "deployed v7", first)
	w.pin("inc-k7f3q9", first, ana, "pushpin")
	w.pin("inc-k7f3q9", reply, ana, "pushpin")
	notes := w.notes()
	require.Len(t, notes, 2)
	assert.Equal(t, guest+" in Slack: rebooted it", notes[0].Text)
	assert.Equal(t, "an app in Slack: deployed v7", notes[1].Text)
	assert.Equal(t, "ana", notes[0].By)
	assert.Equal(t, "ana", notes[1].By)

	w.pin("inc-k7f3q9", w.slack.Say("inc-k7f3q9", ana, "it is back", ""), ana, "pushpin")
	own := w.notes()[2]
	assert.Equal(t, "it is back", own.Text, "who marks their own words has said it all")
	assert.Equal(t, "ana", own.By)
}

func TestWhoMayMark(t *testing.T) {
	t.Parallel()
	w, _ := newPinWorld(t, func(_ *callback.Config, d *callback.Deps, _ *slacktest.Callbacks) {
		d.Person = boViews
	})
	w.open("k7f3q9")
	m := w.message("k7f3q9")
	ts := w.slack.Say("incidents", ana, "the disk is full", m.TS)
	assert.Equal(t, http.StatusOK, w.pin("incidents", ts, guest, "pushpin").Status)
	assert.Contains(t, w.told(guest), "does not know who you are")
	w.pin("incidents", ts, bo, "pushpin")
	assert.Contains(t, w.told(bo), "no right to respond")
	assert.Empty(t, w.notes())
	w.pin("incidents", ts, ana, "pushpin")
	assert.Len(t, w.notes(), 1)
}

func TestPinsInTrouble(t *testing.T) {
	t.Parallel()
	setup := func(t *testing.T, opts ...option) (*world, *library, slacktest.Message, string) {
		w, lib := newPinWorld(t, opts...)
		w.open("k7f3q9")
		m := w.message("k7f3q9")
		return w, lib, m, w.slack.Say("incidents", ana, "the disk is full", m.TS)
	}
	t.Run("the store, then Slack's second try", func(t *testing.T) {
		t.Parallel()
		w, lib, _, ts := setup(t)
		body := w.slack.Reaction("incidents", ts, ana, "pushpin")
		send := func() int {
			a, err := w.slack.Event(body)
			require.NoError(t, err)
			return a.Status
		}
		w.desk.fail(tocsin.Unavailable(errors.New("disk full")))
		assert.Equal(t, http.StatusServiceUnavailable, send())
		w.desk.fail(nil)
		lib.err = tocsin.Unavailable(errors.New("no quorum"))
		assert.Equal(t, http.StatusServiceUnavailable, send())
		lib.err = nil
		w.slack.Fault(slacktest.Fault{Method: "conversations.replies", Status: 503, Count: 1})
		assert.Equal(t, http.StatusServiceUnavailable, send())
		w.slack.Fault(slacktest.Fault{Method: "conversations.replies", Status: 429, RetryAfter: slacktest.Seconds(1), Count: 1})
		assert.Equal(t, http.StatusServiceUnavailable, send())
		assert.Empty(t, w.notes())
		assert.Equal(t, http.StatusOK, send())
		body = append(body, '\n') // signed anew
		assert.Equal(t, http.StatusOK, send())
		assert.Len(t, w.notes(), 1)
	})
	t.Run("a missing scope", func(t *testing.T) {
		t.Parallel()
		w, _, _, ts := setup(t)
		w.slack.Fault(slacktest.Fault{Method: "conversations.replies", Error: "missing_scope"})
		assert.Equal(t, http.StatusOK, w.pin("incidents", ts, ana, "pushpin").Status, "Slack need not try again")
		assert.Contains(t, w.told(ana), "add the scope")
		w.pin("incidents", ts, guest, "pushpin")
		w.settle()
		assert.Empty(t, w.slack.Ephemerals(guest))
		assert.Equal(t, 1, w.logs.lines("marked in Slack could not be read"))
		before := len(w.slack.Ephemerals(ana))
		w.slack.AddChannel("lunch")
		w.pin("lunch", w.slack.Say("lunch", guest, "pizza", ""), ana, "pushpin")
		w.settle()
		assert.Len(t, w.slack.Ephemerals(ana), before, "no incident is shown there")
	})
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		w, _, _, ts := setup(t)
		w.desk.fail(tocsin.ErrConflict)
		assert.Equal(t, http.StatusOK, w.pin("incidents", ts, ana, "pushpin").Status)
		assert.Contains(t, w.told(ana), "Nothing was noted")
	})
	t.Run("slow", func(t *testing.T) {
		t.Parallel()
		w, _, _, ts := setup(t)
		w.desk.mu.Lock()
		w.desk.slow = 10 * time.Second
		w.desk.mu.Unlock()
		assert.Equal(t, http.StatusServiceUnavailable, w.pin("incidents", ts, ana, "pushpin").Status, "before Slack gives up")
	})
	t.Run("nothing to read", func(t *testing.T) {
		t.Parallel()
		w, _, m, _ := setup(t)
		empty := w.slack.Say("incidents", ana, " ", m.TS)
		gone := w.slack.Say("incidents", ana, "oops", m.TS)
		body := w.slack.Reaction("incidents", gone, ana, "pushpin")
		w.slack.Delete("incidents", gone)
		a, err := w.slack.Event(body)
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, a.Status)
		w.pin("incidents", empty, ana, "pushpin")
		assert.Contains(t, w.told(ana), "no text")
		assert.Empty(t, w.notes())
	})
	t.Run("forged metadata", func(t *testing.T) {
		t.Parallel()
		w, _, _, _ := setup(t)
		w.desk.change("k7f3q9", func(i *tocsin.Incident) { i.Deliveries[0].Ref = "C0OTHER001/1.000001" })
		other := callbackMessage(t, w)
		w.pin("incidents", other, ana, "pushpin")
		assert.Empty(t, w.notes())
	})
	t.Run("no such feature", func(t *testing.T) {
		t.Parallel()
		w, _, _, ts := setup(t, func(_ *callback.Config, d *callback.Deps, _ *slacktest.Callbacks) { d.Message = nil })
		assert.Equal(t, http.StatusOK, w.pin("incidents", ts, ana, "pushpin").Status)
		assert.Empty(t, w.notes())
	})
	t.Run("malformed", func(t *testing.T) {
		t.Parallel()
		w, _, _, _ := setup(t)
		a, err := w.slack.Event([]byte(`{"type":"event_callback","team_id":"` + slacktest.TeamID + `","event_id":"Ev1","event":{"type":"reaction_added","item":7}}`))
		require.NoError(t, err)
		assert.Equal(t, http.StatusBadRequest, a.Status)
	})
}

// callbackMessage is a reply in the thread of a message of somebody else's that
// says it were an incident's.
func callbackMessage(t testing.TB, w *world) string {
	t.Helper()
	root := w.slack.SayWith("incidents", guest, "an incident", "tocsin_incident", `{"incident":"k7f3q9"}`)
	return w.slack.Say("incidents", guest, "note this on it", root)
}

func TestNotesOfHostileText(t *testing.T) {
	t.Parallel()
	w, _ := newPinWorld(t)
	w.open("k7f3q9")
	m := w.message("k7f3q9")
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.OneOf(rapid.StringMatching(`[<>|@#!&;a-zU0-9 -]{1,80}`), rapid.StringN(1, -1, 6000)).Draw(rt, "text")
		ts := w.slack.Say("incidents", ana, "x"+text, m.TS)
		w.pin("incidents", ts, bo, "pushpin")
		notes := w.notes()
		if n++; len(notes) != n {
			rt.Fatalf("%d notes of %d", len(notes), n)
		}
		if got := notes[n-1].Text; utf8.RuneCountInString(got) > 2100 || !utf8.ValidString(got) || !strings.HasSuffix(got, " (marked with 📌 by bo)") {
			rt.Fatalf("%q", got)
		}
	})
}
