package server_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

func TestRunbookCoveragePage(t *testing.T) {
	t.Parallel()
	var failed error
	w := newWorld(t, server.Config{}, func(d *server.Deps) {
		d.Runbooks = library{
			"a#x": {ID: "a#x", Title: "Disk" + evil, Alerts: []string{"DiskFull"}},
			"b#y": {ID: "b#y", Title: "Old", Stale: "line 3: not closed" + evil},
		}
		d.RunbookUsage = func(context.Context) (tocsin.RunbookUsage, error) {
			return tocsin.RunbookUsage{Incidents: 7, Since: now, Runbooks: []tocsin.RunbookUse{
				{ID: "a#x", Title: "Disk" + evil, Times: 3, Last: now, Worked: 2, Steps: []tocsin.StepUse{{Number: 4, Text: "Reboot" + evil, Uses: 2, Skipped: 2}}},
				{ID: "c#z", Title: "Quiet", Alerts: []string{"Quiet"}},
				{ID: "gone#w" + evil, Gone: true, Times: 1, Last: now},
			}}, nil
		}
		d.RunbookGaps = func(context.Context) (server.RunbookGaps, error) {
			return server.RunbookGaps{
				Alerts: []server.AlertWithout{{Name: "Lonely" + evil, Times: 12, Last: now}}, Whole: true,
				Findings: []server.RunbookFinding{{File: "a.md", Line: 9, Text: "the link leads nowhere" + evil, Grave: true}},
			}, failed
		}
	})
	page := safe(t, w.ask("GET", "/runbooks-coverage", ""))
	for _, want := range []string{
		"7 incidents", "Lonely&lt;script&gt;", "12 incidents", "a.md:9", "the link leads nowhere", "An earlier version is shown", "line 3: not closed", "Never used", "Quiet",
		"For no alert", "always skipped", "step 4 of", "worked through in 2", "Used, and gone", `<a href="/runbooks" aria-current="page">`,
	} {
		assert.Contains(t, page, want)
	}
	assert.Contains(t, safe(t, w.ask("GET", "/runbooks", "")), `href="/runbooks-coverage"`)
	failed = errors.New("the disk is on fire")
	assert.Equal(t, 500, w.ask("GET", "/runbooks-coverage", "", "Accept", "text/html").Code)

	bare := safe(t, newWorld(t, server.Config{}, func(d *server.Deps) {
		d.RunbookGaps = func(context.Context) (server.RunbookGaps, error) { return server.RunbookGaps{Whole: true}, nil }
	}).ask("GET", "/runbooks-coverage", ""))
	assert.Contains(t, bare, "Each alert that opened an incident has one.")
	assert.Contains(t, bare, "each link leads somewhere")
	assert.Contains(t, safe(t, newWorld(t, server.Config{}).ask("GET", "/runbooks", "")), "runbooks.dirs")
}

