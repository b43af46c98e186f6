// Package storage states what a store of incidents promises. Implementations
// are in the packages below it; storagetest holds the tests that each of them
// passes.
//
// # Guarantee
//
// When Update returns nil, everything that its function wrote is durable: it
// survives the death of the process and of the machine, and every later Update
// and every read sees it. When Update returns any other error than one that
// satisfies errors.Is(err, tocsin.ErrUnavailable), nothing of it was written.
// Updates are serial: each function sees the whole effect of those before it,
// and nothing of those that failed. Nobody sees half an update.
//
// # Why
//
// An alert that was answered with 2xx must never be lost, so what was decided
// about it is on disk before the answer. A decision must not be built on
// something that may yet vanish, so a function's result, an error too, is given
// to its caller only once everything it may have read is durable. Pages are
// sent by others, after the commit, from what the store says then: the store
// holds levels (which revision does this target show?), never a queue of things
// to do, so a wake-up may be lost or doubled without harm.
//
// # Data flow
//
//	Update(fn) ─► queue ─► committer ─► fn(Tx) ─► fn(Tx) ─► … ─► one commit ─► memory ─► wake-ups ─► answers
//	                          │                                  (fsync)        ▲
//	                          └── reads the memory, stages what is written ─────┘
//
// Functions may run more than once: a store that compares and sets runs them
// again after a conflict. They may therefore depend on nothing but the Tx and
// values that were fixed before, and change nothing else, save for variables of
// the caller's that each run sets anew and that the caller reads only when
// Update has returned nil.
//
// # What implementations are free in
//
//   - Event.Seq ascends, over all incidents, in the order of the commits; there
//     may be gaps.
//   - Times come back as the same instants, in UTC, without the monotonic clock.
//   - Two updates that touch nothing in common may run in either order.
package storage
