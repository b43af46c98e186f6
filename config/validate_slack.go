package config

import (
	"strings"
	"time"
)

// maxArchiveAfter bounds how long the channel of a resolved incident is kept.
const maxArchiveAfter = 90 * 24 * time.Hour

// slackApp checks what makes Slack more than a place to post to.
func (c *checker) slackApp(s *Slack) {
	if !s.SigningSecret.IsZero() {
		c.token(at(&s.SigningSecret), "signing_secret", s.SigningSecret)
	}
	if !s.AppToken.IsZero() {
		where := at(&s.AppToken)
		need(&c.slackUse, "app_token needs", &s.AppToken)
		token := s.AppToken.Reveal()
		switch ok := c.token(where, "app_token", s.AppToken) && s.APIURL == slackAPI; {
		case ok && strings.HasPrefix(token, "xoxb-"):
			c.fail(where, "app_token holds a bot token (xoxb-), which belongs in bot_token; write an app-level token here, which begins with xapp-: see Basic Information, App-Level Tokens, at https://api.slack.com/apps")
		case ok && !strings.HasPrefix(token, "xapp-"):
			c.warn(where, "app_token does not look like one: they begin with xapp-; see Basic Information, App-Level Tokens, at https://api.slack.com/apps")
		}
	}
	i := &s.IncidentChannels
	c.severityList(&i.Severities, i.Severities, "no incident would get a channel by itself; remove it for none")
	if len(i.Severities) > 0 {
		need(&c.slackUse, "incident_channels need", &i.Severities)
	}
	if problem := checkChannel("#" + i.Prefix); problem != "" || len(i.Prefix) > 20 {
		c.fail(at(&i.Prefix), "prefix: %s cannot begin the name of a channel; write up to 20 small letters, digits and -, such as inc", quote(i.Prefix))
	}
	if d := time.Duration(i.ArchiveAfter); d < 0 || d > maxArchiveAfter {
		c.fail(at(&i.ArchiveAfter), "archive_after must be between 0 (never) and %d days", maxArchiveAfter/(24*time.Hour))
	}
}
