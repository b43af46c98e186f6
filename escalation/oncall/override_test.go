package oncall_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation/oncall"
)

// over makes an override for hours of 2026-01-06; made says in which order.
func over(id string, kind tocsin.OverrideKind, user, replaces string, from, to, made int) tocsin.Override {
	day := time.Date(2026, 1, 6, 0, 0, 0, 0, time.UTC)
	return tocsin.Override{
		ID: id, Kind: kind, Schedule: "primary", User: user, Replaces: replaces, State: tocsin.OverrideActive,
		From: day.Add(time.Duration(from) * time.Hour), To: day.Add(time.Duration(to) * time.Hour),
		CreatedAt: day.Add(time.Duration(made) * time.Second),
	}
}

func TestOverrides(t *testing.T) {
	t.Parallel()
	const (
		replace = tocsin.OverrideReplace
		add     = tocsin.OverrideAdd
		off     = tocsin.OverrideTimeOff
		swap    = tocsin.OverrideSwap
	)
	everywhere := over("t1", off, "ana", "", 6, 12, 1)
	everywhere.Schedule = ""
	elsewhere := over("x", replace, "bo", "", 6, 12, 1)
	elsewhere.Schedule = "secondary"
	asked := over("x", swap, "bo", "ana", 6, 12, 1)
	asked.State = tocsin.OverrideRequested
	nowhere := over("x", replace, "bo", "", 6, 12, 1)
	nowhere.Schedule = ""
	for _, c := range []struct {
		name      string
		overrides []tocsin.Override
		want      []string
	}{
		{"none", nil, []string{"00–18 ana layer high", "18–24 bo layer low"}},
		{"replace whoever is on call, over a handoff", []tocsin.Override{over("o1", replace, "cy", "", 12, 20, 1)}, []string{"00–12 ana layer high", "12–20 cy override o1", "20–24 bo layer low"}},
		{"replace a person, only where she is on call", []tocsin.Override{over("o1", replace, "cy", "ana", 12, 20, 1)}, []string{"00–12 ana layer high", "12–18 cy override o1", "18–24 bo layer low"}},
		{"replace somebody who is not on call", []tocsin.Override{over("o1", replace, "cy", "di", 12, 20, 1)}, []string{"00–18 ana layer high", "18–24 bo layer low"}},
		{"a swap that was accepted", []tocsin.Override{over("o1", swap, "bo", "ana", 12, 20, 1)}, []string{"00–12 ana layer high", "12–18 bo swap o1", "18–24 bo layer low"}},
		{"a swap that was asked for", []tocsin.Override{asked}, []string{"00–18 ana layer high", "18–24 bo layer low"}},
		{"those of other schedules, and of none", []tocsin.Override{elsewhere, nowhere}, []string{"00–18 ana layer high", "18–24 bo layer low"}},
		{"the later made wins", []tocsin.Override{over("o2", replace, "di", "", 10, 14, 2), over("o1", replace, "cy", "", 8, 16, 1)}, []string{"00–08 ana layer high", "08–10 cy override o1", "10–14 di override o2", "14–16 cy override o1", "16–18 ana layer high", "18–24 bo layer low"}},
		{"of those made at once, the later ID", []tocsin.Override{over("b", replace, "di", "", 8, 16, 1), over("a", replace, "cy", "", 8, 16, 1)}, []string{"00–08 ana layer high", "08–16 di override b", "16–18 ana layer high", "18–24 bo layer low"}},
		{"a replacement is replaced", []tocsin.Override{over("o1", replace, "cy", "ana", 8, 16, 1), over("o2", replace, "di", "cy", 10, 12, 2)}, []string{"00–08 ana layer high", "08–10 cy override o1", "10–12 di override o2", "12–16 cy override o1", "16–18 ana layer high", "18–24 bo layer low"}},
		{"time off: the next layer takes over, else a gap", []tocsin.Override{everywhere}, []string{"00–06 ana layer high", "06–09 nobody time off t1", "09–12 bo layer low", "12–18 ana layer high", "18–24 bo layer low"}},
		{"time off of the lower one changes nothing above", []tocsin.Override{over("t1", off, "bo", "", 6, 24, 1)}, []string{"00–18 ana layer high", "18–24 nobody time off t1"}},
		{"who is away has been replaced by name", []tocsin.Override{everywhere, over("o1", replace, "cy", "ana", 6, 12, 2)}, []string{"00–06 ana layer high", "06–12 cy override o1", "12–18 ana layer high", "18–24 bo layer low"}},
		{"the same the other way round", []tocsin.Override{over("o1", replace, "cy", "ana", 6, 12, 0), everywhere}, []string{"00–06 ana layer high", "06–12 cy override o1", "12–18 ana layer high", "18–24 bo layer low"}},
		{"a replacement without a name fills the gap", []tocsin.Override{everywhere, over("o1", replace, "cy", "", 7, 8, 2)}, []string{"00–06 ana layer high", "06–07 nobody time off t1", "07–08 cy override o1", "08–09 nobody time off t1", "09–12 bo layer low", "12–18 ana layer high", "18–24 bo layer low"}},
		{"time off takes out of an older replacement", []tocsin.Override{over("o1", replace, "ana", "", 6, 24, 0), everywhere}, []string{"00–06 ana layer high", "06–09 nobody time off t1", "09–12 bo layer low", "12–24 ana override o1"}},
		{"a newer replacement wins over time off", []tocsin.Override{everywhere, over("o1", replace, "ana", "", 7, 8, 2)}, []string{"00–06 ana layer high", "06–07 nobody time off t1", "07–08 ana override o1", "08–09 nobody time off t1", "09–12 bo layer low", "12–18 ana layer high", "18–24 bo layer low"}},
		{"people who are added lie beside the line", []tocsin.Override{over("o1", add, "cy", "", 6, 12, 1)}, []string{"00–18 ana layer high", "06–12 cy override o1 extra", "18–24 bo layer low"}},
		{"time off takes out of an older addition", []tocsin.Override{over("o1", add, "ana", "", 4, 14, 0), everywhere}, []string{"00–06 ana layer high", "04–06 ana override o1 extra", "06–09 nobody time off t1", "09–12 bo layer low", "12–18 ana layer high", "12–14 ana override o1 extra", "18–24 bo layer low"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := compile(t, oncall.Spec{Layers: []oncall.Layer{
				{Name: "low", Rotation: weekly("bo"), Windows: []oncall.Window{{From: 9 * 60, To: 24 * 60}}},
				{Name: "high", Priority: 1, Rotation: weekly("ana"), Windows: []oncall.Window{{From: 0, To: 18 * 60}}},
			}})
			day := time.Date(2026, 1, 6, 0, 0, 0, 0, time.UTC)
			var got []string
			for _, sh := range s.Shifts(c.overrides, day, day.Add(24*time.Hour)) {
				to := sh.To.Hour()
				if to == 0 {
					to = 24
				}
				line := fmt.Sprintf("%02d–%02d %s %s", sh.From.Hour(), to, cmp.Or(sh.User, "nobody"), sh.Source)
				if sh.Extra {
					line += " extra"
				}
				got = append(got, line)
			}
			assert.Equal(t, c.want, got)
		})
	}
}

