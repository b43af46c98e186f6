package storagetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
)

func eventTests() map[string]func(*rig) {
	note := func(id, text string) tocsin.Event {
		return tocsin.Event{Kind: tocsin.EventNote, Incident: id, At: epoch(), Actor: "ana", Target: "t", Text: text, Revision: 3}
	}
	return map[string]func(*rig){
		"TimelineInOrder": func(r *rig) {
			r.update(func(tx tocsin.Tx) {
				put(tx, newIncident("aaa", 0), 0)
				put(tx, newIncident("bbb", 1), 0)
				tx.Append(note("aaa", "1"), note("bbb", "2"), note("aaa", "3"))
			})
			for n := 4; n < 10; n++ {
				r.update(func(tx tocsin.Tx) { tx.Append(note([]string{"aaa", "bbb"}[n%2], fmt.Sprint(n))) })
			}
			for range 2 {
				events := r.timeline("aaa", 0, 100)
				assert.Equal(r, []string{"opened aaa", "1", "3", "4", "6", "8"}, texts(events))
				for n := 1; n < len(events); n++ {
					assert.Greater(r, events[n].Seq, events[n-1].Seq)
				}
				assert.Positive(r, events[0].Seq)
				assert.Equal(r, []string{"6", "8"}, texts(r.timeline("aaa", 0, 2)))
				assert.Equal(r, []string{"4", "6", "8"}, texts(r.timeline("aaa", events[2].Seq, 100)))
				assert.Equal(r, []string{"8"}, texts(r.timeline("aaa", events[2].Seq, 1)))
				assert.Empty(r, r.timeline("aaa", events[5].Seq, 100))
				assert.Empty(r, r.timeline("aaa", math.MaxUint64, 100))
				want := note("aaa", "8")
				want.Seq = events[5].Seq
				assert.Equal(r, want, events[5])
				r.reopen()
			}
		},
		"SeqGoesOn": func(r *rig) {
			r.update(func(tx tocsin.Tx) { put(tx, newIncident("aaa", 0), 0) })
			r.reopen()
			r.update(func(tx tocsin.Tx) { tx.Append(note("aaa", "later")) })
			events := r.timeline("aaa", 0, 10)
			require.Len(r, events, 2)
			assert.Greater(r, events[1].Seq, events[0].Seq)
		},
		"BeforeTheIncident": func(r *rig) {
			r.update(func(tx tocsin.Tx) {
				tx.Append(note("aaa", "first"))
				put(tx, newIncident("aaa", 0), 0)
			})
			assert.Equal(r, []string{"first", "opened aaa"}, texts(r.timeline("aaa", 0, 10)))
		},
		"OfNoIncident": func(r *rig) {
			r.update(func(tx tocsin.Tx) { tx.Append(note("", "alarm"), note("zzz", "unknown")) })
			_, err := r.store.Timeline(r.Context(), "", 0, 10)
			require.ErrorIs(r, err, tocsin.ErrNotFound)
		},
	}
}

func silenceTests() map[string]func(*rig) {
	silence := func(id, comment string) tocsin.Silence {
		return tocsin.Silence{ID: id, Matchers: []string{`a=~"b.*"`}, StartsAt: epoch(), EndsAt: epoch().Add(time.Hour), CreatedBy: "ana", Comment: comment}
	}
	return map[string]func(*rig){
		"PutAndDelete": func(r *rig) {
			r.update(func(tx tocsin.Tx) {
				assert.Empty(r, tx.Silences())
				for _, id := range []string{"c", "a", "b"} {
					tx.PutSilence(silence(id, "first"))
				}
				assert.Len(r, tx.Silences(), 3)
			})
			var held []tocsin.Silence
			r.update(func(tx tocsin.Tx) { held = tx.Silences() })
			r.update(func(tx tocsin.Tx) {
				tx.PutSilence(silence("b", "second"))
				tx.DeleteSilence("a")
				tx.DeleteSilence("zzz")
				assert.Equal(r, []tocsin.Silence{silence("b", "second"), silence("c", "first")}, tx.Silences())
			})
			assert.Equal(r, []tocsin.Silence{silence("a", "first"), silence("b", "first"), silence("c", "first")}, held)
			for range 2 {
				r.update(func(tx tocsin.Tx) {
					assert.Equal(r, []tocsin.Silence{silence("b", "second"), silence("c", "first")}, tx.Silences())
				})
				r.reopen()
			}
		},
		"TakenBack": func(r *rig) {
			r.update(func(tx tocsin.Tx) { tx.PutSilence(silence("a", "kept")) })
			err := r.store.Update(r.Context(), func(tx tocsin.Tx) error {
				tx.DeleteSilence("a")
				tx.PutSilence(silence("b", "not kept"))
				return errors.New("no")
			})
			require.Error(r, err)
			r.update(func(tx tocsin.Tx) { assert.Equal(r, []tocsin.Silence{silence("a", "kept")}, tx.Silences()) })
		},
	}
}

