package alertmanager_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/prometheus/alertmanager/api/v2/client"
	"github.com/prometheus/alertmanager/api/v2/client/silence"
	"github.com/prometheus/alertmanager/api/v2/models"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func matcher(name, value string, regex, equal bool) *models.Matcher {
	return &models.Matcher{Name: &name, Value: &value, IsRegex: &regex, IsEqual: &equal}
}

// posted is a silence that begins now.
func posted(id, comment string, lasts time.Duration, ms ...*models.Matcher) *models.PostableSilence {
	now := time.Now()
	return &models.PostableSilence{ID: id, Silence: models.Silence{
		Matchers: ms, StartsAt: ptr(strfmt.DateTime(now)), EndsAt: ptr(strfmt.DateTime(now.Add(lasts))), CreatedBy: ptr("ana"), Comment: &comment,
	}}
}

func put(t *testing.T, c *client.AlertmanagerAPI, s *models.PostableSilence) (string, error) {
	t.Helper()
	got, err := c.Silence.PostSilences(silence.NewPostSilencesParams().WithContext(t.Context()).WithSilence(s))
	if err != nil {
		return "", err
	}
	return got.Payload.SilenceID, nil
}

// silenced makes a silence, or changes one, and returns its ID.
func silenced(t *testing.T, c *client.AlertmanagerAPI, id, comment string, lasts time.Duration, ms ...*models.Matcher) string {
	t.Helper()
	made, err := put(t, c, posted(id, comment, lasts, ms...))
	require.NoError(t, err)
	require.NotEmpty(t, made)
	return made
}

// silenceSeen is a silence as both must show it, but for its ID and times that they
// were not told.
type silenceSeen struct {
	By, Comment, State string
	Matchers           models.Matchers
	Starts, Ends       time.Time
	Changed            bool
}

func silencesSeen(t *testing.T, c *client.AlertmanagerAPI, filter ...string) ([]silenceSeen, error) {
	t.Helper()
	got, err := c.Silence.GetSilences(silence.NewGetSilencesParams().WithContext(t.Context()).WithFilter(filter))
	if err != nil {
		return nil, err
	}
	out := []silenceSeen{}
	for _, s := range got.Payload {
		require.NoError(t, s.Validate(strfmt.Default))
		slices.SortFunc(s.Matchers, func(a, b *models.Matcher) int { return strings.Compare(*a.Name, *b.Name) })
		out = append(out, silenceSeen{
			By: *s.CreatedBy, Comment: *s.Comment, State: *s.Status.State, Matchers: s.Matchers, Changed: !time.Time(*s.UpdatedAt).IsZero(),
			// When each was told is a moment apart.
			Starts: time.Time(*s.StartsAt).UTC().Truncate(time.Hour), Ends: time.Time(*s.EndsAt).UTC().Truncate(time.Hour),
		})
	}
	return out, nil
}

// TestSilences takes silences through their life in both.
func TestSilences(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.fire(t, theAlerts()[:2]...)
	states := func(want ...string) {
		t.Helper()
		same(t, w, "states", func(c *client.AlertmanagerAPI) ([]string, error) {
			list, err := question{}.alerts(t, c)
			got := []string{}
			for _, a := range list {
				got = append(got, a.Labels["instance"]+" "+a.State+" "+strings.Join(a.Silenced, ", "))
			}
			slices.Sort(got)
			if err == nil && !slices.Equal(want, got) {
				err = fmt.Errorf("want %q, is %q", want, got)
			}
			return got, err
		})
	}
	listed := func(filter ...string) []silenceSeen {
		t.Helper()
		return same(t, w, "silences", func(c *client.AlertmanagerAPI) ([]silenceSeen, error) { return silencesSeen(t, c, filter...) })
	}
	states("a active ", "b active ")
	ids := map[string][]string{}
	for name, c := range w.both() {
		first := silenced(t, c, "", "moved", time.Hour, matcher("instance", "a", false, true))
		later := posted("", "later", 0, matcher("instance", "b|x", true, true), matcher("team", "y", false, false), matcher("x", "(z)+", true, false))
		later.StartsAt, later.EndsAt = ptr(strfmt.DateTime(time.Now().Add(24*time.Hour))), ptr(strfmt.DateTime(time.Now().Add(48*time.Hour)))
		second, err := put(t, c, later)
		require.NoError(t, err)
		ids[name] = []string{first, second}
	}
	states("a suppressed moved", "b active ")
	assert.Len(t, listed(), 2)
	assert.Len(t, listed(`instance="a"`), 1)
	assert.Len(t, listed(`instance=~"b|x"`, `team!="y"`), 1)
	assert.Empty(t, listed(`instance="b"`), "a filter is compared as it is, not matched")

	for name, c := range w.both() {
		id := silenced(t, c, ids[name][0], "moved, still", 3*time.Hour, matcher("instance", "a", false, true))
		assert.Equal(t, ids[name][0], id, "%s: it lasts longer, and is the same", name)
	}
	states("a suppressed moved, still", "b active ")
	listed()
	for name, c := range w.both() {
		for _, id := range ids[name] {
			_, err := c.Silence.DeleteSilence(silence.NewDeleteSilenceParams().WithContext(t.Context()).WithSilenceID(strfmt.UUID(id)))
			require.NoError(t, err, name)
			assert.Equal(t, "expired", *oneSilence(t, c, id).Status.State, name)
		}
	}
	states("a active ", "b active ")
	for name, c := range w.both() {
		again := silenced(t, c, ids[name][0], "and again", time.Hour, matcher("instance", "a", false, true))
		assert.NotEqual(t, ids[name][0], again, "%s: what has expired stays as it was", name)
		_, err := c.Silence.GetSilence(silence.NewGetSilenceParams().WithContext(t.Context()).WithSilenceID("6ba7b810-9dad-11d1-80b4-00c04fd430c8"))
		var unknown *silence.GetSilenceNotFound
		require.ErrorAs(t, err, &unknown, name)
		_, err = c.Silence.DeleteSilence(silence.NewDeleteSilenceParams().WithContext(t.Context()).WithSilenceID("6ba7b810-9dad-11d1-80b4-00c04fd430c8"))
		var gone *silence.DeleteSilenceNotFound
		require.ErrorAs(t, err, &gone, name)
	}
	states("a suppressed and again", "b active ")
	for name, c := range w.both() {
		list, err := c.Silence.GetSilences(silence.NewGetSilencesParams().WithContext(t.Context()))
		require.NoError(t, err)
		require.Equal(t, "active", *list.Payload[0].Status.State, "%s: these are first", name)
		id := *list.Payload[0].ID
		other := silenced(t, c, id, "and b", time.Hour, matcher("instance", "b", false, true))
		assert.Equal(t, name == "tocsin", id == other, "the one difference: Tocsin changes the silence, Alertmanager ends it and makes another")
	}
	states("a active ", "b suppressed and b")
}

