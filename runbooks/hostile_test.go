package runbooks_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tocsin-oncall/tocsin/runbooks"
)

// repeat fills a unit.
func repeat(s string) string { return strings.Repeat(s, runbooks.MaxUnit/len(s)) }

func hostileSources() map[string]string {
	nest := func(mark string) string {
		var b strings.Builder
		for i := 0; b.Len() < runbooks.MaxUnit-1000; i++ {
			b.WriteString(strings.Repeat(" ", i*2) + mark + "a\n")
		}
		return b.String()
	}
	table := func(cols, rows int) string {
		return strings.Repeat("|a", cols) + "|\n" + strings.Repeat("|-", cols) + "|\n" + strings.Repeat("|\n", rows)
	}
	out := map[string]string{
		"nested lists": nest("- "), "nested numbers": nest("1. "), "nested quotes": nest("> "),
		"wide table": table(2000, 12_000), "table": table(500, 14_000), "long table": table(100, 15_000),
		"many tables":      repeat(table(50, 20) + "\n"),
		"quotes on a line": strings.Repeat("> ", 16_000) + "a", "lists on a line": strings.Repeat("- ", 16_000) + "a",
		"deep links": strings.Repeat("[", 5000) + "a" + strings.Repeat("](b)", 5000),
	}
	for _, s := range []string{
		"*a_ ", "*a_ *a_\n", "**a*", "_a__b", "~~a ~b ", "*", "a**b", "[a](<b", "[a](b", "[a](", "[", "![", "[a]", "[]", "]", "[a][b]",
		"` `` ``` ", "<a ", "<!--", "<?", "<a b='", "</", "&a", "&#", "http://a.b ", "www.a.", "a@b.", "\\", "> ", "- a\n", "1) a\n", "- - - a\n",
		"[a]: b\n", "[a]: <\n", "[a]: b 'x\n", "<div>\n", "\r", "\t", "-\t", "```\n", "~~~a\n", "a\n=\n", "\x00", "\xff", "a|b\n-|-\n", "- [ ] ",
		"**a:**\n", "**Step 1** a\n\n", "# a\n", "## If a\n\n- b\n", "**Alert:** a\n", "{{ $labels.x }}", "$(", "`kubectl -a`\n", "<a-b>", "(((", "\u202e",
		"```bash\n# a\nb\n```\n", "- a\n\n  ```\n  $ b\n  ```\n", "```bash\n$ a\n```\n", "| Step | Command |\n|-|-|\n| a | `b -c` |\n\n", "{{< ref \"", "<a name=\"", "$ '\n",
	} {
		out[fmt.Sprintf("%q", s)] = repeat(s)
	}
	return out
}

// The bound promised is 100 ms on an idle machine; the test allows for a busy
// one and still tells it from seconds.
func TestHostileUnitsAreQuick(t *testing.T) {
	if raceEnabled {
		t.Skip("measures time, which the race detector stretches")
	}
	var worst time.Duration
	var which string
	for name, src := range hostileSources() {
		for _, prefix := range []string{"", "# NodeDown\n\n## Fix\n\n", "```bash\n", "<div>\n```\n\n", "---\n"} {
			start := time.Now()
			rbs, err := runbooks.Parse("x.md", []byte(prefix+src))
			d := time.Since(start)
			if d > worst {
				worst, which = d, name
			}
			assert.Less(t, d, time.Second, "%s after %q", name, prefix)
			if err == nil {
				assert.NotEmpty(t, rbs, name)
			}
		}
	}
	t.Logf("slowest: %s, %s", which, worst)
}

func TestHostileSectionLeavesTheRest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ bad, code string }{
		"hostile":   {repeat("*a_ ")[:20_000], runbooks.CodeHostile},
		"table":     {strings.Repeat("|a", 500) + "|\n" + strings.Repeat("|-", 500) + "|\n" + strings.Repeat("|\n", 14_000), runbooks.CodeHostile},
		"oversized": {repeat("word word\n") + repeat("word word\n"), runbooks.CodeOversized},
	} {
		src := "# NodeDown\n\n## Diagnosis\n\n- look\n\n## Impact\n\n" + c.bad + "\n\n## Mitigation\n\n```bash\n# Restart\n## twice\nreboot\n```\n\n[a]: https://example.com\n"
		rbs, err := runbooks.Parse("a/x.md", []byte(src))
		var p *runbooks.Problem
		require.ErrorAs(t, err, &p, name)
		assert.Equal(t, c.code, p.Code, name)
		assert.Equal(t, "a/x.md", p.File)
		assert.Equal(t, 7, p.Line, name)
		assert.Contains(t, err.Error(), "a/x.md:7: ")
		require.Len(t, rbs, 1, name)
		assert.Equal(t, []string{"NodeDown"}, rbs[0].Alerts)
		require.Len(t, rbs[0].Steps, 2, name)
		assert.Equal(t, "Restart twice", rbs[0].Steps[1].Text)
	}
}

func TestLargeFileOfManySections(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("# Runbooks\n\n")
	for i := range 600 {
		fmt.Fprintf(&b, "## %d. Incident\n\n**Alert:** `Alert%d`\n\nSetext\n------\n\n**Diagnosis:**\n\n1. See [docs] %d\n   ```sh\n   # not a heading\n   run\n   ```\n\n%s\n\n", i, i, i, strings.Repeat("filler ", 100))
	}
	b.WriteString("[docs]: https://example.com/docs\n")
	require.Greater(t, b.Len(), 10*runbooks.MaxUnit)
	rbs, err := runbooks.Parse("x.md", []byte(b.String()))
	require.NoError(t, err)
	byAlert := 0
	for _, rb := range rbs {
		byAlert += len(rb.Alerts)
	}
	assert.Equal(t, 600, byAlert)
	line := strings.Count(b.String()[:strings.Index(b.String(), "## 599.")], "\n") + 1
	last := rbs[len(rbs)-1]
	for _, rb := range rbs {
		if len(rb.Alerts) > 0 && rb.Alerts[0] == "Alert599" {
			last = rb
		}
	}
	assert.Equal(t, line, last.Line)
}

func TestFileTooLarge(t *testing.T) {
	t.Parallel()
	rbs, err := runbooks.Parse("x.md", make([]byte, runbooks.MaxFile+1))
	assert.Empty(t, rbs)
	var p *runbooks.Problem
	require.ErrorAs(t, err, &p)
	assert.Equal(t, runbooks.CodeOversized, p.Code)
}

func TestLargestFileIsQuick(t *testing.T) {
	if raceEnabled {
		t.Skip("measures time, which the race detector stretches")
	}
	for _, s := range []string{"# a\n", "a ", "- *a* [b](c)\n", "**Alert:** `A`\n\n", "## A\n\n**Alert:** `A`\n\n- x\n"} {
		start := time.Now()
		rbs, _ := runbooks.Parse("x.md", []byte(strings.Repeat(s, runbooks.MaxFile/len(s))))
		assert.Less(t, time.Since(start), 2*time.Minute, s)
		assert.NotEmpty(t, rbs)
	}
}
