package storagetest

import (
	"fmt"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
)

func alertName(incident string, seq uint32) string { return fmt.Sprintf("%s-%d", incident, seq) }

func incidentTests() map[string]func(*rig) {
	return map[string]func(*rig){
		"ReadBack": func(r *rig) {
			want := newIncident("aaa", 0)
			want.AcknowledgedBy, want.Flips = "ana", []time.Time{epoch(), epoch().Add(time.Second)}
			want.Suppression = &tocsin.Suppression{Reason: tocsin.Silenced, By: "s1", Text: "silenced by ana"}
			want.Deliveries[0].Ref, want.Deliveries[0].Error = "C1/123.456", "not_in_channel \x00"
			want.Kind, want.Text, want.MergedInto, want.Actions = tocsin.KindManual, "one\ntwo", "zzz", []string{"a1", "a2"}
			want.Escalation = newEscalation(epoch().Add(time.Minute))
			d := want.Call("slack:@ana", "ana", "S0ONCALL", true, epoch())
			d.Called, d.Stopped = 1, true
			r.update(func(tx tocsin.Tx) { tx.PutIncident(want) })
			assert.Equal(r, want, r.get("aaa"))
			r.reopen()
			assert.Equal(r, want, r.get("aaa"))
		},
		"TimesAreInstants": func(r *rig) {
			i := newIncident("aaa", 0)
			i.OpenedAt = time.Now().In(time.FixedZone("x", 5400))
			i.Escalation = newEscalation(i.OpenedAt)
			i.Escalation.Responders[0].At, i.Escalation.Responders[1].Acknowledged = i.OpenedAt, i.OpenedAt
			r.update(func(tx tocsin.Tx) { tx.PutIncident(i) })
			before := r.get("aaa")
			r.reopen()
			assert.True(r, i.OpenedAt.Equal(before.OpenedAt))
			assert.True(r, i.Deadline().Equal(before.Deadline()))
			assert.Equal(r, before, r.get("aaa"))
		},
		"Missing": func(r *rig) {
			r.update(func(tx tocsin.Tx) {
				assert.Nil(r, tx.Incident("zzz"))
				assert.Nil(r, tx.ByGroup(tocsin.NewKey("zzz")))
			})
			_, err := r.store.Get(r.Context(), "zzz")
			require.ErrorIs(r, err, tocsin.ErrNotFound)
			_, err = r.store.AlertsOf(r.Context(), "zzz", 1)
			require.ErrorIs(r, err, tocsin.ErrNotFound)
			_, err = r.store.Timeline(r.Context(), "zzz", 0, 1)
			require.ErrorIs(r, err, tocsin.ErrNotFound)
		},
		"CopiesInAndOut": func(r *rig) {
			r.update(func(tx tocsin.Tx) {
				i := newIncident("aaa", 0)
				tx.PutIncident(i)
				i.Title, i.Deliveries[0].Ref = "changed after Put", "changed"
				seen := tx.Incident("aaa")
				assert.Equal(r, "title of aaa", seen.Title)
				seen.Title, seen.Deliveries[0].Ref = "changed, not Put", "changed"
				assert.Equal(r, "title of aaa", tx.ByGroup(i.Group).Title)
			})
			r.update(func(tx tocsin.Tx) {
				seen := tx.Incident("aaa")
				seen.Title, seen.Deliveries[0].Ref = "changed, not Put", "changed"
			})
			assert.Equal(r, newIncident("aaa", 0), r.get("aaa"))
		},
		"EscalationCopiesInAndOut": func(r *rig) {
			fresh := func() *tocsin.Incident {
				i := newIncident("aaa", 0)
				i.Escalation, i.Actions = newEscalation(epoch()), []string{"a1"}
				return i
			}
			spoil := func(i *tocsin.Incident) {
				e := i.Escalation
				e.Runs[0].Step, e.Calls[0].User, e.High, i.Actions[0] = 9, "changed", false, "changed"
				e.Responder("ana").Calls, i.Deliveries[0].Called = 9, 9
			}
			r.update(func(tx tocsin.Tx) {
				i := fresh()
				tx.PutIncident(i)
				spoil(i)
				spoil(tx.Incident("aaa"))
				spoil(tx.ByGroup(i.Group))
				assert.Equal(r, fresh(), tx.Incident("aaa"))
			})
			r.update(func(tx tocsin.Tx) { spoil(tx.Incident("aaa")) })
			held := r.get("aaa")
			r.update(func(tx tocsin.Tx) {
				i := tx.Incident("aaa")
				spoil(i)
				tx.PutIncident(i)
			})
			assert.Equal(r, fresh(), held)
			assert.Equal(r, 9, r.get("aaa").Escalation.Runs[0].Step)
		},
		"ReadersKeepWhatTheyHold": func(r *rig) {
			r.update(func(tx tocsin.Tx) { tx.PutIncident(newIncident("aaa", 0)) })
			held := r.get("aaa")
			r.update(func(tx tocsin.Tx) {
				i := tx.Incident("aaa")
				i.Title, i.Deliveries[0].Ref = "new", "new"
				tx.PutIncident(i)
			})
			assert.Equal(r, newIncident("aaa", 0), held)
			assert.Equal(r, "new", r.get("aaa").Title)
		},
		"GroupMoves": func(r *rig) {
			i := newIncident("aaa", 0)
			from, to := i.Group, tocsin.NewKey("elsewhere")
			r.update(func(tx tocsin.Tx) { tx.PutIncident(i) })
			r.update(func(tx tocsin.Tx) {
				i := tx.ByGroup(from)
				i.Group = to
				tx.PutIncident(i)
				assert.Nil(r, tx.ByGroup(from))
				assert.NotNil(r, tx.ByGroup(to))
			})
			for range 2 {
				r.update(func(tx tocsin.Tx) {
					assert.Nil(r, tx.ByGroup(from))
					assert.Equal(r, "aaa", tx.ByGroup(to).ID)
				})
				r.reopen()
			}
		},
		"GroupsSwap": func(r *rig) {
			a, b := newIncident("aaa", 0), newIncident("bbb", 1)
			r.update(func(tx tocsin.Tx) { tx.PutIncident(a); tx.PutIncident(b) })
			r.update(func(tx tocsin.Tx) {
				x, y := tx.Incident("aaa"), tx.Incident("bbb")
				x.Group, y.Group = y.Group, x.Group
				tx.PutIncident(x)
				tx.PutIncident(y)
			})
			r.update(func(tx tocsin.Tx) {
				assert.Equal(r, "bbb", tx.ByGroup(a.Group).ID)
				assert.Equal(r, "aaa", tx.ByGroup(b.Group).ID)
			})
		},
		"GroupTaken": func(r *rig) {
			r.update(func(tx tocsin.Tx) { tx.PutIncident(newIncident("aaa", 0)) })
			err := r.try(func(tx tocsin.Tx) {
				i := newIncident("bbb", 1)
				i.Group = newIncident("aaa", 0).Group
				tx.PutIncident(i)
			})
			require.ErrorIs(r, err, tocsin.ErrInvalid)
			err = r.try(func(tx tocsin.Tx) {
				for n, id := range []string{"ccc", "ddd"} {
					i := newIncident(id, n)
					i.Group = tocsin.NewKey("shared")
					tx.PutIncident(i)
				}
			})
			require.ErrorIs(r, err, tocsin.ErrInvalid)
			r.update(func(tx tocsin.Tx) {
				assert.Equal(r, "aaa", tx.ByGroup(newIncident("aaa", 0).Group).ID)
				assert.Nil(r, tx.Incident("bbb"))
				assert.Nil(r, tx.Incident("ccc"))
			})
		},
		"NoGroup": func(r *rig) {
			r.update(func(tx tocsin.Tx) {
				for n, id := range []string{"aaa", "bbb"} {
					i := newIncident(id, n)
					i.Group = tocsin.Key{}
					tx.PutIncident(i)
				}
				assert.Nil(r, tx.ByGroup(tocsin.Key{}))
			})
			assert.Equal(r, "bbb", r.get("bbb").ID)
		},
	}
}

