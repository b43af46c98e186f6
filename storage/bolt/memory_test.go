package bolt

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
)

func TestBitmap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var b bitmap
		model := map[int]bool{}
		for range 50 {
			n, v := rapid.IntRange(0, 300).Draw(rt, "n"), rapid.Bool().Draw(rt, "v")
			b.set(n, v)
			delete(model, n)
			if v {
				model[n] = true
			}
			require.Equal(rt, v, b.has(n))
		}
		require.Equal(rt, slices.Sorted(maps.Keys(model)), slices.Collect(b.all()))
	})
}

func TestIndex(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		x := make(index)
		alerts := make([]alert, 4)
		keys := []tocsin.Key{tocsin.NewKey("1"), tocsin.NewKey("2")}
		for range 30 {
			a := &alerts[rapid.IntRange(0, 3).Draw(rt, "alert")]
			s := tocsin.AlertState{Firing: rapid.Bool().Draw(rt, "firing"), Index: rapid.SliceOfN(rapid.SampledFrom(keys), 0, 3).Draw(rt, "keys")}
			x.move(a, a.state, &s)
			a.state = s
			for _, k := range keys {
				var want []*alert
				for n := range alerts {
					if slices.Contains(indexed(&alerts[n].state), k) {
						want = append(want, &alerts[n])
					}
				}
				require.ElementsMatch(rt, want, slices.Collect(x.all(k)))
			}
		}
		for n := range alerts {
			x.remove(&alerts[n], alerts[n].state)
		}
		require.Empty(rt, x, "nothing stays behind")
	})
}

func TestIncidentKeysOrderByTime(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		at := rapid.Int64()
		a, b := at.Draw(rt, "a"), at.Draw(rt, "b")
		x := appendIncidentKey(nil, uint64(a)^1<<63, "x")
		y := appendIncidentKey(nil, uint64(b)^1<<63, "x")
		require.Equal(rt, a < b, string(x) < string(y))
		opened, id, err := parseIncidentKey(x)
		require.NoError(rt, err)
		require.Equal(rt, uint64(a)^1<<63, opened)
		require.Equal(rt, "x", id)
	})
	_, _, err := parseIncidentKey(make([]byte, 8))
	assert.Error(t, err)
}

func TestReapIsBounded(t *testing.T) {
	t.Parallel()
	m := newMemory(0)
	i := &tocsin.Incident{ID: "a", State: tocsin.Resolved, Alerts: 1000}
	e := m.setIncident(i, 1, 0)
	for n := range uint32(1000) {
		s := tocsin.AlertState{ID: tocsin.NewKey("alert", string(rune(n))), Incident: "a", Seq: n + 1, Firing: true, Index: []tocsin.Key{tocsin.NewKey("k")}}
		m.setAlert(&s, e, false)
	}
	m.archive("a")
	assert.Zero(t, m.known)
	assert.Zero(t, m.firing)
	assert.Len(t, m.alerts, 1000, "archiving leaves the alerts to reap")
	assert.True(t, m.reap(400))
	assert.Len(t, m.alerts, 600)
	assert.True(t, m.reap(400))
	assert.False(t, m.reap(400))
	assert.Empty(t, m.alerts)
	assert.Empty(t, m.index)
	assert.Nil(t, m.graves)
}

// TestIndexedSkipsTheDead fires an alert again whose old state is not cleared
// away yet.
func TestIndexedSkipsTheDead(t *testing.T) {
	t.Parallel()
	m, key := newMemory(0), tocsin.NewKey("k")
	s := tocsin.AlertState{ID: tocsin.NewKey("alert"), Seq: 1, Firing: true, Index: []tocsin.Key{key}}
	for _, id := range []string{"old", "new"} {
		s.Incident = id
		e := m.setIncident(&tocsin.Incident{ID: id, State: tocsin.Resolved, Alerts: 1}, 1, 0)
		m.setAlert(&s, e, false)
		if id == "old" {
			m.archive(id)
		}
	}
	x := &tx{mem: m, batch: newLayer(), own: newLayer()}
	assert.Equal(t, []tocsin.AlertState{s}, slices.Collect(x.Indexed(key)))
	m.reap(10)
	assert.Equal(t, []tocsin.AlertState{s}, slices.Collect(x.Indexed(key)))
}
