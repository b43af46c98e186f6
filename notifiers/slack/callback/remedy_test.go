package callback_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/callback"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// medicine keeps runs of remedies.
type medicine struct {
	mu   sync.Mutex
	runs map[string]tocsin.Remediation
	did  []string
	err  error
}

func (m *medicine) Remediation(_ context.Context, id string) (tocsin.Remediation, string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.runs[id]
	if !ok {
		return r, "", tocsin.ErrNotFound
	}
	return r, "", nil
}

func (m *medicine) Answer(_ context.Context, id, by string, approve bool) (tocsin.Remediation, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil {
		m.did = append(m.did, fmt.Sprint(id, " ", approve, " ", by))
	}
	return m.runs[id], m.err
}

func (m *medicine) Plan(_ context.Context, incident, remedy, target string) ([]tocsin.RemedyPlan, error) {
	return []tocsin.RemedyPlan{
		{Remedy: remedy, Incident: incident, Target: target, Argv: []string{"/opt/restart", "node-3\n<!channel>"}, Precheck: "yes", Refused: []string{"the budget is used up"}},
	}, nil
}

func (m *medicine) all() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string(nil), m.did...)
}

func withRemedy(t *testing.T, opts ...option) (*world, *medicine) {
	t.Helper()
	m := &medicine{runs: map[string]tocsin.Remediation{}}
	for id, inc := range map[string]string{"r1": "k7f3q9", "r9": "zzzzzz"} {
		m.runs[id] = tocsin.Remediation{
			ID: id, Remedy: "restart-node", Incident: inc, Target: "node-3", Mode: tocsin.ModeApprove,
			State: tocsin.RemediationProposed, Needs: 2, ExpiresAt: time.Now().Add(time.Minute),
		}
	}
	w := newWorld(t, append(opts, func(_ *callback.Config, d *callback.Deps, _ *slacktest.Callbacks) { d.Remedies = m })...)
	w.runs = []tocsin.Remediation{m.runs["r1"]}
	w.open("k7f3q9")
	return w, m
}

func TestARemedyIsApprovedInSlack(t *testing.T) {
	t.Parallel()
	w, m := withRemedy(t)
	shown := string(w.message("k7f3q9").Blocks)
	assert.Contains(t, shown, "`restart-node` of `node-3`: proposed, 0 of 2 approvals")
	assert.Contains(t, shown, "Approve this remedy?", "it cannot be taken back, so it asks")
	assert.Equal(t, http.StatusOK, w.click("k7f3q9", ana, slack.ActionApprove).Status)
	assert.Equal(t, http.StatusOK, w.click("k7f3q9", bo, slack.ActionDeny).Status)
	assert.Equal(t, []string{"r1 true ana", "r1 false bo"}, m.all())
	assert.Empty(t, w.slack.Ephemerals(""), "a success needs no words")

	m.err = fmt.Errorf("%w: ana is no approver of restart-node", tocsin.ErrConflict)
	w.click("k7f3q9", ana, slack.ActionApprove)
	assert.Contains(t, w.told(ana), "Nothing was done: ana is no approver")
	m.err = errors.New("the disk is full")
	assert.Equal(t, http.StatusServiceUnavailable, w.click("k7f3q9", ana, slack.ActionApprove).Status)
}

func TestARemedysPlanIsSaid(t *testing.T) {
	t.Parallel()
	w, m := withRemedy(t)
	w.click("k7f3q9", bo, slack.ActionPlan)
	said := w.told(bo)
	for _, want := range []string{"/opt/restart", "Precheck: yes", "It would not run: the budget is used up"} {
		assert.Contains(t, said, want)
	}
	assert.NotContains(t, said, "<!channel>")
	assert.Empty(t, m.all(), "a plan does nothing")
}

func TestARemedyIsRefused(t *testing.T) {
	t.Parallel()
	w, m := withRemedy(t, func(_ *callback.Config, d *callback.Deps, _ *slacktest.Callbacks) {
		d.Person = boViews
	})
	w.click("k7f3q9", guest, slack.ActionApprove)
	assert.Contains(t, w.told(guest), "does not know who you are")
	w.click("k7f3q9", bo, slack.ActionApprove)
	assert.Contains(t, w.told(bo), "no right to respond")

	payload, err := w.slack.ClickPayload("#incidents", w.message("k7f3q9").TS, ana, slack.ActionApprove)
	require.NoError(t, err)
	for old, forged := range map[string]string{
		`k7f3q9:r1`: `k7f3q9:r9`, `tocsin_remedy:k7f3q9`: `tocsin_remedy:zzzzzz`, `"value":"k7f3q9:r1"`: `"value":"k7f3q9"`,
	} {
		require.True(t, bytes.Contains(payload, []byte(old)), old)
		a, err := w.slack.Interact(bytes.ReplaceAll(payload, []byte(old), []byte(forged)))
		require.NoError(t, err)
		assert.Equal(t, http.StatusBadRequest, a.Status, forged)
	}
	assert.Empty(t, m.all(), "nothing was done")
	assert.Positive(t, w.logs.lines("refused"))
	m.mu.Lock()
	delete(m.runs, "r1")
	m.mu.Unlock()
	w.click("k7f3q9", ana, slack.ActionApprove)
	assert.Contains(t, w.told(ana), "not kept any more")
}
