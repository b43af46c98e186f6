package main

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// rooms has the critical incidents get channels of their own.
func (s *team) rooms() {
	s.t.Helper()
	s.replace("rate_limit: 0}\npagerduty", "rate_limit: 0, incident_channels: {severities: [critical], archive_after: 4h}}\npagerduty")
}

// room is the incident's channel that is not archived.
func (s *team) room(id string) (room slacktest.Room) {
	s.t.Helper()
	s.eventually(func() bool {
		live := slices.DeleteFunc(s.slack.Rooms("inc-"+id), func(r slacktest.Room) bool { return r.Archived })
		if len(live) == 1 {
			room = live[0]
		}
		return room.ID != ""
	}, "a channel of %s", id)
	return room
}

// becomes waits until the incident's channel is so.
func (s *team) becomes(id, what string, is func(slacktest.Room) bool) slacktest.Room {
	s.t.Helper()
	var room slacktest.Room
	s.eventually(func() bool { room = s.room(id); return is(room) }, "the channel of %s: %s; it is %+v", id, what, &room)
	return room
}

func (s *team) topic(id, want string) {
	s.t.Helper()
	s.becomes(id, "topic: "+want, func(r slacktest.Room) bool { return strings.Contains(r.Topic, want) })
}

func has(people ...string) func(slacktest.Room) bool {
	return func(r slacktest.Room) bool {
		return !slices.ContainsFunc(people, func(p string) bool { return !slices.Contains(r.People, p) })
	}
}

// TestSlackIncidentChannel: a critical incident gets a channel, which follows it
// to its end, and comes back with it.
func TestSlackIncidentChannel(t *testing.T) {
	overBoth(t, func(s *team) {
		s.write(teamPeople, dutyPrimary, dutyChannel)
		s.rooms()
		s.start()
		id := s.open("NodeDown", "critical")
		room := s.becomes(id, "ana is in it", has("U0ANA"))
		assert.Equal(s.t, "inc-"+id+"-nodedown-a", room.Name)
		assert.False(s.t, room.Private)
		s.topic(id, "Triggered · critical · NodeDown a")
		room = s.becomes(id, "the message is pinned", func(r slacktest.Room) bool { return len(r.Pins) == 1 })
		assert.Equal(s.t, s.message(room.ID, id).TS, room.Pins[0])
		s.shows("#incidents", id, "its channel in Slack is #inc-"+id, "💬 Channel: ")

		s.says(slash, "U0CY", "add "+id+" @bo knows the disks", "Called: bo")
		s.becomes(id, "bo is in it", has("U0ANA", "U0BO"))
		s.clicks(room.ID, id, "U0BO", slack.ActionAcknowledge)
		s.topic(id, "Acknowledged · critical · owner bo")
		for _, ref := range []string{"#incidents", room.ID, "U0ANA"} {
			s.shows(ref, id, "Acknowledged by bo")
		}
		s.says(slash, "U0CY", "ack "+id, "is acknowledged by cy")
		s.becomes(id, "who takes it is in it", has("U0ANA", "U0BO", "U0CY"))

		s.says(slash, "U0BO", "resolve "+id+" force", "is resolved by bo")
		s.topic(id, "Resolved · critical · by bo")
		s.shows(room.ID, id, "✅ Resolved NodeDown a", "resolved by bo")
		require.NoError(s.t, s.app.clicks.channels.Tidy(context.Background(), time.Now().Add(3*time.Hour)))
		assert.False(s.t, s.room(id).Archived, "not yet")

		// It comes back before it is archived: it is the same channel.
		s.says(slash, "U0BO", "reopen "+id, "is triggered")
		s.topic(id, "Triggered · critical")
		assert.Equal(s.t, room.ID, s.room(id).ID)
		s.says(slash, "U0BO", "resolve "+id+" force", "is resolved by bo")
		s.topic(id, "Resolved · critical · by bo")
		s.quiet()
		require.NoError(s.t, s.app.clicks.channels.Tidy(context.Background(), time.Now().Add(5*time.Hour)))
		old, ok := s.slack.Room(room.ID)
		require.True(s.t, ok)
		assert.True(s.t, old.Archived)
		assert.Contains(s.t, s.timeline(id), "archived #inc-"+id)

		// And after that it is another one.
		s.says(slash, "U0BO", "reopen "+id, "is triggered")
		next := s.becomes(id, "those who were called are in it", has("U0ANA", "U0BO"))
		assert.NotEqual(s.t, room.ID, next.ID)
		s.topic(id, "Triggered · critical")
		s.shows("#incidents", id, "its channel in Slack is #"+next.Name)
		assert.Contains(s.t, s.timeline(id), "opened #"+next.Name)
	})
}

