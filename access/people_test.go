package access_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/access"
)

func TestWho(t *testing.T) {
	t.Parallel()
	rules := access.Rules{
		People: []access.Person{
			{Name: "ana", Login: "a.garcia", Email: "ana@example.com", Role: tocsin.RoleResponder},
			{Name: "bo", Email: "Bo@Example.com", Role: tocsin.RoleManager},
			{Name: "cy", Role: tocsin.RoleViewer},
			{Name: "dee", Login: "ana@example.com", Role: tocsin.RoleViewer},
		},
		Groups: []access.Group{{Name: "sre", Role: tocsin.RoleManager}, {Name: "owners", Role: tocsin.RoleAdmin}, {Name: "guests", Role: tocsin.RoleViewer}},
	}
	open := rules
	open.Default = tocsin.RoleViewer
	closed := open
	closed.Allowed = []string{"oncall", "sre"}
	for title, c := range map[string]struct {
		rules  access.Rules
		name   string
		groups []string
		want   string
		role   tocsin.Role
	}{
		"by login":                           {rules: rules, name: "a.garcia", want: "ana", role: tocsin.RoleResponder},
		"by address, whatever its case":      {rules: rules, name: "bO@example.COM", want: "bo", role: tocsin.RoleManager},
		"by name":                            {rules: rules, name: "cy", want: "cy", role: tocsin.RoleViewer},
		"a login before an address":          {rules: rules, name: "ana@example.com", want: "dee", role: tocsin.RoleViewer},
		"a group gives more":                 {rules: rules, name: "cy", groups: []string{"guests", "sre", "x"}, want: "cy", role: tocsin.RoleManager},
		"a group does not take":              {rules: rules, name: "bo@example.com", groups: []string{"guests"}, want: "bo", role: tocsin.RoleManager},
		"a stranger in a group":              {rules: rules, name: "eve@example.com", groups: []string{"owners"}, want: "eve@example.com", role: tocsin.RoleAdmin},
		"a stranger":                         {rules: rules, name: "eve@example.com"},
		"a stranger, where there is default": {rules: open, name: "eve@example.com", want: "eve@example.com", role: tocsin.RoleViewer},
		"in an allowed group":                {rules: closed, name: "bo@example.com", groups: []string{"oncall"}, want: "bo", role: tocsin.RoleManager},
		"in no allowed group":                {rules: closed, name: "bo@example.com", groups: []string{"owners"}},
		"who uses another's name":            {rules: open, name: "ana", groups: []string{"owners"}},
		"letters that only look alike":       {rules: open, name: "bo@example.\u212Aom", want: "bo@example.\u212Aom", role: tocsin.RoleViewer},
		"nobody":                             {rules: open, name: ""},
		"two lines":                          {rules: open, name: "a\nb"},
		"turned around":                      {rules: open, name: "a\u202eb"},
		"no rules":                           {name: "ana"},
	} {
		who, err := c.rules.Who(tocsin.Identity{Name: c.name, Groups: c.groups})
		assert.Equal(t, c.want, who.Name, title)
		assert.Equal(t, c.role, who.Role, title)
		if c.want == "" {
			require.ErrorIs(t, err, access.ErrNoRole, title)
		} else {
			require.NoError(t, err, title)
		}
	}
}

// teams are two of them, with what is theirs, and people in one, in both, in none.
func teams() access.Rules {
	return access.Rules{
		People: []access.Person{
			{Name: "ana", Login: "a.garcia", Email: "ana@example.com", Role: tocsin.RoleNone},
			{Name: "bo", Role: tocsin.RoleNone},
			{Name: "cy", Role: tocsin.RoleViewer},
			{Name: "dee", Role: tocsin.RoleNone},
		},
		Teams: []access.Team{
			{Name: "web", Role: tocsin.RoleResponder, Users: []string{"ana", "cy"}, SilenceMatchers: []string{`team="web"`}, Receivers: []string{"web-pager", "web-chat"}, Schedules: []string{"web"}},
			{Name: "db", Role: tocsin.RoleManager, Users: []string{"ana", "bo"}, Receivers: []string{"db"}, Schedules: []string{"db", "db-2"}},
			{Name: "bare", Role: tocsin.RoleViewer, Users: []string{"cy"}},
		},
		Groups: []access.Group{
			{Name: "sre", Role: tocsin.RoleManager}, {Name: "web-leads", Role: tocsin.RoleManager, Team: "web"}, {Name: "gone", Role: tocsin.RoleManager, Team: "gone"},
		},
		Default: tocsin.RoleViewer,
	}
}

