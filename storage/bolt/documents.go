package bolt

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"go.etcd.io/bbolt"

	"github.com/tocsin-oncall/tocsin"
)

// shelf holds the documents of a kind, by ID. Its list is never changed, only
// replaced: decisions and readers share it.
type shelf struct {
	docs    []tocsin.Document
	version uint64
}

func (s shelf) find(id string) (int, bool) {
	return slices.BinarySearchFunc(s.docs, id, func(d tocsin.Document, id string) int { return cmp.Compare(d.ID, id) })
}

// shelf returns the documents of a kind as this update sees them.
func (t *tx) shelf(kind string) shelf {
	if s, ok := t.own.documents[kind]; ok {
		return s
	}
	if s, ok := t.batch.documents[kind]; ok {
		return s
	}
	return t.mem.documents[kind]
}

func (t *tx) Documents(kind string) (docs []tocsin.Document, version uint64) {
	s := t.shelf(kind)
	return s.docs, s.version
}

func (t *tx) Document(kind, id string) []byte {
	s := t.shelf(kind)
	if at, found := s.find(id); found {
		return s.docs[at].Value
	}
	return nil
}

// PutDocument of what is there already changes nothing, and writes nothing.
func (t *tx) PutDocument(kind, id string, value []byte) {
	if err := judgeDocument(kind, id, value); err != nil {
		t.fail(err)
		return
	}
	s := t.shelf(kind)
	at, found := s.find(id)
	if found && bytes.Equal(s.docs[at].Value, value) {
		return
	}
	d := tocsin.Document{ID: strings.Clone(id), Value: bytes.Clone(value)}
	docs := make([]tocsin.Document, 0, len(s.docs)+b2i(!found))
	docs = append(append(docs, s.docs[:at]...), d)
	t.setShelf(kind, id, append(docs, s.docs[at+b2i(found):]...), d.Value)
}

func (t *tx) DeleteDocument(kind, id string) {
	s := t.shelf(kind)
	at, found := s.find(id)
	if !found {
		return
	}
	docs := make([]tocsin.Document, 0, len(s.docs)-1)
	docs = append(append(docs, s.docs[:at]...), s.docs[at+1:]...)
	t.setShelf(kind, id, docs, nil)
}

// setShelf replaces the documents of a kind, of which the one named id is value
// now. A version is never given twice, not even when the update fails.
func (t *tx) setShelf(kind, id string, docs []tocsin.Document, value []byte) {
	t.version++
	t.own.documents[kind] = shelf{docs, t.version}
	t.own.writes = append(t.own.writes, write{bucketDocuments, documentKey(kind, id), value})
}

func judgeDocument(kind, id string, value []byte) error {
	for _, name := range []struct{ what, is string }{{"kind", kind}, {"id", id}} {
		if name.is == "" || len(name.is) > maxID || strings.Contains(name.is, "\x00") {
			return tocsin.Invalid(name.what, "a document's %s has 1 to %d bytes and none that is zero, not %q", name.what, maxID, name.is)
		}
	}
	if !jsontext.Value(value).IsValid(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)) {
		return tocsin.Invalid("value", "document %s of kind %s is not JSON", id, kind)
	}
	return nil
}

// documentKey is the disk key of a document: they are in the order of their
// kinds, then of their IDs.
func documentKey(kind, id string) []byte {
	return slices.Concat([]byte(kind), []byte{0}, []byte(id))
}

// parseDocumentKey is the reverse of documentKey.
func parseDocumentKey(k []byte) (kind, id string, err error) {
	kind, id, found := strings.Cut(string(k), "\x00")
	if !found || kind == "" || id == "" {
		return "", "", fmt.Errorf("document key %x is damaged: it has no kind or no ID", k)
	}
	return kind, id, nil
}

// loadDocuments reads all documents. Their versions follow first.
func (m *memory) loadDocuments(tx *bbolt.Tx, first uint64) error {
	m.version = first
	for _, r := range recordsOf(tx, bucketDocuments) {
		kind, id, err := parseDocumentKey(r.key)
		if err != nil {
			return err
		}
		s, known := m.documents[kind]
		if !known {
			m.version++
			s.version = m.version
		}
		s.docs = append(s.docs, tocsin.Document{ID: id, Value: bytes.Clone(r.value)})
		m.documents[kind] = s
	}
	for kind, s := range m.documents {
		s.docs = slices.Clip(s.docs)
		m.documents[kind] = s
	}
	return nil
}

// Documents returns the committed documents of a kind, by ID, and their version.
// It reads memory alone.
func (s *Store) Documents(_ context.Context, kind string) (docs []tocsin.Document, version uint64, err error) {
	s.mem.mu.RLock()
	defer s.mem.mu.RUnlock()
	found := s.mem.documents[kind]
	return found.docs, found.version, nil
}
