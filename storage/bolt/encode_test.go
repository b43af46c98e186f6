package bolt

import (
	"reflect"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
)

// fillIn sets every field of v to something that is not zero, n different.
func fillIn(t *testing.T, v reflect.Value, n *int) {
	*n++
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Date(2026, 1, 1, 0, 0, *n, *n, time.UTC)))
		return
	case tocsin.Key:
		v.Set(reflect.ValueOf(tocsin.NewKey("key", string(rune('a'+*n)))))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("text \x00\n\"\\<&>\u2028\U0001F6A8" + string(rune('a'+*n)))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(*n))
	case reflect.Int:
		v.SetInt(int64(-*n))
	case reflect.Struct:
		for k := range v.NumField() {
			fillIn(t, v.Field(k), n)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillIn(t, v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fillIn(t, v.Index(0), n)
		fillIn(t, v.Index(1), n)
	case reflect.Map:
		v.Set(reflect.ValueOf(tocsin.Labels{"name \"x\"": "value \x00", "b": ""}))
	default:
		t.Fatalf("this test must learn to fill in a %s", v.Type())
	}
}

// roundTrip encodes and decodes, and compares with what reflection writes.
func roundTrip[T any](t *testing.T, v T, encode func(*encoder, *T) ([]byte, error)) {
	t.Helper()
	e := newEncoder()
	e.arena = []byte("before")
	written, err := encode(e, &v)
	require.NoError(t, err)
	var back T
	require.NoError(t, decode("record", nil, written, &back))
	assert.Equal(t, v, back)
	reflected, err := json.Marshal(&v, json.OmitZeroStructFields(true), json.Deterministic(true))
	require.NoError(t, err)
	assert.JSONEq(t, string(reflected), string(written))
}

func roundTrips[T any](t *testing.T, encode func(*encoder, *T) ([]byte, error)) {
	t.Run(reflect.TypeFor[T]().Name(), func(t *testing.T) {
		var v T
		n := 0
		fillIn(t, reflect.ValueOf(&v).Elem(), &n)
		roundTrip(t, v, encode)
	})
}

func TestEveryFieldComesBack(t *testing.T) {
	t.Parallel()
	roundTrips(t, (*encoder).state)
	roundTrips(t, (*encoder).alert)
	roundTrips(t, (*encoder).silence)
	roundTrips(t, func(e *encoder, r *eventRecord) ([]byte, error) { return e.event(r.Prev, &r.Event) })
	roundTrips(t, func(e *encoder, r *incidentRecord) ([]byte, error) { return e.incident(r.Last, r.Incident) })
	roundTrip(t, tocsin.AlertState{}, (*encoder).state)
	roundTrip(t, tocsin.Alert{}, (*encoder).alert)
	roundTrip(t, eventRecord{}, func(e *encoder, r *eventRecord) ([]byte, error) { return e.event(r.Prev, &r.Event) })
}

func TestBrokenTextIsWritten(t *testing.T) {
	t.Parallel()
	written, err := newEncoder().incident(0, &tocsin.Incident{ID: "a", Title: "cut \xe2\x82"})
	require.NoError(t, err)
	var back incidentRecord
	require.NoError(t, decode("incident", nil, written, &back))
	assert.Equal(t, "cut \ufffd\ufffd", back.Title)
}

func TestYearsThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	e := newEncoder()
	before, err := e.event(0, &tocsin.Event{Text: "before"})
	require.NoError(t, err)
	mark := e.mark()
	_, err = e.state(&tocsin.AlertState{EndsAt: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)})
	require.ErrorContains(t, err, "10000")
	assert.Equal(t, mark, e.mark(), "what failed leaves nothing behind")
	assert.JSONEq(t, `{"text":"before"}`, string(before))
}

func TestSlicesOutliveGrowth(t *testing.T) {
	t.Parallel()
	e := newEncoder()
	first, err := e.event(0, &tocsin.Event{Text: "first"})
	require.NoError(t, err)
	for range 1000 {
		_, err := e.event(0, &tocsin.Event{Text: "more"})
		require.NoError(t, err)
	}
	key := e.alertKey(7, "id", 3)
	assert.JSONEq(t, `{"text":"first"}`, string(first))
	assert.Equal(t, appendAlertKey(nil, 7, "id", 3), key)
}

func FuzzDecodeIncident(f *testing.F) {
	key := appendIncidentKey(nil, 1, "a")
	f.Add([]byte(`{"lastEvent":1,"id":"a","deliveries":[{"target":"x"}]}`))
	f.Add([]byte(`{"id":1}`))
	f.Add([]byte(`{"id":""}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decodeIncident(key, data)
		if err != nil {
			return
		}
		canonIncident(r.Incident)
		written, err := newEncoder().incident(r.Last, r.Incident)
		if err != nil {
			return // a year that only another encoder writes
		}
		again, err := decodeIncident(key, written)
		require.NoError(t, err)
		rewritten, err := newEncoder().incident(again.Last, again.Incident)
		require.NoError(t, err)
		require.Equal(t, string(written), string(rewritten))
	})
}
