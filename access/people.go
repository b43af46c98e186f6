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
	// Role is what they may do, however they ask.
	Role tocsin.Role
}

// Rules say who is who, and what they may do. Its zero value lets nobody in.
type Rules struct {
	People []Person
	// Roles are those of groups.
	Roles map[string]tocsin.Role
	// Allowed are the groups of which one must be in at least one; empty: anybody
	// whom the provider lets in.
	Allowed []string
	// Default is the role of those who have none by name or group; empty: they are
	// refused.
	Default tocsin.Role
}

// ErrNoRole is why somebody is refused whom the provider knows.
var ErrNoRole = errors.New("nobody has given this log-in a role here")

// Who returns the name and the role of an identity, or ErrNoRole with what to do.
// Of the roles that somebody has by name and by groups the one that may most
// counts.
func (r *Rules) Who(id tocsin.Identity) (name string, role tocsin.Role, err error) {
	if !plain(id.Name) {
		return "", "", fmt.Errorf("%w: its name cannot be shown", ErrNoRole)
	}
	if len(r.Allowed) > 0 && !slices.ContainsFunc(id.Groups, func(g string) bool { return slices.Contains(r.Allowed, g) }) {
		return "", "", fmt.Errorf("%w: %s is in none of the groups of allowed_groups", ErrNoRole, id.Name)
	}
	name = id.Name
	if p := r.person(id.Name); p != nil {
		name, role = p.Name, p.Role
	} else if slices.ContainsFunc(r.People, func(p Person) bool { return p.Name == id.Name }) {
		// On timelines it would be somebody else's.
		return "", "", fmt.Errorf("%w: %s is the name of a user who logs in as somebody else", ErrNoRole, id.Name)
	}
	for _, g := range id.Groups {
		role = role.AtLeast(r.Roles[g])
	}
	if role == "" {
		role = r.Default
	}
	if role == "" {
		return "", "", fmt.Errorf("%w: %s is none of the users, and in none of the groups of group_roles; an administrator of Tocsin can change that", ErrNoRole, id.Name)
	}
	return name, role, nil
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
