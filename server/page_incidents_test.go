package server_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// crowd is a store of many incidents, each with one alert; the newest is the first.
type crowd struct {
	reader
	list  []*tocsin.Incident
	asked int
}

func newCrowd(n int) *crowd {
	c := &crowd{}
	for i := range n {
		inc := &tocsin.Incident{
			ID: fmt.Sprintf("i%05d", i), Revision: 1, State: tocsin.Triggered, Severity: []tocsin.Severity{tocsin.Critical, tocsin.Error, tocsin.Warning, tocsin.Info}[i%4],
			Title: fmt.Sprintf("Node %d is down %s", i, strings.Repeat("<b>long", 100)), Receivers: []string{"platform", "b" + strings.Repeat("x", 200), "c", "d"},
			OpenedAt: now.Add(-time.Duration(i) * time.Minute), Alerts: 1, Firing: 1,
		}
		if i%10 == 0 {
			inc.State, inc.AcknowledgedBy = tocsin.Acknowledged, "ana"
		}
		c.list = append(c.list, inc)
	}
	return c
}

func (c *crowd) List(_ context.Context, f tocsin.Filter) ([]*tocsin.Incident, error) {
	c.filter = f
	var out []*tocsin.Incident
	for _, i := range c.list {
		if len(out) < f.Limit && (len(f.States) == 0 || slices.Contains(f.States, i.State)) {
			out = append(out, i)
		}
	}
	return out, c.err
}

func (c *crowd) AlertsOf(_ context.Context, id string, _ int) ([]tocsin.AlertRecord, error) {
	c.asked++
	return []tocsin.AlertRecord{{Alert: tocsin.Alert{Labels: tocsin.Labels{"alertname": "NodeDown", "node": id}}, State: tocsin.AlertState{Firing: true}}}, c.err
}

func withCrowd(t testing.TB, n int) (*world, *crowd) {
	t.Helper()
	c := newCrowd(n)
	return newWorld(t, server.Config{}, func(d *server.Deps) { d.Reader = c }), c
}

func rowsOf(page string) []string {
	var ids []string
	for _, part := range strings.Split(page, `data-row="`)[1:] {
		id, _, _ := strings.Cut(part, `"`)
		ids = append(ids, id)
	}
	return ids
}

// Ten thousand open incidents make a page of a hundred, and no more than 100 KB.
func TestListOfManyIncidents(t *testing.T) {
	t.Parallel()
	w, _ := withCrowd(t, 10_000)
	rec := w.ask("GET", "/", "")
	require.Equal(t, 200, rec.Code)
	page := safe(t, rec)
	assert.Less(t, rec.Body.Len(), 100_000)
	rows := rowsOf(page)
	assert.Len(t, rows, 100)
	assert.Equal(t, "i00000", rows[0])
	assert.Contains(t, page, "1 to 100 of 10000 incidents, 9000 not acknowledged")
	assert.Contains(t, page, `href="/?page=2"`)

	last := rowsOf(safe(t, w.ask("GET", "/?page=100", "")))
	assert.Equal(t, "i09999", last[99])
	assert.Equal(t, last, rowsOf(safe(t, w.ask("GET", "/?page=999999", ""))), "what is beyond the end is the end")
	assert.Equal(t, rows, rowsOf(safe(t, w.ask("GET", "/?page=-1", ""))))

	part := w.ask("GET", "/?part=list", "")
	assert.Equal(t, rows, rowsOf(part.Body.String()))
	assert.True(t, strings.HasPrefix(part.Body.String(), `<div id="list"`), "the list alone")
	assert.Contains(t, part.Header().Get("Content-Security-Policy"), "default-src 'none'")
}

