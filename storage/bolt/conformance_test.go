package bolt_test

import (
	"errors"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/storage"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
	"github.com/tocsin-oncall/tocsin/storage/storagetest"
)

func openStore(t *testing.T, dir string) storage.Store {
	s, err := bolt.Open(dir, bolt.Options{Ballast: -1})
	require.NoError(t, err)
	return s
}

func TestConformance(t *testing.T) {
	t.Parallel()
	storagetest.Conformance(t, openStore)
}

// TestModelInBatches runs the model with updates that share a commit.
func TestModelInBatches(t *testing.T) {
	t.Parallel()
	storagetest.Model(t, openStore, func(t *testing.T, s storage.Store, fns []func(tocsin.Tx) error) []error {
		return inOneBatch(t, s.(*bolt.Store), fns)
	})
}

// inOneBatch queues updates, in order, behind one that does not end before all
// are queued.
func inOneBatch(t *testing.T, s *bolt.Store, fns []func(tocsin.Tx) error) []error {
	release := blockCommitter(t, s)
	answers := make([]chan error, len(fns))
	for n, fn := range fns {
		answers[n] = make(chan error, 1)
		go func() { answers[n] <- s.Update(t.Context(), fn) }()
		for s.Stats().Queue <= n {
			runtime.Gosched()
		}
	}
	blocker := release()
	errs := make([]error, len(fns))
	for n := range errs {
		errs[n] = <-answers[n]
		if errors.Is(errs[n], tocsin.ErrUnavailable) {
			assert.ErrorIs(t, blocker, tocsin.ErrUnavailable, "it shares the commit")
		}
	}
	return errs
}

// TestCommitFails lets the commit of a batch fail: nobody is told that what they
// read or wrote is so.
func TestCommitFails(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), bolt.Options{MaxSize: 4 << 20})
	kept := fillUp(t, s)
	decided := errors.New("decided on what another wrote")
	errs := inOneBatch(t, s, []func(tocsin.Tx) error{
		stuff(0),
		func(tx tocsin.Tx) error {
			if tx.Incident("stuff-0") != nil {
				return decided
			}
			return nil
		},
		nothing,
	})
	for _, err := range errs {
		require.ErrorIs(t, err, tocsin.ErrUnavailable)
		require.NotErrorIs(t, err, decided)
	}
	require.Equal(t, kept, s.Stats().Live)
	require.NoError(t, s.Update(t.Context(), func(tx tocsin.Tx) error {
		if tx.Incident("stuff-0") != nil {
			return decided
		}
		return nil
	}))
	require.NoError(t, s.Check(t.Context()))
}

// TestOpenedAndArchivedInOneBatch archives, in an update of its own, what an
// earlier one of the same commit opened.
func TestOpenedAndArchivedInOneBatch(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), bolt.Options{})
	errs := inOneBatch(t, s, []func(tocsin.Tx) error{
		opening(1, nil),
		func(tx tocsin.Tx) error {
			a := node(1)
			st, _ := tx.Alert(a.ID())
			i := tx.Incident(st.Incident)
			i.Resolve("ana", "resolved", i.OpenedAt)
			tx.PutIncident(i)
			tx.Archive(i.ID)
			return nil
		},
		opening(1, nil), // starts afresh
		func(tx tocsin.Tx) error {
			a := node(1)
			st, _ := tx.Alert(a.ID())
			st.Firing = true
			tx.PutAlert(st, nil)
			return nil
		},
	})
	require.Equal(t, make([]error, len(errs)), errs)
	require.NoError(t, s.Check(t.Context()))
	require.Equal(t, 1, s.Stats().Live)
	all, err := s.List(t.Context(), tocsin.Filter{Archived: true})
	require.NoError(t, err)
	require.Len(t, all, 2)
	for _, i := range all {
		alerts, err := s.AlertsOf(t.Context(), i.ID, 10)
		require.NoError(t, err)
		require.Len(t, alerts, 1)
	}
}

// TestPlaceTakenInOneBatch puts two alerts at one place in two updates of one
// commit: the second is refused, the first stands.
func TestPlaceTakenInOneBatch(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), bolt.Options{})
	attach := func(n int) func(tocsin.Tx) error {
		a := node(n)
		return func(tx tocsin.Tx) error {
			tx.PutIncident(&tocsin.Incident{ID: "a", State: tocsin.Triggered, Alerts: 1})
			tx.PutAlert(tocsin.AlertState{ID: a.ID(), Incident: "a", Seq: 1}, &a)
			return nil
		}
	}
	errs := inOneBatch(t, s, []func(tocsin.Tx) error{attach(1), attach(2)})
	require.NoError(t, errs[0])
	require.ErrorIs(t, errs[1], tocsin.ErrInvalid)
	require.NoError(t, s.Check(t.Context()))
}
