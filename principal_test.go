package tocsin_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
)

var rights = []tocsin.Right{tocsin.RightView, tocsin.RightRespond, tocsin.RightManage, tocsin.RightAdmin}

// may is what somebody may do, as letters: v, r, m, a.
func may(has func(tocsin.Right) bool) string {
	out := ""
	for _, r := range rights {
		if has(r) {
			out += string(r[0])
		}
	}
	return out
}

func TestMayIn(t *testing.T) {
	t.Parallel()
	of := func(receivers ...string) *tocsin.Incident {
		return &tocsin.Incident{ID: "k7f3q9", Receivers: receivers}
	}
	taken := of("web")
	taken.AcknowledgedBy = "ana"
	told := of("web")
	told.Deliveries = []tocsin.Delivery{{Target: "email:ana@example.com", User: "ana"}}
	called := of("web")
	called.Escalation = &tocsin.Escalation{Responders: []tocsin.Responder{{User: "ana"}}}
	nobodys := of("web")
	nobodys.Deliveries = []tocsin.Delivery{{Target: "slack:#web"}}
	for title, c := range map[string]struct {
		who  tocsin.Principal
		in   *tocsin.Incident
		want string
	}{
		"a viewer":                        {tocsin.Principal{Name: "ana", Role: tocsin.RoleViewer}, of("web"), "v"},
		"a viewer who is called":          {tocsin.Principal{Name: "ana", Role: tocsin.RoleViewer}, called, "vr"},
		"a responder":                     {tocsin.Principal{Name: "ana", Role: tocsin.RoleResponder}, of("web"), "vr"},
		"an admin":                        {tocsin.Principal{Name: "ana", Role: tocsin.RoleAdmin}, of(), "vrma"},
		"what sends alerts":               {tocsin.Principal{Name: "am", Role: tocsin.RoleIntake}, of("web"), ""},
		"nobody":                          {tocsin.Principal{Role: tocsin.RoleNone}, nobodys, ""},
		"of the team":                     {tocsin.Principal{Name: "ana", Role: tocsin.RoleNone, Receivers: theirs("web", tocsin.RoleResponder)}, of("db", "web"), "vr"},
		"who manages the team":            {tocsin.Principal{Name: "ana", Role: tocsin.RoleNone, Receivers: theirs("web", tocsin.RoleManager)}, of("web"), "vrm"},
		"of another team":                 {tocsin.Principal{Name: "ana", Role: tocsin.RoleNone, Receivers: theirs("db", tocsin.RoleManager)}, of("web"), ""},
		"of a team, where nobody is told": {tocsin.Principal{Name: "ana", Role: tocsin.RoleNone, Receivers: theirs("web", tocsin.RoleManager)}, of(), ""},
		"more in the team":                {tocsin.Principal{Name: "ana", Role: tocsin.RoleViewer, Receivers: theirs("web", tocsin.RoleResponder)}, of("web"), "vr"},
		"less in the team":                {tocsin.Principal{Name: "ana", Role: tocsin.RoleManager, Receivers: theirs("web", tocsin.RoleViewer)}, of("web"), "vrm"},
		"who is called":                   {tocsin.Principal{Name: "ana", Role: tocsin.RoleNone}, called, "vr"},
		"who is told":                     {tocsin.Principal{Name: "ana", Role: tocsin.RoleNone}, told, "vr"},
		"whose it is":                     {tocsin.Principal{Name: "ana", Role: tocsin.RoleNone}, taken, "vr"},
		"another than is called":          {tocsin.Principal{Name: "an", Role: tocsin.RoleNone}, called, ""},
	} {
		assert.Equal(t, c.want, may(func(r tocsin.Right) bool { return c.who.MayIn(r, c.in) }), title)
	}
}

func theirs(name string, role tocsin.Role) map[string]tocsin.Role {
	return map[string]tocsin.Role{name: role}
}

func TestMayOn(t *testing.T) {
	t.Parallel()
	ana := tocsin.Principal{Name: "ana", Role: tocsin.RoleNone, Teams: theirs("web", tocsin.RoleManager), Schedules: theirs("web", tocsin.RoleManager)}
	vic := ana
	vic.Role = tocsin.RoleViewer
	for _, c := range []struct {
		who                  tocsin.Principal
		everywhere, web, all string
	}{
		{tocsin.Principal{Role: tocsin.RoleResponder}, "vr", "vr", "vr"},
		{ana, "", "vrm", ""},
		{vic, "v", "vrm", "v"},
	} {
		assert.Equal(t, c.everywhere, may(c.who.May))
		assert.Equal(t, c.web, may(c.who.MaySomewhere))
		assert.Equal(t, c.web, may(func(r tocsin.Right) bool { return c.who.MayOn(r, "web") }))
		assert.Equal(t, c.all, may(func(r tocsin.Right) bool { return c.who.MayOn(r, "") }), "a change to all schedules is no team's")
	}
}

