package server_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// pharmacy is medicine whose run and plan can be set.
type pharmacy struct {
	medicine
	run      tocsin.Remediation
	output   string
	plans    []tocsin.RemedyPlan
	planFail error
}

func (p *pharmacy) Remediations(context.Context, string) ([]tocsin.Remediation, error) {
	return []tocsin.Remediation{p.run}, p.err
}

func (p *pharmacy) Remediation(context.Context, string) (tocsin.Remediation, string, error) {
	return p.run, p.output, p.err
}

func (p *pharmacy) Plan(context.Context, string, string, string) ([]tocsin.RemedyPlan, error) {
	return p.plans, p.planFail
}

func withPharmacy(t testing.TB, runbooks ...*tocsin.Runbook) (*world, *pharmacy) {
	t.Helper()
	p := &pharmacy{run: dose, plans: []tocsin.RemedyPlan{{
		Remedy: "restart-node", Incident: "k7f3q9", Target: "node-3", Argv: []string{"/usr/bin/restart", "--node", "node-3"}, Environment: []string{"A=b"},
		Matched: []string{`alertname="NodeDown"`}, Precheck: "up == 0: yes", Budget: "1 of 2 runs on node-3 in 1h", Sandbox: "landlock 7",
	}}}
	books := library{}
	for _, rb := range runbooks {
		books[rb.ID] = rb
	}
	w := newWorld(t, server.Config{}, func(d *server.Deps) { d.Remedies, d.Remediator, d.Runbooks = p, p, books })
	w.reader.detail = withIncident(t, server.Config{}).reader.detail
	w.reader.detail.incident.State = tocsin.Triggered
	return w, p
}

// From the fence in the runbook over the plan to the run: by links and forms alone.
func TestRemedyFromThePage(t *testing.T) {
	t.Parallel()
	rb := tocsin.Runbook{ID: "dir/file#node-down", Title: "Node down", Steps: []tocsin.Step{{ID: "s1", Text: "Restart it", Commands: []tocsin.Command{
		{Lang: "bash", Text: "reboot", Remediation: "restart-node"}, {Lang: "bash", Text: "rm", Remediation: "of-something-else"},
	}}}}
	w, p := withPharmacy(t, &rb)
	page := safe(t, w.ask("GET", "/incidents/k7f3q9", ""))
	assert.Contains(t, page, `<a class="button" href="/incidents/k7f3q9/remedies/restart-node">Run restart-node…</a>`)
	assert.NotContains(t, page, "Run of-something-else", "what is not for this incident's alerts has no button")
	assert.Contains(t, page, `href="/remediations/r1"`)
	assert.Empty(t, p.did, "looking runs nothing")

	page = safe(t, w.ask("GET", "/incidents/k7f3q9/remedies/restart-node", ""))
	for _, want := range []string{
		"<code>/usr/bin/restart</code></li><li><code>--node</code></li><li><code>node-3</code>", "<code>A=b</code>", "up == 0: yes", "1 of 2 runs", "landlock 7",
		"Run restart-node on node-3", "Nothing of this has been done",
	} {
		assert.Contains(t, page, want)
	}
	rec := w.send("/incidents/k7f3q9/remediate", formOf("remedy", "restart-node", "target", "node-3"))
	require.Equal(t, 303, rec.Code, rec.Body.String())
	assert.Equal(t, "/remediations/r1?done=remediate", rec.Header().Get("Location"))
	assert.Equal(t, []string{"run k7f3q9 restart-node node-3 by page"}, p.did)

	page = safe(t, w.ask("GET", "/remediations/r1?done=remediate", ""))
	assert.Contains(t, page, "The remedy is asked for.")
	assert.Contains(t, page, `data-poll="1000"`, "the script looks again")
	assert.Contains(t, page, `<noscript><meta http-equiv="refresh" content="3"></noscript>`, "and without script the browser does")
	rec = w.send("/remediations/r1/approve", formOf())
	assert.Equal(t, "/remediations/r1?done=answer-approved", rec.Header().Get("Location"))
	rec = w.send("/remediations/r1/deny", formOf())
	assert.Equal(t, "/remediations/r1?done=answer-denied", rec.Header().Get("Location"))
	assert.Equal(t, []string{"r1 true by page", "r1 false by page"}, p.did[1:])

	p.run.Argv = []string{"/usr/bin/restart", "--node", "<b>node-3"}
	page = safe(t, w.ask("GET", "/remediations/r1", ""))
	told, answered := strings.Index(page, "<code>/usr/bin/restart</code></li><li><code>--node</code></li><li><code>&lt;b&gt;node-3</code>"), strings.Index(page, "/approve")
	require.Positive(t, told)
	assert.Less(t, told, answered, "what is approved stands before the button")

	p.run.State, p.output = tocsin.RemediationStarted, "one\n<b>two"
	page = safe(t, w.ask("GET", "/remediations/r1", ""))
	assert.Contains(t, page, "one\n&lt;b&gt;two")
	assert.NotContains(t, page, "/approve", "there is nothing to answer any more")
	p.run.State = tocsin.RemediationVerified
	page = safe(t, w.ask("GET", "/remediations/r1", ""))
	assert.NotContains(t, page, "data-poll")
	assert.NotContains(t, page, "http-equiv")
}

