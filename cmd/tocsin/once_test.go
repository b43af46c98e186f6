package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/access"
	"github.com/tocsin-oncall/tocsin/server"
)

// Two servers over one store, which know nothing of each other's memory, make one
// thing for one key, also when they are asked at the same time.
func TestOneKeyOnTwoServers(t *testing.T) {
	t.Parallel()
	r := startApp(t)
	servers := make([]*server.Server, 2)
	for n := range servers {
		var err error
		servers[n], err = server.New(server.Config{}, server.Deps{
			Receiver: r.app.router, Reader: r.app.store, Actions: r.app.engine, Manual: r.app.engine.OpenManual, Silencer: r.app.router,
			Overrides: r.app.engine, Runbooks: r.app.shelf, Health: r.app, Tokens: access.New(access.Options{Store: r.app.store}),
		})
		require.NoError(t, err)
	}
	ask := func(s *server.Server, method, path, body string) *httptest.ResponseRecorder {
		req := httptest.NewRequestWithContext(t.Context(), method, "http://localhost"+path, strings.NewReader(body))
		req.RemoteAddr = "127.0.0.1:1"
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", "key-1")
		rec := httptest.NewRecorder()
		s.Handler().ServeHTTP(rec, req)
		return rec
	}
	for path, body := range map[string]string{
		"/api/v1/silences":  `{"matchers":["a=\"b\""],"endsAt":"2099-01-01T00:00:00Z","comment":"c","createdBy":"bo"}`,
		"/api/v1/tokens":    `{"name":"ci","role":"viewer"}`,
		"/api/v1/incidents": `{"title":"it is stuck"}`,
	} {
		var asked sync.WaitGroup
		answers := make([]*httptest.ResponseRecorder, 16)
		for n := range answers {
			asked.Go(func() { answers[n] = ask(servers[n%2], http.MethodPost, path, body) })
		}
		asked.Wait()
		done := 0
		for _, rec := range answers {
			again := rec.Code == http.StatusConflict || rec.Header().Get("Idempotency-Replayed") == "true"
			if !again {
				require.Equal(t, http.StatusOK, rec.Code, rec.Body.String())
				done++
			}
		}
		assert.Equal(t, 1, done, path)
		for _, s := range servers {
			assert.Equal(t, http.StatusUnprocessableEntity, ask(s, http.MethodPost, path, body+" ").Code, path)
			assert.Equal(t, 1, strings.Count(ask(s, http.MethodGet, path, "").Body.String(), `"id":`), path)
		}
	}
}
