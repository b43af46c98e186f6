package storagetest

import (
	"errors"
	"strings"
	"sync"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
)

// versions holds what each version of the documents of a kind stood for. Its
// methods may be called by many goroutines at once.
type versions struct {
	t    require.TestingT
	mu   sync.Mutex
	seen map[versionOf][]string
}

type versionOf struct {
	kind    string
	version uint64
}

func newVersions(t require.TestingT) *versions {
	return &versions{t: t, seen: map[versionOf][]string{}}
}

// note asserts that a version never stood for anything else.
func (v *versions) note(kind string, version uint64, docs []tocsin.Document) {
	v.mu.Lock()
	defer v.mu.Unlock()
	at, text := versionOf{kind, version}, documentsText(docs)
	if before, known := v.seen[at]; known {
		require.Equal(v.t, before, text, "version %d of kind %s stood for something else before", version, kind)
	}
	v.seen[at] = text
}

// look notes what a transaction sees.
func (v *versions) look(tx tocsin.Tx) {
	for n := range modelKinds {
		kind := step{Key: n}.kind()
		docs, version := tx.Documents(kind)
		v.note(kind, version, docs)
	}
}

func documentsText(docs []tocsin.Document) []string {
	texts := make([]string, 0, len(docs))
	for _, d := range docs {
		texts = append(texts, d.ID+" "+string(d.Value))
	}
	return texts
}

// documents is what a reader sees of a kind.
func (r *rig) documents(kind string) []string {
	r.Helper()
	docs, _, err := r.store.Documents(r.Context(), kind)
	require.NoError(r, err)
	return documentsText(docs)
}

func documentTests() map[string]func(*rig) {
	return map[string]func(*rig){
		"PutAndDelete": documentsPutAndDelete,
		"TakenBack":    documentsTakenBack,
		"Versions":     documentsVersions,
		"KindsAreKeptApart": func(r *rig) {
			r.update(func(tx tocsin.Tx) {
				tx.PutDocument("a", "bc", []byte(`1`))
				tx.PutDocument("ab", "c", []byte(`2`))
				tx.PutDocument("a\x01", "c", []byte(`3`))
			})
			for range 2 {
				assert.Equal(r, []string{"bc 1"}, r.documents("a"))
				assert.Equal(r, []string{"c 2"}, r.documents("ab"))
				assert.Equal(r, []string{"c 3"}, r.documents("a\x01"))
				assert.Empty(r, r.documents("abc"))
				r.reopen()
			}
		},
		"CopiesIn": func(r *rig) {
			value := []byte(`{"a":1}`)
			r.update(func(tx tocsin.Tx) {
				tx.PutDocument("kind", "a", value)
				value[1] = 'x'
				assert.Equal(r, `{"a":1}`, string(tx.Document("kind", "a")))
			})
			for range 2 {
				assert.Equal(r, []string{`a {"a":1}`}, r.documents("kind"))
				r.reopen()
			}
		},
		"Refused": func(r *rig) {
			long := strings.Repeat("x", 256)
			r.update(func(tx tocsin.Tx) { tx.PutDocument(long, long, []byte(`"\u0000"`)) })
			for _, d := range [][3]string{
				{"", "a", "1"},
				{"kind", "", "1"},
				{long + "x", "a", "1"},
				{"kind", long + "x", "1"},
				{"ki\x00nd", "a", "1"},
				{"kind", "a\x00", "1"},
				{"kind", "a", ""},
				{"kind", "a", "{"},
				{"kind", "a", "1 2"},
			} {
				err := r.try(func(tx tocsin.Tx) {
					tx.PutDocument("kind", "other", []byte(`1`))
					tx.PutDocument(d[0], d[1], []byte(d[2]))
					tx.DeleteDocument(d[0], d[1])
				})
				require.ErrorIs(r, err, tocsin.ErrInvalid, "%q", d)
			}
			r.reopen()
			assert.Equal(r, []string{long + ` "\u0000"`}, r.documents(long))
			assert.Empty(r, r.documents("kind"))
		},
	}
}