type roles = map[string]tocsin.Role

func TestTeams(t *testing.T) {
	t.Parallel()
	const none, view, respond, manage = tocsin.RoleNone, tocsin.RoleViewer, tocsin.RoleResponder, tocsin.RoleManager
	rules := teams()
	web := func(role tocsin.Role) []tocsin.SilenceScope {
		return []tocsin.SilenceScope{{Matchers: []string{`team="web"`}, Role: role}}
	}
	for title, c := range map[string]struct {
		name   string
		groups []string
		want   tocsin.Principal
	}{
		"in both": {name: "a.garcia", want: tocsin.Principal{
			Name: "ana", Role: none, Teams: roles{"web": respond, "db": manage},
			Receivers: roles{"web-pager": respond, "web-chat": respond, "db": manage}, Schedules: roles{"web": respond, "db": manage, "db-2": manage},
			Silences: web(respond),
		}},
		"in one": {name: "bo", want: tocsin.Principal{
			Name: "bo", Role: none, Teams: roles{"db": manage}, Receivers: roles{"db": manage}, Schedules: roles{"db": manage, "db-2": manage},
		}},
		"beside a role everywhere": {name: "cy", want: tocsin.Principal{
			Name: "cy", Role: view, Teams: roles{"web": respond, "bare": view}, Receivers: roles{"web-pager": respond, "web-chat": respond}, Schedules: roles{"web": respond},
			Silences: web(respond),
		}},
		"in none, and no stranger": {name: "dee", want: tocsin.Principal{Name: "dee", Role: none}},
		"by a group, beside a team": {name: "bo", groups: []string{"web-leads"}, want: tocsin.Principal{
			Name: "bo", Role: none, Teams: roles{"web": manage, "db": manage},
			Receivers: roles{"web-pager": manage, "web-chat": manage, "db": manage}, Schedules: roles{"web": manage, "db": manage, "db-2": manage},
			Silences: web(manage),
		}},
		"a group gives more in a team": {name: "cy", groups: []string{"web-leads"}, want: tocsin.Principal{
			Name: "cy", Role: view, Teams: roles{"web": manage, "bare": view}, Receivers: roles{"web-pager": manage, "web-chat": manage}, Schedules: roles{"web": manage},
			Silences: web(manage),
		}},
		"a stranger in a group of a team": {name: "eve", groups: []string{"web-leads"}, want: tocsin.Principal{
			Name: "eve", Role: none, Teams: roles{"web": manage}, Receivers: roles{"web-pager": manage, "web-chat": manage}, Schedules: roles{"web": manage},
			Silences: web(manage),
		}},
		"a group of a team that is gone": {name: "eve", groups: []string{"gone"}, want: tocsin.Principal{
			Name: "eve", Role: none, Teams: roles{"gone": manage}, Receivers: roles{}, Schedules: roles{},
		}},
		"a stranger": {name: "eve", want: tocsin.Principal{Name: "eve", Role: view}},
	} {
		who, err := rules.Who(tocsin.Identity{Name: c.name, Groups: c.groups})
		require.NoError(t, err, title)
		assert.Equal(t, c.want, who, title)
	}
	assert.Equal(t, web(respond), rules.Bearer(tocsin.Token{Name: "bot", Role: respond, Team: "web"}).Silences, "a token has them, too")
	assert.Empty(t, rules.Bearer(tocsin.Token{Name: "bot", Role: respond, Team: "db"}).Silences)
	stranger, known := rules.Named("eve")
	assert.False(t, known)
	assert.Equal(t, tocsin.Principal{Name: "eve", Role: none}, stranger, "whom nobody vouches for")
	nobody, known := rules.Named("")
	assert.False(t, known)
	assert.Equal(t, none, nobody.Role)
}

