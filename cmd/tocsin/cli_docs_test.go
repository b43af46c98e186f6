package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var updateDocs = flag.Bool("update", false, "write the generated parts of documents anew")

// ownShell runs a script in bash, in which tocsin is this program, in a folder of
// its own.
func ownShell(t *testing.T, url, script string) (string, error) {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not installed")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.Symlink(self, filepath.Join(dir, "tocsin")))
	cmd := exec.CommandContext(t.Context(), bash, "-euo", "pipefail", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "TOCSIN_URL="+url)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestCommandLineDocument holds docs/cli.md to what there is, and runs all of its
// command lines in a shell.
func TestCommandLineDocument(t *testing.T) {
	t.Parallel()
	const file = "../../docs/cli.md"
	text := string(read(t, file))

	var table strings.Builder
	table.WriteString("\n| Command | For |\n|---|---|\n")
	parser, err := newParser(&cli{}, &strings.Builder{}, &strings.Builder{}, func(int) {})
	require.NoError(t, err)
	for _, n := range parser.Model.Leaves(true) {
		fmt.Fprintf(&table, "| `%s` | %s |\n", n.FullPath(), n.Help)
	}
	const begin, end = "-update writes them -->\n", "\n<!-- end -->\n"
	head, rest, found := strings.Cut(text, begin)
	require.True(t, found)
	_, tail, found := strings.Cut(rest, end)
	require.True(t, found)
	want := head + begin + table.String() + end + tail
	if *updateDocs {
		require.NoError(t, os.WriteFile(file, []byte(want), 0o644))
	} else {
		assert.Equal(t, want, text, "go test ./cmd/tocsin -run TestCommandLineDocument -update writes the table anew")
	}
	for _, n := range parser.Model.Leaves(true) {
		for _, f := range n.Flags {
			for _, name := range f.Envs {
				assert.Contains(t, text, "`"+name+"`", "the environment variable of --%s", f.Name)
			}
		}
	}

	r := startApp(t)
	r.fire(t, "NodeDown", "a", "critical")
	id := r.incidents(t)[0].ID
	ran := 0
	for _, f := range documentFences(t, file) {
		require.Equal(t, "sh", f.lang)
		script := strings.ReplaceAll(f.text, "k7f3q9", id)
		script = strings.ReplaceAll(script, "tocsin incidents --watch", "timeout --preserve-status -s INT 5 tocsin incidents --watch")
		out, err := ownShell(t, r.url, script)
		assert.NoError(t, err, "%s\n%s", script, out)
		ran += len(regexp.MustCompile(`\btocsin `).FindAllString(f.text, -1))
	}
	assert.GreaterOrEqual(t, ran, 15)
	assert.Equal(t, "resolved", string(r.incidents(t)[0].State), "what was shown was done")
}
