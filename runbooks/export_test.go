package runbooks

import "context"

// LookForTest looks once, as a Watch does.
func LookForTest(s *Shelf) func(all bool) {
	w := NewWatch(s, WatchOptions{})
	return func(all bool) { w.look(context.Background(), all) }
}
