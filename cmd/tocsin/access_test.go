package main

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/test/leak"
)

// typed runs a documented command of tocsin with more flags.
func typed(t *testing.T, line string, more ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), append(strings.Fields(strings.TrimPrefix(line, "tocsin ")), more...), &o, &e)
	leak.Said(t, o.String(), e.String())
	return code, o.String(), e.String()
}

// TestAccessDocument loads each configuration of docs/access.md, and runs each
// command: those with --config.file on a server that is stopped, the others on one
// that runs.
func TestAccessDocument(t *testing.T) {
	t.Parallel()
	r := startApp(t)
	base := string(read(t, r.file))
	offline := ""
	madeID := regexp.MustCompile(`token (\w{6}) for`)
	made := ""
	for _, f := range documentFences(t, "../../docs/access.md") {
		if f.lang == "yaml" {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "oidc.secret"), []byte("canary"), 0o600))
			file := filepath.Join(dir, "tocsin.yml")
			whole := "storage: {path: data}\n" + f.text
			if !strings.Contains(f.text, "receivers:") {
				whole += "route: {receiver: hook}\nreceivers: [{name: hook, webhook_configs: [{url: \"http://127.0.0.1:9/\"}]}]\n"
			}
			require.NoError(t, os.WriteFile(file, []byte(whole), 0o600))
			_, warnings, err := config.Load(file)
			require.NoError(t, err, f.text)
			assert.Empty(t, warnings, f.text)
			if offline == "" {
				offline = file
			}
			continue
		}
		for line := range strings.Lines(f.text) {
			switch line = strings.TrimSpace(line); {
			case strings.HasPrefix(line, "curl"):
				status, body := curl(t, r.url, strings.Replace(line, "$TOKEN", made, 1))
				assert.Equal(t, 200, status, body)
				assert.Contains(t, body, `"name":"ci","role":"responder"`)
			case strings.Contains(line, "--config.file"):
				code, out, errOut := typed(t, strings.Replace(line, "--config.file tocsin.yml", "", 1), "--config.file", offline)
				require.Equal(t, 0, code, errOut)
				assert.Regexp(t, `^tocsin_[A-Z2-7]{59}\n$`, out)
				assert.Contains(t, errOut, "there was no store yet: "+filepath.Join(filepath.Dir(offline), "data", "tocsin.db"))
			case strings.Contains(line, "revoke"):
				created, _, id := typed(t, "token create --name x --role viewer", "--server.url", r.url)
				require.Equal(t, 0, created, id)
				code, out, errOut := typed(t, strings.Replace(line, "k7f3q9", madeID.FindStringSubmatch(id)[1], 1), "--server.url", r.url)
				require.Equal(t, 0, code, errOut)
				assert.Contains(t, out, "is revoked")
			default:
				code, out, errOut := typed(t, line, "--server.url", r.url)
				require.Equal(t, 0, code, line+"\n"+errOut)
				if strings.Contains(line, "--name ci") {
					made = strings.TrimSpace(out)
				}
			}
		}
	}
	require.NotEmpty(t, made)
	assert.NotContains(t, base, made)
}

// TestTokensOfTheTerminal: made, listed, used, refused, revoked.
func TestTokensOfTheTerminal(t *testing.T) {
	t.Parallel()
	r := startApp(t)
	at := []string{"--server.url", r.url}
	code, out, errOut := typed(t, "tocsin token create --name ci --role viewer --expires 90d", at...)
	require.Equal(t, 0, code, errOut)
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte(out), 0o600))
	withToken := append([]string{"--server.token-file", file}, at...)

	code, out, errOut = typed(t, "tocsin token list", at...)
	require.Equal(t, 0, code, errOut)
	assert.Regexp(t, `ci +viewer +.*never`, out)
	code, out, _ = typed(t, "tocsin incidents", withToken...)
	assert.Equal(t, 0, code, out)
	code, _, errOut = typed(t, "tocsin token list", withToken...)
	assert.Equal(t, 1, code)
	assert.Contains(t, errOut, "the role viewer has not")
	code, out, errOut = typed(t, "tocsin token list --output json", at...)
	require.Equal(t, 0, code, errOut)
	assert.Contains(t, out, `"usedAt"`)

	id := regexp.MustCompile(`"id": "(\w{6})"`).FindStringSubmatch(out)
	require.NotNil(t, id, out)
	code, _, errOut = typed(t, "tocsin token revoke "+id[1], at...)
	require.Equal(t, 0, code, errOut)
	code, _, errOut = typed(t, "tocsin incidents", withToken...)
	assert.Equal(t, 1, code, "not even on this machine")
	assert.Contains(t, errOut, "token")
	code, _, errOut = typed(t, "tocsin token revoke "+id[1], at...)
	assert.Equal(t, 1, code)
	assert.Contains(t, errOut, "there is no token "+id[1])

	for _, wrong := range []string{"0s", "-1d", "soon", ""} {
		code, _, errOut = typed(t, "tocsin token create --name ci --role viewer --expires="+wrong, at...)
		assert.Equal(t, 1, code, wrong)
		assert.Contains(t, errOut, "such as 90d, or never")
	}
	code, _, errOut = typed(t, "tocsin token create --name ci --role root", at...)
	assert.NotEqual(t, 0, code)
	assert.Contains(t, errOut, "viewer")
	code, _, errOut = typed(t, "tocsin token list --config.file "+r.file)
	assert.Equal(t, 1, code)
	assert.Contains(t, errOut, "leave --config.file out", "the server has the store")
}

