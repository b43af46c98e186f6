package notifiertest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
)

// Notifier is what is checked.
type Notifier interface {
	// Deliver makes one call to the provider.
	Deliver(ctx context.Context, n tocsin.Notice) (tocsin.Receipt, error)
}

// Provider describes a notifier and its emulator to the checks.
type Provider struct {
	// New returns a notifier that talks to url, through rt where it is not nil.
	// It configures Secrets, and otherwise what a user would.
	New func(t testing.TB, url string, rt http.RoundTripper) Notifier
	// Emulator returns a fresh emulator that accepts what New configured, and a
	// function that counts the things (messages, incidents) it has.
	Emulator func(t testing.TB) (handler http.Handler, things func() int)
	// Secrets that New configured; at least 8 characters each. None may be in an
	// error.
	Secrets []string
	// Success tells the statuses that are success when the emulator's good body
	// comes with them; nil: every 2xx is.
	Success func(status int) bool
	// AnyBody is true when the status alone makes a success.
	AnyBody bool
	// Class overrides the class of a status; nil, or an empty answer: as
	// DefaultClass and Success say.
	Class func(status int) Class
	// Notice to deliver; nil: Sample.
	Notice func() tocsin.Notice
}

// Class is what an attempt came to.
type Class string

// The classes.
const (
	OK          Class = "ok"
	Permanent   Class = "permanent"
	RateLimited Class = "rate limited"
	Temporary   Class = "temporary"
)

// ClassOf tells the class of Deliver's error.
func ClassOf(err error) Class {
	if err == nil {
		return OK
	}
	if tocsin.IsPermanent(err) {
		return Permanent
	}
	if _, ok := tocsin.RetryDelay(err); ok {
		return RateLimited
	}
	return Temporary
}

// DefaultClass is the class of a status that is no success: 429 asks to slow
// down; 408, 5xx and whatever is no final answer are temporary; a redirect that
// is not followed and the other 4xx are permanent.
func DefaultClass(status int) Class {
	switch {
	case status == http.StatusTooManyRequests:
		return RateLimited
	case status == http.StatusRequestTimeout:
		return Temporary
	case status >= 300 && status < 500:
		return Permanent
	default:
		return Temporary
	}
}

func (p *Provider) class(status int) Class {
	if p.Class != nil {
		if c := p.Class(status); c != "" {
			return c
		}
	}
	success := status >= 200 && status < 300
	if p.Success != nil {
		success = p.Success(status)
	}
	if success {
		return OK
	}
	return DefaultClass(status)
}

func (p *Provider) notice() tocsin.Notice {
	if p.Notice != nil {
		return p.Notice()
	}
	return Sample()
}

// Conformance runs all checks as subtests.
func Conformance(t *testing.T, p Provider) {
	t.Helper()
	for _, s := range p.Secrets {
		require.GreaterOrEqual(t, len(s), 8, "a secret must be long enough to be told from other text")
	}
	require.NotEmpty(t, p.Secrets)
	for _, check := range []struct {
		name string
		run  func(*testing.T, *Provider)
	}{
		{"Delivers", delivers},
		{"ClassifiesEveryStatus", classifiesEveryStatus},
		{"ObeysRetryAfter", obeysRetryAfter},
		{"SameNoticeTwiceIsOneThing", twiceIsOneThing},
		{"LostAnswerIsUnclear", lostAnswerIsUnclear},
		{"EndedContextMakesNoCall", endedContext},
		{"BlackHoleEndsWithContext", blackHole},
		{"BlackHoleEndsWithoutContext", ownTimeout},
		{"EndlessAnswerEndsWithContext", endlessAnswer},
		{"BrokenBodies", brokenBodies},
		{"HTMLBodies", htmlBodies},
		{"RefusedConnection", refusedConnection},
		{"NoRedirectToAnotherHost", noRedirect},
		{"NoSecretsInErrors", noSecrets},
		{"CallsAgainOnce", callsAgain},
		{"StoppedIsNotPosted", stoppedIsNotPosted},
		{"StoppedFollowsWhatWasPosted", stoppedFollows},
		{"TellsAManualIncident", tellsManual},
		{"TellsANotice", tellsNotice},
	} {
		t.Run(check.name, func(t *testing.T) {
			if check.name != "BlackHoleEndsWithoutContext" {
				t.Parallel()
			}
			check.run(t, &p)
		})
	}
}

