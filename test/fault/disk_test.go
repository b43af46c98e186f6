package fault

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDiskFull fills the disk in a storm: 503 for as long as it is full, no
// alert lost, and intake goes on without a restart once there is room.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=48m"); err != nil {
		t.Skipf("a tmpfs cannot be mounted here (%v); the full disk is not tested", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	w := newWorld(t)
	w.data = filepath.Join(dir, "data")
	w.start()
	acked := map[string]bool{}
	send := func(n int) int {
		a := firing("Told", fmt.Sprintf("node-%d.", n), "warning")
		a.Annotations["description"] = strings.Repeat("x", 8<<10)
		code := w.post(a)
		if code/100 == 2 {
			acked[a.Labels["instance"]] = true
		}
		return code
	}
	n := 0
	for ; n < 50; n++ {
		require.Equal(t, http.StatusOK, send(n))
	}
	filler := filepath.Join(dir, "filler")
	fill(t, filler)
	full := 0
	for ; n < 400 && full < 50; n++ {
		switch code := send(n); code {
		case http.StatusServiceUnavailable:
			full++
		case http.StatusOK:
			fill(t, filler)
		default:
			require.Failf(t, "neither 2xx nor 503", "%d", code)
		}
	}
	assert.Equal(t, 50, full, "a full disk answers 503")
	assert.Equal(t, http.StatusOK, w.status("/-/healthy"), "and the program lives")

	require.NoError(t, os.Remove(filler))
	require.Eventually(t, func() bool { n++; return send(n) == http.StatusOK }, 10*time.Second, 100*time.Millisecond,
		"intake goes on without a restart")
	w.settled(30 * time.Second)
	told := map[string]int{}
	for _, m := range w.slack.Messages("#chat") {
		told[instanceOf(m)]++
	}
	for instance := range acked {
		assert.Equal(t, 1, told[instance], "%s", instance)
	}
}

// fill writes until the disk is full.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	require.NoError(t, err)
	defer f.Close()
	for size := 1 << 20; size >= 512; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
}

// TestFsyncBetweenBodyAndAnswer traces the real binary: after the request was
// read and before the 200 is written, a sync has returned.
func TestFsyncBetweenBodyAndAnswer(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed; that fsync comes before the answer is not traced")
	}
	w := newWorld(t)
	trace := filepath.Join(w.dir, "trace")
	w.start("strace", "-f", "-ttt", "-s", "48", "-e", "trace=read,write,fsync,fdatasync", "-o", trace)
	if w.cmd == nil {
		t.Skip("strace may not trace here")
	}
	for i := range 20 {
		require.Equal(t, http.StatusOK, w.post(firing("Told", fmt.Sprintf("node-%d.", i), "warning")))
	}
	w.settled(10 * time.Second)
	// strace passes SIGTERM on to nobody: end the program it traces.
	pid := strings.TrimSpace(output(t, "pgrep", "-P", fmt.Sprint(w.cmd.Process.Pid)))
	require.NotEmpty(t, pid)
	require.NoError(t, exec.Command("kill", "-TERM", pid).Run())
	_ = w.cmd.Wait()
	w.cmd = nil
	b, err := os.ReadFile(trace)
	require.NoError(t, err)
	checkTrace(t, string(b))
}

func output(t *testing.T, argv ...string) string {
	t.Helper()
	out, err := exec.Command(argv[0], argv[1:]...).Output()
	require.NoError(t, err)
	return string(out)
}

var (
	// net/http reads the first byte of a connection's next request by itself.
	bodyRead = regexp.MustCompile(`(read\(\d+, |read resumed>)"P?OST /webhook`)
	synced   = regexp.MustCompile(`f(data)?sync(\(\d+\)| resumed>\)) += 0`)
	answered = regexp.MustCompile(`write\(\d+, "HTTP/1.1 200`)
)

// checkTrace walks the trace: every answer to a webhook has a completed sync
// since its request was read.
func checkTrace(t *testing.T, trace string) {
	t.Helper()
	reading, hasSynced, answers := false, false, 0
	for line := range strings.Lines(trace) {
		switch {
		case bodyRead.MatchString(line):
			reading, hasSynced = true, false
		case synced.MatchString(line):
			hasSynced = true
		case reading && answered.MatchString(line):
			assert.True(t, hasSynced, "answered before a sync:\n%s", line)
			reading = false
			answers++
		}
	}
	assert.Equal(t, 20, answers)
}
