package storagetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
)

// step is one thing to do in a transaction, drawn beforehand so that running it
// again does the same.
type step struct {
	Kind                  string
	Incident, Group, Name int
	Yes                   bool
	Key                   int
}

const modelIDs, modelGroups, modelNames, modelKeys, modelKinds = 8, 4, 10, 3, 2

func drawStep(t *rapid.T) step {
	return step{
		Kind: rapid.SampledFrom([]string{
			"open", "alert", "alert", "alert", "orphan", "forget", "observe",
			"resolve", "archive", "note", "receipt", "silence", "document", "escalate", "fail",
		}).Draw(t, "kind"),
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
func (s step) kind() string         { return fmt.Sprintf("kind-%d", s.Key%modelKinds) }

func (s step) apply(tx tocsin.Tx) error {
	switch s.Kind {
	case "open":
		if tx.Incident(s.id()) == nil && tx.ByGroup(s.group()) == nil {
			i := newIncident(s.id(), (s.Incident*3+s.Name)%7)
			i.Group = s.group()
			if s.Incident == modelIDs-1 {
				i.Kind = tocsin.KindNotice
			}
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
	case "document":
		if s.Yes {
			tx.PutDocument(s.kind(), s.name(), fmt.Appendf(nil, `{"n":%d}`, s.Incident%2))
		} else {
			tx.DeleteDocument(s.kind(), s.name())
		}
	case "escalate":
		s.escalate(tx)
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

// escalate sets the incident's deadline, or takes it away.
func (s step) escalate(tx tocsin.Tx) {
	i := tx.Incident(s.id())
	if i == nil {
		return
	}
	i.Escalation = nil
	if s.Yes {
		i.Escalation = newEscalation(epoch().Add(time.Duration(s.Name%4) * time.Minute))
	}
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
	for n := range modelKinds {
		kind := step{Key: n}.kind()
		docs, _ := tx.Documents(kind)
		shown[kind] = documentsText(docs)
		for n := range modelNames {
			name := step{Name: n}.name()
			shown[kind+" "+name] = string(tx.Document(kind, name))
		}
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