// TestSlackChannelIsArchivedInTime: by the program itself, also when the time comes
// while it is not running.
func TestSlackChannelIsArchivedInTime(t *testing.T) {
	t.Parallel()
	s := newTeam(t, false)
	s.write(teamPeople, dutyPrimary, dutyChannel)
	s.rooms()
	s.replace("archive_after: 4h", "archive_after: 1s, private: true, prefix: outage")
	s.start()
	id := s.open("NodeDown", "critical")
	var room slacktest.Room
	s.eventually(func() bool {
		if rooms := s.slack.Rooms("outage-" + id); len(rooms) == 1 {
			room = rooms[0]
		}
		return has("U0ANA")(room) && len(room.Pins) == 1
	}, "a private channel with a name of its own")
	assert.True(t, room.Private)
	s.says(slash, "U0BO", "resolve "+id+" force", "is resolved by bo")
	s.shows(room.ID, id, "✅ Resolved NodeDown a")
	s.quiet()
	s.stop()
	ended := time.Now()
	s.eventually(func() bool { return time.Since(ended) > time.Second }, "the time comes")
	s.start()
	s.eventually(func() bool { r, ok := s.slack.Room(room.ID); return ok && r.Archived }, "it is archived: %s", s.timeline(id))
	s.notes(id, "archived #"+room.Name)
}

// TestSlackChannelOnRequest: by the command, once, for who may ask; and what is
// marked there or in a thread is noted.
func TestSlackChannelOnRequest(t *testing.T) {
	overBoth(t, func(s *team) {
		s.with(teamPeople, dutyPrimary, dutyChannel)
		id := s.open("DiskFull", "error")
		s.shows("#incidents", id, "Called: ana")
		s.says(slash, "U0VIC", "channel "+id, "vic has no right to respond")
		s.says(mention, "U0CY", "channel "+id, id+" is triggered")
		s.says(direct, "U0BO", "channel "+id, id+" is triggered")
		room := s.becomes(id, "who asked for it and who was called are in it", has("U0ANA", "U0CY"))
		assert.Len(s.t, s.slack.Rooms("inc-"), 1)
		s.becomes(id, "the message is pinned", func(r slacktest.Room) bool { return len(r.Pins) == 1 })
		assert.Contains(s.t, s.timeline(id), "cy asked for it")

		inRoom := s.slack.Say(room.ID, "U0BO", "the fan of <@U0ANA>'s node &amp; the disk", "")
		inThread := s.slack.Say("#incidents", "U0OLD", "switch 4 has no power", s.message("#incidents", id).TS)
		elsewhere := s.slack.Say("#ops", "U0BO", "lunch?", "")
		react := func(ref, ts, user, emoji string) {
			s.t.Helper()
			a, err := s.slack.React(ref, ts, user, emoji)
			require.NoError(s.t, err)
			require.Equal(s.t, 200, a.Status)
		}
		react(room.ID, inRoom, "U0ANA", "pushpin")
		react("#incidents", inThread, "U0CY", "round_pushpin")
		react("#incidents", inThread, "U0BO", "pushpin")
		react("#ops", elsewhere, "U0BO", "pushpin")
		react(room.ID, inRoom, "U0BO", "eyes")
		react(room.ID, s.message(room.ID, id).TS, "U0BO", "pushpin")
		for want, by := range map[string]string{
			"the fan of @ana's node & the disk (marked with 📌 by ana)": "bo", "U0OLD in Slack: switch 4 has no power": "cy",
		} {
			assert.Equal(s.t, 1, strings.Count(s.timeline(id), want), s.timeline(id))
			s.shows("#incidents", id, by+": "+want)
			s.shows(room.ID, id, by+": "+want)
		}
		assert.Equal(s.t, 2, strings.Count(s.timeline(id), string(tocsin.EventNote)+": "), s.timeline(id))
		other := s.slack.Say("#incidents", "U0BO", "me too", s.message("#incidents", id).TS)
		react("#incidents", other, "U0VIC", "pushpin")
		s.eventually(func() bool { return len(s.slack.Ephemerals("U0VIC")) >= 2 }, "vic is told that it is not allowed")
		assert.NotContains(s.t, s.timeline(id), "me too")

		// In the thread of its message the incident goes without saying.
		s.event(map[string]any{
			"type": "app_mention", "user": "U0ANA", "channel": s.slack.AddChannel("incidents"),
			"text": "<@" + slacktest.BotUserID + "> ack looking", "thread_ts": s.message("#incidents", id).TS,
		})
		assert.Equal(s.t, "ana", s.incident(id).AcknowledgedBy)
	})
}
