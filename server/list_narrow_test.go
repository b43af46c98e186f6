package server_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// teamed is a store that asks Filter.Only, as every Reader does.
type teamed struct {
	reader
	list []*tocsin.Incident
}

func (r *teamed) List(_ context.Context, f tocsin.Filter) (out []*tocsin.Incident, _ error) {
	for _, i := range r.list {
		if (f.Only == nil || f.Only(i)) && (len(f.States) == 0 || slices.Contains(f.States, i.State)) {
			out = append(out, i)
		}
	}
	return out, nil
}

// ofTwoTeams has two teams, and an incident that both are told of.
func ofTwoTeams(d *server.Deps) {
	d.Reader = &teamed{list: []*tocsin.Incident{
		{ID: "i1", State: tocsin.Triggered, Severity: tocsin.Critical, Receivers: []string{"db"}, OpenedAt: now, Firing: 1, Alerts: 1},
		{ID: "i2", State: tocsin.Acknowledged, AcknowledgedBy: "ana", Severity: tocsin.Warning, Receivers: []string{"web-chat"}, OpenedAt: now, Firing: 1, Alerts: 1},
		{ID: "i3", State: tocsin.Triggered, Severity: tocsin.Error, Receivers: []string{"db", "web"}, OpenedAt: now, Firing: 1, Alerts: 1, Suppressed: 1},
		{ID: "i4", State: tocsin.Triggered, Severity: tocsin.Info, Receivers: []string{"everybody"}, OpenedAt: now, Firing: 1, Alerts: 1},
	}}
	d.Teams = func() []string { return []string{"db", "web"} }
	d.TeamReceivers = func(team string) []string {
		return map[string][]string{"db": {"db"}, "web": {"web", "web-chat"}}[team]
	}
}

func idsOf(t *testing.T, rec *httptest.ResponseRecorder) (ids []string) {
	t.Helper()
	require.Equal(t, 200, rec.Code, rec.Body.String())
	var answer struct{ Incidents []tocsin.Incident }
	require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &answer))
	for i := range answer.Incidents {
		ids = append(ids, answer.Incidents[i].ID)
	}
	return ids
}

func TestListOfATeam(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{}, ofTwoTeams)
	page := safe(t, w.ask("GET", "/?team=web", ""))
	assert.Equal(t, []string{"i2", "i3"}, rowsOf(page))
	assert.Contains(t, page, `<option value="web" selected>web</option>`)
	assert.Contains(t, page, `name="back" value="team=web"`, "who acknowledges comes back to the team's")
	assert.Equal(t, []string{"i1", "i3"}, rowsOf(w.ask("GET", "/?team=db&part=list", "").Body.String()), "what the script asks for")
	assert.Equal(t, []string{"i1", "i2", "i3", "i4"}, rowsOf(w.ask("GET", "/", "").Body.String()))
	assert.Equal(t, 400, w.ask("GET", "/?team=ops", "").Code)
	assert.NotContains(t, newWorld(t, server.Config{}).ask("GET", "/", "").Body.String(), `name="team"`, "where there are no teams")

	for query, want := range map[string][]string{
		"team=web": {"i2", "i3"}, "team=db&severity=error": {"i1", "i3"}, "severity=critical": {"i1"}, "severity=info": {"i1", "i2", "i3", "i4"},
		"state=triggered&team=web": {"i3"},
	} {
		assert.Equal(t, want, idsOf(t, w.ask("GET", "/api/v1/incidents?"+query, "")), query)
	}
	for _, query := range []string{"team=ops", "severity=bad", "mine=perhaps"} {
		rec := w.ask("GET", "/api/v1/incidents?"+query, "")
		assert.Equal(t, 400, rec.Code, "%s: %s", query, rec.Body.String())
	}
}

// People of a team narrow lists to it; another team is to them as one that there is
// not.
func TestListOfAnothersTeam(t *testing.T) {
	t.Parallel()
	w, _ := teamWorld(t)
	list := func(path string) *httptest.ResponseRecorder {
		return w.ask("GET", path, "", "Authorization", "Bearer tocsin_db_viewer")
	}
	assert.Equal(t, []string{ours}, idsOf(t, list("/api/v1/incidents?team=db")))
	other, none := list("/api/v1/incidents?team=web"), list("/api/v1/incidents?team=wob")
	assert.Equal(t, 400, other.Code)
	instance := regexp.MustCompile(`"instance":"[^"]*"`)
	assert.Equal(t, instance.ReplaceAllString(none.Body.String(), ""), instance.ReplaceAllString(regexp.MustCompile(`web`).ReplaceAllString(other.Body.String(), "wob"), ""))
	assert.Contains(t, list("/").Body.String(), `<option value="db">db</option>`)
	assert.NotContains(t, list("/").Body.String(), `<option value="web">`)
}

// What is held back is not told in red, and what nobody can acknowledge is not to be
// selected.
func TestListSaysWhatNeedsSomebody(t *testing.T) {
	t.Parallel()
	page := safe(t, newWorld(t, server.Config{}, ofTwoTeams).ask("GET", "/", ""))
	assert.Contains(t, page, `<span class="state triggered held">triggered, suppressed</span>`)
	assert.Contains(t, page, `<span class="state triggered">triggered</span>`)
	assert.Contains(t, page, `name="id" value="i1"`)
	assert.NotContains(t, page, `name="id" value="i2"`, "ana has it")
	w := newWorld(t, server.Config{}, ofTwoTeams)
	assert.NotContains(t, w.ask("GET", "/?state=acknowledged", "").Body.String(), "Acknowledge selected")
}
