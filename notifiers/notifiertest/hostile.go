package notifiertest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
)

// slack is how much later than its context a call may return, on a busy
// machine.
const slack = 3 * time.Second

func endedContext(t *testing.T, p *Provider) {
	var calls atomic.Int32
	s := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := p.deliver(ctx, t, p.New(t, s.URL, nil), p.notice())
	require.Error(t, err)
	assert.Equal(t, Temporary, ClassOf(err), "%v", err)
	assert.Zero(t, calls.Load())
}

func blackHole(t *testing.T, p *Provider) {
	s := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // so that the end of the connection is noticed
		<-r.Context().Done()
	}))
	err := p.within(t, s.URL, 200*time.Millisecond)
	assert.True(t, tocsin.IsUnclear(err), "the provider may have acted: %v", err)
}

// within makes an attempt whose context ends after d, and requires a temporary
// error by then.
func (p *Provider) within(t *testing.T, url string, d time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	start := time.Now()
	_, err := p.deliver(ctx, t, p.New(t, url, nil), p.notice())
	require.Error(t, err)
	assert.Less(t, time.Since(start), d+slack)
	assert.Equal(t, Temporary, ClassOf(err), "%v", err)
	return err
}

func ownTimeout(t *testing.T, p *Provider) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, err := p.deliver(context.Background(), t, p.New(t, "http://provider.example", hole{}), p.notice())
		require.Error(t, err)
		assert.LessOrEqual(t, time.Since(start), time.Minute, "a call without a deadline must have one")
		assert.Equal(t, Temporary, ClassOf(err), "%v", err)
	})
}

func endlessAnswer(t *testing.T, p *Provider) {
	for _, status := range []int{http.StatusOK, http.StatusBadGateway} {
		s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // see blackHole
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, " ") // ends with the context
				_ = http.NewResponseController(w).Flush()
				pause(r.Context(), 10*time.Millisecond)
			}
		}))
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		start := time.Now()
		_, err := p.deliver(ctx, t, p.New(t, s.URL, nil), p.notice())
		cancel()
		assert.Less(t, time.Since(start), 300*time.Millisecond+slack)
		if err == nil {
			assert.True(t, p.AnyBody && p.class(status) == OK, "status %d without a body is no success", status)
			continue
		}
		assert.NotEqual(t, Permanent, ClassOf(err), "status %d: %v", status, err)
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// brokenBodies breaks an answer off within its body.
func brokenBodies(t *testing.T, p *Provider) {
	for _, status := range []int{200, 202, 400, 403, 500, 503} {
		err := p.try(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // see blackHole
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "1000")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"ok":true,"status":"succ`)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}))
		p.judge(t, status, err)
	}
}

// htmlBodies answers with a page, as proxies do.
func htmlBodies(t *testing.T, p *Provider) {
	page := "<!DOCTYPE html>\r\n<html><body onload=\"alert(1)\">\x00\x1b[31m<h1>Gateway</h1>" + strings.Repeat("<p>long</p>\n", 5000)
	for _, status := range []int{200, 202, 400, 403, 404, 407, 500, 502, 503, 504} {
		err := p.try(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // see blackHole
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, page) // the client may read a part only
		}))
		p.judge(t, status, err)
	}
}

// judge checks the class of an answer whose body is not the provider's. That may
// be a proxy's, so a notifier is free to try again where the status alone would
// be permanent.
func (p *Provider) judge(t *testing.T, status int, err error) {
	t.Helper()
	want := p.class(status)
	if want == OK && !p.AnyBody {
		want = Temporary
	}
	if want == Permanent && ClassOf(err) == Temporary {
		return
	}
	assert.Equal(t, want, ClassOf(err), "status %d: %v", status, err)
}

func refusedConnection(t *testing.T, p *Provider) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	_, err = p.deliver(t.Context(), t, p.New(t, "http://"+l.Addr().String(), nil), p.notice())
	require.Error(t, err)
	assert.Equal(t, Temporary, ClassOf(err), "%v", err)
	assert.False(t, tocsin.IsUnclear(err), "nothing was sent: %v", err)
}

func noRedirect(t *testing.T, p *Provider) {
	var calls atomic.Int32
	elsewhere := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	for _, status := range []int{301, 302, 303, 307, 308} {
		err := p.try(t, http.RedirectHandler(elsewhere.URL, status))
		assert.Equal(t, p.class(status), ClassOf(err), "status %d: %v", status, err)
	}
	assert.Zero(t, calls.Load(), "a redirect took the message to another host")
}

// noSecrets answers with all that the request held.
func noSecrets(t *testing.T, p *Provider) {
	for _, status := range []int{200, 400, 401, 404, 429, 500} {
		for _, form := range []string{"text", "pagerduty", "slack"} {
			err := p.try(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				echo(w, r, status, form)
			}))
			if !p.AnyBody || p.class(status) != OK {
				assert.Error(t, err, "status %d", status)
			}
		}
	}
}

func echo(w http.ResponseWriter, r *http.Request, status int, form string) {
	dump, err := httputil.DumpRequest(r, true)
	if err != nil {
		return
	}
	// The body first: errors repeat the beginning only.
	head, body, _ := strings.Cut(string(dump), "\r\n\r\n")
	text := head + body
	if len(body) > 4 {
		text = body[:min(len(body), 200)] + head + body
	}
	var v any
	switch form {
	case "pagerduty":
		v = map[string]any{"status": "invalid event", "message": text, "errors": []string{head, r.URL.String()}}
	case "slack":
		v = map[string]any{"ok": false, "error": text, "response_metadata": map[string]any{"messages": []string{text}}}
	default:
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, text) // the client may read a part only
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // as above
}

// direct reaches a handler without a socket, and edits its answer.
type direct struct {
	handler http.Handler
	edit    func(*http.Response)
}

// RoundTrip implements http.RoundTripper.
func (d direct) RoundTrip(req *http.Request) (*http.Response, error) {
	in := req.Clone(req.Context())
	in.RequestURI, in.RemoteAddr = req.URL.RequestURI(), "192.0.2.1:1"
	if in.Body == nil {
		in.Body = http.NoBody
	}
	defer func() { _ = in.Body.Close() }()
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, in)
	resp := w.Result()
	resp.Request = req
	d.edit(resp)
	return resp, nil
}

// hole never answers.
type hole struct{}

// RoundTrip implements http.RoundTripper.
func (hole) RoundTrip(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	if req.Body != nil {
		_ = req.Body.Close()
	}
	return nil, req.Context().Err()
}
