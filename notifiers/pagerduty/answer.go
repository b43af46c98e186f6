package pagerduty

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

const (
	// maxAnswer is how much of an answer is read.
	maxAnswer = 64 << 10
	// maxErrorText is how much of it, in runes, an error repeats.
	maxErrorText = 300
	// rateWindow is how long PagerDuty's rate limit looks back
	// (https://developer.pagerduty.com/docs/events-api-rate-limits): the pause
	// when a 429 names none.
	rateWindow = 60 * time.Second
	// maxPause is the longest pause that is obeyed: nobody is paged in it.
	maxPause = 15 * time.Minute
)

// answer is what came back of one call.
type answer struct {
	status int
	header http.Header
	body   []byte
	// err is the transport's: there was no answer.
	err error
}

type answerKey struct{}

// recorder notes the answer in the context's *answer, and hands on a body that
// is short and complete: the client library reads a body to its end, however
// long.
type recorder struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (r recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	a, ok := req.Context().Value(answerKey{}).(*answer)
	if !ok {
		return r.base.RoundTrip(req)
	}
	resp, err := r.base.RoundTrip(req)
	if err != nil {
		a.err = err
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	a.status, a.header = resp.StatusCode, resp.Header
	// A body that breaks off is judged by what came of it.
	a.body, _ = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	resp.Body = io.NopCloser(bytes.NewReader(a.body))
	return resp, nil
}

// neverSent reports whether the request cannot have reached PagerDuty.
func neverSent(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect") {
		return true
	}
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	return errors.As(err, &dns) || errors.As(err, &cert) || errors.As(err, &record)
}

// classify turns an answer that is no success into an error that says what to
// do, after PagerDuty's table of response codes
// (https://developer.pagerduty.com/docs/events-api-v2-overview#response-codes--retry-logic).
func (a *answer) classify(now time.Time) error {
	switch {
	case a.status == http.StatusTooManyRequests:
		pause, ok := a.pause(now)
		if !ok {
			pause = rateWindow
		}
		return tocsin.RetryAfter(a.errorf("PagerDuty asks to slow down"), pause)
	case a.status >= 300 && a.status < 500 && a.status != http.StatusRequestTimeout:
		return tocsin.Permanent(a.refused())
	}
	err := tocsin.Unclear(a.temporary())
	if pause, ok := a.pause(now); ok {
		return tocsin.RetryAfter(err, pause)
	}
	return err
}

func (a *answer) temporary() error {
	if a.status >= 200 && a.status < 300 {
		return a.errorf("PagerDuty did not say that it took the event (expected 202 and \"success\")")
	}
	return a.errorf("PagerDuty failed to take the event")
}

func (a *answer) refused() error {
	switch a.status {
	case http.StatusBadRequest:
		return a.errorf("PagerDuty refused the event; check the routing key of this receiver")
	case http.StatusUnauthorized, http.StatusForbidden:
		return a.errorf("PagerDuty refused access; check the routing key of this receiver, and any proxy between")
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone:
		return a.errorf("there is no Events API at this address; check pagerduty.events_url")
	case http.StatusProxyAuthRequired:
		return a.errorf("the proxy before PagerDuty wants a password; check HTTPS_PROXY")
	case http.StatusRequestEntityTooLarge:
		return a.errorf("the event is too large, though below PagerDuty's 512 KB; check the limits of any proxy between")
	}
	if a.status < 400 {
		return a.errorf("PagerDuty's address redirects, which is not followed with a routing key; check pagerduty.events_url")
	}
	return a.errorf("PagerDuty refused the event")
}

func (a *answer) errorf(what string) error {
	if said := a.said(); said != "" {
		return fmt.Errorf("%s: status %d: %s", what, a.status, said)
	}
	return fmt.Errorf("%s: status %d", what, a.status)
}

// said is the answer's body in one line: PagerDuty's message and its errors, or
// the beginning of whatever came instead.
func (a *answer) said() string {
	var m struct {
		Status  string   `json:"status"`
		Message string   `json:"message"`
		Errors  []string `json:"errors"`
	}
	text := strings.TrimSpace(string(a.body))
	switch {
	case json.Unmarshal(a.body, &m) == nil && (m.Message != "" || len(m.Errors) > 0):
		text = strings.Join(append([]string{m.Message}, m.Errors...), ": ")
	case strings.HasPrefix(text, "<"):
		text = "an HTML page, which PagerDuty does not send; is there a proxy between?"
	}
	return clip(cleanLine(text), maxErrorText)
}

// pause is how long the answer asks to wait: Retry-After in seconds or as a
// date, or ratelimit-reset in seconds.
func (a *answer) pause(now time.Time) (time.Duration, bool) {
	for _, name := range []string{"Retry-After", "Ratelimit-Reset"} {
		v := strings.TrimSpace(a.header.Get(name))
		if s, err := strconv.ParseUint(v, 10, 31); err == nil {
			return bound(time.Duration(s) * time.Second), true
		}
		if t, err := http.ParseTime(v); err == nil {
			if date, err := http.ParseTime(a.header.Get("Date")); err == nil {
				now = date
			}
			return bound(t.Sub(now)), true
		}
	}
	return 0, false
}

func bound(d time.Duration) time.Duration { return min(max(d, time.Second), maxPause) }
