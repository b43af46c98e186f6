package story

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation"
	"github.com/tocsin-oncall/tocsin/notifiers"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// withChannels gives critical incidents channels of their own.
func withChannels(spec *escalation.Spec) {
	spec.Channels = escalation.Channels{Ready: true, Severities: []tocsin.Severity{tocsin.Critical}}
}

// channels adds the target to the running dispatcher.
func (s *service) channels() *slack.IncidentChannels {
	s.t.Helper()
	client := slack.New(slack.Config{Token: slackToken, APIURL: "http://slack.test/api/", HTTPClient: s.slack.Client(), Lookup: true})
	rooms := slack.NewIncidentChannels(slack.IncidentChannelsConfig{Store: s.store, Slack: func(user string) string {
		if _, known := everybody[user]; known {
			return slackID(user)
		}
		return ""
	}}, client, slack.IncidentChannelSettings{ArchiveAfter: time.Hour})
	require.NoError(s.t, s.dispatcher.SetTargets(context.Background(), append(s.targets(), notifiers.Target{
		Key: tocsin.IncidentChannel, Notifier: rooms, PerSecond: 1, Thread: true, LookAfter: 2 * time.Second,
	})))
	return rooms
}

// own is the incident's channel that is not archived.
func (s *service) own(id string) slacktest.Room {
	s.t.Helper()
	var live []slacktest.Room
	for _, r := range s.slack.Rooms("inc-" + id) {
		if !r.Archived {
			live = append(live, r)
		}
	}
	require.Len(s.t, live, 1)
	return live[0]
}

// threads is all that was said in the threads of a channel.
func (s *service) threads(channel string) string {
	var b strings.Builder
	for _, m := range s.slack.Messages(channel) {
		for _, r := range m.Replies {
			b.WriteString(r.Text + string(r.Blocks) + "\n")
		}
	}
	return b.String()
}

func TestAChannelOfItsOwn(t *testing.T) {
	play(t, watched(withChannels), func(t *testing.T, s *service) {
		s.channels()
		id := s.opens("NodeDown", "critical")
		s.pass(time.Minute)
		r := s.own(id)
		assert.Equal(t, "inc-"+id+"-nodedown-on-node-1", r.Name)
		assert.Equal(t, []string{slackID("ana")}, r.People, "who was called")
		assert.Len(t, r.Pins, 1)
		assert.Contains(t, string(s.slack.Messages("#incidents")[0].Blocks), "Channel: <#"+r.ID+">", "the other message leads there")
		assert.Contains(t, s.threads("#incidents"), "its channel in Slack is #"+r.Name)
		assert.Zero(t, s.store.Stats().Lagging)

		s.acts(id, tocsin.Action{Kind: tocsin.ActAddResponder, By: "ana", User: "eve"})
		s.acknowledges(id, "ana")
		s.pass(time.Minute)
		r = s.own(id)
		assert.ElementsMatch(t, []string{slackID("ana"), slackID("eve")}, r.People)
		assert.Contains(t, r.Topic, "Acknowledged · critical · owner ana")

		s.restart()
		rooms := s.channels()
		s.send(ends(ops("NodeDown", "critical")))
		s.pass(time.Minute)
		assert.Contains(t, s.own(id).Topic, "✅ Resolved")
		require.NoError(t, rooms.Tidy(context.Background(), time.Now()))
		s.own(id) // not yet
		s.pass(2 * time.Hour)
		require.NoError(t, rooms.Tidy(context.Background(), time.Now()))
		require.NoError(t, rooms.Tidy(context.Background(), time.Now()))
		archived, _ := s.slack.Room(r.ID)
		assert.True(t, archived.Archived)
		assert.Equal(t, 1, s.slack.Calls("conversations.archive"))
		lines, err := s.store.Timeline(context.Background(), id, 0, 1000)
		require.NoError(t, err)
		assert.Equal(t, "archived #"+r.Name+": the incident has stayed resolved", lines[len(lines)-1].Text, "also on an incident that was put away")
		assert.Zero(t, s.store.Stats().Lagging)
	})
}

// Killed in each of the first seconds, it ends with one channel all the same.
func TestAChannelOfItsOwnSurvivesRestarts(t *testing.T) {
	play(t, watched(withChannels), func(t *testing.T, s *service) {
		s.channels()
		id := s.opens("NodeDown", "critical")
		for range 10 {
			s.pass(600 * time.Millisecond)
			s.restart()
			s.channels()
		}
		s.pass(time.Minute)
		r := s.own(id)
		assert.Len(t, s.slack.Rooms("inc-"), 1)
		assert.Len(t, r.Pins, 1)
		assert.Len(t, r.People, 1)
		assert.Zero(t, s.store.Stats().Lagging)
	})
}

