package tocsin

import "slices"

// Role is what a person may do. Each role may do what the ones before it may:
// viewer, responder, manager, admin.
type Role string

// The roles. Who has none is a responder: whoever can be called can answer.
const (
	RoleViewer    Role = "viewer"
	RoleResponder Role = "responder"
	RoleManager   Role = "manager"
	RoleAdmin     Role = "admin"
)

var roles = []Role{RoleViewer, RoleResponder, RoleManager, RoleAdmin}

// Roles returns them, the one that may least first.
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
	// RightAdmin: who may do what.
	RightAdmin Right = "admin"
)

// May reports whether the role has the right. The empty role is RoleResponder's;
// an unknown one may do nothing.
func (r Role) May(right Right) bool {
	if r == "" {
		r = RoleResponder
	}
	needs, known := map[Right]Role{RightView: RoleViewer, RightRespond: RoleResponder, RightManage: RoleManager, RightAdmin: RoleAdmin}[right]
	has := slices.Index(roles, r)
	return known && has >= 0 && has >= slices.Index(roles, needs)
}
