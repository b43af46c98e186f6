package leak

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
)

// After searches files and folders when the test has ended: after what was
// registered later with Cleanup, such as the end of the program, and before what
// was registered earlier, such as the end of the folder.
func After(tb testing.TB, paths ...string) {
	tb.Helper()
	tb.Cleanup(func() {
		if err := Files(paths...); err != nil {
			tb.Errorf("what the test leaves: %v", err)
		}
	})
}

// Log is w, with a search of all that is written there, for more secrets too; at
// its end the test fails for one.
func Log(tb testing.TB, w io.Writer, more ...string) io.Writer {
	tb.Helper()
	s := NewSearch(more...)
	tb.Cleanup(func() {
		if err := s.Err(); err != nil {
			tb.Errorf("the log: %v", err)
		}
	})
	return io.MultiWriter(s, w)
}

// Said fails the test where texts hold a secret: what a command has printed, say.
// Tokens that were made may be there, as whoever makes one is shown it.
func Said(tb testing.TB, texts ...string) {
	tb.Helper()
	for _, text := range texts {
		s := ShownTokens()
		_, _ = io.WriteString(s, text)
		if err := s.Err(); err != nil {
			tb.Errorf("what was said: %v", err)
		}
	}
}

// Answers is a transport that searches what is read of the answers that come back
// through it. A token that was made may be in one alone, that to POST …/tokens.
type Answers struct {
	// Next sends the requests. Nil: http.DefaultTransport.
	Next http.RoundTripper

	mu    sync.Mutex
	found []error
}

// RoundTrip implements http.RoundTripper.
func (a *Answers) RoundTrip(r *http.Request) (*http.Response, error) {
	next := a.Next
	if next == nil {
		next = http.DefaultTransport
	}
	resp, err := next.RoundTrip(r)
	if err != nil || resp.StatusCode == http.StatusSwitchingProtocols {
		return resp, err
	}
	s := NewSearch()
	if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/tokens") {
		s = ShownTokens()
	}
	_, _ = fmt.Fprintln(s, resp.Header)
	resp.Body = &searched{body: resp.Body, search: s, end: func(err error) { a.tell(r, err) }}
	return resp, nil
}

func (a *Answers) tell(r *http.Request, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.found = append(a.found, fmt.Errorf("the answer to %s %s: %w", r.Method, r.URL.Path, err))
	}
}

// Err says what was found in answers that were read; nil: nothing.
func (a *Answers) Err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return errors.Join(a.found...)
}

// searched is a body that is searched as it is read.
type searched struct {
	body   io.ReadCloser
	search *Search
	once   sync.Once
	end    func(error)
}

func (b *searched) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	_, _ = b.search.Write(p[:n])
	if err != nil {
		b.once.Do(func() { b.end(b.search.Err()) })
	}
	return n, err
}

func (b *searched) Close() error {
	b.once.Do(func() { b.end(b.search.Err()) })
	return b.body.Close()
}

// Suite is the tests of a package, as testing.M has them. Where one of the answers
// that came meanwhile through a transport holds a secret, they have failed.
type Suite struct {
	Tests   interface{ Run() int }
	Answers *Answers
	Out     io.Writer // nil: os.Stderr
}

// Run runs the tests and returns the code to exit with.
func (s Suite) Run() int {
	code := s.Tests.Run()
	if err := s.Answers.Err(); err != nil {
		out := s.Out
		if out == nil {
			out = os.Stderr
		}
		_, _ = fmt.Fprintln(out, "FAIL: what was answered during the tests:", err)
		return max(code, 1)
	}
	return code
}
