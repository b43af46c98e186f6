package slack_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

func TestAnIncidentGetsItsChannel(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	h.change(func(i *tocsin.Incident) tocsin.Event {
		i.Touch(h.now)
		return i.Event(tocsin.EventChannel, "bo", "a channel of its own is opened in Slack: bo asked for it", h.now)
	})
	require.Empty(t, h.settle())

	r, m := h.room(), h.shown()
	assert.Equal(t, "inc-k7f3q9-node-node-3-eu-west-is-down", r.Name)
	assert.Equal(t, slacktest.BotUserID, r.Creator)
	assert.False(t, r.Private)
	assert.ElementsMatch(t, []string{anaID, boID}, r.People)
	assert.Equal(t, []string{m.TS}, r.Pins)
	assert.Equal(t, "🔴 Triggered · critical · Node node-3.eu-west is down", r.Topic)
	assert.Equal(t, r.ID+"/"+m.TS, h.incident().Delivery(tocsin.IncidentChannel).Ref)
	assert.Equal(t, []string{"opened #inc-k7f3q9-node-node-3-eu-west-is-down and invited ana, bo"}, h.lines)
	assert.Empty(t, m.Replies, "the channel need not be told that it is there")
	for method, calls := range map[string]int{"conversations.create": 1, "conversations.invite": 1, "pins.add": 1, "conversations.setTopic": 1, "conversations.list": 0} {
		assert.Equal(t, calls, h.slack.Calls(method), method)
	}

	last := h.store.events[len(h.store.events)-1]
	assert.Equal(t, tocsin.EventChannel, last.Kind)
	assert.Equal(t, "its channel in Slack is #inc-k7f3q9-node-node-3-eu-west-is-down", last.Text)
	assert.False(t, last.Internal(), "the other threads tell it")

	before := h.slack.Calls("")
	require.Empty(t, h.settle())
	assert.Equal(t, before, h.slack.Calls(""), "nothing is left to do")
}

func TestTheChannelFollowsTheIncident(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	require.Empty(t, h.settle())
	h.lines = nil

	h.change(func(i *tocsin.Incident) tocsin.Event {
		i.Escalation.Responders = append(i.Escalation.Responders, tocsin.Responder{User: "bo"})
		e, _ := i.Acknowledge("bo", h.now)
		return e
	})
	require.Empty(t, h.settle())
	assert.Equal(t, "🔴 Acknowledged · critical · owner bo · Node node-3.eu-west is down", h.room().Topic)
	assert.ElementsMatch(t, []string{anaID, boID}, h.room().People)
	assert.Equal(t, []string{"invited bo"}, h.lines)
	m := h.shown()
	require.NotEmpty(t, m.Replies)
	assert.True(t, m.Replies[0].Broadcast)

	h.change(func(i *tocsin.Incident) tocsin.Event {
		i.Touch(h.now)
		return i.Event(tocsin.EventNote, "bo", "disk is full", h.now)
	})
	require.Empty(t, h.settle())
	assert.Equal(t, 2, h.slack.Calls("conversations.setTopic"), "a note is no other state")
	assert.Equal(t, 1, h.slack.Calls("pins.add"))

	h.change(func(i *tocsin.Incident) tocsin.Event {
		i.Firing = 0
		e, _ := i.Resolve("bo", "resolved by bo", h.now)
		return e
	})
	require.Empty(t, h.settle())
	assert.Equal(t, "✅ Resolved · critical · by bo · Node node-3.eu-west is down", h.room().Topic)
	m = h.shown()
	assert.Contains(t, m.Text, "Resolved")
	final := m.Replies[len(m.Replies)-1]
	assert.Contains(t, final.Text, "resolved by bo")
	assert.True(t, final.Broadcast, "the end is seen in the channel")
	assert.Equal(t, 2, h.slack.Calls("conversations.invite"))
}

