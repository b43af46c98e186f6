package config

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Defaults that some checks hold for only: an emulator or a proxy has its own
// forms of tokens.
const (
	slackAPI  = "https://slack.com/api/"
	pagerDuty = "pagerduty.com"
)

var (
	// Channel IDs begin with C, G (older private channels) or D (direct
	// messages): https://api.slack.com/types/conversation.
	channelID = regexp.MustCompile(`^[CGD][A-Z0-9]{2,}$`)
	// Integration keys are 32 characters:
	// https://developer.pagerduty.com/docs/events-api-v2-overview.
	routingKey = regexp.MustCompile(`^[A-Za-z0-9]{32}$`)
)

func (c *checker) nats() {
	n := &c.cfg.NATS
	if n.URL == "" {
		for key, field := range map[string]any{"credentials_file": &n.CredentialsFile, "tls": &n.TLS} {
			if c.given(field) {
				c.warn(at(field), "%s means nothing without nats.url: the embedded server needs none", key)
			}
		}
		if n.Replicas != 1 {
			c.fail(at(&n.Replicas), "replicas: the embedded server is one; set nats.url to a cluster of %d, or remove this", max(n.Replicas, 3))
		}
	}
	if n.URL != "" {
		for _, one := range strings.Split(n.URL, ",") {
			if problem := checkURL(strings.TrimSpace(one), "nats", "tls", "ws", "wss"); problem != "" {
				c.fail(at(&n.URL), "url %s; write nats://host:4222, several with commas between, and use credentials_file for credentials", problem)
			}
		}
		if !slices.Contains([]int{1, 3, 5}, n.Replicas) {
			c.fail(at(&n.Replicas), "replicas: %d copies cannot agree; write 1, 3 or 5", n.Replicas)
		}
	}
	c.positive(&n.Events.MaxAge, "max_age", int64(n.Events.MaxAge))
	c.positive(&n.Events.MaxBytes, "max_bytes", int64(n.Events.MaxBytes))
	c.natsFiles(n)
}

func (c *checker) natsFiles(n *NATS) {
	c.file(&n.CredentialsFile, "credentials_file", n.CredentialsFile, true)
	if n.TLS == nil {
		return
	}
	c.file(&n.TLS.CAFile, "ca_file", n.TLS.CAFile, false)
	c.file(&n.TLS.CertFile, "cert_file", n.TLS.CertFile, false)
	c.file(&n.TLS.KeyFile, "key_file", n.TLS.KeyFile, true)
	if (n.TLS.CertFile == "") != (n.TLS.KeyFile == "") {
		c.fail(at(n.TLS), "cert_file and key_file go together; set both, or neither")
	}
}

// file refuses a path under which there is no file.
func (c *checker) file(field any, key, path string, secret bool) {
	if path == "" {
		return
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		c.fail(at(field), "%s: %v; put the file there", key, err)
	case !info.Mode().IsRegular():
		c.fail(at(field), "%s: %s is not a regular file", key, path)
	case secret:
		warnReadable(c.report, field, key, path)
	}
}

func (c *checker) providers() {
	s, p := &c.cfg.Slack, &c.cfg.PagerDuty
	c.httpURL(at(&s.APIURL, s), "api_url", s.APIURL)
	c.httpURL(at(&p.EventsURL, p), "events_url", p.EventsURL)
	c.httpURL(at(&p.APIURL, p), "api_url", p.APIURL)
	if !p.APIToken.IsZero() {
		c.token(at(&p.APIToken), "api_token", p.APIToken)
	}
	c.pagerDutyBack(p)
	c.smtp()
	c.rate(&s.RateLimit, s.RateLimit)
	c.rate(&p.RateLimit, p.RateLimit)
	c.positive(&s.Timeout, "timeout", int64(s.Timeout))
	c.positive(&p.Timeout, "timeout", int64(p.Timeout))
	if s.DigestAfter < 0 {
		c.fail(at(&s.DigestAfter), "digest_after must not be negative; write 0 for never")
	}
	c.slackApp(s)
	if s.BotToken.IsZero() {
		return
	}
	if !c.token(at(&s.BotToken), "bot_token", s.BotToken) || s.APIURL != slackAPI {
		return
	}
	switch token := s.BotToken.Reveal(); {
	case strings.HasPrefix(token, "xapp-"):
		c.fail(at(&s.BotToken), "bot_token holds an app-level token (xapp-), which belongs in app_token; write the bot token here, which begins with xoxb-: see OAuth & Permissions at https://api.slack.com/apps")
	case !strings.HasPrefix(token, "xox"):
		c.warn(at(&s.BotToken), "bot_token does not look like one: they begin with xoxb-; see OAuth & Permissions at https://api.slack.com/apps")
	}
}

func (c *checker) rate(field any, rate float64) {
	if rate < 0 {
		c.fail(at(field), "rate_limit must not be negative; write 0 for no limit")
	}
}

