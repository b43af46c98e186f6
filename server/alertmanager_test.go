package server_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// amAlert is as much of an alert of Alertmanager's as the tests look at.
type amAlert struct {
	Labels, Annotations tocsin.Labels
	Fingerprint         string
	Receivers           []struct{ Name string }
	StartsAt, EndsAt    time.Time
	UpdatedAt           time.Time
	GeneratorURL        string
	Status              struct {
		State                            string
		SilencedBy, InhibitedBy, MutedBy []string
	}
}

func decode[T any](t testing.TB, body []byte) (v T) {
	t.Helper()
	require.NoError(t, json.Unmarshal(body, &v), "%s", body)
	return v
}

// firing is a world whose incident has four alerts: one that pages, one that is
// silenced, one that is inhibited by the first, and one that is resolved.
func firing(t testing.TB) *world {
	w := newWorld(t, server.Config{}, func(d *server.Deps) {
		d.Version, d.Receivers = "1.2.3", func() []string { return []string{"page", `cha"t`} }
	})
	w.reader.detail.incident = &tocsin.Incident{
		ID: "k7f3q9", State: tocsin.Triggered, Severity: tocsin.Critical, Title: "x", GroupBy: []string{"alertname"},
		Receivers: []string{"page", "chat"}, Alerts: 4, Firing: 3, Suppressed: 2, OpenedAt: now,
	}
	add := func(instance string, firing bool, by *tocsin.Suppression) *tocsin.AlertRecord {
		a := tocsin.Alert{
			Source: "am", Labels: tocsin.Labels{"alertname": "NodeDown", "instance": instance, "severity": "critical"},
			Annotations: tocsin.Labels{"summary": "down"}, GeneratorURL: "http://prometheus/graph?x=1&y=<2>", Firing: firing,
		}
		w.reader.detail.alerts = append(w.reader.detail.alerts, tocsin.AlertRecord{Alert: a, State: tocsin.AlertState{
			ID: a.ID(), Firing: firing, StartsAt: now.Add(-time.Hour), SeenAt: now.Add(-time.Minute), Suppression: by,
		}})
		return &w.reader.detail.alerts[len(w.reader.detail.alerts)-1]
	}
	first := add("a", true, nil).State.ID
	add("b", true, &tocsin.Suppression{Reason: tocsin.Silenced, By: "s1s1s1", Text: "by ana"})
	add("c", true, &tocsin.Suppression{Reason: tocsin.Inhibited, By: "tocsin.yml:3", Source: first, Text: "by a"})
	add("d", false, nil)
	return w
}

func TestAlertmanagersAlerts(t *testing.T) {
	t.Parallel()
	w := firing(t)
	rec := w.ask("GET", "/api/v2/alerts", "")
	require.Equal(t, 200, rec.Code, rec.Body)
	list := decode[[]amAlert](t, rec.Body.Bytes())
	require.Len(t, list, 3, "what is resolved is not listed")
	assert.Equal(t, 3, w.reader.limits[0], "no more is read than fires")
	assert.Equal(t, tocsin.Filter{States: []tocsin.State{tocsin.Triggered, tocsin.Acknowledged}, Limit: 20_000}, w.reader.filter)
	assert.True(t, slices.IsSortedFunc(list, func(a, b amAlert) int { return cmpString(a.Fingerprint, b.Fingerprint) }))
	by := map[string]amAlert{}
	for _, a := range list {
		by[a.Labels["instance"]] = a
		assert.Equal(t, fmt.Sprintf("%016x", a.Labels.Fingerprint()), a.Fingerprint)
		assert.Equal(t, "page", a.Receivers[0].Name)
		assert.Equal(t, "chat", a.Receivers[1].Name)
		assert.Equal(t, now.Add(-time.Hour), a.StartsAt)
		assert.Equal(t, now.Add(-time.Minute), a.UpdatedAt)
		assert.True(t, a.EndsAt.After(now), "it fires on")
		assert.Equal(t, "down", a.Annotations["summary"])
		assert.Equal(t, "http://prometheus/graph?x=1&y=<2>", a.GeneratorURL)
	}
	assert.Equal(t, "active", by["a"].Status.State)
	assert.NotNil(t, by["a"].Status.SilencedBy, "[] and not null: clients count")
	assert.Equal(t, "suppressed", by["b"].Status.State)
	assert.Equal(t, []string{"s1s1s1"}, by["b"].Status.SilencedBy)
	assert.Equal(t, "suppressed", by["c"].Status.State)
	assert.Equal(t, []string{by["a"].Fingerprint}, by["c"].Status.InhibitedBy)
}

