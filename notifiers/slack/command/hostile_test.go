package command_test

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/command"
)

// date is the one thing in <…> that an answer is made to hold.
var date = regexp.MustCompile(`<!date\^\d+\^[^|<>]*\|[^<>]*>`)

// bounded fails unless the answer has room in a message, and mentions and links
// nothing.
func bounded(t require.TestingT, r slack.Reply) {
	var body struct {
		Text   string `json:"text"`
		Blocks []struct {
			Text struct {
				Text     string `json:"text"`
				Verbatim bool   `json:"verbatim"`
			} `json:"text"`
		} `json:"blocks"`
	}
	require.NoError(t, json.Unmarshal(r.Body(), &body))
	require.NotEmpty(t, body.Text, "nothing is said")
	require.LessOrEqual(t, len(body.Blocks), 50)
	sum := 0
	for _, b := range body.Blocks {
		n := utf8.RuneCountInString(b.Text.Text)
		sum += n
		require.LessOrEqual(t, n, 3000)
		require.True(t, b.Text.Verbatim)
		rest := date.ReplaceAllString(b.Text.Text, "")
		require.NotContains(t, rest, "<")
		require.NotContains(t, rest, ">")
	}
	require.LessOrEqual(t, sum, 9500)
	require.NotContains(t, date.ReplaceAllString(body.Text, ""), "<")
}

// pieces are what hostile, or clumsy, input is made of.
var pieces = []string{
	"ack", "resolve", "snooze", "note", "page", "override", "add", "cancel", "silence", "silences", "expire", "for", "until", "from", "to",
	"2h", "18:00", "tomorrow", "public", "force", "step", "list", "help", "show", "why", "oncall", "handoff", "runbook", "merge", "into",
	"reassign", "escalate", "severity", "critical", "channel", "status", "k7f3q9", "m2x8p4", "primary", "@bo", "@me", "done", "1", "99999999999",
	"<@U0BO00001>", "<@U0BO00001|bo>", "<@UXXXXXXXX|<!here>>", "<!here>", "<!channel>", "<!subteam^S123|@all>", "<#C123|general>", "<http://x.test|x>",
	"<mailto:a@b.c|a@b.c>", "&lt;!channel&gt;", "&amp;lt;!here&amp;gt;", "&lt;@U123&gt;", "`", "```", "*", "_", "~", "\"", "“", "”", "'", "=", `a="b`,
	"a=~\"(\"", "\u202e", "\x00", "\n> quote", "\xff\xfe", "@everyone", "https://evil.test", "<", ">", "|", "<!date^1^{date}^https://evil.test|x>",
}

func hostile() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		words := rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom(pieces), rapid.String()), 0, 12).Draw(t, "words")
		return strings.Join(words, rapid.SampledFrom([]string{" ", "  ", "\t", "\u00a0", "", "\n"}).Draw(t, "between"))
	})
}

// TestNoWordsBreakAnAnswer: whatever is typed, and however often, the answer
// mentions nobody, links nothing and has an end; and what was typed last does not
// come out of what is shown later either.
func TestNoWordsBreakAnAnswer(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := newDesk()
		d.open("k7f3q9", hostile().Draw(t, "title"), func(i *tocsin.Incident) { i.Text = hostile().Draw(t, "text") })
		d.open("m2x8p4", "quiet", func(i *tocsin.Incident) { i.Firing = 0 })
		run := command.New(deps(d))
		for range rapid.IntRange(1, 6).Draw(t, "times") {
			who := rapid.SampledFrom([]string{"ana", "bo", "vi"}).Draw(t, "who")
			r, err := run.Run(t.Context(), slack.Said{ID: "x", Who: who, Text: hostile().Draw(t, "said"), Channel: "C1", At: now})
			require.NoError(t, err)
			bounded(t, r)
		}
		for _, text := range []string{"list", "show k7f3q9", "silences all", "override list", "runbook k7f3q9"} {
			r, err := run.Run(t.Context(), slack.Said{Who: "bo", Text: text, At: now})
			require.NoError(t, err)
			bounded(t, r)
		}
	})
}

func FuzzRun(f *testing.F) {
	for _, text := range append(pieces, "", `silence a="b c" for 2h <@U0BO00001> said`, "page <@U0BO00001|bo> "+strings.Repeat("x", 600), "ack k7f3q9 "+strings.Repeat("y", 20000)) {
		f.Add("ana", text)
		f.Add("bo", "k7f3q9 "+text)
	}
	f.Fuzz(func(t *testing.T, who, text string) {
		d := newDesk()
		d.open("k7f3q9", text)
		run := command.New(deps(d))
		for _, said := range []string{text, "note k7f3q9 " + text, "page @bo " + text, "silence " + text, "override add primary " + text, "show k7f3q9"} {
			r, err := run.Run(t.Context(), slack.Said{ID: said, Who: who, Text: said, At: now})
			require.NoError(t, err)
			bounded(t, r)
		}
		for _, m := range d.opened {
			assert.LessOrEqual(t, len(m.Title), 500)
			assert.True(t, utf8.ValidString(m.Title))
		}
	})
}
