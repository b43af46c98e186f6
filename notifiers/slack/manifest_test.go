package slack_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	slackgo "github.com/slack-go/slack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/tocsin-oncall/tocsin/notifiers/slack"
)

// methodName is the form of a method's name in Slack's Web API.
var methodName = regexp.MustCompile(`^(admin|api|apps|auth|bookmarks|bots|calls|chat|conversations|dnd|emoji|files|migration|oauth|openid|pins|reactions|reminders|rtm|search|stars|team|tooling|usergroups|users|views|workflows)(\.[a-zA-Z]+)+$`)

// products are the parsed files of the packages that speak to Slack, without tests
// and the table itself.
func products(t *testing.T) map[string]*ast.File {
	t.Helper()
	out := map[string]*ast.File{}
	for _, folder := range []string{".", "callback", "command", "socket"} {
		files, err := filepath.Glob(folder + "/*.go")
		require.NoError(t, err)
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") || name == "manifest_scopes.go" {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			out[name] = f
		}
	}
	return out
}

func texts(n ast.Node, each func(string)) {
	ast.Inspect(n, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if s, err := strconv.Unquote(lit.Value); err == nil {
				each(s)
			}
		}
		return true
	})
}

// slackGo finds calls of slack-go's functions.
var slackGo = regexp.MustCompile(`\bapi\.([A-Z]\w+)Context\(`)

// TestWhateverIsCalledIsInTheTable: a method without an entry would be missing from
// the manifest, one that is not called any more would ask for a scope in vain.
func TestWhateverIsCalledIsInTheTable(t *testing.T) {
	t.Parallel()
	called := map[string]string{}
	for name, f := range products(t) {
		texts(f, func(s string) {
			if methodName.MatchString(s) {
				called[s] = name
			}
		})
	}
	require.Greater(t, len(called), 10)
	listed := map[string]bool{}
	for _, p := range slack.Permissions() {
		if !p.Event && p.Call != "slash command" {
			listed[p.Call] = true
			assert.Contains(t, called, p.Call, "in the table and not called: take it out of manifest_scopes.go")
		}
	}
	for method, file := range called {
		assert.True(t, listed[method], "%s calls %s, which manifest_scopes.go does not list with its scope", file, method)
	}
}

// TestNoMethodIsCalledNamelessly: every call through slack-go stands in a function
// that also names the method, so that the test above sees it.
func TestNoMethodIsCalledNamelessly(t *testing.T) {
	t.Parallel()
	for name, f := range products(t) {
		src, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, decl := range f.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			body := string(src[fn.Pos()-1 : fn.End()-1])
			for _, m := range slackGo.FindAllStringSubmatch(body, -1) {
				if m[1] == "StartSocketMode" {
					continue // apps.connections.open, which check.go names
				}
				named := regexp.MustCompile(`\bmethod\w*\b`).MatchString(body)
				texts(fn, func(s string) { named = named || methodName.MatchString(s) })
				assert.True(t, named, "%s: %s calls slack-go's %s without naming the method", name, fn.Name.Name, m[1])
			}
		}
	}
}

// TestWhateverIsHeardIsInTheTable compares the events that package callback takes
// with those of the table.
func TestWhateverIsHeardIsInTheTable(t *testing.T) {
	t.Parallel()
	heard := map[string]bool{}
	ast.Inspect(products(t)[filepath.Join("callback", "event.go")], func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || spec.Names[0].Name != "events" {
			return true
		}
		for _, e := range spec.Values[0].(*ast.CompositeLit).Elts {
			texts(e.(*ast.KeyValueExpr).Key, func(s string) { heard[s] = true })
		}
		return false
	})
	require.NotEmpty(t, heard)
	subscribed := map[string]bool{}
	for _, e := range slack.Events(slack.Permissions()) {
		kind, _, _ := strings.Cut(e, ".") // message.im comes as a message
		subscribed[kind] = true
	}
	assert.Equal(t, heard, subscribed, "callback/event.go and manifest_scopes.go")
}

// botScopes are all that a bot may have, of those that have to do with what is
// called (https://docs.slack.dev/reference/scopes).
var botScopes = regexp.MustCompile(`^(app_mentions:read|channels:(history|join|manage|read|write\.invites|write\.topic)|chat:write(\.public|\.customize)?|commands|connections:write|files:write|groups:(history|read|write)|im:(history|read|write)|mpim:(history|read|write)|pins:(read|write)|reactions:(read|write)|usergroups:(read|write)|users:read(\.email)?)$`)

