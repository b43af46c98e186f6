package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/client"
)

// serve answers every request with h.
func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// refusing answers with a status and a body of problem details.
func refusing(t *testing.T, status int, body string) *client.Client {
	return client.New(serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}).URL, client.Options{})
}

func TestWhatIsSent(t *testing.T) {
	t.Parallel()
	var got *http.Request
	var body []byte
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		_, _ = io.WriteString(w, `{"incident":{"id":"k7f3q9","state":"acknowledged"}}`)
	})
	c := client.New(s.URL+"/", client.Options{Token: "secret", UserAgent: "tocsin/1"})
	inc, err := c.Act(t.Context(), "k7/f3", tocsin.Action{Kind: tocsin.ActAcknowledge, By: "ana"})
	require.NoError(t, err)
	assert.Equal(t, "k7f3q9", inc.ID)
	assert.Equal(t, "POST /api/v1/incidents/k7%2Ff3/acknowledge", got.Method+" "+got.URL.EscapedPath(), "a base that ends in / is no trouble")
	assert.Equal(t, "Bearer secret", got.Header.Get("Authorization"))
	assert.Equal(t, "tocsin/1", got.UserAgent())
	assert.Equal(t, "application/json", got.Header.Get("Content-Type"))
	var sent map[string]string
	require.NoError(t, json.Unmarshal(body, &sent))
	assert.NotEmpty(t, sent["id"], "it happens once: it has an ID of its own")
	assert.Equal(t, "ana", sent["by"])

	_, err = client.New(s.URL, client.Options{}).Incidents(t.Context(), client.IncidentQuery{
		States: []tocsin.State{tocsin.Triggered, tocsin.Resolved}, Matchers: []string{`a="b"`}, Archived: true, Limit: 7, After: "x y",
	})
	require.NoError(t, err)
	assert.Equal(t, `after=x+y&archived=true&filter=a%3D%22b%22&limit=7&state=triggered&state=resolved`, got.URL.RawQuery)
	assert.Empty(t, got.Header.Get("Authorization"))
	assert.Equal(t, "tocsin-client", got.UserAgent())
}

func TestErrorsAreProblems(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		status     int
		body, want string
		is         []error
	}{
		{400, `{"title":"Bad Request","status":400,"detail":"want a time","code":"invalid","field":"endsAt"}`, "endsAt: want a time", []error{tocsin.ErrInvalid}},
		{404, `{"title":"Not Found","detail":"incident: not found","code":"not_found"}`, "incident: not found", []error{tocsin.ErrNotFound}},
		{409, `{"detail":"3 alerts still fire"}`, "3 alerts still fire", []error{tocsin.ErrConflict}},
		{503, `{"detail":"shutting down"}`, "shutting down", []error{tocsin.ErrUnavailable}},
		{503, `<html>a proxy says so</html>`, "the server answered 503 Service Unavailable", []error{tocsin.ErrUnavailable}},
		{502, ``, "the server answered 502 Bad Gateway", nil},
		{418, `{"detail":"`, "the server answered 418 I'm a teapot", nil},
		{403, `{"title":"Forbidden"}`, "the server answered Forbidden", nil},
	} {
		err := refusing(t, tc.status, tc.body).Get(t.Context(), "/", nil)
		require.EqualError(t, err, tc.want)
		var e *client.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, tc.status, e.Status, "what the answer says, not what its body says")
		assert.NotErrorIs(t, err, client.ErrUnreached)
		var is []error
		for _, kind := range []error{tocsin.ErrInvalid, tocsin.ErrNotFound, tocsin.ErrConflict, tocsin.ErrUnavailable} {
			if errors.Is(err, kind) {
				is = append(is, kind)
			}
		}
		assert.Equal(t, tc.is, is)
	}
	var e *client.Error
	require.ErrorAs(t, refusing(t, 400, `{"status":200,"code":"invalid","field":"by","detail":"x"}`).Get(t.Context(), "/", nil), &e)
	assert.Equal(t, client.Error{Status: 400, Title: "400 Bad Request", Code: "invalid", Field: "by", Detail: "x"}, *e)
}

// What a server repeats of others' texts does not move a terminal's cursor.
func TestErrorsAreFitToBeShown(t *testing.T) {
	t.Parallel()
	const evil = `a\u001b[2Jb\u202ec\nd\u0000\u009b`
	for _, body := range []string{`{"detail":"` + evil + `"}`, `{"title":"` + evil + `"}`, `{"field":"` + evil + `","detail":"x"}`} {
		err := refusing(t, 400, body).Get(t.Context(), "/", nil)
		for _, r := range []string{"\x1b", "\u202e", "\n", "\x00", "\u009b"} {
			assert.NotContains(t, err.Error(), r, body)
		}
	}
	err := refusing(t, 400, `{"detail":"`+strings.Repeat("x", 1<<20)+`"}`).Get(t.Context(), "/", nil)
	assert.EqualError(t, err, "the server answered 400 Bad Request", "no more is read than is worth showing")
}

func TestAServerThatIsNotThere(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.Close()
	err := client.New(s.URL, client.Options{Token: "canary-token"}).Get(t.Context(), "/api/v1/incidents", nil)
	require.ErrorIs(t, err, client.ErrUnreached)
	assert.Contains(t, err.Error(), "refused")
	assert.NotContains(t, err.Error(), "canary")

	err = client.New("http://[::1", client.Options{}).Get(t.Context(), "/", nil)
	require.Error(t, err)
	assert.NotErrorIs(t, err, client.ErrUnreached, "there is nothing to be reached")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, client.New(s.URL, client.Options{}).Get(ctx, "/", nil), context.Canceled)
}

