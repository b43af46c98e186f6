package config

import (
	"regexp"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

var (
	// sourceName is what the server takes in ?source=NAME.
	sourceName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	// topicARN: https://docs.aws.amazon.com/sns/latest/dg/sns-create-topic.html.
	topicARN = regexp.MustCompile(`^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?$`)
)

func (c *checker) doors() {
	d := &c.cfg.Doors
	keys := map[Secret]bool{}
	for i := range d.PagerDuty {
		p := &d.PagerDuty[i]
		where := at(&p.RoutingKey, &p.RoutingKeyFile, p)
		switch {
		case c.bad[&p.RoutingKey]:
		case p.RoutingKey.IsZero():
			c.fail(where, "routing_key (or routing_key_file) is missing; set it")
		case !routingKey.MatchString(p.RoutingKey.Reveal()):
			c.fail(where, "routing_key: a routing key has 32 letters and digits; copy it from the sender, or make one up")
		case keys[p.RoutingKey]:
			c.fail(where, "routing_key: it is given twice, and would stand for two senders; remove one")
		}
		keys[p.RoutingKey] = true
		c.source(at(&p.Source, p), p.Source)
		c.labels(&p.Labels, p.Labels)
	}
	names := map[string]bool{}
	for i := range d.JSON {
		c.jsonDoor(&d.JSON[i], names)
	}
	names = map[string]bool{}
	for i := range d.SNS {
		s := &d.SNS[i]
		c.doorName(at(&s.Name, s), "a door for SNS", s.Name, names)
		if s.Source != s.Name {
			c.source(at(&s.Source, s), s.Source)
		}
		c.labels(&s.Labels, s.Labels)
		if len(s.Topics) == 0 && !c.bad[&s.Topics] {
			c.fail(at(&s.Topics, s), "topics is missing: anybody with an AWS account could send alerts; list the ARNs of the topics")
		}
		c.twice(s.Topics, "topics")
		for j := range s.Topics {
			if !topicARN.MatchString(s.Topics[j]) {
				c.fail(at(&s.Topics[j], &s.Topics), "topics: %s is not the ARN of a topic; write it as arn:aws:sns:eu-west-1:123456789012:alarms", quote(s.Topics[j]))
			}
		}
	}
}

func (c *checker) jsonDoor(d *JSONDoor, names map[string]bool) {
	c.doorName(at(&d.Name, d), "a door for JSON", d.Name, names)
	if d.Source != d.Name {
		c.source(at(&d.Source, d), d.Source)
	}
	if len(d.Labels) == 0 && !c.bad[&d.Labels] {
		c.fail(at(&d.Labels, d), "labels is missing: an alert is known by its labels; write at least [{name: alertname, path: …}]")
	}
	c.jsonFields("labels", d.Labels)
	c.jsonFields("annotations", d.Annotations)
	for key, path := range map[string]*string{
		"alerts": &d.Alerts, "path": &d.Status.Path, "starts_at": &d.StartsAt, "ends_at": &d.EndsAt, "generator_url": &d.GeneratorURL,
	} {
		c.jsonPath(at(path), key, *path)
	}
	if d.Status.Path == "" {
		if len(d.Status.Resolved) > 0 {
			c.fail(at(&d.Status.Resolved), "resolved means nothing without path; set where the word stands, or remove it")
		}
		c.warn(at(&d.Status, d), "JSON door %s has no status.path: its alerts are never resolved by their sender, and only go stale", quote(d.Name))
	}
}

func (c *checker) jsonFields(key string, list []JSONField) {
	seen := map[string]bool{}
	for i := range list {
		f := &list[i]
		switch {
		case f.Name == "" && !c.bad[&f.Name]:
			c.fail(at(&f.Name, f), "%s: name is missing; set it", key)
		case seen[f.Name] && f.Name != "":
			c.fail(at(&f.Name, f), "%s: %s is listed twice; remove one", key, quote(f.Name))
		}
		seen[f.Name] = true
		switch {
		case f.Path == "" && f.Value == "":
			c.fail(at(&f.Path, f), "%s: %s has neither path nor value; set where it is found, or what it is", key, quote(f.Name))
		case f.Must && (f.Path == "" || f.Value != ""):
			c.warn(at(&f.Must, f), "%s: %s is always there; must belongs to a path without value: remove it", key, quote(f.Name))
		}
		c.jsonPath(at(&f.Path, f), "path", f.Path)
	}
}

// jsonPath refuses what could never lead anywhere.
func (c *checker) jsonPath(where []any, key, path string) {
	if path == "" || strings.HasPrefix(path, "/") {
		return
	}
	for _, step := range strings.Split(path, ".") {
		if step == "" || step == "$" || strings.ContainsAny(step, "[]*?") {
			c.fail(where, "%s: %s is not a path; write names and numbers with dots between, such as data.alerts.0.name, or a JSON Pointer such as /data/alerts/0/name", key, quote(path))
			return
		}
	}
}

func (c *checker) doorName(where []any, what, name string, seen map[string]bool) {
	switch {
	case c.bad[where[0]]:
	case name == "":
		c.fail(where, "the name of %s is missing; give it one", what)
	case !sourceName.MatchString(name):
		c.fail(where, "the name of %s is part of its URL: %s; write up to 64 of the letters a-z, A-Z, 0-9 and . _ -", what, quote(name))
	case seen[name]:
		c.fail(where, "%s %s is given twice; rename one", what, quote(name))
	}
	seen[name] = true
}

func (c *checker) source(where []any, name string) {
	switch {
	case c.bad[where[0]] || sourceName.MatchString(name):
	case name == "":
		c.fail(where, "source is missing: it is part of the alerts' identity; set it")
	default:
		c.fail(where, "source: %s is not a name of a sender; write up to 64 of the letters a-z, A-Z, 0-9 and . _ -", quote(name))
	}
}

func (c *checker) labels(field *[]string, list []string) {
	seen := map[string]bool{}
	for i := range list {
		l, err := ParseLabels(list[i : i+1])
		if err != nil {
			c.fail(at(&list[i], field), "labels: %v; write it so, such as team=db", err)
			continue
		}
		for name, value := range l {
			if seen[name] {
				c.fail(at(&list[i], field), "labels: %s is listed twice; remove one", quote(name))
			}
			if value == "" {
				c.fail(at(&list[i], field), "labels: %s has no value; give it one, or remove it", quote(name))
			}
			seen[name] = true
		}
	}
}

func (c *checker) heartbeats() {
	names := map[string]bool{}
	for i := range c.cfg.Heartbeats {
		h := &c.cfg.Heartbeats[i]
		c.doorName(at(&h.Name, h), "a heartbeat", h.Name, names)
		if h.Every < Duration(10*time.Second) {
			c.fail(at(&h.Every, h), "every: %s is too often for a heartbeat; write 10s or more", h.Every)
		}
		if h.Grace < 0 {
			c.fail(at(&h.Grace, h), "grace must not be negative")
		}
		if h.Severity.Rank() == 0 {
			c.fail(at(&h.Severity, h), "severity: %s is unknown; write critical, error, warning or info", quote(string(h.Severity)))
		}
		c.labels(&h.Labels, h.Labels)
		for _, text := range h.Labels {
			if name, _, _ := strings.Cut(text, "="); name == tocsin.LabelAlertName || name == "name" || name == tocsin.LabelSeverity {
				c.fail(at(&h.Labels), "labels: %s is set by the heartbeat itself; remove it", quote(name))
			}
		}
		c.matchers(&h.Matchers, h.Matchers)
	}
}

func (c *checker) alertmanager() {
	a := &c.cfg.Alertmanager
	if len(a.URLs) == 0 {
		if c.given(a) && !c.bad[&a.URLs] {
			c.fail(at(&a.URLs, a), "urls is missing: list every member of the cluster, or remove alertmanager")
		}
		return
	}
	c.twice(a.URLs, "urls")
	c.twice(a.Receivers, "receivers")
	for i := range a.URLs {
		c.httpURL(at(&a.URLs[i], &a.URLs), "urls:", a.URLs[i])
		if strings.Contains(a.URLs[i], "/api/v") {
			c.fail(at(&a.URLs[i], &a.URLs), "urls: leave out /api/v2; it is added")
		}
	}
	c.source(at(&a.Source, a), a.Source)
	if a.Every < Duration(10*time.Second) {
		c.fail(at(&a.Every, a), "every: %s is too often; write 10s or more", a.Every)
	}
	c.positive(&a.Timeout, "timeout", int64(a.Timeout))
	c.basicAuth(a.BasicAuth, "basic_auth")
	if !a.Token.IsZero() {
		c.token(at(&a.Token, &a.TokenFile), "token", a.Token)
		if a.BasicAuth != nil {
			c.fail(at(a.BasicAuth), "token and basic_auth are both set; keep one")
		}
	}
}

// completeDoors fills in the defaults that depend on other values.
func completeDoors(c *Config) {
	for i := range c.Doors.JSON {
		if d := &c.Doors.JSON[i]; d.Source == "" {
			d.Source = d.Name
		}
	}
	for i := range c.Doors.SNS {
		if d := &c.Doors.SNS[i]; d.Source == "" {
			d.Source = d.Name
		}
	}
	for i := range c.Alertmanager.URLs {
		c.Alertmanager.URLs[i] = trimSlash(c.Alertmanager.URLs[i])
	}
}