func TestListFilters(t *testing.T) {
	t.Parallel()
	w, c := withCrowd(t, 400)
	ask := func(query string) string { return safe(t, w.ask("GET", "/?"+query, "", "X-Tocsin-User", "ana")) }
	assert.Len(t, rowsOf(ask("q="+url.QueryEscape(`node=~"i0000[1-3]"`))), 3)
	assert.Equal(t, 400, c.asked)
	assert.Equal(t, []string{"i00007"}, rowsOf(ask("q="+url.QueryEscape(`{alertname="NodeDown", node="i00007"}`))))
	assert.Equal(t, 400, c.asked, "labels are remembered as long as no alert comes")
	assert.Contains(t, ask("q="+url.QueryEscape(`node="none"`)), "No incident is like that.")

	assert.Contains(t, ask("state=acknowledged"), "of 40 incidents"[3:])
	assert.Equal(t, []tocsin.State{tocsin.Acknowledged}, c.filter.States)
	assert.False(t, c.filter.Archived)
	ask("state=resolved")
	assert.True(t, c.filter.Archived, "what is resolved is in the archive too")
	assert.Contains(t, ask("severity=critical"), "100 incidents")
	assert.Contains(t, ask("severity=warning"), "of 300 incidents")
	assert.Contains(t, ask("mine=yes"), "40 incidents, 0 not acknowledged")
	assert.Equal(t, "i00399", rowsOf(ask("sort=oldest"))[0])
	assert.Equal(t, []string{"i00000", "i00004"}, rowsOf(ask("sort=severity"))[:2])
	assert.Contains(t, ask("sort=severity&severity=error&page=1"), `href="/?severity=error&amp;sort=severity&amp;page=2"`)
	assert.Contains(t, ask("state=acknowledged"), `name="back" value="state=acknowledged"`, "after the form one is where one was")
}

// What is wrong with the matchers is said where they are typed.
func TestListSaysWhatIsWrongWithMatchers(t *testing.T) {
	t.Parallel()
	w, _ := withCrowd(t, 3)
	for _, q := range []string{`severity=`, `node down`, `a=~"("`, strings.Repeat("a", 2000), `"><script>alert(1)</script>`} {
		rec := w.ask("GET", "/?q="+url.QueryEscape(q), "")
		assert.Equal(t, 400, rec.Code, q)
		page := safe(t, rec)
		assert.Contains(t, page, `aria-invalid="true" aria-describedby="q-wrong"`, q)
		assert.Contains(t, page, `id="q-wrong"`)
		assert.Empty(t, rowsOf(page), "a filter that is not understood shows nothing")
	}
}

// Who may only look has nothing to click.
func TestViewersHaveNoForms(t *testing.T) {
	t.Parallel()
	w := withIncident(t, server.Config{API: []server.Token{{Name: "vi", Token: "t", Role: tocsin.RoleViewer}}}, func(d *server.Deps) {
		d.Remedies, d.Remediator = &medicine{}, &medicine{}
	})
	for _, path := range []string{"/", "/incidents/k7f3q9", "/remediations", "/remediations/r1", "/runbooks", "/incidents/k7f3q9/remedies/restart-node"} {
		rec := w.ask("GET", path, "", "Authorization", "Bearer t")
		require.Equal(t, 200, rec.Code, path)
		assert.NotContains(t, safe(t, rec), `method="post"`, path)
		assert.Contains(t, rec.Body.String(), "may only look")
	}
	rec := w.send("/incidents/k7f3q9/note", formOf("text", "x"), "Authorization", "Bearer t")
	assert.Equal(t, 403, rec.Code)
	assert.Empty(t, w.router.acted)
}

// BenchmarkList is the first byte of the list of 10,000 open incidents.
func BenchmarkList(b *testing.B) {
	w, _ := withCrowd(b, 10_000)
	for name, query := range map[string]string{"all": "", "search": "?q=node%3D~%22i0000.%2A%22", "severity": "?sort=severity"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest("GET", "/"+query, nil)
				r.RemoteAddr, r.Host = "127.0.0.1:4711", "localhost:9911"
				rec := httptest.NewRecorder()
				if w.Handler().ServeHTTP(rec, r); rec.Code != 200 {
					b.Fatal(rec.Code)
				}
			}
		})
	}
}