func archiveTests() map[string]func(*rig) {
	return map[string]func(*rig){
		"StartsAfresh": func(r *rig) {
			var states []tocsin.AlertState
			r.update(func(tx tocsin.Tx) { states = put(tx, newIncident("aaa", 0), 3) })
			r.update(func(tx tocsin.Tx) {
				resolve(tx, "aaa")
				tx.Archive("aaa")
				assert.Nil(r, tx.ByGroup(newIncident("aaa", 0).Group))
				_, known := tx.Alert(states[0].ID)
				assert.False(r, known)
				i := newIncident("bbb", 5)
				i.Group, i.Alerts, i.Firing = newIncident("aaa", 0).Group, 1, 1
				tx.PutIncident(i)
				s, a := newAlert("aaa-1", "bbb", 1)
				assert.Equal(r, states[0].ID, s.ID)
				tx.PutAlert(s, a)
			})
			for range 2 {
				s, ok := r.alert(states[0].ID)
				assert.True(r, ok)
				assert.Equal(r, "bbb", s.Incident)
				_, ok = r.alert(states[1].ID)
				assert.False(r, ok)
				r.update(func(tx tocsin.Tx) { assert.Equal(r, "bbb", tx.ByGroup(newIncident("aaa", 0).Group).ID) })
				assert.Len(r, r.alerts("aaa", 10), 3)
				assert.Len(r, r.alerts("bbb", 10), 1)
				r.reopen()
			}
		},
		"StaysReadable": func(r *rig) {
			r.update(func(tx tocsin.Tx) { put(tx, newIncident("aaa", 0), 5) })
			r.update(func(tx tocsin.Tx) {
				s, _ := tx.Alert(tocsinID("aaa-2"))
				change(tx, s, func(s *tocsin.AlertState) { s.Firing = false })
				resolve(tx, "aaa")
				tx.Archive("aaa")
				tx.Append(tocsin.Event{Kind: tocsin.EventNote, Incident: "aaa", Text: "archived"})
			})
			for range 2 {
				assert.Equal(r, tocsin.Resolved, r.get("aaa").State)
				assert.Equal(r, []string{"aaa-1", "aaa-3", "aaa-4", "aaa-5", "aaa-2"}, names(r.alerts("aaa", 10)))
				assert.Equal(r, []string{"aaa-1", "aaa-3"}, names(r.alerts("aaa", 2)))
				assert.Equal(r, []string{"opened aaa", "resolved by ana", "archived"}, texts(r.timeline("aaa", 0, 10)))
				r.update(func(tx tocsin.Tx) { assert.Equal(r, tocsin.Resolved, tx.Incident("aaa").State) })
				r.reopen()
			}
		},
		"LateReceipt": func(r *rig) {
			r.update(func(tx tocsin.Tx) { put(tx, newIncident("aaa", 0), 1) })
			r.update(func(tx tocsin.Tx) { resolve(tx, "aaa"); tx.Archive("aaa") })
			r.update(func(tx tocsin.Tx) {
				put(tx, newIncident("bbb", 1), 0)
				i := newIncident("ccc", 2)
				i.Group = newIncident("aaa", 0).Group
				tx.PutIncident(i)
			})
			r.update(func(tx tocsin.Tx) {
				i := tx.Incident("aaa")
				i.Deliveries[0].Ref = "late"
				tx.PutIncident(i)
				tx.Append(i.Event(tocsin.EventDelivered, "", "posted", epoch()))
			})
			for range 2 {
				assert.Equal(r, "late", r.get("aaa").Deliveries[0].Ref)
				assert.Equal(r, []string{"opened aaa", "resolved by ana", "posted"}, texts(r.timeline("aaa", 0, 10)))
				r.update(func(tx tocsin.Tx) { assert.Equal(r, "ccc", tx.ByGroup(newIncident("aaa", 0).Group).ID) })
				live, err := r.store.List(r.Context(), tocsin.Filter{})
				require.NoError(r, err)
				assert.Equal(r, []string{"ccc", "bbb"}, ids(live))
				r.reopen()
			}
		},
		"OnlyResolved": func(r *rig) {
			r.update(func(tx tocsin.Tx) { put(tx, newIncident("aaa", 0), 1) })
			require.ErrorIs(r, r.try(func(tx tocsin.Tx) { tx.Archive("aaa") }), tocsin.ErrInvalid)
			r.update(func(tx tocsin.Tx) { tx.Archive("aaa"); resolve(tx, "aaa") })
			r.update(func(tx tocsin.Tx) { tx.Archive("aaa"); tx.Archive("zzz") })
			assert.Equal(r, tocsin.Resolved, r.get("aaa").State)
		},
		"InAnyOrder": func(r *rig) {
			r.update(func(tx tocsin.Tx) { put(tx, newIncident("aaa", 0), 2); resolve(tx, "aaa") })
			r.update(func(tx tocsin.Tx) {
				i := newIncident("bbb", 1)
				i.Group = newIncident("aaa", 0).Group
				tx.PutIncident(i)
				tx.Archive("aaa")
				assert.Equal(r, "bbb", tx.ByGroup(i.Group).ID)
			})
			r.update(func(tx tocsin.Tx) { assert.Equal(r, "bbb", tx.ByGroup(newIncident("aaa", 0).Group).ID) })
		},
		"OpenedAndArchivedAtOnce": func(r *rig) {
			r.update(func(tx tocsin.Tx) {
				put(tx, newIncident("aaa", 0), 2)
				resolve(tx, "aaa")
				tx.Archive("aaa")
				put(tx, newIncident("bbb", 1), 1)
			})
			r.reopen()
			assert.Len(r, r.alerts("aaa", 10), 2)
			assert.Equal(r, []string{"opened aaa", "resolved by ana"}, texts(r.timeline("aaa", 0, 10)))
		},
		"OrphanAttachedAndArchivedAtOnce": func(r *rig) {
			orphan, _ := newAlert("aaa-1", "", 0)
			r.update(func(tx tocsin.Tx) { tx.PutAlert(orphan, nil) })
			r.update(func(tx tocsin.Tx) {
				put(tx, newIncident("aaa", 0), 1)
				resolve(tx, "aaa")
				tx.Archive("aaa")
			})
			for range 2 {
				_, known := r.alert(orphan.ID)
				assert.False(r, known)
				assert.Len(r, r.alerts("aaa", 10), 1)
				r.reopen()
			}
		},
		"AlertIntoArchived": func(r *rig) {
			r.update(func(tx tocsin.Tx) { put(tx, newIncident("aaa", 0), 1) })
			r.update(func(tx tocsin.Tx) { resolve(tx, "aaa"); tx.Archive("aaa") })
			s, a := newAlert("aaa-1", "aaa", 1)
			require.ErrorIs(r, r.try(func(tx tocsin.Tx) { tx.PutAlert(s, a) }), tocsin.ErrInvalid)
		},
		"ManyAlerts": func(r *rig) {
			r.update(func(tx tocsin.Tx) { put(tx, newIncident("aaa", 0), 3000) })
			r.update(func(tx tocsin.Tx) { resolve(tx, "aaa"); tx.Archive("aaa") })
			r.update(func(tx tocsin.Tx) {
				i := newIncident("bbb", 1)
				i.Alerts, i.Firing = 1, 1
				tx.PutIncident(i)
				s, a := newAlert("aaa-2999", "bbb", 1)
				tx.PutAlert(s, a)
			})
			for n := range 10 {
				r.update(func(tx tocsin.Tx) {
					_, known := tx.Alert(tocsinID(alertName("aaa", uint32(n*300+1))))
					assert.False(r, known)
					s, _ := tx.Alert(tocsinID("aaa-2999"))
					assert.Equal(r, "bbb", s.Incident)
					tx.PutSilence(tocsin.Silence{ID: fmt.Sprint(n)})
				})
			}
		},
	}
}

func names(records []tocsin.AlertRecord) []string {
	var out []string
	for n := range records {
		out = append(out, records[n].Name())
	}
	return out
}

func texts(events []tocsin.Event) []string {
	var out []string
	for _, e := range events {
		out = append(out, e.Text)
	}
	return out
}

// tocsinID is the identity of the alert that newAlert names so.
func tocsinID(name string) tocsin.Key {
	s, _ := newAlert(name, "", 0)
	return s.ID
}
