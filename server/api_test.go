package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// withIncident is a world with the incident k7f3q9, whose every text is hostile.
func withIncident(t testing.TB, c server.Config, change ...func(*server.Deps)) *world {
	t.Helper()
	const evil = "<script>alert(1)</script>\u202e\x07"
	rb := &tocsin.Runbook{
		ID: "dir/file#node-down", Title: "Node down" + evil, File: "dir/file.md", Line: 3, URL: "javascript:alert(1)",
		Steps: []tocsin.Step{
			{
				ID: "s1", Section: tocsin.SectionDiagnosis, Condition: "If" + evil, Text: "Look at $NODE",
				Commands: []tocsin.Command{{Lang: "bash", Text: "ssh $NODE" + evil, Unfilled: []string{"$NODE"}}},
				Links:    []tocsin.Link{{Text: "docs", URL: "https://docs.example.com/?a=1&b=2"}, {Text: "bad", URL: "javascript:alert(2)"}},
			},
			{ID: "s2", Section: tocsin.SectionMitigation, Depth: 1, Text: "Deeper"},
		},
	}
	change = append(change, func(d *server.Deps) { d.Runbooks = library{rb.ID: rb} })
	w := newWorld(t, c, change...)
	w.reader.detail.incident = &tocsin.Incident{
		ID: "k7f3q9", Revision: 4, StateRevision: 4, State: tocsin.Acknowledged, Severity: tocsin.Critical, Title: "Down" + evil,
		Route: "tocsin.yml:12", Receivers: []string{"platform" + evil}, Runbook: rb.ID,
		OpenedAt: now.Add(-90 * time.Minute), AcknowledgedAt: now, AcknowledgedBy: "ana" + evil, Alerts: 120, Firing: 2,
		Deliveries: []tocsin.Delivery{
			{Target: "slack:#inc" + evil, Revision: 1, Failed: true, FailedRevision: 4, Error: "channel_not_found" + evil},
			{Target: "pagerduty:p/0", Revision: 4, DeliveredAt: now, Ref: "x"},
			{Target: "webhook:w", Revision: 1, Ref: "x", Attempts: 3},
		},
	}
	w.reader.detail.alerts = []tocsin.AlertRecord{{
		Alert: tocsin.Alert{
			Source: "am", Firing: true, Labels: tocsin.Labels{"alertname": "NodeDown", "x" + evil: "y" + evil},
			Annotations: tocsin.Labels{"summary": "It is down" + evil}, GeneratorURL: "javascript:alert(3)",
		},
		State: tocsin.AlertState{Firing: true, StartsAt: now, Suppression: &tocsin.Suppression{Reason: tocsin.Silenced}},
	}}
	w.reader.detail.events = []tocsin.Event{{Seq: 1, Kind: tocsin.EventOpened, Incident: "k7f3q9", At: now, Text: "opened" + evil}}
	return w
}

func decoded[T any](t testing.TB, body io.Reader) T {
	t.Helper()
	var v T
	require.NoError(t, json.NewDecoder(body).Decode(&v))
	return v
}

func TestListIncidents(t *testing.T) {
	t.Parallel()
	w := withIncident(t, server.Config{})
	rec := w.ask("GET", "/api/v1/incidents", "")
	require.Equal(t, 200, rec.Code)
	got := decoded[struct{ Incidents []tocsin.Incident }](t, rec.Body)
	assert.Equal(t, *w.reader.detail.incident, got.Incidents[0])
	assert.Equal(t, tocsin.Filter{Limit: 100}, w.reader.filter)

	w.ask("GET", "/api/v1/incidents?state=triggered,acknowledged&state=resolved&archived=true&limit=7", "")
	assert.Equal(t, tocsin.Filter{
		States: []tocsin.State{tocsin.Triggered, tocsin.Acknowledged, tocsin.Resolved}, Archived: true, Limit: 7,
	}, w.reader.filter)
	w.ask("GET", "/api/v1/incidents?notices=true", "")
	assert.Equal(t, tocsin.Filter{Notices: true, Limit: 100}, w.reader.filter)

	for query, field := range map[string]string{
		"state=open": "state", "archived=perhaps": "archived", "notices=2": "notices", "limit=0": "limit", "limit=1001": "limit", "limit=x": "limit",
	} {
		rec := w.ask("GET", "/api/v1/incidents?"+query, "")
		assert.Equal(t, 400, rec.Code, query)
		assert.Equal(t, field, refusal(t, rec).Error.Field)
	}

	w.reader.detail.incident = nil
	assert.JSONEq(t, `{"incidents":[]}`, w.ask("GET", "/api/v1/incidents", "").Body.String())
}