// Who somebody is, is the same whether an identity provider says so, or Slack, or a
// token that has the same role.
func TestWaysInAgree(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rules := someRules(t)
		for _, p := range rules.People {
			named, known := rules.Named(p.Name)
			require.True(t, known)
			for _, as := range []string{p.Login, p.Email} {
				who, err := rules.Who(tocsin.Identity{Name: as})
				require.NoError(t, err)
				require.Equal(t, named, who, "however they ask")
			}
			everywhere := rules.Bearer(tocsin.Token{Name: p.Name, Role: p.Role})
			require.Equal(t, named.Role, everywhere.Role)
			require.Empty(t, everywhere.Teams, "a token is of no team unless it says so")
			for team, role := range named.Teams {
				token := rules.Bearer(tocsin.Token{Name: p.Name, Role: role, Team: team})
				require.Equal(t, tocsin.RoleNone, token.Role)
				for name, r := range token.Receivers {
					require.Equal(t, r, named.Receivers[name])
				}
				for name, r := range token.Schedules {
					require.Equal(t, r, named.Schedules[name])
				}
			}
		}
	})
}

// One more group, team or role takes nothing away from a user.
func TestMoreGrantsNeverGiveLess(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rules := someRules(t)
		id := tocsin.Identity{Name: rapid.SampledFrom(rules.People).Draw(t, "who").Login}
		before, err := rules.Who(id)
		require.NoError(t, err)
		more := rules
		switch more.Teams = slices.Clone(rules.Teams); rapid.IntRange(0, 2).Draw(t, "what") {
		case 0:
			id.Groups = []string{rapid.SampledFrom([]string{"g0", "g1", "g2"}).Draw(t, "group")}
		case 1:
			n := rapid.IntRange(0, len(more.Teams)-1).Draw(t, "team")
			more.Teams[n].Users = append(slices.Clone(more.Teams[n].Users), before.Name)
		default:
			n := rapid.IntRange(0, len(more.Teams)-1).Draw(t, "team")
			more.Teams[n].Role = more.Teams[n].Role.AtLeast(tocsin.RoleManager)
		}
		after, err := more.Who(id)
		require.NoError(t, err)
		require.Equal(t, after.Role, after.Role.AtLeast(before.Role))
		for what, of := range map[string][2]roles{
			"teams": {before.Teams, after.Teams}, "receivers": {before.Receivers, after.Receivers}, "schedules": {before.Schedules, after.Schedules},
		} {
			for name, role := range of[0] {
				require.Equal(t, of[1][name], of[1][name].AtLeast(role), "%s %s", what, name)
			}
		}
	})
}

// someRules have users and teams as the configuration allows them: each receiver
// and schedule is of one team at the most.
func someRules(t *rapid.T) access.Rules {
	role := rapid.SampledFrom([]tocsin.Role{tocsin.RoleNone, tocsin.RoleViewer, tocsin.RoleResponder, tocsin.RoleManager, tocsin.RoleAdmin})
	inTeam := rapid.SampledFrom([]tocsin.Role{tocsin.RoleViewer, tocsin.RoleResponder, tocsin.RoleManager})
	r := access.Rules{Default: rapid.SampledFrom([]tocsin.Role{"", tocsin.RoleViewer}).Draw(t, "default")}
	names := []string{"ana", "bo", "cy"}
	for _, n := range names {
		r.People = append(r.People, access.Person{Name: n, Login: n + ".login", Email: n + "@example.com", Role: role.Draw(t, "role")})
	}
	for n := range 3 {
		r.Teams = append(r.Teams, access.Team{
			Name: fmt.Sprint("team", n), Role: inTeam.Draw(t, "team role"), Users: rapid.SliceOfDistinct(rapid.SampledFrom(names), rapid.ID).Draw(t, "users"),
			Receivers: []string{fmt.Sprint("r", n), fmt.Sprint("q", n)}[:rapid.IntRange(0, 2).Draw(t, "receivers")], Schedules: []string{fmt.Sprint("s", n)},
		})
		g := access.Group{Name: fmt.Sprint("g", n), Role: inTeam.Draw(t, "group role")}
		if rapid.Bool().Draw(t, "of a team") {
			g.Team = fmt.Sprint("team", n)
		}
		r.Groups = append(r.Groups, g)
	}
	return r
}
