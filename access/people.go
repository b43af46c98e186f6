package access

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/tocsin-oncall/tocsin"
)

// Person is somebody whom the configuration names.
type Person struct {
	// Name is what they are called everywhere.
	Name string
	// Login and Email are what an identity provider may call them; empty: neither.
	Login, Email string
	// Role is what they may do, whatever it concerns and however they ask; empty:
	// what their teams may.
	Role tocsin.Role
}

// Team is some people, and what is theirs.
type Team struct {
	// Name is what it is called everywhere.
	Name string
	// Role is what its people may do with what is the team's, besides what they may
	// do anyway.
	Role tocsin.Role
	// Users are the names of its people.
	Users []string
	// Receivers and Schedules are the names of what is the team's.
	Receivers, Schedules []string
	// SilenceMatchers are what all silences of the team have, in the form of
	// tocsin.SilenceScope; none: no silence is the team's.
	SilenceMatchers []string
}

// Group is what people of a group may do.
type Group struct {
	Name string
	Role tocsin.Role
	// Team is the one for whose things the role is; empty: for everything.
	Team string
}

// Rules say who is who, and what they may do. Its zero value lets nobody in.
type Rules struct {
	People []Person
	Teams  []Team
	Groups []Group
	// Allowed are the groups of which one must be in at least one; empty: anybody
	// whom the provider lets in.
	Allowed []string
	// Default is the role of those who have none by name or group; empty: they are
	// refused.
	Default tocsin.Role
}

// ErrNoRole is why somebody is refused whom the provider knows.
var ErrNoRole = errors.New("nobody has given this log-in a role here")

// Who returns who an identity is and what they may do, or ErrNoRole with what to
// do. Of the roles that somebody has by name and by groups the one that may most
// counts, for everything and for each team.
func (r *Rules) Who(id tocsin.Identity) (tocsin.Principal, error) {
	if !plain(id.Name) {
		return tocsin.Principal{}, fmt.Errorf("%w: its name cannot be shown", ErrNoRole)
	}
	if len(r.Allowed) > 0 && !slices.ContainsFunc(id.Groups, func(g string) bool { return slices.Contains(r.Allowed, g) }) {
		return tocsin.Principal{}, fmt.Errorf("%w: %s is in none of the groups of allowed_groups", ErrNoRole, id.Name)
	}
	g := grants{all: tocsin.RoleNone}
	name, p := id.Name, r.person(id.Name)
	if p != nil {
		name = p.Name
		r.grant(&g, p)
	} else if slices.ContainsFunc(r.People, func(p Person) bool { return p.Name == id.Name }) {
		// On timelines it would be somebody else's.
		return tocsin.Principal{}, fmt.Errorf("%w: %s is the name of a user who logs in as somebody else", ErrNoRole, id.Name)
	}
	for _, of := range r.Groups {
		if slices.Contains(id.Groups, of.Name) {
			g.add(of.Team, of.Role)
		}
	}
	if p == nil && g.all == tocsin.RoleNone && len(g.teams) == 0 { // users have the role that they have, if it is none
		if r.Default == "" {
			return tocsin.Principal{}, fmt.Errorf("%w: %s is none of the users, and in none of the groups of group_roles; an administrator of Tocsin can change that", ErrNoRole, id.Name)
		}
		g.all = r.Default
	}
	return r.principal(name, &g), nil
}

// Named returns one of People by their name, however they ask: what they may do in
// Slack and in PagerDuty, which tell no groups.
func (r *Rules) Named(name string) (who tocsin.Principal, known bool) {
	i := slices.IndexFunc(r.People, func(p Person) bool { return p.Name == name })
	if i < 0 || name == "" {
		return tocsin.Principal{Name: name, Role: tocsin.RoleNone}, false
	}
	g := grants{all: tocsin.RoleNone}
	r.grant(&g, &r.People[i])
	return r.principal(name, &g), true
}

// Bearer returns what somebody may do who has a token.
func (r *Rules) Bearer(t tocsin.Token) tocsin.Principal {
	g := grants{all: tocsin.RoleNone}
	g.add(t.Team, t.Role)
	return r.principal(t.Name, &g)
}

// grants are the roles of somebody: for everything, and in teams.
type grants struct {
	all   tocsin.Role
	teams map[string]tocsin.Role
}

func (g *grants) add(team string, role tocsin.Role) {
	switch {
	case role == "" || role == tocsin.RoleNone:
	case team != "":
		if g.teams == nil {
			g.teams = map[string]tocsin.Role{}
		}
		g.teams[team] = role.AtLeast(g.teams[team])
	case role == tocsin.RoleIntake: // stands beside the others
		g.all = role
	default:
		g.all = g.all.AtLeast(role)
	}
}

func (r *Rules) grant(g *grants, p *Person) {
	g.add("", p.Role)
	for i := range r.Teams {
		if t := &r.Teams[i]; slices.Contains(t.Users, p.Name) {
			g.add(t.Name, t.Role)
		}
	}
}

// principal spells out what the grants in teams come to. What no team has is
// nobody's but theirs who have a role for everything.
func (r *Rules) principal(name string, g *grants) tocsin.Principal {
	who := tocsin.Principal{Name: name, Role: g.all, Teams: g.teams}
	if len(g.teams) == 0 {
		return who
	}
	who.Receivers, who.Schedules = map[string]tocsin.Role{}, map[string]tocsin.Role{}
	for i := range r.Teams {
		t := &r.Teams[i]
		role, in := g.teams[t.Name]
		if !in {
			continue
		}
		for _, name := range t.Receivers {
			who.Receivers[name] = role
		}
		for _, name := range t.Schedules {
			who.Schedules[name] = role
		}
		if len(t.SilenceMatchers) > 0 {
			who.Silences = append(who.Silences, tocsin.SilenceScope{Matchers: t.SilenceMatchers, Role: role})
		}
	}
	return who
}

// person finds whom the name stands for: a login first, then an e-mail address,
// then a name. Each must be written whole; only addresses ignore case.
func (r *Rules) person(name string) *Person {
	for _, is := range []func(p *Person) bool{
		func(p *Person) bool { return p.Login == name },
		func(p *Person) bool { return p.Email != "" && lower(p.Email) == lower(name) },
		func(p *Person) bool { return p.Name == name && p.Login == "" },
	} {
		if i := slices.IndexFunc(r.People, func(p Person) bool { return is(&p) }); i >= 0 {
			return &r.People[i]
		}
	}
	return nil
}

// lower turns A-Z into a-z, and leaves letters alone that only look like them.
func lower(s string) string {
	return strings.Map(func(c rune) rune {
		if 'A' <= c && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}, s)
}

// plain reports whether a name can stand on a timeline.
func plain(name string) bool {
	const longest = 128
	return name != "" && len(name) <= longest && !strings.ContainsFunc(name, func(c rune) bool {
		return c == unicode.ReplacementChar || !unicode.IsPrint(c)
	})
}
