package story

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
)

// Fires at 03:00 on Sunday. The primary does not answer. At 03:15 the secondary
// is paged, and acknowledges. Nothing more.
func TestThePrimaryDoesNotAnswer(t *testing.T) {
	t.Parallel()
	play(t, watched(nil), func(t *testing.T, s *service) {
		id := s.opens("NodeDown", "critical")
		s.until(16 * time.Minute)
		s.acknowledges(id, "bo")
		s.until(24 * time.Hour)
		assert.Equal(t, []string{"0s ana by Slack", "2m ana by PagerDuty", "5m ana by email", "15m bo by Slack"}, s.calls(id))
		for _, name := range []string{"ana", "bo"} {
			require.Len(t, s.slack.Messages(slackID(name)), 1, name)
			assert.Positive(t, s.slack.Messages(slackID(name))[0].Edits, "the message follows")
			for _, r := range s.slack.Messages(slackID(name))[0].Replies {
				assert.False(t, r.Broadcast, "nobody is woken by it: %s", r.Text)
			}
		}
		pages := s.pagerduty.Incidents(everybody["ana"])
		require.Len(t, pages, 1)
		assert.Equal(t, "acknowledged", pages[0].Status, "ana's phone stops ringing")
		assert.Empty(t, s.pagerduty.Incidents(everybody["bo"]), "bo answered before it was her turn to ring")
		assert.Len(t, s.slack.Messages("#incidents"), 1)
		assert.Zero(t, s.store.Stats().Lagging)
		assert.Equal(t, tocsin.Acknowledged, s.get(id).State)
	})
}