// The rules that Prometheus has loaded stand beside what has fired.
func TestRunbookCoverageOfLoadedRules(t *testing.T) {
	t.Parallel()
	rules := tocsin.LoadedRules{At: now, Coverage: tocsin.Coverage{
		Rules: []tocsin.RuleCoverage{
			{File: "/etc/a.yml" + evil, Group: "nodes" + evil, Alert: "Quiet" + evil, Severity: "warning" + evil},
			{File: "/etc/a.yml", Group: "nodes", Alert: "Grave", Severity: "critical"},
			{File: "/etc/a.yml", Group: "disks", Alert: "Lonely", Severity: "info"},
			{File: "/etc/a.yml", Group: "nodes", Alert: "NodeDown", Runbook: "a#x", By: "name"},
			{File: "/etc/a.yml", Group: "nodes", Alert: "nodeSLOW" + evil, Runbook: "a#x", By: "name", Fallback: "in other letters" + evil},
		},
		Unmatched: []tocsin.Unmatched{{ID: "c#z" + evil, Alerts: []string{"Forgotten" + evil}, Matchers: []string{`team="db"` + evil}}},
	}}
	w := newWorld(t, server.Config{}, func(d *server.Deps) {
		d.RunbookUsage = func(context.Context) (tocsin.RunbookUsage, error) {
			return tocsin.RunbookUsage{Runbooks: []tocsin.RunbookUse{}}, nil
		}
		d.RunbookGaps = func(context.Context) (server.RunbookGaps, error) {
			return server.RunbookGaps{Whole: true, Alerts: []server.AlertWithout{{Name: "Lonely", Times: 3, Last: now}, {Name: "Elsewhere", Times: 2, Last: now}}}, nil
		}
		d.LoadedRules = func(context.Context) tocsin.LoadedRules { return rules }
	})
	page := safe(t, w.ask("GET", "/runbooks-coverage", ""))
	for _, want := range []string{
		"5 alert rules: 1 with a runbook of their own, 1 only by fallback, 3 without one", "has opened no incident; group <bdi>nodes</bdi>", "Only by fallback", "in other letters",
		"No rule leads to", "Forgotten", "3 incidents, the last",
	} {
		assert.Contains(t, page, want)
	}
	at := func(name string) int { return strings.Index(page, "<strong><bdi>"+name) }
	assert.IsIncreasing(t, []int{at("Lonely"), at("Elsewhere"), at("Grave"), at("Quiet")}, "what fired, then what is severe")
	assert.Equal(t, 1, strings.Count(page, "<bdi>Lonely"), "once, though it fired and is loaded")
	assert.NotContains(t, page, "tocsin runbooks coverage --rules")
	api := w.ask("GET", "/api/v1/runbooks-coverage", "").Body.String()
	assert.Contains(t, api, `"group":"disks"`)
	assert.NotContains(t, api, `"problem"`)

	rules.Problem = "asking prometheus:9090: connection refused" + evil
	page = safe(t, w.ask("GET", "/runbooks-coverage", ""))
	assert.Contains(t, page, "Prometheus did not tell all its rules: <bdi>asking prometheus:9090: connection refused")
	assert.Contains(t, page, "5 alert rules", "what it told last")
	rules = tocsin.LoadedRules{Problem: "away", Coverage: tocsin.Coverage{Rules: []tocsin.RuleCoverage{}, Unmatched: []tocsin.Unmatched{}}}
	page = safe(t, w.ask("GET", "/runbooks-coverage", ""))
	assert.NotContains(t, page, "Prometheus has")
	assert.Contains(t, page, "Elsewhere", "the rest is shown")

	rules = tocsin.LoadedRules{At: now}
	for n := range 250 {
		rules.Rules = append(rules.Rules, tocsin.RuleCoverage{Alert: fmt.Sprint("A", n)})
	}
	page = safe(t, w.ask("GET", "/runbooks-coverage", ""))
	assert.Contains(t, page, "52 more:")
	assert.Less(t, len(page), 100<<10)
}

// Who may look at a team's incidents alone is not told which alerts others had.
func TestRunbookCoverageOfATeam(t *testing.T) {
	t.Parallel()
	w, _, _ := guarded(t, server.Config{}, func(d *server.Deps) {
		d.Bearer = func(tocsin.Token) tocsin.Principal {
			theirs := map[string]tocsin.Role{"db": tocsin.RoleViewer}
			return tocsin.Principal{Name: "ana", Role: tocsin.RoleNone, Teams: theirs, Receivers: theirs}
		}
		d.RunbookGaps = func(context.Context) (server.RunbookGaps, error) {
			return server.RunbookGaps{Alerts: []server.AlertWithout{{Name: "Lonely", Times: 12}}, Findings: []server.RunbookFinding{{File: "a.md", Text: "dead"}}}, nil
		}
		d.RunbookUsage = func(context.Context) (tocsin.RunbookUsage, error) {
			return tocsin.RunbookUsage{Runbooks: []tocsin.RunbookUse{}}, nil
		}
		d.LoadedRules = func(context.Context) tocsin.LoadedRules {
			return tocsin.LoadedRules{At: now, Problem: "Hidden", Coverage: tocsin.Coverage{Rules: []tocsin.RuleCoverage{{Alert: "Unfired"}}}}
		}
	})
	page := safe(t, w.ask("GET", "/runbooks-coverage", "", "Authorization", "Bearer tocsin_viewer"))
	assert.Contains(t, page, "Runbooks: coverage")
	api := w.ask("GET", "/api/v1/runbooks-coverage", "", "Authorization", "Bearer tocsin_viewer")
	assert.Equal(t, 200, api.Code)
	for _, theirs := range []string{"Lonely", "Unfired", "Hidden"} {
		assert.NotContains(t, page+api.Body.String(), theirs)
	}
}
