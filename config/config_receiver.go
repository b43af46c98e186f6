package config

import "github.com/tocsin-oncall/tocsin"

// Slack is how to speak to Slack.
type Slack struct {
	// The bot token (xoxb-…). Scopes: chat:write, and chat:write.public or an
	// invitation to each channel; channels:history (groups:history for private
	// ones) for lookup.
	BotToken Secret `yaml:"bot_token" example:"${SLACK_BOT_TOKEN}"`
	// File with the bot token.
	BotTokenFile string `yaml:"bot_token_file" path:"true" example:"slack.token"`
	// The app's signing secret (Basic Information), with which Slack signs what
	// people click. With it messages have buttons; without it they have none. In
	// the app, set the Request URL of Interactivity to
	// https://…/slack/interactions.
	SigningSecret Secret `yaml:"signing_secret" example:"${SLACK_SIGNING_SECRET}" restart:"true"`
	// File with the signing secret.
	SigningSecretFile string `yaml:"signing_secret_file" path:"true" example:"slack.secret" restart:"true"`
	// The app-level token (xapp-…, scope connections:write) for Socket Mode: what
	// people click and type comes over connections that Tocsin opens, so that
	// Slack need not reach it. Messages have buttons with it, as with the signing
	// secret.
	AppToken Secret `yaml:"app_token" example:"${SLACK_APP_TOKEN}" restart:"true"`
	// File with the app-level token.
	AppTokenFile string `yaml:"app_token_file" path:"true" example:"slack.app-token" restart:"true"`
	// Slack channels for single incidents.
	IncidentChannels IncidentChannels `yaml:"incident_channels"`
	// Base of the Web API. For a proxy or an emulator.
	APIURL string `yaml:"api_url" default:"https://slack.com/api/" example:"http://127.0.0.1:9912/api/"`
	// Messages a second and channel. Slack allows about one. 0: no limit.
	RateLimit float64 `yaml:"rate_limit" default:"1" example:"0.5"`
	// After an unclear outcome (a timeout, a crash), look in the channel before
	// posting again, so that nothing is posted twice.
	Lookup bool `yaml:"lookup" default:"true" example:"false"`
	// How long one call may take.
	Timeout Duration `yaml:"timeout" default:"10s" example:"5s"`
	// When more than this many incidents wait for one channel, they are told as
	// one digest that names them. 0: never.
	DigestAfter int `yaml:"digest_after" default:"5" example:"10"`
}

// IncidentChannels is which incidents get a Slack channel of their own, besides
// those for which somebody asks for one.
type IncidentChannels struct {
	// Incidents of these severities get one when they open, or rise to it.
	Severities []tocsin.Severity `yaml:"severities" defaultdoc:"none" example:"[critical]"`
	// What the names of the channels begin with; the incident's ID and title follow.
	Prefix string `yaml:"prefix" default:"inc" example:"outage"`
	// Private channels are seen by those who were invited alone.
	Private bool `yaml:"private" default:"false" example:"true"`
	// How long after the incident is resolved its channel is archived. 0: never.
	ArchiveAfter Duration `yaml:"archive_after" default:"1d" example:"4h"`
}

// PagerDuty is how to speak to PagerDuty.
type PagerDuty struct {
	// Base of the Events API v2. In the EU service region:
	// https://events.eu.pagerduty.com.
	EventsURL string `yaml:"events_url" default:"https://events.pagerduty.com" example:"https://events.eu.pagerduty.com"`
	// Base of the REST API, for pagerduty_schedule. In the EU service region:
	// https://api.eu.pagerduty.com.
	APIURL string `yaml:"api_url" default:"https://api.pagerduty.com" example:"https://api.eu.pagerduty.com"`
	// A token of the REST API (Integrations, API Access Keys). Needed for
	// pagerduty_schedule, for which read-only is enough, and to write notes into
	// PagerDuty's incidents.
	APIToken Secret `yaml:"api_token" example:"${PAGERDUTY_API_TOKEN}"`
	// File with the token.
	APITokenFile string `yaml:"api_token_file" path:"true" example:"pagerduty.token"`
	// The address of the user in whose name notes are written. Needed where
	// api_token is the account's, not a user's.
	APIFrom string `yaml:"api_from" example:"tocsin@example.com"`
	// The secrets of the V3 webhook subscriptions that lead to
	// /webhook/pagerduty. Both, while one is rotated.
	WebhookSecrets []Secret `yaml:"webhook_secrets" example:"['${PAGERDUTY_WEBHOOK_SECRET}']"`
	// File with the secrets, one a line.
	WebhookSecretsFile string `yaml:"webhook_secrets_file" path:"true" example:"pagerduty.webhook"`
	// Priorities in PagerDuty that change an incident's severity here. Others are
	// noted only.
	Priorities []PagerDutyPriority `yaml:"priorities"`
	// Tell the services of the receivers what was changed here, such as this
	// configuration: PagerDuty shows it beside the incidents that follow, and pages
	// nobody.
	ChangeEvents bool `yaml:"change_events" default:"false" example:"true"`
	// Show the graph of what fires on PagerDuty's incidents: a link to a picture on
	// this server, signed and good for a week, which whoever has it can open without
	// logging in. Needs prometheus.url, and server.external_url with https.
	Images bool `yaml:"images" default:"false" example:"true"`
	// Events a minute and routing key. 0: no limit.
	RateLimit float64 `yaml:"rate_limit" default:"100" example:"60"`
	// How long one call may take.
	Timeout Duration `yaml:"timeout" default:"10s" example:"5s"`
}

