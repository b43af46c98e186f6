package runbooks_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks"
)

const (
	commitA = "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d"
	commitB = "ffffffffff6f708192a3b4c5d6e7f8091a2b3c4d"
)

// put writes files below dir: pairs of a path and a text.
func put(t *testing.T, dir string, files ...string) {
	t.Helper()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(dir, files[i])
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(files[i+1]), 0o600))
	}
}

// versionOf is the version of the one runbook of a folder.
func versionOf(t *testing.T, dir string) string {
	t.Helper()
	shelf, problems, err := runbooks.NewShelf([]string{dir})
	require.NoError(t, err)
	require.Empty(t, problems)
	rb := shelf.Find(&tocsin.Alert{Labels: tocsin.Labels{"alertname": "NodeDown"}})
	require.NotNil(t, rb)
	return shelf.Version(rb)
}

const nodeDown = "# NodeDown\n\n## Mitigation\n\n1. Restart the node\n"

func TestVersionOfTheContent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	of := func(text string) string {
		put(t, dir, "a.md", text)
		return versionOf(t, dir)
	}
	base := of(nodeDown)
	assert.Regexp(t, `^[0-9a-f]{12}$`, base, "it is in no git checkout")
	assert.Equal(t, base, of(nodeDown), "it is the same every time")
	assert.Equal(t, base, of("\n\n"+nodeDown), "where it stands in the file does not matter")
	assert.Equal(t, base, of(strings.Replace(nodeDown, "Restart the", "Restart   the", 1)+"\n"), "nor does white space")
	assert.NotEqual(t, base, of(strings.Replace(nodeDown, "Restart", "Reset", 1)))
	assert.NotEqual(t, base, of(nodeDown+"2. Tell ana\n"))

	shelf, _, err := runbooks.NewShelf([]string{dir})
	require.NoError(t, err)
	rb := shelf.List()[0]
	version := shelf.Version(rb)
	put(t, dir, "a.md", nodeDown)
	_, err = shelf.Reload([]string{dir})
	require.NoError(t, err)
	assert.Equal(t, version, shelf.Version(rb), "it was found before the reload")
	assert.Empty(t, shelf.Version(nil))
	var empty *runbooks.Library
	assert.Equal(t, version, empty.Version(rb))
	filled := runbooks.Fill(rb, tocsin.Labels{"node": "a"})
	assert.Equal(t, version, shelf.Version(filled), "nothing was filled in")
}

func TestVersionOfACheckout(t *testing.T) {
	t.Parallel()
	long := "# pack-refs with: peeled fully-peeled sorted\n" + strings.Repeat(commitB+" refs/tags/v1\n", 1000) + commitA + " refs/heads/main\n^" + commitB + "\n"
	for name, c := range map[string]struct {
		files []string
		want  string
	}{
		"a branch":           {[]string{".git/HEAD", "ref: refs/heads/main\n", ".git/refs/heads/main", commitA + "\n"}, "1a2b3c4d5e"},
		"a packed branch":    {[]string{".git/HEAD", "ref: refs/heads/main\n", ".git/packed-refs", long}, "1a2b3c4d5e"},
		"loose before pack":  {[]string{".git/HEAD", "ref: refs/heads/main\n", ".git/refs/heads/main", commitB, ".git/packed-refs", long}, "ffffffffff"},
		"no branch":          {[]string{".git/HEAD", commitA + "\n"}, "1a2b3c4d5e"},
		"SHA-256":            {[]string{".git/HEAD", commitA + commitA[:24]}, "1a2b3c4d5e"},
		"a symbolic branch":  {[]string{".git/HEAD", "ref: refs/heads/a", ".git/refs/heads/a", "ref: refs/heads/b", ".git/refs/heads/b", commitA}, "1a2b3c4d5e"},
		"a worktree":         {[]string{".git", "gitdir: repo.git/worktrees/w\n", "repo.git/worktrees/w/HEAD", "ref: refs/heads/main", "repo.git/worktrees/w/commondir", "../..\n", "repo.git/refs/heads/main", commitA}, "1a2b3c4d5e"},
		"a packed worktree":  {[]string{".git", "gitdir: repo.git/worktrees/w\n", "repo.git/worktrees/w/HEAD", "ref: refs/heads/main", "repo.git/worktrees/w/commondir", "../..\n", "repo.git/packed-refs", long}, "1a2b3c4d5e"},
		"no commit yet":      {[]string{".git/HEAD", "ref: refs/heads/main\n"}, ""},
		"reftable":           {[]string{".git/HEAD", "ref: refs/heads/.invalid\n", ".git/reftable/tables.list", "x"}, ""},
		"in a circle":        {[]string{".git/HEAD", "ref: refs/heads/a", ".git/refs/heads/a", "ref: refs/heads/a"}, ""},
		"out of the folder":  {[]string{".git/HEAD", "ref: refs/../../secret", "secret", commitA}, ""},
		"an absolute path":   {[]string{".git/HEAD", "ref: /etc/passwd"}, ""},
		"nonsense":           {[]string{".git/HEAD", strings.Repeat("x", 1<<20)}, ""},
		"nonsense in a ref":  {[]string{".git/HEAD", "ref: refs/heads/main", ".git/refs/heads/main", "<script>"}, ""},
		"nonsense as a file": {[]string{".git", "nothing\n"}, ""},
		"leads nowhere":      {[]string{".git", "gitdir: ../../nowhere\n"}, ""},
		"empty":              {[]string{".git/HEAD", ""}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			put(t, dir, append(c.files, "docs/runbooks/a.md", nodeDown)...)
			hash, commit, _ := strings.Cut(versionOf(t, filepath.Join(dir, "docs", "runbooks")), "@")
			assert.Equal(t, c.want, commit)
			assert.Len(t, hash, 12)
		})
	}
}

// As git-sync does it: the folder is a link to a worktree, which is exchanged.
func TestVersionFollowsLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir, "w/a/.git/HEAD", commitA, "w/a/runbooks/a.md", nodeDown, "w/b/.git/HEAD", commitB, "w/b/runbooks/a.md", nodeDown)
	current := filepath.Join(dir, "current")
	require.NoError(t, os.Symlink(filepath.Join("w", "a"), current))
	a := versionOf(t, filepath.Join(current, "runbooks"))
	require.NoError(t, os.Remove(current))
	require.NoError(t, os.Symlink(filepath.Join("w", "b"), current))
	b := versionOf(t, filepath.Join(current, "runbooks"))
	assert.True(t, strings.HasSuffix(a, "@1a2b3c4d5e"), a)
	assert.True(t, strings.HasSuffix(b, "@ffffffffff"), b)
	assert.Equal(t, a[:12], b[:12])
}

// A pipe that nobody writes to does not keep the service from starting.
func TestVersionDoesNotWait(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir, "a.md", nodeDown, ".git/x", "")
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, ".git", "HEAD"), 0o600))
	assert.Len(t, versionOf(t, dir), 12)
}
