package storagetest

import (
	"context"
	"fmt"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/storage"
)

func listTests() map[string]func(*rig) {
	return map[string]func(*rig){
		"NewestFirst": func(r *rig) {
			r.update(func(tx tocsin.Tx) {
				for _, n := range []int{3, 1, 4, 0, 2} {
					put(tx, newIncident(fmt.Sprintf("in%d", n), n), 0)
				}
			})
			r.update(func(tx tocsin.Tx) { put(tx, newIncident("old", -5), 0); put(tx, newIncident("new", 9), 0) })
			for _, id := range []string{"in1", "in3", "old"} {
				r.update(func(tx tocsin.Tx) { resolve(tx, id) })
			}
			for _, id := range []string{"in3", "old"} {
				r.update(func(tx tocsin.Tx) { tx.Archive(id) })
			}
			for range 2 {
				r.lists([]string{"new", "in4", "in2", "in1", "in0"}, tocsin.Filter{})
				r.lists([]string{"new", "in4"}, tocsin.Filter{Limit: 2})
				r.lists([]string{"new", "in4", "in3", "in2", "in1", "in0", "old"}, tocsin.Filter{Archived: true})
				r.lists([]string{"new", "in4", "in3"}, tocsin.Filter{Archived: true, Limit: 3})
				r.lists([]string{"in1"}, tocsin.Filter{States: []tocsin.State{tocsin.Resolved}})
				odd := func(i *tocsin.Incident) bool { return i.ID == "in1" || i.ID == "in3" || i.ID == "old" }
				r.lists([]string{"in1"}, tocsin.Filter{Only: odd, Limit: 2})
				r.lists([]string{"in3", "in1"}, tocsin.Filter{Only: odd, Archived: true, Limit: 2})
				r.lists([]string{"in3", "in1", "old"}, tocsin.Filter{States: []tocsin.State{tocsin.Resolved}, Archived: true})
				r.lists([]string{"new", "in4", "in2", "in0"}, tocsin.Filter{States: []tocsin.State{tocsin.Triggered, tocsin.Acknowledged}, Archived: true})
				r.reopen()
			}
		},
		"Notices": func(r *rig) {
			r.update(func(tx tocsin.Tx) {
				for n := range 4 {
					put(tx, newIncident(fmt.Sprintf("in%d", n), 2*n), 0)
					notice := newIncident(fmt.Sprintf("no%d", n), 2*n+1)
					notice.Kind = tocsin.KindNotice
					put(tx, notice, 0)
				}
				manual := newIncident("man", 9)
				manual.Kind = tocsin.KindManual
				put(tx, manual, 0)
				for _, id := range []string{"in1", "no1", "no2"} {
					resolve(tx, id)
				}
			})
			r.update(func(tx tocsin.Tx) { tx.Archive("in1"); tx.Archive("no1") })
			for range 2 {
				r.lists([]string{"man", "in3", "in2", "in0"}, tocsin.Filter{})
				r.lists([]string{"no3", "no2", "no0"}, tocsin.Filter{Notices: true})
				r.lists([]string{"no3", "no2"}, tocsin.Filter{Notices: true, Limit: 2})
				r.lists([]string{"man", "in3", "in2", "in1", "in0"}, tocsin.Filter{Archived: true})
				r.lists([]string{"no3", "no2", "no1", "no0"}, tocsin.Filter{Notices: true, Archived: true})
				r.lists([]string{"no3", "no2", "no1"}, tocsin.Filter{Notices: true, Archived: true, Limit: 3})
				r.lists([]string{"no2", "no1"}, tocsin.Filter{Notices: true, Archived: true, States: []tocsin.State{tocsin.Resolved}})
				r.lists([]string{"in1"}, tocsin.Filter{Archived: true, States: []tocsin.State{tocsin.Resolved}})
				assert.Equal(r, tocsin.KindNotice, r.get("no1").Kind)
				r.reopen()
			}
		},
		"DefaultLimit": func(r *rig) {
			r.update(func(tx tocsin.Tx) {
				for n := range 130 {
					put(tx, newIncident(fmt.Sprintf("i%03d", n), n), 0)
				}
			})
			live, err := r.store.List(r.Context(), tocsin.Filter{})
			require.NoError(r, err)
			require.Len(r, live, 100)
			assert.Equal(r, "i129", live[0].ID)
			assert.Equal(r, "i030", live[99].ID)
		},
	}
}

func (r *rig) lists(want []string, f tocsin.Filter) {
	r.Helper()
	found, err := r.store.List(r.Context(), f)
	require.NoError(r, err)
	assert.Equal(r, want, ids(found), "%+v", f)
}

func ids(incidents []*tocsin.Incident) []string {
	var out []string
	for _, i := range incidents {
		out = append(out, i.ID)
	}
	return out
}

// pageByPage lists two at a time, each page behind the one before.
func pageByPage(ctx context.Context, t require.TestingT, store storage.Store, f tocsin.Filter) []string {
	var all []string
	for f.Limit = 2; ; {
		page, err := store.List(ctx, f)
		require.NoError(t, err)
		if all = append(all, ids(page)...); len(page) < f.Limit {
			return all
		}
		f.OpenedBefore, f.BeforeID = page[1].OpenedAt, page[1].ID
	}
}
