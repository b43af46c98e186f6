package bolt

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	berrors "go.etcd.io/bbolt/errors"
)

// floorInterval is how often the free space is looked at.
const floorInterval = time.Second

// disk watches the space of the store's file system and keeps the ballast.
type disk struct {
	dir              string
	minFree, ballast int64
	log              *slog.Logger
	free             func(path string) (int64, error)

	mu      sync.Mutex
	checked time.Time
	err     error
	closed  bool
}

func newDisk(dir string, o Options) *disk {
	return &disk{dir: dir, minFree: o.MinFree, ballast: o.Ballast, log: o.Logger, free: freeBytes}
}

// floor returns why updates are refused for want of space, or nil. It looks at
// most once per floorInterval.
func (d *disk) floor() error {
	if d.minFree == 0 && d.ballast == 0 {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := time.Now(); d.checked.IsZero() || now.Sub(d.checked) >= floorInterval || now.Before(d.checked) {
		d.checked = now
		d.look()
	}
	return d.err
}

func (d *disk) look() {
	free, err := d.free(d.dir)
	was := d.err
	switch {
	case err != nil:
		d.err = fmt.Errorf("free space of %s: %w", d.dir, err)
	case free < d.minFree:
		d.err = fmt.Errorf("%s has %d MiB left, below the floor of %d MiB: free some space there", d.dir, free>>20, d.minFree>>20)
	default:
		d.err = nil
		d.refill(free)
	}
	if (was == nil) != (d.err == nil) {
		d.log.Warn("disk space", "dir", d.dir, "free", free, "floor", d.minFree, "refusing", d.err != nil)
	}
}

func (d *disk) ballastPath() string { return filepath.Join(d.dir, "ballast") }

// refill makes the ballast anew when there is ample room for it.
func (d *disk) refill(free int64) {
	if d.ballast == 0 || d.closed || free < d.minFree+2*d.ballast {
		return
	}
	if info, err := os.Stat(d.ballastPath()); err == nil && info.Size() == d.ballast {
		return
	}
	if err := writeBallast(d.ballastPath(), d.ballast); err != nil {
		d.log.Warn("ballast was not made", "path", d.ballastPath(), "err", err)
		_ = os.Remove(d.ballastPath())
	}
}

func writeBallast(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(reserve(f, size), f.Close())
}

func writeZeros(f *os.File, size int64) error {
	zeros := make([]byte, 1<<20)
	for size > 0 {
		n, err := f.Write(zeros[:min(size, int64(len(zeros)))])
		if err != nil {
			return err
		}
		size -= int64(n)
	}
	return f.Sync()
}

// freeBallast deletes the ballast; it does not come back before the next look.
func (d *disk) freeBallast() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.checked = time.Now()
	if err := os.Remove(d.ballastPath()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("free the ballast: %w", err)
	}
	d.log.Warn("ballast was freed", "path", d.ballastPath(), "bytes", d.ballast)
	return nil
}

// close ends the making of ballast.
func (d *disk) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
}

// passing reports whether a failed commit may succeed later as it is: there was
// no room, or the file system is read-only. bbolt hides some causes in text.
func passing(err error) bool {
	for _, e := range []error{berrors.ErrMaxSizeReached, syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, syscall.EROFS} {
		if errors.Is(err, e) || strings.Contains(err.Error(), e.Error()) {
			return true
		}
	}
	return false
}

// syncDir makes the names in a folder durable.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