func TestGetIncident(t *testing.T) {
	t.Parallel()
	w := withIncident(t, server.Config{}, func(d *server.Deps) {
		d.FillRunbook = func(r *tocsin.Runbook, l tocsin.Labels) *tocsin.Runbook {
			c := *r
			c.Title = "filled for " + l["alertname"]
			return &c
		}
	})
	rec := w.ask("GET", "/api/v1/incidents/k7f3q9?alerts=5&events=6&after=7", "")
	require.Equal(t, 200, rec.Code)
	got := decoded[struct {
		Incident tocsin.Incident
		Alerts   []tocsin.AlertRecord
		Timeline []tocsin.Event
		Runbook  *tocsin.Runbook
	}](t, rec.Body)
	assert.Equal(t, "k7f3q9", got.Incident.ID)
	assert.Equal(t, w.reader.detail.alerts, got.Alerts)
	assert.Equal(t, w.reader.detail.events, got.Timeline)
	assert.Equal(t, "filled for NodeDown", got.Runbook.Title)
	assert.Equal(t, [2]int{5, 6}, w.reader.limits)
	assert.EqualValues(t, 7, w.reader.after)

	assert.Equal(t, "not_found", refusal(t, w.ask("GET", "/api/v1/incidents/zzzzzz", "")).Error.Code)
	for _, query := range []string{"alerts=-1", "events=9999", "after=x"} {
		assert.Equal(t, 400, w.ask("GET", "/api/v1/incidents/k7f3q9?"+query, "").Code, query)
	}
	for err, want := range map[error]int{tocsin.Unavailable(io.ErrClosedPipe): 503, errors.New("corrupt"): 500} {
		w.reader.err = err
		rec := w.ask("GET", "/api/v1/incidents/k7f3q9", "")
		assert.Equal(t, want, rec.Code)
		assert.NotContains(t, refusal(t, rec).Error.Message, "corrupt")
	}
}

func TestAPITokens(t *testing.T) {
	t.Parallel()
	w := withIncident(t, server.Config{API: []server.Token{{Name: "ana", Token: "ana-secret"}, {Name: "ben", Token: "ben-secret"}}})
	far := []string{"Remote", "203.0.113.9:1", "Host", "tocsin.example.com"}
	for header, want := range map[string]int{
		"": 401, "Bearer wrong": 401, "Bearer ana-secret": 200, "Bearer ben-secret": 200,
		"Basic YW55Om5v": 401, "Basic YW55OmFuYS1zZWNyZXQ=": 200, // any:ana-secret
	} {
		for _, path := range []string{"/api/v1/incidents", "/", "/incidents/k7f3q9"} {
			rec := w.ask("GET", path, "", append(far, "Authorization", header)...)
			assert.Equal(t, want, rec.Code, "%s %s", path, header)
		}
	}
	rec := w.ask("POST", "/api/v1/incidents/k7f3q9/acknowledge", `{"by":"mallory"}`,
		"Authorization", "Bearer ben-secret", "X-Tocsin-User", "mallory")
	require.Equal(t, 200, rec.Code)
	assert.Equal(t, []string{"acknowledge k7f3q9 by ben"}, w.router.did, "the token says who acts")
	assert.Equal(t, 401, w.ask("POST", "/-/reload", "").Code)
	assert.Equal(t, 200, w.ask("GET", "/api/v1/openapi.yaml", "", far...).Code)
	assert.NotContains(t, w.log.String(), "ana-secret")
}

