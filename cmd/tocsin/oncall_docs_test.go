package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/test/leak"
)

// What docs/oncall.md says is tried on the configuration that it shows first:
// its commands against a server that runs it, its snippets as changes to it.

const onCallDocument = "../../docs/oncall.md"

func onCallFences(t *testing.T) (whole fence, all []fence) {
	t.Helper()
	for _, m := range fences.FindAllStringSubmatch(string(read(t, onCallDocument)), -1) {
		f := fence{filepath.Base(onCallDocument), m[1], m[2]}
		if f.lang == "yaml" && strings.Contains(f.text, "route:") {
			require.Empty(t, whole.text, "one configuration is whole")
			whole = f
		}
		all = append(all, f)
	}
	require.NotEmpty(t, whole.text)
	return whole, all
}

var secretFile = regexp.MustCompile(`\w+_file: ([\w.-]+)`)

// onCallDesk is a folder with every file that the document's configurations name.
func onCallDesk(t *testing.T, all []fence) string {
	t.Helper()
	dir := t.TempDir()
	leak.After(t, filepath.Join(dir, "data"))
	for _, f := range all {
		for _, m := range secretFile.FindAllStringSubmatch(f.text, -1) {
			content := fmt.Sprintf("canary%x", sha256.Sum256([]byte(m[1])))[:32]
			switch {
			case m[1] == "slack.token":
				content = "xoxb-canary"
			case strings.HasSuffix(m[1], ".url"):
				content = "https://calendar.example.com/canary.ics"
			case m[1] == "calendar.token":
				content = "canary-token-for-calendar-programs"
			}
			require.NoError(t, os.WriteFile(filepath.Join(dir, m[1]), []byte(content), 0o600))
		}
	}
	return dir
}

func asMap(t *testing.T, text string) map[string]any {
	t.Helper()
	m := map[string]any{}
	require.NoError(t, yaml.Unmarshal([]byte(text), &m))
	return m
}

// with returns base changed by a snippet: sections key by key, lists of things
// that have names by name, all else as a whole.
func with(base, change any) any {
	switch c := change.(type) {
	case map[string]any:
		b, ok := base.(map[string]any)
		if !ok {
			return change
		}
		out := map[string]any{}
		for k, v := range b {
			out[k] = v
		}
		for k, v := range c {
			out[k] = with(out[k], v)
		}
		return out
	case []any:
		b, _ := base.([]any)
		out := append([]any{}, b...)
		for _, item := range c {
			name := nameOf(item)
			if name == "" {
				return change
			}
			found := false
			for n := range out {
				if nameOf(out[n]) == name {
					out[n], found = with(out[n], item), true
				}
			}
			if !found {
				out = append(out, item)
			}
		}
		return out
	default:
		return change
	}
}

func nameOf(item any) string {
	m, _ := item.(map[string]any)
	name, _ := m["name"].(string)
	return name
}

func TestOnCallDocumentConfigurations(t *testing.T) {
	whole, all := onCallFences(t)
	dir := onCallDesk(t, all)
	tried := 0
	for _, f := range all {
		switch {
		case f.lang != "yaml":
			continue
		case strings.Contains(f.text, "groups:"):
			checkRules(t, f.text)
		default:
			text, err := yaml.Marshal(with(asMap(t, whole.text), asMap(t, f.text)))
			require.NoError(t, err)
			_, warnings, err := config.Parse(filepath.Join(dir, "tocsin.yml"), text)
			require.NoError(t, err, "%s\nas in\n%s", f.text, text)
			assert.Empty(t, warnings, f.text)
		}
		tried++
	}
	assert.GreaterOrEqual(t, tried, 8)
}

var made = regexp.MustCompile(`(?m)^(?:override|swap|time off) ([a-z0-9]+):`)

func TestOnCallDocumentCommands(t *testing.T) {
	whole, all := onCallFences(t)
	dir := onCallDesk(t, all)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tocsin.yml"), []byte(whole.text), 0o600))
	r := startApp(t) // for its providers
	r.stop()
	here := with(asMap(t, whole.text), asMap(t, `
server: {listen: "127.0.0.1:0"}
storage: {path: data, min_free: 0, ballast: 0}
`)).(map[string]any)
	providers := asMap(t, string(read(t, r.file)))
	for _, section := range []string{"slack", "pagerduty"} {
		here[section] = providers[section]
	}
	text, err := yaml.Marshal(here)
	require.NoError(t, err)
	r.file = filepath.Join(dir, "server.yml")
	require.NoError(t, os.WriteFile(r.file, text, 0o600))
	r.run(t)
	for _, instance := range []string{"a", "b"} {
		r.fire(t, "NodeDown", instance, "critical")
	}
	incidents := r.incidents(t)
	require.Len(t, incidents, 2)
	t.Chdir(dir)
	t.Setenv("TOCSIN_URL", r.url)
	override, ran := "", 0
	for _, f := range all {
		if f.lang != "sh" {
			continue
		}
		for line := range strings.Lines(f.text) {
			command, _, _ := strings.Cut(line, " #")
			command = strings.NewReplacer("k7f3q9", incidents[0].ID, "m2x8p4", incidents[1].ID, "p4w6tz", override).Replace(command)
			words := options.FindAllString(command, -1)
			require.Equal(t, "tocsin", words[0], line)
			for n := range words {
				words[n] = strings.Trim(words[n], `"`)
			}
			out := runCLI(t, 0, words[1:]...)
			assert.NotEmpty(t, out, line)
			if m := made.FindStringSubmatch(out); m != nil {
				override = m[1]
			}
			ran++
		}
	}
	assert.GreaterOrEqual(t, ran, 25)
}

// run starts the program anew on its file, which may be another one.
func (r *running) run(tb testing.TB) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	app, err := NewApp(ctx, r.file, newTestLogger(tb))
	require.NoError(tb, err)
	r.app, r.url = app, "http://"+app.Addr()
	done := make(chan error, 1)
	go func() { done <- app.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		require.NoError(tb, <-done)
		require.NoError(tb, app.Close())
	})
}
