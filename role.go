package tocsin

import "slices"

// Role is what somebody may do. Each role may do what the ones before it may:
// viewer, responder, manager, admin. Beside them stands intake.
type Role string

// The roles. Who has none is a responder: whoever can be called can answer.
const (
	RoleViewer    Role = "viewer"
	RoleResponder Role = "responder"
	RoleManager   Role = "manager"
	RoleAdmin     Role = "admin"
	// RoleIntake is for what sends alerts. It may do that, and nothing else.
	RoleIntake Role = "intake"
	// RoleNone may do nothing: what somebody may do then comes from their teams.
	RoleNone Role = "none"
)

var roles = []Role{RoleViewer, RoleResponder, RoleManager, RoleAdmin}

// Roles returns the roles of people, the one that may least first: all but
// RoleIntake.
func Roles() []Role { return slices.Clone(roles) }

// Right is a kind of thing that one may or may not do.
type Right string

// The rights.
const (
	// RightView: to look at incidents, schedules, silences and runbooks.
	RightView Right = "view"
	// RightRespond: to act on incidents, to page, to silence, to work through
	// runbooks, to take over or hand over one's own shifts.
	RightRespond Right = "respond"
	// RightManage: to change other people's shifts, and what holds for everybody.
	RightManage Right = "manage"
	// RightAdmin: to say who may do what, to read the configuration again, and to
	// take everything away: a backup.
	RightAdmin Right = "admin"
	// RightIntake: to send alerts and signs of life.
	RightIntake Right = "intake"
)

// May reports whether the role has the right. The empty role is RoleResponder's;
// an unknown one may do nothing. Every way in asks it, and nothing else: the
// pages, the API, Slack, PagerDuty.
func (r Role) May(right Right) bool {
	if right == RightIntake {
		return r == RoleIntake || r == RoleAdmin
	}
	if r == "" {
		r = RoleResponder
	}
	needs, known := map[Right]Role{RightView: RoleViewer, RightRespond: RoleResponder, RightManage: RoleManager, RightAdmin: RoleAdmin}[right]
	has := slices.Index(roles, r)
	return known && has >= 0 && has >= slices.Index(roles, needs)
}

// AtLeast returns the one of two roles of people that may more. An unknown role,
// and the empty one, may less than any other.
func (r Role) AtLeast(other Role) Role {
	if slices.Index(roles, other) > slices.Index(roles, r) {
		return other
	}
	return r
}
