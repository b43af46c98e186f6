package bolt

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/tocsin-oncall/tocsin"
)

// create makes an empty store at path unless there is one. The file comes into
// being whole: a power cut while bbolt first writes a file can leave one that
// does not open (etcd issue 16596).
func create(path string) error {
	if found, err := exists(path); found || err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := makeDir(dir); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	temp := f.Name()
	defer os.Remove(temp) //nolint:errcheck // gone already when it was linked
	if err := errors.Join(f.Close(), initialize(temp)); err != nil {
		return err
	}
	// A link, unlike a rename, does not replace the file of another process that
	// makes the store at the same time.
	if err := os.Link(temp, path); err != nil && !errors.Is(err, os.ErrExist) {
		if err := os.Rename(temp, path); err != nil {
			return err
		}
	}
	return syncDir(dir)
}

// makeDir makes a folder and those above it, durably: an fsync of a file does
// not make the names above it last.
func makeDir(dir string) error {
	found, err := exists(dir)
	if found || err != nil {
		return err
	}
	parent := filepath.Dir(dir)
	if err := makeDir(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return syncDir(parent)
}

// initialize makes an empty file into a store of the present schema.
func initialize(path string) error {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType, Timeout: time.Second})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for b := range bucketCount {
			if _, err := tx.CreateBucket([]byte(b.String())); err != nil {
				return err
			}
		}
		return putSchema(tx, len(migrations())+1)
	})
	return errors.Join(err, db.Sync(), db.Close())
}

// openLocked opens the file and holds its lock. It opens it again when the file
// was replaced (Restore) while it waited for the lock.
func openLocked(path string, o Options) (*bbolt.DB, error) {
	for {
		db, f, err := openBolt(path, o)
		if err != nil {
			return nil, explain(path, o, err)
		}
		held, err := f.Stat()
		if err != nil {
			return nil, errors.Join(err, db.Close())
		}
		named, err := os.Stat(path)
		if err == nil && os.SameFile(held, named) {
			return db, nil
		}
		if err := errors.Join(err, db.Close()); err != nil {
			return nil, err
		}
	}
}

// openBolt opens a file for writing. What a damaged file makes bbolt panic with
// becomes an error.
func openBolt(path string, o Options) (db *bbolt.DB, f *os.File, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = errors.Join(fmt.Errorf("%w: %v", berrors.ErrInvalid, p), f.Close())
		}
	}()
	db, err = bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:         o.Timeout,
		FreelistType:    bbolt.FreelistMapType,
		InitialMmapSize: mmapSize(path, o.InitialMmapSize),
		MaxSize:         int(o.MaxSize),
		NoStatistics:    true,
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			opened, err := os.OpenFile(name, flag&^os.O_CREATE, mode)
			f = opened
			return opened, err
		},
	})
	if err != nil {
		return nil, nil, err
	}
	if o.MaxSize > 0 {
		db.AllocSize = int(min(int64(db.AllocSize), max(1<<16, o.MaxSize/16)))
	}
	if info, err := f.Stat(); err == nil {
		prefetch(f, info.Size())
	}
	return db, f, nil
}

// mmapSize is how much of the file to map: growing beyond it waits for readers.
func mmapSize(path string, atLeast int) int {
	info, err := os.Stat(path)
	if err != nil {
		return atLeast
	}
	return max(atLeast, 2*int(info.Size()))
}

// explain says what to do about a file that does not open.
func explain(path string, o Options, err error) error {
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return tocsin.Unavailable(fmt.Errorf("%s is in use: another tocsin holds its lock (waited %s): stop that one, or give this one a storage path of its own", path, o.Timeout))
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrVersionMismatch), errors.Is(err, berrors.ErrChecksum):
		return fmt.Errorf("%s is damaged, or is no bbolt file: restore a backup: %w", path, err)
	default:
		return fmt.Errorf("open %s: %w", path, err)
	}
}
