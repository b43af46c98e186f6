package runbooks_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks"
	"pgregory.net/rapid"
)

// fenced is a runbook with one fence, whose info string is on line 5.
func fenced(info string) string {
	return "# NodeDown\n\n## Mitigation\n\n```" + info + "\n# first\nsystemctl restart node\n# then\nsleep 1\n```\n"
}

func TestFencesNameRemedies(t *testing.T) {
	t.Parallel()
	for info, want := range map[string]struct{ lang, remedy string }{
		"bash {remediation=restart-node}":                           {"bash", "restart-node"},
		"bash{remediation=restart-node}":                            {"bash", "restart-node"},
		"Bash  { remediation=restart-node }":                        {"bash", "restart-node"},
		"{.bash remediation=restart-node}":                          {"bash", "restart-node"},
		"{.bash .numberLines #id remediation=\"restart-node\" a=1}": {"bash", "restart-node"},
		"{#id .sh remediation='restart-node' startFrom=\"10\"}":     {"sh", "restart-node"},
		"bash {linenos=table,hl_lines=[1,2],remediation=restart}":   {"bash", "restart"},
		"bash {remediation=restart remediation=restart}":            {"bash", "restart"},
		`{remediation="the \"big\" one"}`:                           {"", `the "big" one`},
		"bash {Remediation=x}":                                      {"bash", "x"},
		"bash {x} {remediation=late}":                               {"bash", ""},
		"bash":                                                      {"bash", ""},
		"{.python}":                                                 {"python", ""},
		"{r, echo=FALSE}":                                           {"r", ""},
		"{code-block} bash":                                         {"code-block", ""},
		"bash title=\"restart\"":                                    {"bash", ""},
		"bash {linenos=table,hl_lines=[1,\"2-3\"]}":                 {"bash", ""},
		"bash {": {"bash", ""},
		"":       {"", ""},
		"remedy": {"remedy", ""},
	} {
		rbs, err := runbooks.Parse("x.md", []byte(fenced(info)))
		if info == "bash {x} {remediation=late}" {
			require.ErrorContains(t, err, "x.md:5: ")
			continue
		}
		require.NoError(t, err, info)
		commands := []tocsin.Command{}
		for _, s := range rbs[0].Steps {
			commands = append(commands, s.Commands...)
		}
		require.NotEmpty(t, commands, info)
		assert.Equal(t, want.lang, commands[0].Lang, info)
		assert.Equal(t, want.remedy, commands[0].Remediation, info)
		if want.remedy != "" {
			require.Len(t, commands, 1, "one fence has one button")
			assert.Equal(t, "# first\nsystemctl restart node\n# then\nsleep 1", commands[0].Text)
		}
	}
}

func TestFencesThatNameARemedyBadly(t *testing.T) {
	t.Parallel()
	for info, want := range map[string]string{
		"bash {remediation=restart-node":     "the braces are not closed: write bash {remediation=restart-node}",
		"bash {remediation}":                 "no attribute is called remediation: write bash {remediation=restart-node}",
		"bash {remediation=}":                `"" is no remedy's name: write bash {`,
		"bash {remediation=\"\"}":            `"" is no remedy's name`,
		"bash {remediation=\"a}":             "a quote is not closed: write bash {remediation=a}",
		"sh remediation=reboot":              "stands in braces: write sh {remediation=reboot}",
		"sh {remedy=reboot}":                 "no attribute is called remediation: write sh {remediation=reboot}",
		"sh {remediate: reboot}":             "no attribute is called remediation: write sh {remediation=reboot}",
		"{.sh remediations=reboot}":          "no attribute is called remediation: write sh {remediation=reboot}",
		"bash {remediation=a remediation=b}": "names a and b: divide it",
		"bash {remediation=a/b}":             `"a/b" is no remedy's name`,
		"bash {remediation==a}":              `"" is no remedy's name`,
		"bash {=remediation}":                "no attribute is called remediation",
		"bash {\"remediation=restart\"}":     `"\"" is no attribute: write bash {remediation=restart}`,
		"{remediation=x":                     "the braces are not closed: write bash {remediation=x}",
	} {
		rbs, err := runbooks.Parse("x.md", []byte(fenced(info)))
		var p *runbooks.Problem
		require.ErrorAs(t, err, &p, info)
		assert.Equal(t, runbooks.CodeRemediation, p.Code)
		assert.Contains(t, p.Error(), "x.md:5: ", info)
		assert.Contains(t, p.Text, want, info)
		for _, s := range rbs[0].Steps {
			for _, c := range s.Commands {
				assert.Empty(t, c.Remediation, info)
			}
		}
		assert.NotEmpty(t, rbs[0].Steps, "the steps stay")
	}
}

