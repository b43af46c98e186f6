package main

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
)

const doorsConfig = `
doors:
  pagerduty: [{routing_key: canary0123456789abcdef0123456789, source: legacy, labels: [team=db]}]
  json: [{name: gf, status: {path: state}, labels: [{name: alertname, path: title}]}]
heartbeats: [{name: backup}, {name: dog, matchers: ['alertname="Watchdog"']}]
`

// Every door of the configuration is open after a reload, and leads to the router.
func TestDoorsAreOpen(t *testing.T) {
	t.Parallel()
	r := startApp(t)
	for _, path := range []string{"/webhook/json/gf", "/heartbeat/backup", "/webhook/sns/x"} {
		status, _ := r.post(t, path, []byte(`{}`))
		assert.Equal(t, 404, status, path)
	}
	text, err := os.ReadFile(r.file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(r.file, append(text, doorsConfig...), 0o600))
	require.NoError(t, r.app.Reload(context.Background()))

	status, body := r.post(t, "/v2/enqueue", []byte(`{"routing_key":"canary0123456789abcdef0123456789","event_action":"trigger","dedup_key":"d",
		"payload":{"summary":"disk full","source":"db-1","severity":"critical","class":"DiskFull"}}`))
	assert.Equal(t, 202, status, body)
	status, body = r.post(t, "/webhook/json/gf", []byte(`{"title":"GrafanaSays","state":"alerting"}`))
	assert.Equal(t, 200, status, body)
	status, _ = r.post(t, "/heartbeat/backup", nil)
	assert.Equal(t, 200, status)
	status, _ = r.post(t, "/webhook/alertmanager", webhookBody(t, demoAlert{Status: "firing", Labels: map[string]string{"alertname": "Watchdog"}}))
	assert.Equal(t, 200, status)
	assert.ElementsMatch(t, []string{"disk full", "GrafanaSays"}, titles(t, r))
	status, _ = r.post(t, "/v2/enqueue", []byte(`{"routing_key":"canary0123456789abcdef0123456789","event_action":"resolve","dedup_key":"d"}`))
	assert.Equal(t, 202, status)
	assert.Equal(t, []string{"GrafanaSays"}, titles(t, r))
}

func titles(t *testing.T, r *running) []string {
	t.Helper()
	list, err := r.app.store.List(context.Background(), tocsin.Filter{States: []tocsin.State{tocsin.Triggered}})
	require.NoError(t, err)
	var out []string
	for _, i := range list {
		out = append(out, i.Title)
	}
	return out
}
