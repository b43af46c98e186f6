package slack_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
)

// Where hundreds of incidents of a severity open at once, the first get channels.
// The others are told so, and get one when somebody asks.
func TestAStormOfChannelsIsHeldBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	first := h.id
	const storm = 30
	for n := range storm {
		i := h.incident().Clone()
		i.ID, i.Deliveries = fmt.Sprintf("k7f%03d", n+200), nil
		i.AddTarget(tocsin.IncidentChannel, true, h.now)
		h.store.incidents[i.ID] = i
	}
	settle := func(id string) string {
		h.id, h.unclear, h.lines = id, false, nil
		require.Empty(t, h.settle())
		require.NotEmpty(t, h.lines)
		return h.lines[0]
	}
	for n := range storm {
		said := settle(fmt.Sprintf("k7f%03d", n+200))
		if n >= 10 {
			assert.Contains(t, said, "no channel was opened: 10 other incidents have got one within the last hour; /tocsin channel k7f")
		}
	}
	assert.Len(t, h.slack.Rooms("inc-"), 10)

	held := h.id
	h.change(func(i *tocsin.Incident) tocsin.Event { e, _ := i.Acknowledge("ana", h.now); return e })
	h.lines = nil
	require.Empty(t, h.settle())
	assert.Empty(t, h.lines, "it is said once")

	h.change(func(i *tocsin.Incident) tocsin.Event {
		i.Touch(h.now)
		return i.Event(tocsin.EventChannel, "bo", "a channel of its own is opened in Slack: bo asked for it", h.now)
	})
	require.Empty(t, h.settle())
	require.Len(t, h.slack.Rooms("inc-"+held), 1, "a person has asked")
	assert.ElementsMatch(t, []string{anaID, boID}, h.slack.Rooms("inc-" + held)[0].People)

	h.now = h.now.Add(2 * time.Hour)
	assert.Contains(t, settle(first), "opened #inc-", "the storm is over")
}
