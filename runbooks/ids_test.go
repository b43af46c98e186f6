package runbooks_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tocsin-oncall/tocsin/runbooks"
	"pgregory.net/rapid"
)

// part is a piece of a generated runbook.
type part struct {
	heading, style string
	texts          []string
}

func (p part) write(b *strings.Builder) {
	fmt.Fprintf(b, "%s\n\n", p.heading)
	switch p.style {
	case "fence":
		b.WriteString("```bash\n")
		for _, t := range p.texts {
			fmt.Fprintf(b, "# Say %s\necho %s\n\n", t, t)
		}
		b.WriteString("```\n\n")
	case "prose":
		fmt.Fprintf(b, "About %s.\n\n", strings.Join(p.texts, ", "))
		b.WriteString("```text\nx\n```\n\n")
	default:
		for _, t := range p.texts {
			fmt.Fprintf(b, "%s Do %s\n", p.style, t)
		}
		b.WriteString("\n")
	}
}

func source(parts []part) string {
	var b strings.Builder
	b.WriteString("# NodeDown\n\nAn introduction.\n\n")
	for _, p := range parts {
		p.write(&b)
	}
	return b.String()
}

func genPart(t *rapid.T, n *int) part {
	kind := rapid.SampledFrom([]string{"Diagnosis", "Mitigation", "Resolution", "Follow-up"}).Draw(t, "kind")
	p := part{
		heading: "## " + kind,
		style:   rapid.SampledFrom([]string{"-", "1.", "- [ ]", "fence", "prose"}).Draw(t, "style"),
	}
	if rapid.Bool().Draw(t, "conditional") {
		*n++
		p.heading += fmt.Sprintf("\n\n**If case%d:**", *n)
	}
	for range rapid.IntRange(1, 4).Draw(t, "count") {
		*n++
		p.texts = append(p.texts, fmt.Sprintf("thing%d", *n))
	}
	return p
}

// ids maps the word of each step to its ID.
func ids(t require.TestingT, src string) map[string]string {
	rbs, err := runbooks.Parse("x.md", []byte(src))
	require.NoError(t, err)
	out := map[string]string{}
	for _, rb := range rbs {
		for _, s := range rb.Steps {
			words := strings.Fields(s.Text)
			out[words[len(words)-1]] = s.ID
		}
	}
	return out
}

// Whatever is added, changed or taken away elsewhere, a step that stays as it
// is under the headings that it was under keeps its ID.
func TestStepIDsSurviveEditsElsewhere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := 0
		var parts []part
		for range rapid.IntRange(2, 6).Draw(t, "parts") {
			parts = append(parts, genPart(t, &n))
		}
		before := ids(t, source(parts))
		edited := slices.Clone(parts)
		at := rapid.IntRange(0, len(edited)-1).Draw(t, "at")
		touched := edited[at].texts
		edit := rapid.IntRange(0, 3).Draw(t, "edit")
		switch edit {
		case 0:
			edited = slices.Delete(edited, at, at+1)
		case 1:
			touched = nil
			edited = slices.Insert(edited, at, genPart(t, &n))
		case 2:
			edited[at].texts = append([]string{"new1"}, edited[at].texts...)
			touched = nil
		case 3:
			texts := slices.Clone(edited[at].texts)
			touched = texts[:1]
			texts = slices.Clone(texts)
			texts[0] = "changed1"
			edited[at].texts = texts
		}
		after := ids(t, source(edited))
		for word, id := range before {
			if _, stays := after[word]; !stays && edit == 0 || slices.Contains(touched, word) || strings.HasSuffix(word, ".") {
				continue
			}
			require.Equal(t, id, after[word], "step %q", word)
		}
	})
}

func TestStepIDs(t *testing.T) {
	t.Parallel()
	src := "# NodeDown\n\n## Diagnosis\n\n- look\n- look\n\n## Mitigation\n\n- look\n"
	rb := parseOne(t, "x.md", src)
	require.Len(t, rb.Steps, 3)
	seen := map[string]bool{}
	for _, s := range rb.Steps {
		assert.Regexp(t, `^[0-9a-f]{10}$`, s.ID)
		assert.False(t, seen[s.ID])
		seen[s.ID] = true
	}
	other := parseOne(t, "elsewhere/y.md", strings.Replace(src, "# NodeDown", "Preface.\n\n# NodeGone\n\nMore.", 1))
	for i := range rb.Steps {
		assert.Equal(t, rb.Steps[i].ID, other.Steps[i].ID)
	}
}
