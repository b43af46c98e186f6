package escalation

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation/oncall"
)

func zoneOf(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	require.NoError(t, err)
	return loc
}

// person can be reached by Slack.
func person(name, zone string) User {
	c := []Contact{{By: "Slack", Target: Target{Key: "slack:@" + name}}}
	return User{Name: name, Zone: zone, High: c, Low: c}
}

func people(names ...string) map[string]User {
	out := map[string]User{}
	for _, n := range names {
		out[n] = person(n, "Europe/Madrid")
	}
	return out
}

func duty(t testing.TB, spec oncall.Spec) *oncall.Schedule {
	t.Helper()
	s, err := oncall.New(spec)
	require.NoError(t, err)
	return s
}

func turns(users ...string) *oncall.Rotation {
	return &oncall.Rotation{Users: users, Unit: oncall.Weeks, Length: 1, Start: oncall.Date{Year: 2026, Month: 1, Day: 5}, Handoff: 9 * 60}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	madrid := zoneOf(t, "Europe/Madrid")
	from := time.Date(2026, 3, 28, 0, 0, 0, 0, madrid)
	to := time.Date(2026, 3, 31, 0, 0, 0, 0, madrid)
	schedules := map[string]*oncall.Schedule{
		"primary": duty(t, oncall.Spec{Name: "primary", Location: madrid, Layers: []oncall.Layer{{Name: "l", Rotation: turns("bo", "ana")}}}),
		// The night ends when the day begins but for the hour that the clock jumps over.
		"gap": duty(t, oncall.Spec{Name: "gap", Location: madrid, Layers: []oncall.Layer{
			{Name: "day", Rotation: turns("ana"), Windows: []oncall.Window{{From: 3*60 + 1, To: 20 * 60}}},
			{Name: "night", Rotation: turns("ana"), Windows: []oncall.Window{{From: 20 * 60, To: 2*60 + 15}}},
		}}),
		"shadowed": duty(t, oncall.Spec{Name: "shadowed", Location: madrid, Layers: []oncall.Layer{
			{Name: "none", Spans: []oncall.Span{}}, {Name: "learning", Shadow: true, Rotation: turns("ana")},
		}}),
	}
	off := tocsin.Override{
		ID: "k7f3q9", Kind: tocsin.OverrideTimeOff, User: "bo", State: tocsin.OverrideActive,
		From: time.Date(2026, 3, 30, 12, 0, 0, 0, madrid), To: time.Date(2026, 4, 30, 12, 0, 0, 0, madrid),
	}
	back := tocsin.Override{
		ID: "p1", Kind: tocsin.OverrideReplace, Schedule: "primary", User: "bo", State: tocsin.OverrideActive,
		From: time.Date(2026, 3, 30, 12, 0, 0, 0, madrid), To: time.Date(2026, 3, 30, 18, 0, 0, 0, madrid), CreatedAt: from,
	}
	to1 := func(r ...Recipient) []Step { return []Step{{To: r, Pos: "tocsin.yml:40"}} }
	unreachable := people("ana", "bo")
	unreachable["bo"] = User{Name: "bo"}
	lowOnly := people("ana")
	lowOnly["ana"] = User{Name: "ana", Low: lowOnly["ana"].Low}

	for _, c := range []struct {
		name      string
		policy    Policy
		overrides []tocsin.Override
		want      []string
	}{
		{"everybody is there", Policy{Steps: to1(Recipient{Schedule: "primary"})}, nil, nil},
		{"a gap on the day of the change only", Policy{Steps: to1(Recipient{Schedule: "gap"})}, nil, []string{
			"critical 28 02:15 – 28 03:01: step 1 (tocsin.yml:40): nobody is on call on schedule gap",
			"critical 29 03:00 – 29 03:01: step 1 (tocsin.yml:40): nobody is on call on schedule gap",
			"critical 30 02:15 – 30 03:01: step 1 (tocsin.yml:40): nobody is on call on schedule gap",
		}},
		{"time off, and nobody below", Policy{Steps: to1(Recipient{Schedule: "primary"}, Recipient{User: "bo"})}, []tocsin.Override{off}, []string{
			"critical 30 12:00 – 31 00:00: step 1 (tocsin.yml:40): nobody is on call on schedule primary, since bo is away (time off k7f3q9); bo is away (time off k7f3q9)",
		}},
		{"put on call in spite of time off", Policy{Steps: to1(Recipient{Schedule: "primary"})}, []tocsin.Override{off, back}, []string{
			"critical 30 18:00 – 31 00:00: step 1 (tocsin.yml:40): nobody is on call on schedule primary, since bo is away (time off k7f3q9)",
		}},
		{"no contact", Policy{Steps: to1(Recipient{Schedule: "primary"}), Users: unreachable}, nil, []string{
			"critical 30 09:00 – 31 00:00: step 1 (tocsin.yml:40): bo has no contact",
		}},
		{"no contact for high urgency", Policy{
			Steps: to1(Recipient{User: "ana"}), Users: lowOnly,
			Urgency: Urgency{
				High: []tocsin.Severity{tocsin.Critical}, SupportHigh: []tocsin.Severity{tocsin.Error}, Zone: "Europe/Madrid",
				SupportHours: []oncall.Window{{Days: 1 << time.Monday, From: 9 * 60, To: 17 * 60}},
			},
		}, nil, []string{
			"critical 28 00:00 – 31 00:00: step 1 (tocsin.yml:40): ana has no contact for high urgency",
			"error 30 09:00 – 30 17:00: step 1 (tocsin.yml:40): ana has no contact for high urgency",
		}},
		{"severities that the steps tell apart", Policy{Steps: []Step{
			{To: []Recipient{{User: "ana"}}, When: Condition{Severities: []tocsin.Severity{tocsin.Critical, tocsin.Error}}},
			{To: []Recipient{{Targets: []Target{{Key: "slack:#c"}}, Name: "Slack #c"}}},
		}}, nil, []string{"warning 28 00:00 – 31 00:00: step 1: only for critical, error | step 2: Slack #c is a place, not a person"}},
		{"hours of a zone, and of each person", Policy{Steps: []Step{
			{To: []Recipient{{Schedule: "primary"}}, When: Condition{Hours: []oncall.Window{{From: 8 * 60, To: 20 * 60}}, Zone: "UTC"}},
			{To: []Recipient{{Team: "leads"}}, When: Condition{Hours: []oncall.Window{{From: 20 * 60, To: 12 * 60}}}},
		}}, nil, []string{
			// Madrid's 20:00 is 19:00 UTC in winter and 18:00 in summer, so nothing is left over there.
		}},
		{"hours that leave some over", Policy{Steps: []Step{
			{To: []Recipient{{Schedule: "primary"}}, When: Condition{Hours: []oncall.Window{{Days: 1<<time.Saturday | 1<<time.Sunday}}, Zone: "Europe/Madrid"}},
			{To: []Recipient{{Team: "leads"}}, When: Condition{Hours: []oncall.Window{{From: 1 * 60, To: 24 * 60}}}},
		}}, nil, []string{"critical 30 00:00 – 30 01:00: step 1: it is outside the step's hours | step 2: it is outside the step's hours for ana; it is outside the step's hours for cy"}},
		{"a shadow is nobody", Policy{Steps: to1(Recipient{Schedule: "shadowed"})}, nil, []string{"critical 28 00:00 – 31 00:00: step 1 (tocsin.yml:40): nobody is on call on schedule shadowed"}},
		{"what is not there", Policy{Steps: to1(Recipient{Schedule: "x"}, Recipient{User: "x"}, Recipient{Team: "x"})}, nil, []string{
			"critical 28 00:00 – 31 00:00: step 1 (tocsin.yml:40): schedule x is not defined; x has no contact; team x has no members",
		}},
		{"more reasons than anybody reads", Policy{Steps: to1(Recipient{User: "q"}, Recipient{User: "r"}, Recipient{User: "s"}, Recipient{User: "t"}, Recipient{User: "u"}, Recipient{User: "v"})}, nil, []string{
			"critical 28 00:00 – 31 00:00: step 1 (tocsin.yml:40): q has no contact; r has no contact; s has no contact; t has no contact; and 2 more",
		}},
		{"no step, and a step to nobody", Policy{Steps: []Step{{}}}, nil, []string{"critical 28 00:00 – 31 00:00: step 1: it tells nobody"}},
		{"no steps", Policy{LastResort: []Recipient{{User: "ana"}}}, nil, []string{"critical 28 00:00 – 31 00:00: the policy has no steps"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.policy.Name = "p"
			c.policy.Teams = map[string][]string{"leads": {"ana", "cy"}}
			if c.policy.Users == nil {
				c.policy.Users = people("ana", "bo", "cy")
			}
			var got []string
			for _, u := range Verify(c.policy, schedules, c.overrides, from, to) {
				line := fmt.Sprintf("%s %s – %s: ", u.Severity, u.From.In(madrid).Format("02 15:04"), u.To.In(madrid).Format("02 15:04"))
				for i, why := range u.Why {
					if i > 0 {
						line += " | "
					}
					line += why
				}
				assert.Equal(t, "p", u.Policy)
				got = append(got, line)
			}
			assert.ElementsMatch(t, c.want, got)
			assert.Len(t, got, len(c.want))
		})
	}
}

