package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// silences keeps what it is given.
type silences struct {
	list []tocsin.Silence
	puts int
	err  error
}

func (s *silences) PutSilence(ctx context.Context, in tocsin.Silence) (tocsin.Silence, error) {
	if s.err != nil {
		return in, s.err
	}
	s.puts++
	for i := range s.list {
		if s.list[i].ID == in.ID {
			if err := tocsin.Allowed(ctx, &s.list[i]); err != nil {
				return in, err
			}
			s.list[i] = in
			return in, nil
		}
	}
	in.ID = fmt.Sprintf("s%d", len(s.list)+1)
	s.list = append(s.list, in)
	return in, nil
}

func (s *silences) ExpireSilence(ctx context.Context, id, by string) error {
	for i := range s.list {
		if s.list[i].ID == id {
			if err := tocsin.Allowed(ctx, &s.list[i]); err != nil {
				return err
			}
			s.list[i].EndsAt, s.list[i].Comment = now, s.list[i].Comment+" ended by "+by
			return nil
		}
	}
	return tocsin.ErrNotFound
}

func (s *silences) Silences(context.Context) ([]tocsin.Silence, error) { return s.list, s.err }

func withSilences(t testing.TB, hides func([]string) (tocsin.Hidden, error), change ...func(*server.Deps)) (*world, *silences) {
	t.Helper()
	k := &silences{}
	w := newWorld(t, server.Config{}, append(change, func(d *server.Deps) {
		d.Silencer = k
		if hides != nil {
			d.Hides = func(_ context.Context, _ *tocsin.Principal, ms []string) (tocsin.Hidden, error) { return hides(ms) }
		}
	})...)
	return w, k
}

func preview(pairs ...string) string { return "/silences/preview?" + formOf(pairs...).Encode() }

// hidden are the fields of the form that confirms.
func hidden(t testing.TB, page string) url.Values {
	t.Helper()
	_, form, ok := strings.Cut(page, `<form method="post" action="/silences"`)
	require.True(t, ok)
	form, _, _ = strings.Cut(form, "</form>")
	out := url.Values{}
	for _, field := range strings.Split(form, `<input type="hidden" name="`)[1:] {
		name, rest, _ := strings.Cut(field, `" value="`)
		value, _, _ := strings.Cut(rest, `"`)
		out.Set(name, strings.NewReplacer("&#34;", `"`, "&#43;", "+", "&amp;", "&", "&lt;", "<", "&gt;", ">", "&#39;", "'").Replace(value))
	}
	return out
}

