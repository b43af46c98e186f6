package slack

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"
)

// Manifest is what an app's manifest is made of.
type Manifest struct {
	// URL is the base at which Slack reaches Tocsin: https. It is not needed with
	// SocketMode, and not used.
	URL        string
	SocketMode bool
	// Features that the app needs scopes for; none: all of them.
	Features []Feature
}

// The paths that Slack calls, below the external URL.
const (
	PathInteractions = "/slack/interactions"
	PathCommands     = "/slack/commands"
	PathEvents       = "/slack/events"
)

// YAML returns the manifest, to be pasted where Slack makes an app
// (https://docs.slack.dev/reference/app-manifest). It asks for the scopes that the
// features need and for nothing else; each has a comment that says why.
func (m *Manifest) YAML() ([]byte, error) {
	base := strings.TrimRight(m.URL, "/")
	if !m.SocketMode {
		u, err := url.Parse(base)
		switch {
		case base == "":
			return nil, errors.New("there is no https URL at which Slack reaches Tocsin: give --url https://…, set server.external_url, or use --socket-mode")
		case err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
			return nil, fmt.Errorf("%q is no URL that Slack calls: it takes https://… without a user name and a query; without one, use --socket-mode", base)
		}
	}
	need := Permissions(m.Features...)
	w := &yamlWriter{}
	w.line("# The Slack app of Tocsin, made by `tocsin slack manifest`. Paste it at")
	w.line("# https://api.slack.com/apps: Create New App, From a manifest.")
	w.line("_metadata: {major_version: 2, minor_version: 1}")
	w.line("display_information:")
	w.line("  name: Tocsin")
	w.line("  description: Calls who is on call, and shows incidents where you work.")
	w.line(`  background_color: "#611f1f"`)
	m.features(w, base)
	w.line("oauth_config:")
	w.line("  scopes:")
	w.line("    bot:")
	for _, s := range Scopes(need) {
		if s.Level == "" {
			w.line("      - " + s.Name + " # " + s.Why())
		}
	}
	m.settings(w, base, Events(need))
	return []byte(w.String()), nil
}

// yamlWriter writes lines.
type yamlWriter struct{ strings.Builder }

func (w *yamlWriter) line(s string) { w.WriteString(s + "\n") }

// quoted writes a key whose value is a text from outside. JSON's strings are
// YAML's (https://yaml.org/spec/1.2.2/#1.2.1).
func (w *yamlWriter) quoted(key, value string) {
	text, err := json.Marshal(value)
	if err != nil {
		text = []byte(`""`) // no UTF-8: no URL either
	}
	w.line(key + ": " + string(text))
}

func (m *Manifest) features(w *yamlWriter, base string) {
	w.line("features:")
	w.line("  app_home:")
	w.line("    home_tab_enabled: true")
	w.line("    messages_tab_enabled: true")
	w.line("    messages_tab_read_only_enabled: false")
	w.line("  bot_user:")
	w.line("    display_name: tocsin")
	w.line("    always_online: true")
	w.line("  slash_commands:")
	w.line("    - command: /tocsin")
	w.line("      description: Incidents, on-call duty, silences")
	w.line("      usage_hint: help")
	w.line("      should_escape: true")
	if !m.SocketMode {
		w.quoted("      url", base+PathCommands)
	}
}

func (m *Manifest) settings(w *yamlWriter, base string, events []string) {
	w.line("settings:")
	w.line("  event_subscriptions:")
	if !m.SocketMode {
		w.quoted("    request_url", base+PathEvents)
	}
	w.line("    bot_events:")
	for _, e := range events {
		w.line("      - " + e)
	}
	w.line("  interactivity:")
	w.line("    is_enabled: true")
	if !m.SocketMode {
		w.quoted("    request_url", base+PathInteractions)
	}
	w.line("  org_deploy_enabled: false")
	w.line(fmt.Sprintf("  socket_mode_enabled: %t", m.SocketMode))
	w.line("  token_rotation_enabled: false")
}
