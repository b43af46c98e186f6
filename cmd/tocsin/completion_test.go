package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func contextOf(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithCancel(t.Context())
}

// complete is what a shell is told.
func complete(t *testing.T, words ...string) []string {
	t.Helper()
	return strings.Fields(runCLI(t, 0, append([]string{"complete", "--"}, words...)...))
}

func TestComplete(t *testing.T) {
	r := startApp(t)
	r.fire(t, "NodeDown", "a", "critical")
	id := r.incidents(t)[0].ID
	t.Setenv("TOCSIN_URL", r.url)
	for _, tc := range []struct{ words, want string }{
		{"inc", "incidents"},
		{"sil", "silence"},
		{"silence ", "add expire list"},
		{"silence ex", "expire"},
		{"nonsense ", strings.Join(complete(t, "nonsense", ""), " ")},
		{"ack ", id},
		{"ack X", ""},
		{"ack X ", id}, // many
		{"postmortem ", id},
		{"incidents ", id},
		{"note ", id},
		{"note x ", ""},
		{"severity ", id},
		{"severity " + id + " ", "critical error info warning"},
		{"severity " + id + " c", "critical"},
		{"severity " + id + " critical ", ""},
		{"silence expire ", ""}, // of silences nothing is known
		{"completion ", "bash fish zsh"},
		{"incidents --o", "--output"},
		{"incidents --output ", "json table"},
		{"incidents -o j", "json"},
		{"incidents --output json ", id},
		{"incidents --output=", "--output=json --output=table"},
		{"incidents --output=t", "--output=table"},
		{"incidents --output = j", "json"},
		{"incidents --output =", "json table"},  // bash takes it apart so
		{"incidents --server.url silence ", id}, // the value of a flag is no command
		{"incidents --all ", id},
		{"complete ", ""},
	} {
		words := strings.Split(tc.words, " ")
		assert.Equal(t, tc.want, strings.Join(complete(t, words...), " "), "tocsin %s", tc.words)
	}
	all := complete(t, "")
	assert.Contains(t, all, "incidents")
	assert.NotContains(t, all, "complete", "that is for the shells")
	assert.Contains(t, complete(t, "incidents", "-"), "--watch")
	assert.Equal(t, all, complete(t), "nothing at all is the beginning")

	t.Setenv("TOCSIN_URL", "http://127.0.0.1:1")
	assert.Empty(t, complete(t, "ack", ""), "no server: nothing, and no error")
}

// TestShellsComplete asks the shells themselves, as far as they are installed.
func TestShellsComplete(t *testing.T) {
	t.Parallel()
	r := startApp(t)
	r.fire(t, "NodeDown", "a", "critical")
	id := r.incidents(t)[0].ID
	self, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.Symlink(self, filepath.Join(dir, "tocsin")))
	ask := map[string]func(words string) string{
		"bash": func(words string) string {
			n := len(strings.Split(words, " ")) - 1
			return `source <(tocsin completion bash); COMP_WORDS=(` + quoteLast(words) + `); COMP_CWORD=` + string(rune('0'+n)) + `; _tocsin; printf '%s\n' "${COMPREPLY[@]}"`
		},
		"zsh": func(words string) string {
			return `compdef() { registered=$2 }; compadd() { print -l -- "${(@P)2}" }; _files() { print FILES }; source <(tocsin completion zsh); [[ $registered == tocsin ]] || print NOT REGISTERED; words=(` +
				quoteLast(words) + `); CURRENT=${#words}; _tocsin`
		},
		"fish": func(words string) string { return `tocsin completion fish | source; complete -C "` + words + `"` },
	}
	for shell, script := range ask {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			path, err := exec.LookPath(shell)
			if err != nil {
				t.Skip(shell + " is not installed")
			}
			fits := func(words string) []string {
				cmd := exec.CommandContext(t.Context(), path, "-c", script(words))
				cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "TOCSIN_URL="+r.url, "HOME="+dir)
				out, err := cmd.CombinedOutput()
				require.NoError(t, err, "%s", out)
				return strings.Fields(string(out))
			}
			assert.Equal(t, []string{"incidents"}, fits("tocsin inc"))
			assert.Equal(t, []string{"add", "expire", "list"}, fits("tocsin silence "))
			assert.Equal(t, []string{id}, fits("tocsin ack "+id[:2]))
			assert.Equal(t, []string{"--output"}, fits("tocsin incidents --ou"))
			assert.True(t, slices.Contains(fits("tocsin "), "postmortem"))
			for _, fit := range fits("tocsin nonsense") {
				assert.Contains(t, []string{"FILES"}, fit, "nothing of ours fits")
			}
		})
	}
}

// quoteLast keeps an empty last word.
func quoteLast(words string) string {
	if strings.HasSuffix(words, " ") {
		return words + `""`
	}
	return words
}
