package server_test

import (
	"context"
	"net/http/httptest"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// poison puts text into every string, every list and every map of strings below v,
// but for those of the types that are closed sets.
func poison(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() && v.Type().Elem().Kind() == reflect.Struct {
			v.Set(reflect.New(v.Type().Elem()))
		}
		if !v.IsNil() {
			poison(v.Elem(), text)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				poison(v.Field(i), text)
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		if v.Len() == 0 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
		for i := range v.Len() {
			poison(v.Index(i), text)
		}
	case reflect.Map:
		if v.Type().Key().Kind() == reflect.String && v.Type().Elem().Kind() == reflect.String {
			v.Set(reflect.MakeMap(v.Type()))
			v.SetMapIndex(reflect.ValueOf(text).Convert(v.Type().Key()), reflect.ValueOf(text))
		}
	case reflect.String:
		if v.Type() == reflect.TypeFor[string]() {
			v.SetString(text)
		}
	}
}

func poisoned[T any](text string, repair func(*T)) T {
	var v T
	poison(reflect.ValueOf(&v), text)
	if repair != nil {
		repair(&v)
	}
	return v
}

// venom is remedies that say a text everywhere.
type venom struct {
	medicine
	text string
}

func (m *venom) run() tocsin.Remediation {
	return poisoned(m.text, func(r *tocsin.Remediation) { r.State, r.Mode = tocsin.RemediationProposed, tocsin.ModeApprove })
}

func (m *venom) Remedies(context.Context) ([]tocsin.Remedy, []string, error) {
	r := poisoned[tocsin.Remedy](m.text, nil)
	fits := r
	fits.Matchers = []string{`absent=""`}
	return []tocsin.Remedy{r, fits}, []string{m.text}, nil
}

func (m *venom) Remediations(context.Context, string) ([]tocsin.Remediation, error) {
	return []tocsin.Remediation{m.run()}, nil
}

func (m *venom) Remediation(context.Context, string) (tocsin.Remediation, string, error) {
	return m.run(), m.text, nil
}

func (m *venom) Plan(context.Context, string, string, string) ([]tocsin.RemedyPlan, error) {
	ok := poisoned(m.text, func(p *tocsin.RemedyPlan) { p.Refused = nil })
	return []tocsin.RemedyPlan{ok, poisoned[tocsin.RemedyPlan](m.text, nil)}, nil
}

// poisonedWorld says a text wherever something from outside is shown.
func poisonedWorld(t testing.TB, text string) *world {
	t.Helper()
	rb := poisoned(text, func(r *tocsin.Runbook) { r.ID = "rb" })
	m := &venom{text: text}
	w := newWorld(t, server.Config{}, func(d *server.Deps) {
		d.Runbooks = library{"rb": &rb}
		d.Remedies, d.Remediator = m, m
		d.Ahead = func(*tocsin.Incident) []tocsin.Ahead { return []tocsin.Ahead{poisoned[tocsin.Ahead](text, nil)} }
		d.Beside = func(context.Context, *tocsin.Principal, string) ([]server.Fact, error) {
			return []server.Fact{poisoned[server.Fact](text, nil)}, nil
		}
		d.Values = func(context.Context, string) ([]server.LiveValue, error) {
			return []server.LiveValue{poisoned(text, func(v *server.LiveValue) { v.Graph = "" })}, nil
		}
	})
	inc := poisoned(text, func(i *tocsin.Incident) {
		i.ID, i.Runbook, i.State, i.Severity, i.Kind, i.Actions = "k7f3q9", "rb", tocsin.Acknowledged, tocsin.Critical, "", nil
		i.OpenedAt, i.Firing, i.Alerts = now, 1, 2
		i.Progress.Version = ""
	})
	w.reader.detail.incident = &inc
	w.reader.detail.alerts = []tocsin.AlertRecord{poisoned(text, func(a *tocsin.AlertRecord) { a.State.Firing = true })}
	w.reader.detail.events = []tocsin.Event{poisoned[tocsin.Event](text, nil)}
	return w
}

// poisonedPages are those that show what comes from outside.
func poisonedPages() []string {
	return []string{
		"/", "/?part=list", "/incidents/k7f3q9", "/incidents/k7f3q9/beside", "/remediations", "/remediations/x", "/incidents/k7f3q9/remedies/x",
		"/runbooks", "/runbooks/rb",
	}
}

var (
	aTag   = regexp.MustCompile(`<[^>]*>`)
	aValue = regexp.MustCompile(`"[^"]*"`)
)

// skeleton is a page's markup without what it says: tags and the names of their
// attributes.
func skeleton(rec *httptest.ResponseRecorder) []string {
	var tags []string
	for _, tag := range aTag.FindAllString(rec.Body.String(), -1) {
		tags = append(tags, aValue.ReplaceAllString(tag, `""`))
	}
	return tags
}

// checkPoison holds that a text never becomes markup: a page that says it has the
// same markup as one that says another.
func checkPoison(t testing.TB, plain *world, text string) {
	t.Helper()
	w := poisonedWorld(t, text)
	for _, path := range poisonedPages() {
		rec, want := w.ask("GET", path, ""), plain.ask("GET", path, "")
		require.Equal(t, want.Code, rec.Code, path)
		require.Equal(t, 200, rec.Code, path)
		require.Equal(t, skeleton(want), skeleton(rec), "%s with %q", path, text)
	}
	for _, form := range []string{"note", "reassign", "resolve", "severity", "step"} {
		ask := func(w *world, text string) *httptest.ResponseRecorder {
			w.router.conflict = text
			return w.send("/incidents/k7f3q9/"+form, formOf("text", strings.Repeat(text, 1+4097/len(text)), "whom", "q:"+text, "severity", text, "status", text))
		}
		rec, want := ask(w, text), ask(plain, "x")
		require.Equal(t, want.Code, rec.Code, form)
		require.Equal(t, skeleton(want), skeleton(rec), "%s with %q", form, text)
	}
}

// hostileTexts are what somebody might put into a label.
func hostileTexts() []string {
	return []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `</textarea><script>`, `</title><script>`,
		`--><script>`, `{{.}}`, "`${alert(1)}`", "\u202e\u2066evil", "a\x00b\x07", "\xff\xfe<b>", "&lt;b&gt;<b>", `javascript:alert(1)`, `]]><b>`,
		"<svg/onload=alert(1)>", strings.Repeat("<", 5000), "\r\n<b>", `data:text/html,<b>`,
	}
}

func TestNothingFromOutsideBecomesMarkup(t *testing.T) {
	t.Parallel()
	plain := poisonedWorld(t, "x")
	for _, text := range hostileTexts() {
		checkPoison(t, plain, text)
	}
	page := safe(t, poisonedWorld(t, `<b>"`).ask("GET", "/incidents/k7f3q9", ""))
	assert.Greater(t, strings.Count(page, "&lt;b&gt;&#34;"), 30, "the texts are there: this test proves something")
}

func FuzzPages(f *testing.F) {
	for _, text := range hostileTexts() {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if text == "" || len(text) > 4096 || href(text) || strings.TrimSpace(text) == "" {
			t.Skip("an empty text, or an address, has other markup than a text")
		}
		checkPoison(t, poisonedWorld(t, "x"), text)
	})
}

// href reports whether a text is an address that a page may link to.
func href(text string) bool {
	return strings.HasPrefix(strings.ToLower(text), "http")
}