// TestVerifyAgreesWithTheEngine asks, every quarter of an hour, whom the engine
// itself would call then.
func TestVerifyAgreesWithTheEngine(t *testing.T) {
	t.Parallel()
	names := []string{"ana", "bo", "cy"}
	rapid.Check(t, func(t *rapid.T) {
		madrid, err := time.LoadLocation("Europe/Madrid")
		require.NoError(t, err)
		hours := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) oncall.Window {
			return oncall.Window{Days: uint8(rapid.IntRange(0, 127).Draw(t, "days")), From: rapid.IntRange(0, 95).Draw(t, "from") * 15, To: rapid.IntRange(0, 96).Draw(t, "to") * 15}
		}), 0, 2)
		zones := rapid.SampledFrom([]string{"", "Europe/Madrid", "America/New_York"})
		user := rapid.SampledFrom(names)
		from := time.Date(2026, 3, rapid.IntRange(27, 29).Draw(t, "day"), rapid.IntRange(0, 23).Draw(t, "hour"), 0, 0, 0, madrid)
		to := from.Add(time.Duration(rapid.IntRange(1, 18).Draw(t, "hours")) * time.Hour)

		p := Policy{Name: "p", Users: map[string]User{}, Teams: map[string][]string{"team": {"bo", "cy"}}}
		for _, name := range names {
			u := person(name, zones.Draw(t, "zone of "+name))
			switch rapid.IntRange(0, 4).Draw(t, "contacts") {
			case 0:
				u.High, u.Low = nil, nil
			case 1:
				u.Low = nil
			}
			p.Users[name] = u
		}
		schedules := map[string]*oncall.Schedule{}
		for _, name := range []string{"s1", "s2"} {
			s, err := oncall.New(oncall.Spec{Name: name, Location: madrid, Layers: []oncall.Layer{
				{Name: "a", Windows: hours.Draw(t, "windows"), Rotation: &oncall.Rotation{Users: names, Unit: oncall.Hours, Length: rapid.IntRange(1, 30).Draw(t, "length"), Start: oncall.Date{Year: 2026, Month: 3, Day: 1}}},
				{Name: "b", Shadow: rapid.Bool().Draw(t, "shadow"), Windows: hours.Draw(t, "windows"), Rotation: turns(user.Draw(t, "user"))},
			}})
			require.NoError(t, err)
			schedules[name] = s
		}
		for range rapid.IntRange(1, 3).Draw(t, "steps") {
			s := Step{When: Condition{Hours: hours.Draw(t, "hours"), Zone: zones.Draw(t, "zone")}, RoundRobin: rapid.Bool().Draw(t, "round robin")}
			for _, severity := range []tocsin.Severity{tocsin.Critical, tocsin.Warning} {
				if rapid.IntRange(0, 3).Draw(t, "only") == 0 {
					s.When.Severities = append(s.When.Severities, severity)
				}
			}
			s.To = rapid.SliceOfN(rapid.SampledFrom([]Recipient{
				{User: "ana"}, {Team: "team"}, {Schedule: "s1"}, {Schedule: "s2"}, {Name: "Slack #c", Targets: []Target{{Key: "slack:#c"}}},
			}), 1, 2).Draw(t, "to")
			p.Steps = append(p.Steps, s)
		}
		var overrides []tocsin.Override
		for n := range rapid.IntRange(0, 4).Draw(t, "overrides") {
			begins := from.Add(time.Duration(rapid.IntRange(-8, 30).Draw(t, "from")) * time.Hour)
			overrides = append(overrides, tocsin.Override{
				ID: fmt.Sprint(n), State: tocsin.OverrideActive, Kind: rapid.SampledFrom([]tocsin.OverrideKind{"replace", "add", "time_off", "time_off"}).Draw(t, "kind"),
				Schedule: rapid.SampledFrom([]string{"", "s1"}).Draw(t, "schedule"), User: user.Draw(t, "user"),
				From: begins, To: begins.Add(time.Duration(rapid.IntRange(1, 20).Draw(t, "for")) * time.Hour), CreatedAt: from.Add(time.Duration(n)),
			})
		}

		found := Verify(p, schedules, overrides, from, to)
		rules := &Rules{spec: Spec{Schedules: schedules}}
		for at := from; at.Before(to); at = at.Add(15 * time.Minute) {
			for _, severity := range []tocsin.Severity{tocsin.Critical, tocsin.Warning, tocsin.Info} {
				reached, own, merged := false, false, false
				contacts := contactsFor(p.Urgency.high(severity, at))
				for i := range p.Steps {
					only := p.Steps[i].When.Severities
					reached = reached || (len(only) == 0 || slices.Contains(only, severity)) && len(roll{rules, overrides, at, contacts}.muster(&p, &p.Steps[i]).people) > 0
				}
				for _, u := range found {
					if !at.Before(u.From) && at.Before(u.To) {
						own, merged = own || u.Severity == severity, merged || u.Severity.Rank() >= severity.Rank()
						require.Len(t, u.Why, len(p.Steps))
					}
				}
				// What is found for a severity may stand for lesser ones too.
				require.False(t, reached && own, "%s at %s: the engine reaches somebody", severity, at)
				require.True(t, reached || merged, "%s at %s: the engine reaches nobody, and the proof holds", severity, at)
			}
		}
	})
}

