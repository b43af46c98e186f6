package alertmanager_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/api/v2/client"
	"github.com/prometheus/alertmanager/api/v2/client/alertgroup"
	"github.com/prometheus/alertmanager/api/v2/client/general"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// karma is not to be had where the tests run: what it asks, in its order, and what
// it takes from the answers is done again here, after its source (cmd/karma/proxy.go,
// internal/alertmanager/models.go, internal/verprobe and internal/mapper/v017 of
// https://github.com/prymitive/karma). Like karma's, the client for all but silences
// is made from Alertmanager's description.

// karmaSilence is what karma decodes a silence into.
type karmaSilence struct {
	ID     string `json:"id"`
	Status struct {
		State string `json:"state"`
	} `json:"status"`
	Matchers []struct {
		IsEqual *bool  `json:"isEqual"`
		IsRegex bool   `json:"isRegex"`
		Name    string `json:"name"`
		Value   string `json:"value"`
	} `json:"matchers"`
	CreatedBy string    `json:"createdBy"`
	Comment   string    `json:"comment"`
	StartsAt  time.Time `json:"startsAt"`
	EndsAt    time.Time `json:"endsAt"`
	UpdatedAt time.Time `json:"updatedAt"`
}

// karmaAlert is an alert of karma's page, with the comments of the silences that
// it finds for it.
type karmaAlert struct {
	Fingerprint, Receiver, State, Source string
	Labels, Annotations                  map[string]string
	StartsAt                             time.Time
	InhibitedBy, Silences                []string
}

// karmaSees is what karma has after a poll.
type karmaSees struct {
	Version  string
	Peers    int
	Alerts   []karmaAlert
	Silences []string
}

// karmaVersion is how karma finds the version; "" where the metrics do not tell it,
// for which karma takes the newest.
func karmaVersion(t *testing.T, base, token string) string {
	t.Helper()
	resp := ask(t.Context(), t, "GET", base+"/metrics", "", "Authorization", "Bearer "+token)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	require.NoError(t, err, "karma takes this for a broken Alertmanager")
	for _, m := range families["alertmanager_build_info"].GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == "version" {
				return l.GetValue()
			}
		}
	}
	return ""
}

// karmaSilences is how karma reads silences: each alone from a stream.
func karmaSilences(t *testing.T, base, token string) map[string]karmaSilence {
	t.Helper()
	resp := ask(t.Context(), t, "GET", base+"/api/v2/silences", "", "Authorization", "Bearer "+token)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	d := json.NewDecoder(resp.Body)
	open, err := d.Token()
	require.NoError(t, err)
	require.Equal(t, json.Delim('['), open)
	out := map[string]karmaSilence{}
	for d.More() {
		var s karmaSilence
		require.NoError(t, d.Decode(&s))
		require.NotEmpty(t, s.ID)
		out[s.ID] = s
	}
	shut, err := d.Token()
	require.NoError(t, err)
	require.Equal(t, json.Delim(']'), shut)
	return out
}

// karmaPolls does one of karma's polls.
func karmaPolls(t *testing.T, base, token string) (sees karmaSees) {
	t.Helper()
	c := clientOf(base, token)
	sees.Version = karmaVersion(t, base, token)
	status, err := c.General.GetStatus(general.NewGetStatusParams().WithContext(t.Context()))
	require.NoError(t, err)
	require.NotEmpty(t, *status.Payload.Cluster.Status)
	sees.Peers = len(status.Payload.Cluster.Peers)
	silences := karmaSilences(t, base, token)
	for _, s := range silences {
		line := s.Status.State + " " + s.CreatedBy + " " + s.Comment
		for _, m := range s.Matchers {
			require.NotNil(t, m.IsEqual)
			line += fmt.Sprintf(" %s,%s,%t,%t", m.Name, m.Value, m.IsRegex, *m.IsEqual)
		}
		sees.Silences = append(sees.Silences, line)
	}
	slices.Sort(sees.Silences)
	groups, err := c.Alertgroup.GetAlertGroups(alertgroup.NewGetAlertGroupsParams().WithContext(t.Context()))
	require.NoError(t, err)
	for _, g := range groups.Payload {
		for _, a := range g.Alerts {
			seen := karmaAlert{
				Fingerprint: *a.Fingerprint, Receiver: *g.Receiver.Name, State: *a.Status.State, Source: a.GeneratorURL.String(),
				Labels: a.Labels, Annotations: a.Annotations, StartsAt: time.Time(*a.StartsAt).UTC(), InhibitedBy: a.Status.InhibitedBy,
			}
			for _, id := range a.Status.SilencedBy {
				require.Contains(t, silences, id, "karma shows no silence that it does not know")
				seen.Silences = append(seen.Silences, silences[id].Comment)
			}
			sees.Alerts = append(sees.Alerts, seen)
		}
	}
	slices.SortFunc(sees.Alerts, func(a, b karmaAlert) int {
		return strings.Compare(a.Receiver+a.Fingerprint+fmt.Sprint(a.Labels), b.Receiver+b.Fingerprint+fmt.Sprint(b.Labels))
	})
	return sees
}

// TestKarmaPolls: karma sees the same in Tocsin as in Alertmanager, but for the
// version.
func TestKarmaPolls(t *testing.T) {
	t.Parallel()
	w := scene(t)
	same(t, w, "what fires", func(c *client.AlertmanagerAPI) ([]groupSeen, error) { return question{}.groups(t, c) })
	want, got := karmaPolls(t, w.judge, ""), karmaPolls(t, w.tocsin, tokenOfKarma)
	require.Greater(t, len(want.Alerts), 7)
	require.Len(t, want.Silences, 2)
	assert.Empty(t, got.Version, "Tocsin is no version of Alertmanager")
	want.Version = ""
	assert.Equal(t, want, got)

	for _, header := range []string{"", "Bearer wrong"} {
		resp := ask(t.Context(), t, "GET", w.tocsin+"/api/v2/silences", "", "Authorization", header)
		assert.Equal(t, http.StatusUnauthorized, resp.StatusCode, "karma says so on its page")
	}
}

