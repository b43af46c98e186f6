package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// folderPrefix begins the names of the folders that commands work in.
const folderPrefix = "tocsin-remedy-"

// newFolder makes a folder to work in, and locks it for as long as its process
// lives: CleanUp leaves it alone.
func newFolder() (dir string, lock *os.File, err error) {
	if dir, err = os.MkdirTemp("", folderPrefix); err != nil {
		return "", nil, err
	}
	if lock, err = lockFolder(dir); err != nil {
		return "", nil, errors.Join(err, os.Remove(dir))
	}
	return dir, lock, nil
}

func lockFolder(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", dir, err), f.Close())
	}
	return f, nil
}

// removeFolder removes a folder whose subfolders a command may have locked.
func removeFolder(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	walked := filepath.WalkDir(dir, func(path string, d os.DirEntry, _ error) error {
		if d != nil && d.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return nil
	})
	return errors.Join(walked, os.RemoveAll(dir))
}

// abandoned is how old a folder that nobody holds has to be: one that is being
// made is not locked yet.
const abandoned = time.Minute

// CleanUp removes the working folders that Tocsin has left when it was killed in
// the middle of a command, of the same user and the same temporary folder. It is
// for the start of the program; others that run meanwhile do no harm.
func CleanUp() error {
	found, err := filepath.Glob(filepath.Join(os.TempDir(), folderPrefix+"*"))
	errs := []error{err}
	for _, dir := range found {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() || time.Since(info.ModTime()) < abandoned {
			continue
		}
		lock, err := lockFolder(dir)
		if err != nil {
			continue // somebody's, or at work
		}
		remove := removeFolder
		if os.Geteuid() == 0 {
			remove = os.RemoveAll // it needs no help, and follows no link that somebody may put there
		}
		errs = append(errs, remove(dir), lock.Close())
	}
	return errors.Join(errs...)
}
