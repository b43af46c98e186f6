package bolt

import (
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
)

// visit calls fn with v and with everything that is in it.
func visit(v reflect.Value, path string, fn func(path string, v reflect.Value)) {
	fn(path, v)
	switch v.Kind() {
	case reflect.Struct:
		for k := range v.NumField() {
			if f := v.Type().Field(k); f.IsExported() {
				visit(v.Field(k), path+"."+f.Name, fn)
			}
		}
	case reflect.Pointer:
		if !v.IsNil() {
			visit(v.Elem(), path, fn)
		}
	case reflect.Slice:
		for k := range v.Len() {
			visit(v.Index(k), path+"[]", fn)
		}
	}
}

// full returns an incident of which every field is set.
func full(t *testing.T) *tocsin.Incident {
	i, n := &tocsin.Incident{}, 0
	fillIn(t, reflect.ValueOf(i).Elem(), &n)
	return i
}

// TestEveryTimeIsCanonical looks for times that would come back otherwise than
// they were given to readers before a restart.
func TestEveryTimeIsCanonical(t *testing.T) {
	t.Parallel()
	local := time.Now().In(time.FixedZone("x", 5400))
	i := full(t)
	visit(reflect.ValueOf(i), "", func(_ string, v reflect.Value) {
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(local))
		}
	})
	require.Equal(t, local, i.Escalation.Runs[1].Due)
	times := 0
	visit(reflect.ValueOf(canonIncident(i)), "Incident", func(path string, v reflect.Value) {
		if at, is := v.Interface().(time.Time); is {
			times++
			assert.Equal(t, local.UTC(), at, path)
		}
	})
	assert.Greater(t, times, 20)
}

// TestCloneSharesNothing looks for what a copy of an incident shares with it,
// other than what nobody changes.
func TestCloneSharesNothing(t *testing.T) {
	t.Parallel()
	i := full(t)
	places := map[uintptr]string{}
	pointed := func(v reflect.Value) bool { return v.Kind() == reflect.Slice || v.Kind() == reflect.Pointer }
	visit(reflect.ValueOf(i), "", func(path string, v reflect.Value) {
		if pointed(v) {
			places[v.Pointer()] = path
		}
	})
	c := i.Clone()
	require.Equal(t, i, c)
	var shared []string
	visit(reflect.ValueOf(c), "", func(path string, v reflect.Value) {
		if pointed(v) && places[v.Pointer()] != "" {
			shared = append(shared, path)
		}
	})
	assert.Equal(t, []string{".GroupBy", ".Routes", ".Receivers", ".ReturnedAt", ".Suppression", ".Deliveries[].Back", ".Deliveries[].Back"}, shared)
}

// drawTime draws instants in any zone, the zero time among them.
func drawTime(t *rapid.T) time.Time {
	if rapid.IntRange(0, 3).Draw(t, "zero") == 0 {
		return time.Time{}
	}
	zone := time.FixedZone("x", rapid.IntRange(-14*3600, 14*3600).Draw(t, "zone"))
	return time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "second"), rapid.Int64Range(0, 1e9-1).Draw(t, "ns")).In(zone)
}

// drawList draws a list; one that is empty is nil, as it comes back.
func drawList[T any](t *rapid.T, draw func(*rapid.T) T) []T {
	list := rapid.SliceOfN(rapid.Custom(draw), 0, 3).Draw(t, "list")
	if len(list) == 0 {
		return nil
	}
	return list
}

func drawEscalation(t *rapid.T) *tocsin.Escalation {
	text, number, yes := rapid.String(), rapid.IntRange(-2, 1000), rapid.Bool()
	return &tocsin.Escalation{
		Runs: drawList(t, func(t *rapid.T) tocsin.Run {
			return tocsin.Run{
				Policy: text.Draw(t, "policy"), Plan: text.Draw(t, "plan"), Step: number.Draw(t, "step"),
				Round: number.Draw(t, "round"), Due: drawTime(t),
			}
		}),
		Calls: drawList(t, func(t *rapid.T) tocsin.Call {
			return tocsin.Call{
				User: text.Draw(t, "user"), Due: drawTime(t), Target: text.Draw(t, "target"),
				Detail: yes.Draw(t, "detail"), Asked: yes.Draw(t, "asked"),
			}
		}),
		Responders: drawList(t, func(t *rapid.T) tocsin.Responder {
			return tocsin.Responder{
				User: text.Draw(t, "user"), At: drawTime(t), Calls: number.Draw(t, "calls"), Acknowledged: drawTime(t),
				Must: yes.Draw(t, "must"), Because: text.Draw(t, "because"),
			}
		}),
		High: yes.Draw(t, "high"), SnoozedUntil: drawTime(t), RemindAt: drawTime(t), ReturnAt: drawTime(t),
	}
}

// TestEscalationsComeBack writes incidents with all sorts of escalations, and
// reads them.
func TestEscalationsComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.String()
		i := &tocsin.Incident{
			ID: "a", Text: text.Draw(rt, "text"), MergedInto: text.Draw(rt, "into"),
			Kind:    rapid.SampledFrom([]tocsin.Kind{tocsin.KindAlerts, tocsin.KindManual, tocsin.KindNotice}).Draw(rt, "kind"),
			Actions: drawList(rt, func(t *rapid.T) string { return text.Draw(t, "action") }),
		}
		if rapid.Bool().Draw(rt, "escalates") {
			i.Escalation = drawEscalation(rt)
		}
		i.Deliveries = drawList(rt, func(t *rapid.T) tocsin.Delivery {
			return tocsin.Delivery{
				Target: text.Draw(t, "target"), User: text.Draw(t, "user"), Mention: text.Draw(t, "mention"), Since: drawTime(t),
				Calls: rapid.Uint32().Draw(t, "calls"), Called: rapid.Uint32().Draw(t, "called"), Stopped: rapid.Bool().Draw(t, "stopped"),
			}
		})
		due := i.Deadline()
		canonIncident(i)
		require.True(rt, due.Equal(i.Deadline()))
		written, err := newEncoder().incident(7, i)
		require.NoError(rt, err)
		back, err := decodeIncident(appendIncidentKey(nil, 1, "a"), written)
		require.NoError(rt, err)
		require.Equal(rt, i, canonIncident(back.Incident))
		require.EqualValues(rt, 7, back.Last)
	})
}
