package server_test

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// followLink asks for where a link of a page leads.
func followLink(t testing.TB, w *world, page, text string) string {
	t.Helper()
	m := regexp.MustCompile(`<a href="([^"]+)"[^>]*>` + regexp.QuoteMeta(text) + `</a>`).FindStringSubmatch(page)
	require.NotNil(t, m, "there is a link %s", text)
	rec := w.ask("GET", strings.ReplaceAll(m[1], "&amp;", "&"), "")
	require.Equal(t, 200, rec.Code)
	return safe(t, rec)
}

// shownEvents are the numbers of the events that a page of the audit log shows.
func shownEvents(page string) (list []string) {
	for _, m := range regexp.MustCompile(`<li id="e(\d+)">`).FindAllStringSubmatch(page, -1) {
		list = append(list, m[1])
	}
	return list
}

func TestAuditPage(t *testing.T) {
	t.Parallel()
	l := newAuditLog(t, 1234)
	last := &l.records[1233]
	raw, err := json.Marshal(tocsin.Event{
		Seq: 1234, Kind: tocsin.EventOverride, At: now, Actor: "ana" + evil, Origin: "page from 10.0.3.7", Text: "moved " + evil, Before: `{"same":1,"until":"9:00<script>"}`, After: `{"same":1,"until":"10:00","who":"bo"}`, Incident: "k7f3q9",
	})
	require.NoError(t, err)
	last.Raw, last.Hash = raw, l.records[1232].Hash.Next(raw)
	w := newWorld(t, server.Config{}, func(d *server.Deps) { d.Audit = l })
	page := safe(t, w.ask("GET", "/system/audit?kind=all", ""))
	for _, want := range []string{
		"1234 events so far", last.Hash.String(), "not since Tocsin was started", "moved &lt;script&gt;", "page from 10.0.3.7",
		`<a href="/incidents/k7f3q9">`, `<dt>until</dt> <dd><del><bdi>9:00&lt;script`, `<dt>who</dt> <dd><bdi>bo</bdi></dd>`, `<strong><bdi>Tocsin</bdi></strong>`,
	} {
		assert.Contains(t, page, want)
	}
	shown := shownEvents(page)
	require.Len(t, shown, 50)
	assert.Equal(t, []string{"1234", "1185"}, []string{shown[0], shown[49]}, "the newest first")
	assert.NotContains(t, page, ">Newer<")
	assert.Less(t, len(page), 40<<10)

	older := followLink(t, w, page, "Older")
	assert.Equal(t, "1184", shownEvents(older)[0])
	newer := followLink(t, w, followLink(t, w, older, "Older"), "Newer")
	assert.Equal(t, shownEvents(older), shownEvents(newer), "there and back")
	assert.Equal(t, shown, shownEvents(followLink(t, w, newer, "Newest")))
	oldest := safe(t, w.ask("GET", "/system/audit?kind=all&before=3", ""))
	assert.Equal(t, []string{"2", "1"}, shownEvents(oldest))
	assert.NotContains(t, oldest, ">Older<")

	assert.NotContains(t, page, "<dt>same</dt>", "what is as it was")
	filtered := safe(t, w.ask("GET", "/system/audit?actor=ana&kind=silence", ""))
	assert.Equal(t, []string{"1201", "1051", "901", "751", "601", "451", "301", "151", "1"}, shownEvents(filtered))
	assert.Contains(t, filtered, `<option value="silence" selected>silence</option>`)
	assert.Contains(t, filtered, `name="actor" value="ana"`)
	assert.Equal(t, []string{"1234", "1231", "1228"}, shownEvents(safe(t, w.ask("GET", "/system/audit", "")))[:3], "what people did")
	none := safe(t, w.ask("GET", "/system/audit?actor="+url.QueryEscape(`"><b>`), ""))
	assert.Contains(t, none, "Nothing that fits")
	assert.Equal(t, 400, w.ask("GET", "/system/audit?actor=%07", "").Code)
	assert.Contains(t, safe(t, newWorld(t, server.Config{}, func(d *server.Deps) { d.Audit = newAuditLog(t, 0) }).ask("GET", "/system/audit", "")), "Nobody has changed anything yet.")
}

func TestAuditPageVerifies(t *testing.T) {
	t.Parallel()
	l := newAuditLog(t, 60)
	w := newWorld(t, server.Config{}, func(d *server.Deps) { d.Audit = l })
	rec := w.send("/audit/verify", formOf())
	require.Equal(t, 303, rec.Code)
	assert.Equal(t, "/system/audit?done=verified", rec.Header().Get("Location"))
	assert.Contains(t, safe(t, w.ask("GET", "/system/audit?kind=all", "")), "✓ it fits</strong>: 60 events")
	l.records[30].Raw = []byte(strings.Replace(string(l.records[30].Raw), "note", "nope", 1))
	require.Equal(t, 303, w.send("/audit/verify", formOf()).Code)
	page := safe(t, w.ask("GET", "/system/audit?kind=all", ""))
	assert.Contains(t, page, "✕ it does not fit</strong> at event 31: ")
	assert.Equal(t, 403, w.send("/audit/verify", formOf(), "Sec-Fetch-Site", "cross-site").Code, "no other site keeps the machine busy")
}

// What of the log is gone, or cannot be read, is no reason to show nothing.
func TestAuditPageOfARetainedLog(t *testing.T) {
	t.Parallel()
	l := newAuditLog(t, 100)
	l.kept = 91
	l.records[95].Raw = []byte(`{"seq":96,"kind":1}`)
	w := newWorld(t, server.Config{}, func(d *server.Deps) { d.Audit = l })
	page := safe(t, w.ask("GET", "/system/audit?kind=all", ""))
	assert.Len(t, shownEvents(page), 10)
	assert.Contains(t, page, "This record cannot be read")
	assert.NotContains(t, page, ">Older<")
}
