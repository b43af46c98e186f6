package tocsin_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
)

// paper is documents, of each kind by ID.
type paper map[string][]tocsin.Document

func (p paper) Documents(kind string) ([]tocsin.Document, uint64) { return p[kind], 0 }

func (p paper) find(kind, id string) (int, bool) {
	return slices.BinarySearchFunc(p[kind], id, func(d tocsin.Document, id string) int { return cmp.Compare(d.ID, id) })
}

func (p paper) Document(kind, id string) []byte {
	if i, found := p.find(kind, id); found {
		return p[kind][i].Value
	}
	return nil
}

func (p paper) PutDocument(kind, id string, value []byte) {
	i, found := p.find(kind, id)
	if found {
		panic("put twice: " + kind + " " + id)
	}
	p[kind] = slices.Insert(slices.Clone(p[kind]), i, tocsin.Document{ID: id, Value: value})
}

func (p paper) DeleteDocument(kind, id string) {
	i, found := p.find(kind, id)
	if !found {
		panic("not there: " + kind + " " + id)
	}
	p[kind] = slices.Delete(slices.Clone(p[kind]), i, i+1)
}

func (p paper) all() (n int) {
	for _, docs := range p {
		n += len(docs)
	}
	return n
}

var onceNow = time.Date(2026, 11, 22, 5, 0, 0, 0, time.UTC)

func anOnce(who string, n int) *tocsin.Once {
	return &tocsin.Once{Name: sha256.Sum256(fmt.Append(nil, who, n)), Who: who, Body: "b", Makes: tocsin.MadeSilence}
}

func TestARequestIsOnce(t *testing.T) {
	t.Parallel()
	first := anOnce("ana", 1)
	for name, tc := range map[string]struct {
		again *tocsin.Once
		after time.Duration
		want  *tocsin.RepeatError
	}{
		"again":         {again: first, want: &tocsin.RepeatError{Made: tocsin.MadeSilence, ID: "s1"}},
		"the clock set": {again: first, after: -time.Hour, want: &tocsin.RepeatError{Made: tocsin.MadeSilence, ID: "s1"}},
		"the same day":  {again: first, after: tocsin.OnceLife - time.Second, want: &tocsin.RepeatError{Made: tocsin.MadeSilence, ID: "s1"}},
		"a day later":   {again: first, after: tocsin.OnceLife},
		"other words": {
			again: &tocsin.Once{Name: first.Name, Who: "ana", Body: "c", Makes: tocsin.MadeSilence},
			want:  &tocsin.RepeatError{Made: tocsin.MadeSilence, ID: "s1", Reused: true},
		},
		"another key":     {again: anOnce("ana", 2)},
		"somebody else's": {again: anOnce("bo", 1)},
		"another thing":   {again: &tocsin.Once{Name: first.Name, Who: "ana", Body: "b", Makes: tocsin.MadeToken}},
		"no key":          {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			docs := paper{first.Kind(): {{ID: "damaged", Value: []byte("1")}}}
			ctx := tocsin.WithOnce(context.Background(), first)
			require.NoError(t, tocsin.Again(ctx, docs, tocsin.MadeSilence, onceNow))
			require.NoError(t, tocsin.Done(ctx, docs, tocsin.MadeToken, "t1", onceNow), "made on the way")
			require.Equal(t, 1, docs.all())
			require.NoError(t, tocsin.Done(ctx, docs, tocsin.MadeSilence, "s1", onceNow))

			ctx = context.Background()
			if tc.again != nil {
				ctx = tocsin.WithOnce(ctx, tc.again)
			}
			err := tocsin.Again(ctx, docs, tocsin.MadeSilence, onceNow.Add(tc.after))
			if tc.want == nil {
				assert.NoError(t, err)
				return
			}
			assert.Equal(t, tc.want, err)
			require.ErrorIs(t, err, tocsin.ErrConflict)
			assert.Contains(t, err.Error(), "made silence s1")
			assert.Equal(t, tc.want, tc.again.Before(docs[first.Kind()], onceNow.Add(tc.after)))
		})
	}
	assert.NoError(t, (*tocsin.Once)(nil).Before(nil, onceNow))
}

// What is too old goes, and so does what is too many, the oldest first; whoever sends
// very many pushes out their own.
func TestRequestsAreForgotten(t *testing.T) {
	t.Parallel()
	docs, at := paper{}, onceNow
	send := func(who string, n int) {
		at = at.Add(time.Millisecond)
		require.NoError(t, tocsin.Done(tocsin.WithOnce(context.Background(), anOnce(who, n)), docs, tocsin.MadeSilence, fmt.Sprint("s", n), at))
	}
	knows := func(who string, n int) bool {
		o := anOnce(who, n)
		return o.Before(docs[o.Kind()], at) != nil
	}
	for n := range 10 {
		send("ana", n)
	}
	at = at.Add(time.Second)
	for n := range 1000 {
		send("busy", n)
	}
	assert.Equal(t, 1010, docs.all())
	for n := range 4000 {
		send("flood", n)
	}
	assert.Equal(t, 1010+64*32, docs.all(), "their own are pushed out")
	assert.True(t, knows("ana", 0), "and nobody else's")
	assert.True(t, knows("busy", 0))
	assert.True(t, knows("flood", 3999))
	assert.False(t, knows("flood", 0))

	for who := range 7 {
		for n := range 2000 {
			send(fmt.Sprint("many", who), n)
		}
	}
	assert.LessOrEqual(t, docs.all(), 64*160)
	assert.False(t, knows("ana", 0), "the oldest")
	assert.True(t, knows("many6", 1999))

	at = at.Add(tocsin.OnceLife)
	assert.False(t, knows("many6", 1999), "what is too old is known no longer, there or not")
	for n := range 1000 {
		send("later", n)
	}
	assert.Equal(t, 1000, docs.all(), "and it goes")
}
