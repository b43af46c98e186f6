package runbooks_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks"
)

const every, settle = 30 * time.Second, time.Second

// watched is a folder whose Shelf is watched, in a bubble.
type watched struct {
	t     *testing.T
	dir   string
	shelf *runbooks.Shelf
	watch *runbooks.Watch
	logs  logBuffer
	reg   *prometheus.Registry
}

// inBubble runs fn beside a Watch of the folders; none: a new one.
func inBubble(t *testing.T, files map[string]string, fn func(w *watched), dirs ...string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &watched{t: t, reg: prometheus.NewRegistry()}
		if len(dirs) == 0 {
			w.dir = folder(t, files)
			dirs = []string{w.dir}
		}
		var err error
		w.shelf, _, err = runbooks.NewShelf(dirs)
		require.NoError(t, err)
		w.watch = runbooks.NewWatch(w.shelf, runbooks.WatchOptions{
			Every: every, Settle: settle, Registerer: w.reg,
			Logger: slog.New(slog.NewTextHandler(&w.logs, nil)),
		})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.watch.Run(ctx) }()
		defer func() {
			stop()
			assert.NoError(t, <-done)
		}()
		fn(w)
	})
}

func (w *watched) put(name, text string) {
	w.t.Helper()
	require.NoError(w.t, os.MkdirAll(filepath.Dir(filepath.Join(w.dir, name)), 0o755))
	require.NoError(w.t, os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o644))
}

// pass lets a look and its settling pass, and returns what was logged meanwhile.
func (w *watched) pass() string {
	time.Sleep(every + 3*settle)
	synctest.Wait()
	return w.logs.take()
}

// logBuffer is what was logged.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// take returns what was logged since it was asked last.
func (l *logBuffer) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.text.Reset()
	return l.text.String()
}

func (w *watched) metric(name string) float64 {
	w.t.Helper()
	families, err := w.reg.Gather()
	require.NoError(w.t, err)
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	w.t.Fatal("no metric ", name)
	return 0
}

// says is the text of the first step of a runbook, and why it is stale.
func (w *watched) says(id string) (text, stale string) {
	w.t.Helper()
	rb := w.shelf.Get(id)
	if rb == nil {
		return "", ""
	}
	require.NotEmpty(w.t, rb.Steps, id)
	return rb.Steps[0].Text, rb.Stale
}

func step(text string) string { return "# Runbook\n\n## Mitigation\n\n1. " + text + "\n" }

func TestWatchTakesChanges(t *testing.T) {
	t.Parallel()
	inBubble(t, map[string]string{"A.md": step("one"), "B.md": step("b")}, func(w *watched) {
		assert.Empty(t, w.pass(), "nothing has changed")
		w.put("A.md", step("two"))
		w.put("sub/C.md", step("c"))
		require.NoError(t, os.Remove(filepath.Join(w.dir, "B.md")))
		text, _ := w.says("A")
		assert.Equal(t, "one", text)
		out := w.pass()
		assert.Contains(t, out, `level=INFO msg="runbooks reloaded" runbooks=2 added=1 changed=1 removed=1 stale=0 problems=0`)
		text, _ = w.says("A")
		assert.Equal(t, "two", text)
		text, _ = w.says("sub/C")
		assert.Equal(t, "c", text)
		assert.Nil(t, w.shelf.Get("B"))
		assert.InDelta(t, 1, w.metric("tocsin_runbooks_reloads_total"), 0)
		assert.InDelta(t, 2, w.metric("tocsin_runbooks_loaded"), 0)
		assert.Empty(t, w.pass())

		// An editor writes another file and renames it.
		w.put(".A.md.swp", step("three"))
		require.NoError(t, os.Rename(filepath.Join(w.dir, ".A.md.swp"), filepath.Join(w.dir, "A.md")))
		assert.Contains(t, w.pass(), "changed=1")
		text, _ = w.says("A")
		assert.Equal(t, "three", text)

		w.watch.SetEvery(0)
		w.put("A.md", step("four"))
		assert.Empty(t, w.pass(), "it does not look")
		w.watch.SetEvery(every)
		assert.Contains(t, w.pass(), "changed=1")
	})
}