// From the form over the preview to the silence, by forms alone.
func TestSilenceFromThePage(t *testing.T) {
	t.Parallel()
	var asked []string
	w, k := withSilences(t, func(ms []string) (tocsin.Hidden, error) {
		asked = ms
		inc := &tocsin.Incident{ID: "k7f3q9", Title: "Down" + evil, Severity: tocsin.Critical, OpenedAt: now}
		return tocsin.Hidden{
			Alerts: 41, Held: 2, Incidents: 30, First: []*tocsin.Incident{inc}, Least: true,
			Before: 7, Opened: 90, Looked: 90, Gone: 3, Latest: []*tocsin.Incident{inc},
		}, nil
	})
	page := safe(t, w.ask("GET", "/silences", ""))
	assert.Contains(t, page, `action="/silences/preview"`)
	assert.Contains(t, page, `<a href="/silences" aria-current="page">Silences</a>`)

	page = safe(t, w.ask("GET", preview("matchers", "alertname=\"Node<b>\", region=~us-.*\r\njob!=x", "for", "4h", "comment", "the provider <i>"), ""))
	assert.Equal(t, []string{`alertname="Node<b>"`, `region=~"us-.*"`, `job!="x"`}, asked)
	for _, want := range []string{
		"Nothing is silenced yet.", "Now it would hide at least 41 firing alerts of 30 incidents. 2 of the alerts page nobody already.", "and 29 incidents more",
		"In the last 30 days it would have hidden alerts of 7 of 90 incidents. Of 3 the alerts are not kept any more", "Down&lt;script", `href="/incidents/k7f3q9"`,
		"Silence until 2026-11-22 09:00:00 UTC", "the provider &lt;i&gt;",
	} {
		assert.Contains(t, page, want)
	}
	assert.Zero(t, k.puts, "looking makes nothing")

	f := hidden(t, page)
	rec := w.send("/silences", f)
	assert.Equal(t, 409, rec.Code, "so much is not hidden by the way")
	assert.Contains(t, safe(t, rec), "Yes: hide at least 41 alerts")
	assert.Empty(t, k.list)
	f.Set("sure", "yes")
	for range 2 {
		rec := w.send("/silences", f)
		require.Equal(t, 303, rec.Code, rec.Body.String())
		assert.Equal(t, "/silences?done=silenced", rec.Header().Get("Location"))
	}
	require.Len(t, k.list, 1, "sent twice, made once")
	assert.Equal(t, tocsin.Silence{
		ID: "s1", Matchers: asked, StartsAt: now, EndsAt: now.Add(4 * time.Hour), CreatedBy: "page", Comment: "the provider <i>",
	}, k.list[0])

	page = safe(t, w.ask("GET", "/silences?done=silenced", ""))
	assert.Contains(t, page, "Silenced.")
	extend := formOf("for", "1h", "shown", "2026-11-22T09:00:00Z")
	for range 2 {
		assert.Equal(t, 303, w.send("/silences/s1/extend", extend).Code)
	}
	assert.Equal(t, now.Add(5*time.Hour), k.list[0].EndsAt, "sent twice, extended once")
	rec = w.send("/silences/s1/extend", formOf("for", "2h", "shown", "2026-11-22T09:00:00Z"))
	assert.Equal(t, 409, rec.Code)
	assert.Contains(t, safe(t, rec), "somebody changed it")

	assert.Equal(t, 303, w.send("/silences/s1/expire", formOf()).Code)
	assert.Equal(t, "the provider <i> ended by page", k.list[0].Comment)
	assert.Equal(t, 409, w.send("/silences/s1/extend", formOf("for", "2h", "shown", "2026-11-22T05:00:00Z")).Code)
	page = safe(t, w.ask("GET", "/silences", ""))
	assert.Contains(t, page, `<summary><h2>Expired</h2>`)
	again := regexp.MustCompile(`<a href="([^"]+)">Again…`).FindStringSubmatch(page)
	require.NotNil(t, again)
	page = safe(t, w.ask("GET", strings.ReplaceAll(again[1], "&amp;", "&"), ""))
	assert.Contains(t, page, "alertname=&#34;Node&lt;b&gt;&#34;\nregion=~&#34;us-.*&#34;", "it begins with what the silence was")
	assert.Equal(t, 404, w.send("/silences/s9/expire", formOf()).Code)
	assert.Equal(t, 404, w.send("/silences/s9/extend", extend).Code)
	assert.Equal(t, 403, w.send("/silences", f, "Sec-Fetch-Site", "cross-site").Code)
	assert.Equal(t, 415, w.ask("POST", "/silences", "{}").Code)
}

// What is little is silenced by one button.
func TestHowMuchASilenceHides(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		hides, firing int
		much          bool
	}{{0, 0, false}, {2, 2, false}, {3, 6, true}, {3, 7, false}, {9, 100, false}, {10, 100, true}} {
		w, _ := withSilences(t, func([]string) (tocsin.Hidden, error) { return tocsin.Hidden{Alerts: tc.hides}, nil }, func(d *server.Deps) {
			d.Stats = func() tocsin.Stats { return tocsin.Stats{Firing: tc.firing} }
		})
		page := safe(t, w.ask("GET", preview("matchers", "a=b", "comment", "c"), ""))
		assert.Equal(t, tc.much, strings.Contains(page, `name="sure" value="yes" required`), "%d of %d", tc.hides, tc.firing)
	}
}