func TestThePermissionsMakeSense(t *testing.T) {
	t.Parallel()
	for _, p := range slack.Permissions() {
		assert.NotEmpty(t, p.Why, p.Call)
		assert.NotEmpty(t, p.For, p.Call)
		if p.Scope != "" {
			assert.Regexp(t, botScopes, p.Scope)
		}
		assert.Equal(t, p.Scope == "connections:write", p.Level == "app", p.Call)
	}
	assert.Empty(t, slack.Permissions("no such feature"))
}

// manifest reads what YAML wrote as slack-go knows manifests; a key that it does not
// know is an error.
func manifest(t *testing.T, m slack.Manifest) slackgo.Manifest {
	t.Helper()
	text, err := m.YAML()
	require.NoError(t, err)
	var out slackgo.Manifest
	dec, err := yaml.NewLoader(strings.NewReader(string(text)), yaml.WithKnownFields())
	require.NoError(t, err)
	require.NoError(t, dec.Load(&out), string(text))
	return out
}

func TestManifestOfURLs(t *testing.T) {
	t.Parallel()
	m := manifest(t, slack.Manifest{URL: "https://tocsin.example.com/base/", Features: []slack.Feature{slack.FeatureMessages}})
	assert.Equal(t, "Tocsin", m.Display.Name)
	assert.LessOrEqual(t, len(m.Display.Description), 140)
	require.Len(t, m.Features.SlashCommands, 1)
	assert.Equal(t, "/tocsin", m.Features.SlashCommands[0].Command)
	assert.Equal(t, "https://tocsin.example.com/base/slack/commands", m.Features.SlashCommands[0].Url)
	assert.True(t, m.Features.SlashCommands[0].ShouldEscape, "so that a mention is an ID")
	assert.Equal(t, "https://tocsin.example.com/base/slack/interactions", m.Settings.Interactivity.RequestUrl)
	assert.Equal(t, "https://tocsin.example.com/base/slack/events", m.Settings.EventSubscriptions.RequestUrl)
	assert.True(t, m.Settings.Interactivity.IsEnabled)
	assert.False(t, m.Settings.SocketModeEnabled)
	assert.True(t, m.Features.AppHome.HomeTabEnabled)
	assert.False(t, m.Features.AppHome.MessagesTabReadOnlyEnabled, "people write to the bot")
	assert.Contains(t, m.Settings.EventSubscriptions.BotEvents, "app_home_opened")
	assert.Empty(t, m.OAuthConfig.Scopes.User)
	for scope, want := range map[string]bool{
		"chat:write": true, "commands": true, "usergroups:write": false, "channels:manage": false, "groups:write": false,
		"channels:read": false, "users:read": false, "connections:write": false,
	} {
		assert.Equal(t, want, slices.Contains(m.OAuthConfig.Scopes.Bot, scope), scope)
	}
}

func TestManifestOfSocketMode(t *testing.T) {
	t.Parallel()
	m := manifest(t, slack.Manifest{URL: "https://tocsin.example.com", SocketMode: true})
	assert.True(t, m.Settings.SocketModeEnabled)
	assert.Empty(t, m.Settings.Interactivity.RequestUrl)
	assert.Empty(t, m.Settings.EventSubscriptions.RequestUrl)
	assert.Empty(t, m.Features.SlashCommands[0].Url)
	assert.NotContains(t, m.OAuthConfig.Scopes.Bot, "connections:write", "it is the app-level token's")
	all := slack.Scopes(slack.Permissions())
	require.Len(t, m.OAuthConfig.Scopes.Bot, len(all)-1)
	assert.True(t, slices.IsSorted(m.OAuthConfig.Scopes.Bot))
	assert.Len(t, slices.Compact(slices.Clone(m.OAuthConfig.Scopes.Bot)), len(m.OAuthConfig.Scopes.Bot))
}

func TestManifestRefusesWhatSlackDoes(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "http://tocsin.example.com", "tocsin.example.com", "https://", "https://u:p@x.example.com", "https://x.example.com?a=b", "https://x\n.example.com"} {
		m := slack.Manifest{URL: bad}
		_, err := m.YAML()
		require.Error(t, err, bad)
		assert.Contains(t, err.Error(), "--socket-mode", bad)
	}
}

func TestEachScopeSaysWhyOnOneLine(t *testing.T) {
	t.Parallel()
	for _, s := range slack.Scopes(slack.Permissions()) {
		why := s.Why()
		assert.NotContains(t, why, "\n")
		assert.LessOrEqual(t, len(why), 300, s.Name)
		assert.Equal(t, 1, strings.Count(why, s.For[0].Why), s.Name)
	}
}
