package email_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/email"
	"github.com/tocsin-oncall/tocsin/notifiers/email/smtptest"
	"github.com/tocsin-oncall/tocsin/notifiers/notifiertest"
)

// posted makes of a notice one whose first mail was sent.
func posted(n *tocsin.Notice) {
	*n = after(*n, tocsin.Receipt{
		Ref: "<tocsin.k7f3q9.critical.0123456789@example.com>", Revision: n.Incident.Revision,
		State: n.Incident.State, Severity: n.Incident.Severity, Told: 1, Called: 1,
	})
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*tocsin.Notice){
		"opened": func(*tocsin.Notice) {},
		"acknowledged": func(n *tocsin.Notice) {
			posted(n)
			e, _ := n.Incident.Acknowledge("bo", n.Now)
			n.Events = []tocsin.Event{e}
		},
		"resolved": func(n *tocsin.Notice) {
			posted(n)
			n.Incident.Firing = 0
			e, _ := n.Incident.Resolve("", "all alerts have ended", n.Now)
			n.Events = []tocsin.Event{e}
		},
		"again": func(n *tocsin.Notice) {
			posted(n)
			n.Delivery.Calls, n.Call = 2, true
			happened(n, tocsin.EventCalled, "ana is called by email again")
		},
		"notice": func(n *tocsin.Notice) {
			*n = tocsin.Notice{
				Incident: &tocsin.Incident{
					ID: "b2c3d4", Kind: tocsin.KindNotice, State: tocsin.Triggered, Severity: tocsin.Info, Title: "You are on call for primary",
					Text: "From Mon 5 Jan 09:00 to Mon 12 Jan 09:00 (Europe/Madrid).\nBefore you: bo.",
				},
				Delivery: n.Delivery, URL: "https://tocsin.example.com/oncall", Now: n.Now,
			}
		},
		"bare": func(n *tocsin.Notice) {
			*n = tocsin.Notice{Incident: &tocsin.Incident{ID: "b2c3d4", State: tocsin.Triggered}, Now: n.Now}
		},
		"hostile": hostile,
		"many":    many,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			madrid := time.FixedZone("CET", 3600)
			f := newFixture(t, smtptest.Config{}, func(c *email.Config) { c.Location = madrid })
			n := notice()
			change(&n)
			_, got := f.deliver(t, n)
			assert.Empty(t, breaches(got))
			text := bytes.ReplaceAll(got.Raw, []byte("\r\n"), []byte("\n"))
			file := filepath.Join("testdata", name+".golden.eml")
			if *update {
				require.NoError(t, os.WriteFile(file, text, 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err, "run go test -update to make the golden files")
			assert.Equal(t, string(want), string(text), "the mail differs from "+file+"; run go test -update if it should")
		})
	}
}

// hostile puts into every text what may break a header, a terminal or a page.
func hostile(n *tocsin.Notice) {
	bad := "a\x00b\x1b[31m\r\nBcc: all@example.com\r\n\r\n<script>alert(1)</script>\u202eevil\u2066\ufeff\xff &\u2028end\n.\r\nQUIT"
	n.Incident.Title, n.Incident.Text = bad, bad
	n.Incident.Severity = tocsin.Critical
	n.URL = "javascript:alert(1)"
	n.Runbook.Title, n.Runbook.URL = bad, "https://user@evil.example/"
	n.Runbook.Steps[0].Text, n.Runbook.Steps[0].Condition, n.Runbook.Steps[0].Commands[0].Text = bad, bad, bad
	a := &n.Alerts[0]
	a.Labels = tocsin.Labels{"alertname": bad, bad: bad, "instance": bad, "ключ": "значение 👩‍🚀"}
	a.Annotations = tocsin.Labels{"summary": bad, "description": bad, "runbook_url": "http://ok.example/\"onload=x"}
	a.GeneratorURL = "data:text/html,x"
	a.StartsAt, a.State.StartsAt = time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC), time.Time{}
	a.State.Suppression = &tocsin.Suppression{Reason: tocsin.Silenced, Text: bad}
	n.Events[0].Text, n.Ahead[0].Text = bad, bad
}

