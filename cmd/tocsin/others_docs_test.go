package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAlertmanagerDocument runs amtool as docs/alertmanager.md does.
func TestAlertmanagerDocument(t *testing.T) {
	t.Parallel()
	r := startApp(t)
	r.fire(t, "NodeDown", "a", "critical")
	var out []string
	for _, f := range documentFences(t, "../../docs/alertmanager.md") {
		if f.lang != "sh" {
			continue
		}
		for line := range strings.Lines(f.text) {
			said, err := ownShell(t, r.url, strings.NewReplacer("amtool ", amtoolPath(t)+" ", "http://127.0.0.1:9911", r.url).Replace(line))
			require.NoError(t, err, "%s%s", line, said)
			out = append(out, said)
		}
	}
	require.Len(t, out, 4)
	assert.Contains(t, out[0], "active")
	assert.Contains(t, out[2], "it is being moved")
}

// TestStatusPageDocument has a status page as docs/status-page.md does.
func TestStatusPageDocument(t *testing.T) {
	t.Parallel()
	r := startApp(t)
	assert.Contains(t, r.get(t, "/status.json"), "not_found", "it is off by default")
	curls := 0
	for _, f := range documentFences(t, "../../docs/status-page.md") {
		if f.lang == "yaml" {
			r.changeConfig(t, f.text)
			continue
		}
		status, body := curl(t, r.url, f.text)
		curls++
		assert.Equal(t, http.StatusOK, status)
		assert.Contains(t, body, `{"name":"Payments","description":"Paying by card and by invoice","status":"operational"}`)
	}
	assert.Equal(t, 1, curls)

	r.changeConfig(t, `status_page: {title: Changed, components: [{name: Nodes, matchers: ['alertname="NodeDown"']}]}`)
	r.fire(t, "NodeDown", "a", "critical")
	body := r.get(t, "/status.json")
	assert.Contains(t, body, `"status":"down"`, "another page is another answer")
	assert.Contains(t, body, `"since":"`)
	assert.NotContains(t, body, "NodeDown")
}

func TestPostmortemOnTheCommandLine(t *testing.T) {
	t.Parallel()
	r := startApp(t)
	r.fire(t, "NodeDown", "a", "critical")
	id := r.incidents(t)[0].ID
	cli := func(args ...string) string { return runCLI(t, 0, append(args, "--server.url", r.url)...) }
	cli("ack", "--by", "ana", id)
	cli("note", "--by", "ana", id, "see", "https://status.example.com/1")
	cli("silence", "add", "--for", "1h", "--comment", "being moved", "--by", "ana", "alertname=NodeDown")
	cli("resolve", "--force", "--by", "ana", id)
	r.settled(t) // what is delivered meanwhile is in the next one
	text := cli("postmortem", id)
	for _, want := range []string{
		"# Postmortem: ", "(time to acknowledge)", "(time to resolve)", "ana: see `https://status.example.com/1`", "being moved", `alertname="NodeDown"`,
	} {
		assert.Contains(t, text, want)
	}
	assert.Contains(t, cli("postmortem", id, "-o", "json"), `"acknowledgedBy": "ana"`)
	assert.Contains(t, runCLI(t, 1, "postmortem", "nobody", "--server.url", r.url), "nobody")
	assert.Equal(t, text, r.get(t, "/incidents/"+id+"/postmortem.md"))
}
