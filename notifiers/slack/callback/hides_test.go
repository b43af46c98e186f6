package callback_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/callback"
)

// past has incidents of one alert each; the newest come first.
type past struct {
	tocsin.Reader
	list   []*tocsin.Incident
	alerts map[string]tocsin.AlertRecord
}

func (p *past) List(_ context.Context, f tocsin.Filter) (out []*tocsin.Incident, _ error) {
	for _, inc := range p.list {
		if (f.Archived || inc.Open()) && len(out) < f.Limit {
			out = append(out, inc)
		}
	}
	return out, nil
}

func (p *past) AlertsOf(_ context.Context, id string, _ int) ([]tocsin.AlertRecord, error) {
	return []tocsin.AlertRecord{p.alerts[id]}, nil
}

func TestHides(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 5, 0, 0, 0, time.UTC)
	p := &past{alerts: map[string]tocsin.AlertRecord{}}
	for i := range 100 { // one a day, every second one of region eu, the newest 50 open
		inc := &tocsin.Incident{ID: fmt.Sprintf("i%d", i), OpenedAt: now.Add(-time.Duration(i) * 24 * time.Hour), Alerts: 1, State: tocsin.Resolved}
		if i < 50 {
			inc.State, inc.Firing = tocsin.Triggered, 1
		}
		p.list = append(p.list, inc)
		p.alerts[inc.ID] = record(i < 50, "region", []string{"eu", "us"}[i%2])
	}
	h, err := callback.Hides(context.Background(), p, []string{`region="eu"`}, now)
	require.NoError(t, err)
	assert.Equal(t, [2]int{25, 25}, [2]int{h.Alerts, h.Incidents})
	require.Len(t, h.First, 20, "the newest")
	assert.Equal(t, "i38", h.First[19].ID)
	assert.Equal(t, [3]int{16, 31, 31}, [3]int{h.Before, h.Opened, h.Looked}, "those of 30 days")
	require.Len(t, h.Latest, 5)
	assert.Equal(t, "i0", h.Latest[0].ID)
	assert.False(t, h.Least || h.BeforeLeast || h.OpenedLeast)

	_, err = callback.Hides(context.Background(), p, []string{`region=~"["`}, now)
	require.Error(t, err)

	ended, cancel := context.WithCancel(context.Background())
	cancel()
	h, err = callback.Hides(ended, p, []string{`region="eu"`}, now)
	require.NoError(t, err)
	assert.True(t, h.Least && h.BeforeLeast, "what could not be looked at is at least so much")
}