// Whom an incident that is opened by hand tells of.
func TestOpens(t *testing.T) {
	t.Parallel()
	two := map[string]tocsin.Role{"web": tocsin.RoleResponder, "db": tocsin.RoleManager, "ops": tocsin.RoleViewer}
	for title, c := range map[string]struct {
		who         tocsin.Principal
		named, want []string
		why         string
	}{
		"everywhere":              {who: tocsin.Principal{Role: tocsin.RoleResponder}},
		"everywhere, named":       {who: tocsin.Principal{Role: tocsin.RoleResponder}, named: []string{"web", "x"}, want: []string{"web", "x"}},
		"the only one":            {who: tocsin.Principal{Role: tocsin.RoleNone, Receivers: theirs("web", tocsin.RoleResponder)}, want: []string{"web"}},
		"the only one to respond": {who: tocsin.Principal{Role: tocsin.RoleNone, Receivers: map[string]tocsin.Role{"web": tocsin.RoleResponder, "ops": tocsin.RoleViewer}}, want: []string{"web"}},
		"one of several":          {who: tocsin.Principal{Role: tocsin.RoleNone, Receivers: two}, named: []string{"db"}, want: []string{"db"}},
		"none of several":         {who: tocsin.Principal{Role: tocsin.RoleNone, Receivers: two}, why: "missing; yours are db, web"},
		"another team's":          {who: tocsin.Principal{Role: tocsin.RoleNone, Receivers: two}, named: []string{"web", "x"}, why: `"x" is none of yours; those are db, web`},
		"that they only view":     {who: tocsin.Principal{Role: tocsin.RoleNone, Receivers: two}, named: []string{"ops"}, why: `"ops" is none of yours`},
		"who has none":            {who: tocsin.Principal{Role: tocsin.RoleNone}, why: "no receiver is of a team in which you may respond"},
		"who views everywhere":    {who: tocsin.Principal{Role: tocsin.RoleViewer}, named: []string{"web"}, why: "no receiver is of a team"},
	} {
		m := tocsin.Manual{Title: "it burns", Receivers: c.named, Key: "db"}
		err := c.who.Opens(&m)
		if c.why == "" {
			require.NoError(t, err, title)
			assert.Equal(t, c.want, m.Receivers, title)
			assert.Equal(t, c.who.May(tocsin.RightRespond), m.Key == "db", "%s: what others opened is not found", title)
			continue
		}
		require.ErrorIs(t, err, tocsin.ErrInvalid, title)
		assert.ErrorContains(t, err, "receivers: ", title)
		assert.ErrorContains(t, err, c.why, title)
	}
}

