package router_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
)

// A silence says when it was made, changed or ended last, whatever its maker says,
// also after a restart.
func TestASilenceSaysWhenItChanged(t *testing.T) {
	t.Parallel()
	h := newHarness(t, basic())
	kept := func() time.Time {
		list, err := h.router.Silences(t.Context())
		require.NoError(t, err)
		require.Len(t, list, 1)
		return list[0].UpdatedAt
	}
	s, err := h.router.PutSilence(t.Context(), tocsin.Silence{
		Matchers: []string{`a="b"`}, StartsAt: start.Add(time.Minute), EndsAt: start.Add(time.Hour), CreatedBy: "ana", Comment: "x", UpdatedAt: start.Add(-time.Hour),
	})
	require.NoError(t, err)
	assert.True(t, s.UpdatedAt.Equal(h.clock.Now()))
	assert.True(t, kept().Equal(h.clock.Now()))

	h.clock.Advance(time.Second)
	_, err = h.router.PutSilence(t.Context(), s)
	require.NoError(t, err)
	changed := h.clock.Now()
	assert.True(t, kept().Equal(changed))
	h.reopen(basic())
	assert.True(t, kept().Equal(changed), "it is kept")

	h.clock.Advance(time.Second)
	require.NoError(t, h.router.ExpireSilence(t.Context(), s.ID, "bo"))
	ended := h.clock.Now()
	assert.True(t, kept().Equal(ended))
	h.clock.Advance(time.Second)
	require.NoError(t, h.router.ExpireSilence(t.Context(), s.ID, "bo"))
	assert.True(t, kept().Equal(ended), "what is over is not ended again")
}