// deliver makes one attempt and checks what holds for every error.
func (p *Provider) deliver(ctx context.Context, t testing.TB, n Notifier, notice tocsin.Notice) (tocsin.Receipt, error) {
	t.Helper()
	r, err := n.Deliver(ctx, notice)
	if err == nil {
		return r, nil
	}
	text := err.Error()
	for _, s := range p.Secrets {
		assert.NotContains(t, text, s, "a secret is in the error")
	}
	assert.LessOrEqual(t, len(text), 2000, "the error is too long for a timeline")
	assert.Equal(t, -1, strings.IndexFunc(text, unicode.IsControl), "the error has controls: %q", text)
	assert.Equal(t, tocsin.Receipt{}, r, "a failed attempt has no receipt")
	return r, err
}

// try makes one attempt against a handler on a socket.
func (p *Provider) try(t *testing.T, h http.Handler) error {
	t.Helper()
	s := serve(t, h)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err := p.deliver(ctx, t, p.New(t, s.URL, nil), p.notice())
	return err
}

// serve starts a server that does not wait for its clients at the end.
func serve(t testing.TB, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

func delivers(t *testing.T, p *Provider) {
	h, things := p.Emulator(t)
	notice := p.notice()
	r, err := p.deliver(t.Context(), t, p.New(t, serve(t, h).URL, nil), notice)
	require.NoError(t, err)
	assert.Equal(t, 1, things())
	assert.NotEmpty(t, r.Ref, "what was posted must be found again")
	assert.NotEmpty(t, r.Text, "the timeline must say what was done")
	assert.Equal(t, notice.Incident.State, r.State)
	if !r.More {
		assert.GreaterOrEqual(t, r.Revision, notice.Incident.StateRevision, "the target would lag for ever")
	}
	assert.LessOrEqual(t, r.Revision, notice.Incident.Revision)
}

func classifiesEveryStatus(t *testing.T, p *Provider) {
	for status := 100; status <= 599; status++ {
		h, _ := p.Emulator(t)
		rt := direct{handler: h, edit: func(r *http.Response) {
			r.StatusCode, r.Status = status, fmt.Sprintf("%d %s", status, http.StatusText(status))
			r.Header.Del("Retry-After")
		}}
		_, err := p.deliver(t.Context(), t, p.New(t, "http://provider.example", rt), p.notice())
		assert.Equal(t, p.class(status), ClassOf(err), "status %d: %v", status, err)
		if err != nil && status != http.StatusTooManyRequests {
			assert.Contains(t, err.Error(), fmt.Sprint(status), "the error must name the status")
		}
	}
}

func obeysRetryAfter(t *testing.T, p *Provider) {
	delay := func(value string) time.Duration {
		h, _ := p.Emulator(t)
		rt := direct{handler: h, edit: func(r *http.Response) {
			r.StatusCode, r.Status = http.StatusTooManyRequests, "429 Too Many Requests"
			r.Header.Del("Retry-After")
			if value != "" {
				r.Header.Set("Retry-After", value)
			}
		}}
		_, err := p.deliver(t.Context(), t, p.New(t, "http://provider.example", rt), p.notice())
		require.Error(t, err)
		d, ok := tocsin.RetryDelay(err)
		require.True(t, ok, "Retry-After %q: %v", value, err)
		return d
	}
	assert.Equal(t, 7*time.Second, delay("7"))
	for _, odd := range []string{"", "soon", "-3", "0", "99999999999999999999"} {
		d := delay(odd)
		assert.GreaterOrEqual(t, d, time.Second, "Retry-After %q", odd)
		assert.LessOrEqual(t, d, 5*time.Minute, "Retry-After %q", odd)
	}
	assert.LessOrEqual(t, delay("2000000"), time.Hour, "nobody is told anything for weeks")
}

func twiceIsOneThing(t *testing.T, p *Provider) {
	h, things := p.Emulator(t)
	n := p.New(t, serve(t, h).URL, nil)
	notice := p.notice()
	first, err := p.deliver(t.Context(), t, n, notice)
	require.NoError(t, err)
	// The receipt was lost in a crash: the same again.
	notice.MayBePosted = true
	second, err := p.deliver(t.Context(), t, n, notice)
	require.NoError(t, err)
	assert.Equal(t, 1, things())
	assert.Equal(t, first.Ref, second.Ref)
}

func lostAnswerIsUnclear(t *testing.T, p *Provider) {
	h, things := p.Emulator(t)
	var lost atomic.Bool
	n := p.New(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if lost.Swap(true) {
			h.ServeHTTP(w, r)
			return
		}
		h.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	})).URL, nil)
	notice := p.notice()
	_, err := p.deliver(t.Context(), t, n, notice)
	require.Error(t, err)
	assert.Equal(t, Temporary, ClassOf(err), "%v", err)
	assert.True(t, tocsin.IsUnclear(err), "the provider has acted: %v", err)
	notice.MayBePosted = true
	_, err = p.deliver(t.Context(), t, n, notice)
	require.NoError(t, err)
	assert.Equal(t, 1, things())
}
