package tocsin_test

import (
	"slices"
	"testing"

	"github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
)

func TestMaySilence(t *testing.T) {
	t.Parallel()
	scope := func(role tocsin.Role, matchers ...string) tocsin.SilenceScope {
		return tocsin.SilenceScope{Matchers: matchers, Role: role}
	}
	team := func(role tocsin.Role, of ...tocsin.SilenceScope) tocsin.Principal {
		return tocsin.Principal{Name: "ana", Role: role, Silences: of}
	}
	web := scope(tocsin.RoleResponder, `team="web"`)
	both := scope(tocsin.RoleManager, `env!="prod"`, `team="db"`)
	for title, c := range map[string]struct {
		who               tocsin.Principal
		matchers          []string
		want, some, lacks string
		begins            []string
	}{
		"everywhere":                   {who: team(tocsin.RoleResponder), matchers: []string{`a="b"`}, want: "vr", some: "vr"},
		"everywhere, and in a team":    {who: team(tocsin.RoleAdmin, web), matchers: []string{`a="b"`}, want: "vrma", some: "vrma"},
		"a viewer":                     {who: team(tocsin.RoleViewer), matchers: []string{`a="b"`}, want: "v", some: "v"},
		"no team":                      {who: team(tocsin.RoleNone), matchers: []string{`team="web"`}},
		"a team without matchers":      {who: team(tocsin.RoleNone, scope(tocsin.RoleManager)), matchers: []string{`a="b"`}},
		"the team's alone":             {who: team(tocsin.RoleNone, web), matchers: []string{`team="web"`}, want: "vr", some: "vr", begins: web.Matchers},
		"the team's, and more":         {who: team(tocsin.RoleNone, web), matchers: []string{`a="b"`, `team="web"`}, want: "vr", some: "vr", begins: web.Matchers},
		"not the team's":               {who: team(tocsin.RoleNone, web), matchers: []string{`a="b"`}, some: "vr", lacks: `add team="web"; your team's silences include it`, begins: web.Matchers},
		"another value":                {who: team(tocsin.RoleNone, web), matchers: []string{`team="webs"`}, some: "vr", lacks: `add team="web"; your team's silences include it`, begins: web.Matchers},
		"another type":                 {who: team(tocsin.RoleNone, web), matchers: []string{`team=~"web"`}, some: "vr", lacks: `add team="web"; your team's silences include it`, begins: web.Matchers},
		"none at all":                  {who: team(tocsin.RoleNone, web), some: "vr", lacks: `add team="web"; your team's silences include it`, begins: web.Matchers},
		"who may only look":            {who: team(tocsin.RoleNone, scope(tocsin.RoleViewer, `team="web"`)), matchers: []string{`team="web"`}, want: "v", some: "v"},
		"who looks everywhere":         {who: team(tocsin.RoleViewer, web), matchers: []string{`a="b"`}, want: "v", some: "vr", lacks: `add team="web"; your team's silences include it`, begins: web.Matchers},
		"one of two matchers":          {who: team(tocsin.RoleNone, both), matchers: []string{`team="db"`}, some: "vrm", lacks: `add env!="prod"; your team's silences include it`, begins: both.Matchers},
		"both matchers, in any order":  {who: team(tocsin.RoleNone, both), matchers: []string{`team="db"`, `a="b"`, `env!="prod"`}, want: "vrm", some: "vrm", begins: both.Matchers},
		"of one of two teams":          {who: team(tocsin.RoleNone, web, both), matchers: []string{`team="web"`}, want: "vr", some: "vrm"},
		"of none of two teams":         {who: team(tocsin.RoleNone, web, both), matchers: []string{`a="b"`}, some: "vrm", lacks: `add team="web", or env!="prod", team="db"; your teams' silences include one of these`},
		"half of each of two teams":    {who: team(tocsin.RoleNone, scope(tocsin.RoleResponder, `x="1"`, `y="1"`), scope(tocsin.RoleResponder, `x="1"`, `z="1"`)), matchers: []string{`x="1"`}, some: "vr", lacks: `add y="1", or z="1"; your teams' silences include one of these`},
		"a team to respond, one not":   {who: team(tocsin.RoleNone, web, scope(tocsin.RoleViewer, `team="db"`)), matchers: []string{`team="db"`}, want: "v", some: "vr", lacks: `add team="web"; your team's silences include it`, begins: web.Matchers},
		"what is not written that way": {who: team(tocsin.RoleNone, web), matchers: []string{`team=web`}, some: "vr", lacks: `add team="web"; your team's silences include it`, begins: web.Matchers},
	} {
		assert.Equal(t, c.want, may(func(r tocsin.Right) bool { return c.who.MaySilence(r, c.matchers) }), title)
		assert.Equal(t, c.some, may(c.who.MaySilenceSome), title)
		assert.Equal(t, c.lacks, c.who.SilenceLacks(c.matchers), title)
		assert.Equal(t, c.begins, c.who.SilenceBegins(), title)
	}
}

// A silence that somebody of a team may make hides nothing that the team's matchers do
// not match, whatever both are, and however the silence is written.
func TestASilenceHidesNothingOfOthers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		names, values := []string{"team", "a b", `"`, "é"}, []string{"", "web", "db", "web|db", "w.*", `"`, `\`, "a\nb"}
		draw := func(what string, least int) (list []*labels.Matcher) {
			for range rapid.IntRange(least, 3).Draw(t, what) {
				kind := rapid.SampledFrom([]labels.MatchType{labels.MatchEqual, labels.MatchNotEqual, labels.MatchRegexp, labels.MatchNotRegexp}).Draw(t, "kind")
				m, err := labels.NewMatcher(kind, rapid.SampledFrom(names).Draw(t, "name"), rapid.SampledFrom(values).Draw(t, "value"))
				if err == nil { // a backslash is no regular expression
					list = append(list, m)
				}
			}
			return list
		}
		texts := func(list []*labels.Matcher) (out []string) {
			for _, m := range list {
				again, err := parse.Matcher(m.String())
				require.NoError(t, err)
				require.Equal(t, m.String(), again.String(), "the form is one")
				require.Equal(t, [3]any{m.Type, m.Name, m.Value}, [3]any{again.Type, again.Name, again.Value}, "and says it all")
				out = append(out, m.String())
			}
			return out
		}
		team, silence := draw("team", 1), draw("silence", 0)
		silence = append(silence, team[:rapid.IntRange(0, len(team)).Draw(t, "of the team")]...)
		who := tocsin.Principal{Role: tocsin.RoleNone, Silences: []tocsin.SilenceScope{{Matchers: texts(team), Role: tocsin.RoleResponder}}}
		if !who.MaySilence(tocsin.RightRespond, texts(silence)) {
			return
		}
		require.NotEmpty(t, team)
		alert := tocsin.Labels{}
		for _, name := range names {
			if value := rapid.SampledFrom(values).Draw(t, "label"); value != "" {
				alert[name] = value
			}
		}
		misses := func(m *labels.Matcher) bool { return !m.Matches(alert[m.Name]) }
		if !slices.ContainsFunc(silence, misses) {
			require.False(t, slices.ContainsFunc(team, misses), "%s hides %s, which is not of %s", silence, alert, team)
		}
	})
}