func many(n *tocsin.Notice) {
	n.Alerts = nil
	for k := range 60 {
		n.Alerts = append(n.Alerts, notifiertest.SampleAlert(fmt.Sprintf("node-%d:9100", k), n.Incident.OpenedAt))
	}
	n.Incident.Alerts, n.Incident.Firing, n.Incident.Suppressed = 5000, 4000, 3
	n.Incident.Truncated, n.Incident.Flapping, n.Incident.Reopened = 7, true, 1
	for k := range 30 {
		happened(n, tocsin.EventNote, fmt.Sprintf("note %d", k))
		n.Ahead = append(n.Ahead, tocsin.Ahead{At: n.Now.Add(time.Duration(k) * time.Hour), Text: "more"})
		n.Runbook.Steps = append(n.Runbook.Steps, tocsin.Step{Text: fmt.Sprintf("step %d", k)})
	}
}

// allowed are the fields of our mails; no others may come of any text.
var allowed = []string{
	"Auto-Submitted", "Content-Type", "Date", "From", "Importance", "In-Reply-To", "List-Id", "Message-Id", "Mime-Version",
	"Precedence", "Priority", "References", "Subject", "To", "User-Agent", "X-Auto-Response-Suppress", "X-Priority",
	"X-Tocsin-Incident", "X-Tocsin-Severity", "X-Tocsin-State",
}

var (
	tag  = regexp.MustCompile(`<(/?)([^\s>]*)([^>]*)>`)
	tags = []string{"!DOCTYPE", "html", "head", "meta", "title", "body", "div", "p", "span", "b", "br", "a", "code", "pre"}
	// attribute is name="value", the value without what could end it.
	attributes = regexp.MustCompile(`^( (lang|style|charset|name|content|href)="[^"<>]*"| html)*$`)
	href       = regexp.MustCompile(`href="([^"]*)"`)
)

// breaches lists what is wrong with a mail, whatever was in it.
func breaches(m smtptest.Message) []string {
	var found []string
	wrong := func(is bool, format string, args ...any) {
		if is {
			found = append(found, fmt.Sprintf(format, args...))
		}
	}
	wrong(m.Problem != nil, "unreadable: %v", m.Problem)
	rest := strings.ReplaceAll(string(m.Raw), "\r\n", "")
	wrong(strings.ContainsAny(rest, "\r\n"), "a bare CR or LF")
	wrong(strings.ContainsFunc(rest, func(r rune) bool { return r > '~' || r < ' ' && r != '\t' }), "not 7 bit text")
	wrong(len(m.Raw) > 64<<10, "%d bytes", len(m.Raw))
	for l := range strings.SplitSeq(string(m.Raw), "\r\n") {
		wrong(len(l) > 998, "a line of %d", len(l))
	}
	for name, values := range m.Header {
		wrong(!slices.Contains(allowed, name), "the header %s", name)
		wrong(len(values) != 1, "%d times the header %s", len(values), name)
	}
	wrong(utf8.RuneCountInString(m.Subject) > 200, "a subject of %d", utf8.RuneCountInString(m.Subject))
	for _, text := range []string{m.Subject, m.Text, m.HTML} {
		wrong(!utf8.ValidString(text), "no UTF-8")
		wrong(strings.ContainsAny(text, "\u202e\u2066\ufeff\x00\x1b"), "hidden characters")
	}
	wrong(strings.ContainsAny(m.Subject, "\r\n"), "a subject of several lines")
	for _, t := range tag.FindAllStringSubmatch(m.HTML, -1) {
		wrong(!slices.Contains(tags, t[2]), "the tag %q", t[0])
		wrong(!attributes.MatchString(t[3]), "the attributes %q", t[0])
	}
	wrong(strings.Contains(tag.ReplaceAllString(m.HTML, ""), "<"), "an open tag")
	for _, h := range href.FindAllStringSubmatch(m.HTML, -1) {
		wrong(!strings.HasPrefix(h[1], "http://") && !strings.HasPrefix(h[1], "https://"), "the link %q", h[1])
	}
	wrong(strings.Contains(strings.ToLower(m.HTML), "url("), "something to load")
	return found
}

