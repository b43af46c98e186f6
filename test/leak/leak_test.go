package leak_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
	"github.com/tocsin-oncall/tocsin/test/leak"
)

const (
	secret = "xoxb-" + leak.Mark + "-1"
	other  = `p&ss "wörd"/+`
)

func token() string { return "tocsin_" + strings.Repeat("A", 58) + "Z" }

// written are texts that hold a secret, in each of the ways in which they are written.
func written() map[string]string {
	out := map[string]string{
		"as it is":        "token=" + secret + " ",
		"URL":             "https://hooks.example.com/" + url.PathEscape(secret) + "?q=" + url.QueryEscape(secret),
		"JSON":            fmt.Sprintf("{%q:%q}", "token", secret),
		"hex":             hex.EncodeToString([]byte(secret)),
		"HEX":             fmt.Sprintf("%X", secret),
		"made token":      "Bearer " + token(),
		"other, as it is": "a" + other + "b", "other, escaped": url.QueryEscape(other), "other, in a path": url.PathEscape(other),
		"other, in HTML": html.EscapeString(other), "other, in JSON": `"p\u0026ss \"wörd\"/+"`, "other, as hex": hex.EncodeToString([]byte(other)),
	}
	for n := range 4 { // of every length before it: that decides how base64 writes it
		before := "user: "[:n]
		out[fmt.Sprint("base64 after ", n)] = base64.StdEncoding.EncodeToString([]byte(before + secret + "more"))
		out[fmt.Sprint("base64 without padding after ", n)] = base64.RawURLEncoding.EncodeToString([]byte(before + secret))
		out[fmt.Sprint("other, in base64 after ", n)] = base64.StdEncoding.EncodeToString([]byte(before + other))
		out[fmt.Sprint("other, in base64 of URLs after ", n)] = base64.URLEncoding.EncodeToString([]byte(before + other))
	}
	return out
}

// TestSearchFindsEveryForm cuts what it reads everywhere: a secret may lie across.
func TestSearchFindsEveryForm(t *testing.T) {
	t.Parallel()
	for how, text := range written() {
		require.ErrorContains(t, leak.Text(text, other), "a ", how)
		for cut := range len(text) {
			s := leak.NewSearch(other)
			for _, part := range []string{strings.Repeat("x", 300), text[:cut], text[cut:], strings.Repeat("y", 300)} {
				_, err := io.WriteString(s, part)
				require.NoError(t, err)
			}
			require.Error(t, s.Err(), "%s, cut at %d", how, cut)
		}
		s := leak.NewSearch(other)
		_, err := io.Copy(struct{ io.Writer }{s}, iotest.OneByteReader(strings.NewReader(text)))
		require.NoError(t, err)
		require.Error(t, s.Err(), "%s, byte by byte", how)
	}
}

func TestSearchFindsNothingElse(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "cana", "canaxry canar y", "CANARY", "tocsin_incidents_open 7", "tocsin_" + strings.Repeat("A", 58), strings.ToLower(token()),
		hex.EncodeToString([]byte("canarx")), base64.StdEncoding.EncodeToString([]byte("user:cannery")), strings.Repeat("c", 1000),
	} {
		require.NoError(t, leak.Text(text, other), text)
	}
	s := leak.NewSearch()
	_, _ = io.WriteString(s, "can")
	_, _ = io.WriteString(s, "'t say: ary")
	require.NoError(t, s.Err(), "the parts are put together as they came")
}

// TestFindsItInAStore looks into a real store, where it is in the middle of a page
// and where it is in a large value of many.
func TestFindsItInAStore(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"short": secret, "long": strings.Repeat("a", 300_000) + secret, "in base64": base64.StdEncoding.EncodeToString([]byte("am:" + secret)), "none": "b",
	} {
		dir := t.TempDir()
		s, err := bolt.Open(filepath.Join(dir, "data", "tocsin.db"), bolt.Options{MinFree: -1, Ballast: -1})
		require.NoError(t, err)
		require.NoError(t, s.Update(t.Context(), func(tx tocsin.Tx) error {
			tx.PutDocument("kind", "a", fmt.Appendf(nil, "%q", value))
			return nil
		}))
		var backup bytes.Buffer
		_, err = s.Backup(&backup)
		require.NoError(t, err)
		require.NoError(t, s.Close())
		for _, err := range []error{leak.Files(dir), leak.Text(backup.String())} {
			if name == "none" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, "a secret, ", name)
			}
		}
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, leak.Files(dir, filepath.Join(dir, "none")))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "a", "b"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a", "b", "c"), append(make([]byte, 1<<20-3), secret...), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "d"), []byte(token()), 0o600))
	err := leak.Files(dir)
	require.ErrorContains(t, err, filepath.Join(dir, "a", "b", "c")+": a secret, as it is", "across two chunks")
	require.ErrorContains(t, err, filepath.Join(dir, "d")+": a secret, a token that was made", "and the second file too")
	require.Error(t, leak.Files(filepath.Join(dir, "d")), "a file alone")
}