// BenchmarkVerifyTwentyPolicies is `tocsin oncall verify --weeks 8`, which must
// take less than a second.
func BenchmarkVerifyTwentyPolicies(b *testing.B) {
	madrid := zoneOf(b, "Europe/Madrid")
	from := time.Date(2026, 11, 22, 8, 30, 0, 0, time.UTC)
	schedules := map[string]*oncall.Schedule{}
	var policies []Policy
	var overrides []tocsin.Override
	for n := range 20 {
		var names []string
		for _, what := range []string{"primary", "secondary", "leads"} {
			name := fmt.Sprintf("%s%d", what, n)
			names = append(names, name)
			schedules[name] = duty(b, oncall.Spec{Name: name, Location: madrid, Holidays: []oncall.Date{{Year: 2026, Month: 12, Day: 25}}, Layers: []oncall.Layer{
				{Name: "weekly", Rotation: turns("ana", "bo", "cy"), Windows: []oncall.Window{{From: 9 * 60, To: 21 * 60}}},
				{Name: "nights", Priority: 1, Rotation: turns("bo", "cy", "ana"), Windows: []oncall.Window{{From: 21 * 60, To: 8*60 + 59}}},
				{Name: "holidays", Priority: 2, Days: oncall.HolidaysOnly, Rotation: turns("di")},
			}})
		}
		at := from.AddDate(0, 0, 2*n)
		overrides = append(overrides, tocsin.Override{
			ID: fmt.Sprint(n), Kind: tocsin.OverrideTimeOff, State: tocsin.OverrideActive, User: "ana", From: at, To: at.AddDate(0, 0, 1),
		})
		policies = append(policies, Policy{
			Name: fmt.Sprint("p", n), Users: people("ana", "bo", "cy", "di"), Teams: map[string][]string{"team": {"ana", "bo", "cy"}},
			Urgency: Urgency{High: []tocsin.Severity{tocsin.Critical, tocsin.Error}, SupportHigh: []tocsin.Severity{tocsin.Warning}, SupportHours: []oncall.Window{{From: 9 * 60, To: 17 * 60}}},
			Steps: []Step{
				{To: []Recipient{{Schedule: names[0]}}},
				{To: []Recipient{{Schedule: names[1]}}, When: Condition{Severities: []tocsin.Severity{tocsin.Critical, tocsin.Error}}},
				{To: []Recipient{{Schedule: names[2]}, {Team: "team"}}, When: Condition{Hours: []oncall.Window{{From: 9 * 60, To: 17 * 60}}}},
			},
		})
	}
	for b.Loop() {
		found := 0
		for _, p := range policies {
			found += len(Verify(p, schedules, overrides, from, from.AddDate(0, 0, 56)))
		}
		if found < 100 {
			b.Fatal("the minute between the nights and the days is not found", found)
		}
	}
}
