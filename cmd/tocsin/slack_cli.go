package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
)

type slackCmd struct {
	Manifest slackManifestCmd `cmd:"" help:"Print the manifest from which Slack makes the app, with exactly the scopes that are used."`
	Check    slackCheckCmd    `cmd:"" help:"Prove tokens, scopes, channels, users and user groups against Slack; exit 1 when something that is needed is missing."`
}

type slackManifestCmd struct {
	Config          string `name:"config.file" help:"The configuration file: the manifest asks for what it uses. Without one, for all but user groups and private incident channels." type:"path"`
	URL             string `name:"url" help:"Where Slack reaches Tocsin: https://…. Default: server.external_url."`
	SocketMode      bool   `help:"Tocsin connects to Slack, which need not reach it. Default where slack.app_token is set and --url is not given."`
	UserGroups      bool   `help:"Also ask for what user groups that follow who is on call need."`
	PrivateChannels bool   `help:"Ask for private incident channels instead of public ones."`
	Graphs          bool   `help:"Ask for what graphs in threads need (prometheus.url)."`
	Explain         bool   `help:"Print what each scope is for instead."`
	outputFlag
}

// Help is shown by --help.
func (slackManifestCmd) Help() string {
	return "Example: tocsin slack manifest --url https://tocsin.example.com"
}

// Run prints.
func (c *slackManifestCmd) Run(e *env) error {
	m := slack.Manifest{URL: c.URL, SocketMode: c.SocketMode}
	private, groups, lookup, graphs := c.PrivateChannels, c.UserGroups, true, c.Graphs
	if c.Config != "" {
		cfg, _, err := config.Load(c.Config)
		if err != nil {
			return exitError{1, err.Error()}
		}
		private, groups, lookup = private || cfg.Slack.IncidentChannels.Private, groups || followsDuty(cfg), cfg.Slack.Lookup
		graphs = graphs || cfg.Prometheus.URL != ""
		m.SocketMode = m.SocketMode || m.URL == "" && !cfg.Slack.AppToken.IsZero()
		if m.URL == "" {
			m.URL = cfg.Server.ExternalURL
		}
	}
	m.Features = slackFeatures(lookup, groups, private, m.SocketMode, graphs)
	need := slack.Permissions(m.Features...)
	if c.Explain {
		return c.print(e.out, struct {
			Permissions []slack.Permission `json:"permissions"`
		}{need}, func(w io.Writer) { explain(w, need) })
	}
	text, err := m.YAML()
	if err != nil {
		return exitError{1, err.Error()}
	}
	return c.print(e.out, struct {
		Manifest string `json:"manifest"`
	}{string(text)}, func(w io.Writer) { _, _ = w.Write(text) })
}

// explain prints each scope with what it is for.
func explain(w io.Writer, need []slack.Permission) {
	for _, s := range slack.Scopes(need) {
		level := ""
		if s.Level != "" {
			level = " (of the app-level token)"
		}
		fmt.Fprintf(w, "%s%s\n", s.Name, level)
		for _, p := range s.For {
			fmt.Fprintf(w, "  %s: %s\n", p.Call, p.Why)
		}
	}
}

// followsDuty reports whether a Slack user group follows who is on call.
func followsDuty(cfg *config.Config) bool {
	return slices.ContainsFunc(cfg.Schedules, func(s config.Schedule) bool { return s.UserGroup != "" })
}

func slackFeatures(lookup, groups, private, socketMode, graphs bool) []slack.Feature {
	out := []slack.Feature{slack.FeatureMessages, slack.FeatureChannels}
	if private {
		out[1] = slack.FeaturePrivateChannels
	}
	for f, on := range map[slack.Feature]bool{
		slack.FeatureLookup: lookup, slack.FeatureUserGroups: groups, slack.FeatureSocketMode: socketMode, slack.FeatureGraphs: graphs,
	} {
		if on {
			out = append(out, f)
		}
	}
	return out
}

type slackCheckCmd struct {
	Config string `name:"config.file" default:"tocsin.yml" help:"The configuration file." type:"path"`
	Post   bool   `help:"Post a message into each channel and delete it, and write the members of each user group as they are. Without it nobody sees anything."`
	outputFlag
}

// Help is shown by --help.
func (slackCheckCmd) Help() string { return "Example: tocsin slack check --post" }