// failing is a test of which only its end and its failure are taken.
type failing struct {
	testing.TB
	cleanups []func()
	errors   []string
}

func (f *failing) Helper()                      {}
func (f *failing) Cleanup(fn func())            { f.cleanups = append(f.cleanups, fn) }
func (f *failing) Errorf(s string, args ...any) { f.errors = append(f.errors, fmt.Sprintf(s, args...)) }

func (f *failing) end() []string {
	for len(f.cleanups) > 0 {
		last := f.cleanups[len(f.cleanups)-1]
		f.cleanups = f.cleanups[:len(f.cleanups)-1]
		last()
	}
	return f.errors
}

// TestATestFails for what it leaves behind, and for what it has logged or said.
func TestATestFails(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	for name, c := range map[string]struct {
		do   func(*failing)
		want string
	}{
		"a file that is written at the end": {func(f *failing) {
			leak.After(f, file)
			f.Cleanup(func() { assert.NoError(t, os.WriteFile(file, []byte(secret), 0o600)) })
		}, "what the test leaves: " + file},
		"a log":                {func(f *failing) { _, _ = io.WriteString(leak.Log(f, io.Discard), "x "+secret) }, "the log: a secret"},
		"a token in a log":     {func(f *failing) { _, _ = io.WriteString(leak.Log(f, io.Discard), token()) }, "the log: a secret"},
		"what was said":        {func(f *failing) { leak.Said(f, "well", secret) }, "what was said: a secret"},
		"a token that is said": {func(f *failing) { leak.Said(f, token()) }, ""},
		"nothing": {func(f *failing) {
			leak.After(f, filepath.Dir(file)+"-none")
			_, _ = io.WriteString(leak.Log(f, io.Discard), "well")
		}, ""},
	} {
		f := &failing{}
		c.do(f)
		got := f.end()
		if c.want == "" {
			assert.Empty(t, got, name)
		} else if assert.Len(t, got, 1, name) {
			assert.Contains(t, got[0], c.want, name)
		}
	}
}

type code int

func (c code) Run() int { return int(c) }

func TestAnswers(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Said", r.Header.Get("X-Say"))
		_, _ = io.Copy(w, r.Body)
	}))
	t.Cleanup(s.Close)
	for name, c := range map[string]struct {
		method, path, header, body string
		finds                      bool
	}{
		"nothing":                   {"GET", "/", "", "well", false},
		"in the body":               {"POST", "/", "", secret, true},
		"in a header":               {"GET", "/", secret, "", true},
		"a token that is shown":     {"POST", "/api/v1/tokens", "", token(), false},
		"a secret beside the token": {"POST", "/api/v1/tokens", "", token() + secret, true},
		"a token in a list":         {"PUT", "/api/v1/tokens", "", token(), true},
	} {
		answers := &leak.Answers{}
		req, err := http.NewRequestWithContext(t.Context(), c.method, s.URL+c.path, strings.NewReader(c.body))
		require.NoError(t, err)
		req.Header.Set("X-Say", c.header)
		resp, err := (&http.Client{Transport: answers}).Do(req)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		if c.method != http.MethodGet {
			assert.Equal(t, c.body, string(body), name)
		}
		assert.Equal(t, c.finds, answers.Err() != nil, name)
		assert.Equal(t, c.finds, leak.Suite{Tests: code(0), Answers: answers, Out: io.Discard}.Run() == 1, name)
		assert.Equal(t, 2, leak.Suite{Tests: code(2), Answers: answers, Out: io.Discard}.Run(), name)
	}
}