func (c *checker) allReceivers() {
	list := c.cfg.Receivers
	if len(list) == 0 {
		c.fail(at(&c.cfg.Receivers, c.cfg), "receivers is missing; list at least the one that the root route names")
	}
	for i := range list {
		r := &list[i]
		if c.name(at(&r.Name, r), "the name of a receiver", r.Name) {
			if first, twice := c.receivers[r.Name]; twice {
				c.fail(at(&r.Name), "receiver %s is given twice, first at %s; rename one", quote(r.Name), first.Pos)
			} else {
				c.receivers[r.Name] = r
			}
		}
		c.slackConfigs(r)
		c.pagerDutyConfigs(r)
		c.webhookConfigs(r)
		c.emailConfigs(r)
		if r.kinds() == nil && r.EscalationPolicy == "" && !c.bad[r] {
			c.warn(at(&r.Name, r), "receiver %s has no *_configs: it pages nobody", quote(r.Name))
		}
	}
}

// kinds lists the providers that the receiver uses; nil: it pages nobody.
func (r *Receiver) kinds() []string {
	var kinds []string
	if len(r.SlackConfigs) > 0 {
		kinds = append(kinds, "Slack")
	}
	if len(r.PagerDutyConfigs) > 0 {
		kinds = append(kinds, "PagerDuty")
	}
	if len(r.WebhookConfigs) > 0 {
		kinds = append(kinds, "webhook")
	}
	if len(r.EmailConfigs) > 0 {
		kinds = append(kinds, "email")
	}
	return kinds
}

func (c *checker) slackConfigs(r *Receiver) {
	if len(r.SlackConfigs) > 0 {
		need(&c.slackUse, "slack_configs (receiver "+quote(r.Name)+") need", &r.SlackConfigs)
	}
	seen := map[string]bool{}
	for i := range r.SlackConfigs {
		s := &r.SlackConfigs[i]
		if problem := checkChannel(s.Channel); problem != "" {
			c.fail(at(&s.Channel, s), "channel %s", problem)
		} else if seen[s.Channel] {
			c.fail(at(&s.Channel), "channel %s is in this receiver twice; remove one", quote(s.Channel))
		}
		seen[s.Channel] = true
	}
}

// checkChannel says what is wrong with the name or the ID of a channel, or "".
// The rules are Slack's: https://api.slack.com/methods/conversations.create.
func checkChannel(s string) string {
	name, hash := strings.CutPrefix(s, "#")
	odd := func(r rune) bool {
		return unicode.IsUpper(r) || !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) && r != '-' && r != '_'
	}
	switch {
	case s == "":
		return `is missing; write it in quotes, since # begins a comment: channel: "#incidents"`
	case !hash && channelID.MatchString(s):
		return ""
	case !hash && !strings.ContainsFunc(s, odd):
		return quote(s) + " has no #; write " + quote("#"+s) + ", or the channel's ID, such as C024BE91L"
	case name == "" || strings.ContainsFunc(name, odd):
		return quote(s) + ` is not a channel; write its name in small letters, such as "#incidents", or its ID, such as C024BE91L`
	case len([]rune(name)) > 80:
		return quote(s) + " is longer than the 80 characters that Slack allows"
	}
	return ""
}

func (c *checker) pagerDutyConfigs(r *Receiver) {
	seen := map[Secret]bool{}
	for i := range r.PagerDutyConfigs {
		p := &r.PagerDutyConfigs[i]
		where := at(&p.RoutingKey, p)
		if p.RateLimit != nil {
			c.rate(p.RateLimit, *p.RateLimit)
		}
		if !c.present(where, "routing_key (or routing_key_file)", p.RoutingKey.Reveal()) {
			continue
		}
		if !c.token(where, "routing_key", p.RoutingKey) {
			continue
		}
		if seen[p.RoutingKey] {
			c.fail(where, "this routing_key is in this receiver twice; remove one")
		}
		seen[p.RoutingKey] = true
		c.looksLikeKey(where, "routing_key", p.RoutingKey)
	}
}

// looksLikeKey warns of what PagerDuty itself would not take.
func (c *checker) looksLikeKey(where []any, key string, s Secret) {
	if strings.Contains(c.cfg.PagerDuty.EventsURL, pagerDuty) && !routingKey.MatchString(s.Reveal()) {
		c.warn(where, "%s does not look like one: it is the 32 characters of an Events API v2 integration", key)
	}
}

func (c *checker) webhookConfigs(r *Receiver) {
	for i := range r.WebhookConfigs {
		w := &r.WebhookConfigs[i]
		if c.present(at(&w.URL, w), "url (or url_file)", w.URL.Reveal()) {
			c.httpURL(at(&w.URL), "url", w.URL.Reveal())
		}
		if !w.BearerToken.IsZero() {
			c.token(at(&w.BearerToken), "bearer_token", w.BearerToken)
			if w.BasicAuth != nil {
				c.fail(at(&w.BasicAuth), "bearer_token and basic_auth are both set; keep one")
			}
		}
		c.basicAuth(w.BasicAuth, "basic_auth")
		c.positive(&w.Timeout, "timeout", int64(w.Timeout))
		if w.MaxAlerts < 0 {
			c.fail(at(&w.MaxAlerts), "max_alerts must not be negative; write 0 for all")
		}
	}
}
