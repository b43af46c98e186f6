package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// What is here keeps people to their teams whose roles are in teams alone. Who has
// the right everywhere passes without a look at anything.

// someViewer is for routes that show what may be anybody's, and leave out what who
// asks may not view: the handler reads incidents through reader, and
// schedules through schedulesFor.
func (s *Server) someViewer(h personal) echo.HandlerFunc {
	return s.letIn(tocsin.RightView, (*tocsin.Principal).MaySomewhere, nil, h)
}

// someResponder is for routes that act on what is not in their path: the handler
// looks whether who asks may do so there.
func (s *Server) someResponder(h personal) echo.HandlerFunc {
	return s.letIn(tocsin.RightRespond, (*tocsin.Principal).MaySomewhere, nil, h)
}

// viewerIn is for routes that show the incident of their path.
func (s *Server) viewerIn(h personal) echo.HandlerFunc {
	return s.letIn(tocsin.RightView, (*tocsin.Principal).MaySomewhere, s.inIncident(tocsin.RightView), h)
}

// responderIn is for routes that act on the incident of their path. Whoever it calls
// may answer, whatever their role.
func (s *Server) responderIn(h personal) echo.HandlerFunc {
	return s.letIn(tocsin.RightView, (*tocsin.Principal).MaySomewhere, s.inIncident(tocsin.RightRespond), h)
}

// viewerOfRun is for routes that show the remediation of their path, which is its
// incident's.
func (s *Server) viewerOfRun(h personal) echo.HandlerFunc {
	return s.letIn(tocsin.RightView, (*tocsin.Principal).MaySomewhere, s.ofRun(tocsin.RightView), h)
}

// responderOfRun is for routes that act on the remediation of their path.
func (s *Server) responderOfRun(h personal) echo.HandlerFunc {
	return s.letIn(tocsin.RightView, (*tocsin.Principal).MaySomewhere, s.ofRun(tocsin.RightRespond), h)
}

// inIncident refuses who has not the right in the incident of the path.
func (s *Server) inIncident(right tocsin.Right) personal {
	return func(c echo.Context, who *tocsin.Principal) error {
		return s.mayIn(c.Request().Context(), who, right, param(c, "id"))
	}
}

// mayIn refuses who has not the right in an incident. One that they may not even
// view is not there.
func (s *Server) mayIn(ctx context.Context, who *tocsin.Principal, right tocsin.Right, id string) error {
	if who.May(right) {
		return nil
	}
	inc, err := who.Reader(s.deps.Reader).Get(ctx, id)
	switch {
	case err != nil:
		return missing(err, "incident", id)
	case !who.MayIn(right, inc):
		return forbiddenHere(who, right)
	}
	return nil
}

// ofRun refuses who has not the right in the incident of the path's remediation.
func (s *Server) ofRun(right tocsin.Right) personal {
	return func(c echo.Context, who *tocsin.Principal) error {
		id := param(c, "id")
		err := s.mayInRun(c.Request().Context(), who, right, id)
		if err != nil && refusalOf(err).status == http.StatusNotFound { // whichever of the two is not there
			return notFound(fmt.Sprintf("remediation %q", clip(id)))
		}
		return err
	}
}

func (s *Server) mayInRun(ctx context.Context, who *tocsin.Principal, right tocsin.Right, id string) error {
	incident := ""
	if who.May(right) {
		return nil
	}
	if s.deps.Remedies != nil {
		r, _, err := s.deps.Remedies.Remediation(ctx, id)
		if err != nil && !errors.Is(err, tocsin.ErrNotFound) {
			return err
		}
		incident = r.Incident
	}
	return s.mayIn(ctx, who, right, incident)
}

// reader is the store as who asks sees it.
func (s *Server) reader(c echo.Context) tocsin.Reader { return whoOf(c).Reader(s.deps.Reader) }

// visible returns what tells whether somebody may view an incident, and asks the
// store for each but once.
func (s *Server) visible(ctx context.Context, who *tocsin.Principal) func(id string) bool {
	if who.May(tocsin.RightView) {
		return func(string) bool { return true }
	}
	r, known := who.Reader(s.deps.Reader), map[string]bool{}
	return func(id string) bool {
		sees, asked := known[id]
		if !asked {
			_, err := r.Get(ctx, id)
			sees = err == nil
			known[id] = sees
		}
		return sees
	}
}

// runsFor are the runs of incidents that somebody may view.
func (s *Server) runsFor(ctx context.Context, who *tocsin.Principal, incident string) ([]tocsin.Remediation, error) {
	list, err := s.deps.Remedies.Remediations(ctx, incident)
	if err != nil || who.May(tocsin.RightView) {
		return list, err
	}
	sees := s.visible(ctx, who)
	return slices.DeleteFunc(slices.Clone(list), func(r tocsin.Remediation) bool { return !sees(r.Incident) }), nil
}

// isTheirs reports whether something on a schedule is for somebody to see: the
// schedule is their team's, or it names them.
func isTheirs(who *tocsin.Principal, schedule string, named ...string) bool {
	return who.MayOn(tocsin.RightView, schedule) || who.Name != "" && slices.Contains(named, who.Name)
}

