package router_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
)

// Wherever it comes from, a silence whose expressions would take seconds to compile
// is not taken.
func TestSilencesThatRepeatAreRefused(t *testing.T) {
	t.Parallel()
	h := newHarness(t, basic())
	_, err := h.router.PutSilence(t.Context(), tocsin.Silence{
		Matchers: []string{`a=~"` + strings.Repeat("(.?){1000}", 90) + `y"`}, EndsAt: start.Add(time.Hour), CreatedBy: "ana", Comment: "x",
	})
	require.ErrorIs(t, err, tocsin.ErrInvalid)
	assert.ErrorContains(t, err, "matchers: ")
}

// What silences needed that are over is not held for ever.
func TestSilencesThatAreOverAreForgotten(t *testing.T) {
	t.Parallel()
	h := newHarness(t, basic())
	most := 0
	for n := range 400 {
		s, err := h.router.PutSilence(t.Context(), tocsin.Silence{
			Matchers: []string{fmt.Sprintf(`a="%d"`, n)}, EndsAt: start.Add(24 * time.Hour), CreatedBy: "ana", Comment: "x",
		})
		require.NoError(t, err)
		h.send(h.fires(alert("NodeDown", "us", "a")))
		require.NoError(t, h.router.ExpireSilence(t.Context(), s.ID, "ana"))
		most = max(most, h.router.MatchersHeld())
	}
	assert.Positive(t, most)
	assert.Less(t, most, 200)
}
