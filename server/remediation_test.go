package server_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// medicine is remedies that remember what was asked of them.
type medicine struct {
	did     []string
	stopped []string
	err     error
}

var dose = tocsin.Remediation{ID: "r1", Remedy: "restart-node", Incident: "k7f3q9", Target: "node-3", Mode: tocsin.ModeApprove, State: tocsin.RemediationProposed, ProposedAt: now}

func (m *medicine) Remedies(context.Context) ([]tocsin.Remedy, []string, error) {
	return []tocsin.Remedy{{Name: "restart-node", Mode: tocsin.ModeApprove, Matchers: []string{`alertname="NodeDown"`}}}, m.stopped, m.err
}

func (m *medicine) Remediations(_ context.Context, incident string) ([]tocsin.Remediation, error) {
	if incident != "" && incident != dose.Incident {
		return nil, m.err
	}
	return []tocsin.Remediation{dose}, m.err
}

func (m *medicine) Remediation(_ context.Context, id string) (tocsin.Remediation, string, error) {
	if id != dose.ID {
		return tocsin.Remediation{}, "", tocsin.ErrNotFound
	}
	return dose, "restarted\n", m.err
}

func (m *medicine) Plan(_ context.Context, incident, remedy, target string) ([]tocsin.RemedyPlan, error) {
	if incident != dose.Incident {
		return nil, tocsin.ErrNotFound
	}
	return []tocsin.RemedyPlan{{Remedy: "restart-node", Incident: incident, Target: target, Argv: []string{"/x", "node-3"}, Refused: []string{remedy}}}, m.err
}

func (m *medicine) Remediate(_ context.Context, incident, remedy, target, by string) (tocsin.Remediation, error) {
	m.did = append(m.did, fmt.Sprint("run ", incident, " ", remedy, " ", target, " by ", by))
	return dose, m.err
}

func (m *medicine) Answer(ctx context.Context, id, by string, approve bool) (tocsin.Remediation, error) {
	if id != dose.ID {
		return dose, tocsin.ErrNotFound
	}
	if err := tocsin.Allowed(ctx, &dose); err != nil {
		return dose, err
	}
	m.did = append(m.did, fmt.Sprint(id, " ", approve, " by ", by))
	return dose, m.err
}

func (m *medicine) Stop(_ context.Context, remedy, by string) error {
	m.did, m.stopped = append(m.did, fmt.Sprint("stop ", remedy, " by ", by)), []string{remedy}
	return m.err
}

func (m *medicine) Resume(_ context.Context, remedy, by string) error {
	m.did, m.stopped = append(m.did, fmt.Sprint("resume ", remedy, " by ", by)), nil
	return m.err
}

func TestRemedies(t *testing.T) {
	t.Parallel()
	m := &medicine{}
	w := withIncident(t, server.Config{}, func(d *server.Deps) { d.Remedies, d.Remediator = m, m })
	const api = "/api/v1"
	for path, want := range map[string]string{
		"/remedies": "restart-node", "/remediations": "r1", "/remediations?incident=k7f3q9": "r1", "/remediations?incident=other": "[]",
		"/remediations/r1": "restarted", "/incidents/k7f3q9/remedies?remedy=restart-node&target=node-3": "node-3",
	} {
		rec := w.ask("GET", api+path, "")
		require.Equal(t, 200, rec.Code, "%s %s", path, rec.Body)
		assert.Contains(t, rec.Body.String(), want, path)
	}
	for _, path := range []string{"/remediations/r2", "/incidents/nobody/remedies"} {
		assert.Equal(t, 404, w.ask("GET", api+path, "").Code, path)
	}
	for path, body := range map[string]string{
		"/incidents/k7f3q9/remediate": `{"remedy":"restart-node","target":"node-3","by":"ana"}`,
		"/remediations/r1/approve":    `{"by":"bo"}`, "/remediations/r1/deny": ``,
		"/remedies/stop": `{"by":"ana"}`, "/remedies/resume": `{"remedy":"restart-node"}`,
	} {
		assert.Equal(t, 200, w.ask("POST", api+path, body).Code, path)
	}
	assert.ElementsMatch(t, []string{
		"run k7f3q9 restart-node node-3 by ana", "r1 true by bo", "r1 false by api", "stop  by ana", "resume restart-node by api",
	}, m.did)

	m.did = nil
	for body, field := range map[string]string{`{}`: "remedy", `{"remedy":"a\u202e"}`: "remedy", `{"remedy":"x","force":true}`: "force"} {
		rec := w.ask("POST", api+"/incidents/k7f3q9/remediate", body)
		assert.Equal(t, 400, rec.Code, body)
		assert.Equal(t, field, refusal(t, rec).Error.Field, body)
	}
	assert.Empty(t, m.did, "what is refused reaches nobody")
	m.err = fmt.Errorf("%w: the budget is used up until 09:00", tocsin.ErrConflict)
	rec := w.ask("POST", api+"/remediations/r1/approve", `{}`)
	assert.Equal(t, 409, rec.Code)
	assert.Contains(t, rec.Body.String(), "budget")

	none := withIncident(t, server.Config{})
	assert.Equal(t, 404, none.ask("GET", api+"/remedies", "").Code)
	assert.Equal(t, 404, none.ask("POST", api+"/remedies/stop", "{}").Code)
}
