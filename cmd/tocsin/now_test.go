package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
)

func TestNow(t *testing.T) {
	d := newDuty(t).with(dutyPeople, dutyPrimary, dutyPolicy)
	t.Setenv("TOCSIN_URL", d.url)
	assert.Equal(t, "Nothing needs you now.\n", strings.SplitAfter(runCLI(t, 0, "now", "--user", "bo"), "\n")[0])
	d.fire(t, "NodeDown", "a", "critical")
	d.fire(t, "DiskFull", "b", "critical")
	require.Eventually(t, func() bool {
		return len(nowOf(t, "ana").Yours) == 2
	}, 20*time.Second, 10*time.Millisecond, "ana is called for both")

	out := runCLI(t, 0, "now", "--user", "ana")
	assert.Contains(t, out, "Yours\n  ID")
	assert.Contains(t, out, "NodeDown a")
	assert.Contains(t, out, "ana is on call on primary until ")
	assert.NotContains(t, out, "somebody else is called")
	out = runCLI(t, 0, "now", "--user", "bo")
	assert.Contains(t, out, "Triggered, and somebody else is called\n  ID")
	assert.Contains(t, out, "bo is not on call.")
	assert.NotContains(t, out, "Yours")

	id := nowOf(t, "ana").Yours[0].ID
	runCLI(t, 0, "ack", "--by", "bo", id)
	assert.Len(t, nowOf(t, "ana").Yours, 1, "what somebody else has taken does not need ana")
	bo := nowOf(t, "bo")
	require.Len(t, bo.Yours, 1)
	assert.Equal(t, id, bo.Yours[0].ID)
	assert.Len(t, bo.Others, 1)

	t.Setenv("TOCSIN_USER", "ana")
	assert.Contains(t, runCLI(t, 0), "ana is on call", "tocsin alone is tocsin now")
}

func nowOf(t *testing.T, user string) (n needed) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(runCLI(t, 0, "now", "-o", "json", "--user", user)), &n))
	return n
}

// Who the token names is who needs to know.
func TestNowKnowsTheTokensOwner(t *testing.T) {
	r := startApp(t)
	r.changeConfig(t, `server: {api_tokens: ["ana:canary-api-token-of-ana"]}`)
	t.Setenv("TOCSIN_TOKEN", "canary-api-token-of-ana")
	assert.Contains(t, runCLI(t, 0, "now", "--server.url", r.url), "ana is not on call.")
	assert.Contains(t, runCLI(t, 0, "now", "--server.url", r.url, "--user", "bo"), "bo is not on call.")
	out := runCLI(t, 0, "now", "--server.url", r.url, "-o", "json", "--user", "bo")
	assert.NotContains(t, out, "null", "lists are lists")
	t.Setenv("TOCSIN_TOKEN", "wrong")
	out = runCLI(t, 1, "now", "--server.url", r.url)
	assert.Contains(t, out, "give an API token with --server.token-file")
}

// A server of many incidents gives them in parts, and what waits for approval is
// told.
func TestNowReadsAllOfIt(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := map[string]any{}
		switch r.URL.Path {
		case "/api/v1/incidents":
			inc := tocsin.Incident{ID: "first1", State: tocsin.Triggered, Title: "one\x1b[2J", Receivers: []string{}}
			if r.URL.Query().Get("after") == "" {
				answer["next"] = "cursor"
			} else {
				inc.ID, inc.State, inc.AcknowledgedBy = "second", tocsin.Acknowledged, "ana"
			}
			answer["incidents"] = []tocsin.Incident{inc}
		case "/api/v1/remediations":
			answer["remediations"] = []tocsin.Remediation{
				{ID: "wait11", Remedy: "restart", Target: "a", Incident: "first1", State: tocsin.RemediationProposed, Needs: 1},
				{ID: "maybe1", Remedy: "restart", Target: "b", Incident: "first1", State: tocsin.RemediationProposed},
				{ID: "done11", Remedy: "restart", Target: "c", Incident: "first1", State: tocsin.RemediationVerified, Needs: 1},
			}
		default:
			w.WriteHeader(http.StatusNotFound)
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	defer s.Close()
	out := runCLI(t, 0, "now", "--server.url", s.URL, "--user", "ana")
	assert.Contains(t, out, "first1")
	assert.Contains(t, out, "second")
	assert.Contains(t, out, "wait11")
	assert.NotContains(t, out, "maybe1", "nobody is asked to approve it")
	assert.NotContains(t, out, "done11")
	assert.NotContains(t, out, "\x1b")
	assert.Contains(t, out, "ana is not on call.", "there may be no schedules")
}

// Without a command and without a server, the help is of more use than an error.
func TestAloneWithoutAServer(t *testing.T) {
	t.Setenv("TOCSIN_URL", "http://127.0.0.1:1")
	out := runCLI(t, 1)
	assert.Contains(t, out, "Usage: tocsin")
	assert.Contains(t, out, "no server answers")
	out = runCLI(t, 1, "now")
	assert.NotContains(t, out, "Usage:")
	assert.Contains(t, out, "is the server running? name it with --server.url")
}

// watching is tocsin incidents --watch, until the test ends.
func watching(t *testing.T, args ...string) (out *journal, stop func() int) {
	t.Helper()
	out = &journal{}
	ctx, cancel := contextOf(t)
	done := make(chan int, 1)
	go func() { done <- run(ctx, append([]string{"incidents", "--watch"}, args...), out, out) }()
	t.Cleanup(cancel)
	return out, func() int {
		cancel()
		return <-done
	}
}

func TestIncidentsAreWatched(t *testing.T) {
	t.Parallel()
	r := startApp(t)
	text, stop := watching(t, "--server.url", r.url)
	lines, stopJSON := watching(t, "--server.url", r.url, "-o", "json")
	seen := func(out *journal, what string) {
		t.Helper()
		require.Eventually(t, func() bool { return strings.Contains(out.String(), what) }, 30*time.Second, 10*time.Millisecond, what)
	}
	seen(text, "no incidents")
	seen(lines, `"incidents":[]`)
	r.fire(t, "NodeDown", "a", "critical")
	seen(text, "NodeDown a")
	seen(lines, "NodeDown a")
	r.stop()
	seen(text, "trying again")
	seen(lines, `{"error":`)
	assert.Equal(t, 0, stop(), "Ctrl-C is no failure")
	assert.Equal(t, 0, stopJSON())
	assert.NotContains(t, text.String(), "\x1b", "no screen, no sequences")
	for line := range bytes.Lines([]byte(lines.String())) {
		assert.True(t, json.Valid(line), "%s", line)
	}

	out := runCLI(t, 1, "incidents", "--watch", "--server.url", "http://127.0.0.1:1")
	assert.Contains(t, out, "is the server running?", "one that was never there is not waited for")
	assert.Contains(t, runCLI(t, 2, "incidents", "--watch", "k7f3q9"), "--watch follows the list")
}