// A fence with a remedy is a command wherever it stands, and what it says is kept
// as it is.
func TestRemediesAreCommandsEverywhere(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]string{
		"under a heading": "# A\n## Fix\nRestart it:\n\n```bash {remediation=r}\n# a\nx\n```\n",
		"in an item":      "# A\n## Fix\n1. Restart it\n   ```bash {remediation=r}\n   # a\n   x\n   ```\n",
		"after a list":    "# A\n## Fix\n1. Restart it\n\n```bash {remediation=r}\n# a\nx\n```\n",
		"in the meaning":  "# A\n## Meaning\nRestart it:\n\n```bash {remediation=r}\n# a\nx\n```\n",
		"as text":         "# A\n## Fix\nRestart it:\n\n```text {remediation=r}\n# a\nx\n```\n",
		"in a heading":    "# A\n## Fix\n### Step 1: Restart it\n```bash {remediation=r}\n# a\nx\n```\n",
		"in a quote":      "# A\n## Fix\n> Restart it:\n>\n> ```bash {remediation=r}\n> # a\n> x\n> ```\n",
		"with tildes":     "# A\n## Fix\nRestart it:\n\n~~~bash {remediation=r}\n# a\nx\n~~~\n",
	} {
		rbs, err := runbooks.Parse("x.md", []byte(source))
		require.NoError(t, err, name)
		require.Len(t, rbs[0].Steps, 1, name)
		s := rbs[0].Steps[0]
		assert.Contains(t, s.Text, "Restart it", name)
		require.Len(t, s.Commands, 1, name)
		assert.Equal(t, "r", s.Commands[0].Remediation, name)
		assert.Equal(t, "# a\nx", s.Commands[0].Text, name)
	}
	rbs, err := runbooks.Parse("x.md", []byte("# A\n## Fix\n```bash {remediation=r}\n```\n"))
	require.NoError(t, err)
	require.Len(t, rbs[0].Steps, 1)
	assert.Equal(t, "Run the remedy r", rbs[0].Steps[0].Text)
	filled := runbooks.Fill(&rbs[0], tocsin.Labels{"x": "y"})
	assert.Equal(t, "r", filled.Steps[0].Commands[0].Remediation)
}

func TestLintRemedies(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{
		"a.md": fenced("bash {remediation=restart-node}") + fenced("bash {remediation=restart-nod}"),
		"b.md": fenced("bash {remediation=other}"), "c.md": fenced("bash {remediation"),
	})
	lib, problems, err := runbooks.Load([]string{dir})
	require.NoError(t, err)
	require.Len(t, problems, 1)
	assert.Equal(t, filepath.Join(dir, "c.md"), problems[0].File)
	found := []string{}
	for _, f := range lib.LintRemedies([]string{"restart-node", "prune"}) {
		found = append(found, f.String())
	}
	assert.Equal(t, []string{
		filepath.Join(dir, "a.md") + ":15: error: the remedy restart-nod is not declared in the configuration; did you mean restart-node? (undeclared-remedy)",
		filepath.Join(dir, "b.md") + ":5: error: the remedy other is not declared in the configuration; declare it under remediations, or correct the name (undeclared-remedy)",
	}, found)
	assert.Empty(t, (*runbooks.Library)(nil).LintRemedies(nil))
}

// Whatever is written behind a fence: the block is read, and a remedy that is
// named is one that is written there.
func TestInfoStringsAreReadSafely(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOfN(rapid.SampledFrom([]rune("a{}=\"'.#, \\[]remediation\u00e9")), 0, 40, -1).Draw(t, "info")
		if prefix := rapid.SampledFrom([]string{"", "bash {", "{.bash remediation="}).Draw(t, "prefix"); true {
			s = prefix + s
		}
		rbs, _ := runbooks.Parse("x.md", []byte("# A\n## Fix\n~~~"+s+"\nsystemctl stop x\n~~~\n"))
		require.NotEmpty(t, rbs)
		for _, step := range rbs[0].Steps {
			for _, c := range step.Commands {
				if c.Remediation != "" {
					require.Contains(t, s, "remediation")
				}
			}
		}
	})
}
