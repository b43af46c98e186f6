package alertmanager_test

import (
	"encoding/json"
	"fmt"
	"go/build"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/api/v2/models"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// Grafana is not to be had where the tests run: what its Alertmanager data source
// asks with the implementation "prometheus", and what it takes from the answers, is
// done again here, after its source (public/app/plugins/datasource/alertmanager,
// public/app/features/alerting/unified/api/alert*Api.ts and buildInfo.ts,
// pkg/services/ngalert/api/lotex_am.go of https://github.com/grafana/grafana). Its
// server reads the answers into the models of Alertmanager's client, its pages what
// grafanaAlert and the like have.

type (
	grafanaAlert struct {
		StartsAt, UpdatedAt, EndsAt time.Time
		GeneratorURL                string
		Labels, Annotations         map[string]string
		Receivers                   []struct{ Name string }
		Fingerprint                 string
		Status                      struct {
			State                   string
			SilencedBy, InhibitedBy []string
		}
	}
	grafanaGroup struct {
		Labels   map[string]string
		Receiver struct{ Name string }
		Alerts   []grafanaAlert
	}
	grafanaSilence struct {
		ID       string
		Matchers []struct {
			Name, Value      string
			IsRegex, IsEqual *bool
		}
		StartsAt, EndsAt, UpdatedAt time.Time
		CreatedBy, Comment          string
		Status                      struct{ State string }
	}
)

// grafana is the data source.
type grafana struct {
	t           *testing.T
	base, token string
}

// do makes a request as Grafana's server does, with the data source's own header.
func (g grafana) do(method, path, body string) *http.Response {
	g.t.Helper()
	return ask(g.t.Context(), g.t, method, g.base+path, body, "Authorization", "Bearer "+g.token, "Content-Type", "application/json",
		"Accept", "application/json, text/plain, */*", "User-Agent", "Grafana/12.2.0", "X-Grafana-Org-Id", "1", "X-Datasource-Uid", "am")
}

// get reads an answer as the pages do, after the server has read it into its model.
func get[T, Model any](g grafana, path string) (v T) {
	g.t.Helper()
	resp := g.do("GET", path, "")
	require.Equal(g.t, http.StatusOK, resp.StatusCode, path)
	var m Model
	require.NoError(g.t, json.NewDecoder(resp.Body).Decode(&m), path)
	text, err := json.Marshal(m) // the server encodes it anew
	require.NoError(g.t, err)
	require.NoError(g.t, json.Unmarshal(text, &v), path)
	return v
}

// works is the button Save & test.
func (g grafana) works() string {
	g.do("GET", "/api/v1/status/buildinfo", "") // whatever it says, but for Mimir's name
	if g.do("GET", "/alertmanager/api/v2/status", "").StatusCode == http.StatusOK {
		return "It looks like you have chosen Prometheus implementation, but detected a Mimir or Cortex endpoint."
	}
	if g.do("GET", "/api/v2/status", "").StatusCode == http.StatusOK {
		return "Health check passed."
	}
	return "Health check failed."
}

func TestGrafana(t *testing.T) {
	t.Parallel()
	w := scene(t)
	g := grafana{t, w.tocsin, tokenOfAna}
	assert.Equal(t, "Health check passed.", g.works())
	assert.Equal(t, "Health check failed.", grafana{t, w.tocsin, "wrong"}.works())
	grafanaLists(t, w)
	grafanaSilences(t, g)
	grafanaStatus(t, g)
}

// grafanaLists compares what the pages list with what they list of an Alertmanager.
func grafanaLists(t *testing.T, w *world) {
	t.Helper()
	both := []grafana{{t, w.judge, ""}, {t, w.tocsin, tokenOfAna}}
	matchers := "filter=" + url.QueryEscape(`alertname="NodeDown"`) + "&filter=" + url.QueryEscape(`instance=~"a|b"`)
	for _, query := range []string{
		"", "?silenced=true&active=true&inhibited=true", "?silenced=false&active=true&inhibited=false&unprocessed=false", "?" + matchers,
		"?" + matchers + "&silenced=true&active=false", "?receiver=page&active=true",
	} {
		var alerts, groups [2][]string
		for n, g := range both {
			for _, a := range get[[]grafanaAlert, models.GettableAlerts](g, "/api/v2/alerts"+query) {
				alerts[n] = append(alerts[n], lineOf(t, a))
			}
			for _, group := range get[[]grafanaGroup, models.AlertGroups](g, "/api/v2/alerts/groups"+query) {
				require.NotEmpty(t, group.Receiver.Name)
				for _, a := range group.Alerts {
					groups[n] = append(groups[n], fmt.Sprint(group.Receiver.Name, group.Labels, lineOf(t, a)))
				}
			}
			slices.Sort(groups[n])
		}
		assert.NotEmpty(t, alerts[0], query)
		assert.Equal(t, alerts[0], alerts[1], query)
		assert.Equal(t, groups[0], groups[1], query)
	}
}

// lineOf is what a page shows of an alert. Its lists must be there: they are counted.
func lineOf(t *testing.T, a grafanaAlert) string {
	t.Helper()
	require.NotNil(t, a.Annotations)
	require.NotEmpty(t, a.Receivers)
	require.NotNil(t, a.Status.SilencedBy)
	require.NotNil(t, a.Status.InhibitedBy)
	require.False(t, a.UpdatedAt.IsZero() || a.EndsAt.IsZero())
	return fmt.Sprint(a.Fingerprint, a.Labels, a.Annotations, a.GeneratorURL, a.StartsAt.UTC(), a.Status.State, len(a.Status.SilencedBy), a.Status.InhibitedBy)
}

// grafanaSilences makes a silence, changes it, and ends it, by the pages' forms.
func grafanaSilences(t *testing.T, g grafana) {
	t.Helper()
	post := func(id, comment string) string {
		t.Helper()
		now := time.Now().UTC()
		payload := map[string]any{
			"startsAt": now.Format("2006-01-02T15:04:05.000Z"), "endsAt": now.Add(2 * time.Hour).Format("2006-01-02T15:04:05.000Z"),
			"comment": comment, "createdBy": "grafana-user",
			"matchers": []any{map[string]any{"name": "alertname", "value": "NodeDown", "isRegex": false, "isEqual": true}},
		}
		if id != "" {
			payload["id"] = id
		}
		text, err := json.Marshal(payload)
		require.NoError(t, err)
		var read models.PostableSilence // Grafana's server does so before it sends it on
		require.NoError(t, json.Unmarshal(text, &read))
		text, err = json.Marshal(read)
		require.NoError(t, err)
		resp := g.do("POST", "/api/v2/silences", string(text))
		require.Equal(t, http.StatusOK, resp.StatusCode)
		var made struct {
			SilenceID string `json:"silenceID"`
		}
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&made))
		require.NotEmpty(t, made.SilenceID)
		return made.SilenceID
	}
	one := func(id string) grafanaSilence {
		t.Helper()
		return get[grafanaSilence, models.GettableSilence](g, "/api/v2/silence/"+id+"?ruleMetadata=true&accesscontrol=true")
	}
	id := post("", "by grafana")
	s := one(id)
	assert.Equal(t, []string{id, "active", "ana", "by grafana [asked for by grafana-user]"}, []string{s.ID, s.Status.State, s.CreatedBy, s.Comment})
	require.Len(t, s.Matchers, 1)
	assert.True(t, *s.Matchers[0].IsEqual && !*s.Matchers[0].IsRegex)
	assert.False(t, s.UpdatedAt.IsZero())
	id = post(id, "longer")
	list := get[[]grafanaSilence, models.GettableSilences](g, "/api/v2/silences?ruleMetadata=true&accesscontrol=true")
	at := slices.IndexFunc(list, func(s grafanaSilence) bool { return s.ID == id })
	require.GreaterOrEqual(t, at, 0)
	assert.Contains(t, list[at].Comment, "longer")

	resp := g.do("DELETE", "/api/v2/silence/"+id, "")
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	assert.Equal(t, "expired", one(id).Status.State)
	resp = g.do("GET", "/api/v2/silence/nobody?ruleMetadata=true&accesscontrol=true", "")
	assert.Equal(t, http.StatusNotFound, resp.StatusCode)
	assert.Contains(t, resp.Header.Get("Content-Type"), "application/json")
}

