package tocsin_test

import (
	"fmt"
	"regexp/syntax"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
)

func TestCheckMatchers(t *testing.T) {
	t.Parallel()
	for _, fine := range []string{
		`severity="critical"`, `{a="b", c=~"d|e"}`, `instance=~"node-[0-9]{1,4}"`, `id=~"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"`,
		`sum=~"[0-9a-f]{64}"`, `a=~"` + strings.Repeat("node-eu-west-123|", 200) + `x"`, `a=~"[broken"`, `"`, `"\`, `a="(.?){1000}`, ``,
	} {
		require.NoError(t, tocsin.CheckMatchers("matchers", fine), fine)
	}
	for _, much := range []string{
		`a=~"` + strings.Repeat("(.?){1000}", 90) + `y"`, `a=~"(.{30}){30}b{900}(cd){1000}(ef){1000}"`, `{x="y", b!~"(abcdefghi){600}"}`,
		"b=~\"\\u0028abcdefghi){600}\"", `"(abcdefghi){600}"="x"`, `a="\\", b=~"(abcdefghi){600}"`, `a=~"(?i)(\\pL\\pL){90}"`,
		`a="` + strings.Repeat("x", tocsin.MaxMatchers) + `"`,
	} {
		err := tocsin.CheckMatchers("matchers", much)
		require.ErrorIs(t, err, tocsin.ErrInvalid, much)
		assert.ErrorContains(t, err, "matchers: ")
	}
	half := `a=~"(abcdefghi){300}"`
	require.NoError(t, tocsin.CheckMatchers("filter", half))
	require.ErrorIs(t, tocsin.CheckMatchers("filter", half, half), tocsin.ErrInvalid, "all of them together")
}

// What passes is small when it is compiled, whatever it is made of.
func TestMatchersThatPassAreSmall(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := expression(t, 5)
		re, err := syntax.Parse(text, syntax.Perl)
		if err != nil || tocsin.CheckMatchers("matchers", fmt.Sprintf("a=~%q", text)) != nil {
			return
		}
		prog, err := syntax.Compile(re.Simplify())
		require.NoError(t, err)
		require.LessOrEqual(t, len(prog.Inst), 4*tocsin.MaxMatcherCost, text)
	})
}

// expression draws a regular expression.
func expression(t *rapid.T, depth int) string {
	if depth == 0 {
		return rapid.SampledFrom([]string{"a", "abc", ".", "[a-z0-9]", `\d`, `\pL`, "^", "(?i)k"}).Draw(t, "atom")
	}
	var b strings.Builder
	for range rapid.IntRange(1, 3).Draw(t, "parts") {
		sub := "(" + expression(t, depth-1) + ")"
		b.WriteString(sub + rapid.SampledFrom([]string{"", "*", "+", "?", "{3}", "{0,9}", "{40,}", "{100}", "|", "{2}?"}).Draw(t, "times"))
	}
	return b.String()
}
