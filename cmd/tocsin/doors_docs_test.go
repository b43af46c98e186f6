package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/tocsin-oncall/tocsin/config"
)

// What docs/doors.md says is tried on a running server.

func documentFences(t *testing.T, file string) []fence {
	t.Helper()
	var out []fence
	for _, m := range fences.FindAllStringSubmatch(string(read(t, file)), -1) {
		out = append(out, fence{filepath.Base(file), m[1], m[2]})
	}
	require.NotEmpty(t, out)
	return out
}

var (
	curlHeader = regexp.MustCompile(`-H ['"]([^:'"]+): ([^'"]*)['"]`)
	curlURL    = regexp.MustCompile(`http://127\.0\.0\.1:9911(\S+)`)
	curlBody   = regexp.MustCompile(`-d '([^']*)'`)
)

// curl does what a documented curl command does, on the server at url; its $TOKEN
// is empty.
func curl(t *testing.T, url, command string) (status int, body string) {
	t.Helper()
	method := http.MethodGet
	to := curlURL.FindStringSubmatch(command)
	require.NotNil(t, to, command)
	var sent io.Reader
	header := http.Header{}
	if m := curlBody.FindStringSubmatch(command); m != nil {
		method, sent = http.MethodPost, strings.NewReader(m[1])
		header.Set("Content-Type", "application/x-www-form-urlencoded") // as curl does
	}
	if strings.Contains(command, "-X POST") {
		method = http.MethodPost
	}
	for _, m := range curlHeader.FindAllStringSubmatch(command, -1) {
		header.Set(m[1], strings.ReplaceAll(m[2], "$TOKEN", "none"))
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url+to[1], sent)
	require.NoError(t, err)
	req.Header = header
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(raw)
}

// TestDoorsDocument runs a server with the document's configurations, all but that
// of Alertmanagers, which are not there, and sends what it shows.
func TestDoorsDocument(t *testing.T) {
	t.Parallel()
	r := startApp(t)
	all := documentFences(t, "../../docs/doors.md")
	dir := filepath.Dir(r.file)
	const theirs, ours = "0123456789abcdef0123456789abcdef", "canary0123456789abcdef0123456789"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "legacy.key"), []byte(ours), 0o600))
	whole := any(asMap(t, string(read(t, r.file))))
	configurations := 0
	for _, f := range all {
		if f.lang != "yaml" {
			continue
		}
		configurations++
		changed := with(whole, asMap(t, f.text))
		text, err := yaml.Marshal(with(changed, asMap(t, `server: {listen: "127.0.0.1:9911"}`)))
		require.NoError(t, err)
		_, warnings, err := config.Parse(r.file, text)
		require.NoError(t, err, f.text)
		assert.Empty(t, warnings, f.text)
		if !strings.Contains(f.text, "alertmanager:") {
			whole = changed
		}
	}
	assert.Equal(t, 5, configurations)
	text, err := yaml.Marshal(whole)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(r.file, text, 0o600))
	require.NoError(t, r.app.Reload(t.Context()))

	sent := 0
	for _, f := range all {
		if f.lang == "sh" {
			status, body := curl(t, r.url, strings.ReplaceAll(f.text, theirs, ours))
			assert.Equal(t, 2, status/100, "%s\n%s", f.text, body)
			sent++
		}
	}
	assert.Equal(t, 3, sent)
	assert.ElementsMatch(t, []string{"db-1 is slow", "db-1 is full"}, titles(t, r))
}
