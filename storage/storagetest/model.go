package storagetest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/storage"
)

// model is a store in plain maps. It is a tocsin.Tx, so that the same steps run
// against it and against a real one.
type model struct {
	incidents map[string]modelIncident
	alerts    map[tocsin.Key]modelAlert
	events    []tocsin.Event
	silences  map[string]tocsin.Silence
	// kept holds the alerts of archived incidents.
	kept map[string][]tocsin.AlertRecord
}

type modelIncident struct {
	tocsin.Incident
	archived bool
}

type modelAlert struct {
	state tocsin.AlertState
	text  tocsin.Alert
}

var _ tocsin.Tx = (*model)(nil)

func newModel() *model {
	return &model{map[string]modelIncident{}, map[tocsin.Key]modelAlert{}, nil, map[string]tocsin.Silence{}, map[string][]tocsin.AlertRecord{}}
}

func (m *model) clone() *model {
	return &model{maps.Clone(m.incidents), maps.Clone(m.alerts), slices.Clone(m.events), maps.Clone(m.silences), maps.Clone(m.kept)}
}

func (m *model) Incident(id string) *tocsin.Incident {
	i, ok := m.incidents[id]
	if !ok {
		return nil
	}
	return i.Clone()
}

func (m *model) ByGroup(group tocsin.Key) *tocsin.Incident {
	for _, i := range m.incidents {
		if !i.archived && i.Group == group {
			return i.Clone()
		}
	}
	return nil
}

func (m *model) PutIncident(i *tocsin.Incident) {
	m.incidents[i.ID] = modelIncident{*i.Clone(), m.incidents[i.ID].archived}
}

func (m *model) Append(events ...tocsin.Event) { m.events = append(m.events, events...) }

func (m *model) Archive(id string) {
	i, ok := m.incidents[id]
	if !ok || i.archived {
		return
	}
	m.kept[id] = m.alertsOf(id)
	maps.DeleteFunc(m.alerts, func(_ tocsin.Key, a modelAlert) bool { return a.state.Incident == id })
	i.archived = true
	m.incidents[id] = i
}

func (m *model) Alert(id tocsin.Key) (tocsin.AlertState, bool) {
	a, ok := m.alerts[id]
	return a.state, ok
}

func (m *model) PutAlert(s tocsin.AlertState, text *tocsin.Alert) {
	a := m.alerts[s.ID]
	if text != nil {
		a.text = *text
	}
	a.state = s
	m.alerts[s.ID] = a
}

func (m *model) Observed(s tocsin.AlertState) {
	if a, ok := m.alerts[s.ID]; ok {
		a.state.SeenAt, a.state.Repeats = s.SeenAt, s.Repeats
		m.alerts[s.ID] = a
	}
}

func (m *model) Indexed(key tocsin.Key) iter.Seq[tocsin.AlertState] {
	return func(yield func(tocsin.AlertState) bool) {
		for _, a := range m.alerts {
			if a.state.Firing && slices.Contains(a.state.Index, key) && !yield(a.state) {
				return
			}
		}
	}
}

func (m *model) Forget(id tocsin.Key) {
	if m.alerts[id].state.Incident == "" {
		delete(m.alerts, id)
	}
}

func (m *model) Silences() []tocsin.Silence {
	return slices.SortedFunc(maps.Values(m.silences), func(a, b tocsin.Silence) int { return cmp.Compare(a.ID, b.ID) })
}

func (m *model) PutSilence(s tocsin.Silence) { m.silences[s.ID] = s }

func (m *model) DeleteSilence(id string) { delete(m.silences, id) }

// alertsOf returns the alerts of an incident as Reader.AlertsOf does.
func (m *model) alertsOf(id string) []tocsin.AlertRecord {
	if m.incidents[id].archived {
		return m.kept[id]
	}
	var records []tocsin.AlertRecord
	for _, a := range m.alerts {
		if a.state.Incident == id {
			records = append(records, tocsin.AlertRecord{Alert: a.text, State: a.state})
		}
	}
	slices.SortFunc(records, func(a, b tocsin.AlertRecord) int {
		if a.State.Firing != b.State.Firing {
			return map[bool]int{true: -1, false: 1}[a.State.Firing]
		}
		return cmp.Compare(a.State.Seq, b.State.Seq)
	})
	return records
}

// step is one thing to do in a transaction, drawn beforehand so that running it
// again does the same.
type step struct {
	Kind                  string
	Incident, Group, Name int
	Yes                   bool
	Key                   int
}

