package slacktest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
)

// URL is a base for the Web API's paths that only Client understands.
const URL = "http://slack.test/api/"

// Client returns an HTTP client that calls the server directly, without a
// socket: whatever host a request names, the server answers. It may be used
// inside a testing/synctest bubble. Faults that cut the connection end in an
// error that wraps io.ErrUnexpectedEOF, as a real connection would.
func (s *Server) Client() *http.Client { return &http.Client{Transport: transport{s}} }

type transport struct{ handler http.Handler }

// RoundTrip hands the request to the handler in the caller's goroutine.
func (t transport) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	ctx := req.Context()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	in := req.Clone(ctx)
	in.RequestURI, in.RemoteAddr = req.URL.RequestURI(), "192.0.2.1:1234"
	in.URL = &url.URL{Path: req.URL.Path, RawPath: req.URL.RawPath, RawQuery: req.URL.RawQuery}
	if in.Host == "" {
		in.Host = req.URL.Host
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	defer func() { _ = in.Body.Close() }()
	rec := &recorder{header: http.Header{}}
	defer func() {
		if v := recover(); v != nil {
			if abort, ok := v.(error); !ok || !errors.Is(abort, http.ErrAbortHandler) {
				panic(v)
			}
			resp, err = nil, io.ErrUnexpectedEOF
			if ctx.Err() != nil {
				err = ctx.Err()
			}
		}
	}()
	t.handler.ServeHTTP(rec, in)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return rec.response(req), nil
}

// recorder keeps an answer. Package net/http/httptest has one, but it brings a
// command-line flag along, and the demo uses this package.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

func (r *recorder) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(p)
}

func (r *recorder) response(req *http.Request) *http.Response {
	r.WriteHeader(http.StatusOK)
	return &http.Response{
		Status: http.StatusText(r.status), StatusCode: r.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: r.header, Body: io.NopCloser(&r.body), ContentLength: int64(r.body.Len()), Request: req,
	}
}
