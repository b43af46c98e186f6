package router_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/router"
)

// shelf has one runbook for everything.
type shelf struct {
	runbook *tocsin.Runbook
	version string
}

func (s *shelf) Find(*tocsin.Alert) *tocsin.Runbook { return s.runbook }
func (s *shelf) Version(*tocsin.Runbook) string     { return s.version }

// withShelf gives the harness's router runbooks.
func (h *harness) withShelf(s *shelf) {
	h.Helper()
	rules, err := router.NewRules(basicWithoutFlapping())
	require.NoError(h, err)
	h.router, err = router.New(rules, router.Options{Store: h.store, Now: h.clock.Now, Runbooks: s})
	require.NoError(h, err)
}

func (h *harness) kept() map[string]string {
	h.Helper()
	docs, _, err := h.store.Documents(context.Background(), tocsin.RunbookVersions)
	require.NoError(h, err)
	out := map[string]string{}
	for _, d := range docs {
		var rb tocsin.Runbook
		require.NoError(h, json.Unmarshal(d.Value, &rb))
		out[d.ID] = rb.Title
	}
	return out
}

func TestAnIncidentPinsItsRunbook(t *testing.T) {
	t.Parallel()
	h := newHarness(t, basicWithoutFlapping())
	s := &shelf{&tocsin.Runbook{ID: "ops#down", Title: "one"}, "aaa@1"}
	h.withShelf(s)
	h.send(h.fires(alert("A", "eu", "1")), h.fires(alert("B", "eu", "1")))
	a, b := h.of("A"), h.of("B")
	assert.Equal(t, "ops#down", a.Runbook)
	assert.Equal(t, &tocsin.Progress{Version: "aaa@1"}, a.Progress)
	assert.Same(t, a.Progress, b.Progress, "100,000 incidents have one")
	assert.Equal(t, map[string]string{"aaa@1": "one"}, h.kept())
	_, before, err := h.store.Documents(context.Background(), tocsin.RunbookVersions)
	require.NoError(t, err)

	s.version = "aaa@2" // another commit, the same text
	h.send(h.fires(alert("C", "eu", "1")))
	assert.Equal(t, "aaa@1", h.of("C").Progress.Version)
	_, after, err := h.store.Documents(context.Background(), tocsin.RunbookVersions)
	require.NoError(t, err)
	assert.Equal(t, before, after, "nothing was written")

	s.runbook, s.version = &tocsin.Runbook{ID: "ops#down", Title: "two"}, "aa@2" // edited; a prefix is not the same
	h.send(h.fires(alert("A", "eu", "2")), h.fires(alert("D", "eu", "1")))
	assert.Equal(t, "aaa@1", h.of("A").Progress.Version, "it opened with the first")
	assert.Equal(t, "aa@2", h.of("D").Progress.Version)
	s.runbook, s.version = &tocsin.Runbook{ID: "ops#down", Title: "three"}, "aab" // in no git checkout
	h.send(h.fires(alert("E", "eu", "1")))
	assert.Equal(t, map[string]string{"aaa@1": "one", "aa@2": "two", "aab": "three"}, h.kept())

	h.reopen(basicWithoutFlapping())
	assert.Equal(t, &tocsin.Progress{Version: "aab"}, h.of("E").Progress)
}

func TestWhatIsNotPinned(t *testing.T) {
	t.Parallel()
	h := newHarness(t, basicWithoutFlapping())
	s := &shelf{}
	h.withShelf(s)
	h.send(h.fires(alert("None", "eu", "1")))
	assert.Nil(t, h.of("None").Progress)
	s.runbook = &tocsin.Runbook{ID: "ops#down"}
	h.send(h.fires(alert("Nameless", "eu", "1")))
	assert.Nil(t, h.of("Nameless").Progress)
	assert.Equal(t, "ops#down", h.of("Nameless").Runbook)
	s.runbook.Sections, s.version = []tocsin.Section{{Text: strings.Repeat("long ", 1<<17)}}, "big"
	h.send(h.fires(alert("Big", "eu", "1")))
	assert.Nil(t, h.of("Big").Progress, "the store would hold it in memory")
	assert.Empty(t, h.kept())
}
