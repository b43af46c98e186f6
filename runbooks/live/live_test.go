package live_test

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks/live"
	"github.com/tocsin-oncall/tocsin/runbooks/live/livetest"
)

const token = "s3cr3t-t0ken"

var at = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// fake starts an emulator and a client of it.
func fake(t testing.TB, c live.Config) (*livetest.Server, *live.Client) {
	t.Helper()
	prom := &livetest.Server{Token: token, Now: func() time.Time { return at }}
	srv := httptest.NewServer(prom)
	t.Cleanup(srv.Close)
	c.URL, c.BearerToken = srv.URL+"/", token
	if c.Timeout == 0 {
		c.Timeout = time.Minute // a busy machine is slow
	}
	client, err := live.New(c)
	require.NoError(t, err)
	return prom, client
}

// raw has the emulator answer with a body as it is.
func raw(prom *livetest.Server, body string) {
	prom.Fail(livetest.Fault{Status: http.StatusOK, Body: body})
}

// metrics are the counters, and the counts of the histograms, one a line.
func metrics(t *testing.T, reg *prometheus.Registry) string {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	var b strings.Builder
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			n := m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			fmt.Fprintf(&b, "%s{%s} %v\n", f.GetName(), strings.Join(labels, ","), n)
		}
	}
	return b.String()
}

func TestNewSaysWhatIsWrongWithTheURL(t *testing.T) {
	t.Parallel()
	for _, u := range []string{"", "prometheus:9090", "ftp://prometheus", "http://", "http://p/?x=1", "http://p/#x", "http://user:hunter2@p:bad/"} {
		_, err := live.New(live.Config{URL: u})
		require.ErrorIs(t, err, tocsin.ErrInvalid, u)
		assert.ErrorContains(t, err, "prometheus.url")
		assert.NotContains(t, err.Error(), "hunter2")
	}
}

func TestQuery(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	prom, client := fake(t, live.Config{Registerer: reg})
	prom.Set("up", livetest.Constant(1, livetest.Labels{"__name__": "up", "instance": "node-1"}), livetest.Constant(math.Inf(1), livetest.Labels{"é": "\"<\u202e"}))

	r, err := client.Query(t.Context(), "up", at.Add(1500*time.Millisecond))
	require.NoError(t, err)
	assert.Equal(t, live.Result{Type: live.TypeVector, Total: 2, Series: []live.Series{
		{Labels: tocsin.Labels{"__name__": "up", "instance": "node-1"}, Points: []live.Point{{At: at.Add(1500 * time.Millisecond), Value: 1}}},
		{Labels: tocsin.Labels{"é": "\"<\u202e"}, Points: []live.Point{{At: at.Add(1500 * time.Millisecond), Value: math.Inf(1)}}},
	}}, r)
	q := prom.Asked()[0]
	assert.Equal(t, "POST", q.Method)
	assert.Equal(t, "101", q.Limit)
	assert.Equal(t, "1795341601.500", q.Time)
	assert.Regexp(t, `^\d+ms$`, q.Timeout)

	r, err = client.Query(t.Context(), "nothing", time.Time{})
	require.NoError(t, err)
	assert.Zero(t, r.Total)
	assert.Empty(t, prom.Asked()[1].Time, "Prometheus' own now")
	assert.Contains(t, metrics(t, reg), "tocsin_prometheus_query_seconds{kind=query} 2")
}

func TestRange(t *testing.T) {
	t.Parallel()
	prom, client := fake(t, live.Config{})
	prom.Set("load", livetest.Series{Value: func(when time.Time) float64 {
		if when.Equal(at.Add(time.Minute)) {
			return math.NaN() // a gap
		}
		return when.Sub(at).Minutes()
	}})
	r, err := client.Range(t.Context(), "load", at, at.Add(3*time.Minute), time.Minute)
	require.NoError(t, err)
	assert.Equal(t, live.TypeMatrix, r.Type)
	assert.Equal(t, []live.Point{{at, 0}, {at.Add(2 * time.Minute), 2}, {at.Add(3 * time.Minute), 3}}, r.Series[0].Points)

	for _, c := range []struct {
		from, to time.Time
		step     time.Duration
	}{{at, at.Add(-1), time.Second}, {at, at.Add(time.Hour), 0}, {at, at.Add(time.Hour), -time.Second}, {at, at.Add(1000 * time.Second), time.Second}} {
		_, err := client.Range(t.Context(), "load", c.from, c.to, c.step)
		assert.ErrorIs(t, err, tocsin.ErrInvalid)
	}
	assert.Len(t, prom.Asked(), 1, "what is wrong is not asked")
	for _, w := range []time.Duration{0, time.Second, time.Minute, time.Hour, 24 * time.Hour, 30 * 24 * time.Hour, math.MaxInt64 / 2} {
		assert.Less(t, w/live.Step(w), time.Duration(live.MaxPoints), w)
	}
	assert.Equal(t, 15*time.Second, live.Step(time.Hour))
}