func TestTimeOffTakesShadowsOut(t *testing.T) {
	t.Parallel()
	s := compile(t, oncall.Spec{Layers: []oncall.Layer{{Name: "l", Rotation: weekly("ana")}, {Name: "learning", Rotation: weekly("zoe"), Shadow: true}}})
	day := time.Date(2026, 1, 6, 0, 0, 0, 0, time.UTC)
	got := s.Shifts([]tocsin.Override{over("t1", tocsin.OverrideTimeOff, "zoe", "", 6, 12, 1)}, day, day.Add(24*time.Hour))
	assert.Equal(t, []string{
		"Tue 06 00:00 – Wed 07 00:00 ana, layer l",
		"Tue 06 00:00 – Tue 06 06:00 zoe, layer learning, shadow",
		"Tue 06 12:00 – Wed 07 00:00 zoe, layer learning, shadow",
	}, lines(got))
}

// world is a schedule, its spec, and overrides, drawn at random around a change
// of the clocks.
type world struct {
	spec      oncall.Spec
	overrides []tocsin.Override
	from, to  time.Time
}

func worlds() *rapid.Generator[world] {
	people := []string{"ana", "bo", "cy"}
	return rapid.Custom(func(t *rapid.T) world {
		loc, err := time.LoadLocation(rapid.SampledFrom([]string{"Europe/Madrid", "America/Havana", "UTC", "Australia/Lord_Howe"}).Draw(t, "zone"))
		require.NoError(t, err)
		month := rapid.SampledFrom([]int{3, 10, 11}).Draw(t, "month")
		w := world{spec: oncall.Spec{Name: "primary", Location: loc}}
		w.from = time.Date(2026, time.Month(month), rapid.IntRange(1, 31).Draw(t, "day"), rapid.IntRange(0, 23).Draw(t, "hour"), 0, 0, 0, loc)
		w.to = w.from.Add(time.Duration(rapid.IntRange(1, 72).Draw(t, "hours")) * time.Hour)
		for range rapid.IntRange(0, 2).Draw(t, "holidays") {
			w.spec.Holidays = append(w.spec.Holidays, oncall.DateOf(w.from.AddDate(0, 0, rapid.IntRange(-1, 3).Draw(t, "holiday"))))
		}
		for n := range rapid.IntRange(1, 4).Draw(t, "layers") {
			w.spec.Layers = append(w.spec.Layers, oncall.Layer{
				Name: fmt.Sprint(n), Priority: rapid.IntRange(0, 2).Draw(t, "priority"), Windows: windows().Draw(t, "windows"),
				Days: oncall.Days(rapid.IntRange(0, 2).Draw(t, "days")), Shadow: n > 0 && rapid.IntRange(0, 3).Draw(t, "shadow") == 0,
				Rotation: &oncall.Rotation{
					Users: people[:rapid.IntRange(1, 3).Draw(t, "users")], Unit: oncall.Unit(rapid.IntRange(0, 3).Draw(t, "unit")),
					Length: rapid.IntRange(1, 5).Draw(t, "length"), Start: date(2026, month, rapid.IntRange(1, 31).Draw(t, "start")),
					Handoff: rapid.IntRange(0, 95).Draw(t, "handoff") * 15,
				},
			})
			if last := &w.spec.Layers[n]; !last.Rotation.Start.Valid() {
				last.Rotation.Start.Day = 28
			}
		}
		for n := range rapid.IntRange(0, 5).Draw(t, "overrides") {
			from := w.from.Add(time.Duration(rapid.IntRange(-8, 72).Draw(t, "from")) * time.Hour)
			w.overrides = append(w.overrides, tocsin.Override{
				ID: fmt.Sprint("o", n), State: tocsin.OverrideActive, Schedule: rapid.SampledFrom([]string{"primary", "primary", "", "other"}).Draw(t, "schedule"),
				Kind: rapid.SampledFrom([]tocsin.OverrideKind{"replace", "add", "time_off", "swap"}).Draw(t, "kind"),
				User: rapid.SampledFrom([]string{"ana", "bo", "cy", "di"}).Draw(t, "user"), Replaces: rapid.SampledFrom([]string{"", "ana", "bo", "di"}).Draw(t, "replaces"),
				From: from, To: from.Add(time.Duration(rapid.IntRange(0, 48).Draw(t, "for")) * time.Hour),
				CreatedAt: epoch.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "made")) * time.Second),
			})
		}
		return w
	})
}

