package slack_test

import (
	"encoding/json"
	"fmt"
	"html"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// nasty is what people put into labels, and what people should not.
var nasty = []string{
	"<!channel>", "<!here>", "<!everyone>", "<!here|here>", "@here", "@channel", "<@U0ANA>", "<@U0ANA|ana>", "<#C0OPS|ops>",
	"<!subteam^S0TEAM|@team>", "<!date^0^{date}|x>", "<https://evil.example|Incident>", "https://evil.example/", "evil.example",
	"<mailto:a@b.c|x>", "javascript:alert(1)", "`", "``", "```", "````", "*bold*", "_it_", "~gone~", "\n", "\r\n", "\n> quote", "> quote",
	"\n\n\n", "\t", "\x00", "\x1b[31m", "\u202e", "\u2066", "\u200b", "\u200d", "\ufeff", "\u2028", "\u3164", "\U000E0041", "\xff\xfe", "\xc0\x80", "&lt;!channel&gt;",
	"&amp;lt;", "&", "<", ">", "|", "\\", `"`, "'", "漢字", "🔥", "é", "a\u0301\u0301\u0301", ":fire:", "${HOME}", "{{ $labels.x }}", "$(reboot)",
	" ", "",
}

// huge texts are rarer: they cost most of the time.
var huge = []string{
	strings.Repeat("A", 5000), strings.Repeat("<", 3000), strings.Repeat("\"", 3000), strings.Repeat("&", 2000),
	strings.Repeat("🔥", 1500), strings.Repeat("` ", 1000), strings.Repeat("```\n", 500),
}

// tried counts the nasty texts that were made.
var tried atomic.Int64

func nastyText(r *rand.Rand) string {
	tried.Add(1)
	if r.IntN(60) == 0 {
		return huge[r.IntN(len(huge))]
	}
	var b strings.Builder
	for range r.IntN(4) {
		if r.IntN(3) == 0 {
			for range r.IntN(12) {
				b.WriteRune(rune(r.IntN(0x2100)))
			}
			continue
		}
		b.WriteString(nasty[r.IntN(len(nasty))])
	}
	return b.String()
}

func nastyLabels(r *rand.Rand) tocsin.Labels {
	l := tocsin.Labels{}
	for range r.IntN(6) {
		l[nastyText(r)] = nastyText(r)
	}
	return l
}

func nastyURL(r *rand.Rand) string {
	if r.IntN(2) == 0 {
		return nastyText(r)
	}
	return "https://good.example/" + nastyText(r)
}

func nastyNotice(r *rand.Rand) tocsin.Notice {
	text := func() string { return nastyText(r) }
	i := incident()
	i.ID = i.ID[:5] + string(rune('a'+r.IntN(26)))
	i.Title, i.Severity, i.Alerts, i.Firing = text(), tocsin.Severity(text()), 9, uint32(r.IntN(10))
	i.Flapping, i.Reopened, i.Truncated = r.IntN(2) == 0, uint32(r.IntN(2)), uint64(r.IntN(2))
	switch r.IntN(4) {
	case 0:
		i.Acknowledge(text(), opened)
	case 1:
		i.Resolve(text(), text(), opened.Add(time.Hour))
	case 2:
		i.Suppressed, i.Suppression = i.Firing, &tocsin.Suppression{Reason: text(), By: text(), Text: text()}
	}
	n := notice(i)
	n.GroupLabels, n.URL, n.Alerts = nastyLabels(r), nastyURL(r), nil
	for range r.IntN(12) {
		a := tocsin.Alert{Source: text(), Labels: nastyLabels(r), Annotations: nastyLabels(r), GeneratorURL: nastyURL(r)}
		a.Labels[tocsin.LabelAlertName] = text()
		a.Annotations[tocsin.AnnotationDescription] = text()
		a.Annotations[tocsin.AnnotationRunbookURL] = nastyURL(r)
		n.Alerts = append(n.Alerts, tocsin.AlertRecord{Alert: a, State: tocsin.AlertState{Firing: r.IntN(4) > 0, StartsAt: opened, Suppression: i.Suppression}})
	}
	if r.IntN(2) == 0 {
		n.Runbook = &tocsin.Runbook{Title: text(), URL: nastyURL(r)}
		i.Runbook, i.Progress = text(), &tocsin.Progress{}
		ids := r.IntN(3) > 0
		for k := range r.IntN(24) {
			id := ""
			if ids {
				id = fmt.Sprint(k, text())
			}
			if status := []tocsin.StepStatus{"", tocsin.StepOpen, tocsin.StepStarted, tocsin.StepDone, tocsin.StepSkipped}[r.IntN(5)]; status != "" {
				i.Progress.Steps = append(i.Progress.Steps, tocsin.StepProgress{Step: id, Number: k + 1, Text: text(), Status: status, By: text(), At: opened, Note: text()})
			}
			n.Runbook.Steps = append(n.Runbook.Steps, tocsin.Step{
				ID: id, Condition: text(), Text: text(), Depth: r.IntN(5),
				Commands: []tocsin.Command{{Text: text(), Unfilled: []string{text()}}, {Text: text()}},
			})
		}
	}
	n.Events = nil
	i.Text, n.Delivery.Mention = text(), text()
	if r.IntN(3) == 0 {
		i.Kind = tocsin.KindManual
	}
	i.Escalation = &tocsin.Escalation{Responders: []tocsin.Responder{{User: text()}, {User: text(), Unreachable: true}}, SnoozedUntil: opened}
	for k := range r.IntN(6) {
		n.Remediations = append(n.Remediations, tocsin.Remediation{
			ID: fmt.Sprint("r", k), Remedy: text(), Target: text(), Why: text(), Mode: tocsin.ModeApprove, Needs: r.IntN(3), ExpiresAt: opened,
			State: []tocsin.RemediationState{tocsin.RemediationProposed, tocsin.RemediationVerified, tocsin.RemediationUnknown}[r.IntN(3)],
		})
	}
	n.Ahead = []tocsin.Ahead{{At: opened, Text: text()}, {At: opened.Add(48 * time.Hour), Text: text()}}
	return n
}

// ourBold is all that may be bold.
var (
	tag     = regexp.MustCompile(`<[^>]*>`)
	boldRe  = regexp.MustCompile(`<b>([^<]*)`)
	ourBold = regexp.MustCompile(`^(critical|error|warning|info|\d+ of \d+ firing|Firing|Acknowledged|Suppressed|Resolved|Runbook)$`)
)

// assertHarmless checks what people would see of a message.
func assertHarmless(t require.TestingT, m slacktest.Message) {
	seen := m.See()
	require.Empty(t, seen.Mentions, "a mention in %s", m.Blocks)
	for _, l := range seen.Links {
		require.Regexp(t, `^https?://[^\s<>|]+$`, l)
		require.NotContains(t, l, "evil.example|")
	}
	require.NotContains(t, string(seen.HTML), "<blockquote>", "a quotation in %s", m.Blocks)
	require.NotContains(t, string(seen.HTML), "<i>", "italics in %s", m.Blocks)
	for _, b := range boldRe.FindAllStringSubmatch(string(seen.HTML), -1) {
		require.Regexp(t, ourBold, b[1], "bold in %s", m.Blocks)
	}
	text := html.UnescapeString(tag.ReplaceAllString(string(seen.HTML), "\n"))
	for _, r := range text + m.Text {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029') {
			require.Failf(t, "unseen character", "%U in %s", r, m.Blocks)
		}
	}
	require.LessOrEqual(t, size(m), 10_000)
	var blocks []struct{ Text struct{ Type, Text string } }
	require.NoError(t, json.Unmarshal(m.Blocks, &blocks))
	for _, b := range blocks {
		if b.Text.Type == "mrkdwn" {
			require.Zero(t, strings.Count(b.Text.Text, "```")%2, "an open fence in %s", m.Blocks)
		}
	}
}