// Kubernetes mounts a ConfigMap as links to a folder that one link leads to, and
// swaps that link.
func TestWatchFollowsSwappedLinks(t *testing.T) {
	t.Parallel()
	inBubble(t, map[string]string{"..v1/A.md": step("one"), "..v2/A.md": step("two")}, func(w *watched) {
		link := func(to string) {
			tmp := filepath.Join(w.dir, "..tmp")
			require.NoError(t, os.Symlink(to, tmp))
			require.NoError(t, os.Rename(tmp, filepath.Join(w.dir, "..data")))
		}
		link("..v1")
		require.NoError(t, os.Symlink("..data/A.md", filepath.Join(w.dir, "A.md")))
		assert.Contains(t, w.pass(), "added=1")
		link("..v2")
		assert.Contains(t, w.pass(), "changed=1")
		text, _ := w.says("A")
		assert.Equal(t, "two", text)
		// A link that leads nowhere for a moment takes nothing away.
		link("..v3")
		out := w.pass()
		assert.Contains(t, out, "stale=1 problems=1")
		text, stale := w.says("A")
		assert.Equal(t, "two", text)
		assert.Contains(t, stale, "cannot be read: ")
	})
	// The folder itself is a link, as git-sync has it.
	base := folder(t, map[string]string{"v1/A.md": step("one"), "v2/A.md": step("two")})
	current := filepath.Join(base, "current")
	require.NoError(t, os.Symlink("v1", current))
	inBubble(t, nil, func(w *watched) {
		require.NoError(t, os.Remove(current))
		assert.Contains(t, w.pass(), "stale=1", "a link that is gone takes nothing away")
		require.NoError(t, os.Symlink("v2", current))
		w.pass()
		text, stale := w.says("A")
		assert.Equal(t, "two", text)
		assert.Empty(t, stale)
	}, current)
}

func TestWatchKeepsWhatAFolderHeld(t *testing.T) {
	t.Parallel()
	inBubble(t, map[string]string{"A.md": step("one"), "sub/B.md": step("b")}, func(w *watched) {
		away := w.dir + ".away"
		version := w.shelf.Version(w.shelf.Get("A"))
		for name, vanish := range map[string]func(){
			"gone":  func() { require.NoError(t, os.Rename(w.dir, away)) },
			"empty": func() { require.NoError(t, os.Rename(w.dir, away)); require.NoError(t, os.Mkdir(w.dir, 0o755)) },
			"a file": func() {
				require.NoError(t, os.Rename(w.dir, away))
				require.NoError(t, os.WriteFile(w.dir, nil, 0o644))
			},
		} {
			vanish()
			out := w.pass()
			assert.Contains(t, out, "runbooks=2 added=0 changed=0 removed=0 stale=2 problems=1", name)
			assert.Contains(t, out, "level=WARN", name)
			assert.Contains(t, out, "what it held before stays in use", name)
			text, stale := w.says("A")
			assert.Equal(t, "one", text, name)
			assert.Contains(t, stale, "its folder cannot be read now: ", name)
			assert.Equal(t, version, w.shelf.Version(w.shelf.Get("A")), "the text is the same")
			assert.InDelta(t, 2, w.metric("tocsin_runbooks_stale"), 0)
			assert.Empty(t, w.pass(), "it is said once")

			require.NoError(t, os.RemoveAll(w.dir))
			require.NoError(t, os.Rename(away, w.dir))
			assert.Contains(t, w.pass(), "stale=0 problems=0", name)
			_, stale = w.says("A")
			assert.Empty(t, stale, name)
		}
		// Who reloads means it: a folder that is empty is empty then.
		require.NoError(t, os.RemoveAll(filepath.Join(w.dir, "sub")))
		require.NoError(t, os.Remove(filepath.Join(w.dir, "A.md")))
		w.pass()
		assert.NotNil(t, w.shelf.Get("A"))
		_, err := w.shelf.Reload([]string{w.dir})
		require.NoError(t, err)
		assert.Nil(t, w.shelf.Get("A"))
		assert.Empty(t, w.pass())
	})
}

