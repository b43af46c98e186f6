package fault

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
)

// onceAnswer is what making something is answered with.
type onceAnswer struct {
	ID       string `json:"id"`
	SilentID string `json:"silenceID"`
	Code     any    `json:"code"`
	Secret   string `json:"secret"`
	Incident struct {
		ID    string       `json:"id"`
		State tocsin.State `json:"state"`
	} `json:"incident"`
}

func (w *world) keyed(path, key, body string) (status int, replayed bool, a onceAnswer) {
	w.t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://"+w.addr+path, strings.NewReader(body))
	require.NoError(w.t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", key)
	resp, err := client.Do(req)
	require.NoError(w.t, err)
	defer resp.Body.Close()
	require.NoError(w.t, json.NewDecoder(resp.Body).Decode(&a))
	return resp.StatusCode, resp.Header.Get("Idempotency-Replayed") == "true", a
}

// count is how many a list of the API has.
func (w *world) count(path, field string) int {
	w.t.Helper()
	var list map[string]json.RawMessage
	require.Equal(w.t, http.StatusOK, w.send(http.MethodGet, path, nil, &list))
	var items []json.RawMessage
	require.NoError(w.t, json.Unmarshal(list[field], &items))
	return len(items)
}

// TestKeysOutliveKillNine makes one of each under a key, kills the program, and asks
// again: nothing is made a second time, whatever has become of it meanwhile.
func TestKeysOutliveKillNine(t *testing.T) {
	t.Parallel()
	w := newOnCall(t, "notify: [{schedule: primary}]")
	w.start()
	in := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
	bodies := map[string]string{
		"/api/v1/silences":  fmt.Sprintf(`{"matchers":["a=\"b\""],"endsAt":%q,"comment":"c","createdBy":"bo"}`, in(time.Hour)),
		"/api/v2/silences":  fmt.Sprintf(`{"matchers":[{"name":"a","value":"b","isRegex":false}],"startsAt":%q,"endsAt":%q,"comment":"c","createdBy":"bo"}`, in(0), in(time.Hour)),
		"/api/v1/overrides": fmt.Sprintf(`{"schedule":"primary","user":"bo","to":%q}`, in(time.Hour)),
		"/api/v1/incidents": `{"title":"the deploy is stuck"}`,
		"/api/v1/tokens":    `{"name":"ci","role":"viewer"}`,
	}
	first := map[string]onceAnswer{}
	for path, body := range bodies {
		status, replayed, a := w.keyed(path, "key-1", body)
		require.Equal(t, http.StatusOK, status, path)
		require.False(t, replayed, path)
		first[path] = a
	}
	form := url.Values{"name": {"page"}, "role": {"viewer"}, "days": {"30"}, "once": {"drawn-once"}}
	submit := func() (int, string) {
		resp, err := client.PostForm("http://"+w.addr+"/tokens", form)
		require.NoError(t, err)
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(b)
	}
	status, page := submit()
	require.Equal(t, http.StatusOK, status, page)
	require.Contains(t, page, "Copy it now")
	incident := first["/api/v1/incidents"].Incident.ID
	require.Equal(t, http.StatusOK, w.send(http.MethodPost, "/api/v1/incidents/"+incident+"/resolve", map[string]string{"by": "bo"}, nil))
	require.Equal(t, http.StatusOK, w.send(http.MethodPost, "/api/v1/overrides/"+first["/api/v1/overrides"].ID+"/cancel", map[string]string{"by": "bo"}, nil))

	w.kill()
	w.start()
	for path, body := range bodies {
		for range 2 {
			status, replayed, a := w.keyed(path, "key-1", body)
			if path == "/api/v1/tokens" {
				assert.Equal(t, http.StatusConflict, status)
				assert.Equal(t, "conflict", a.Code)
				assert.Empty(t, a.Secret)
				continue
			}
			assert.Equal(t, http.StatusOK, status, path)
			assert.True(t, replayed, path)
			assert.Equal(t, first[path].ID+first[path].SilentID+first[path].Incident.ID, a.ID+a.SilentID+a.Incident.ID, path)
		}
		status, _, a := w.keyed(path, "key-1", " "+body)
		assert.Equal(t, http.StatusUnprocessableEntity, status, path)
		if path != "/api/v2/silences" { // which says it as Alertmanager does
			assert.Equal(t, "key_reused", a.Code, path)
		}
	}
	status, page = submit()
	assert.Equal(t, http.StatusConflict, status)
	assert.Contains(t, page, "No other one was made.")
	_, _, a := w.keyed("/api/v1/incidents", "key-1", bodies["/api/v1/incidents"])
	assert.Equal(t, tocsin.Resolved, a.Incident.State, "as it is now")

	assert.Equal(t, 2, w.count("/api/v1/silences", "silences"), "one by each API")
	assert.Equal(t, 1, w.count("/api/v1/overrides", "overrides"))
	assert.Equal(t, 2, w.count("/api/v1/tokens", "tokens"), "one by the API, one by the page")
	for _, inc := range w.incidents() {
		assert.Equal(t, incident, inc.ID, "no second one")
	}
}
