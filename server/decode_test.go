package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
)

var received = time.Date(2026, 11, 22, 5, 0, 0, 0, time.UTC)

func defaultLimits() Limits { return Config{}.withDefaults().Limits }

func decodeText(t testing.TB, body string) (payload, error) {
	t.Helper()
	return newDecoder(defaultLimits()).decode([]byte(body), "am", received)
}

// wireBody is the reference: the same shape, read by a JSON library.
type wireBody struct {
	Alerts    []wireAlert `json:"alerts"`
	Version   string      `json:"version"`
	Truncated uint64      `json:"truncatedAlerts"`
}

type wireAlert struct {
	Status       string            `json:"status"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     string            `json:"startsAt"`
	EndsAt       string            `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL"`
}

func requireSame(t testing.TB, want wireBody, got payload) {
	t.Helper()
	require.Len(t, got.alerts, len(want.Alerts))
	require.Equal(t, want.Truncated, got.truncated)
	for i, w := range want.Alerts {
		g := got.alerts[i]
		require.Equal(t, "am", g.Source)
		require.Equal(t, w.Status == "firing", g.Firing)
		require.Equal(t, tocsin.Labels(w.Labels), g.Labels)
		require.Len(t, g.Annotations, len(w.Annotations))
		for n, v := range w.Annotations {
			require.Equal(t, v, g.Annotations[n])
		}
		require.Equal(t, w.GeneratorURL, g.GeneratorURL)
		start, err := time.Parse(time.RFC3339, w.StartsAt)
		if err != nil || start.IsZero() {
			start = received
		}
		require.True(t, start.Equal(g.StartsAt), "%s: %s", w.StartsAt, g.StartsAt)
		end, err := time.Parse(time.RFC3339, w.EndsAt)
		if err != nil || g.Firing {
			end = time.Time{}
		}
		require.True(t, end.Equal(g.EndsAt), "%s: %s", w.EndsAt, g.EndsAt)
	}
}

