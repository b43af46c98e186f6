package command_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/notifiers/slack/command"
)

// TestEveryExampleIsDone: each command's own examples do what they say.
func TestEveryExampleIsDone(t *testing.T) {
	t.Parallel()
	for _, c := range command.Words() {
		for _, example := range c.Examples {
			holds(t, example)
		}
	}
}

// holds fails unless the command is understood and done, for somebody who
// responds.
func holds(t *testing.T, text string) {
	t.Helper()
	b := newBench(t)
	b.open("n4c7d2", "an old one")
	_ = b.says("ana", "override add primary @me for 2h") // rrrrr2
	_ = b.says("ana", "silence a=b for 2h why")          // sssss2
	text = strings.NewReplacer("silence expire m2x8p4", "silence expire sssss2", "override cancel m2x8p4", "override cancel rrrrr2").Replace(text)
	if strings.HasPrefix(text, "resolve") {
		b.incidents["k7f3q9"].Firing = 0
	}
	first := b.says("ana", text).Lines[0]
	for _, no := range []string{"Nothing was done", "There is no command", "not available"} {
		assert.NotContains(t, first, no, text)
	}
}

var typed = regexp.MustCompile("`/tocsin ([^`]*)`")

// TestTheManual: each command is documented with its usage, and each command that
// the page shows is done.
func TestTheManual(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "slack-commands.md"))
	require.NoError(t, err)
	page := string(raw)
	for _, c := range command.Words() {
		for _, u := range c.Usage {
			assert.Contains(t, page, "`"+u+"`", "docs/slack-commands.md does not show how %s is used", c.Name)
		}
		assert.Contains(t, page, c.Says)
		for _, also := range c.Also {
			assert.Contains(t, page, "`"+also+"`", "docs/slack-commands.md does not say that %s is also %s", c.Name, also)
		}
	}
	shown := typed.FindAllStringSubmatch(page, -1)
	require.NotEmpty(t, shown)
	for _, m := range shown {
		holds(t, strings.ReplaceAll(m[1], `\|`, "|"))
	}
}