// turnAt says whose turn it is at an instant, going through the turns one by one.
func turnAt(r *oncall.Rotation, loc *time.Location, at time.Time) string {
	start := time.Date(r.Start.Year, r.Start.Month, r.Start.Day, 0, 0, 0, 0, time.UTC)
	user := ""
	for n := 0; ; n++ {
		day, minutes := start, r.Handoff
		switch k := n * r.Length; r.Unit {
		case oncall.Hours:
			minutes += 60 * k
		case oncall.DaysUnit:
			day = start.AddDate(0, 0, k)
		case oncall.Weeks:
			day = start.AddDate(0, 0, 7*k)
		case oncall.Months:
			first := start.AddDate(0, k, 1-start.Day())
			day = first.AddDate(0, 0, min(start.Day(), first.AddDate(0, 1, -1).Day())-1)
		}
		if oncall.Instant(oncall.DateOf(day), minutes, loc).After(at) {
			return user
		}
		user = r.Users[n%len(r.Users)]
	}
}

// stands says who stands on a layer at an instant, overrides aside.
func (w *world) stands(l *oncall.Layer, at time.Time) string {
	loc := w.spec.Location
	holiday := false
	for _, d := range w.spec.Holidays {
		holiday = holiday || !at.Before(oncall.Instant(d, 0, loc)) && at.Before(oncall.Instant(d, 24*60, loc))
	}
	if l.Days == oncall.HolidaysOnly && !holiday || l.Days == oncall.NotHolidays && holiday || !inWindow(l.Windows, at.In(loc)) {
		return ""
	}
	return turnAt(l.Rotation, loc, at)
}

