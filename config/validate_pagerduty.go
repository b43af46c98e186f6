package config

import "strings"

// pagerDutyImages checks that what is asked for can be shown.
func (c *checker) pagerDutyImages(p *PagerDuty) {
	switch external := c.cfg.Server.ExternalURL; {
	case !p.Images:
	case c.cfg.Prometheus.URL == "":
		c.warn(at(&p.Images), "images: there is nothing to draw; set prometheus.url")
	case !strings.HasPrefix(external, "https://"):
		c.warn(at(&p.Images), "images: PagerDuty loads pictures over https alone, and server.external_url is %s: none is shown", quote(external))
	}
}

// pagerDutyBack checks what is needed for what PagerDuty tells, and for what is
// written there.
func (c *checker) pagerDutyBack(p *PagerDuty) {
	if p.APIFrom != "" && !strings.Contains(p.APIFrom, "@") {
		c.fail(at(&p.APIFrom), "api_from: %s is not an e-mail address; write that of a user in PagerDuty", quote(p.APIFrom))
	}
	for i := range p.WebhookSecrets {
		c.token(at(&p.WebhookSecrets[i], &p.WebhookSecrets), "webhook_secrets", p.WebhookSecrets[i])
	}
	c.pagerDutyImages(p)
	seen := map[string]bool{}
	for i := range p.Priorities {
		pr := &p.Priorities[i]
		if pr.Name == "" {
			c.fail(at(&pr.Name, pr, &p.Priorities), "the name of a priority is missing; copy it from PagerDuty, such as P1")
		} else if seen[pr.Name] {
			c.fail(at(&pr.Name, pr, &p.Priorities), "priority %s is listed twice; remove one", quote(pr.Name))
		}
		seen[pr.Name] = true
		if pr.Severity.Rank() == 0 {
			c.fail(at(&pr.Severity, pr, &p.Priorities), "severity: %s is unknown; write critical, error, warning or info", quote(string(pr.Severity)))
		}
	}
}
