package runbooks_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks"
)

// folder writes files below a new folder.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		p := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(p), 0o755))
		require.NoError(t, os.WriteFile(p, []byte(text), 0o644))
	}
	return dir
}

func load(t *testing.T, dirs ...string) *runbooks.Library {
	t.Helper()
	lib, problems, err := runbooks.Load(dirs)
	require.NoError(t, err)
	require.Empty(t, problems)
	return lib
}

func listIDs(rbs []*tocsin.Runbook) []string {
	out := []string{}
	for _, rb := range rbs {
		out = append(out, rb.ID)
	}
	return out
}

func TestLoad(t *testing.T) {
	t.Parallel()
	lib := load(t, "testdata/runbooks")
	want := []string{
		"bridge-guide", "bridge-guide#startup-issues", "bridge-guide#cache-issues",
		"incidents", "incidents#node-down", "incidents#regional-failure", "incidents#disk-trouble",
		"kubernetes/KubeNodeNotReady", "kubernetes/KubeletDown", "matchers", "queue-stuck",
	}
	assert.Equal(t, want, listIDs(lib.List()))
	for _, id := range want {
		require.NotNil(t, lib.Get(id), id)
		assert.Equal(t, id, lib.Get(id).ID)
	}
	assert.Nil(t, lib.Get("gone"))
	for range 3 {
		assert.Equal(t, want, listIDs(load(t, "testdata/runbooks").List()))
	}
}

func TestEmptyLibrary(t *testing.T) {
	t.Parallel()
	for _, lib := range []*runbooks.Library{nil, {}} {
		assert.Nil(t, lib.Find(&tocsin.Alert{Labels: tocsin.Labels{"alertname": "A"}, Annotations: tocsin.Labels{"runbook_url": "x"}}))
		assert.Nil(t, lib.Find(nil))
		assert.Nil(t, lib.Get("x"))
		assert.Empty(t, lib.List())
	}
	var shelf runbooks.Shelf
	assert.Nil(t, shelf.Find(&tocsin.Alert{}))
	assert.Nil(t, shelf.Get("x"))
	assert.Empty(t, shelf.List())
}

func TestLoadKeepsToItsFolder(t *testing.T) {
	t.Parallel()
	outside := folder(t, map[string]string{"Secret.md": "# Secret\n", "dir/DeepSecret.md": "# DeepSecret\n"})
	dir := folder(t, map[string]string{
		"NodeDown.md": "# NodeDown\n", "..data/DiskFull.md": "# DiskFull\n", ".git/GitHook.md": "# GitHook\n", "notes.txt": "x", "sub/NoExtension": "# x",
	})
	for link, target := range map[string]string{
		"DiskFull.md": "..data/DiskFull.md", "Escape.md": filepath.Join(outside, "Secret.md"), "Relative.md": "../../../../../../etc/passwd",
		"linked": filepath.Join(outside, "dir"), "Loop.md": "Loop.md", "inside": "sub",
	} {
		require.NoError(t, os.Symlink(target, filepath.Join(dir, link)))
	}
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "Pipe.md"), 0o644))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "Folder.md"), 0o755))
	lib, problems, err := runbooks.Load([]string{dir})
	require.NoError(t, err)
	assert.Equal(t, []string{"DiskFull", "NodeDown"}, listIDs(lib.List()))
	var files []string
	for _, p := range problems {
		assert.Equal(t, runbooks.CodeUnreadable, p.Code)
		assert.NotEmpty(t, p.Text)
		files = append(files, filepath.Base(p.File))
	}
	assert.Equal(t, []string{"Escape.md", "Loop.md", "Pipe.md", "Relative.md"}, files)
}

