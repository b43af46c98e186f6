package oncall_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin/escalation/oncall"
)

var epoch = time.Date(2026, 3, 28, 0, 0, 0, 0, time.UTC)

func minute(n int) time.Time { return epoch.Add(time.Duration(n) * time.Minute) }

// intervals draws intervals of whole minutes in an hour; some are empty, some
// lie the wrong way round.
func intervals() *rapid.Generator[[]oncall.Interval] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) oncall.Interval {
		return oncall.Interval{From: minute(rapid.IntRange(0, 60).Draw(t, "from")), To: minute(rapid.IntRange(0, 60).Draw(t, "to"))}
	}), 0, 8)
}

func in(list []oncall.Interval, t time.Time) bool {
	for _, i := range list {
		if !t.Before(i.From) && t.Before(i.To) {
			return true
		}
	}
	return false
}

// requireNormal holds a set to what its type says.
func requireNormal(t require.TestingT, s oncall.Set) {
	for i := range s {
		require.True(t, s[i].From.Before(s[i].To), "%v is empty", s[i])
		if i > 0 {
			require.True(t, s[i-1].To.Before(s[i].From), "%v touches %v", s[i-1], s[i])
		}
	}
}

func TestSetsAgreeWithSampling(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		la, lb := intervals().Draw(t, "a"), intervals().Draw(t, "b")
		a, b := oncall.Union(la...), oncall.Union(lb...)
		union, both, less := a.Union(b), a.Intersect(b), a.Subtract(b)
		for _, s := range []oncall.Set{a, b, union, both, less} {
			requireNormal(t, s)
		}
		var length time.Duration
		for n := -1; n <= 61; n++ {
			at := minute(n)
			inA, inB := in(la, at), in(lb, at)
			require.Equal(t, inA, a.Contains(at))
			require.Equal(t, inA || inB, union.Contains(at), "union at %d", n)
			require.Equal(t, inA && inB, both.Contains(at), "intersection at %d", n)
			require.Equal(t, inA && !inB, less.Contains(at), "difference at %d", n)
			if inA {
				length += time.Minute
			}
		}
		require.Equal(t, length, a.Length())
		for _, with := range lb {
			overlaps := len(a.Intersect(oncall.Union(with))) > 0
			require.Equal(t, overlaps, a.Overlaps(with), "%v and %v", a, with)
		}
	})
}

func TestBetweenIsEmptyTheWrongWayRound(t *testing.T) {
	t.Parallel()
	assert.Empty(t, oncall.Between(minute(2), minute(1)))
	assert.Empty(t, oncall.Between(minute(1), minute(1)))
	assert.Equal(t, oncall.Set{{From: minute(1), To: minute(2)}}, oncall.Between(minute(1), minute(2)))
}
