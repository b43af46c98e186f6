package main

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// TestSlackIsNotUpYet: alerts are taken all the same, and what was missed is made up
// for when Slack comes.
func TestSlackIsNotUpYet(t *testing.T) {
	overBoth(t, func(s *team) {
		s.slack.Fault(slacktest.Fault{Status: 503})
		s.write(teamPeople, dutyPrimary, dutyChannel)
		s.duty.start()
		s.listen()
		id := s.open("NodeDown", "critical")
		s.eventually(func() bool { del := s.incident(id).Delivery("slack:#incidents"); return del != nil && del.Attempts > 0 }, "Slack is tried")
		if s.socket {
			s.eventually(func() bool { return s.slack.Calls("apps.connections.open") >= 2 }, "a connection is tried")
			assert.Zero(s.t, s.slack.Sockets().Opened())
		}

		s.slack.ClearFaults()
		if s.socket {
			s.connected()
		}
		s.shows("#incidents", id, "Triggered: NodeDown a")
		s.clicks("#incidents", id, "U0BO", slack.ActionAcknowledge)
		s.shows("#incidents", id, "Acknowledged by bo")
	})
}

// TestSlackStopsWhilePeopleClick: what Slack was told is done is done, and nothing
// else is.
func TestSlackStopsWhilePeopleClick(t *testing.T) {
	const many = 40
	overBoth(t, func(s *team) {
		s.write(teamPeople, dutyPrimary, dutyChannel)
		s.replace("rate_limit: 0}\npagerduty", "rate_limit: 0, digest_after: 0}\npagerduty")
		s.start()
		ids := make([]string, many)
		payloads := make([][]byte, many)
		for n := range ids {
			ids[n] = s.openAt("Disk", fmt.Sprintf("n%02d", n), "error")
		}
		s.quiet()
		s.eventually(func() bool { return len(s.slack.Messages("#incidents")) == many }, "all are shown")
		for n, id := range ids {
			var err error
			payloads[n], err = s.slack.ClickPayload("#incidents", s.message("#incidents", id).TS, "U0BO", slack.ActionAcknowledge)
			require.NoError(s.t, err)
		}
		taken := make([]bool, many)
		some := make(chan struct{}, many)
		var clicking sync.WaitGroup
		for w := range 4 {
			clicking.Go(func() {
				for n := w; n < many; n += 4 {
					a, err := s.slack.Interact(payloads[n])
					taken[n] = err == nil && a.Status == 200
					some <- struct{}{}
				}
			})
		}
		for range many / 4 {
			<-some
		}
		s.stop()
		clicking.Wait()
		s.start()
		done := 0
		for n, id := range ids {
			assert.Equal(s.t, taken[n], s.incident(id).State == tocsin.Acknowledged, "%s: Slack was told that it is done: %v", id, taken[n])
			if taken[n] {
				done++
				s.shows("#incidents", id, "Acknowledged by bo")
			}
		}
		assert.GreaterOrEqual(s.t, done, many/4)
		assert.Empty(s.t, s.slack.Sockets().Violations())
	})
}

// TestSlackConnectionsComeAndGo: Socket Mode loses nothing when its connections are
// replaced, dropped or turned off.
func TestSlackConnectionsComeAndGo(t *testing.T) {
	t.Parallel()
	s := newTeam(t, true).with(teamPeople, dutyPrimary, dutyChannel)
	id := s.open("NodeDown", "critical")
	s.shows("#incidents", id, "Triggered: NodeDown a")
	x := s.slack.Sockets()
	x.Refresh(0, "refresh_requested", 0)
	s.says(slash, "U0BO", "note "+id+" one;", id)
	s.eventually(func() bool { return x.Opened() >= 3 && x.Len() == 2 }, "it is replaced")
	x.LoseAcks(1)
	s.says(slash, "U0BO", "page @cy once;", "Opened: ")
	s.eventually(func() bool { return x.Opened() >= 4 && x.Len() == 2 }, "the one that it was lost with is opened again")
	x.Drop(0, false)
	s.says(mention, "U0BO", "note "+id+" two;", id)
	s.eventually(func() bool { return x.Len() == 2 }, "it is opened again")
	assert.Len(t, s.incidents(t), 2, "the page whose acknowledgement was lost was made once")
	assert.Contains(t, s.timeline(id), "note: one;")
	assert.Contains(t, s.timeline(id), "note: two;")
	assert.Empty(t, x.Violations())
	assert.Equal(t, 2.0, s.metric("tocsin_slack_socket_connections"))
}
