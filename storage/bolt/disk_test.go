package bolt

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/tocsin-oncall/tocsin"
)

func TestDiskFloor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		free := int64(1 << 30)
		s, err := Open(dir, Options{})
		require.NoError(t, err)
		s.disk.free = func(string) (int64, error) { return free, nil }
		update := func() error { return s.Update(t.Context(), func(tocsin.Tx) error { return nil }) }
		require.NoError(t, update())

		free = DefaultMinFree - 1
		require.NoError(t, update(), "looked at once a second")
		time.Sleep(floorInterval)
		require.ErrorIs(t, update(), tocsin.ErrUnavailable)
		require.ErrorContains(t, s.Stats().Err, "below the floor of 256 MiB")

		free = DefaultMinFree
		time.Sleep(floorInterval)
		require.NoError(t, s.Stats().Err, "readiness recovers by itself")
		require.NoError(t, update())

		s.disk.free = func(string) (int64, error) { return 0, errors.New("statfs fails") }
		time.Sleep(floorInterval)
		require.ErrorContains(t, update(), "statfs fails")
		require.NoError(t, s.Close())
	})
}

func TestBallast(t *testing.T) {
	t.Parallel()
	d := newDisk(t.TempDir(), Options{MinFree: 1000, Ballast: 1 << 20}.withDefaults())
	free := int64(1000 + 2<<20)
	d.free = func(string) (int64, error) { return free, nil }
	size := func() int64 {
		info, err := os.Stat(d.ballastPath())
		if err != nil {
			return 0
		}
		return info.Size()
	}
	look := func() { d.checked = time.Time{}; require.NoError(t, d.floor()) }
	look()
	assert.EqualValues(t, 1<<20, size())
	require.NoError(t, d.freeBallast())
	assert.Zero(t, size())
	require.NoError(t, d.freeBallast(), "freeing it twice")
	require.NoError(t, d.floor())
	assert.Zero(t, size(), "not at once")
	free--
	look()
	assert.Zero(t, size(), "not without ample room")
	free++
	look()
	assert.EqualValues(t, 1<<20, size())
}

func TestPassingErrors(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]bool{
		syscall.ENOSPC: true, syscall.EROFS: true, syscall.EDQUOT: true, berrors.ErrMaxSizeReached: true,
		fmt.Errorf("write: %w", syscall.ENOSPC):                    true,
		errors.New("file resize error: " + syscall.ENOSPC.Error()): true, // bbolt drops the cause
		syscall.EIO: false,
		errors.New("file sync error: " + syscall.EIO.Error()):        false,
		errors.New("mmap allocate error: " + syscall.ENOMEM.Error()): false,
		os.ErrClosed: false,
		fmt.Errorf("bbolt panicked: %v", "page 3: wrong type: 0"): false,
	} {
		assert.Equal(t, want, passing(err), err)
	}
}

// TestFence makes bbolt panic in a write, which leaves as much unknown as a
// failed fsync does. TestFsyncFails has that.
func TestFence(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(dir, Options{Ballast: -1})
	require.NoError(t, err)
	put := func(id string) error {
		return s.Update(t.Context(), func(tx tocsin.Tx) error {
			tx.PutIncident(&tocsin.Incident{ID: id, State: tocsin.Triggered})
			return nil
		})
	}
	require.NoError(t, put("kept"))
	require.ErrorContains(t, s.exclusively(t.Context(), func() error {
		return s.transact(func(*bbolt.Tx) error { panic("page 3 is not what it was") })
	}), "page 3")

	ran := false
	err = s.Update(t.Context(), func(tocsin.Tx) error { ran = true; return nil })
	require.ErrorIs(t, err, tocsin.ErrUnavailable)
	require.ErrorContains(t, err, "fenced")
	assert.False(t, ran)
	require.ErrorContains(t, s.Stats().Err, "fenced")
	_, err = s.Get(t.Context(), "kept")
	require.NoError(t, err, "reads go on")
	require.NoError(t, s.Close())

	s, err = Open(dir, Options{Ballast: -1})
	require.NoError(t, err)
	require.NoError(t, put("after"))
	require.NoError(t, s.Check(t.Context()))
	require.NoError(t, s.Close())
}