// Every call whose answer is lost, and every commit that does not come about,
// leaves the same state behind.
func TestChannelSurvivesACutAtEachPoint(t *testing.T) {
	t.Parallel()
	methods := []string{"conversations.create", "chat.postMessage", "conversations.invite", "pins.add", "conversations.setTopic"}
	check := func(t testing.TB, h *house) {
		t.Helper()
		r, m := h.room(), h.shown()
		assert.Len(t, h.slack.Rooms("inc-"), 1, "one channel")
		assert.Equal(t, []string{anaID}, r.People)
		assert.Equal(t, []string{m.TS}, r.Pins)
		assert.Equal(t, 1, h.count("has joined"))
		assert.True(t, strings.HasPrefix(r.Topic, "🔴 Triggered"))
		said := 0
		for _, e := range h.store.events {
			if e.Kind == tocsin.EventChannel {
				said++
			}
		}
		assert.Equal(t, 1, said, "it is said once")
	}
	for _, method := range methods {
		for _, restart := range []bool{false, true} {
			name := method
			if restart {
				name += " and killed"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				h := newHouse(t, nil)
				h.unclear = false
				h.slack.Fault(slacktest.Fault{Method: method, DropAfter: true, Count: 1})
				for range 12 {
					if _, err := h.once(); err != nil && restart {
						h.restart()
					}
				}
				require.Empty(t, h.settle())
				check(t, h)
			})
		}
	}
	for write := range 12 {
		t.Run("killed before commit "+string(rune('a'+write)), func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, nil)
			h.store.crash = write
			h.settle()
			h.store.crash = -1
			require.Empty(t, h.settle())
			check(t, h)
			assert.LessOrEqual(t, h.slack.Calls("conversations.setTopic"), 2)
		})
	}
}

// Random losses of answers and commits end in one channel with one message.
func TestChannelAgainstRandomCuts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		h := newHouse(t, nil)
		for _, method := range []string{"conversations.create", "chat.postMessage", "conversations.invite", "pins.add", "conversations.setTopic", "chat.update"} {
			if n := rapid.IntRange(0, 2).Draw(rt, method); n > 0 {
				h.slack.Fault(slacktest.Fault{Method: method, DropAfter: true, Count: n})
			}
		}
		for range rapid.IntRange(0, 4).Draw(rt, "crashes") {
			h.store.crash = rapid.IntRange(0, 9).Draw(rt, "crash")
			for range rapid.IntRange(1, 8).Draw(rt, "tries") {
				if _, err := h.once(); err != nil && rapid.Bool().Draw(rt, "killed") {
					h.restart()
				}
			}
		}
		h.store.crash = -1
		h.slack.ClearFaults()
		if errs := h.settle(); len(errs) > 0 {
			rt.Fatal(errs)
		}
		if rooms := h.slack.Rooms("inc-"); len(rooms) != 1 || len(rooms[0].Pins) != 1 || len(rooms[0].People) != 1 {
			rt.Fatalf("%+v", rooms)
		}
		h.shown()
	})
}

func TestSomebodyElseHasTheName(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	h.slack.AddRoom("inc-k7f3q9-node-node-3-eu-west-is-down", boID)
	require.Empty(t, h.settle())
	rooms := h.slack.Rooms("inc-")
	require.Len(t, rooms, 2)
	assert.Equal(t, "inc-k7f3q9-node-node-3-eu-west-is-down-2", rooms[1].Name)
	assert.Empty(t, rooms[0].People, "theirs is left alone")
	assert.Equal(t, "opened #inc-k7f3q9-node-node-3-eu-west-is-down-2 and invited ana; #inc-k7f3q9-node-node-3-eu-west-is-down is taken", h.lines[0])

	h = newHouse(t, nil, slacktest.WithToken("xoxb-canary", "chat:write", "channels:manage", "pins:write"))
	h.slack.AddRoom("inc-k7f3q9-node-node-3-eu-west-is-down", boID)
	require.Empty(t, h.settle())
	assert.Contains(t, h.lines[0], "missing_scope (needed: channels:read", "what cannot be looked up is said")
}

func TestPeopleWhoCannotBeInvited(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(i *tocsin.Incident) {
		i.Escalation.Responders = []tocsin.Responder{{User: "ana"}, {User: "gone"}, {User: "self"}, {User: "nobody"}, {User: "bo"}}
	})
	require.Empty(t, h.settle())
	assert.ElementsMatch(t, []string{anaID, boID}, h.room().People)
	assert.Equal(t, []string{
		"opened #" + h.room().Name + " and invited ana, bo; could not invite gone: user_not_found; could not invite self: cant_invite_self; " +
			"could not invite nobody, who has no slack in users",
	}, h.lines)
	calls := h.slack.Calls("conversations.invite")
	h.change(func(i *tocsin.Incident) tocsin.Event { e, _ := i.Acknowledge("ana", h.now); return e })
	require.Empty(t, h.settle())
	assert.Equal(t, calls, h.slack.Calls("conversations.invite"), "it is said once, and not tried again")
	assert.Len(t, h.lines, 1)
}

