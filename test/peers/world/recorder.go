package main

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// call is one request to Slack: a call of the Web API with its
// arguments, or a message to a response_url with its body.
type call struct {
	Method string            `json:"method"`
	Args   map[string]string `json:"args,omitempty"`
	Body   string            `json:"body,omitempty"`
	// Answer is what the emulator said.
	Answer string `json:"answer"`
	// peer is true where it is a peer's call of the Web API, not Tocsin's.
	peer bool
}

// recorder keeps what is sent to Slack.
type recorder struct {
	mu    sync.Mutex
	calls []call
}

// of returns the calls of the peers, or those of Tocsin's.
func (r *recorder) of(peers bool) []call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.calls), func(c call) bool { return c.peer != peers })
}

// record hands requests on and keeps them. Event streams and
// WebSockets pass untouched.
func (r *recorder) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		method, api := strings.CutPrefix(req.URL.Path, "/api/")
		if !api && !strings.HasPrefix(req.URL.Path, "/actions/") && !strings.HasPrefix(req.URL.Path, "/commands/") {
			next.ServeHTTP(w, req)
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		req.Body = io.NopCloser(bytes.NewReader(body))
		copied := &copying{ResponseWriter: w}
		next.ServeHTTP(copied, req)
		c := call{Method: "response_url", Body: string(body), Answer: copied.body.String()}
		if api {
			args, token := arguments(req, body)
			c.Method, c.Args, c.Body = method, args, ""
			c.peer = token != botToken && token != tocsinAppToken
			if args == nil {
				c.Body = string(body)
			}
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.calls = append(r.calls, c)
	})
}

// arguments reads a form; of JSON they are nil.
func arguments(req *http.Request, body []byte) (args map[string]string, token string) {
	token = strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
	if strings.HasPrefix(req.Header.Get("Content-Type"), "application/json") {
		return nil, token
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, token
	}
	args = map[string]string{}
	for name := range form {
		if name == "token" {
			token = form.Get(name)
			continue
		}
		args[name] = form.Get(name)
	}
	return args, token
}

// copying keeps a copy of what is answered.
type copying struct {
	http.ResponseWriter
	body bytes.Buffer
}

func (c *copying) Write(p []byte) (int, error) {
	c.body.Write(p)
	return c.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (c *copying) Unwrap() http.ResponseWriter { return c.ResponseWriter }