// deliverHostile posts one hostile message and its thread and checks both.
func deliverHostile(t *testing.T, seed uint64) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	s := slacktest.New(slacktest.WithAutoCreate())
	ch := slack.New(slack.Config{Token: "t", HTTPClient: s.Client(), Buttons: seed%2 == 0}).Channel("#incidents")
	n := nastyNotice(r)
	receipt, err := ch.Deliver(t.Context(), n)
	require.NoError(t, err, "seed %d", seed)
	require.NotContains(t, receipt.Text, "plain text", "seed %d", seed)
	record(&n, receipt)
	for seq := range uint64(r.IntN(40)) {
		n.Events = append(n.Events, event(100+seq, tocsin.EventKind(nastyText(r)), nastyText(r)))
	}
	_, err = ch.Deliver(t.Context(), n)
	require.NoError(t, err, "seed %d", seed)
	m := s.Messages("incidents")
	require.Len(t, m, 1)
	assertHarmless(t, m[0])
	for _, reply := range m[0].Replies {
		assertHarmless(t, reply)
	}
}

func TestHostileTextIsHarmless(t *testing.T) {
	t.Parallel()
	cases := 10_000
	if testing.Short() || raceDetector {
		cases = 1000
	}
	for seed := range uint64(cases) {
		deliverHostile(t, seed)
	}
	if cases == 10_000 {
		require.GreaterOrEqual(t, tried.Load(), int64(1_000_000), "texts from outside that were tried")
	}
}