func TestWhatSlackForbidsIsSaid(t *testing.T) {
	t.Parallel()
	t.Run("no channels at all", func(t *testing.T) {
		t.Parallel()
		for _, tt := range []struct {
			fault, want string
			scopes      []string
		}{
			{"", "channels:manage", []string{"chat:write"}},
			{"restricted_action", "Channel Management", nil},
			{"invalid_name_specials", "slack.incident_channels.prefix", nil},
		} {
			h := newHouse(t, nil, slacktest.WithToken("xoxb-canary", tt.scopes...))
			if tt.fault != "" {
				h.slack.Fault(slacktest.Fault{Method: "conversations.create", Error: tt.fault})
			}
			errs := h.settle()
			require.NotEmpty(t, errs)
			assert.True(t, tocsin.IsPermanent(errs[0]), "%v", errs[0])
			assert.ErrorContains(t, errs[0], tt.want)
			assert.NotContains(t, errs[0].Error(), "xoxb")
		}
	})
	t.Run("the extras", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, nil, slacktest.WithToken("xoxb-canary", "chat:write", "channels:manage"))
		h.slack.Fault(slacktest.Fault{Method: "conversations.setTopic", Error: "user_is_restricted"})
		h.slack.Fault(slacktest.Fault{Method: "conversations.invite", Error: "restricted_action"})
		require.Empty(t, h.settle())
		h.shown()
		all := strings.Join(h.lines, "\n")
		for _, want := range []string{"could not pin the message: slack pins.add: missing_scope (needed: pins:write", "could not set the topic", "could not invite anybody"} {
			assert.Equal(t, 1, strings.Count(all, want), "%s in:\n%s", want, all)
		}
		before := h.slack.Calls("pins.add")
		h.change(func(i *tocsin.Incident) tocsin.Event { e, _ := i.Acknowledge("ana", h.now); return e })
		require.Empty(t, h.settle())
		assert.Equal(t, before, h.slack.Calls("pins.add"))
		assert.Contains(t, h.shown().Text, "Acknowledged", "the message goes on")
	})
	t.Run("a revoked token", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, nil)
		_, err := h.once()
		require.NoError(t, err)
		h.slack.RevokeToken("xoxb-canary")
		errs := h.settle()
		require.NotEmpty(t, errs)
		assert.True(t, tocsin.IsPermanent(errs[0]))
		assert.ErrorContains(t, errs[0], "install the Slack app again")
	})
	t.Run("patience", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, nil)
		h.slack.Fault(slacktest.Fault{Method: "conversations.create", Status: 429, RetryAfter: slacktest.Seconds(7), Count: 1})
		_, err := h.once()
		wait, ok := tocsin.RetryDelay(err)
		assert.True(t, ok && wait == 7*time.Second, "%v", err)
		h.slack.Fault(slacktest.Fault{Method: "pins.add", Error: "internal_error", Count: 2})
		errs := h.settle()
		require.Len(t, errs, 2)
		assert.Len(t, h.room().Pins, 1, "trouble passes")
	})
}

func TestPrivateChannels(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil, slacktest.WithToken("xoxb-canary", "chat:write", "groups:write", "pins:write", "groups:history", "groups:read"))
	h.set = slack.IncidentChannelSettings{Prefix: "outage", Private: true}
	h.restart()
	h.slack.Fault(slacktest.Fault{Method: "conversations.create", DropAfter: true, Count: 1})
	h.settle()
	rooms := h.slack.Rooms("outage-")
	require.Len(t, rooms, 1)
	assert.True(t, rooms[0].Private)
	assert.Equal(t, []string{anaID}, rooms[0].People)
}

// The other targets' messages name the channel.
func TestOtherMessagesNameTheChannel(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	h.slack.AddChannel("incidents")
	require.Empty(t, h.settle())
	n := h.notice()
	n.Delivery = *n.Incident.Delivery(target)
	_, err := h.client().Channel("#incidents").Deliver(t.Context(), n)
	require.NoError(t, err)
	line := "💬 Channel: <#" + h.room().ID + ">"
	assert.Contains(t, string(h.slack.Messages("incidents")[0].Blocks), line)
	assert.NotContains(t, string(h.shown().Blocks), line)
}

func TestHostileTitlesMakeLawfulNames(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		title := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-zA-Z<>@#!|&* -]{0,200}`)).Draw(rt, "title")
		h := newHouse(t, func(i *tocsin.Incident) { i.Title = title })
		if errs := h.settle(); len(errs) > 0 {
			rt.Fatal(errs) // the emulator checks names and topics as Slack does
		}
		if r := h.room(); !strings.HasPrefix(r.Name, "inc-k7f3q9") || strings.ContainsAny(r.Topic, "<>") {
			rt.Fatalf("%+v", r)
		}
	})
}