func documentsPutAndDelete(r *rig) {
	r.update(func(tx tocsin.Tx) {
		docs, _ := tx.Documents("kind")
		assert.Empty(r, docs)
		assert.Nil(r, tx.Document("kind", "a"))
		for _, id := range []string{"c", "a", "b"} {
			tx.PutDocument("kind", id, []byte(`"first"`))
		}
		docs, _ = tx.Documents("kind")
		assert.Equal(r, []string{`a "first"`, `b "first"`, `c "first"`}, documentsText(docs))
	})
	held, _, err := r.store.Documents(r.Context(), "kind")
	require.NoError(r, err)
	r.update(func(tx tocsin.Tx) {
		tx.PutDocument("kind", "b", []byte(`"second"`))
		tx.DeleteDocument("kind", "a")
		tx.DeleteDocument("kind", "zzz")
		tx.DeleteDocument("zzz", "a")
		assert.JSONEq(r, `"second"`, string(tx.Document("kind", "b")))
		assert.Nil(r, tx.Document("kind", "a"))
		docs, _ := tx.Documents("kind")
		assert.Equal(r, []string{`b "second"`, `c "first"`}, documentsText(docs))
	})
	assert.Equal(r, []string{`a "first"`, `b "first"`, `c "first"`}, documentsText(held))
	for range 2 {
		assert.Equal(r, []string{`b "second"`, `c "first"`}, r.documents("kind"))
		r.update(func(tx tocsin.Tx) {
			docs, _ := tx.Documents("kind")
			assert.Equal(r, []string{`b "second"`, `c "first"`}, documentsText(docs))
		})
		r.reopen()
	}
	r.update(func(tx tocsin.Tx) { tx.DeleteDocument("kind", "b"); tx.DeleteDocument("kind", "c") })
	for range 2 {
		assert.Empty(r, r.documents("kind"))
		r.reopen()
	}
}

func documentsTakenBack(r *rig) {
	r.update(func(tx tocsin.Tx) { tx.PutDocument("kind", "a", []byte(`"kept"`)) })
	_, before, err := r.store.Documents(r.Context(), "kind")
	require.NoError(r, err)
	failed := errors.New("no")
	require.Equal(r, failed, r.store.Update(r.Context(), func(tx tocsin.Tx) error {
		tx.DeleteDocument("kind", "a")
		tx.PutDocument("kind", "b", []byte(`"not kept"`))
		tx.PutDocument("new", "c", []byte(`"not kept"`))
		return failed
	}))
	_, after, err := r.store.Documents(r.Context(), "kind")
	require.NoError(r, err)
	assert.Equal(r, before, after, "nothing has changed")
	for range 2 {
		assert.Equal(r, []string{`a "kept"`}, r.documents("kind"))
		assert.Empty(r, r.documents("new"))
		r.update(func(tx tocsin.Tx) { assert.Nil(r, tx.Document("new", "c")) })
		r.reopen()
	}
}

// documentsVersions goes through contents, and asks for another version after
// each change, those that were taken back included, and across a restart.
func documentsVersions(r *rig) {
	v := newVersions(r)
	look := func(tx tocsin.Tx, changed bool, change func()) {
		docs, before := tx.Documents("kind")
		v.note("kind", before, docs)
		change()
		docs, after := tx.Documents("kind")
		v.note("kind", after, docs)
		assert.Equal(r, changed, before != after)
	}
	for n, value := range []string{"1", "2", "1", "3"} {
		failed := errors.New("no")
		require.Equal(r, failed, r.store.Update(r.Context(), func(tx tocsin.Tx) error {
			look(tx, true, func() { tx.PutDocument("kind", "a", []byte(`"taken back"`)) })
			return failed
		}))
		r.update(func(tx tocsin.Tx) {
			look(tx, true, func() { tx.PutDocument("kind", "a", []byte(value)) })
			look(tx, false, func() { tx.PutDocument("other", "a", []byte(value)) })
			look(tx, true, func() { tx.PutDocument("kind", "b", []byte(value)) })
			look(tx, true, func() { tx.DeleteDocument("kind", "b") })
			look(tx, false, func() { tx.DeleteDocument("kind", "b") })
		})
		docs, version, err := r.store.Documents(r.Context(), "kind")
		require.NoError(r, err)
		v.note("kind", version, docs)
		if n%2 == 1 {
			r.reopen()
		}
	}
}