// Overrides: what may be seen, made and cancelled.
func TestOverridesOfTeams(t *testing.T) {
	t.Parallel()
	in := func(role tocsin.Role) tocsin.Principal {
		return tocsin.Principal{Name: "ana", Role: tocsin.RoleNone, Schedules: theirs("web", role)}
	}
	of := func(schedule, user, replaces, by string) tocsin.Override {
		return tocsin.Override{Kind: tocsin.OverrideReplace, Schedule: schedule, User: user, Replaces: replaces, CreatedBy: by}
	}
	off := of("", "ana", "", "ana")
	off.Kind = tocsin.OverrideTimeOff
	for title, c := range map[string]struct {
		who  tocsin.Principal
		o    tocsin.Override
		want string // of: see, put, cancel
	}{
		"a viewer, of others":            {tocsin.Principal{Name: "ana", Role: tocsin.RoleViewer}, of("web", "bo", "cy", "bo"), "s"},
		"a viewer, of their own":         {tocsin.Principal{Name: "ana", Role: tocsin.RoleViewer}, of("web", "ana", "cy", "ana"), "s"},
		"a responder, of others":         {tocsin.Principal{Name: "ana", Role: tocsin.RoleResponder}, of("web", "bo", "cy", "bo"), "s"},
		"a responder, of their own":      {tocsin.Principal{Name: "ana", Role: tocsin.RoleResponder}, of("web", "bo", "ana", "bo"), "spc"},
		"a manager":                      {tocsin.Principal{Name: "ana", Role: tocsin.RoleManager}, of("web", "bo", "cy", "bo"), "spc"},
		"views in the team":              {in(tocsin.RoleViewer), of("web", "bo", "cy", "bo"), "s"},
		"responds in the team":           {in(tocsin.RoleResponder), of("web", "ana", "cy", "ana"), "spc"},
		"responds, of others":            {in(tocsin.RoleResponder), of("web", "bo", "cy", "bo"), "s"},
		"manages in the team":            {in(tocsin.RoleManager), of("web", "bo", "cy", "bo"), "spc"},
		"another team's":                 {in(tocsin.RoleManager), of("db", "bo", "cy", "bo"), ""},
		"another team's, that puts them": {in(tocsin.RoleManager), of("db", "ana", "cy", "bo"), "s"},
		"another team's, of their shift": {in(tocsin.RoleManager), of("db", "bo", "ana", "bo"), "sc"},
		"their own time off":             {in(tocsin.RoleViewer), off, "spc"},
		"others' time off":               {in(tocsin.RoleManager), of("", "bo", "", "bo"), ""},
		"time off of a viewer":           {tocsin.Principal{Name: "ana", Role: tocsin.RoleViewer}, off, "s"},
		"nobody":                         {tocsin.Principal{Role: tocsin.RoleNone}, of("web", "", "", ""), ""},
	} {
		got := ""
		for n, may := range []bool{c.who.Sees(&c.o), c.who.MayPut(&c.o), c.who.MayCancel(&c.o)} {
			if may {
				got += "spc"[n : n+1]
			}
		}
		assert.Equal(t, c.want, got, title)
	}
}

// Each draw has a generator of its own: rapid's write down their description when
// they are first asked for it, and parallel tests would do so in one place.
func someRole() *rapid.Generator[tocsin.Role] {
	return rapid.SampledFrom(append(tocsin.Roles(), tocsin.RoleNone))
}

func somePlace() *rapid.Generator[string] {
	return rapid.SampledFrom([]string{"web", "db", "ops", "mail"})
}

func somebody() *rapid.Generator[string] {
	return rapid.SampledFrom([]string{"ana", "bo", "cy"})
}

func somePrincipal(t *rapid.T) tocsin.Principal {
	roles := rapid.MapOf(somePlace(), someRole())
	return tocsin.Principal{
		Name: somebody().Draw(t, "name"), Role: someRole().Draw(t, "role"),
		Teams: roles.Draw(t, "teams"), Receivers: roles.Draw(t, "receivers"), Schedules: roles.Draw(t, "schedules"),
	}
}

func someIncident(t *rapid.T, id string) *tocsin.Incident {
	i := &tocsin.Incident{ID: id, Receivers: rapid.SliceOfN(somePlace(), 0, 2).Draw(t, "told")}
	if rapid.Bool().Draw(t, "taken") {
		i.AcknowledgedBy = somebody().Draw(t, "owner")
	}
	for range rapid.IntRange(0, 2).Draw(t, "deliveries") {
		i.Deliveries = append(i.Deliveries, tocsin.Delivery{User: rapid.SampledFrom([]string{"", "ana", "bo"}).Draw(t, "user")})
	}
	if rapid.Bool().Draw(t, "escalates") {
		i.Escalation = &tocsin.Escalation{Responders: []tocsin.Responder{{User: somebody().Draw(t, "called")}}}
	}
	return i
}

// everything is all that somebody may do, in order.
func everything(who *tocsin.Principal, i *tocsin.Incident) []bool {
	var out []bool
	for _, r := range rights {
		out = append(out, who.May(r), who.MaySomewhere(r), who.MayIn(r, i))
		for _, s := range []string{"web", "db", "ops", "mail", ""} {
			out = append(out, who.MayOn(r, s))
		}
	}
	return out
}

func atLeast(t *rapid.T, before, after []bool, what string) {
	for n := range before {
		if before[n] && !after[n] {
			t.Fatalf("%s takes right %d away", what, n)
		}
	}
}

// A role more, and being told or called, never take anything away.
func TestMoreRolesNeverGiveLess(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		who, i := somePrincipal(t), someIncident(t, "k7f3q9")
		before := everything(&who, i)
		more := who
		more.Role = who.Role.AtLeast(someRole().Draw(t, "more"))
		atLeast(t, before, everything(&more, i), "a role everywhere")
		more = who
		for _, of := range []*map[string]tocsin.Role{&more.Teams, &more.Receivers, &more.Schedules} {
			*of = maps.Clone(*of)
			name := somePlace().Draw(t, "place")
			(*of)[name] = someRole().Draw(t, "role there").AtLeast((*of)[name])
		}
		atLeast(t, before, everything(&more, i), "a role in a team")
		louder := i.Clone()
		louder.Receivers = append(louder.Receivers, somePlace().Draw(t, "also told"))
		louder.Deliveries = append(louder.Deliveries, tocsin.Delivery{User: somebody().Draw(t, "also called")})
		atLeast(t, before, everything(&who, louder), "one more who is told")
	})
}