func updateTests() map[string]func(*rig) {
	return map[string]func(*rig){
		"ErrorChangesNothing": func(r *rig) {
			r.update(func(tx tocsin.Tx) { put(tx, newIncident("aaa", 0), 1) })
			failed := errors.New("decided against it")
			err := r.store.Update(r.Context(), func(tx tocsin.Tx) error {
				put(tx, newIncident("bbb", 1), 2)
				s, _ := tx.Alert(tocsinID("aaa-1"))
				change(tx, s, func(s *tocsin.AlertState) { s.Firing = false })
				s.Repeats = 9
				tx.Observed(s)
				resolve(tx, "aaa")
				tx.Archive("aaa")
				return failed
			})
			require.Equal(r, failed, err, "the error comes back as it is")
			r.onlyFirst()
			r.reopen()
			r.onlyFirst()
		},
		"PanicChangesNothing": func(r *rig) {
			r.update(func(tx tocsin.Tx) { put(tx, newIncident("aaa", 0), 1) })
			require.Error(r, r.try(func(tx tocsin.Tx) {
				put(tx, newIncident("bbb", 1), 1)
				panic("a bug in a decision")
			}))
			r.onlyFirst()
		},
		"EndedContext": func(r *rig) {
			ctx, cancel := context.WithCancel(r.Context())
			cancel()
			ran := false
			err := r.store.Update(ctx, func(tocsin.Tx) error { ran = true; return nil })
			require.ErrorIs(r, err, tocsin.ErrUnavailable)
			require.ErrorIs(r, err, context.Canceled)
			assert.False(r, ran)
		},
		"Serial": func(r *rig) {
			r.update(func(tx tocsin.Tx) { put(tx, newIncident("aaa", 0), 0) })
			var all sync.WaitGroup
			for g := range 16 {
				all.Go(func() {
					for n := range 10 {
						assert.NoError(r, r.try(func(tx tocsin.Tx) {
							i := tx.Incident("aaa")
							i.Reopened++
							tx.PutIncident(i)
							tx.Append(i.Event(tocsin.EventNote, "", fmt.Sprint(g, "/", n), epoch()))
						}))
					}
				})
			}
			all.Wait()
			assert.EqualValues(r, 160, r.get("aaa").Reopened)
			assert.Len(r, r.timeline("aaa", 0, 1000), 161)
			r.reopen()
			assert.EqualValues(r, 160, r.get("aaa").Reopened)
		},
		"ReadersSeeWholeUpdates": func(r *rig) {
			r.update(func(tx tocsin.Tx) {
				i := newIncident("aaa", 0)
				i.Title = "0"
				tx.PutIncident(i)
			})
			var done atomic.Bool
			var readers sync.WaitGroup
			for range 2 {
				readers.Go(func() {
					for !done.Load() {
						i, err := r.store.Get(r.Context(), "aaa")
						assert.NoError(r, err)
						assert.Equal(r, i.Title, fmt.Sprint(i.Reopened))
					}
				})
			}
			for range 50 {
				r.update(func(tx tocsin.Tx) {
					i := tx.Incident("aaa")
					i.Reopened++
					tx.PutIncident(i)
					i.Title = fmt.Sprint(i.Reopened)
					tx.PutIncident(i)
				})
			}
			done.Store(true)
			readers.Wait()
		},
		"Closed": func(r *rig) {
			r.update(func(tx tocsin.Tx) { put(tx, newIncident("aaa", 0), 1) })
			require.NoError(r, r.store.Close())
			require.NoError(r, r.store.Close(), "closing again")
			ran := false
			err := r.store.Update(r.Context(), func(tocsin.Tx) error { ran = true; return nil })
			require.ErrorIs(r, err, tocsin.ErrUnavailable)
			assert.False(r, ran)
			r.store = r.open(r.T, r.dir)
			r.onlyFirst()
		},
	}
}

// onlyFirst asserts that incident aaa with one firing alert and one event is all
// there is.
func (r *rig) onlyFirst() {
	r.Helper()
	i := r.get("aaa")
	assert.Equal(r, tocsin.Triggered, i.State)
	assert.EqualValues(r, 1, i.Firing)
	s, known := r.alert(tocsinID("aaa-1"))
	assert.True(r, known)
	assert.True(r, s.Firing)
	assert.Zero(r, s.Repeats)
	assert.Len(r, r.timeline("aaa", 0, 10), 1)
	_, known = r.alert(tocsinID("bbb-1"))
	assert.False(r, known)
	r.update(func(tx tocsin.Tx) {
		assert.Nil(r, tx.Incident("bbb"))
		assert.Nil(r, tx.ByGroup(newIncident("bbb", 0).Group))
		assert.Equal(r, "aaa", tx.ByGroup(newIncident("aaa", 0).Group).ID)
	})
	r.lists([]string{"aaa"}, tocsin.Filter{Archived: true})
}