const modelIDs, modelGroups, modelNames, modelKeys = 8, 4, 10, 3

func drawStep(t *rapid.T) step {
	return step{
		Kind: rapid.SampledFrom([]string{"open", "alert", "alert", "alert", "orphan", "forget", "observe",
			"resolve", "archive", "note", "receipt", "silence", "fail"}).Draw(t, "kind"),
		Incident: rapid.IntRange(0, modelIDs-1).Draw(t, "incident"),
		Group:    rapid.IntRange(0, modelGroups-1).Draw(t, "group"),
		Name:     rapid.IntRange(0, modelNames-1).Draw(t, "name"),
		Key:      rapid.IntRange(0, modelKeys-1).Draw(t, "key"),
		Yes:      rapid.Bool().Draw(t, "yes"),
	}
}

var errStep = errors.New("this transaction fails")

func (s step) id() string           { return fmt.Sprintf("i%d", s.Incident) }
func (s step) group() tocsin.Key    { return tocsin.NewKey("group", fmt.Sprint(s.Group)) }
func (s step) indexKey() tocsin.Key { return tocsin.NewKey("index", fmt.Sprint(s.Key)) }
func (s step) name() string         { return fmt.Sprintf("alert-%d", s.Name) }

func (s step) apply(tx tocsin.Tx) error {
	switch s.Kind {
	case "open":
		if tx.Incident(s.id()) == nil && tx.ByGroup(s.group()) == nil {
			i := newIncident(s.id(), (s.Incident*3+s.Name)%7)
			i.Group = s.group()
			put(tx, i, 0)
		}
	case "alert":
		s.alert(tx)
	case "orphan":
		if state, a := newAlert(s.name(), "", 0); s.Yes {
			if _, known := tx.Alert(state.ID); !known {
				tx.PutAlert(state, a)
			}
		}
	case "forget":
		tx.Forget(tocsinID(s.name()))
	case "observe":
		if state, known := tx.Alert(tocsinID(s.name())); known {
			state.Repeats++
			tx.Observed(state)
		}
	case "resolve", "archive":
		s.resolve(tx)
	case "note":
		tx.Append(tocsin.Event{Kind: tocsin.EventNote, Incident: s.id(), At: epoch(), Text: fmt.Sprint("note ", s.Name)})
	case "receipt":
		if i := tx.Incident(s.id()); i != nil {
			i.Deliveries[0].Revision, i.Deliveries[0].Ref = i.Revision, s.name()
			tx.PutIncident(i)
		}
	case "silence":
		if s.Yes {
			tx.PutSilence(tocsin.Silence{ID: s.name(), Comment: s.id(), StartsAt: epoch(), EndsAt: epoch()})
		} else {
			tx.DeleteSilence(s.name())
		}
	case "fail":
		if s.Yes && s.Name == 0 {
			return errStep
		}
	}
	return nil
}

// alert changes an alert that is attached, or attaches it.
func (s step) alert(tx tocsin.Tx) {
	old, known := tx.Alert(tocsinID(s.name()))
	if known && old.Incident != "" {
		change(tx, old, func(a *tocsin.AlertState) { a.Firing, a.Index = s.Yes, []tocsin.Key{s.indexKey()} })
		return
	}
	i := tx.ByGroup(s.group())
	if i == nil {
		return
	}
	i.Alerts++
	state, a := newAlert(s.name(), i.ID, i.Alerts)
	state.Firing, state.Index = s.Yes, []tocsin.Key{s.indexKey()}
	i.Count(tocsin.AlertState{}, state, epoch())
	tx.PutAlert(state, a)
	tx.PutIncident(i)
}

func (s step) resolve(tx tocsin.Tx) {
	if tx.Incident(s.id()) == nil {
		return
	}
	resolve(tx, s.id())
	if s.Kind == "archive" {
		tx.Archive(s.id())
	}
}

