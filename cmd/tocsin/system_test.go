package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/server"
)

func TestSystemTellsHowItStands(t *testing.T) {
	t.Parallel()
	r := startApp(t)
	r.fire(t, "NodeDown", "a", "critical")
	ask := func() (s server.System) {
		require.NoError(t, json.Unmarshal([]byte(r.get(t, "/api/v1/system")), &s))
		return s
	}
	s := ask()
	assert.Equal(t, 1, s.Open)
	assert.Equal(t, 1, s.Firing)
	assert.NotEmpty(t, s.Providers)
	assert.NotEmpty(t, s.Sandbox)
	assert.Positive(t, s.Events)
	assert.Equal(t, r.file, s.Configuration.File)
	assert.Empty(t, s.Problem)
	assert.Contains(t, r.get(t, "/system"), s.Configuration.Hash)

	r.changeConfig(t, `status_page: {title: Changed, components: [{name: Nodes, matchers: ['alertname="NodeDown"']}]}`)
	again := ask()
	assert.NotEqual(t, s.Configuration.Hash, again.Configuration.Hash)
	assert.True(t, again.Configuration.LoadedAt.After(s.Configuration.LoadedAt))
	assert.Equal(t, s.StartedAt, again.StartedAt)
}