func TestWithoutTokensForThisMachineAlone(t *testing.T) {
	t.Parallel()
	w := withIncident(t, server.Config{ExternalURL: "https://tocsin.example.com:8443"})
	for _, tc := range []struct {
		remote, host string
		want         int
	}{
		{"127.0.0.1:1", "127.0.0.1:9911", 200},
		{"[::1]:1", "[::1]:9911", 200},
		{"[::ffff:127.0.0.1]:1", "localhost", 200},
		{"127.0.0.1:1", "tocsin.localhost:9911", 200},
		{"127.0.0.1:1", "TOCSIN.example.com", 200},
		{"", "localhost", 200}, // no network at all
		{"127.0.0.1:1", "evil.example:9911", 403},
		{"203.0.113.9:1", "localhost:9911", 403},
	} {
		rec := w.ask("GET", "/api/v1/incidents", "", "Remote", tc.remote, "Host", tc.host)
		assert.Equal(t, tc.want, rec.Code, "%+v", tc)
	}
	assert.Equal(t, 200, w.ask("POST", intake, string(server.WebhookBody(1)), "Remote", "203.0.113.9:1").Code, "the intake has rules of its own")
	assert.Equal(t, 200, w.ask("POST", "/api/v1/incidents/k7f3q9/acknowledge", "{}", "Origin", "https://tocsin.example.com:8443").Code)
	assert.Equal(t, 400, w.ask("GET", "/", "", "X-Tocsin-User", "a\tb\u202e").Code)
}

func TestSilences(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{})
	good := `{"matchers":["severity=\"critical\"","ünï=~\"a|\""],"endsAt":"2026-11-22T06:00:00Z","createdBy":"ana","comment":"swap the disk"}`
	rec := w.ask("POST", "/api/v1/silences", good)
	require.Equal(t, 200, rec.Code, rec.Body)
	got := decoded[struct {
		tocsin.Silence
		State string
	}](t, rec.Body)
	assert.Equal(t, "s1s1s1", got.ID)
	assert.Equal(t, "active", got.State)
	assert.Equal(t, now, w.router.put.StartsAt, "it starts now unless told otherwise")
	assert.Equal(t, "ana", w.router.put.CreatedBy)

	for name, tc := range map[string]struct{ old, new, field string }{
		"no matchers":        {`["severity=\"critical\"","ünï=~\"a|\""]`, `[]`, "matchers"},
		"a broken matcher":   {`"ünï=~\"a|\""`, `"=x"`, "matchers/1"},
		"a broken regexp":    {`"ünï=~\"a|\""`, `"a=~\"(\""`, "matchers/1"},
		"silence everything": {`"severity=\"critical\"",`, ``, "matchers"},
		"in the past":        {"06:00:00Z", "04:00:00Z", "endsAt"},
		"no end":             {`"endsAt":"2026-11-22T06:00:00Z",`, ``, "endsAt"},
		"not a time":         {"2026-11-22T06:00:00Z", "soon", "endsAt"},
		"ends at its start":  {`"comment"`, `"startsAt":"2026-11-22T06:00:00Z","comment"`, "endsAt"},
		"no author":          {`"createdBy":"ana",`, ``, "createdBy"},
		"an odd author":      {`"ana"`, `"a\u0000"`, "createdBy"},
		"no comment":         {`swap the disk`, ``, "comment"},
		"a novel":            {`swap the disk`, strings.Repeat("x", 5000), "comment"},
		"a misspelt field":   {`"comment"`, `"coment":"","comment"`, "coment"},
	} {
		rec := w.ask("POST", "/api/v1/silences", strings.Replace(good, tc.old, tc.new, 1))
		require.Equal(t, 400, rec.Code, name)
		assert.Equal(t, tc.field, refusal(t, rec).Error.Field, name)
	}
	assert.Equal(t, 400, w.ask("POST", "/api/v1/silences", "", "Content-Type", "application/json").Code)

	matchers := []string{"a=b"}
	w.router.silences = []tocsin.Silence{
		{ID: "a", Matchers: matchers, StartsAt: now.Add(-time.Hour), EndsAt: now},
		{ID: "b", Matchers: matchers, StartsAt: now, EndsAt: now.Add(1)},
		{ID: "c", Matchers: matchers, StartsAt: now.Add(1), EndsAt: now.Add(2)},
	}
	list := decoded[struct{ Silences []struct{ ID, State string } }](t, w.ask("GET", "/api/v1/silences", "").Body)
	assert.Equal(t, []struct{ ID, State string }{{"a", "expired"}, {"b", "active"}, {"c", "pending"}}, list.Silences)

	assert.Equal(t, 200, w.ask("DELETE", "/api/v1/silences/a", "", "X-Tocsin-User", "ana").Code)
	assert.Equal(t, []string{"expire a by ana"}, w.router.did)
	assert.Equal(t, 404, w.ask("DELETE", "/api/v1/silences/nobody", "").Code)
	assert.Equal(t, 403, w.ask("DELETE", "/api/v1/silences/a", "", "Sec-Fetch-Site", "cross-site").Code)

	owned := newWorld(t, server.Config{API: []server.Token{{Name: "ben", Token: "t"}}})
	require.Equal(t, 200, owned.ask("POST", "/api/v1/silences", good, "Authorization", "Bearer t").Code)
	assert.Equal(t, "ben", owned.router.put.CreatedBy)
}

