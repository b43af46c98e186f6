package storagetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
)

func alertTests() map[string]func(*rig) {
	return map[string]func(*rig){
		"ReadBack": func(r *rig) {
			s, a := newAlert("x", "aaa", 1)
			s.EndsAt = epoch().Add(-time.Hour)
			s.Suppression = &tocsin.Suppression{Reason: tocsin.Inhibited, By: "f:1", Source: tocsin.NewKey("s"), Text: "t"}
			s.Index, s.Repeats = []tocsin.Key{tocsin.NewKey("k")}, 7
			r.update(func(tx tocsin.Tx) {
				i := newIncident("aaa", 0)
				i.Alerts, i.Firing, i.Suppressed = 1, 1, 1
				tx.PutAlert(s, a)
				tx.PutIncident(i)
			})
			got, ok := r.alert(s.ID)
			assert.True(r, ok)
			assert.Equal(r, s, got)
			assert.Equal(r, []tocsin.AlertRecord{{Alert: *a, State: s}}, r.alerts("aaa", 10))
			r.reopen()
			records := r.alerts("aaa", 10)
			require.Len(r, records, 1)
			assert.False(r, records[0].State.SeenAt.Before(s.SeenAt), "SeenAt goes back")
			records[0].State.SeenAt = s.SeenAt
			assert.Equal(r, []tocsin.AlertRecord{{Alert: *a, State: s}}, records)
		},
		"FiringFirst": func(r *rig) {
			r.update(func(tx tocsin.Tx) { put(tx, newIncident("aaa", 0), 150) })
			r.update(func(tx tocsin.Tx) {
				for n := range uint32(150) {
					if s, _ := tx.Alert(tocsinID(alertName("aaa", n+1))); n%50 != 7 {
						change(tx, s, func(s *tocsin.AlertState) { s.Firing = false })
					}
				}
			})
			for range 2 {
				assert.Equal(r, []string{"aaa-8", "aaa-58", "aaa-108", "aaa-1", "aaa-2"}, names(r.alerts("aaa", 5)))
				assert.Equal(r, []string{"aaa-8", "aaa-58"}, names(r.alerts("aaa", 2)))
				assert.Len(r, r.alerts("aaa", 1000), 150)
				assert.Len(r, r.alerts("aaa", 0), 100)
				r.reopen()
			}
		},
		"TextStays": func(r *rig) {
			r.update(func(tx tocsin.Tx) { put(tx, newIncident("aaa", 0), 1) })
			r.update(func(tx tocsin.Tx) {
				s, _ := tx.Alert(tocsinID("aaa-1"))
				change(tx, s, func(s *tocsin.AlertState) { s.Firing = false })
			})
			assert.Equal(r, "summary of aaa-1", r.alerts("aaa", 1)[0].Annotations[tocsin.AnnotationSummary])
			r.update(func(tx tocsin.Tx) {
				s, a := newAlert("aaa-1", "aaa", 1)
				s.Firing = false
				a.Annotations[tocsin.AnnotationSummary] = "other"
				tx.PutAlert(s, a)
			})
			assert.Equal(r, "other", r.alerts("aaa", 1)[0].Annotations[tocsin.AnnotationSummary])
		},
		"Refused": func(r *rig) {
			r.update(func(tx tocsin.Tx) { put(tx, newIncident("aaa", 0), 2) })
			s, a := newAlert("x", "aaa", 3)
			refused := map[string]func(tx tocsin.Tx){
				"no text": func(tx tocsin.Tx) {
					i := tx.Incident("aaa")
					i.Alerts++
					tx.PutIncident(i)
					tx.PutAlert(s, nil)
				},
				"no incident": func(tx tocsin.Tx) { s, a := newAlert("x", "zzz", 1); tx.PutAlert(s, a) },
				"seq 0":       func(tx tocsin.Tx) { s, a := newAlert("x", "aaa", 0); tx.PutAlert(s, a) },
				"seq above":   func(tx tocsin.Tx) { tx.PutAlert(s, a) },
				"seq taken":   func(tx tocsin.Tx) { s, a := newAlert("x", "aaa", 2); tx.PutAlert(s, a) },
				"seq taken by one that is put twice": func(tx tocsin.Tx) {
					i := tx.Incident("aaa")
					i.Alerts++
					tx.PutIncident(i)
					for _, name := range []string{"x", "x", "y"} {
						s, a := newAlert(name, "aaa", 3)
						tx.PutAlert(s, a)
					}
				},
				"seq taken at once": func(tx tocsin.Tx) {
					i := tx.Incident("aaa")
					i.Alerts++
					tx.PutIncident(i)
					for _, name := range []string{"x", "y"} {
						s, a := newAlert(name, "aaa", 3)
						tx.PutAlert(s, a)
					}
				},
			}
			for name, fn := range refused {
				require.ErrorIs(r, r.try(fn), tocsin.ErrInvalid, name)
			}
			_, known := r.alert(s.ID)
			assert.False(r, known)
			assert.Len(r, r.alerts("aaa", 10), 2)
		},
		"OrphanIsAttached": func(r *rig) {
			orphan, _ := newAlert("aaa-1", "", 0)
			r.update(func(tx tocsin.Tx) { tx.PutAlert(orphan, nil) })
			r.reopen()
			s, known := r.alert(orphan.ID)
			assert.True(r, known)
			assert.Empty(r, s.Incident)
			r.update(func(tx tocsin.Tx) { put(tx, newIncident("aaa", 0), 1) })
			for range 2 {
				s, _ = r.alert(orphan.ID)
				assert.Equal(r, "aaa", s.Incident)
				assert.Len(r, r.alerts("aaa", 10), 1)
				r.reopen()
			}
		},
		"MovesBetweenIncidents": func(r *rig) {
			r.update(func(tx tocsin.Tx) { put(tx, newIncident("aaa", 0), 3); put(tx, newIncident("bbb", 1), 1) })
			r.update(func(tx tocsin.Tx) {
				a, b := tx.Incident("aaa"), tx.Incident("bbb")
				s, text := newAlert("aaa-2", "bbb", 2)
				a.Firing--
				b.Alerts, b.Firing = 2, 2
				tx.PutIncident(a)
				tx.PutIncident(b)
				tx.PutAlert(s, text)
			})
			for range 2 {
				assert.Equal(r, []string{"aaa-1", "aaa-3"}, names(r.alerts("aaa", 10)))
				assert.Equal(r, []string{"bbb-1", "aaa-2"}, names(r.alerts("bbb", 10)))
				r.reopen()
			}
		},
		"PlacesChangeHands": func(r *rig) {
			r.update(func(tx tocsin.Tx) { put(tx, newIncident("aaa", 0), 4) })
			move := func(tx tocsin.Tx, name string, seq uint32) {
				s, a := newAlert(name, "aaa", seq)
				tx.PutAlert(s, a)
			}
			r.update(func(tx tocsin.Tx) { // 1 and 2 swap; 3 goes to 5, where 4 was for a moment
				i := tx.Incident("aaa")
				i.Alerts = 5
				tx.PutIncident(i)
				move(tx, "aaa-1", 2)
				move(tx, "aaa-2", 1)
				move(tx, "aaa-4", 5)
				move(tx, "aaa-3", 5)
				move(tx, "aaa-4", 4)
			})
			for range 2 {
				assert.Equal(r, []string{"aaa-2", "aaa-1", "aaa-4", "aaa-3"}, names(r.alerts("aaa", 10)))
				require.ErrorIs(r, r.try(func(tx tocsin.Tx) { move(tx, "x", 5) }), tocsin.ErrInvalid)
				r.reopen()
			}
			r.update(func(tx tocsin.Tx) { // 3 is free
				i := tx.Incident("aaa")
				i.Firing++
				tx.PutIncident(i)
				move(tx, "x", 3)
			})
			assert.Equal(r, []string{"aaa-2", "aaa-1", "x", "aaa-4", "aaa-3"}, names(r.alerts("aaa", 10)))
		},
		"PutTwice": func(r *rig) {
			r.update(func(tx tocsin.Tx) {
				i := newIncident("aaa", 0)
				i.Alerts, i.Firing = 1, 1
				tx.PutIncident(i)
				s, a := newAlert("x", "aaa", 1)
				tx.PutAlert(s, a)
				tx.Observed(s)
				s.Repeats = 3
				tx.PutAlert(s, nil)
				orphan, b := newAlert("y", "", 0)
				tx.PutAlert(orphan, b)
				tx.Forget(orphan.ID)
			})
			for range 2 {
				records := r.alerts("aaa", 10)
				require.Len(r, records, 1)
				assert.EqualValues(r, 3, records[0].State.Repeats)
				assert.Equal(r, "x", records[0].Name())
				_, known := r.alert(tocsinID("y"))
				assert.False(r, known)
				r.reopen()
			}
		},
		"NoID": func(r *rig) {
			require.ErrorIs(r, r.try(func(tx tocsin.Tx) { tx.PutAlert(tocsin.AlertState{}, nil) }), tocsin.ErrInvalid)
		},
		"Forget": func(r *rig) {
			orphan, a := newAlert("x", "", 0)
			r.update(func(tx tocsin.Tx) { tx.PutAlert(orphan, a); put(tx, newIncident("aaa", 0), 1) })
			r.update(func(tx tocsin.Tx) {
				tx.Forget(orphan.ID)
				tx.Forget(tocsinID("aaa-1"))
				tx.Forget(tocsinID("never"))
				_, known := tx.Alert(orphan.ID)
				assert.False(r, known)
			})
			for range 2 {
				_, known := r.alert(orphan.ID)
				assert.False(r, known)
				_, known = r.alert(tocsinID("aaa-1"))
				assert.True(r, known)
				r.reopen()
			}
		},
		"Observed": func(r *rig) {
			r.update(func(tx tocsin.Tx) { put(tx, newIncident("aaa", 0), 1) })
			r.update(func(tx tocsin.Tx) {
				s, _ := tx.Alert(tocsinID("aaa-1"))
				s.SeenAt, s.Repeats, s.Firing, s.Severity = epoch().Add(time.Hour), 5, false, tocsin.Info
				tx.Observed(s)
				seen, _ := tx.Alert(s.ID)
				assert.EqualValues(r, 5, seen.Repeats)
				unknown, _ := newAlert("unknown", "", 0)
				tx.Observed(unknown)
				_, known := tx.Alert(unknown.ID)
				assert.False(r, known)
			})
			s, _ := r.alert(tocsinID("aaa-1"))
			assert.Equal(r, epoch().Add(time.Hour), s.SeenAt)
			assert.EqualValues(r, 5, s.Repeats)
			assert.True(r, s.Firing, "Observed changes SeenAt and Repeats alone")
			assert.Equal(r, tocsin.Critical, s.Severity)
			r.update(func(tx tocsin.Tx) {
				change(tx, s, func(s *tocsin.AlertState) { s.Firing = false })
			})
			r.reopen()
			s, _ = r.alert(tocsinID("aaa-1"))
			assert.EqualValues(r, 5, s.Repeats, "written with the next change")
		},
	}
}

