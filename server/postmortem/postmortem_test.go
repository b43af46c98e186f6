package postmortem_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer/html"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server/postmortem"
)

var update = flag.Bool("update", false, "write the golden files anew")

func at(minute int) time.Time {
	return time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC).Add(time.Duration(minute) * time.Minute)
}

func event(minute int, kind tocsin.EventKind, actor, text string) tocsin.Event {
	return tocsin.Event{Seq: uint64(minute + 1), Kind: kind, Incident: "k7f3q9", At: at(minute), Actor: actor, Text: text}
}

// story is an incident that was handed over once and needed a remedy. Every text of
// outside is what texts says.
func story(text func(string) string) *postmortem.Material {
	return &postmortem.Material{
		Incident: &tocsin.Incident{
			ID: "k7f3q9", Title: text("NodeDown: us-east is *really* down"), State: tocsin.Resolved, Severity: tocsin.Critical, Alerts: 3,
			OpenedAt: at(0), AcknowledgedAt: at(20), AcknowledgedBy: text("bo"), ResolvedAt: at(95), ResolvedBy: text("bo"), Reopened: 1,
			Escalation: &tocsin.Escalation{Responders: []tocsin.Responder{
				{User: text("ana"), At: at(4), Calls: 2, Unreachable: true},
				{User: text("bo"), At: at(5), Calls: 1, Acknowledged: at(7)},
				{User: text("lead"), At: at(6), Calls: 1},
			}},
		},
		URL: "https://tocsin.example.com/incidents/k7f3q9",
		Alerts: []tocsin.AlertRecord{
			{
				Alert: tocsin.Alert{Labels: tocsin.Labels{"alertname": text("NodeDown"), "instance": text("node_1:9090")}, Annotations: tocsin.Labels{"summary": text("node_1 is down")}},
				State: tocsin.AlertState{StartsAt: at(-1), EndsAt: at(95)},
			},
			{
				Alert: tocsin.Alert{Labels: tocsin.Labels{"alertname": text("NodeDown"), "instance": text("node-2")}},
				State: tocsin.AlertState{Firing: true, StartsAt: at(3), Suppression: &tocsin.Suppression{Reason: tocsin.Silenced, Text: text("silenced by ana: being moved")}},
			},
		},
		Timeline: []tocsin.Event{
			event(0, tocsin.EventOpened, "", text("opened by NodeDown")),
			event(4, tocsin.EventCalled, "", text("ana by Slack")),
			event(7, tocsin.EventAcknowledged, text("bo"), text("acknowledged by bo")),
			event(12, tocsin.EventNote, text("bo"), text("the provider says: see https://status.example.com/1?a=b")),
			event(18, tocsin.EventReturned, "", text("back to triggered")),
			event(20, tocsin.EventAcknowledged, text("bo"), text("acknowledged by bo")),
			event(95, tocsin.EventResolved, text("bo"), text("resolved by bo")),
		},
		Runbook: text("Node down"),
		Steps: []tocsin.StepView{
			{Number: 1, Text: text("Is it reachable at all?"), Status: tocsin.StepDone, By: text("bo"), At: at(9)},
			{Number: 2, Text: text("Fail over"), Status: tocsin.StepSkipped, By: text("bo"), At: at(10), Note: text("was done already")},
			{Number: 3, Text: text("Tell support"), Status: tocsin.StepOpen},
		},
		Remediations: []tocsin.Remediation{
			{
				ID: "r2", Remedy: text("restart-node"), Target: text("node_2"), State: tocsin.RemediationNotFixed, Why: text("it is still down"), ProposedAt: at(14),
				StartedAt: at(15), EndedAt: at(16), Approvals: []tocsin.Approval{{By: text("bo")}, {By: text("lead")}},
			},
			{ID: "r1", Remedy: text("restart-node"), Target: text("node_1"), State: tocsin.RemediationVerified, ProposedAt: at(13), ProposedBy: text("bo"), StartedAt: at(13), EndedAt: at(14)},
		},
		Silences: []tocsin.Silence{{ID: "s1s1s1", Matchers: []string{text(`instance="node-2"`)}, StartsAt: at(-60), EndsAt: at(60), CreatedBy: text("ana"), Comment: text("being moved")}},
		Changes: []tocsin.Event{
			{Kind: tocsin.EventChange, At: at(-5), Actor: text("ci"), Text: text("deployed api 1.4.2 (#812)")},
			{Kind: tocsin.EventChange, At: at(-50), Text: text("moved traffic to us-east")},
		},
		Missing: []string{text("changes: not all was read within 3s")},
	}
}

func same(s string) string { return s }

func TestPostmortem(t *testing.T) {
	t.Parallel()
	r := postmortem.Of(story(same))
	data, err := json.MarshalIndent(r, "", " ")
	require.NoError(t, err)
	for file, got := range map[string][]byte{"story.md": []byte(r.Markdown()), "story.json": append(data, '\n')} {
		golden := filepath.Join("testdata", file)
		if *update {
			require.NoError(t, os.WriteFile(golden, got, 0o644))
		}
		want, err := os.ReadFile(golden)
		require.NoError(t, err, "go test -update writes it")
		assert.Equal(t, string(want), string(got), "go test -update writes it anew")
	}
}