// A reload changes who may come in, and does not ask who is here to log in again.
func TestAccessReload(t *testing.T) {
	t.Parallel()
	r := startApp(t)
	code, out, errOut := typed(t, "tocsin token create --name ci --role admin", "--server.url", r.url)
	require.Equal(t, 0, code, errOut)
	ask := func(token string) int {
		req, err := http.NewRequest(http.MethodGet, r.url+"/api/v1/me", nil)
		require.NoError(t, err)
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		return resp.StatusCode
	}
	made := strings.TrimSpace(out)
	require.Equal(t, []int{200, 200, 401}, []int{ask(""), ask(made), ask("canary-of-the-configuration")})
	text := strings.Replace(string(read(t, r.file)), `server: {`, `server: {api_tokens: ["wall:viewer:canary-of-the-configuration"], `, 1)
	require.NoError(t, os.WriteFile(r.file, []byte(text), 0o600))
	require.NoError(t, r.app.Reload(t.Context()))
	require.Equal(t, []int{401, 200, 200}, []int{ask(""), ask(made), ask("canary-of-the-configuration")}, "this machine needs one now")
}

// acted remembers what was done, to one incident.
type acted struct {
	tocsin.Incident
	done []tocsin.Action
}

func (a *acted) Act(_ context.Context, _ string, action tocsin.Action) error {
	a.done = append(a.done, action)
	return nil
}

func (a *acted) Get(_ context.Context, id string) (*tocsin.Incident, error) {
	if id != a.ID {
		return nil, tocsin.ErrNotFound
	}
	return &a.Incident, nil
}

// What somebody does in PagerDuty is held to what they may do here: everywhere, or
// in their teams.
func TestRolesInPagerDuty(t *testing.T) {
	t.Parallel()
	a := &App{}
	a.entrance.rules.Store(wireRules(&config.Config{
		Users: []config.User{
			{Name: "ana", Role: "responder"},
			{Name: "boss", Role: "viewer"},
			{Name: "web", Role: "none"},
			{Name: "lead", Role: "none"},
			{Name: "dba", Role: "none"},
			{Name: "called", Role: "none"},
		},
		Teams:     []config.Team{{Name: "web", Users: []string{"web"}, Role: "responder"}, {Name: "watch", Users: []string{"lead"}, Role: "viewer"}, {Name: "db", Users: []string{"dba"}, Role: "manager"}},
		Receivers: []config.Receiver{{Name: "web-pager", Team: "web"}, {Name: "watchers", Team: "watch"}, {Name: "db", Team: "db"}},
	}))
	it := &acted{Incident: tocsin.Incident{
		ID: "k7f3q9", Receivers: []string{"web-pager", "watchers"}, Deliveries: []tocsin.Delivery{{Target: "pagerduty:x", User: "called"}},
	}}
	r := responders{it, it, a.person}
	for by, may := range map[string]bool{
		"ana": true, "PagerDuty: eve": true, "PagerDuty": true, "web": true, "called": true, "boss": false, "lead": false, "dba": false,
	} {
		for _, kind := range []tocsin.ActionKind{
			tocsin.ActAcknowledge, tocsin.ActUnacknowledge, tocsin.ActResolve, tocsin.ActReopen, tocsin.ActAddResponder, tocsin.ActSeverity,
			tocsin.ActNote, tocsin.ActSeen,
		} {
			it.done = nil
			err := r.Act(t.Context(), "k7f3q9", tocsin.Action{Kind: kind, By: by})
			if may || kind == tocsin.ActNote || kind == tocsin.ActSeen {
				require.NoError(t, err, "%s %s", by, kind)
				require.Len(t, it.done, 1, "%s %s", by, kind)
				continue
			}
			require.ErrorIs(t, err, tocsin.ErrConflict, "%s %s", by, kind)
			assert.ErrorContains(t, err, by+" has no right to respond here")
			assert.Empty(t, it.done, "%s %s", by, kind)
		}
	}
	require.ErrorIs(t, r.Act(t.Context(), "zzzzzz", tocsin.Action{Kind: tocsin.ActAcknowledge, By: "ana"}), tocsin.ErrNotFound)
}