// TestSilencesAreRefused: what Alertmanager refuses Tocsin refuses, with the same
// kind of answer, which the client can read.
func TestSilencesAreRefused(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	a := matcher("a", "b", false, true)
	ended := posted("", "x", time.Hour, a)
	ended.StartsAt, ended.EndsAt = ptr(strfmt.DateTime(began.Add(-time.Hour))), ptr(strfmt.DateTime(began))
	for what, s := range map[string]*models.PostableSilence{
		"ends before it begins":  posted("", "x", -time.Minute, a),
		"has ended":              ended,
		"fits everything":        posted("", "x", time.Hour, matcher("a", ".*", true, true)),
		"fits what is not there": posted("", "x", time.Hour, matcher("a", "", false, true)),
		"no expression":          posted("", "x", time.Hour, matcher("a", "(", true, true)),
	} {
		for name, c := range w.both() {
			_, err := put(t, c, s)
			var refused *silence.PostSilencesBadRequest
			require.ErrorAs(t, err, &refused, "%s: %s", name, what)
			assert.NotEmpty(t, refused.Payload)
		}
	}
	for name, c := range w.both() {
		_, err := put(t, c, posted("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "x", time.Hour, a))
		var refused *silence.PostSilencesNotFound
		require.ErrorAs(t, err, &refused, name)
		assert.NotEmpty(t, refused.Payload)
	}
	_, err := put(t, clientOf(w.tocsin, tokenOfEve), posted("", "x", time.Hour, a))
	assert.ErrorContains(t, err, "403")
	_, err = put(t, clientOf(w.tocsin, "wrong"), posted("", "x", time.Hour, a))
	assert.ErrorContains(t, err, "401")
}

// TestErrors: what is wrong has the form that Alertmanager gives it, also where no
// operation was reached.
func TestErrors(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	for _, q := range []struct{ method, path, body string }{
		{"GET", "/api/v2/alerts?filter=%7B", ""},
		{"GET", "/api/v2/alerts/groups?receiver=(", ""},
		{"GET", "/api/v2/silences?filter=%7B", ""},
		{"GET", "/api/v2/nothing", ""},
		{"PUT", "/api/v2/silences", ""},
		{"PATCH", "/api/v2/alerts", ""},
		{"POST", "/api/v2/silences", `{"id":"6ba7b810-9dad-11d1-80b4-00c04fd430c8","matchers":[{"name":"a","value":"b","isRegex":false}],"startsAt":"2030-01-01T00:00:00Z","endsAt":"2031-01-01T00:00:00Z","createdBy":"x","comment":"y"}`},
		{"POST", "/api/v2/silences", `{"matchers":[{"name":"a","value":"b","isRegex":false}],"startsAt":"2030-01-01T00:00:00Z","endsAt":"2029-01-01T00:00:00Z","createdBy":"x","comment":"y"}`},
	} {
		forms := map[string]string{}
		for name, base := range map[string]string{"tocsin": w.tocsin, "alertmanager": w.judge} {
			resp := ask(t.Context(), t, q.method, base+q.path, q.body, "Content-Type", "application/json", "Authorization", "Bearer "+tokenOfAna)
			forms[name] = formOf(t, resp)
		}
		assert.Equal(t, forms["alertmanager"], forms["tocsin"], "%s %s", q.method, q.path)
	}
	for _, auth := range []string{"", "Bearer wrong", "Bearer " + tokenOfIntake} {
		resp := ask(t.Context(), t, "GET", w.tocsin+"/api/v2/status", "", "Authorization", auth)
		assert.Equal(t, "401 application/json code and message", formOf(t, resp))
	}
	resp := ask(t.Context(), t, "POST", w.tocsin+"/api/v2/silences", "{}", "Authorization", "Bearer "+tokenOfEve)
	assert.Equal(t, "403 application/json code and message", formOf(t, resp))
}

// formOf is what an answer looks like.
func formOf(t *testing.T, resp *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	var v any
	require.NoError(t, json.Unmarshal(body, &v), "%s", body)
	form := fmt.Sprint(resp.StatusCode, " ", resp.Header.Get("Content-Type"), " ")
	switch v := v.(type) {
	case string:
		assert.NotEmpty(t, v)
		return form + "text"
	case map[string]any:
		assert.NotEmpty(t, v["message"])
		assert.EqualValues(t, resp.StatusCode, v["code"])
		assert.Len(t, v, 2)
		return form + "code and message"
	}
	return fmt.Sprintf("%s%T", form, v)
}