func TestTheFirstAcknowledgementCounts(t *testing.T) {
	t.Parallel()
	m := story(same)
	r := postmortem.Of(m)
	assert.Equal(t, at(7), r.AcknowledgedAt, "the incident itself remembers the last")
	assert.EqualValues(t, 7*60, *r.SecondsToAcknowledge)
	assert.EqualValues(t, 95*60, *r.SecondsToResolve)

	m.Timeline, m.Cut = m.Timeline[6:], true
	assert.Equal(t, at(20), postmortem.Of(m).AcknowledgedAt, "what is known where the timeline is not whole")
}

func TestWhatHasNotHappenedIsSaidSo(t *testing.T) {
	t.Parallel()
	r := postmortem.Of(&postmortem.Material{Incident: &tocsin.Incident{ID: "k7f3q9", State: tocsin.Triggered, OpenedAt: at(0)}, Cut: true})
	assert.Nil(t, r.SecondsToAcknowledge)
	text := r.Markdown()
	for _, want := range []string{
		"# Postmortem: without a text", "Acknowledged: by nobody", "Resolved: not yet", "Nobody was called.", "There was no runbook.",
		"None was run.", "Nobody wrote a note.", "What was before that is left out here.",
	} {
		assert.Contains(t, text, want)
	}
	data, err := json.Marshal(r)
	require.NoError(t, err)
	assert.NotContains(t, string(data), "null")
}

// rendered is what a reader of GitHub's dialect sees.
func rendered(t require.TestingT, text string) string {
	var b bytes.Buffer
	md := goldmark.New(goldmark.WithExtensions(extension.GFM, extension.Footnote, extension.DefinitionList), goldmark.WithRendererOptions(html.WithUnsafe()))
	require.NoError(t, md.Convert([]byte(text), &b))
	return b.String()
}

var (
	elements = regexp.MustCompile(`<[^>]*>`)
	numbers  = regexp.MustCompile(`id="[^"]*"`)
)

// structure is which elements there are, but for code: links, mentions and the like
// are shown as code on purpose.
func structure(htmlText string) string {
	var list []string
	for _, e := range elements.FindAllString(htmlText, -1) {
		if e != "<code>" && e != "</code>" {
			list = append(list, numbers.ReplaceAllString(e, ""))
		}
	}
	return strings.Join(list, "")
}

// Whatever texts from outside are, the document keeps the structure that it has
// with harmless ones: no heading, link, image, table, list or HTML comes of them.
func TestTextsStayTexts(t *testing.T) {
	t.Parallel()
	want := structure(rendered(t, postmortem.Of(story(func(string) string { return "x" })).Markdown()))
	check := func(t require.TestingT, hostile string) {
		text := postmortem.Of(story(func(string) string { return hostile })).Markdown()
		got := rendered(t, text)
		require.Equal(t, want, structure(got), "%q\n%s", hostile, text)
	}
	for _, hostile := range []string{
		"# heading", "\n\n# heading\n", "x\n===", "x\n---", "---", "***", "- - -", "* a", "+ a", "1. a", "1) a", "> quote", "    code", "```\ncode\n```", "~~~\nx",
		"[a](http://evil.example.com)", "![a](http://evil.example.com/x.png)", "[a]: http://evil.example.com", "[a][b]", "[^1]", "[x] task", "<http://evil.example.com>",
		"http://evil.example.com", "https://evil.example.com/a_b_c", "see www.evil.example.com now", "WWW.EVIL.EXAMPLE.COM", "(http://evil.example.com)", "mailto:a@example.com", "a@example.com", "xmpp:a@example.com",
		"ftp://evil.example.com", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<!-- x", "-->", "<?x", "<![CDATA[x", "&lt;b&gt;", "&#60;b&#62;", "&colon;//x",
		"*a*", "**a**", "_a_", "__a__", "~~a~~", "`a`", "``a", "a`", "`", "\\`a`", "a\\", "\\", "$a$", "| a | b |", "a | b\n--|--\n1 | 2", ": definition", "x\n: definition",
		"a\u2028# b", "a\u0085b", "\u202eabc", "a\x00b", "\xff\xfe", "  \n  ", "`` @ `", "--", ":--", ":", "-", "- x", ": x", "1. x", "`a@b", "a@b`", "#1", "@everyone", "a  \nb", "<a\nhref=x>",
	} {
		check(t, hostile)
	}
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.SampledFrom([]string{
			"#", " ", "\n", "\t", "-", "*", "_", "`", "``", "[", "]", "(", ")", "!", "<", ">", "&", ";", "|", "~", "=", "+", "1.", "\\", "a", "b", "http://x.example.com", "www.x.example.com",
			"a@x.example.com", ":", "://", "\"", "'", "$", "^", "script", "/", "img src=x", "\r", "{", "}",
		}), 0, 12).Draw(t, "parts")
		// A text of which nothing is left is said so: it has a structure like any.
		check(t, "x"+strings.Join(parts, ""))
		if joined := strings.Join(parts, ""); strings.TrimSpace(joined) != "" {
			check(t, joined)
		}
	})
}

// What is shown is what was written, but for white space.
func TestTextsAreReadable(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"a*b_c", "1. x", "a `b` c", "see https://x.example.com/?a=b&c=d", "x < y && z > 3", "50% of $HOME\\x", "``"} {
		m := story(same)
		m.Incident.Title = text
		heading, _, _ := strings.Cut(rendered(t, postmortem.Of(m).Markdown()), "</h1>")
		shown := elements.ReplaceAllString(heading, "")
		shown = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&", "&quot;", `"`).Replace(shown)
		assert.Equal(t, "Postmortem: "+text, shown)
	}
}