func cmpString(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func TestAlertmanagersFilters(t *testing.T) {
	t.Parallel()
	w := firing(t)
	for query, want := range map[string]string{
		"":                      "abc",
		"active=false":          "bc",
		"silenced=false":        "ac",
		"inhibited=false":       "ab",
		"unprocessed=false":     "abc",
		"filter=instance=\"b\"": "b",
		"filter=instance!=b&filter=alertname=~\"Node.*\"": "ac",
		`filter={instance=~"a|c",severity="critical"}`:    "ac",
		`filter=absent=""`:                            "abc",
		`filter=absent!=""`:                           "",
		"filter=severity=warning":                     "",
		"receiver=pag.":                               "abc",
		"receiver=pa":                                 "",
		"receiver_matchers=owner=me":                  "",
		"active=false&silenced=false&inhibited=false": "",
	} {
		got := instances(t, w, "/api/v2/alerts", query)
		assert.Equal(t, want, got, query)
	}
	w.reader.detail.incident.Muted = "nights"
	assert.Equal(t, "abc", instances(t, w, "/api/v2/alerts", ""))
	assert.Equal(t, "abc", instances(t, w, "/api/v2/alerts", "active=false"), "what is muted is not active")
	for _, wrong := range []string{"filter=%22", "active=perhaps", "receiver=(", "receiver_matchers=a", "muted=x"} {
		rec := w.ask("GET", "/api/v2/alerts/groups?"+wrong, "")
		assert.Equal(t, 400, rec.Code, wrong)
		assert.NotEmpty(t, decode[string](t, rec.Body.Bytes()), "the form of Alertmanager's errors")
	}
}

func instances(t *testing.T, w *world, path, query string) string {
	t.Helper()
	v, err := url.ParseQuery(query)
	require.NoError(t, err)
	rec := w.ask("GET", path+"?"+v.Encode(), "")
	require.Equal(t, 200, rec.Code, rec.Body)
	var names []string
	for _, a := range decode[[]amAlert](t, rec.Body.Bytes()) {
		names = append(names, a.Labels["instance"])
	}
	slices.Sort(names)
	out := ""
	for _, n := range names {
		out += n
	}
	return out
}

func TestAlertmanagersGroups(t *testing.T) {
	t.Parallel()
	type group struct {
		Labels   tocsin.Labels
		Receiver struct{ Name string }
		Alerts   []amAlert
	}
	w := firing(t)
	groups := decode[[]group](t, w.ask("GET", "/api/v2/alerts/groups", "").Body.Bytes())
	require.Len(t, groups, 2, "one for each receiver, as Alertmanager has it")
	for n, name := range []string{"page", "chat"} {
		assert.Equal(t, name, groups[n].Receiver.Name)
		assert.Equal(t, tocsin.Labels{"alertname": "NodeDown"}, groups[n].Labels)
		assert.Len(t, groups[n].Alerts, 3)
	}
	assert.Len(t, decode[[]group](t, w.ask("GET", "/api/v2/alerts/groups?receiver=chat", "").Body.Bytes()), 1)
	assert.Len(t, decode[[]group](t, w.ask("GET", "/api/v2/alerts/groups?muted=false", "").Body.Bytes()), 2, "one of its alerts pages")
	assert.Empty(t, decode[[]group](t, w.ask("GET", "/api/v2/alerts/groups?muted=false&active=false", "").Body.Bytes()))
	w.reader.detail.incident = nil
	assert.Equal(t, "[]", w.ask("GET", "/api/v2/alerts/groups", "").Body.String())
	assert.Equal(t, "[]", w.ask("GET", "/api/v2/alerts", "").Body.String())
}

func TestAlertmanagersStatus(t *testing.T) {
	t.Parallel()
	w := firing(t)
	v := decode[struct {
		Cluster     struct{ Status string }
		VersionInfo struct{ Version string }
		Config      struct{ Original string }
		Uptime      time.Time
	}](t, w.ask("GET", "/api/v2/status", "").Body.Bytes())
	assert.Equal(t, "disabled", v.Cluster.Status)
	assert.Equal(t, "tocsin 1.2.3", v.VersionInfo.Version)
	assert.Equal(t, now, v.Uptime)
	assert.Contains(t, v.Config.Original, "- name: \"cha\\\"t\"\n")
	names := decode[[]struct{ Name string }](t, w.ask("GET", "/api/v2/receivers", "").Body.Bytes())
	require.Len(t, names, 2)
	assert.Equal(t, "page", names[0].Name)
	assert.Equal(t, 405, w.ask("POST", "/api/v2/alerts", "[]").Code, "alerts come in another way")
}

func TestAlertmanagersSilences(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{})
	w.router.silences = []tocsin.Silence{
		{ID: "old111", Matchers: []string{`a="b"`}, StartsAt: now.Add(-2 * time.Hour), EndsAt: now.Add(-time.Hour), CreatedBy: "ana", Comment: "c"},
		{ID: "new111", Matchers: []string{`a!~"b.*"`, `"with space"="x"`}, StartsAt: now.Add(-time.Hour), EndsAt: now.Add(time.Hour), CreatedBy: "bo", Comment: "c"},
		{ID: "may111", Matchers: []string{`a="b"`}, StartsAt: now.Add(time.Hour), EndsAt: now.Add(2 * time.Hour), CreatedBy: "bo", Comment: "c"},
	}
	type silence struct {
		ID       string
		Status   struct{ State string }
		Matchers []map[string]any
	}
	ids := func(query string) (out []string) {
		for _, s := range decode[[]silence](t, w.ask("GET", "/api/v2/silences?"+query, "").Body.Bytes()) {
			out = append(out, s.ID+" "+s.Status.State)
		}
		return out
	}
	assert.Equal(t, []string{"new111 active", "may111 pending", "old111 expired"}, ids(""))
	assert.Equal(t, []string{"may111 pending"}, ids("active=false&expired=false"))
	assert.Equal(t, []string{"may111 pending", "old111 expired"}, ids(url.Values{"filter": {`a="b"`}}.Encode()))
	assert.Empty(t, ids(url.Values{"filter": {`a=~"b"`}}.Encode()), "another matcher")

	one := decode[silence](t, w.ask("GET", "/api/v2/silence/new111", "").Body.Bytes())
	assert.Equal(t, []map[string]any{
		{"name": "a", "value": "b.*", "isRegex": true, "isEqual": false},
		{"name": "with space", "value": "x", "isRegex": false, "isEqual": true},
	}, one.Matchers)
	rec := w.ask("GET", "/api/v2/silence/nobody", "")
	assert.Equal(t, 404, rec.Code)
	assert.Contains(t, decode[string](t, rec.Body.Bytes()), "nobody")
}

func TestAlertmanagersSilencesAreMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{API: []server.Token{{Name: "ana", Token: "secret-of-ana-0001", Role: tocsin.RoleResponder}, {Name: "vi", Token: "secret-of-vi-00001", Role: tocsin.RoleViewer}}})
	const path, ana = "/api/v2/silences", "Bearer secret-of-ana-0001"
	put := func(body string) (int, string) {
		rec := w.ask("POST", path, body, "Authorization", ana)
		if rec.Code == 200 {
			return 200, decode[map[string]string](t, rec.Body.Bytes())["silenceID"]
		}
		return rec.Code, decode[string](t, rec.Body.Bytes())
	}
	body := func(more string) string {
		return `{"matchers":[{"name":"a","value":"b.*","isRegex":true,"isEqual":false},{"name":"c","value":"d","isRegex":false}],` +
			`"startsAt":"2026-11-22T05:00:00Z","endsAt":"2026-11-22T06:00:00Z","createdBy":"somebody else","comment":"why"` + more + `}`
	}
	code, id := put(body(`,"annotations":{},"of a later version":[1]`))
	assert.Equal(t, 200, code, id)
	assert.Equal(t, "s1s1s1", id)
	assert.Equal(t, []string{`a!~"b.*"`, `c="d"`}, w.router.put.Matchers)
	assert.Equal(t, "ana", w.router.put.CreatedBy, "the token's owner, whatever is sent")
	assert.Equal(t, "why [asked for by somebody else]", w.router.put.Comment)

	w.router.silences = []tocsin.Silence{
		{ID: "live11", EndsAt: now.Add(time.Hour)}, {ID: "gone11", EndsAt: now.Add(-time.Hour)},
	}
	code, _ = put(body(`,"id":"live11"`))
	assert.Equal(t, 200, code)
	assert.Equal(t, "live11", w.router.put.ID)
	code, _ = put(body(`,"id":"gone11"`))
	assert.Equal(t, 200, code)
	assert.Empty(t, w.router.put.ID, "one that has expired stays as it was")

	w.router.put = tocsin.Silence{}
	for wrong, say := range map[string]string{
		body(`,"id":"nobody"`):                   "nobody",
		body(`,"annotations":{"a":"b"}`):         "annotations",
		`{`:                                      "",
		`{"matchers":[]}`:                        "matchers",
		`{"matchers":[{"name":"","value":"b"}]}`: "without a name",
		`{"matchers":[{"name":"a","value":"(","isRegex":true}]}`:                                                "missing closing",
		`{"matchers":[{"name":"a","value":".*","isRegex":true}],"endsAt":"2026-11-22T06:00:00Z","comment":"x"}`: "silence everything",
		`{"matchers":[{"name":"a","value":"b"}],"endsAt":"2026-11-22T04:00:00Z","comment":"x"}`:                 "future",
	} {
		code, text := put(wrong)
		assert.Contains(t, []int{400, 404}, code, wrong)
		assert.Contains(t, text, say, wrong)
	}
	assert.Empty(t, w.router.put)

	rec := w.ask("DELETE", "/api/v2/silence/live11", "", "Authorization", ana)
	assert.Equal(t, 200, rec.Code)
	assert.Empty(t, rec.Body.String())
	assert.Equal(t, []string{"expire live11 by ana"}, w.router.did)
	assert.Equal(t, 404, w.ask("DELETE", "/api/v2/silence/nobody", "", "Authorization", ana).Code)

	for _, auth := range []string{"", "Bearer wrong", "Bearer secret-of-vi-00001"} {
		rec := w.ask("POST", path, body(""), "Authorization", auth)
		assert.Contains(t, []int{401, 403}, rec.Code, auth)
		assert.NotEmpty(t, decode[amProblem](t, rec.Body.Bytes()).Message)
	}
	assert.Equal(t, 200, w.ask("GET", path, "", "Authorization", "Bearer secret-of-vi-00001").Code)
}

