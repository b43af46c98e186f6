package tocsin

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Principal is somebody, or something, that asks for things: a person who has
// logged in, a token, a click in Slack. Its maps are shared: do not change them.
type Principal struct {
	// Name is the actor on timelines; empty: nobody said who it is.
	Name string
	// Role is what they may do, whatever it concerns.
	Role Role
	// Teams are the roles in teams, by their names, for people to read; what they
	// come to is in the two maps below.
	Teams map[string]Role
	// Receivers and Schedules say, by name, what more they may do where it concerns
	// what one of their teams is told of, or stands on.
	Receivers, Schedules map[string]Role
	// Silences say which silences are for them, besides those that Role lets them
	// have: the ones that have all matchers of one of these.
	Silences []SilenceScope
	// Via is where they ask from: "page", "API", "terminal", "Slack", "PagerDuty".
	Via string
	// Address is where the request came from, as far as it is known: "10.0.3.7".
	Address string
}

// Origin is where the principal asks from, in words: "API from 10.0.3.7".
func (p *Principal) Origin() string {
	switch {
	case p.Address == "":
		return p.Via
	case p.Via == "":
		return p.Address
	}
	return p.Via + " from " + p.Address
}

// May reports whether the principal has the right, whatever it concerns.
func (p *Principal) May(right Right) bool { return p.Role.May(right) }

// MaySomewhere reports whether the principal has the right for anything: whatever it
// concerns, or where a team of theirs has something. Who has nothing but what calls
// them may look for that.
func (p *Principal) MaySomewhere(right Right) bool {
	return p.May(right) || mayAny(p.Receivers, right) || mayAny(p.Schedules, right) || p.MaySilenceSome(right) || right == RightView && p.Role == RoleNone
}

// MayIn reports whether the principal has the right where it concerns the
// incident: by their role, by a team that is told of it, or because it calls them
// or is theirs: whoever is called can look, and answer.
func (p *Principal) MayIn(right Right, i *Incident) bool {
	if p.May(right) {
		return true
	}
	for _, name := range i.Receivers {
		if role, told := p.Receivers[name]; told && role.May(right) {
			return true
		}
	}
	return RoleResponder.May(right) && i.concerns(p.Name)
}

// concerns reports whether somebody is called for the incident, or has taken it.
func (i *Incident) concerns(name string) bool {
	return name != "" && (i.AcknowledgedBy == name ||
		i.Escalation != nil && i.Escalation.Responder(name) != nil || // called, and not reached yet
		slices.ContainsFunc(i.Deliveries, func(d Delivery) bool { return d.User == name }))
}

// MayOn reports whether the principal has the right where it concerns the
// schedule.
func (p *Principal) MayOn(right Right, schedule string) bool {
	role, theirs := p.Schedules[schedule]
	return p.May(right) || theirs && role.May(right)
}

// Sees reports whether the principal may view an override: of a schedule that they
// may view, or one that names them.
func (p *Principal) Sees(o *Override) bool {
	return p.MayOn(RightView, o.Schedule) || p.Name != "" && (o.User == p.Name || o.Replaces == p.Name || o.CreatedBy == p.Name)
}

// MayPut reports whether the principal may make an override: where they manage the
// schedule any, where they respond what Override.MayPut allows. Time off, which is
// from all schedules, is everybody's whose rights are in teams.
func (p *Principal) MayPut(o *Override) bool {
	here := p.MayOn(RightRespond, o.Schedule) || o.Schedule == "" && !p.May(RightView)
	return p.MayOn(RightManage, o.Schedule) || here && o.MayPut(p.Name)
}

// MayCancel reports whether the principal may cancel an override: where they manage
// the schedule any, else what Override.MayCancel allows, on whatever schedule it is
// where their rights are in teams.
func (p *Principal) MayCancel(o *Override) bool {
	here := p.MayOn(RightRespond, o.Schedule) || !p.May(RightView)
	return p.MayOn(RightManage, o.Schedule) || here && o.MayCancel(p.Name)
}

// Opens gives an incident that the principal opens by hand its receivers: those that
// are named, each of which must be of a team in which they may respond; where none
// is named, the only one that is. Its key becomes theirs, so that it finds no
// incident of others. It returns Invalid that names the field, and theirs. Who may
// respond to everything may tell anybody.
func (p *Principal) Opens(m *Manual) error {
	if p.May(RightRespond) {
		return nil
	}
	var theirs []string
	for _, name := range slices.Sorted(maps.Keys(p.Receivers)) {
		if p.Receivers[name].May(RightRespond) {
			theirs = append(theirs, name)
		}
	}
	all := strings.Join(theirs, ", ")
	switch {
	case len(theirs) == 0:
		return Invalid("receivers", "no receiver is of a team in which you may respond")
	case len(m.Receivers) == 0 && len(theirs) > 1:
		return Invalid("receivers", "missing; yours are %s", all)
	case len(m.Receivers) == 0:
		m.Receivers = theirs
	}
	for _, name := range m.Receivers {
		if !slices.Contains(theirs, name) {
			return Invalid("receivers", "%q is none of yours; those are %s", name, all)
		}
	}
	if m.Key != "" {
		m.Key = fmt.Sprintf("%s for %q", m.Key, slices.Sorted(slices.Values(m.Receivers)))
	}
	return nil
}

func mayAny(roles map[string]Role, right Right) bool {
	for _, role := range roles {
		if role.May(right) {
			return true
		}
	}
	return false
}

// Reader returns r as the principal sees it: incidents that they may not view are
// not there.
func (p *Principal) Reader(r Reader) Reader {
	if p.May(RightView) {
		return r
	}
	return bounded{r, p}
}

// bounded hides what its principal may not view. It embeds nothing, so that what a
// Reader learns to tell is not told past it.
type bounded struct {
	all Reader
	who *Principal
}

func (b bounded) sees(i *Incident) bool { return b.who.MayIn(RightView, i) }

// Get returns ErrNotFound for what may not be viewed: that it exists is nobody's
// business.
func (b bounded) Get(ctx context.Context, id string) (*Incident, error) {
	i, err := b.all.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if !b.sees(i) {
		return nil, fmt.Errorf("incident %q: %w", id, ErrNotFound)
	}
	return i, nil
}

func (b bounded) List(ctx context.Context, f Filter) ([]*Incident, error) {
	only := f.Only
	f.Only = func(i *Incident) bool { return b.sees(i) && (only == nil || only(i)) }
	return b.all.List(ctx, f)
}

func (b bounded) AlertsOf(ctx context.Context, id string, limit int) ([]AlertRecord, error) {
	if _, err := b.Get(ctx, id); err != nil {
		return nil, err
	}
	return b.all.AlertsOf(ctx, id, limit)
}

func (b bounded) Timeline(ctx context.Context, id string, after uint64, limit int) ([]Event, error) {
	if _, err := b.Get(ctx, id); err != nil {
		return nil, err
	}
	return b.all.Timeline(ctx, id, after, limit)
}

func (b bounded) Documents(ctx context.Context, kind string) ([]Document, uint64, error) {
	return b.all.Documents(ctx, kind)
}