// seen is everything that a transaction shows, for comparison.
func seen(tx tocsin.Tx) string {
	shown := map[string]any{}
	for n := range modelIDs {
		id := step{Incident: n}.id()
		shown[id] = tx.Incident(id)
	}
	for n := range modelGroups {
		if i := tx.ByGroup(step{Group: n}.group()); i != nil {
			shown[fmt.Sprint("group ", n)] = i.ID
		}
	}
	for n := range modelNames {
		if a, known := tx.Alert(tocsinID(step{Name: n}.name())); known {
			shown[fmt.Sprint("alert ", n)] = comparable(a)
		}
	}
	for n := range modelKeys {
		var found []string
		for a := range tx.Indexed(step{Key: n}.indexKey()) {
			found = append(found, a.ID.String())
		}
		slices.Sort(found)
		shown[fmt.Sprint("key ", n)] = found
	}
	shown["silences"] = append([]tocsin.Silence{}, tx.Silences()...)
	return dump(shown)
}

// comparable leaves out what a restart may set back.
func comparable(s tocsin.AlertState) tocsin.AlertState {
	s.SeenAt, s.Repeats = time.Time{}, 0
	return s
}

func dump(v any) string {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// checkModel runs random transactions and restarts against the store and the
// model. rapid prints the seed of a failure.
func checkModel(t *testing.T, open Open) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "model")
		require.NoError(rt, err)
		m, store := newModel(), open(t, dir)
		defer func() { require.NoError(rt, store.Close()) }()
		for range rapid.IntRange(1, 25).Draw(rt, "transactions") {
			steps := rapid.SliceOfN(rapid.Custom(drawStep), 1, 6).Draw(rt, "steps")
			m = transact(rt, store, m, steps)
			if rapid.IntRange(0, 7).Draw(rt, "restart") == 0 {
				check(rt, store)
				require.NoError(rt, store.Close())
				store = open(t, dir)
			}
			var got string
			require.NoError(rt, store.Update(context.Background(), func(tx tocsin.Tx) error {
				got = seen(tx)
				return nil
			}))
			require.Equal(rt, seen(m), got, "a new transaction")
		}
		compareReads(rt, store, m)
		check(rt, store)
	})
}

// transact runs the steps in one transaction of the store and of the model, and
// returns the model as it is then.
func transact(rt *rapid.T, store storage.Store, m *model, steps []step) *model {
	run := func(tx tocsin.Tx) (string, error) {
		for _, s := range steps {
			if err := s.apply(tx); err != nil {
				return "", err
			}
		}
		return seen(tx), nil
	}
	next := m.clone()
	want, wantErr := run(next)
	var got string
	err := store.Update(context.Background(), func(tx tocsin.Tx) (err error) {
		got, err = run(tx)
		return err
	})
	require.Equal(rt, wantErr, err)
	require.Equal(rt, want, got, "the same transaction")
	if wantErr != nil {
		return m
	}
	next.settle(len(m.events))
	return next
}

// settle drops the new events of incidents that do not exist.
func (m *model) settle(old int) {
	fresh := slices.Clone(m.events[old:])
	m.events = m.events[:old]
	for _, e := range fresh {
		if _, ok := m.incidents[e.Incident]; ok {
			m.events = append(m.events, e)
		}
	}
}

// compareReads compares what readers see.
func compareReads(rt *rapid.T, store storage.Store, m *model) {
	ctx := context.Background()
	for id, i := range m.incidents {
		got, err := store.Get(ctx, id)
		require.NoError(rt, err)
		require.Equal(rt, dump(i.Incident), dump(got))
		records, err := store.AlertsOf(ctx, id, 100)
		require.NoError(rt, err)
		require.Equal(rt, recordsText(m.alertsOf(id)), recordsText(records))
		events, err := store.Timeline(ctx, id, 0, 1000)
		require.NoError(rt, err)
		var want []string
		for _, e := range m.events {
			if e.Incident == id {
				want = append(want, e.Text)
			}
		}
		require.Equal(rt, want, texts(events))
	}
	for _, archived := range []bool{false, true} {
		listed, err := store.List(ctx, tocsin.Filter{Archived: archived})
		require.NoError(rt, err)
		require.Equal(rt, m.listed(archived), ids(listed))
	}
}

func recordsText(records []tocsin.AlertRecord) []string {
	var out []string
	for _, r := range records {
		out = append(out, dump(comparable(r.State)), dump(r.Alert))
	}
	return out
}

func (m *model) listed(archived bool) []string {
	var all []*tocsin.Incident
	for _, i := range m.incidents {
		if !i.archived || archived {
			all = append(all, &i.Incident)
		}
	}
	slices.SortFunc(all, func(a, b *tocsin.Incident) int {
		return cmp.Or(b.OpenedAt.Compare(a.OpenedAt), cmp.Compare(b.ID, a.ID))
	})
	return ids(all)
}
