package live_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/tocsin-oncall/tocsin/runbooks/live"
)

const shared = "../../../shared/data"

func TestExprOf(t *testing.T) {
	t.Parallel()
	for link, want := range map[string]string{
		"http://prometheus:9090/graph?g0.expr=up&g0.tab=1":                                                "up",
		"https://prom.example.com/x/graph?g0.expr=up%7Ba%3D%22%C3%A9+b%22%7D+%3D%3D+0%0A++and+x&g0.tab=1": "up{a=\"é b\"} == 0\n  and x",
		"/graph?g0.expr=up":                           "up",
		"http://p/query?g0.tab=1&g0.expr=a&g0.expr=b": "a",
		"":                                       "",
		"http://p/graph":                         "",
		"http://p/graph?g0.expr=":                "",
		"http://p/graph?g0.expr=+":               "",
		"http://p/graph?g0.expr=%ff":             "",
		"http://p/graph?g0.expr=a%00b":           "",
		"http://p/graph?g0.expr=a%E2%80%AEb":     "",
		"http://p/graph?g0.expr=%zz":             "",
		"http://[::1/graph?g0.expr=up":           "",
		"http://grafana/alerting/grafana/x/view": "",
		"http://p/graph?g0.expr=" + strings.Repeat("a", live.MaxExpr):   strings.Repeat("a", live.MaxExpr),
		"http://p/graph?g0.expr=" + strings.Repeat("a", live.MaxExpr+1): "",
		"http://p/graph?g0.expr=up&x=" + strings.Repeat("a", 1<<20):     "",
	} {
		got, ok := live.ExprOf(link)
		assert.Equal(t, want, got, link)
		assert.Equal(t, want != "", ok)
	}
}

// TestExprOfRealBodies reads what a real Alertmanager has sent.
func TestExprOfRealBodies(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(shared + "/webhooks/*.json")
	require.NoError(t, err)
	if len(files) == 0 {
		t.Skip("no recorded webhooks in " + shared)
	}
	found := 0
	for _, file := range files {
		var body struct {
			Alerts []struct {
				GeneratorURL string `json:"generatorURL"`
			} `json:"alerts"`
		}
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(data, &body), file)
		for _, a := range body.Alerts {
			if strings.Contains(a.GeneratorURL, "g0.expr=") {
				expr, ok := live.ExprOf(a.GeneratorURL)
				assert.True(t, ok, "%s: %s", file, a.GeneratorURL)
				assert.NotEmpty(t, expr)
				found++
			}
		}
	}
	assert.Positive(t, found)
}

func TestThreshold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		expr, compared string
		limit          float64
	}{
		{`up == 0`, `up`, 0},
		{`(count(up{job=~"b.*"} == 0) / count(up)) > 0.3`, `(count(up{job=~"b.*"} == 0) / count(up))`, 0.3},
		{" ((rate(x[5m]) >= 1e3))\n", `rate(x[5m])`, 1000},
		{`5 < x`, `x`, 5},
		{`a{b="c > 1 and"} != -1.5`, `a{b="c > 1 and"}`, -1.5},
		{"a{b='\\'>'} > .5", `a{b='\'>'}`, .5},
		{"a{b=`\\`} < 5.", "a{b=`\\`}", 5},
		{`1 - avg(x) > 0.9`, `1 - avg(x)`, 0.9},
		{`android > 1`, `android`, 1},
		{`a / on(x) group_left b > 2`, `a / on(x) group_left b`, 2},
		{`sum(a and b) > 1`, `sum(a and b)`, 1},
	} {
		compared, limit, ok := live.Threshold(c.expr)
		assert.True(t, ok, c.expr)
		assert.Equal(t, c.compared, compared)
		assert.Equal(t, c.limit, limit)
	}
	for _, expr := range []string{
		``, `up`, `a > b`, `1 > 2`, `a > 1 and b`, `a and(b) > 1`, `a AND b > 1`, `a or{x="y"} > 1`, `a unless b > 1`, `a > bool 1`, `a > 1 < 2`, `a > 1 # and b`,
		`a > `, `> 1`, `a > Inf`, `a > 1h`, `a > 1e999`, `(a > 1`, `a) > 1`, `a{b="c} > 1`, `a =~ 1`, `(a) > (1)`, `absent(up)`,
		`a > 1 offset 5m`, strings.Repeat("(", live.MaxExpr) + "a > 1",
	} {
		compared, _, ok := live.Threshold(expr)
		assert.False(t, ok, "%s gives %s", expr, compared)
	}
}

// TestThresholdOfRealRules: most of them compare with a number.
func TestThresholdOfRealRules(t *testing.T) {
	t.Parallel()
	exprs := realRules(t)
	taken := 0
	for _, expr := range exprs {
		if compared, _, ok := live.Threshold(expr); ok {
			assert.Contains(t, expr, compared)
			taken++
		}
	}
	assert.Greater(t, taken, len(exprs)/2)
}

// realRules are the expressions of the rules in the shared data.
func realRules(t *testing.T) []string {
	t.Helper()
	var exprs []string
	for _, file := range []string{"bitcell-alerts.yml", "fusion-alert-rules.yml"} {
		data, err := os.ReadFile(filepath.Join(shared, "rules", file))
		if err != nil {
			t.Skip("no rules in " + shared)
		}
		var rules struct {
			Groups []struct {
				Rules []struct {
					Expr string `yaml:"expr"`
				} `yaml:"rules"`
			} `yaml:"groups"`
		}
		require.NoError(t, yaml.Unmarshal(data, &rules))
		for _, g := range rules.Groups {
			for _, r := range g.Rules {
				exprs = append(exprs, r.Expr)
			}
		}
	}
	require.NotEmpty(t, exprs)
	return exprs
}

func FuzzExpr(f *testing.F) {
	for _, s := range []string{"up == 0", "a and(b) > 1", "((a)) > 1", "a{b=\"\\\"\"} < 1", "http://p/graph?g0.expr=up+%3E+1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if compared, limit, ok := live.Threshold(s); ok {
			if compared == "" || !strings.Contains(s, compared) || limit != limit {
				t.Fatalf("%q gives %q and %v", s, compared, limit)
			}
		}
		if expr, ok := live.ExprOf(s); ok && (expr == "" || len(expr) > live.MaxExpr) {
			t.Fatalf("%q gives %q", s, expr)
		}
		link := "http://p/graph?g0.expr=" + url.QueryEscape(s) + "&g0.tab=1"
		if expr, ok := live.ExprOf(link); ok && expr != strings.TrimSpace(s) {
			t.Fatalf("%q gives %q", link, expr)
		}
	})
}