// Each right includes the ones before it, and what holds for everything holds here.
func TestRightsStandInOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		who, i := somePrincipal(t), someIncident(t, "k7f3q9")
		on := somePlace().Draw(t, "schedule")
		for n, r := range rights {
			for _, lower := range rights[:n] {
				if who.May(r) && !who.May(lower) || who.MayIn(r, i) && !who.MayIn(lower, i) || who.MayOn(r, on) && !who.MayOn(lower, on) {
					t.Fatalf("%s, and not %s", r, lower)
				}
			}
			if who.May(r) && !(who.MaySomewhere(r) && who.MayIn(r, i) && who.MayOn(r, on)) {
				t.Fatalf("%s everywhere, and not here", r)
			}
		}
	})
}

// kept is a store to read.
type kept map[string]*tocsin.Incident

func (k kept) Get(_ context.Context, id string) (*tocsin.Incident, error) {
	if i := k[id]; i != nil {
		return i, nil
	}
	return nil, fmt.Errorf("incident %q: %w", id, tocsin.ErrNotFound)
}

func (k kept) List(_ context.Context, f tocsin.Filter) ([]*tocsin.Incident, error) {
	var out []*tocsin.Incident
	for _, i := range k {
		if f.Only == nil || f.Only(i) {
			out = append(out, i)
		}
	}
	slices.SortFunc(out, func(a, b *tocsin.Incident) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}

func (k kept) AlertsOf(context.Context, string, int) ([]tocsin.AlertRecord, error) {
	return []tocsin.AlertRecord{{}}, nil
}

func (k kept) Timeline(context.Context, string, uint64, int) ([]tocsin.Event, error) {
	return []tocsin.Event{{Text: "secret"}}, nil
}

func (k kept) Documents(context.Context, string) ([]tocsin.Document, uint64, error) {
	return nil, 7, nil
}

// A Reader shows what may be viewed and nothing else, and says of the rest what it
// says of what does not exist.
func TestReaderShowsWhatMayBeViewed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		who, all := somePrincipal(t), kept{}
		for n := range rapid.IntRange(0, 6).Draw(t, "incidents") {
			id := fmt.Sprint("k7f3q", n)
			all[id] = someIncident(t, id)
		}
		ctx, r := context.Background(), who.Reader(all)
		even := func(i *tocsin.Incident) bool { return i.ID[5]%2 == 0 }
		for _, only := range []func(*tocsin.Incident) bool{nil, even} {
			list, err := r.List(ctx, tocsin.Filter{Only: only})
			require.NoError(t, err)
			want, err := all.List(ctx, tocsin.Filter{Only: func(i *tocsin.Incident) bool {
				return who.MayIn(tocsin.RightView, i) && (only == nil || only(i))
			}})
			require.NoError(t, err)
			require.Equal(t, want, list)
		}
		for id, i := range all {
			got, err := r.Get(ctx, id)
			alerts, errAlerts := r.AlertsOf(ctx, id, 1)
			events, errEvents := r.Timeline(ctx, id, 0, 1)
			if who.MayIn(tocsin.RightView, i) {
				require.NoError(t, cmp.Or(err, errAlerts, errEvents))
				require.Same(t, i, got)
				continue
			}
			_, unknown := kept{}.Get(ctx, id)
			for _, err := range []error{err, errAlerts, errEvents} {
				require.ErrorIs(t, err, tocsin.ErrNotFound)
				require.EqualError(t, err, unknown.Error(), "as what does not exist")
			}
			require.Nil(t, got)
			require.Empty(t, alerts)
			require.Empty(t, events)
		}
		_, version, err := r.Documents(ctx, "x")
		require.NoError(t, err)
		require.Equal(t, uint64(7), version)
	})
}

func TestReaderOfWhoSeesEverything(t *testing.T) {
	t.Parallel()
	all := kept{}
	for _, role := range tocsin.Roles() {
		who := tocsin.Principal{Role: role}
		assert.Equal(t, all, who.Reader(all), "nothing stands between")
	}
}