func TestWatchKeepsTheLastGoodVersion(t *testing.T) {
	t.Parallel()
	good := "---\nalerts: [NodeDown]\n---\n" + step("one")
	inBubble(t, map[string]string{"A.md": good, "B.md": step("b")}, func(w *watched) {
		down := &tocsin.Alert{Labels: tocsin.Labels{"alertname": "NodeDown"}}
		for name, bad := range map[string]string{
			"front matter": "---\nalerts: [NodeDown\n---\n" + step("two"),
			"hostile":      "# A\n" + strings.Repeat("*a_ ", runbooks.MaxUnit/4),
			"empty":        "\n",
			"oversized":    strings.Repeat("x", runbooks.MaxFile+1),
		} {
			w.put("A.md", bad)
			w.put("B.md", step("b of "+name))
			out := w.pass()
			assert.Contains(t, out, "added=0 changed=1 removed=0 stale=1 problems=1", name)
			assert.Equal(t, 1, strings.Count(out, "its version of before stays in use"), out)
			text, stale := w.says("A")
			assert.Equal(t, "one", text, name)
			assert.NotEmpty(t, stale, name)
			require.NotNil(t, w.shelf.Find(down), "the alert still finds it")
			text, stale = w.says("B")
			assert.Equal(t, "b of "+name, text, "the others go on")
			assert.Empty(t, stale)
			assert.Empty(t, w.pass(), "it is said once")
		}
		// Neither does a reload take it away; a file that is removed is gone.
		problems, err := w.shelf.Reload([]string{w.dir})
		require.NoError(t, err)
		require.Len(t, problems, 1)
		_, stale := w.says("A")
		assert.NotEmpty(t, stale)
		w.put("A.md", strings.ReplaceAll(good, "one", "two"))
		assert.Contains(t, w.pass(), "stale=0 problems=0")
		text, stale := w.says("A")
		assert.Equal(t, "two", text)
		assert.Empty(t, stale)
		require.NoError(t, os.Remove(filepath.Join(w.dir, "A.md")))
		require.NoError(t, os.Mkdir(filepath.Join(w.dir, "A.md"), 0o755))
		w.pass()
		assert.Nil(t, w.shelf.Get("A"))
	})
}

// A checkout in the middle: nothing is taken until the files stay the same.
func TestWatchWaitsUntilFilesStayTheSame(t *testing.T) {
	t.Parallel()
	inBubble(t, map[string]string{"A.md": step("one"), "B.md": step("one")}, func(w *watched) {
		time.Sleep(every - settle/2)
		require.NoError(t, os.Remove(filepath.Join(w.dir, "A.md")))
		for n := range 5 {
			time.Sleep(settle)
			require.NotNil(t, w.shelf.Get("A"), "not while it goes on")
			w.put("B.md", step(fmt.Sprint("more ", n)))
		}
		w.put("A.md", step("two"))
		time.Sleep(3 * settle)
		synctest.Wait()
		for _, id := range []string{"A", "B"} {
			text, _ := w.says(id)
			assert.NotEqual(t, "one", text)
		}
		out := w.logs.take()
		assert.Equal(t, 1, strings.Count(out, "runbooks reloaded"))
		assert.Contains(t, out, "changed=2 removed=0")

		// Files that never stay the same are taken as they are. They are written
		// between the looks: one that is being written is empty for a moment.
		stop, stopped := make(chan struct{}), make(chan struct{})
		time.Sleep(settle / 4)
		go func() {
			defer close(stopped)
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				case <-time.After(settle / 2):
					os.WriteFile(filepath.Join(w.dir, "B.md"), []byte(step(fmt.Sprint("ever busy ", n))), 0o644) //nolint:errcheck // the test sees it
				}
			}
		}()
		time.Sleep(2*every + 30*settle)
		close(stop)
		<-stopped
		text, _ := w.says("B")
		assert.Contains(t, text, "busy")
	})
}

