package server

import (
	"context"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// remediationRows is the most runs that their page lists.
const remediationRows = 200

// pollOutput is how often the page of a run that goes on looks again.
const (
	pollOutput     = 1000 // milliseconds, with script
	refreshRunning = 3    // seconds, without
)

// remediationsPage lists the remedies, what waits for an approval, and the runs.
func (s *Server) remediationsPage(c echo.Context, _ *tocsin.Principal) error {
	ctx := c.Request().Context()
	top := s.follow(s.top(c, "Remediations", 0), "*")
	remedies, stopped, err := s.deps.Remedies.Remedies(ctx)
	if err != nil {
		return err
	}
	runs, err := s.runsFor(ctx, top.Who, "")
	if err != nil {
		return err
	}
	var waiting, rest []tocsin.Remediation
	for _, r := range runs {
		if r.State == tocsin.RemediationProposed {
			waiting = append(waiting, r)
		} else {
			rest = append(rest, r)
		}
	}
	return s.page(c, http.StatusOK, "remediations", &remediationsView{
		page: top, Remedies: remedies, Stopped: stopped, AllStopped: slices.Contains(stopped, ""),
		Waiting: waiting, Runs: rest[:min(len(rest), remediationRows)], More: len(rest) - remediationRows,
		CanRemediate: s.deps.Remediator != nil && top.Who.May(tocsin.RightRespond),
	})
}

// remediationsView is what the page of the remediations shows.
type remediationsView struct {
	page
	Remedies []tocsin.Remedy
	Stopped  []string
	// AllStopped is true where nothing runs.
	AllStopped    bool
	Waiting, Runs []tocsin.Remediation
	// More is how many runs are not shown.
	More         int
	CanRemediate bool
}

// Holds reports whether a remedy is stopped by its name.
func (v *remediationsView) Holds(remedy string) bool { return slices.Contains(v.Stopped, remedy) }

// remediationPage shows one run, and its output while it is written.
func (s *Server) remediationPage(c echo.Context, _ *tocsin.Principal) error {
	id := param(c, "id")
	top := s.top(c, "", 0)
	r, output, err := s.deps.Remedies.Remediation(c.Request().Context(), id)
	if err != nil {
		return missing(err, "remediation", id)
	}
	top.Title = short(rowTitle, r.Remedy+" on "+r.Target)
	top.Can = s.mayIn(c.Request().Context(), top.Who, tocsin.RightRespond, r.Incident) == nil
	if !r.State.Final() {
		top.Refresh, top.Poll = refreshRunning, pollOutput
	}
	return s.page(c, http.StatusOK, "remediation", &remediationView{page: top, R: r, Output: output, CanRemediate: s.deps.Remediator != nil})
}

// remediationView is what the page of a run shows.
type remediationView struct {
	page
	R            tocsin.Remediation
	Output       string
	CanRemediate bool
}

// Say is the run in a sentence, for those who hear it.
func (v *remediationView) Say() string { return "Now " + plain(v.R.State) }

// planPage says what a remedy would do, before anybody has it done.
func (s *Server) planPage(c echo.Context, _ *tocsin.Principal) error {
	id, name, target := param(c, "id"), param(c, "name"), c.QueryParam("target")
	if err := validName("remedy", name); err != nil {
		return err
	}
	if len(target) > maxTarget {
		return invalid("target", "longer than %d bytes", maxTarget)
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), 2*s.config.Limits.Wait)
	defer cancel()
	inc, err := s.reader(c).Get(ctx, id)
	if err != nil {
		return missing(err, "incident", id)
	}
	v := planView{page: s.top(c, "Plan: "+name, 0), Incident: inc, Name: name, Target: target, CanRemediate: s.deps.Remediator != nil}
	v.Can = v.Who.MayIn(tocsin.RightRespond, inc)
	status := http.StatusOK
	if v.Plans, err = s.deps.Remedies.Plan(ctx, id, name, target); err != nil {
		r := refusalOf(err)
		if r.status >= http.StatusInternalServerError || r.status == http.StatusNotFound {
			return missing(err, "remedy", name)
		}
		status, v.Wrong = r.status, clip(r.message)
	}
	return s.page(c, status, "plan", &v)
}

// planView is what the page of a plan shows.
type planView struct {
	page
	Incident     *tocsin.Incident
	Name, Target string
	Plans        []tocsin.RemedyPlan
	// Wrong is why there is no plan.
	Wrong        string
	CanRemediate bool
}

// remediateForm has a remedy run, and leads to the page of the run.
func (s *Server) remediateForm(c echo.Context, who *tocsin.Principal) error {
	f, err := s.form(c)
	if err != nil {
		return err
	}
	id, remedy, target := param(c, "id"), f.Get("remedy"), f.Get("target")
	if err := validName("remedy", remedy); err != nil {
		return err
	}
	if len(target) > maxTarget {
		return invalid("target", "longer than %d bytes", maxTarget)
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), s.config.Limits.Wait)
	defer cancel()
	r, err := s.deps.Remediator.Remediate(ctx, id, remedy, target, pageActor(who))
	if err != nil {
		return missing(err, "incident", id)
	}
	return done(c, "/remediations/"+segment(r.ID), doneRemediate, "")
}

// answerForm approves or denies a run.
func (s *Server) answerForm(approve bool) personal {
	code := doneAnswer + denied
	if approve {
		code = doneAnswer + approved
	}
	return func(c echo.Context, who *tocsin.Principal) error {
		if _, err := s.form(c); err != nil {
			return err
		}
		id := param(c, "id")
		ctx, cancel := context.WithTimeout(c.Request().Context(), s.config.Limits.Wait)
		defer cancel()
		if _, err := s.deps.Remediator.Answer(ctx, id, pageActor(who), approve); err != nil {
			return missing(err, "remediation", id)
		}
		return done(c, "/remediations/"+segment(id), code, "")
	}
}

// holdForm stops a remedy, or with an empty name all of them, or has them go on.
// To go on wants a second yes.
func (s *Server) holdForm(stop bool) personal {
	code := doneHold + resumed
	if stop {
		code = doneHold + stopped
	}
	return func(c echo.Context, who *tocsin.Principal) error {
		f, err := s.form(c)
		if err != nil {
			return err
		}
		remedy := f.Get("remedy")
		if err := validName("remedy", remedy); err != nil {
			return err
		}
		if !stop && f.Get("sure") != "yes" {
			return invalid("sure", "tick the box: what was stopped may run again, and change things, at once")
		}
		ctx, cancel := context.WithTimeout(c.Request().Context(), s.config.Limits.Wait)
		defer cancel()
		if stop {
			err = s.deps.Remediator.Stop(ctx, remedy, pageActor(who))
		} else {
			err = s.deps.Remediator.Resume(ctx, remedy, pageActor(who))
		}
		if err != nil {
			return err
		}
		return done(c, "/remediations", code, "")
	}
}