// amProblem is how Alertmanager says what never came to an operation.
type amProblem struct {
	Code    int
	Message string
}

// What is wrong is told as Alertmanager tells it, wherever it was found: the
// answers of a real one are in test/peers/alertmanager.
func TestAlertmanagersErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{API: []server.Token{{Name: "ana", Token: "secret-of-ana-0001", Role: tocsin.RoleResponder}}})
	for _, ask := range []struct {
		method, path string
		code         int
		text         bool
		say          string
	}{
		{"GET", "/api/v2/alerts?filter=%7B", 400, true, "filter"},
		{"GET", "/api/v2/silence/nobody", 404, true, "nobody"},
		{"GET", "/api/v2/nothing", 404, false, "nothing here"},
		{"GET", "/api/v2/", 404, false, "nothing here"},
		{"PUT", "/api/v2/silences", 405, false, "method"},
		{"POST", "/api/v2/alerts", 405, false, "/webhook/alertmanager"},
	} {
		rec := w.ask(ask.method, ask.path, "", "Authorization", "Bearer secret-of-ana-0001")
		assert.Equal(t, ask.code, rec.Code, ask.path)
		assert.Equal(t, "application/json", rec.Header().Get("Content-Type"), ask.path)
		said := amProblem{Code: rec.Code}
		if ask.text {
			said.Message = decode[string](t, rec.Body.Bytes())
		} else {
			said = decode[amProblem](t, rec.Body.Bytes())
		}
		assert.Equal(t, ask.code, said.Code, ask.path)
		assert.Contains(t, said.Message, ask.say, ask.path)
	}
	rec := w.ask("DELETE", "/api/v2/silence/live11", "", "Origin", "https://evil.example.com")
	assert.Equal(t, 403, rec.Code)
	assert.Contains(t, decode[amProblem](t, rec.Body.Bytes()).Message, "another site")
}