// overridesFor are the overrides that somebody may view.
func (s *Server) overridesFor(ctx context.Context, who *tocsin.Principal) ([]tocsin.Override, error) {
	list, err := s.deps.Overrides.Overrides(ctx)
	if err != nil || who.May(tocsin.RightView) {
		return list, err
	}
	return slices.DeleteFunc(slices.Clone(list), func(o tocsin.Override) bool { return !who.Sees(&o) }), nil
}

// schedulesFor are the schedules that somebody may view.
func (s *Server) schedulesFor(who *tocsin.Principal) []tocsin.ScheduleInfo {
	list := s.deps.OnCall.Schedules()
	if who.May(tocsin.RightView) {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), func(i tocsin.ScheduleInfo) bool { return !who.MayOn(tocsin.RightView, i.Name) })
}

// shiftsFor are the shifts that somebody may view.
func shiftsFor(who *tocsin.Principal, list []tocsin.Shift) []tocsin.Shift {
	if who.May(tocsin.RightView) {
		return list
	}
	return slices.DeleteFunc(list, func(s tocsin.Shift) bool { return !isTheirs(who, s.Schedule, s.User) })
}

// uncoveredFor are the gaps of policies that ask nobody else's schedules.
func uncoveredFor(who *tocsin.Principal, list []tocsin.Uncovered) []tocsin.Uncovered {
	if who.May(tocsin.RightView) {
		return list
	}
	theirs := func(schedule string) bool { return who.MayOn(tocsin.RightView, schedule) }
	return slices.DeleteFunc(list, func(u tocsin.Uncovered) bool {
		return len(u.Schedules) == 0 || slices.ContainsFunc(u.Schedules, func(name string) bool { return !theirs(name) })
	})
}

// sharesFor are what people bear who may be on call where somebody may look.
func (s *Server) sharesFor(who *tocsin.Principal, list []tocsin.Share) []tocsin.Share {
	if who.May(tocsin.RightView) {
		return list
	}
	people := map[string]bool{who.Name: true}
	for _, info := range s.schedulesFor(who) {
		for _, user := range info.Users {
			people[user] = true
		}
	}
	return slices.DeleteFunc(list, func(s tocsin.Share) bool { return !people[s.User] })
}

// noSchedule is the answer for a schedule that is not there, or not for who asks.
func noSchedule(name string) *refusal { return notFound(fmt.Sprintf("schedule %q", clip(name))) }

// forbiddenHere refuses what somebody may do elsewhere, or not at all, and may view.
func forbiddenHere(who *tocsin.Principal, right tocsin.Right) *refusal {
	return refuse(http.StatusForbidden, codeForbidden, "", "this wants the right to %s here; you are %s; ask an administrator of Tocsin", right, sayRoles(who))
}

// sayRoles are somebody's roles, in words.
func sayRoles(who *tocsin.Principal) string {
	var list []string
	if who.Role != tocsin.RoleNone {
		list = append(list, string(who.Role))
	}
	for _, team := range slices.Sorted(maps.Keys(who.Teams)) {
		list = append(list, fmt.Sprintf("%s in %s", who.Teams[team], clip(team)))
	}
	return strings.Join(list, ", ")
}

// mayMerge refuses a merge into what is not for somebody to answer, too.
func (s *Server) mayMerge(ctx context.Context, who *tocsin.Principal, a *tocsin.Action) error {
	if a.Kind != tocsin.ActMerge || who.May(tocsin.RightRespond) {
		return nil
	}
	err := s.mayIn(ctx, who, tocsin.RightRespond, a.Into)
	if err != nil && refusalOf(err).status == http.StatusNotFound {
		return invalid("into", "there is no incident %q", clip(a.Into))
	}
	return err
}

// mayPut refuses an override that somebody may not make. A schedule that is not
// theirs to look at is not there.
func mayPut(who *tocsin.Principal, o *tocsin.Override) error {
	switch {
	case o.Schedule != "" && !who.MayOn(tocsin.RightView, o.Schedule):
		return invalid("schedule", "there is no schedule %q", clip(o.Schedule))
	case who.MayPut(o):
		return nil
	case !o.MayPut(who.Name):
		return refuse(http.StatusForbidden, codeForbidden, "user", "this changes other people's shifts; without the right to manage one can take over a shift, or hand over one's own (replaces)")
	}
	return forbiddenHere(who, tocsin.RightRespond)
}

// mayChange refuses who may not answer an override, or cancels what others have made
// and is not about them.
func (s *Server) mayChange(ctx context.Context, who *tocsin.Principal, id string, answer tocsin.OverrideAnswer) error {
	if who.May(tocsin.RightManage) || answer != tocsin.OverrideCancel && who.May(tocsin.RightRespond) {
		return nil
	}
	o, err := s.findOverride(ctx, who, id)
	switch {
	case err != nil:
		return err
	case who.MayOn(tocsin.RightManage, o.Schedule):
		return nil
	case !who.MayOn(tocsin.RightRespond, o.Schedule) && (who.Name == "" || who.May(tocsin.RightView) || !slices.Contains([]string{o.User, o.Replaces, o.CreatedBy}, who.Name)):
		return forbiddenHere(who, tocsin.RightRespond)
	case answer == tocsin.OverrideCancel && !who.MayCancel(&o):
		return refuse(http.StatusForbidden, codeForbidden, "", "it was made by %s; without the right to manage one can cancel one's own", clip(o.CreatedBy))
	}
	return nil
}