func TestBadFilesNeverPreventTheRest(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{
		"Large.md": strings.Repeat("x", runbooks.MaxFile+1), "Hostile.md": strings.Repeat("*a_ ", runbooks.MaxUnit/4),
		"Front.md": "---\nmatchers: [x\n---\n# FrontMatter\n", "Good.md": "# GoodAlert\n\n## Fix\n- do\n",
	})
	other := folder(t, map[string]string{"Good.md": "# OtherAlert\n", "More.md": "# MoreAlerts\n"})
	lib, problems, err := runbooks.Load([]string{dir, other})
	require.NoError(t, err)
	codes := map[string]string{}
	for _, p := range problems {
		codes[p.File] = p.Code
		assert.Contains(t, p.Error(), p.File)
	}
	assert.Equal(t, map[string]string{
		filepath.Join(dir, "Large.md"): runbooks.CodeOversized, filepath.Join(dir, "Hostile.md"): runbooks.CodeHostile,
		filepath.Join(dir, "Front.md"): runbooks.CodeFrontMatter, filepath.Join(other, "Good.md"): runbooks.CodeDuplicateID,
	}, codes)
	for _, id := range []string{"Good", "More", "Front"} {
		assert.NotNil(t, lib.Get(id), id)
	}
	assert.Equal(t, []string{"GoodAlert"}, lib.Get("Good").Alerts)
	_, _, err = runbooks.Load([]string{dir, filepath.Join(dir, "gone")})
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestFind(t *testing.T) {
	t.Parallel()
	lib := load(t, "testdata/runbooks")
	for name, c := range map[string]struct {
		labels tocsin.Labels
		url    string
		want   string
	}{
		"name":                  {tocsin.Labels{"alertname": "NodeDown"}, "", "incidents#node-down"},
		"name, any case":        {tocsin.Labels{"alertname": "nodeDOWN"}, "", "incidents#node-down"},
		"second name":           {tocsin.Labels{"alertname": "RegionDegraded"}, "", "incidents#regional-failure"},
		"unknown":               {tocsin.Labels{"alertname": "Gone"}, "", ""},
		"no name":               {nil, "", ""},
		"matchers":              {tocsin.Labels{"alertname": "NodeDown", "job": "postgres", "k8s.node/名前": "db-1"}, "", "matchers"},
		"matchers not all":      {tocsin.Labels{"alertname": "NodeDown", "job": "postgres"}, "", "incidents#node-down"},
		"matchers are anchored": {tocsin.Labels{"job": "postgres", "k8s.node/名前": "a-db-1"}, "", ""},
		"matchers over url":     {tocsin.Labels{"job": "postgres", "k8s.node/名前": "db-1"}, "https://x/kubeletdown", "matchers"},
		"url over name":         {tocsin.Labels{"alertname": "NodeDown"}, "https://runbooks.prometheus-operator.dev/runbooks/kubernetes/kubenodenotready", "kubernetes/KubeNodeNotReady"},
		"url, slash":            {nil, "https://runbooks.prometheus-operator.dev/runbooks/kubernetes/kubeletdown/", "kubernetes/KubeletDown"},
		"url, file and query":   {nil, "https://git.example.com/x/KubeletDown.md?plain=1", "kubernetes/KubeletDown"},
		"url, own":              {nil, "HTTPS://runbooks.example.com/Kubernetes/KubeNodeNotReady", "kubernetes/KubeNodeNotReady"},
		"url, anchor":           {nil, "https://git.example.com/incidents.md#2-regional-failure", "incidents#regional-failure"},
		"url, anchor's slug":    {nil, "https://wiki.example.com/incidents#regional-failure", "incidents#regional-failure"},
		"url, anchor's alert":   {nil, "https://wiki.example.com/page#QueueStuck", "queue-stuck"},
		"url, page of many":     {nil, "https://git.example.com/incidents.md#nothing", "incidents"},
		"url, unknown":          {tocsin.Labels{"alertname": "NodeDown"}, "https://wiki.example.com/page", "incidents#node-down"},
		"url, hostile":          {tocsin.Labels{"alertname": "NodeDown"}, "https://" + strings.Repeat("/#?", 100_000), "incidents#node-down"},
		"url, odd":              {tocsin.Labels{"alertname": "NodeDown"}, "%zz\x00#", "incidents#node-down"},
		"url, no host":          {nil, "kubeletdown", "kubernetes/KubeletDown"},
	} {
		rb := lib.Find(&tocsin.Alert{Labels: c.labels, Annotations: tocsin.Labels{"runbook_url": c.url}})
		if c.want == "" {
			assert.Nil(t, rb, name)
		} else if assert.NotNil(t, rb, name) {
			assert.Equal(t, c.want, rb.ID, name)
		}
	}
}

func TestFindPrefers(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{
		"a.md":          "---\nalerts: [DiskFull]\nmatchers: [team=\"db\"]\n---\n# A\n- x\n",
		"b.md":          "---\nmatchers: '{team=\"db\", env=\"prod\"}'\n---\n# B\n",
		"z/DiskFull.md": "# DiskFull\n",
		"x/page.md":     "# One page\n", "y/page.md": "# Another page\n",
		"y/README.md": "# All of y\n",
	})
	lib := load(t, dir)
	find := func(url string, ls tocsin.Labels) string {
		rb := lib.Find(&tocsin.Alert{Labels: ls, Annotations: tocsin.Labels{"runbook_url": url}})
		if rb == nil {
			return ""
		}
		return rb.ID
	}
	assert.Equal(t, "b", find("", tocsin.Labels{"team": "db", "env": "prod"}), "more matchers first")
	assert.Equal(t, "a", find("", tocsin.Labels{"team": "db"}))
	assert.Equal(t, "z/DiskFull", find("", tocsin.Labels{"alertname": "diskfull"}), "without matchers first")
	assert.Equal(t, "x/page", find("https://e.com/x/page", nil))
	assert.Equal(t, "y/page", find("https://e.com/y/page.html", nil))
	assert.Empty(t, find("https://e.com/page", nil), "ambiguous")
	assert.Equal(t, "y/README", find("https://e.com/docs/y/", nil))
}

func TestShelf(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"NodeDown.md": "# NodeDown\n"})
	shelf, problems, err := runbooks.NewShelf([]string{dir})
	require.NoError(t, err)
	require.Empty(t, problems)
	alert := &tocsin.Alert{Labels: tocsin.Labels{"alertname": "DiskFull"}}
	assert.Nil(t, shelf.Find(alert))
	old := shelf.Library()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "DiskFull.md"), []byte("# DiskFull\n"), 0o644))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				shelf.Find(alert)
				shelf.List()
			}
		})
	}
	_, err = shelf.Reload([]string{dir})
	require.NoError(t, err)
	wg.Wait()
	require.NotNil(t, shelf.Find(alert))
	assert.NotNil(t, shelf.Get("DiskFull"))
	assert.Len(t, shelf.List(), 2)
	assert.Nil(t, old.Find(alert), "a library never changes")
	require.NoError(t, os.RemoveAll(dir))
	_, err = shelf.Reload([]string{dir})
	require.Error(t, err)
	assert.NotNil(t, shelf.Find(alert), "the old one stays")
}

func TestTooManyFiles(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("writes and reads many files")
	}
	t.Parallel()
	dir := t.TempDir()
	for i := range runbooks.MaxFiles + 2 {
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("a%05d.md", i)), nil, 0o644))
	}
	lib, problems, err := runbooks.Load([]string{dir})
	require.NoError(t, err)
	assert.Len(t, lib.List(), runbooks.MaxFiles)
	require.Len(t, problems, 1)
	assert.Equal(t, runbooks.CodeTooMany, problems[0].Code)
}