func TestAPathOfTheURLIsKept(t *testing.T) {
	t.Parallel()
	prom := &livetest.Server{}
	srv := httptest.NewServer(http.StripPrefix("/prom", prom))
	t.Cleanup(srv.Close)
	client, err := live.New(live.Config{URL: srv.URL + "/prom/", Timeout: time.Minute})
	require.NoError(t, err)
	_, err = client.Query(t.Context(), "up", at)
	require.NoError(t, err)
	assert.Equal(t, "/api/v1/query", prom.Asked()[0].Path)
}

func TestAProxyThatRefusesPostIsAskedWithGet(t *testing.T) {
	t.Parallel()
	prom, client := fake(t, live.Config{})
	prom.Set("up{a=\"b&c\"}", livetest.Constant(1, nil))
	prom.Fail(livetest.Fault{NoPost: true})
	yes, err := client.Yes(t.Context(), "up{a=\"b&c\"}")
	require.NoError(t, err)
	assert.True(t, yes)
	assert.Equal(t, "GET", prom.Asked()[1].Method)
}

func TestYes(t *testing.T) {
	t.Parallel()
	prom, client := fake(t, live.Config{})
	many := make([]livetest.Series, 150)
	for n := range many {
		many[n] = livetest.Constant(float64(n), livetest.Labels{"n": fmt.Sprint(n)})
	}
	prom.Set("many", many...)
	prom.Set("zero", livetest.Constant(0, nil))
	for expr, want := range map[string]bool{"many": true, "zero": true, "none": false} {
		yes, err := client.Yes(t.Context(), expr)
		require.NoError(t, err)
		assert.Equal(t, want, yes, expr)
	}
	assert.Empty(t, prom.Asked()[0].Limit, "a limit would make Prometheus warn")

	raw(prom, `{"status":"success","data":{"resultType":"scalar","result":[1,"0"]}}`)
	yes, err := client.Yes(t.Context(), "scalar")
	require.NoError(t, err)
	assert.True(t, yes, "as in a rule")
	raw(prom, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{"count":"1"}]}]}}`)
	yes, err = client.Yes(t.Context(), "histogram")
	require.NoError(t, err)
	assert.True(t, yes)
	raw(prom, `{"status":"success","data":{"resultType":"string","result":[1,"yes"]}}`)
	_, err = client.Yes(t.Context(), `"yes"`)
	assert.ErrorIs(t, err, tocsin.ErrInvalid)
}

func TestValue(t *testing.T) {
	t.Parallel()
	prom, client := fake(t, live.Config{})
	prom.Set("one", livetest.Constant(12.5, nil))
	prom.Set("two", livetest.Constant(1, livetest.Labels{"n": "1"}), livetest.Constant(1, livetest.Labels{"n": "2"}))
	prom.Set("inf", livetest.Constant(math.Inf(1), nil))
	v, err := client.Value(t.Context(), "one")
	require.NoError(t, err)
	assert.Equal(t, 12.5, v)
	for expr, says := range map[string]string{"two": "gives 2", "none": "gives none", "inf": "finite"} {
		_, err := client.Value(t.Context(), expr)
		require.ErrorIs(t, err, tocsin.ErrInvalid, expr)
		assert.ErrorContains(t, err, says)
	}
	for body, says := range map[string]string{
		`"scalar","result":[1,"NaN"]`:                                                                        "finite",
		`"vector","result":[{"metric":{},"histogram":[1,{"count":"1"}]}]`:                                    "gives a histogram",
		`"matrix","result":[{"metric":{},"values":[[1,"1"],[2,"2"]]}]`:                                       "gives 2",
		`"vector","result":[{"metric":{},"value":[1,"1"],"histogram":[1,{}]},{"metric":{},"value":[1,"1"]}]`: "gives 2",
	} {
		raw(prom, `{"status":"success","data":{"resultType":`+body+`}}`)
		_, err := client.Value(t.Context(), "x")
		require.ErrorIs(t, err, tocsin.ErrInvalid, body)
		assert.ErrorContains(t, err, says)
	}
}

func TestNothingIsDecidedByHalfAnAnswer(t *testing.T) {
	t.Parallel()
	prom, client := fake(t, live.Config{})
	prom.Set("up == 0", livetest.Constant(0, nil))
	prom.Fail(livetest.Fault{Warnings: []string{"store thanos-1\nis away"}})
	_, err := client.Yes(t.Context(), "up == 0")
	require.ErrorIs(t, err, tocsin.ErrUnavailable)
	assert.ErrorContains(t, err, "store thanos-1 is away")
	_, err = client.Value(t.Context(), "up == 0")
	require.ErrorIs(t, err, tocsin.ErrUnavailable)

	r, err := client.Query(t.Context(), "up == 0", at)
	require.NoError(t, err, "people are shown it, with the warning")
	assert.Equal(t, []string{"store thanos-1 is away"}, r.Warnings)
}

func TestPrometheusOwnWords(t *testing.T) {
	t.Parallel()
	prom, client := fake(t, live.Config{})
	for _, c := range []struct {
		fault livetest.Fault
		is    error
		says  string
	}{
		{livetest.Fault{Type: "bad_data", Text: `invalid parameter "query": 1:3: parse error: unexpected end of input`}, tocsin.ErrInvalid, `bad_data: invalid parameter "query": 1:3: parse error: unexpected end of input`},
		{livetest.Fault{Status: 422, Type: "execution", Text: "multiple matches for labels"}, tocsin.ErrInvalid, "execution: multiple matches"},
		{livetest.Fault{Status: 503, Type: "timeout", Text: "query timed out in expression evaluation"}, tocsin.ErrUnavailable, "timeout: query timed out"},
		{livetest.Fault{Status: 500, Body: "<html>" + token}, tocsin.ErrUnavailable, "answers 500"},
		{livetest.Fault{Status: 403, Body: "no"}, tocsin.ErrUnavailable, "bearer_token"},
		{livetest.Fault{Status: 404}, tocsin.ErrUnavailable, "correct prometheus.url"},
		{livetest.Fault{Status: 200, Body: "<html>log in</html>"}, tocsin.ErrUnavailable, "does not answer as Prometheus does"},
		{livetest.Fault{Status: 200, Body: `{"status":"success"}`}, tocsin.ErrUnavailable, "cannot be read"},
		{livetest.Fault{Type: "bad_data", Text: "a\x00b\u202ec\n" + token + strings.Repeat("é", 5000)}, tocsin.ErrInvalid, "bad_data: a b c <secret>éé"},
	} {
		prom.Fail(c.fault)
		for _, ask := range []func() error{
			func() error { _, err := client.Query(t.Context(), "up", at); return err },
			func() error {
				_, err := client.Range(t.Context(), "up", at, at.Add(time.Hour), time.Minute)
				return err
			},
			func() error { _, err := client.Yes(t.Context(), "up"); return err },
		} {
			err := ask()
			require.ErrorIs(t, err, c.is)
			assert.ErrorContains(t, err, c.says)
			assert.NotContains(t, err.Error(), token)
			assert.NotContains(t, err.Error(), "\n")
			assert.Less(t, len(err.Error()), 600)
		}
	}
}

func TestAnAnswerIsReadExactly(t *testing.T) {
	t.Parallel()
	prom, client := fake(t, live.Config{})
	for _, body := range []string{
		`null`, `{"resultType":"vector"}`, `{"resultType":"vector","result":{}}`, `{"resultType":"vector","result":null}`, `{"resultType":"streams","result":[]}`,
		`{"resultType":"vector","result":[{"metric":{},"value":[1]}]}`, `{"resultType":"vector","result":[{"metric":{},"value":[1,2]}]}`,
		`{"resultType":"vector","result":[{"metric":{},"value":["1","2"]}]}`, `{"resultType":"vector","result":[{"metric":{},"value":[1,"two"]}]}`,
		`{"resultType":"vector","result":[{"metric":{"a":1},"value":[1,"1"]}]}`, `{"resultType":"vector","result":[{"metric":{}}]}`,
		`{"resultType":"vector","result":[{"metric":{},"value":[1e300,"1"]}]}`, `{"resultType":"scalar","result":null}`, `{"resultType":"scalar"}`,
	} {
		raw(prom, `{"status":"success","data":`+body+`}`)
		_, err := client.Yes(t.Context(), "up")
		require.ErrorIs(t, err, tocsin.ErrUnavailable, body)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	prom, client := fake(t, live.Config{})
	var series, points []string
	for n := range 3000 {
		series = append(series, fmt.Sprintf(`{"metric":{"n":"%d"},"value":[1,"1"]}`, n))
		points = append(points, fmt.Sprintf(`[%d,"%d"]`, n, n))
	}
	raw(prom, `{"status":"success","data":{"resultType":"vector","result":[`+strings.Join(series, ",")+`]}}`)
	r, err := client.Query(t.Context(), "up", at)
	require.NoError(t, err)
	assert.Len(t, r.Series, live.MaxSeries)
	assert.Equal(t, 3000, r.Total)
	assert.True(t, r.Cut)

	raw(prom, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[`+strings.Join(points, ",")+`]}]}}`)
	r, err = client.Query(t.Context(), "up[1d]", at)
	require.NoError(t, err)
	require.Len(t, r.Series[0].Points, live.MaxPoints)
	assert.Equal(t, 2999.0, r.Series[0].Points[live.MaxPoints-1].Value, "the newest are kept")
	assert.True(t, r.Cut)

	raw(prom, strings.Repeat(" ", live.MaxBody)+`{"status":"success","data":{"resultType":"vector","result":[]}}`)
	_, err = client.Yes(t.Context(), "up")
	require.ErrorIs(t, err, tocsin.ErrUnavailable)
	assert.ErrorContains(t, err, "larger than 4 MiB")

	for _, expr := range []string{"", " \n", strings.Repeat("a", live.MaxExpr+1), "up{a=\"\xff\"}"} {
		_, err := client.Yes(t.Context(), expr)
		assert.ErrorIs(t, err, tocsin.ErrInvalid)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	trap := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("asked %s with %q", r.URL, r.Header.Get("Authorization"))
	}))
	t.Cleanup(trap.Close)
	follows := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}
	for _, c := range []live.Config{{}, {HTTPClient: follows}} {
		prom, client := fake(t, c)
		for _, status := range []int{301, 302, 307, 308} {
			prom.Fail(livetest.Fault{Location: trap.URL + "/?sid=hunter2", Status: status})
			_, err := client.Query(t.Context(), "up", at)
			require.ErrorIs(t, err, tocsin.ErrUnavailable)
			assert.ErrorContains(t, err, "redirects are not followed")
			assert.NotContains(t, err.Error(), "hunter2")
		}
	}
}

func TestASlowPrometheusHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	prom, client := fake(t, live.Config{Timeout: 50 * time.Millisecond, Registerer: reg})
	prom.Fail(livetest.Fault{Hangs: true})
	_, err := client.Yes(t.Context(), "up")
	require.ErrorIs(t, err, tocsin.ErrUnavailable)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorContains(t, err, "did not answer in time (it has 50ms at most)")
	assert.Contains(t, metrics(t, reg), "tocsin_prometheus_query_errors_total{kind=probe,reason=unavailable} 1")

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = client.Query(gone, "up", at)
	require.ErrorIs(t, err, context.Canceled)
	assert.NotErrorIs(t, err, tocsin.ErrUnavailable)
}

// TestProbesDoNotWaitForThoseWhoLook: many open pages and a hanging Prometheus
// take the slots; what decides about a remedy is asked all the same.
func TestProbesDoNotWaitForThoseWhoLook(t *testing.T) {
	t.Parallel()
	prom, client := fake(t, live.Config{})
	prom.Fail(livetest.Fault{Hangs: true})
	ctx, leave := context.WithCancel(t.Context())
	var pages sync.WaitGroup
	for range 20 {
		pages.Go(func() {
			// One that leaves makes room for another, which may be answered before it is
			// told to leave as well.
			if _, err := client.Query(ctx, "up", at); err != nil {
				assert.ErrorIs(t, err, context.Canceled)
			}
		})
	}
	require.Eventually(t, func() bool { return len(prom.Asked()) == 8 }, 30*time.Second, 5*time.Millisecond, "eight at once")
	prom.Fail(livetest.Fault{})
	prom.Set("up", livetest.Constant(1, nil))
	yes, err := client.Yes(t.Context(), "up")
	require.NoError(t, err)
	assert.True(t, yes)
	leave()
	pages.Wait()
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	u, err := url.Parse(srv.URL)
	require.NoError(t, err)
	u.User = url.UserPassword("tocsin", "hunter2")
	client, err := live.New(live.Config{URL: u.String(), BearerToken: token, Timeout: time.Minute})
	require.NoError(t, err)
	_, err = client.Query(t.Context(), "secret_metric", at)
	require.ErrorIs(t, err, tocsin.ErrUnavailable)
	assert.ErrorContains(t, err, "see whether prometheus.url is right")
	for _, hidden := range []string{"hunter2", token, "secret_metric"} {
		assert.NotContains(t, err.Error(), hidden)
	}
	var said *live.Error
	assert.NotErrorAs(t, err, &said)
}