// karmaProxy is karma's proxy for silences, as it is with `proxy: true` and headers.
func karmaProxy(t *testing.T, upstream, token string) string {
	t.Helper()
	to, err := url.Parse(upstream)
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{
		Director: func(req *http.Request) { //nolint:staticcheck // it is how karma does it, and what it hands on depends on it
			req.URL.Scheme, req.URL.Host, req.Host = to.Scheme, to.Host, to.Host
			if token != "" {
				req.Header.Set("Authorization", "Bearer "+token)
			}
			req.Header.Del("Accept-Encoding")
		},
		ModifyResponse: func(resp *http.Response) error {
			resp.Header.Del("Content-Length")
			return nil
		},
	}
	mux := http.NewServeMux()
	mux.Handle("POST /proxy/alertmanager/tocsin/api/v2/silences", http.StripPrefix("/proxy/alertmanager/tocsin", proxy))
	mux.Handle("DELETE /proxy/alertmanager/tocsin/api/v2/silence/{id}", http.StripPrefix("/proxy/alertmanager/tocsin", proxy))
	karma := httptest.NewServer(mux)
	t.Cleanup(karma.Close)
	return karma.URL + "/proxy/alertmanager/tocsin"
}

// browser is what a browser sends karma: Origin and cookies go on to Tocsin.
func browser(t *testing.T, method, target, body string) (int, string) {
	t.Helper()
	resp := ask(t.Context(), t, method, target, body, "Content-Type", "application/json", "Origin", "http://karma.example.com:8080",
		"Referer", "http://karma.example.com:8080/?q=alertname", "Cookie", "__Host-tocsin_session=of-nobody; other=1", "User-Agent", "Mozilla/5.0")
	said, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, strings.TrimSpace(string(said))
}

// TestKarmaSilences makes, changes and ends a silence through karma's proxy.
func TestKarmaSilences(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.fire(t, theAlerts()[:2]...)
	for name, base := range map[string]string{"alertmanager": w.judge, "tocsin": w.tocsin} {
		token, by, why := "", "bo", "moved"
		if name == "tocsin" {
			token, by, why = tokenOfKarma, "karma", "moved [asked for by bo]"
		}
		proxy := karmaProxy(t, base, token)
		states := func(want ...string) {
			t.Helper()
			require.EventuallyWithT(t, func(col *assert.CollectT) {
				list, err := question{filter: []string{`alertname="NodeDown"`}}.alerts(t, clientOf(base, token))
				assert.NoError(col, err)
				got := []string{}
				for _, a := range list {
					got = append(got, a.Labels["instance"]+" "+a.State)
				}
				slices.Sort(got)
				assert.Equal(col, want, got)
			}, patience, 50*time.Millisecond, name)
		}
		states("a active", "b active")
		body := func(id, comment string) string {
			now := time.Now().UTC()
			v := map[string]any{
				"matchers": []any{map[string]any{"name": "instance", "value": "a", "isRegex": false, "isEqual": true}},
				"startsAt": now.Format(time.RFC3339), "endsAt": now.Add(time.Hour).Format(time.RFC3339), "createdBy": "bo", "comment": comment,
			}
			if id != "" {
				v["id"] = id
			}
			text, err := json.Marshal(v)
			require.NoError(t, err)
			return string(text)
		}
		code, said := browser(t, "POST", proxy+"/api/v2/silences", body("", "moved"))
		require.Equal(t, http.StatusOK, code, "%s: %s", name, said)
		var made struct {
			SilenceID string `json:"silenceID"`
		}
		require.NoError(t, json.Unmarshal([]byte(said), &made), "karma reads the ID of it")
		states("a suppressed", "b active")
		has := karmaSilences(t, base, token)[made.SilenceID]
		assert.Equal(t, []string{by, why, "active"}, []string{has.CreatedBy, has.Comment, has.Status.State}, name)

		code, said = browser(t, "POST", proxy+"/api/v2/silences", body(made.SilenceID, why))
		require.Equal(t, http.StatusOK, code, "%s: %s", name, said)
		require.NoError(t, json.Unmarshal([]byte(said), &made))
		assert.Equal(t, why, karmaSilences(t, base, token)[made.SilenceID].Comment, "%s: who asked is said once", name)

		code, said = browser(t, "DELETE", proxy+"/api/v2/silence/"+made.SilenceID, "")
		require.Equal(t, http.StatusOK, code, "%s: %s", name, said)
		states("a active", "b active")
		assert.Equal(t, "expired", karmaSilences(t, base, token)[made.SilenceID].Status.State, name)

		code, said = browser(t, "POST", proxy+"/api/v2/silences", strings.ReplaceAll(body("", "x"), `"isRegex":false`, `"isRegex":"maybe"`))
		assert.GreaterOrEqual(t, code, 400, name)
		assert.NotEmpty(t, said, "karma shows it")
	}
	for _, token := range []string{"", tokenOfEve, "wrong"} {
		code, said := browser(t, "DELETE", karmaProxy(t, w.tocsin, token)+"/api/v2/silence/k7f3q9", "")
		assert.Contains(t, []int{401, 403}, code, token)
		assert.Contains(t, said, `"message":`)
	}
}
