package pagerduty_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/notifiertest"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
)

var update = flag.Bool("update", false, "write the golden files")

// sent delivers a notice and returns the event as PagerDuty got it.
func sent(t require.TestingT, n tocsin.Notice) []byte {
	s := pagerdutytest.New(pagerdutytest.Config{KeepBodies: true})
	p := pagerduty.New(pagerduty.Config{RoutingKey: routingKey, Transport: s.Transport()})
	_, err := p.Deliver(context.Background(), n)
	require.NoError(t, err)
	events := s.Events()
	require.Len(t, events, 1)
	return events[0].Body
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*tocsin.Notice){
		"trigger": func(*tocsin.Notice) {},
		"acknowledge": func(n *tocsin.Notice) {
			n.Incident.State, n.Delivery.State, n.Delivery.Severity = acknowledged, triggered, tocsin.Critical
		},
		"resolve": func(n *tocsin.Notice) { n.Incident.State, n.Delivery.State = resolved, triggered },
		"bare": func(n *tocsin.Notice) {
			*n = tocsin.Notice{Incident: &tocsin.Incident{ID: "b2c3d4"}, Now: n.Now}
			n.Incident.State = triggered
		},
		"hostile":  hostile,
		"many":     many,
		"flapping": func(n *tocsin.Notice) { n.Incident.Flapping, n.Incident.Reopened, n.Incident.Truncated = true, 4, 7 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := notifiertest.Sample()
			change(&n)
			var got bytes.Buffer
			require.NoError(t, json.Indent(&got, sent(t, n), "", "  "))
			got.WriteByte('\n')
			file := filepath.Join("testdata", name+".golden.json")
			if *update {
				require.NoError(t, os.WriteFile(file, got.Bytes(), 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.Equal(t, string(want), got.String())
		})
	}
}

// hostile puts into every text what may break a terminal, a page or a link.
func hostile(n *tocsin.Notice) {
	bad := "a\x00b\x1b[31m\r\n<script>\u202eevil\u2066\ufeff\xff &\u2028end"
	n.Incident.Title = bad
	n.URL = "javascript:alert(1)"
	n.Runbook.Title, n.Runbook.URL = bad, "https://user@evil.example/"
	n.Runbook.Steps[0].Text, n.Runbook.Steps[0].Commands[0].Text = bad, bad
	a := &n.Alerts[0]
	a.Labels = tocsin.Labels{"alertname": bad, bad: bad, "instance": bad, "ключ": "значение 👩‍🚀"}
	a.Annotations = tocsin.Labels{"summary": bad, "runbook_url": "http://ok.example/\x00"}
	a.GeneratorURL = "data:text/html,x"
	a.StartsAt, a.State.StartsAt = time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC), time.Time{}
	a.State.Suppression = &tocsin.Suppression{Reason: tocsin.Silenced, Text: bad}
}

func many(n *tocsin.Notice) {
	for k := range 60 {
		n.Alerts = append(n.Alerts, notifiertest.SampleAlert(fmt.Sprintf("node-%d:9100", k), n.Incident.OpenedAt))
	}
	n.Incident.Alerts, n.Incident.Firing, n.Incident.Suppressed = 5000, 4000, 3
}

// TestEveryEventIsTaken: whatever texts an alert bears, the emulator, which
// checks what PagerDuty checks, takes the event.
func TestEveryEventIsTaken(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
		set := rapid.Map(rapid.MapOfN(text, text, 0, 6), func(m map[string]string) tocsin.Labels { return m })
		n := notifiertest.Sample()
		n.Incident.Title, n.URL = text.Draw(t, "title"), text.Draw(t, "url")
		n.Incident.ID = rapid.OneOf(rapid.Just("k7f3q9"), rapid.StringN(1, 400, -1)).Draw(t, "id")
		n.Incident.Severity = tocsin.Severity(text.Draw(t, "severity"))
		n.Incident.Firing = rapid.Uint32().Draw(t, "firing")
		n.Alerts[0].Labels, n.Alerts[0].Annotations = set.Draw(t, "labels"), set.Draw(t, "annotations")
		n.Runbook.Steps[0].Depth = rapid.IntRange(-3, 900).Draw(t, "depth")
		body := sent(t, n)
		require.LessOrEqual(t, len(body), 512_000)
		require.True(t, utf8.Valid(body))
		require.NotContains(t, string(body), "\\u0000")
	})
}

// TestSize: an event is never too large, and keeps what matters.
func TestSize(t *testing.T) {
	t.Parallel()
	for _, fill := range []string{"x", "<", "\u20ac"} {
		n := notifiertest.Sample()
		huge := strings.Repeat(fill, 16<<10)
		n.Incident.Title, n.Incident.Route, n.URL = huge, huge, "https://example.com/"+strings.Repeat("&", 2000)
		n.Runbook.Title, n.Runbook.URL, n.Runbook.Steps[0].Text = huge, n.URL+"1", huge
		n.Alerts[0].Labels["instance"], n.Alerts[0].Annotations["runbook_url"], n.Alerts[0].GeneratorURL = huge, n.URL+"2", n.URL+"3"
		for k := range 128 {
			n.Alerts[0].Labels[fmt.Sprintf("l%d%s", k, huge[:900])] = huge
		}
		for len(n.Alerts) < 20 {
			n.Alerts = append(n.Alerts, n.Alerts[0])
		}
		body := sent(t, n)
		assert.LessOrEqual(t, len(body), 512_000)
		var ev struct {
			Payload struct {
				Summary, Source string
				Details         struct {
					Firing   int
					NotShown int `json:"alerts_not_shown"`
				} `json:"custom_details"`
			}
			Links []any
		}
		require.NoError(t, json.Unmarshal(body, &ev))
		assert.Equal(t, 1024, utf8.RuneCountInString(ev.Payload.Summary))
		assert.Equal(t, 255, utf8.RuneCountInString(ev.Payload.Source))
		assert.Equal(t, 1, ev.Payload.Details.Firing)
		assert.GreaterOrEqual(t, ev.Payload.Details.NotShown, 10)
		assert.Len(t, ev.Links, 4)
	}
}

func TestSummaryCountsWhatFires(t *testing.T) {
	t.Parallel()
	n := notifiertest.Sample()
	n.Incident.Firing, n.Incident.Title = 12, strings.Repeat("é", 2000)
	var ev struct{ Payload struct{ Summary string } }
	require.NoError(t, json.Unmarshal(sent(t, n), &ev))
	assert.Equal(t, 1024, utf8.RuneCountInString(ev.Payload.Summary))
	assert.True(t, strings.HasSuffix(ev.Payload.Summary, "é… (12 firing)"), "%q", ev.Payload.Summary[1900:])
}

func FuzzEvent(f *testing.F) {
	f.Add("Node down", "instance", "node-a", "https://example.com")
	f.Add("\x00\u202e", "a\nb", "<!channel>", "javascript:1")
	f.Fuzz(func(t *testing.T, title, name, value, url string) {
		n := notifiertest.Sample()
		n.Incident.Title, n.URL = title, url
		n.Alerts[0].Labels[name], n.Alerts[0].Annotations[name] = value, value
		body := sent(t, n)
		assert.LessOrEqual(t, len(body), 512_000)
	})
}

func BenchmarkDeliver(b *testing.B) {
	s := pagerdutytest.New(pagerdutytest.Config{MaxEvents: 10})
	p := pagerduty.New(pagerduty.Config{RoutingKey: routingKey, Transport: s.Transport()})
	n := notifiertest.Sample()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Deliver(b.Context(), n); err != nil {
			b.Fatal(err)
		}
	}
}