// TestHostileRepliesAreHarmless: what is said to one person, and what a window
// shows, holds text from outside too.
func TestHostileRepliesAreHarmless(t *testing.T) {
	t.Parallel()
	cases := 3000
	if testing.Short() || raceDetector {
		cases = 300
	}
	s := slacktest.New(slacktest.WithAutoCreate())
	id := s.AddChannel("incidents")
	s.AddUser(slacktest.User{ID: "U0ANA0001", Name: "ana"})
	c := slack.New(slack.Config{Token: "t", APIURL: slacktest.URL, HTTPClient: s.Client()})
	for seed := range uint64(cases) {
		r := rand.New(rand.NewPCG(seed, 2))
		n := nastyNotice(r)
		lines := []string{slack.State(n.Incident), "– " + slack.Escape(nastyText(r), 300), slack.Code(nastyText(r), 300)}
		if n.Runbook != nil {
			lines = append(lines, slack.RunbookLines(n.Runbook, n.Incident.Progress)...)
		}
		require.NoError(t, c.Tell(t.Context(), id, "U0ANA0001", slack.Reply{Lines: lines}), "seed %d", seed)
		require.NoError(t, c.Open(t.Context(), s.Trigger("U0ANA0001"), slack.Modal{
			Callback: "x", Title: "T", Submit: "S", Lines: lines, Inputs: []slack.Input{{ID: "a", Label: "A"}},
		}), "seed %d", seed)
		said := s.Ephemerals("U0ANA0001")
		assertHarmless(t, said[len(said)-1].Message)
		v, ok := s.View("U0ANA0001")
		require.True(t, ok)
		require.Empty(t, slacktest.Message{Blocks: v.Blocks}.See().Mentions)
		s.Dismiss("U0ANA0001")
	}
}

func FuzzHostileText(f *testing.F) {
	for _, s := range append(nasty, huge...) {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		s, ch := setup(t)
		n := notice(incident())
		n.Incident.Title = a
		n.Alerts[0].Labels[b] = a
		n.Alerts[0].Labels[tocsin.LabelAlertName] = b
		n.Alerts[0].Annotations[tocsin.AnnotationDescription] = a + b
		n.URL, n.Alerts[0].GeneratorURL = a, "https://x.example/"+b
		n.Runbook = &tocsin.Runbook{Title: b, Steps: []tocsin.Step{{Text: a, Commands: []tocsin.Command{{Text: b, Unfilled: []string{a}}}}}}
		n.Events = []tocsin.Event{event(9, tocsin.EventNote, a), event(10, tocsin.EventNote, b)}
		n.Delivery.Told = 8
		deliver(t, ch, &n)
		n.Events[1].Seq++
		n.Incident.Touch(opened)
		deliver(t, ch, &n)
		deliver(t, ch, &n)
		m := one(t, s)
		assertHarmless(t, m)
		assert.Len(t, m.Replies, 1)
		assertHarmless(t, m.Replies[0])
	})
}