func TestDecodesWhatAlertmanagerSends(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../shared/data/webhooks/*.json")
	require.NoError(t, err)
	if len(files) == 0 {
		t.Skip("no captured webhooks at ../../shared/data/webhooks")
	}
	require.Len(t, files, 23)
	d := newDecoder(defaultLimits()) // one decoder for all, as in the pool
	for _, f := range files {
		body, err := os.ReadFile(f)
		require.NoError(t, err)
		var want wireBody
		require.NoError(t, json.Unmarshal(body, &want))
		got, err := d.decode(body, "am", received)
		require.NoError(t, err, f)
		require.NotEmpty(t, got.alerts)
		requireSame(t, want, got)
		for i := range got.alerts {
			var wire struct {
				Alerts []struct {
					Fingerprint string `json:"fingerprint"`
				} `json:"alerts"`
			}
			require.NoError(t, json.Unmarshal(body, &wire))
			assert.Equal(t, wire.Alerts[i].Fingerprint, fmt.Sprintf("%016x", got.alerts[i].Labels.Fingerprint()), f)
		}
	}
}

func TestDecodesAlertmanager034(t *testing.T) {
	t.Parallel()
	p, err := decodeText(t, `{"receiver":"r","status":"firing","alerts":[
		{"status":"firing","labels":{"alertname":"A","ünïcode.label":"\u003cb\u003e\u0026\u0000\u202e"},"annotations":{},
		 "startsAt":"2026-11-22T05:41:09.5+01:00","endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://p/?a\u0026b","fingerprint":"x"},
		{"status":"resolved","labels":{"a\"b":"c\\"},"annotations":null,"startsAt":"2026-11-22T04:00:00Z","endsAt":"2026-11-22T04:30:00Z"}],
		"notification_reason":"some alerts resolved","routeLabels":{"x":"y"},"STATUS":"x","Alerts":7,"unknown":[{"deep":[1,-2.5e3,true,null,"\"]}"]}],
		"version":"4","truncatedAlerts":3}`)
	require.NoError(t, err)
	require.Len(t, p.alerts, 2)
	assert.EqualValues(t, 3, p.truncated)
	assert.Equal(t, tocsin.Alert{
		Source: "am", Firing: true, GeneratorURL: "http://p/?a&b",
		Labels:   tocsin.Labels{"alertname": "A", "ünïcode.label": "<b>&\x00\u202e"},
		StartsAt: time.Date(2026, 11, 22, 4, 41, 9, 500_000_000, time.UTC),
	}, p.alerts[0])
	assert.Equal(t, tocsin.Alert{
		Source: "am", Labels: tocsin.Labels{`a"b`: `c\`},
		StartsAt: time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC), EndsAt: time.Date(2026, 11, 22, 4, 30, 0, 0, time.UTC),
	}, p.alerts[1])
}

func TestDecodeLeavesDefaults(t *testing.T) {
	t.Parallel()
	p, err := decodeText(t, `{"version":"4","alerts":[{"status":"firing","labels":{"a":"b"},"endsAt":"2030-01-01T00:00:00Z"}]}`)
	require.NoError(t, err)
	assert.Equal(t, received, p.alerts[0].StartsAt, "an alert without a start starts now")
	assert.True(t, p.alerts[0].EndsAt.IsZero(), "a firing alert has no end")

	p, err = decodeText(t, ` {"version":"4","alerts":[ ]} `)
	require.NoError(t, err)
	assert.Empty(t, p.alerts)
}

// alertWith is a body of two alerts, the second of which has the given members.
func alertWith(members string) string {
	return `{"version":"4","alerts":[{"status":"firing","labels":{"a":"b"}},{` + members + `}]}`
}

func TestRefusesWhatCanNeverBeRight(t *testing.T) {
	t.Parallel()
	manyLabels := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"l%d":"v"`, i)
		}
		return `{` + strings.TrimPrefix(b.String(), ",") + `}`
	}
	for name, tc := range map[string]struct {
		body, field, says string
		status            int
	}{
		"empty":                    {body: ``, says: "ends early"},
		"cut":                      {body: `{"version":"4","alerts":[{"status":"fir`, says: "not valid JSON"},
		"not an object":            {body: `[1]`, says: "custom payload"},
		"null":                     {body: `null`, says: "custom payload"},
		"custom payload":           {body: `{"text":"hello"}`, says: "custom payload"},
		"no version":               {body: `{"alerts":[]}`, says: "custom payload"},
		"no alerts":                {body: `{"version":"4"}`, says: "custom payload"},
		"version 5":                {body: `{"version":"5","alerts":[]}`, field: "version", says: "custom payload"},
		"version number":           {body: `{"version":4,"alerts":[]}`, field: "version", says: "custom payload"},
		"alerts null":              {body: `{"version":"4","alerts":null}`, field: "alerts", says: "custom payload"},
		"alerts object":            {body: `{"version":"4","alerts":{}}`, field: "alerts", says: "custom payload"},
		"alert string":             {body: `{"version":"4","alerts":["x"]}`, field: "alerts[0]", says: "custom payload"},
		"truncated":                {body: `{"version":"4","alerts":[],"truncatedAlerts":-1}`, field: "truncatedAlerts", says: "whole number"},
		"truncated fraction":       {body: `{"version":"4","alerts":[],"truncatedAlerts":1.5}`, field: "truncatedAlerts", says: "whole number"},
		"more follows":             {body: `{"version":"4","alerts":[]}{}`, says: "more follows"},
		"garbage follows":          {body: `{"version":"4","alerts":[]}x`, says: "not valid JSON at offset"},
		"bad UTF-8":                {body: "{\"version\":\"4\",\"alerts\":[],\"x\":\"\xff\xfe\"}", field: "/x", says: "UTF-8"},
		"lone surrogate":           {body: alertWith(`"status":"firing","labels":{"a":"\ud800"}`), field: "/alerts/1/labels/a", says: "not valid JSON"},
		"raw NUL":                  {body: alertWith("\"status\":\"firing\",\"labels\":{\"a\":\"\x00\"}"), field: "/alerts/1/labels/a", says: "not valid JSON"},
		"alerts twice":             {body: `{"version":"4","alerts":[],"alerts":[]}`, field: "alerts", says: "twice"},
		"status twice":             {body: alertWith(`"status":"firing","status":"resolved","labels":{"a":"b"}`), field: "alerts[1].status", says: "twice"},
		"label twice":              {body: alertWith(`"status":"firing","labels":{"a":"b","\u0061":"c"}`), field: "alerts[1].labels.a", says: "twice"},
		"no status":                {body: alertWith(`"labels":{"a":"b"}`), field: "alerts[1].status", says: "missing"},
		"status differs in case":   {body: alertWith(`"Status":"firing","labels":{"a":"b"}`), field: "alerts[1].status", says: "missing"},
		"status unknown":           {body: alertWith(`"status":"FIRING","labels":{"a":"b"}`), field: "alerts[1].status", says: `"FIRING"`},
		"status number":            {body: alertWith(`"status":1,"labels":{"a":"b"}`), field: "alerts[1].status", says: "string"},
		"no labels":                {body: alertWith(`"status":"firing"`), field: "alerts[1].labels", says: "at least one"},
		"empty labels":             {body: alertWith(`"status":"firing","labels":{}`), field: "alerts[1].labels", says: "at least one"},
		"labels array":             {body: alertWith(`"status":"firing","labels":[]`), field: "alerts[1].labels", says: "object"},
		"label number":             {body: alertWith(`"status":"firing","labels":{"a":1}`), field: "alerts[1].labels.a", says: "string"},
		"label null":               {body: alertWith(`"status":"firing","labels":{"a":null}`), field: "alerts[1].labels.a", says: "string"},
		"empty label name":         {body: alertWith(`"status":"firing","labels":{"":"x"}`), field: "alerts[1].labels", says: "empty"},
		"129 labels":               {body: alertWith(`"status":"firing","labels":` + manyLabels(129)), field: "alerts[1].labels", says: "more than 128"},
		"200,000 labels":           {body: alertWith(`"status":"firing","labels":` + manyLabels(200_000)), field: "alerts[1].labels", says: "more than 128"},
		"129 annotations":          {body: alertWith(`"status":"firing","labels":{"a":"b"},"annotations":` + manyLabels(129)), field: "alerts[1].annotations", says: "more than 128"},
		"long name":                {body: alertWith(`"status":"firing","labels":{"` + strings.Repeat("n", 1025) + `":"x"}`), field: "alerts[1].labels", says: "1024 bytes"},
		"long value":               {body: alertWith(`"status":"firing","labels":{"a":"` + strings.Repeat("v", 16<<10+1) + `"}`), field: "alerts[1].labels.a", says: "16384 bytes"},
		"1 MB value":               {body: alertWith(`"status":"firing","labels":{"a":"` + strings.Repeat("v", 1<<20) + `"}`), field: "alerts[1].labels.a", says: "16384 bytes"},
		"long annotation":          {body: alertWith(`"status":"firing","labels":{"a":"b"},"annotations":{"s":"` + strings.Repeat("v", 16<<10+1) + `"}`), field: "alerts[1].annotations.s", says: "16384 bytes"},
		"long generator URL":       {body: alertWith(`"status":"firing","labels":{"a":"b"},"generatorURL":"` + strings.Repeat("v", 16<<10+1) + `"`), field: "alerts[1].generatorURL", says: "16384 bytes"},
		"bad time":                 {body: alertWith(`"status":"firing","labels":{"a":"b"},"startsAt":"yesterday"`), field: "alerts[1].startsAt", says: "RFC 3339"},
		"number as time":           {body: alertWith(`"status":"firing","labels":{"a":"b"},"endsAt":12`), field: "alerts[1].endsAt", says: "string"},
		"10,001 alerts":            {body: string(WebhookBody(10_001)), field: "alerts", says: "more than 10000", status: http.StatusRequestEntityTooLarge},
		"nested 10,001 deep":       {body: strings.Repeat("[", 10_001), says: "depth"},
		"nested 1,000,000 deep":    {body: strings.Repeat(`{"":`, 1_000_000), says: "depth"},
		"hostile text is shown ok": {body: alertWith(`"status":"` + strings.Repeat(`\u202e\n`, 2000) + `","labels":{"a":"b"}`), field: "alerts[1].status", says: "want"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := decodeText(t, tc.body)
			require.Error(t, err)
			r := refusalOf(err)
			if tc.status == 0 {
				tc.status = http.StatusBadRequest
			}
			assert.Equal(t, tc.status, r.status)
			if tc.field != "" {
				assert.Equal(t, tc.field, r.field)
			}
			assert.Contains(t, r.message, tc.says)
			assert.Less(t, len(r.message), 2000)
			assert.NotContains(t, r.message, "\u202e")
		})
	}
}

// A refusal of 3 MB of labels must not cost what building them would: it is
// compared with the bare check of as many bytes, since clocks lie on a busy
// machine.
func TestHostileBodiesCostLittle(t *testing.T) {
	var labels strings.Builder
	for i := range 200_000 {
		fmt.Fprintf(&labels, `,"l%d":"v%d"`, i, i)
	}
	set := `{` + labels.String()[1:] + `}`
	for name, body := range map[string]string{
		"labels":       alertWith(`"status":"firing","labels":` + set),
		"commonLabels": `{"version":"4","alerts":[],"commonLabels":` + set + `}`,
		"value":        alertWith(`"status":"firing","labels":{"a":"` + strings.Repeat("v", 3<<20) + `"}`),
		"depth":        strings.Repeat(`{"a":`, 600_000),
		"escapes":      `{"version":"4","alerts":[],"x":"` + strings.Repeat(`\"`, 1_500_000) + `"}`,
	} {
		d := newDecoder(defaultLimits())
		allocs := testing.AllocsPerRun(1, func() { _, _ = d.decode([]byte(body), "am", received) })
		assert.Less(t, allocs, 25_000.0, name) // at the deepest nesting jsontext wraps its error once a level
		plain := []byte(`{"x":[` + strings.Repeat(`"0123456789",`, len(body)/13) + `0]}`)
		best := func(fn func()) time.Duration {
			least := time.Hour
			for range 5 {
				start := time.Now()
				fn()
				least = min(least, time.Since(start))
			}
			return least
		}
		bare := best(func() { require.True(t, jsontext.Value(plain).IsValid()) })
		cost := best(func() { _, _ = d.decode([]byte(body), "am", received) })
		t.Logf("%s: %d bytes, %v, %.0f allocations (bare check of as much: %v)", name, len(body), cost, allocs, bare)
		assert.Less(t, cost, 12*bare, name)
	}
}

// Labels outlive their request by months: they must not hold on to its body.
func TestAlertsDoNotReferToTheBody(t *testing.T) {
	t.Parallel()
	body := WebhookBody(50)
	d := newDecoder(defaultLimits())
	p, err := d.decode(body, "am", received)
	require.NoError(t, err)
	before, err := json.Marshal(p.alerts)
	require.NoError(t, err)
	clear(body)
	after, err := json.Marshal(p.alerts)
	require.NoError(t, err)
	assert.Equal(t, string(before), string(after))

	_, err = d.decode(WebhookBody(3), "other", received)
	require.NoError(t, err)
	after, err = json.Marshal(p.alerts)
	require.NoError(t, err)
	assert.Equal(t, string(before), string(after), "the next request must not change this one's alerts")
	assert.Greater(t, p.size, len(body)/2, "what the alerts hold is accounted for")
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(alertWith(`"status":"resolved","labels":{"a":"\u0062\\\""},"startsAt":"2026-11-22T04:41:09Z","endsAt":"","x":[{}]`)))
	f.Add(webhookBody(2))
	files, _ := filepath.Glob("../../shared/data/webhooks/*.json")
	for _, name := range files {
		if b, err := os.ReadFile(name); err == nil {
			f.Add(b)
		}
	}
	limits := defaultLimits()
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := newDecoder(limits).decode(body, "am", received)
		if err != nil {
			r := refusalOf(err)
			require.Contains(t, []int{http.StatusBadRequest, http.StatusRequestEntityTooLarge}, r.status)
			require.NotEmpty(t, r.message)
			return
		}
		var want wireBody
		require.NoError(t, jsonv2.Unmarshal(body, &want, jsontext.AllowDuplicateNames(true)), "the decoder took what a JSON library refuses")
		requireSame(t, want, got)
	})
}
