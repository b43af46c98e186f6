package runbooks

import (
	"sync"
	"sync/atomic"

	"github.com/tocsin-oncall/tocsin"
)

// Shelf holds the present Library and swaps it on Reload. Reading never waits.
// The zero Shelf is empty. It is safe for concurrent use.
type Shelf struct {
	reload  sync.Mutex
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
// On an error the present one stays.
func (s *Shelf) Reload(dirs []string) ([]Problem, error) {
	s.reload.Lock()
	defer s.reload.Unlock()
	lib, problems, err := Load(dirs)
	if err != nil {
		return problems, err
	}
	s.library.Store(lib)
	return problems, nil
}

// Library returns the present Library, or nil.
func (s *Shelf) Library() *Library { return s.library.Load() }

// Find is Library.Find of the present Library.
func (s *Shelf) Find(a *tocsin.Alert) *tocsin.Runbook { return s.Library().Find(a) }

// Get is Library.Get of the present Library.
func (s *Shelf) Get(id string) *tocsin.Runbook { return s.Library().Get(id) }

// List is Library.List of the present Library.
func (s *Shelf) List() []*tocsin.Runbook { return s.Library().List() }
