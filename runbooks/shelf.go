package runbooks

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// Shelf holds the present Library and swaps it on Reload, or when a Watch sees that
// the files have changed. Reading never waits, and sees one Library or the other.
// The zero Shelf is empty. It is safe for concurrent use.
type Shelf struct {
	mu      sync.Mutex // guards folders
	folders []*folder
	library atomic.Pointer[Library]
}

// NewShelf loads the folders. See Load for the problems and the error; on an
// error the Shelf is empty and can be reloaded.
func NewShelf(dirs []string) (*Shelf, []Problem, error) {
	s := &Shelf{}
	problems, err := s.Reload(dirs)
	return s, problems, err
}

// Reload reads the folders and takes the result in place of the present Library.
// On an error the present one stays. A file that cannot be used any more keeps its
// last good version, whose runbooks are marked as tocsin.Runbook.Stale; one that was
// removed is gone.
func (s *Shelf) Reload(dirs []string) ([]Problem, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	folders, err := readFolders(dirs, s.folders, reading{now: time.Now(), all: true})
	if err != nil {
		return nil, err
	}
	return s.put(folders).Problems(), nil
}

// put takes what was read. s.mu is held.
func (s *Shelf) put(folders []*folder) *Library {
	lib := newLibrary(folders)
	s.folders = folders
	s.library.Store(lib)
	return lib
}

// present is what was read last.
func (s *Shelf) present() []*folder {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.folders
}

// Library returns the present Library, or nil.
func (s *Shelf) Library() *Library { return s.library.Load() }

// Find is Library.Find of the present Library.
func (s *Shelf) Find(a *tocsin.Alert) *tocsin.Runbook { return s.Library().Find(a) }

// Get is Library.Get of the present Library.
func (s *Shelf) Get(id string) *tocsin.Runbook { return s.Library().Get(id) }

// List is Library.List of the present Library.
func (s *Shelf) List() []*tocsin.Runbook { return s.Library().List() }
