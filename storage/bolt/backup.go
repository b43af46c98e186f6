package bolt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/tocsin-oncall/tocsin"
)

// Backup writes a copy of the store, as of the moment it is called, to w, and
// returns its size. Updates go on meanwhile; the pages that they replace are not
// used again before it ends, so w should not be slow. The copy is a store's file
// that Restore takes.
func (s *Store) Backup(w io.Writer) (n int64, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		n, err = tx.WriteTo(w)
		return err
	})
	if err != nil {
		return n, fmt.Errorf("backup: %w", err)
	}
	return n, nil
}

// Restore makes the file backup the store of the folder dir, whole or not at
// all. The file is verified first. It is refused when a running tocsin has the
// folder's store open, and, unless force is true, when there is a store at all.
func Restore(backup, dir string, force bool) error {
	if err := makeDir(dir); err != nil {
		return err
	}
	path := filepath.Join(dir, FileName)
	release, err := claim(path, force)
	if err != nil {
		return err
	}
	defer release()
	f, err := os.CreateTemp(dir, FileName+".restore-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // gone already when it was renamed
	err = copyStore(f, backup)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("restore %s: %w", backup, err)
	}
	if err := verify(f.Name()); err != nil {
		return fmt.Errorf("restore %s: nothing was changed: %w", backup, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// claim locks the store at path against processes that would open it, until
// release is called.
func claim(path string, force bool) (release func(), err error) {
	found, err := exists(path)
	if err != nil {
		return nil, err
	}
	if !found {
		return func() {}, nil
	}
	db, _, err := openBolt(path, Options{Timeout: time.Second})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, tocsin.Unavailable(fmt.Errorf("%s is in use by a running tocsin: stop it first", path))
	}
	release = func() {
		if db != nil {
			_ = db.Close()
		}
	}
	if !force {
		release()
		return nil, fmt.Errorf("%s exists: move it away, or force the restore to replace it", path)
	}
	return release, nil
}

// copyStore copies the file of a store that nobody has open for writing.
func copyStore(w io.Writer, path string) error {
	return readOnly(path, func(db *bbolt.DB) error {
		return db.View(func(tx *bbolt.Tx) error {
			_, err := tx.WriteTo(w)
			return err
		})
	})
}

// verify reports what is wrong with a store's file.
func verify(path string) error {
	return readOnly(path, func(db *bbolt.DB) error {
		schema, err := schemaOf(db)
		if err != nil {
			return err
		}
		if err := known(schema, len(migrations())+1); err != nil {
			return err
		}
		if err := db.View(walk); err != nil {
			return err
		}
		if err := db.View(func(tx *bbolt.Tx) error { return errors.Join(pageErrors(tx)...) }); err != nil {
			return err
		}
		if schema <= len(migrations()) {
			return nil // opening it migrates it
		}
		if err := db.View(complete); err != nil {
			return err
		}
		if _, err = load(db, time.Time{}); err != nil {
			return err
		}
		return db.View(auditFits)
	})
}

// auditFits refuses a file whose audit log does not verify.
func auditFits(tx *bbolt.Tx) error {
	report, err := verifyAudit(context.Background(), tx, tocsin.AuditHash{})
	if err == nil && !report.OK {
		err = fmt.Errorf("its audit log was tampered with: record %d does not fit: %s (to use it all the same, copy the file)", report.At, report.Problem)
	}
	return err
}

// readOnly runs fn on a file that is opened for reading. Damage that makes bbolt
// panic becomes an error.
func readOnly(path string, fn func(*bbolt.DB) error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer recoverDamage(&err)
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	db, err := bbolt.Open(path, 0, &bbolt.Options{ReadOnly: true, Timeout: time.Second})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return fmt.Errorf("%s is in use: a running tocsin has it open; ask that one, stop it, or make a backup", path)
	case err != nil:
		return explain(path, Options{}, err)
	}
	defer db.Close() //nolint:errcheck // nothing was written
	err = db.View(func(tx *bbolt.Tx) error {
		if tx.Size() > info.Size() {
			return fmt.Errorf("it has %d bytes of %d: it was cut off", info.Size(), tx.Size())
		}
		return nil
	})
	if err != nil {
		return err
	}
	return fn(db)
}

// walk visits every page of every bucket, in a goroutine where a fault can be
// recovered from: that of bbolt's own check is not one.
func walk(tx *bbolt.Tx) error {
	return tx.ForEach(func(_ []byte, b *bbolt.Bucket) error {
		return b.ForEach(func(_, _ []byte) error { return nil })
	})
}
