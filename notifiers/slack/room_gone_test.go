package slack_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

func TestAChannelThatWasTakenAwayIsReplaced(t *testing.T) {
	t.Parallel()
	for name, take := range map[string]func(*slacktest.Server, string){
		"archived": func(s *slacktest.Server, id string) { s.SetArchived(id, true) },
		"deleted":  func(s *slacktest.Server, id string) { s.DeleteChannel(id) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, nil)
			require.Empty(t, h.settle())
			old := h.room()
			take(h.slack, old.ID)
			h.lines = nil
			h.change(func(i *tocsin.Incident) tocsin.Event { e, _ := i.Acknowledge("ana", h.now); return e })
			require.Empty(t, h.settle())
			assert.Equal(t, old.Name+"-2", h.room().Name)
			assert.Contains(t, h.lines[0], "was archived or deleted in Slack")
			assert.Contains(t, h.lines[0], "opened #"+old.Name+"-2 and invited ana")
			assert.Contains(t, h.shown().Text, "Acknowledged")
			assert.Len(t, h.room().Pins, 1)
			assert.Equal(t, h.room().ID+"/"+h.shown().TS, h.incident().Delivery(tocsin.IncidentChannel).Ref)
			assert.Zero(t, h.slack.Calls("conversations.unarchive"), "a bot cannot")
		})
	}
	t.Run("when all is over", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, nil)
		require.Empty(t, h.settle())
		h.slack.SetArchived(h.room().ID, true)
		h.change(func(i *tocsin.Incident) tocsin.Event { e, _ := i.Resolve("ana", "resolved by ana", h.now); return e })
		require.Empty(t, h.settle())
		assert.Len(t, h.slack.Rooms("inc-"), 1, "nobody needs another one")
	})
	t.Run("again and again", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, nil)
		var errs []error
		for range 12 {
			if errs = append(errs, h.settle()...); len(errs) > 0 {
				break
			}
			h.slack.SetArchived(h.room().ID, true)
			h.change(func(i *tocsin.Incident) tocsin.Event {
				i.Touch(h.now)
				return i.Event(tocsin.EventNote, "ana", "still here", h.now)
			})
		}
		require.NotEmpty(t, errs)
		assert.ErrorContains(t, errs[0], "something archives them")
		assert.True(t, tocsin.IsPermanent(errs[0]))
	})
}

func TestADeletedMessageIsPostedAnewAndPinned(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	require.Empty(t, h.settle())
	old := h.shown()
	h.slack.Delete(old.Channel, old.TS)
	h.lines = nil
	h.change(func(i *tocsin.Incident) tocsin.Event { e, _ := i.Acknowledge("ana", h.now); return e })
	require.Empty(t, h.settle())
	m := h.shown()
	assert.NotEqual(t, old.TS, m.TS)
	assert.Contains(t, h.room().Pins, m.TS)
	assert.Contains(t, h.lines[0], "message_not_found")
}

func TestAResolvedIncidentGetsNoChannel(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(i *tocsin.Incident) { i.Resolve("ana", "resolved by ana", time.Now()) })
	h.unclear = false
	require.Empty(t, h.settle())
	assert.Empty(t, h.slack.Rooms("inc-"))
	assert.Zero(t, h.slack.Calls(""))
	assert.Equal(t, []string{"no channel was opened: the incident is resolved"}, h.lines)

	// One that was being opened when the process died is taken over all the same.
	h = newHouse(t, nil)
	h.unclear = false
	h.slack.Fault(slacktest.Fault{Method: "conversations.create", DropAfter: true, Count: 1})
	_, err := h.once()
	require.True(t, tocsin.IsUnclear(err), "%v", err)
	h.restart()
	h.change(func(i *tocsin.Incident) tocsin.Event { e, _ := i.Resolve("ana", "resolved by ana", h.now); return e })
	require.Empty(t, h.settle())
	assert.Contains(t, h.shown().Text, "Resolved")
	assert.Contains(t, h.lines[0], "took over")
}

// resolve resolves the incident, and lets its channel show it.
func (h *house) resolve(at time.Time) {
	h.Helper()
	h.change(func(i *tocsin.Incident) tocsin.Event {
		e, _ := i.Resolve("ana", "resolved by ana", at)
		return e
	})
	require.Empty(h, h.settle())
}

func (h *house) reopen() {
	h.Helper()
	h.change(func(i *tocsin.Incident) tocsin.Event { return i.Reopen("fires again", h.now) })
}

func (h *house) tidy(at time.Time) error { return h.rooms.Tidy(h.Context(), at) }

func TestChannelsAreArchivedOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	require.Empty(t, h.settle())
	id := h.room().ID
	require.NoError(t, h.tidy(h.now.Add(1000*time.Hour)))
	assert.Zero(t, h.slack.Calls("conversations.archive"), "it is open")
	h.resolve(h.now)
	require.NoError(t, h.tidy(h.now.Add(23*time.Hour)))
	assert.Zero(t, h.slack.Calls("conversations.archive"), "it is too early")
	for range 3 {
		require.NoError(t, h.tidy(h.now.Add(24*time.Hour)))
		h.restart()
	}
	assert.Equal(t, 1, h.slack.Calls("conversations.archive"))
	r, _ := h.slack.Room(id)
	assert.True(t, r.Archived)
	last := h.store.events[len(h.store.events)-1]
	assert.Equal(t, "archived #"+r.Name+": the incident has stayed resolved", last.Text)
	assert.True(t, last.Internal(), "nobody is told aloud")

	// A note that comes late opens nothing.
	h.change(func(i *tocsin.Incident) tocsin.Event {
		i.Touch(h.now)
		return i.Event(tocsin.EventNote, "bo", "post mortem", h.now)
	})
	before := h.slack.Calls("")
	require.Empty(t, h.settle())
	assert.Equal(t, before, h.slack.Calls(""))

	// What comes back gets another one.
	h.reopen()
	require.Empty(t, h.settle())
	assert.Equal(t, r.Name+"-2", h.room().Name)
	assert.Equal(t, []string{anaID}, h.room().People)
	h.resolve(h.now.Add(48 * time.Hour))
	require.NoError(t, h.tidy(h.now.Add(72*time.Hour)))
	assert.Equal(t, 2, h.slack.Calls("conversations.archive"))
}

