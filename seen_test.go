package tocsin_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/tocsin-oncall/tocsin"
)

// TestHear: what a target tells of itself is not sent to it; what differs is.
func TestHear(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		is, shows, says tocsin.State
		lagged          bool
		lags            bool
		want            tocsin.State
	}{
		"the same":              {tocsin.Acknowledged, tocsin.Triggered, tocsin.Acknowledged, false, false, tocsin.Acknowledged},
		"the same, and it lags": {tocsin.Acknowledged, tocsin.Triggered, tocsin.Acknowledged, true, true, tocsin.Acknowledged},
		"less than holds":       {tocsin.Acknowledged, tocsin.Acknowledged, tocsin.Triggered, false, true, tocsin.Triggered},
		"more than holds":       {tocsin.Triggered, tocsin.Triggered, tocsin.Acknowledged, false, true, tocsin.Acknowledged},
		"an end that holds not": {tocsin.Triggered, tocsin.Triggered, tocsin.Resolved, false, true, tocsin.Triggered},
		"what was told to end":  {tocsin.Resolved, tocsin.Resolved, tocsin.Triggered, false, false, tocsin.Resolved},
		"nothing was ever told": {tocsin.Triggered, "", tocsin.Acknowledged, false, false, ""},
	} {
		i := &tocsin.Incident{ID: "k7f3q9", State: c.is, Revision: 5, StateRevision: 5}
		i.AddTarget("pagerduty:x/0", false, now)
		d := i.Delivery("pagerduty:x/0")
		d.Ref, d.State, d.Revision = "key", c.shows, 5
		if c.lagged {
			d.Revision = 3
		}
		i.Hear(&tocsin.Seen{Target: d.Target, Ref: "key", State: c.says, Remote: "Q1", At: now}, c.lagged, now)
		assert.Equal(t, c.lags, d.Lags(i), name)
		assert.Equal(t, c.want, d.State, name)
		before := *d
		i.Hear(&tocsin.Seen{Target: d.Target, Ref: "another", State: tocsin.Resolved, At: now}, false, now)
		i.Hear(&tocsin.Seen{Target: d.Target, Ref: "key", State: tocsin.Resolved, At: now.Add(-time.Second)}, false, now)
		if d.Heard().HeardAt.Equal(now) {
			assert.Equal(t, before, *d, "%s: of another, and older", name)
		}
	}
}

// What was heard while a call was under way is not lost when its receipt comes.
func TestRecordAfterSomethingWasHeard(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
	i := &tocsin.Incident{ID: "k7f3q9", State: tocsin.Triggered, Revision: 5, StateRevision: 5}
	i.AddTarget("pagerduty:x/0", false, now)
	d := i.Delivery("pagerduty:x/0")
	d.Ref, d.State, d.Revision, d.Calls = "key", tocsin.Triggered, 4, 1
	r := tocsin.Receipt{Ref: "key", Revision: 5, State: tocsin.Triggered, Sent: now, Called: 1}
	i.Hear(&tocsin.Seen{Target: d.Target, Ref: "key", State: tocsin.Acknowledged, At: now}, true, now)
	d.Record(r, now)
	assert.True(t, d.Lags(i))
	assert.Equal(t, tocsin.Acknowledged, d.State)
	assert.Zero(t, d.Called, "what is acknowledged there called nobody")
	r.Heard = d.Heard().HeardAt
	d.Record(r, now)
	assert.False(t, d.Lags(i))
}
