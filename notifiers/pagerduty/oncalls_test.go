package pagerduty_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
)

const apiToken = "y_secretTokenOfPagerDuty"

func day(n int) time.Time { return time.Date(2026, 1, n, 9, 0, 0, 0, time.UTC) }

func entry(user, schedule, policy string, level int, start, end time.Time) pagerdutytest.OnCall {
	return pagerdutytest.OnCall{
		User:             pagerdutytest.Reference{ID: "P" + strings.ToUpper(user), Type: "user_reference", Summary: user},
		EscalationPolicy: pagerdutytest.Reference{ID: policy, Type: "escalation_policy_reference", Summary: policy},
		EscalationLevel:  level,
		Schedule:         pagerdutytest.Reference{ID: schedule, Type: "schedule_reference", Summary: schedule},
		Start:            start, End: end,
	}
}

func onCalls(t *testing.T, s *pagerdutytest.Server, schedule string, from, to time.Time) ([]string, error) {
	t.Helper()
	calls, err := pagerduty.NewREST(pagerduty.RESTConfig{Token: apiToken, Transport: s.Transport()}).OnCalls(t.Context(), schedule, from, to)
	var out []string
	for _, c := range calls {
		require.Equal(t, time.UTC, c.From.Location())
		out = append(out, fmt.Sprintf("%s %s %s %s/%s", c.UserID, c.UserName, c.UserEmail, c.From.Format("01-02T15"), c.To.Format("01-02T15")))
	}
	return out, err
}

func TestOnCalls(t *testing.T) {
	t.Parallel()
	madrid := time.FixedZone("", 3600)
	s := pagerdutytest.New(pagerdutytest.Config{APIToken: apiToken})
	s.SetOnCalls(
		entry("bo", "P1", "A", 1, day(12).In(madrid), day(19).In(madrid)),
		entry("ana", "P1", "A", 1, day(5), day(12)),
		entry("ana", "P1", "B", 2, day(5), day(12)), // the same, used by another policy
		entry("ana", "P1", "C", 2, day(6), day(13)),
		entry("cy", "P2", "A", 1, day(5), day(12)),
		entry("di", "P1", "A", 1, day(30), day(31)),
		entry("eve", "P3", "A", 1, time.Time{}, time.Time{}),
	)
	got, err := onCalls(t, s, "P1", day(6), day(20))
	require.NoError(t, err)
	assert.Equal(t, []string{"PANA ana ana@example.com 01-05T09/01-13T09", "PBO bo bo@example.com 01-12T09/01-19T09"}, got)
	got, err = onCalls(t, s, "P3", day(6), day(20))
	require.NoError(t, err)
	assert.Equal(t, []string{"PEVE eve eve@example.com 01-06T09/01-20T09"}, got, "without beginning or end")
	got, err = onCalls(t, s, "PNONE", day(6), day(20))
	require.NoError(t, err)
	assert.Empty(t, got)
}

// A long span is more than PagerDuty takes in one question, and more than one
// page.
func TestOnCallsOfManyPages(t *testing.T) {
	t.Parallel()
	s := pagerdutytest.New(pagerdutytest.Config{APIToken: apiToken})
	var list []pagerdutytest.OnCall
	for i := range 350 {
		user := []string{"ana", "bo"}[i%2]
		for _, policy := range []string{"A", "B", "C"} {
			list = append(list, entry(user, "P1", policy, 1, day(1+i), day(2+i)))
		}
	}
	s.SetOnCalls(list...)
	got, err := onCalls(t, s, "P1", day(1), day(351))
	require.NoError(t, err)
	require.Len(t, got, 350)
	assert.Equal(t, "PANA ana ana@example.com 01-01T09/01-02T09", got[0])
}