// Whatever becomes of channels, the pages go out.
func TestChannelsKeepNoPageBack(t *testing.T) {
	play(t, watched(withChannels), func(t *testing.T, s *service) {
		s.channels()
		s.slack.Fault(slacktest.Fault{Method: "conversations.create", Status: 429, RetryAfter: slacktest.Seconds(600)})
		id := s.opens("NodeDown", "critical")
		s.pass(5 * time.Second)
		assert.Equal(t, "0s ana by Slack", s.calls(id)[0])
		assert.Equal(t, 1, s.slack.Count(slackID("ana")))
		assert.Len(t, s.slack.Messages("#incidents"), 1)
	})
	play(t, watched(withChannels), func(t *testing.T, s *service) {
		s.channels()
		s.slack.Fault(slacktest.Fault{Method: "conversations.create", Error: "restricted_action"})
		id := s.opens("NodeDown", "critical")
		s.pass(5 * time.Second)
		assert.Equal(t, 1, s.slack.Count(slackID("ana")))
		require.NotEmpty(t, s.said(id, tocsin.EventDeliveryFailed))
		assert.Contains(t, s.said(id, tocsin.EventDeliveryFailed)[0], "Channel Management", "it is said on the incident")
		assert.Equal(t, 1, s.slack.Calls("conversations.create"))
	})
}

// The person's channel is gone in one way or another: the incident says so, and the
// next contact is tried at once.
func TestWhatIsGoneInSlackIsSaidAndTheNextContactIsUsed(t *testing.T) {
	for name, tt := range map[string]struct {
		gone func(*slacktest.Server)
		want string
	}{
		"the account": {func(s *slacktest.Server) { s.Deactivate(slackID("ana"), true) }, "deactivated"},
		"the token":   {func(s *slacktest.Server) { s.RevokeToken(slackToken) }, "install the Slack app again"},
		"the scope": {func(s *slacktest.Server) {
			s.Fault(slacktest.Fault{Method: "chat.postMessage", Error: "missing_scope"})
		}, "add the scope"},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, watched(nil), func(t *testing.T, s *service) {
				tt.gone(s.slack)
				id := s.opens("NodeDown", "critical")
				s.until(30 * time.Second)
				d := s.only().Delivery("slack:@ana")
				assert.True(t, d.Failed)
				assert.Contains(t, d.Error, tt.want)
				assert.Contains(t, strings.Join(s.said(id, tocsin.EventDeliveryFailed), "\n"), tt.want)
				assert.Equal(t, "5s ana by PagerDuty", s.calls(id)[0], "in seconds, not minutes")
			})
		})
	}
}

// A channel that everybody looks at is archived in the middle: the incident says
// so, somebody else is told, and the people are called as ever.
func TestAnArchivedChannelIsSaid(t *testing.T) {
	o := watched(nil)
	o.alarm = true
	play(t, o, func(t *testing.T, s *service) {
		id := s.opens("NodeDown", "critical")
		s.pass(5 * time.Second)
		s.slack.SetArchived("incidents", true)
		s.acknowledges(id, "ana")
		s.pass(15 * time.Second)
		d := s.only().Delivery("slack:#incidents")
		assert.True(t, d.Failed)
		assert.Contains(t, strings.Join(s.said(id, tocsin.EventDeliveryFailed), "\n"), "unarchive the channel or route to another one")
		assert.NotEmpty(t, s.slack.Messages("#last-resort"), "somebody else is told")
		assert.Contains(t, s.slack.Messages(slackID("ana"))[0].Text, "Acknowledged")
		before := s.slack.Calls("")
		s.pass(time.Hour)
		assert.LessOrEqual(t, s.slack.Calls("")-before, 4, "it is not tried over and over")

		s.slack.SetArchived("incidents", false)
		s.send(ends(ops("NodeDown", "critical")))
		s.pass(time.Minute)
		assert.Contains(t, s.slack.Messages("#incidents")[0].Text, "Resolved", "with the next change of state it is tried again")
	})
}

// A message that somebody deletes comes back with the next change, and says why.
func TestADeletedMessageComesBack(t *testing.T) {
	play(t, watched(nil), func(t *testing.T, s *service) {
		id := s.opens("NodeDown", "critical")
		s.pass(5 * time.Second)
		m := s.slack.Messages("#incidents")[0]
		s.slack.Delete("incidents", m.TS)
		s.acknowledges(id, "ana")
		s.pass(15 * time.Second)
		all := s.slack.Messages("#incidents")
		require.Len(t, all, 1)
		assert.Contains(t, all[0].Text, "Acknowledged")
		assert.Contains(t, strings.Join(s.said(id, tocsin.EventDelivered), "\n"), "the earlier message could not be updated: message_not_found")
	})
}
