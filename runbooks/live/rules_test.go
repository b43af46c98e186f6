package live_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks/live"
	"github.com/tocsin-oncall/tocsin/runbooks/live/livetest"
)

func TestRules(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	prom, client := fake(t, live.Config{Registerer: reg})
	r, err := client.Rules(t.Context())
	require.NoError(t, err)
	assert.Equal(t, live.Rules{}, r, "none are loaded")

	long := strings.Repeat("é", 1000)
	prom.SetRules(
		livetest.Group{Name: "nodes", File: "/etc/a.yml", Rules: []livetest.Rule{
			{Name: "job:up:sum", Query: "sum(up)", Record: true},
			{
				Name: "NodeDown", Query: "up == 0", Labels: livetest.Labels{"severity": "critical"},
				Annotations: livetest.Labels{"runbook_url": "https://r/node", "summary": "down"},
			},
		}},
		livetest.Group{Name: "<b>\x00\u202e", Rules: []livetest.Rule{{Name: "</script>\n" + token, Query: "x"}, {Name: long, Query: "x"}}},
	)
	r, err = client.Rules(t.Context())
	require.NoError(t, err)
	require.Equal(t, 3, r.Total)
	assert.Equal(t, live.Rule{"/etc/a.yml", "nodes", "NodeDown", tocsin.Labels{"severity": "critical"}, "https://r/node"}, r.Rules[0])
	assert.Equal(t, "</script>\n"+token, r.Rules[1].Name, "as it is: outputs escape")
	assert.Equal(t, "<b>\x00\u202e", r.Rules[1].Group)
	assert.Less(t, len(r.Rules[2].Name), 1100)
	for _, q := range prom.Asked() {
		assert.Equal(t, []string{"GET", "/api/v1/rules"}, []string{q.Method, q.Path})
	}
	assert.Contains(t, metrics(t, reg), "tocsin_prometheus_query_seconds{kind=rules} 2")
	prom.Fail(livetest.Fault{Warnings: []string{"a ruler\nis away"}})
	r, err = client.Rules(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"a ruler is away"}, r.Warnings)
}

func TestRulesThatAreNotTold(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	prom, client := fake(t, live.Config{Registerer: reg})
	prom.SetRules(livetest.Group{Name: "g", Rules: []livetest.Rule{{Name: "NodeDown", Query: "up"}}})
	good := `{"status":"success","data":`
	for _, c := range []struct {
		fault livetest.Fault
		says  string
	}{
		{livetest.Fault{Truncated: true}, "unexpected EOF"},
		{livetest.Fault{Status: 503, Body: "later " + token}, "answers 503"},
		{livetest.Fault{Status: 401}, "bearer_token"},
		{livetest.Fault{Status: 404}, "correct prometheus.url"},
		{livetest.Fault{Padding: live.MaxRulesBody}, "larger than 16 MiB"},
		{livetest.Fault{Location: "http://elsewhere.invalid/?t=hunter2"}, "redirects are not followed"},
		{livetest.Fault{Status: 500, Type: "internal", Text: "the token " + token}, "internal: the token <secret>"},
		{livetest.Fault{Status: 200, Body: "<html>"}, "does not answer as Prometheus does"},
		{livetest.Fault{Status: 200, Body: good + `null}`}, "no list of groups"},
		{livetest.Fault{Status: 200, Body: good + `{"groups":null}}`}, "no list of groups"},
		{livetest.Fault{Status: 200, Body: good + `{"groups":[{"rules":[{"type":"alerting","name":7}]}]}}`}, "cannot be read"},
		{livetest.Fault{Status: 200, Body: good + strings.Repeat("[", 20_000)}, "does not answer as Prometheus does"},
	} {
		prom.Fail(c.fault)
		_, err := client.Rules(t.Context())
		require.ErrorIs(t, err, tocsin.ErrUnavailable, c.says)
		assert.ErrorContains(t, err, c.says)
		for _, secret := range []string{token, "hunter2"} {
			assert.NotContains(t, err.Error(), secret)
		}
		assert.Less(t, len(err.Error()), 600)
	}
	assert.Contains(t, metrics(t, reg), "tocsin_prometheus_query_errors_total{kind=rules,reason=unavailable} 12")
	prom.Fail(livetest.Fault{})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := client.Rules(gone)
	require.ErrorIs(t, err, context.Canceled)
}

func TestRulesAreBounded(t *testing.T) {
	t.Parallel()
	prom, client := fake(t, live.Config{})
	many := make([]livetest.Rule, live.MaxRules+5)
	for n := range many {
		many[n] = livetest.Rule{Name: fmt.Sprint("A", n), Query: "x"}
	}
	prom.SetRules(livetest.Group{Name: "g", File: "f", Rules: many})
	r, err := client.Rules(t.Context())
	require.NoError(t, err)
	assert.Len(t, r.Rules, live.MaxRules)
	assert.Equal(t, live.MaxRules+5, r.Total)

	prom, client = fake(t, live.Config{Timeout: 50 * time.Millisecond})
	prom.Fail(livetest.Fault{Hangs: true})
	_, err = client.Rules(t.Context())
	require.ErrorIs(t, err, tocsin.ErrUnavailable)
	assert.ErrorContains(t, err, "did not answer in time")
}

// What a Prometheus refuses for the emulator's own reasons.
func TestTheEmulatorTellsRulesAsPrometheusDoes(t *testing.T) {
	t.Parallel()
	prom := &livetest.Server{}
	prom.SetRules(livetest.Group{Name: "g", Rules: []livetest.Rule{{Name: "r", Record: true}, {Name: "a"}}})
	for query, want := range map[string]string{
		"GET /api/v1/rules?type=record": `"name":"r"`, "GET /api/v1/rules": `"alerts":[]`, "GET /api/v1/rules?type=both": "not supported value", "POST /api/v1/rules": "Method Not Allowed",
	} {
		method, path, _ := strings.Cut(query, " ")
		assert.Contains(t, served(t, prom, method, path), want, query)
	}
	assert.NotContains(t, served(t, prom, http.MethodGet, "/api/v1/rules?type=alert&exclude_alerts=true"), `"alerts"`)
}

func served(t *testing.T, h http.Handler, method, path string) string {
	t.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(method, path, nil))
	return rec.Body.String()
}
