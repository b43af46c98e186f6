package server_test

import (
	"context"
	"errors"
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
	})
	page := safe(t, w.ask("GET", "/runbooks-coverage", "", "Authorization", "Bearer tocsin_viewer"))
	assert.Contains(t, page, "Runbooks: coverage")
	assert.NotContains(t, page, "Lonely")
}