// PagerDutyPriority is what a priority of PagerDuty's stands for.
type PagerDutyPriority struct {
	// The priority's name in PagerDuty.
	Name string `yaml:"name" example:"P1" jsonschema:"required"`
	// The severity here: critical, error, warning or info.
	Severity tocsin.Severity `yaml:"severity" example:"critical" jsonschema:"required"`
}

// Receiver is a named place, or several, that routes send to. One without any
// *_configs and without an escalation policy pages nobody: alerts are kept and
// can be looked up.
type Receiver struct {
	// The name that routes use. Renaming a receiver makes its targets new ones.
	Name string `yaml:"name" example:"platform-critical" jsonschema:"required"`
	// Slack channels to post to.
	SlackConfigs []SlackConfig `yaml:"slack_configs"`
	// PagerDuty services to page.
	PagerDutyConfigs []PagerDutyConfig `yaml:"pagerduty_configs"`
	// URLs to post to, in Alertmanager's own webhook format (version 4).
	WebhookConfigs []WebhookConfig `yaml:"webhook_configs"`
	// Addresses to send mail to. Needs smtp.
	EmailConfigs []EmailConfig `yaml:"email_configs"`
	// The policy by which people are called. What is in the *_configs is told at
	// once all the same.
	EscalationPolicy string `yaml:"escalation_policy" example:"platform"`
	// The team whose incidents those are that the receiver is told of. Whoever has
	// no role but in other teams does not see them.
	Team string `yaml:"team" example:"platform"`
	// Pos is where the receiver stands: "tocsin.yml:12".
	Pos string `yaml:"-" json:"-"`
}

// SlackConfig is one Slack channel. An incident is one message there, kept up
// to date; its history is the thread.
type SlackConfig struct {
	// A channel's name with its #, in quotes, or its ID. The ID survives
	// renaming.
	Channel string `yaml:"channel" example:"'#incidents'" jsonschema:"required"`
}

// PagerDutyConfig is one PagerDuty service.
type PagerDutyConfig struct {
	// The integration key of the service's "Events API v2" integration.
	RoutingKey Secret `yaml:"routing_key" example:"${PAGERDUTY_KEY}"`
	// File with the routing key.
	RoutingKeyFile string `yaml:"routing_key_file" path:"true" example:"pagerduty.key"`
	// Events a minute for this key, instead of pagerduty.rate_limit.
	RateLimit *float64 `yaml:"rate_limit" defaultdoc:"pagerduty.rate_limit" example:"30"`
}

// WebhookConfig is one URL to post to.
type WebhookConfig struct {
	// Where to post. It is treated as a secret: many such URLs bear a token.
	URL Secret `yaml:"url" example:"https://hooks.example.com/tocsin"`
	// File with the URL.
	URLFile string `yaml:"url_file" path:"true" example:"hook.url"`
	// Sent as "Authorization: Bearer …".
	BearerToken Secret `yaml:"bearer_token" example:"${HOOK_TOKEN}"`
	// File with the bearer token.
	BearerTokenFile string `yaml:"bearer_token_file" path:"true" example:"hook.token"`
	// User name and password to send instead of a bearer token.
	BasicAuth *BasicAuth `yaml:"basic_auth"`
	// The most alerts in one message; the rest is counted in truncatedAlerts.
	// 0: all.
	MaxAlerts int `yaml:"max_alerts" default:"0" example:"100"`
	// How long one call may take.
	Timeout Duration `yaml:"timeout" default:"10s" example:"5s"`
	// Whether to tell of resolved incidents too.
	SendResolved bool `yaml:"send_resolved" default:"true" example:"false"`
}

// EmailConfig is one address to send mail to.
type EmailConfig struct {
	// The address.
	To string `yaml:"to" example:"team@example.com" jsonschema:"required"`
}