// breaking breaks the first connections off in the middle, and answers then.
func breaking(t *testing.T, first int32, how func(http.ResponseWriter)) (*client.Client, *atomic.Int32) {
	var asked atomic.Int32
	return client.New(serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) <= first {
			how(w)
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, `{"id":"yes"}`)
	}).URL, client.Options{}), &asked
}

func TestRepeat(t *testing.T) {
	t.Parallel()
	for name, how := range map[string]func(http.ResponseWriter){
		"before the answer": func(http.ResponseWriter) {},
		"in the answer": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"id":`)
			_ = http.NewResponseController(w).Flush()
		},
	} {
		var out struct{ ID string }
		c, asked := breaking(t, 1, how)
		require.NoError(t, c.Repeat(t.Context(), http.MethodPost, "/", map[string]string{"a": "b"}, &out), name)
		assert.Equal(t, "yes", out.ID)
		assert.EqualValues(t, 2, asked.Load(), name)

		c, asked = breaking(t, 1, how)
		require.ErrorIs(t, c.Do(t.Context(), http.MethodPost, "/", nil, &out), client.ErrUnreached, "Do does it once")
		assert.EqualValues(t, 1, asked.Load(), name)

		c, asked = breaking(t, 9, how)
		require.Error(t, c.Repeat(t.Context(), http.MethodPost, "/", nil, &out), name)
		assert.EqualValues(t, 2, asked.Load(), "and no more than twice")
	}
	c, asked := breaking(t, 0, nil)
	require.NoError(t, c.Repeat(t.Context(), http.MethodPost, "/", nil, nil))
	assert.EqualValues(t, 1, asked.Load())
	refused := refusing(t, 503, `{"detail":"no"}`)
	require.ErrorIs(t, refused.Repeat(t.Context(), http.MethodPost, "/", nil, nil), tocsin.ErrUnavailable, "a word of the server's is final")

	ctx, cancel := context.WithCancel(t.Context())
	c, asked = breaking(t, 9, func(http.ResponseWriter) { cancel() })
	require.Error(t, c.Repeat(ctx, http.MethodPost, "/", nil, nil))
	assert.EqualValues(t, 1, asked.Load(), "nobody wants it any more")
}

// A backup takes as long as it takes: the client's timeout is not for it.
func TestBackupHasNoTimeout(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/backup" {
			<-r.Context().Done()
			return
		}
		_, _ = io.WriteString(w, "first ")
		_ = http.NewResponseController(w).Flush()
		<-goOn
		_, _ = io.WriteString(w, "last")
	})
	h := &http.Client{Timeout: 50 * time.Millisecond}
	c := client.New(s.URL, client.Options{HTTP: h})
	body, err := c.Backup(t.Context())
	require.NoError(t, err)
	defer body.Close()
	require.ErrorIs(t, c.Get(t.Context(), "/slow", nil), client.ErrUnreached, "the timeout is there, and has passed")
	close(goOn)
	all, err := io.ReadAll(body)
	require.NoError(t, err)
	assert.Equal(t, "first last", string(all))
	assert.Equal(t, 50*time.Millisecond, h.Timeout, "the caller's client is as it was")
}

func TestATokenOfAFile(t *testing.T) {
	t.Parallel()
	var got atomic.Value
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { got.Store(r.Header.Get("Authorization")) })
	file := filepath.Join(t.TempDir(), "token")
	c := client.New(s.URL, client.Options{Token: "not this one", TokenFile: file})
	err := c.Get(t.Context(), "/", nil)
	require.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorContains(t, err, "reading the API token")
	assert.NotErrorIs(t, err, client.ErrUnreached)
	for n := range 2 {
		require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, "  token-%d\n", n), 0o600))
		require.NoError(t, c.Get(t.Context(), "/", nil))
		assert.Equal(t, fmt.Sprintf("Bearer token-%d", n), got.Load(), "it is read anew for each request")
	}
}

func TestAnAnswerThatIsNoJSON(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>a log-in page</html>") })
	var out struct{ ID string }
	err := client.New(s.URL, client.Options{}).Get(t.Context(), "/", &out)
	require.Error(t, err)
	assert.NotErrorIs(t, err, client.ErrUnreached)
}

// A list that is told in parts comes whole.
func TestListsAreWhole(t *testing.T) {
	t.Parallel()
	var asked []string
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RequestURI())
		if r.URL.Query().Get("after") == "" {
			fmt.Fprint(w, `{"remediations":[{"id":"r2"}],"next":"a b"}`)
			return
		}
		fmt.Fprint(w, `{"remediations":[{"id":"r1"}]}`)
	})
	list, err := client.New(s.URL, client.Options{}).Remediations(t.Context(), "k7f3q9")
	require.NoError(t, err)
	require.Len(t, list, 2)
	assert.Equal(t, []string{"/api/v1/remediations?incident=k7f3q9", "/api/v1/remediations?after=a+b&incident=k7f3q9"}, asked)
	assert.Equal(t, "r1", list[1].ID)
}