func TestRemediesThatDoNotRun(t *testing.T) {
	t.Parallel()
	w, p := withPharmacy(t)
	p.plans[0].Refused = []string{"cooldown: it ran <b>"}
	page := safe(t, w.ask("GET", "/incidents/k7f3q9/remedies/restart-node", ""))
	assert.Contains(t, page, "cooldown: it ran &lt;b&gt;")
	assert.NotContains(t, page, `action="/incidents/k7f3q9/remediate"`)

	p.planFail = tocsin.Invalid("target", "there are 2; name one: node-1, node-2")
	rec := w.ask("GET", "/incidents/k7f3q9/remedies/restart-node", "")
	assert.Equal(t, 400, rec.Code)
	page = safe(t, rec)
	assert.Contains(t, page, "name one: node-1, node-2")
	assert.Contains(t, page, `name="target"`)
	p.planFail = fmt.Errorf("%w: the incident is resolved", tocsin.ErrConflict)
	assert.Equal(t, 409, w.ask("GET", "/incidents/k7f3q9/remedies/restart-node", "").Code)
	assert.Equal(t, 404, w.ask("GET", "/incidents/nobody/remedies/restart-node", "").Code)

	none := withIncident(t, server.Config{})
	for _, path := range []string{"/remediations", "/remediations/r1", "/incidents/k7f3q9/remedies/x"} {
		rec := none.ask("GET", path, "")
		assert.Equal(t, 404, rec.Code)
		safe(t, rec)
	}
	assert.NotContains(t, none.ask("GET", "/", "").Body.String(), `href="/remediations"`)
}

// To stop is one click behind a question; to go on wants a tick.
func TestTheKillSwitchOnThePage(t *testing.T) {
	t.Parallel()
	w, p := withPharmacy(t)
	page := safe(t, w.ask("GET", "/remediations", ""))
	assert.Contains(t, page, "Stop all remedies now")
	assert.Contains(t, page, "Waiting for an answer")
	rec := w.send("/remedies/stop", formOf())
	assert.Equal(t, "/remediations?done=remedies-stopped", rec.Header().Get("Location"))
	page = safe(t, w.ask("GET", "/remediations?done=remedies-stopped", ""))
	assert.Contains(t, page, "Everything is stopped")

	rec = w.send("/remedies/resume", formOf())
	assert.Equal(t, 400, rec.Code)
	assert.Contains(t, safe(t, rec), "tick the box")
	rec = w.send("/remedies/resume", formOf("sure", "yes", "remedy", "restart-node"))
	assert.Equal(t, 303, rec.Code)
	assert.Equal(t, []string{"stop  by page", "resume restart-node by page"}, p.did)
}