func TestOnCallsFailures(t *testing.T) {
	t.Parallel()
	s := pagerdutytest.New(pagerdutytest.Config{APIToken: apiToken})
	for name, c := range map[string]struct {
		fault     pagerdutytest.Fault
		want      string
		permanent bool
		pause     time.Duration
	}{
		"limited":          {pagerdutytest.Fault{Status: 429, RetryAfter: 30 * time.Second}, "slow down: status 429", false, 30 * time.Second},
		"limited, no time": {pagerdutytest.Fault{Status: 429}, "slow down", false, time.Minute},
		"failing":          {pagerdutytest.Fault{Status: 500}, "Internal Server Error", false, 0},
		"down for a while": {pagerdutytest.Fault{Status: 503, RetryAfter: time.Minute}, "status 503", false, time.Minute},
		"a proxy":          {pagerdutytest.Fault{Status: 502, Body: []byte("<html>" + apiToken)}, "status 502", false, 0},
		"token":            {pagerdutytest.Fault{Status: 401}, "check pagerduty.api_token", true, 0},
		"rights":           {pagerdutytest.Fault{Status: 403}, "check pagerduty.api_token", true, 0},
		"unknown":          {pagerdutytest.Fault{Status: 404}, "check the ID of the schedule", true, 0},
		"redirect":         {pagerdutytest.Fault{Status: 302, Header: http.Header{"Location": {"https://elsewhere.example.com"}}}, "status 302", true, 0},
		"no JSON":          {pagerdutytest.Fault{Status: 200, Body: []byte("<html>")}, "not what its API documents", false, 0},
		"dropped":          {pagerdutytest.Fault{Drop: true}, "did not answer", false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c.fault.Action, c.fault.Times = pagerdutytest.OnCallsAction, 1
			s.Fail(c.fault)
			_, err := onCalls(t, s, "P1", day(1), day(2))
			require.ErrorContains(t, err, c.want)
			assert.NotContains(t, err.Error(), apiToken)
			assert.Equal(t, c.permanent, tocsin.IsPermanent(err))
			pause, ok := tocsin.RetryDelay(err)
			assert.Equal(t, c.pause > 0, ok)
			assert.Equal(t, c.pause, pause)
			_, err = onCalls(t, s, "P1", day(1), day(2))
			require.NoError(t, err)
		})
	}
}

func TestOnCallsThatCannotBeAsked(t *testing.T) {
	t.Parallel()
	s := pagerdutytest.New(pagerdutytest.Config{APIToken: "another"})
	_, err := onCalls(t, s, "P1", day(1), day(2))
	require.ErrorContains(t, err, "check pagerduty.api_token")
	for _, c := range []struct {
		schedule string
		from, to time.Time
		want     string
	}{
		{"", day(1), day(2), "pagerduty_schedule"},
		{"P1", day(2), day(2), "no span"},
		{"P1", day(1), day(500), "longer than 400 days"},
	} {
		_, err := onCalls(t, s, c.schedule, c.from, c.to)
		require.ErrorContains(t, err, c.want)
		assert.True(t, tocsin.IsPermanent(err))
	}
	for config, want := range map[pagerduty.RESTConfig]string{
		{}: "no PagerDuty API token",
		{Token: apiToken, APIURL: "nonsense://%"}: "check pagerduty.api_url",
	} {
		_, err := pagerduty.NewREST(config).OnCalls(t.Context(), "P1", day(1), day(2))
		require.ErrorContains(t, err, want)
		assert.True(t, tocsin.IsPermanent(err))
		assert.NotContains(t, err.Error(), apiToken)
	}
}

func TestOnCallsThatMislead(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"oncalls":[],"more":true}`: "sends empty ones",
		`{"oncalls":[{"user":{"id":"P1"},"start":"soon","end":null}],"more":false}`: "cannot be read",
		`{"oncalls":[{"user":{"id":"P1"},"start":null,"end":"late"}],"more":false}`: "cannot be read",
		`{"oncalls":[{"user":{"id":"P1"}}],"more":true}`:                            "more than 10000 entries",
		`{"oncalls":[{"user":{"id":"` + strings.Repeat("x", 5<<20) + `"}}]}`:        "larger than",
	} {
		transport := roundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{}, Request: r}, nil
		})
		_, err := pagerduty.NewREST(pagerduty.RESTConfig{Token: apiToken, Transport: transport}).OnCalls(t.Context(), "P1", day(1), day(2))
		require.ErrorContains(t, err, want)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestABlackHoleEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := pagerdutytest.New(pagerdutytest.Config{APIToken: apiToken})
		s.Fail(pagerdutytest.Fault{BlackHole: true})
		begin := time.Now()
		_, err := onCalls(t, s, "P1", day(1), day(2))
		require.ErrorContains(t, err, "did not answer")
		assert.Equal(t, pagerduty.DefaultTimeout, time.Since(begin))
	})
}