// grafanaStatus reads the configuration in the status as Grafana's server does:
// it is YAML, and a page shows its routes and receivers.
func grafanaStatus(t *testing.T, g grafana) {
	t.Helper()
	resp := g.do("GET", "/api/v2/status", "")
	var s models.AlertmanagerStatus
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&s))
	var config struct {
		Route     struct{ Receiver string }
		Receivers []struct{ Name string }
	}
	require.NoError(t, yaml.Unmarshal([]byte(*s.Config.Original), &config))
	names := []string{}
	for _, r := range config.Receivers {
		names = append(names, r.Name)
	}
	assert.ElementsMatch(t, []string{"chat", "page"}, names)
	assert.Contains(t, names, config.Route.Receiver)
	assert.NotEmpty(t, *s.VersionInfo.Version)

	amtool, err := exec.LookPath("amtool")
	if err != nil {
		amtool = filepath.Join(build.Default.GOPATH, "bin", "amtool")
	}
	if _, err := os.Stat(amtool); err != nil {
		t.Log("amtool is not installed: that it is a configuration that Alertmanager loads was not looked at")
		return
	}
	file := filepath.Join(t.TempDir(), "alertmanager.yml")
	require.NoError(t, os.WriteFile(file, []byte(*s.Config.Original), 0o600))
	said, err := exec.CommandContext(t.Context(), amtool, "check-config", file).CombinedOutput()
	require.NoError(t, err, "%s", said)
}
