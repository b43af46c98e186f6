package server

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// RunbookGaps is what the runbooks lack.
type RunbookGaps struct {
	// Alerts opened incidents that found no runbook, those that did so most often
	// first.
	Alerts []AlertWithout
	// Whole is whether all incidents that are retained were looked at.
	Whole bool
	// Findings are what is wrong with the files: dead links, what cannot be read.
	Findings []RunbookFinding
}

// AlertWithout is an alert without a runbook.
type AlertWithout struct {
	Name string
	// Times is how many incidents it opened, the last of them at Last.
	Times int
	Last  time.Time
}

// RunbookFinding is one thing that is wrong with a file.
type RunbookFinding struct {
	File string
	// Line counts from 1; 0: the file as a whole.
	Line  int
	Text  string
	Grave bool
}

// coverageRows is how much of each kind the page of the coverage shows.
const coverageRows = 200

// runbookCoverage is what the page shows.
type runbookCoverage struct {
	page
	// Gaps is nil where it is not known, or not for who looks at it; so is Rules.
	Gaps  *RunbookGaps
	Rules *tocsin.LoadedRules
	// Lacking are the alerts without a runbook, of both, More of which are not shown.
	Lacking []lackingAlert
	More    int
	// Fallbacks and Unmatched are those of Rules, cut.
	Fallbacks []tocsin.RuleCoverage
	Unmatched []tocsin.Unmatched
	// Used were used, Never were not, Gone were and are no more; nil where Use is.
	Use               *tocsin.RunbookUsage
	Used, Never, Gone []tocsin.RunbookUse
	// Idle steps are always skipped, or never done.
	Idle []idleStep
	// Stale runbooks are an earlier version, because their file cannot be read now.
	Stale []*tocsin.Runbook
	// Unlinked are for no alert: nothing leads to them.
	Unlinked []*tocsin.Runbook
}

// idleStep is a step that may be of no use.
type idleStep struct {
	tocsin.StepUse
	Runbook, Title string
}

// lackingAlert is an alert without a runbook: one that opened incidents, one that a
// rule may fire, or both.
type lackingAlert struct {
	AlertWithout
	// Rule is nil where Prometheus has none, or is not asked.
	Rule *tocsin.RuleCoverage
}

func (s *Server) runbookCoveragePage(c echo.Context, who *tocsin.Principal) error {
	v := runbookCoverage{page: s.top(c, "Runbooks: coverage", 0)}
	ctx, cancel := context.WithTimeout(c.Request().Context(), s.config.Limits.Wait)
	defer cancel()
	for _, r := range s.deps.Runbooks.List() {
		if r.Stale != "" {
			v.Stale = append(v.Stale, r)
		}
		if len(r.Alerts)+len(r.Matchers) == 0 {
			v.Unlinked = append(v.Unlinked, r)
		}
	}
	v.Stale, v.Unlinked = v.Stale[:min(len(v.Stale), coverageRows)], v.Unlinked[:min(len(v.Unlinked), coverageRows)]
	if s.deps.RunbookUsage != nil {
		use, err := s.deps.RunbookUsage(ctx)
		if err != nil {
			return err
		}
		v.use(&use)
	}
	if s.deps.RunbookGaps != nil && v.Who.May(tocsin.RightView) { // it names everybody's alerts
		gaps, err := s.deps.RunbookGaps(ctx)
		if err != nil {
			return err
		}
		gaps.Findings = gaps.Findings[:min(len(gaps.Findings), coverageRows)]
		v.Gaps = &gaps
	}
	v.Rules = s.loadedRules(ctx, who)
	v.lack()
	return s.page(c, http.StatusOK, "runbookcoverage", &v)
}

// lack brings together what lacks a runbook: what opened incidents comes first, then
// what is severe.
func (v *runbookCoverage) lack() {
	past := map[string]AlertWithout{}
	if v.Gaps != nil {
		for _, a := range v.Gaps.Alerts {
			past[a.Name] = a
		}
	}
	ruled := map[string]bool{}
	if v.Rules != nil {
		for _, r := range v.Rules.Uncovered() {
			one := lackingAlert{AlertWithout{Name: r.Alert}, &r}
			if a, fired := past[r.Alert]; fired {
				one.AlertWithout = a
			}
			ruled[r.Alert] = true
			v.Lacking = append(v.Lacking, one)
		}
		v.Fallbacks = v.Rules.Fallbacks()
		v.Fallbacks = v.Fallbacks[:min(len(v.Fallbacks), coverageRows)]
		v.Unmatched = v.Rules.Unmatched[:min(len(v.Rules.Unmatched), coverageRows)]
	}
	for name, a := range past {
		if !ruled[name] {
			v.Lacking = append(v.Lacking, lackingAlert{AlertWithout: a})
		}
	}
	slices.SortStableFunc(v.Lacking, func(a, b lackingAlert) int {
		return cmp.Or(b.Times-a.Times, severeFirst(a.Rule, b.Rule), cmp.Compare(a.Name, b.Name))
	})
	shown := min(len(v.Lacking), coverageRows)
	v.Lacking, v.More = v.Lacking[:shown], len(v.Lacking)-shown
}

func severeFirst(a, b *tocsin.RuleCoverage) int {
	rank := func(r *tocsin.RuleCoverage) int {
		if r != nil && r.Severe() {
			return 0
		}
		return 1
	}
	return rank(a) - rank(b)
}

// use puts the runbooks in order: those that were used most come first.
func (v *runbookCoverage) use(u *tocsin.RunbookUsage) {
	v.Use = u
	for i := range u.Runbooks {
		r := u.Runbooks[i]
		switch {
		case r.Gone:
			v.Gone = append(v.Gone, r)
		case r.Times == 0 && len(r.Alerts) > 0:
			v.Never = append(v.Never, r)
		case r.Times > 0:
			v.Used = append(v.Used, r)
		}
		for _, step := range r.Steps {
			if step.Idle() != "" && len(v.Idle) < coverageRows {
				v.Idle = append(v.Idle, idleStep{step, r.ID, r.Title})
			}
		}
	}
	slices.SortStableFunc(v.Used, func(a, b tocsin.RunbookUse) int { return b.Times - a.Times })
	for _, list := range []*[]tocsin.RunbookUse{&v.Used, &v.Never, &v.Gone} {
		*list = (*list)[:min(len(*list), coverageRows)]
	}
}