// Run checks.
func (c *slackCheckCmd) Run(ctx context.Context, e *env) error {
	cfg, _, err := config.Load(c.Config)
	if err != nil {
		return exitError{1, err.Error()}
	}
	if cfg.Slack.BotToken.IsZero() {
		return exitError{1, "no bot token is set: put the app's (xoxb-…) into slack.bot_token_file; docs/slack.md says where it comes from"}
	}
	var all []slack.Finding
	tell := func(f slack.Finding) {
		all = append(all, f)
		if c.Output != "json" {
			fmt.Fprintf(e.out, "%s %s: %s\n", findingMark(f.Status), printable(f.What), printable(f.Text))
		}
	}
	client := slack.New(slack.Config{Token: cfg.Slack.BotToken.Reveal(), APIURL: cfg.Slack.APIURL, Timeout: time.Duration(cfg.Slack.Timeout)})
	if err := client.Check(ctx, c.needs(cfg), tell); err != nil {
		return err
	}
	callbacks(cfg, tell)
	if c.Output == "json" {
		if err := printJSON(e.out, struct {
			Findings []slack.Finding `json:"findings"`
		}{all}); err != nil {
			return err
		}
	}
	return verdict(all)
}

// verdict is the error about what is missing.
func verdict(all []slack.Finding) error {
	missing, unknown := 0, 0
	for _, f := range all {
		switch f.Status {
		case slack.CheckMissing:
			missing++
		case slack.CheckUnknown:
			unknown++
		}
	}
	if missing == 0 {
		return nil
	}
	text := fmt.Sprintf("%d of %d do not work", missing, len(all))
	if unknown > 0 {
		text += fmt.Sprintf(", and of %d it cannot be told", unknown)
	}
	return exitError{1, text}
}

func findingMark(s slack.CheckStatus) string {
	switch s {
	case slack.CheckOK:
		return "ok   "
	case slack.CheckMissing:
		return "FAIL "
	case slack.CheckNote:
		return "-    "
	default:
		return "?    "
	}
}

// needs is what the configuration needs of the workspace.
func (c *slackCheckCmd) needs(cfg *config.Config) slack.CheckConfig {
	out := slack.CheckConfig{
		Features: slackFeatures(cfg.Slack.Lookup, followsDuty(cfg), cfg.Slack.IncidentChannels.Private, !cfg.Slack.AppToken.IsZero(), cfg.Prometheus.URL != ""),
		AppToken: cfg.Slack.AppToken.Reveal(), Post: c.Post,
	}
	channels := namedChannels(cfg)
	for i := range cfg.Receivers {
		for _, s := range cfg.Receivers[i].SlackConfigs {
			channels = append(channels, s.Channel)
		}
	}
	for _, name := range channels {
		if !slices.Contains(out.Channels, name) {
			out.Channels = append(out.Channels, name)
		}
	}
	for i := range cfg.Users {
		if u := &cfg.Users[i]; u.Slack != "" {
			out.Users = append(out.Users, slack.CheckUser{Name: u.Name, ID: u.Slack})
		}
	}
	for i := range cfg.Schedules {
		if id := cfg.Schedules[i].UserGroup; id != "" && !slices.Contains(out.UserGroups, id) {
			out.UserGroups = append(out.UserGroups, id)
		}
	}
	return out
}

// callbacks says what cannot be proven from here: only Slack knows its signing
// secret, and whether it reaches us.
func callbacks(cfg *config.Config, tell func(slack.Finding)) {
	const what = "signing secret"
	socket := !cfg.Slack.AppToken.IsZero()
	switch {
	case socket:
		tell(slack.Finding{What: what, Status: slack.CheckNote, Text: "not needed: clicks come over Socket Mode"})
	case cfg.Slack.SigningSecret.IsZero():
		tell(slack.Finding{What: what, Status: slack.CheckNote, Text: "neither slack.signing_secret nor slack.app_token is set: messages have no buttons, and nobody can act in Slack"})
	default:
		tell(slack.Finding{What: what, Status: slack.CheckUnknown, Text: "only Slack can use it. Click a button: tocsin_slack_callbacks_total{outcome=\"done\"} counts it on /metrics; a wrong secret shows as outcome=\"refused\", and in the log"})
		if !strings.HasPrefix(cfg.Server.ExternalURL, "https://") {
			tell(slack.Finding{What: "callbacks", Status: slack.CheckUnknown, Text: "server.external_url is not https://…: Slack calls https alone. Put a proxy with a certificate in front, or use slack.app_token (Socket Mode)"})
		}
	}
}
