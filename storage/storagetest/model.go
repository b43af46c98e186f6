package storagetest

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"os"
	"slices"
	"testing"

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
	// documents by kind and ID.
	documents map[[2]string]string
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
	return &model{
		map[string]modelIncident{},
		map[tocsin.Key]modelAlert{},
		nil,
		map[string]tocsin.Silence{},
		map[string][]tocsin.AlertRecord{},
		map[[2]string]string{},
	}
}

func (m *model) clone() *model {
	return &model{
		maps.Clone(m.incidents), maps.Clone(m.alerts), slices.Clone(m.events), maps.Clone(m.silences), maps.Clone(m.kept),
		maps.Clone(m.documents),
	}
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

// Documents has no versions: see versions.
func (m *model) Documents(kind string) (docs []tocsin.Document, version uint64) {
	for key, value := range m.documents {
		if key[0] == kind {
			docs = append(docs, tocsin.Document{ID: key[1], Value: []byte(value)})
		}
	}
	slices.SortFunc(docs, func(a, b tocsin.Document) int { return cmp.Compare(a.ID, b.ID) })
	return docs, 0
}

func (m *model) Document(kind, id string) []byte {
	if value, ok := m.documents[[2]string{kind, id}]; ok {
		return []byte(value)
	}
	return nil
}

func (m *model) PutDocument(kind, id string, value []byte) {
	m.documents[[2]string{kind, id}] = string(value)
}

func (m *model) DeleteDocument(kind, id string) { delete(m.documents, [2]string{kind, id}) }

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

// Together runs functions as concurrent updates that take effect in the order
// given, and returns what Update returned for each.
type Together func(t *testing.T, s storage.Store, fns []func(tocsin.Tx) error) []error

// oneByOne runs them one after the other.
func oneByOne(t *testing.T, s storage.Store, fns []func(tocsin.Tx) error) []error {
	var errs []error
	for _, fn := range fns {
		errs = append(errs, s.Update(t.Context(), fn))
	}
	return errs
}

// Model runs random transactions and restarts against the store and a model.
// rapid prints the seed of a failure. Conformance runs it with updates one after
// the other; a store that commits many at once runs it again with together.
func Model(t *testing.T, open Open, together Together) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "model")
		require.NoError(rt, err)
		m, store, seenAt := newModel(), open(t, dir), newVersions(rt)
		defer func() { require.NoError(rt, store.Close()) }()
		for range rapid.IntRange(1, 10).Draw(rt, "rounds") {
			steps := rapid.SliceOfN(rapid.SliceOfN(rapid.Custom(drawStep), 1, 6), 1, 4).Draw(rt, "transactions")
			m = transact(t, rt, store, m, steps, together, seenAt)
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
		compareReads(rt, store, m, seenAt)
		check(rt, store)
	})
}

// transact runs transactions of steps on the store and on the model, and returns
// the model as it is then.
func transact(t *testing.T, rt *rapid.T, store storage.Store, m *model, transactions [][]step, together Together, v *versions) *model {
	got := make([]string, len(transactions))
	var fns []func(tocsin.Tx) error
	for n, steps := range transactions {
		fns = append(fns, func(tx tocsin.Tx) (err error) {
			got[n], err = run(tx, steps, v.look)
			return err
		})
	}
	errs := together(t, store, fns)
	for n, steps := range transactions {
		next := m.clone()
		want, wantErr := run(next, steps, func(tocsin.Tx) {})
		require.Equal(rt, wantErr, errs[n])
		require.Equal(rt, want, got[n], "the same transaction")
		if wantErr == nil {
			next.settle(len(m.events))
			m = next
		}
	}
	return m
}

// run runs the steps of a transaction, with a look after each, and returns what
// it sees then.
func run(tx tocsin.Tx, steps []step, look func(tocsin.Tx)) (string, error) {
	for _, s := range steps {
		if err := s.apply(tx); err != nil {
			return "", err
		}
		look(tx)
	}
	return seen(tx), nil
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
func compareReads(rt *rapid.T, store storage.Store, m *model, v *versions) {
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
	for _, f := range []tocsin.Filter{{}, {Archived: true}, {Notices: true}, {Archived: true, Notices: true}} {
		listed, err := store.List(ctx, f)
		require.NoError(rt, err)
		require.Equal(rt, m.listed(f), ids(listed))
		require.Equal(rt, m.listed(f), pageByPage(ctx, rt, store, f))
	}
	for n := range modelKinds {
		kind := step{Key: n}.kind()
		got, version, err := store.Documents(ctx, kind)
		require.NoError(rt, err)
		want, _ := m.Documents(kind)
		require.Equal(rt, documentsText(want), documentsText(got))
		v.note(kind, version, got)
	}
}

func recordsText(records []tocsin.AlertRecord) []string {
	var out []string
	for _, r := range records {
		out = append(out, dump(comparable(r.State)), dump(r.Alert))
	}
	return out
}

func (m *model) listed(f tocsin.Filter) []string {
	var all []*tocsin.Incident
	for _, i := range m.incidents {
		if (!i.archived || f.Archived) && (i.Kind == tocsin.KindNotice) == f.Notices {
			all = append(all, &i.Incident)
		}
	}
	slices.SortFunc(all, func(a, b *tocsin.Incident) int {
		return cmp.Or(b.OpenedAt.Compare(a.OpenedAt), cmp.Compare(b.ID, a.ID))
	})
	return ids(all)
}