// karma hands on what its browsers send, Origin and all; with a token of its own
// it is no page of another site. An empty one is none.
func TestAlertmanagersBehindKarma(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{API: []server.Token{{Name: "karma", Token: "secret-of-karma-01", Role: tocsin.RoleResponder}}})
	body := `{"matchers":[{"name":"a","value":"b","isRegex":false}],"startsAt":"2026-11-22T05:00:00Z","endsAt":"2026-11-22T06:00:00Z","createdBy":"%s","comment":"why%s"}`
	for _, sent := range [][3]string{
		{"karma", "", "why"},
		{"", "", "why"},
		{"ana", "", "why [asked for by ana]"},
		{"ana", " [asked for by ana]", "why [asked for by ana]"},
		{"a\\u0007", "", "why"},
	} {
		rec := w.ask("POST", "/api/v2/silences", fmt.Sprintf(body, sent[0], sent[1]), "Authorization", "Bearer secret-of-karma-01", "Origin", "http://karma.example.com")
		require.Equal(t, 200, rec.Code, rec.Body)
		assert.Equal(t, "karma", w.router.put.CreatedBy)
		assert.Equal(t, sent[2], w.router.put.Comment)
	}
	for _, auth := range []string{"", "Bearer", "Bearer  ", "Basic a2FybWE6c2VjcmV0LW9mLWthcm1hLTAx"} {
		rec := w.ask("POST", "/api/v2/silences", fmt.Sprintf(body, "x", ""), "Authorization", auth, "Origin", "http://karma.example.com")
		assert.Equal(t, 403, rec.Code, "a browser may have sent it: %q", auth)
	}
	w, _, _ = guarded(t, server.Config{})
	for _, at := range []*world{w, newWorld(t, server.Config{})} { // a session, and a person of this machine
		code := answerTo(at, "POST", "/api/v2/silences", []string{
			"Authorization", "Bearer wrong", "Origin", "http://karma.example.com", "Cookie", "__Host-tocsin_session=session-admin",
		})
		assert.Equal(t, 401, code, "who shows a token is let in by it alone")
	}
}

// Whatever a matcher is, it comes back from Alertmanager's form as it went in.
func TestMatchersGoBothWays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{})
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]labels.MatchType{labels.MatchEqual, labels.MatchNotEqual, labels.MatchRegexp, labels.MatchNotRegexp}).Draw(t, "type")
		value := rapid.StringN(1, 20, 60).Draw(t, "value")
		if kind == labels.MatchRegexp || kind == labels.MatchNotRegexp {
			value = rapid.SampledFrom([]string{"a+", `\d"x`, "node-.*", "é|\n"}).Draw(t, "pattern")
		}
		m, err := labels.NewMatcher(kind, rapid.StringN(1, 10, 30).Draw(t, "name"), value)
		require.NoError(t, err)
		b, err := json.Marshal(map[string]any{
			"matchers": []map[string]any{
				{"name": "anchor", "value": "x", "isRegex": false},
				{"name": m.Name, "value": m.Value, "isRegex": kind >= labels.MatchRegexp, "isEqual": kind == labels.MatchEqual || kind == labels.MatchRegexp},
			},
			"startsAt": now, "endsAt": now.Add(time.Hour), "createdBy": "ana", "comment": "c",
		})
		require.NoError(t, err)
		rec := w.ask("POST", "/api/v2/silences", string(b))
		require.Equal(t, 200, rec.Code, rec.Body)
		kept, err := parse.Matcher(w.router.put.Matchers[1])
		require.NoError(t, err)
		require.Equal(t, [3]string{m.Name, m.Type.String(), m.Value}, [3]string{kept.Name, kept.Type.String(), kept.Value})
	})
}