// TestNoInjection: whatever texts an incident bears, its mail has our header and
// our elements and no others, and comes back as it was sent.
func TestNoInjection(t *testing.T) {
	t.Parallel()
	f := newFixture(t, smtptest.Config{}, nil)
	evil := rapid.SampledFrom([]string{
		"\r\nBcc: x@y.example", "\nSubject: z", "\r\n\r\nbody", "\r\n.\r\nQUIT\r\n", "=?utf-8?q?=0D=0ABcc:_x?=", "<img src=x onerror=alert(1)>",
		"\" onmouseover=\"x", "'", "--=_tocsin_", "</pre><script>", "{{.}}", "\u2028", "\u202e", "\x00", "=\r\n", "🚨🚨", "x\rFrom: y",
	})
	text := rapid.OneOf(
		rapid.Map(rapid.SliceOfN(rapid.OneOf(evil, rapid.String()), 0, 5), func(s []string) string { return strings.Join(s, "") }),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
		rapid.Map(evil, func(s string) string { return strings.Repeat(s, 300) }),
	)
	set := rapid.Map(rapid.MapOfN(text, text, 0, 5), func(m map[string]string) tocsin.Labels { return m })
	rapid.Check(t, func(rt *rapid.T) {
		n := notice()
		i := n.Incident
		i.Title, i.Text, n.URL = text.Draw(rt, "title"), text.Draw(rt, "text"), "https://ok.example/"+text.Draw(rt, "url")
		i.ID = rapid.OneOf(rapid.Just("k7f3q9"), text).Draw(rt, "id")
		i.Severity = tocsin.Severity(rapid.OneOf(rapid.Just("critical"), text).Draw(rt, "severity"))
		i.State = tocsin.State(rapid.OneOf(rapid.SampledFrom([]string{"triggered", "acknowledged"}), text).Draw(rt, "state"))
		i.AcknowledgedBy = text.Draw(rt, "by")
		i.Kind = rapid.SampledFrom([]tocsin.Kind{tocsin.KindAlerts, tocsin.KindManual, tocsin.KindNotice}).Draw(rt, "kind")
		n.Delivery.Ref = rapid.OneOf(rapid.Just(""), text).Draw(rt, "ref")
		n.Delivery.Target = text.Draw(rt, "target")
		n.Alerts[0].Labels, n.Alerts[0].Annotations = set.Draw(rt, "labels"), set.Draw(rt, "annotations")
		n.Alerts[0].GeneratorURL = "http://ok.example/" + text.Draw(rt, "generator")
		n.Alerts[0].State.Suppression = &tocsin.Suppression{Reason: text.Draw(rt, "reason"), Text: text.Draw(rt, "why")}
		n.Runbook.Title, n.Runbook.Steps[0].Text = text.Draw(rt, "runbook"), text.Draw(rt, "step")
		n.Runbook.Steps[0].Commands[0].Text, n.Runbook.Steps[0].Depth = text.Draw(rt, "command"), rapid.IntRange(-3, 900).Draw(rt, "depth")
		n.Events[0].Text, n.Ahead[0].Text = text.Draw(rt, "event"), text.Draw(rt, "ahead")
		if i.Kind == tocsin.KindNotice {
			n.Call = true
		}
		f.Clear()
		r, err := f.mail.Deliver(t.Context(), n)
		require.NoError(rt, err)
		all := f.Messages()
		require.Len(rt, all, 1)
		require.Empty(rt, breaches(all[0]))
		require.Equal(rt, []string{ana}, all[0].To)
		require.NotEmpty(rt, r.Ref)
	})
}