func TestSilencesThatAreRefused(t *testing.T) {
	t.Parallel()
	w, k := withSilences(t, nil)
	for name, tc := range map[string]struct{ field, value, want string }{
		"no matcher":      {"matchers", " \n", "want 1 to 64"},
		"half a matcher":  {"matchers", "severity=", ""},
		"half a class":    {"matchers", `a=~"[<b>"`, ""},
		"everything":      {"matchers", `a=~".*"`, "silence everything"},
		"too many":        {"matchers", strings.Repeat("a=b\n", 65), "want 1 to 64"},
		"a long one":      {"matchers", "a=" + strings.Repeat("x", 9000), "longer than"},
		"odd":             {"matchers", "a=\"x\u202ey\"", "not seen"},
		"odd why":         {"comment", evil, "not seen"},
		"no reason":       {"comment", "  ", "missing; say why"},
		"no duration":     {"for", "soon<b>", "want a duration"},
		"backwards":       {"for", "-1h", "want a duration"},
		"for ever":        {"for", "999999h", "want a duration"},
		"it is over":      {"until", "2026-11-22T04:00", "want a time in the future"},
		"no time":         {"until", "<b>", "want a time like"},
		"an odd year":     {"until", "9999-11-22T04:00", "want a year"},
		"from after till": {"from", "2099-11-22T04:00", ""},
	} {
		fields := formOf("matchers", "a=b", "for", "2h", "comment", "c")
		fields.Set(tc.field, tc.value)
		if name == "from after till" {
			fields.Set("until", "2026-11-23T04:00")
		}
		shown := w.ask("GET", "/silences/preview?"+fields.Encode(), "")
		made := w.send("/silences", fields)
		assert.Equal(t, []int{400, 400}, []int{shown.Code, made.Code}, name)
		for _, page := range []string{safe(t, shown), safe(t, made)} {
			assert.Contains(t, page, "Nothing was silenced.", name)
			assert.Contains(t, page, tc.want, name)
			assert.NotContains(t, page, `method="post" action="/silences"`, "%s: there is nothing to confirm", name)
		}
	}
	assert.Zero(t, k.puts)
	k.err = errors.New("secret path")
	rec := w.send("/silences", formOf("matchers", "a=b", "for", "2h", "comment", "c"))
	assert.Equal(t, 500, rec.Code)
	assert.NotContains(t, safe(t, rec), "secret path")
}

func TestPreviewThatCannotCount(t *testing.T) {
	t.Parallel()
	w, _ := withSilences(t, nil)
	page := safe(t, w.ask("GET", preview("matchers", "a=b", "comment", "c"), ""))
	assert.Contains(t, page, "Not known:")
	assert.Contains(t, page, `method="post" action="/silences"`, "it can be made all the same")
	w, _ = withSilences(t, func([]string) (tocsin.Hidden, error) { return tocsin.Hidden{}, errors.New("secret path") })
	page = safe(t, w.ask("GET", preview("matchers", "a=b", "comment", "c"), ""))
	assert.Contains(t, page, "Not known:")
	assert.NotContains(t, page, "secret path")
}

// Each silence says what it holds back; hostile text stays text; the page is bounded.
func TestSilencesPage(t *testing.T) {
	t.Parallel()
	w, k := withSilences(t, nil)
	w.reader.detail.incident = &tocsin.Incident{ID: "k7f3q9", State: tocsin.Triggered, Firing: 4, Suppressed: 3}
	alert := func(firing bool, reason, by string) tocsin.AlertRecord {
		return tocsin.AlertRecord{State: tocsin.AlertState{Firing: firing, Suppression: &tocsin.Suppression{Reason: reason, By: by}}}
	}
	w.reader.detail.alerts = []tocsin.AlertRecord{
		alert(true, tocsin.Silenced, "act"), alert(true, tocsin.Silenced, "act"), alert(false, tocsin.Silenced, "act"), alert(true, tocsin.Inhibited, "act"), {State: tocsin.AlertState{Firing: true}},
	}
	one := func(id string, from, to time.Duration) tocsin.Silence {
		return tocsin.Silence{ID: id, Matchers: []string{`a="` + evil + `"`}, StartsAt: now.Add(from), EndsAt: now.Add(to), CreatedBy: "ana" + evil, Comment: "why" + evil}
	}
	k.list = []tocsin.Silence{one("act", -time.Hour, time.Hour), one("pend", time.Hour, 2*time.Hour), one("gone", -2*time.Hour, -time.Hour)}
	page := safe(t, w.ask("GET", "/silences", ""))
	assert.Contains(t, page, "Holds back <strong>2 alerts</strong> now.")
	assert.Contains(t, page, `action="/silences/act/expire"`)
	assert.Contains(t, page, `action="/silences/pend/expire"`)
	assert.NotContains(t, page, `action="/silences/gone/expire"`)
	assert.Contains(t, page, "why&lt;script")

	k.list = nil
	for i := range 2000 {
		s := one(fmt.Sprintf("s%d", i), -time.Hour, time.Hour)
		if i%2 == 0 {
			s.EndsAt = now.Add(-time.Minute)
		}
		s.Matchers = make([]string, 64)
		for n := range s.Matchers {
			s.Matchers[n] = `label="value"`
		}
		k.list = append(k.list, s)
	}
	rec := w.ask("GET", "/silences", "")
	page = safe(t, rec)
	assert.Less(t, rec.Body.Len(), 100<<10)
	assert.Contains(t, page, "960 more are not shown")
	assert.Contains(t, page, "990 older ones are not shown")
	assert.Contains(t, page, "and 58 matchers more")
}