func TestWhatReopensInTimeKeepsItsChannel(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	require.Empty(t, h.settle())
	h.resolve(h.now)
	h.reopen()
	require.NoError(t, h.tidy(h.now.Add(48*time.Hour)))
	require.Empty(t, h.settle())
	assert.Zero(t, h.slack.Calls("conversations.archive"))
	assert.Len(t, h.slack.Rooms("inc-"), 1)
}

// It fires again between the look at the incident and the call to Slack.
func TestReopenedWhileBeingArchived(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	require.Empty(t, h.settle())
	h.resolve(h.now)
	rooms := slack.NewIncidentChannels(slack.IncidentChannelsConfig{
		Store: late{reader{h.store}, func() {
			h.reopen()
			require.Empty(t, h.settle())
		}}, Slack: func(string) string { return "" },
	}, h.client(), h.set)
	require.NoError(t, rooms.Tidy(t.Context(), h.now.Add(25*time.Hour)))
	require.Empty(t, h.settle())
	assert.Len(t, h.slack.Rooms("inc-"), 2)
	assert.Contains(t, h.shown().Text, "Triggered")
}

// late does something right after an incident was read.
type late struct {
	reader
	then func()
}

func (l late) Get(ctx context.Context, id string) (*tocsin.Incident, error) {
	i, err := l.reader.Get(ctx, id)
	l.then()
	return i, err
}

func TestArchivingNever(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	h.set.ArchiveAfter = 0
	h.restart()
	require.Empty(t, h.settle())
	h.resolve(h.now)
	require.NoError(t, h.tidy(h.now.Add(10_000*time.Hour)))
	assert.Zero(t, h.slack.Calls("conversations.archive"))
}

func TestArchivingInTrouble(t *testing.T) {
	t.Parallel()
	t.Run("for good", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, nil)
		require.Empty(t, h.settle())
		h.resolve(h.now)
		h.slack.Fault(slacktest.Fault{Method: "conversations.archive", Error: "restricted_action"})
		at := h.now.Add(25 * time.Hour)
		require.ErrorContains(t, h.tidy(at), "the channel of incident k7f3q9: slack conversations.archive: restricted_action")
		require.NoError(t, h.tidy(at.Add(time.Hour)), "it is left alone for a day")
		h.slack.ClearFaults()
		require.NoError(t, h.tidy(at.Add(25*time.Hour)))
		assert.Equal(t, 2, h.slack.Calls("conversations.archive"))
	})
	t.Run("for now", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, nil)
		require.Empty(t, h.settle())
		h.resolve(h.now)
		h.slack.Fault(slacktest.Fault{Method: "conversations.archive", DropAfter: true, Count: 1})
		at := h.now.Add(25 * time.Hour)
		require.Error(t, h.tidy(at))
		require.NoError(t, h.tidy(at), "already archived is archived")
		events := len(h.store.events)
		require.NoError(t, h.tidy(at))
		assert.Len(t, h.store.events, events, "it is said once")
	})
	t.Run("before the commit", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, nil)
		require.Empty(t, h.settle())
		h.resolve(h.now)
		h.store.crash = 0
		require.ErrorIs(t, h.tidy(h.now.Add(25*time.Hour)), errCrash)
		h.restart()
		require.NoError(t, h.tidy(h.now.Add(25*time.Hour)))
		require.NoError(t, h.tidy(h.now.Add(26*time.Hour)))
		assert.Equal(t, 2, h.slack.Calls("conversations.archive"))
	})
}

// What is not kept any more is archived, and forgotten.
func TestIncidentsThatAreGone(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	require.Empty(t, h.settle())
	id := h.room().ID
	h.store.incidents = map[string]*tocsin.Incident{}
	require.NoError(t, h.tidy(h.now))
	r, _ := h.slack.Room(id)
	assert.True(t, r.Archived)
	assert.Empty(t, h.store.docs)
}

func TestChannelIncident(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	require.Empty(t, h.settle())
	id, ok := slack.ChannelIncident(h.store.docs, h.room().ID)
	assert.True(t, ok)
	assert.Equal(t, "k7f3q9", id)
	for _, other := range []string{"", "C0OTHER0001"} {
		_, ok = slack.ChannelIncident(append(h.store.docs, tocsin.Document{ID: "x", Value: []byte("}")}), other)
		assert.False(t, ok)
	}
}

func TestChannelsRunUntilTheEnd(t *testing.T) {
	t.Parallel()
	require.NoError(t, (*slack.IncidentChannels)(nil).Run(t.Context()))
	h := newHouse(t, nil)
	require.Empty(t, h.settle())
	h.resolve(time.Now().Add(-48 * time.Hour))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.rooms.Run(ctx) }()
	require.Eventually(t, func() bool { return h.slack.Calls("conversations.archive") == 1 }, 10*time.Second, 2*time.Millisecond)
	cancel()
	require.NoError(t, <-ended)
}