// TestSize: a mail is never too large, and keeps what matters.
func TestSize(t *testing.T) {
	t.Parallel()
	f := newFixture(t, smtptest.Config{}, nil)
	for _, fill := range []string{"<", "🚨", "\xff\n"} {
		n := notice()
		many(&n)
		n.Alerts = n.Alerts[:12]
		long := strings.Repeat(fill, 8_000)
		n.Incident.Title, n.Incident.Text, n.Incident.Route = long, long, long
		n.URL = "https://tocsin.example.com/" + strings.Repeat("é", 900)
		for k := range n.Alerts {
			for name := range 40 {
				n.Alerts[k].Labels[fmt.Sprint(name, fill)] = long + fmt.Sprint(k)
			}
			n.Alerts[k].Annotations = tocsin.Labels{"summary": long, "description": long, "runbook_url": "https://a.example/" + long}
			n.Alerts[k].GeneratorURL = "https://a.example/" + strings.Repeat("é", 1000)
		}
		for k := range n.Runbook.Steps {
			n.Runbook.Steps[k].Text = long
			n.Runbook.Steps[k].Commands = []tocsin.Command{{Text: long, Unfilled: []string{long}}, {Text: long}}
		}
		for k := range n.Events {
			n.Events[k].Text = long
		}
		for k := range n.Ahead {
			n.Ahead[k].Text = long
		}
		_, got := f.deliver(t, n)
		assert.Empty(t, breaches(got))
		assert.Contains(t, got.Text, "tocsin ack k7f3q9")
		assert.Contains(t, got.Text, "4000 of 5000 alerts firing")
		assert.Contains(t, got.Text, "https://tocsin.example.com/")
	}
}

// TestBothForms: what one form says the other says too, and the first lines say
// what matters.
func TestBothForms(t *testing.T) {
	t.Parallel()
	f := newFixture(t, smtptest.Config{}, nil)
	n := notice()
	_, got := f.deliver(t, n)
	for _, said := range []string{
		"Node node-a:9100 is down", "TRIGGERED", "critical", "since 04:41 UTC (2 s ago)", "1 of 2 alerts firing", "If nobody answers",
		"04:56 (in 15 min)", "bo by PagerDuty", "Mon 23 Nov 06:41 (in 26 h)", "https://tocsin.example.com/incidents/k7f3q9", "tocsin ack k7f3q9",
		"All: alertname=NodeDown", "instance=node-b:9100", "has been down for more than 2 minutes", "Runbook: ", "1.", "See whether the machine answers.",
		"ssh &#39;node-a&#39; uptime", "Fill in: ", "What has happened", "opened", "incident k7f3q9",
	} {
		assert.Contains(t, got.HTML, said)
		if !strings.Contains(said, "&#39;") {
			assert.Contains(t, got.Text, said)
		}
	}
	for _, form := range []string{got.Text, got.HTML} {
		last := -1
		for _, said := range []string{"Node node-a:9100 is down", "TRIGGERED", "alerts firing", "If nobody answers", "incidents/k7f3q9", "tocsin ack", "Alerts", "Runbook", "What has happened"} {
			at := strings.LastIndex(form, said)
			if said == "Node node-a:9100 is down" || said == "Alerts" || said == "Runbook" {
				at = strings.Index(form[max(last, 0):], said) + max(last, 0)
			}
			assert.Greater(t, at, last, "%s comes too early", said)
			last = at
		}
	}
	assert.NotContains(t, got.HTML, "<style")
	assert.NotContains(t, got.HTML, "<img")
	assert.Equal(t, "high", got.Header.Get("Importance"))
	assert.Equal(t, "auto-generated", got.Header.Get("Auto-Submitted"))
	assert.True(t, strings.HasPrefix(got.Header.Get("Content-Type"), "multipart/alternative"))
	assert.Less(t, bytes.Index(got.Raw, []byte("text/plain")), bytes.Index(got.Raw, []byte("text/html")), "the last form is the best (RFC 2046, 5.1.4)")
}

func BenchmarkDeliver(b *testing.B) {
	f := newFixture(b, smtptest.Config{}, nil)
	n := notice()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.mail.Deliver(b.Context(), n); err != nil {
			b.Fatal(err)
		}
		f.Clear()
	}
}