func TestRunbooks(t *testing.T) {
	t.Parallel()
	w := withIncident(t, server.Config{})
	list := decoded[struct {
		Runbooks []struct {
			ID        string
			StepCount int
		}
	}](t, w.ask("GET", "/api/v1/runbooks", "").Body)
	require.Len(t, list.Runbooks, 1)
	assert.Equal(t, 2, list.Runbooks[0].StepCount)
	for _, path := range []string{"dir/file%23node-down", "dir%2Ffile%23node-down"} {
		rec := w.ask("GET", "/api/v1/runbooks/"+path, "")
		require.Equal(t, 200, rec.Code, path)
		assert.Equal(t, "dir/file#node-down", decoded[tocsin.Runbook](t, rec.Body).ID)
	}
	assert.Equal(t, 404, w.ask("GET", "/api/v1/runbooks/other", "").Code)
	assert.Equal(t, 404, w.ask("GET", "/api/v1/runbooks/", "").Code)
}

func TestStats(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{}, func(d *server.Deps) {
		d.Stats = func() tocsin.Stats { return tocsin.Stats{Live: 3, OldestLag: now, Err: errors.New("disk full")} }
	})
	assert.JSONEq(t, `{"live":3,"open":0,"alerts":0,"firing":0,"lagging":0,"oldestLag":"2026-11-22T05:00:00Z","queue":0,"size":0,"error":"disk full"}`,
		w.ask("GET", "/api/v1/stats", "").Body.String())
	assert.Equal(t, 404, newWorld(t, server.Config{}).ask("GET", "/api/v1/stats", "").Code)
}

func TestBackup(t *testing.T) {
	fail := map[string]error{}
	w := newWorld(t, server.Config{}, func(d *server.Deps) {
		d.Backup = func(_ context.Context, _ string, w io.Writer) (int64, error) {
			if err := fail["early"]; err != nil {
				return 0, err
			}
			n, err := io.Copy(w, strings.NewReader(strings.Repeat("x", 100_000)))
			return n, errors.Join(err, fail["late"])
		}
	})
	w.run(t)
	resp, err := http.Get(w.url("/api/v1/backup"))
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	require.NoError(t, err)
	assert.Len(t, body, 100_000)
	assert.Equal(t, "application/octet-stream", resp.Header.Get("Content-Type"))
	assert.Equal(t, `attachment; filename="tocsin-20261122T050000Z.backup"`, resp.Header.Get("Content-Disposition"))

	fail["late"] = errors.New("read error")
	resp, err = http.Get(w.url("/api/v1/backup"))
	require.NoError(t, err)
	_, err = io.ReadAll(resp.Body)
	resp.Body.Close()
	require.Error(t, err, "half a backup must not look whole")

	fail["early"] = tocsin.Unavailable(errors.New("closed"))
	rec := w.ask("GET", "/api/v1/backup", "")
	assert.Equal(t, 503, rec.Code)
	assert.Empty(t, rec.Header().Get("Content-Disposition"))
	assert.Equal(t, "unavailable", refusal(t, rec).Error.Code)
}