func indexTests() map[string]func(*rig) {
	key, other := tocsin.NewKey("key"), tocsin.NewKey("other")
	indexed := func(tx tocsin.Tx, i *tocsin.Incident, n int) {
		for range n {
			i.Alerts++
			s, a := newAlert(alertName(i.ID, i.Alerts), i.ID, i.Alerts)
			s.Index = []tocsin.Key{key}
			i.Count(tocsin.AlertState{}, s, epoch())
			tx.PutAlert(s, a)
		}
		tx.PutIncident(i)
	}
	return map[string]func(*rig){
		"Firing": func(r *rig) {
			r.update(func(tx tocsin.Tx) {
				indexed(tx, newIncident("aaa", 0), 3)
				r.finds(tx, key, "aaa-1", "aaa-2", "aaa-3")
			})
			for range 2 {
				r.update(func(tx tocsin.Tx) { r.finds(tx, key, "aaa-1", "aaa-2", "aaa-3"); r.finds(tx, other) })
				r.reopen()
			}
			r.update(func(tx tocsin.Tx) {
				s, _ := tx.Alert(tocsinID("aaa-2"))
				change(tx, s, func(s *tocsin.AlertState) { s.Firing = false })
				s, _ = tx.Alert(tocsinID("aaa-3"))
				change(tx, s, func(s *tocsin.AlertState) { s.Index = []tocsin.Key{other} })
				r.finds(tx, key, "aaa-1")
				r.finds(tx, other, "aaa-3")
			})
			for range 2 {
				r.update(func(tx tocsin.Tx) { r.finds(tx, key, "aaa-1"); r.finds(tx, other, "aaa-3") })
				r.reopen()
			}
		},
		"Archived": func(r *rig) {
			r.update(func(tx tocsin.Tx) { indexed(tx, newIncident("aaa", 0), 2); indexed(tx, newIncident("bbb", 1), 1) })
			r.update(func(tx tocsin.Tx) {
				resolve(tx, "aaa")
				tx.Archive("aaa")
				r.finds(tx, key, "bbb-1")
			})
			for range 2 {
				r.update(func(tx tocsin.Tx) { r.finds(tx, key, "bbb-1") })
				r.reopen()
			}
		},
		"ChangedWhileIterating": func(r *rig) {
			r.update(func(tx tocsin.Tx) { indexed(tx, newIncident("aaa", 0), 20) })
			r.update(func(tx tocsin.Tx) {
				indexed(tx, newIncident("bbb", 1), 5)
				seen := map[tocsin.Key]int{}
				for s := range tx.Indexed(key) {
					seen[s.ID]++
					for n := range uint32(20) {
						s, _ := tx.Alert(tocsinID(alertName("aaa", n+1)))
						s.Severity = tocsin.Warning
						tx.PutAlert(s, nil)
					}
				}
				assert.Len(r, seen, 25)
				for id, n := range seen {
					assert.Equal(r, 1, n, id)
				}
			})
		},
		"Moved": func(r *rig) {
			r.update(func(tx tocsin.Tx) {
				indexed(tx, newIncident("aaa", 0), 2)
				indexed(tx, newIncident("bbb", 1), 0)
			})
			r.update(func(tx tocsin.Tx) {
				a, b := tx.Incident("aaa"), tx.Incident("bbb")
				a.Firing, b.Firing, b.Alerts = 1, 1, 1
				tx.PutIncident(a)
				tx.PutIncident(b)
				s, text := newAlert("aaa-1", "bbb", 1)
				s.Index = []tocsin.Key{key}
				tx.PutAlert(s, text)
			})
			for range 2 {
				r.update(func(tx tocsin.Tx) { r.finds(tx, key, "aaa-1", "aaa-2") })
				r.reopen()
			}
		},
		"StopsEarly": func(r *rig) {
			r.update(func(tx tocsin.Tx) { indexed(tx, newIncident("aaa", 0), 3) })
			r.update(func(tx tocsin.Tx) {
				indexed(tx, newIncident("bbb", 1), 3)
				for stop := 1; stop <= 6; stop++ {
					n := 0
					for range tx.Indexed(key) {
						if n++; n == stop {
							break
						}
					}
					assert.Equal(r, stop, n)
				}
			})
		},
		"TakenBack": func(r *rig) {
			r.update(func(tx tocsin.Tx) { indexed(tx, newIncident("aaa", 0), 2) })
			failed := fmt.Errorf("no")
			err := r.store.Update(r.Context(), func(tx tocsin.Tx) error {
				indexed(tx, newIncident("bbb", 1), 2)
				s, _ := tx.Alert(tocsinID("aaa-1"))
				change(tx, s, func(s *tocsin.AlertState) { s.Firing = false })
				return failed
			})
			require.Equal(r, failed, err)
			r.update(func(tx tocsin.Tx) { r.finds(tx, key, "aaa-1", "aaa-2") })
		},
	}
}

// finds asserts which alerts the index has under key.
func (r *rig) finds(tx tocsin.Tx, key tocsin.Key, want ...string) {
	r.Helper()
	var got, expected []string
	for s := range tx.Indexed(key) {
		assert.True(r, s.Firing)
		got = append(got, s.ID.String())
	}
	for _, name := range want {
		expected = append(expected, tocsinID(name).String())
	}
	slices.Sort(got)
	slices.Sort(expected)
	assert.Equal(r, expected, got)
}
