package stream_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/router/stream"
)

// JetStream's file store remembers a write error for ever: events must flow again
// once there is room, without a restart of Tocsin, and wake-ups all the time.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=16m"); err != nil {
		t.Skipf("needs to mount a small file system, which root may: %v", err)
	}
	t.Cleanup(func() { assert.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	reg := prometheus.NewRegistry()
	l, s := newEventLog(), start(t, stream.Config{Dir: dir, Registerer: reg})
	publish(t, s, l)
	count := func() int { return int(metric(t, reg, "tocsin_events_published_total")) }
	l.add(100)
	require.Eventually(t, func() bool { return count() == 100 }, patience, 10*time.Millisecond)

	filler := filepath.Join(dir, "filler")
	f, err := os.Create(filler)
	require.NoError(t, err)
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NoError(t, f.Close())
	l.add(1000)
	stuck := count()
	require.Never(t, func() bool { return count() == len(l.all()) }, 8*time.Second, 100*time.Millisecond, "the disk was not full")
	t.Log("events on the full disk:", count()-stuck, "behind:", metric(t, reg, "tocsin_events_behind"))
	require.NoError(t, s.Wake([]tocsin.Wake{{Incident: "a", Target: "slack:x"}}))
	require.NoError(t, os.Remove(filler))
	require.Eventually(t, func() bool { return count() >= len(l.all()) }, 60*time.Second, 50*time.Millisecond)
	healthy(t, s)
	startLoad(t, s).progress(t)
}