// serves says who is on call at an instant, as the package's comment puts it.
func (w *world) serves(at time.Time) string {
	made := slices.Clone(w.overrides)
	slices.SortStableFunc(made, func(a, b tocsin.Override) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	made = slices.DeleteFunc(made, func(o tocsin.Override) bool {
		return at.Before(o.From) || !at.Before(o.To) || o.Schedule != "primary" && (o.Schedule != "" || o.Kind != tocsin.OverrideTimeOff)
	})
	off := func(user string, list []tocsin.Override) bool {
		return slices.ContainsFunc(list, func(o tocsin.Override) bool { return o.Kind == tocsin.OverrideTimeOff && o.User == user })
	}
	instead := func(user string) (string, bool) {
		took := false
		for i, o := range made {
			takes := o.Kind == tocsin.OverrideReplace || o.Kind == tocsin.OverrideSwap && o.Replaces != ""
			if takes && (o.Replaces == "" || o.Replaces == user) && !off(o.User, made[i:]) {
				user, took = o.User, true
			}
		}
		return user, took
	}
	layers := slices.Clone(w.spec.Layers)
	slices.SortStableFunc(layers, func(a, b oncall.Layer) int { return b.Priority - a.Priority })
	for i := range layers {
		if layers[i].Shadow {
			continue
		}
		if user := w.stands(&layers[i], at); user != "" {
			got, took := instead(user)
			if took || !off(user, made) {
				return got
			}
		}
	}
	got, _ := instead("")
	return got
}

// TestShiftsAgreeWithSampling holds random schedules with random overrides to a
// second, slower reading of the rules, every quarter of an hour; and the shifts
// to what they promise.
func TestShiftsAgreeWithSampling(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := worlds().Draw(t, "world")
		s, err := oncall.New(w.spec)
		require.NoError(t, err)
		shifts := s.Shifts(w.overrides, w.from, w.to)
		requireShifts(t, shifts, w.from, w.to)
		own := slices.DeleteFunc(slices.Clone(shifts), func(sh tocsin.Shift) bool { return sh.Extra })
		i := 0
		for at := w.from; at.Before(w.to); at = at.Add(15 * time.Minute) {
			for !own[i].To.After(at) {
				i++
			}
			require.Equal(t, w.serves(at), own[i].User, "at %s", at)
		}
		mid := w.from.Add(w.to.Sub(w.from) / 2)
		for _, now := range s.At(w.overrides, mid) {
			require.False(t, now.From.After(mid) || !now.To.After(mid), "At returns what is in force")
			same := slices.ContainsFunc(shifts, func(sh tocsin.Shift) bool {
				return sh.User == now.User && sh.Source == now.Source && sh.Extra == now.Extra && !sh.From.Before(now.From) && !sh.To.After(now.To)
			})
			require.True(t, same, "%+v is in force, and not among the shifts", now)
		}
		rand.Shuffle(len(w.overrides), func(i, j int) { w.overrides[i], w.overrides[j] = w.overrides[j], w.overrides[i] })
		require.ElementsMatch(t, shifts, s.Shifts(w.overrides, w.from, w.to), "the order of the list does not matter")
	})
}

// requireShifts holds the own line to [from, to), without gap or overlap, and
// everything to its order.
func requireShifts(t require.TestingT, shifts []tocsin.Shift, from, to time.Time) {
	at := from
	var last *tocsin.Shift
	for i := range shifts {
		sh := &shifts[i]
		require.True(t, sh.From.Before(sh.To), "%+v is empty", sh)
		require.False(t, sh.From.Before(from) || sh.To.After(to), "%+v is not clipped", sh)
		if i > 0 {
			require.False(t, sh.From.Before(shifts[i-1].From), "the order")
			require.False(t, !sh.Extra && shifts[i-1].Extra && sh.From.Equal(shifts[i-1].From), "the own line comes first")
		}
		if !sh.Extra {
			require.True(t, sh.From.Equal(at), "gap or overlap before %+v", sh)
			require.False(t, last != nil && last.User == sh.User && last.Source == sh.Source, "%+v and %+v are one", last, sh)
			at, last = sh.To, sh
		}
	}
	require.True(t, at.Equal(to))
}
