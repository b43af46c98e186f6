package server_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/server"
)

// Who says twice who they are, or what a request is, may mean that one proxy believes
// one and we the other.
func TestHeadersThatStandTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{API: apiTokens()})
	for _, name := range []string{"Authorization", "Idempotency-Key", "Last-Event-ID", "X-Tocsin-User"} {
		r := httptest.NewRequest("GET", "/api/v1/me", nil)
		r.Header.Set("Authorization", "Bearer greedy-secret")
		if name != "Authorization" {
			r.Header.Add(name, "1")
		}
		r.Header.Add(name, "Bearer admin-secret")
		rec := httptest.NewRecorder()
		w.Handler().ServeHTTP(rec, r)
		assert.Equal(t, 400, rec.Code, name)
		assert.Contains(t, rec.Body.String(), `"field":"`+name+`"`)
	}
}

// A page of another site, or one whose host name leads to this machine, is no sender.
func TestPagesAreNoSenders(t *testing.T) {
	t.Parallel()
	beats := 0
	w := newWorld(t, server.Config{}, func(d *server.Deps) {
		d.Heartbeat = func(context.Context, string) error { beats++; return nil }
	})
	alerts := string(server.WebhookBody(1))
	for title, c := range map[string]struct {
		method, path, body string
		header             []string
		code               int
	}{
		"a picture":                {"GET", "/heartbeat/backup", "", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		"a picture of a neighbour": {"GET", "/heartbeat/backup", "", []string{"Sec-Fetch-Site", "same-site"}, 403},
		"typed in":                 {"GET", "/heartbeat/backup", "", []string{"Sec-Fetch-Site", "none"}, 200},
		"curl":                     {"GET", "/heartbeat/backup", "", nil, 200},
		"a name that leads here":   {"POST", intake, alerts, []string{"Host", "evil.example:9911", "Origin", "http://evil.example:9911", "Sec-Fetch-Site", "same-origin"}, 403},
		"an old browser":           {"POST", intake, alerts, []string{"Host", "evil.example:9911", "Origin", "http://evil.example:9911"}, 403},
		"a beat of such a page":    {"GET", "/heartbeat/backup", "", []string{"Host", "evil.example:9911", "Sec-Fetch-Site", "same-origin"}, 403},
		"a sender by any name":     {"POST", intake, alerts, []string{"Host", "tocsin.internal:9911"}, 200},
	} {
		assert.Equal(t, c.code, w.ask(c.method, c.path, c.body, c.header...).Code, title)
	}
	assert.Equal(t, 2, beats)
	assert.Len(t, w.router.received(), 1)
}

// Whoever has one IPv6 address has 2^64 of them.
func TestAddressesOfOneNetworkGuessTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{API: apiTokens()})
	from := func(addr, secret string) int {
		return w.ask("GET", "/api/v1/me", "", "Remote", "["+addr+"]:4711", "Authorization", "Bearer "+secret).Code
	}
	for n := range 20 {
		require.Equal(t, 401, from(fmt.Sprintf("2001:db8::%x:1", n), "wrong"))
	}
	assert.Equal(t, 429, from("2001:db8::ffff:1", "wrong"))
	assert.Equal(t, 429, from("2001:db8::ffff:1", "admin-secret"), "right or wrong")
	assert.Equal(t, 401, from("2001:db8:0:1::1", "wrong"), "of another network")
	assert.Equal(t, 401, from("::ffff:10.0.0.1", "wrong"))
}

// Less than a kilobyte of repetitions took seconds and hundreds of megabytes to
// compile, for whoever may look.
func TestMatchersThatRepeat(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{})
	huge := `a=~"` + strings.Repeat("(.?){1000}", 90) + `y"`
	for _, path := range []string{"/api/v1/incidents?filter=", "/api/v2/alerts?filter=", "/api/v2/silences?filter=", "/api/v1/silences/preview?matcher="} {
		if rec := w.ask("GET", path+url.QueryEscape(huge), ""); rec.Code != 404 { // what this world has not
			assert.Equal(t, 400, rec.Code, path)
			assert.Contains(t, rec.Body.String(), "repeat too much", path)
		}
	}
	assert.Contains(t, w.ask("GET", "/?q="+url.QueryEscape(huge), "").Body.String(), "repeat too much")
	body := `{"matchers":[` + fmt.Sprintf("%q", huge) + `],"comment":"c","createdBy":"ana","endsAt":"2027-01-01T00:00:00Z"}`
	rec := w.ask("POST", "/api/v1/silences", body)
	assert.Equal(t, 400, rec.Code)
	assert.Equal(t, "matchers", refusal(t, rec).Error.Field)
	many := strings.Repeat("filter="+url.QueryEscape(`a=~"(.?){900}"`)+"&", 60)
	assert.Equal(t, 400, w.ask("GET", "/api/v1/incidents?"+many, "").Code, "many small ones are as much")
	assert.Equal(t, 200, w.ask("GET", "/api/v1/incidents?filter="+url.QueryEscape(`instance=~"node-[0-9]{1,4}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"`), "").Code)
}

// halfSent sends the beginning of a request with a body, from an address of this
// machine, and waits.
func halfSent(t *testing.T, w *world, from, path string) net.Conn {
	t.Helper()
	d := net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", w.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	_, err = fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{", path)
	require.NoError(t, err)
	return c
}

// One address that keeps all connections busy with bodies that do not come keeps
// nobody else's alerts out.
func TestSlowBodiesKeepNobodyOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{Connections: 8})
	w.run(t)

	for range 8 {
		halfSent(t, w, "127.0.0.3", intake)
	}
	require.Eventually(t, func() bool { return w.metric(t, "tocsin_http_requests_in_flight") >= 8 }, 10*time.Second, 5*time.Millisecond)
	cl := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for range 5 {
		resp, err := cl.Post(w.url(intake), "application/json", bytes.NewReader(server.WebhookBody(1)))
		require.NoError(t, err)
		resp.Body.Close()
		assert.Equal(t, 200, resp.StatusCode)
		halfSent(t, w, "127.0.0.3", intake) // and they come back
	}
	assert.Len(t, w.router.received(), 5)
}

// Who is refused does not hold a connection with the rest of a body.
func TestRefusedBodiesAreNotWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{Intake: server.Auth{Tokens: []string{"right-secret"}}, API: apiTokens(), Timeouts: server.Timeouts{Read: time.Hour}})
	w.run(t)
	for _, path := range []string{intake, "/nothing", "/api/v1/silences"} {
		c := halfSent(t, w, "127.0.0.1", path)
		require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Minute)))
		text, err := io.ReadAll(c) // until the server has closed it
		require.NoError(t, err, path)
		assert.Regexp(t, `^HTTP/1.1 4`, string(text), path)
	}
}

// What one person is answered is not kept for the next.
func TestAnswersAreNotShared(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{API: apiTokens()})
	for _, path := range []string{"/api/v1/me", "/api/v1/incidents", "/nothing", "/-/healthy"} {
		assert.Contains(t, w.ask("GET", path, "", bearing("admin-secret")...).Header().Get("Cache-Control"), "private", path)
	}
}
