package access_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
		Roles: map[string]tocsin.Role{"sre": tocsin.RoleManager, "owners": tocsin.RoleAdmin, "guests": tocsin.RoleViewer},
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
		name, role, err := c.rules.Who(tocsin.Identity{Name: c.name, Groups: c.groups})
		assert.Equal(t, c.want, name, title)
		assert.Equal(t, c.role, role, title)
		if c.want == "" {
			require.ErrorIs(t, err, access.ErrNoRole, title)
		} else {
			require.NoError(t, err, title)
		}
	}
}
