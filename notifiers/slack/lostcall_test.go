package slack_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
)

// The first message was posted, its receipt was lost with the process, and a
// second call was asked for before anybody looked: the message that is found
// stands for the first alone.
func TestASecondCallIsNotLostWithTheFirstReceipt(t *testing.T) {
	t.Parallel()
	s, ch := person(t)
	n := page()
	n.Delivery.Since = time.Now()
	_, err := ch.Deliver(t.Context(), n)
	require.NoError(t, err)
	ch = slack.New(slack.Config{Token: "xoxb-canary", HTTPClient: s.Client(), Lookup: true}).Person(ana)
	again(&n, 8)
	n.MayBePosted = true
	settle(t, ch, &n)
	m := s.Messages(ana)
	require.Len(t, m, 1, "the message itself is not posted twice")
	require.Len(t, m[0].Replies, 1)
	assert.True(t, m[0].Replies[0].Broadcast)
	assert.Equal(t, n.Delivery.Calls, n.Delivery.Called)
}

// The same where the lost post was a digest.
func TestASecondCallIsNotLostWithTheDigestsReceipt(t *testing.T) {
	t.Parallel()
	for _, single := range []bool{true, false} {
		s, ch := person(t)
		n := page()
		n.Delivery.Since = time.Now()
		all := tocsin.DigestNotice{Target: n.Delivery.Target, Incidents: []*tocsin.Incident{n.Incident}, Since: n.Delivery.Since, Now: n.Now}
		_, err := ch.DeliverDigest(t.Context(), all)
		require.NoError(t, err)
		ch = slack.New(slack.Config{Token: "xoxb-canary", HTTPClient: s.Client(), Lookup: true}).Person(ana)
		again(&n, 8)
		n.MayBePosted, all.MayBePosted = true, true
		if single {
			settle(t, ch, &n)
			assert.Equal(t, n.Delivery.Calls, n.Delivery.Called)
		} else {
			_, err = ch.DeliverDigest(t.Context(), all)
			require.NoError(t, err)
		}
		assert.Equal(t, 2, s.Count(ana), "single: %v", single)
	}
}