func TestWatchSeesAnotherCommit(t *testing.T) {
	t.Parallel()
	inBubble(t, map[string]string{"A.md": step("one"), ".git/HEAD": strings.Repeat("1", 40) + "\n"}, func(w *watched) {
		before := w.shelf.Version(w.shelf.Get("A"))
		assert.Contains(t, before, "@1111111111")
		w.put(".git/HEAD", strings.Repeat("2", 40)+"\n")
		assert.Empty(t, w.pass(), "nobody needs to know")
		assert.Equal(t, strings.Replace(before, "@1111111111", "@2222222222", 1), w.shelf.Version(w.shelf.Get("A")))
	})
}

// A change that leaves size and times as they were is seen when all is read.
func TestWatchReadsAllNowAndThen(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"A.md": step("one")})
	file := filepath.Join(dir, "A.md")
	old := time.Now().Add(-time.Hour)
	require.NoError(t, os.Chtimes(file, old, old))
	inBubble(t, nil, func(w *watched) {
		require.NoError(t, os.WriteFile(file, []byte(step("two")), 0o644))
		require.NoError(t, os.Chtimes(file, old, old))
		time.Sleep(21 * every)
		w.pass()
		text, _ := w.says("A")
		assert.Equal(t, "two", text)
	}, dir)
}

// Readers see one library or the other, and never parts of both.
func TestReloadIsAtomicForReaders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	link := func(n int) {
		v := filepath.Join(dir, fmt.Sprint("..v", n))
		require.NoError(t, os.Mkdir(v, 0o755))
		for _, name := range []string{"A.md", "B.md"} {
			require.NoError(t, os.WriteFile(filepath.Join(v, name), []byte(step(fmt.Sprint("version ", n))), 0o644))
		}
		require.NoError(t, os.Symlink(v[len(dir)+1:], filepath.Join(dir, "..tmp")))
		require.NoError(t, os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")))
	}
	link(0)
	for _, name := range []string{"A.md", "B.md"} {
		require.NoError(t, os.Symlink("..data/"+name, filepath.Join(dir, name)))
	}
	shelf, problems, err := runbooks.NewShelf([]string{dir})
	require.NoError(t, err)
	require.Empty(t, problems)
	watch := runbooks.NewWatch(shelf, runbooks.WatchOptions{Every: time.Millisecond, Settle: 2 * time.Millisecond})
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { assert.NoError(t, watch.Run(ctx)) })
	for range 3 {
		wg.Go(func() {
			for ctx.Err() == nil {
				lib := shelf.Library()
				a, b := lib.Get("A"), lib.Get("B")
				if a == nil || b == nil || a.Steps[0].Text != b.Steps[0].Text {
					t.Error("parts of two libraries")
					return
				}
			}
		})
	}
	for n := range 10 {
		link(n + 1)
		want := fmt.Sprint("version ", n+1)
		require.Eventually(t, func() bool { return shelf.Get("A").Steps[0].Text == want }, 20*time.Second, time.Millisecond)
	}
	stop()
	wg.Wait()
}

func BenchmarkLook(b *testing.B) {
	dir := b.TempDir()
	old := time.Now().Add(-time.Hour)
	for n := range 1000 {
		name := filepath.Join(dir, fmt.Sprintf("sub%d", n%20), fmt.Sprintf("Alert%d.md", n))
		require.NoError(b, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(b, os.WriteFile(name, []byte(step("x")+strings.Repeat("- restart `kubectl get pods -n <namespace>`\n", 40)), 0o644))
		require.NoError(b, os.Chtimes(name, old, old))
	}
	for name, all := range map[string]bool{"times": false, "contents": true} {
		b.Run(name, func(b *testing.B) {
			shelf, _, err := runbooks.NewShelf([]string{dir})
			require.NoError(b, err)
			look := runbooks.LookForTest(shelf)
			for b.Loop() {
				look(all)
			}
		})
	}
}
