package config

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/tocsin-oncall/tocsin"
)

// maxSource is the largest configuration file that is read.
const maxSource = 1 << 20

// Load reads, completes and checks the configuration file. The warnings are
// valid with an error too. When the contents are wrong, the error is an *Error
// that lists every problem; the configuration is then nil.
func Load(path string) (*Config, Warnings, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the configuration: %w; name the file with --config.file", err)
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, maxSource+1))
	if err != nil {
		return nil, nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return Parse(path, src)
}

// Parse is Load for contents that are already read. The folder of name is where
// relative paths begin; the files with secrets are read from there.
func Parse(name string, src []byte) (*Config, Warnings, error) {
	rep := newReport(name)
	if len(src) > maxSource {
		rep.fail(nil, "the file is larger than 1 MiB; split off what does not belong in a configuration")
		_, err := rep.result()
		return nil, nil, err
	}
	cfg := &Config{}
	setDefaults(reflect.ValueOf(cfg).Elem())
	if root := parseYAML(rep, src); root != nil {
		b := &binder{report: rep, env: os.LookupEnv, dir: filepath.Dir(name)}
		b.bind(root, reflect.ValueOf(cfg).Elem(), reflect.StructField{})
		if !rep.fatal {
			readSecrets(rep, reflect.ValueOf(cfg).Elem())
			complete(rep, cfg)
			validate(rep, cfg)
		}
	}
	warnings, err := rep.result()
	if err != nil {
		return nil, warnings, err
	}
	for _, v := range rep.hidden() {
		cfg.Hidden = append(cfg.Hidden, NewSecret(v))
	}
	return cfg, warnings, nil
}

// parseYAML returns the root of the only document, or nil.
func parseYAML(rep *report, src []byte) *yaml.Node {
	var doc yaml.Node
	err := yaml.Load(src, &doc)
	var load *yaml.LoadError
	switch {
	case err == nil && len(doc.Content) == 1:
		return doc.Content[0]
	case errors.As(err, &load):
		where := spot{load.Mark.Line, load.Mark.Column}
		rep.errors = append(rep.errors, rep.problem(where, yamlMistake(load)))
	default:
		rep.fail(nil, "this is not YAML; see docs/configuration.md for an example to begin with")
	}
	return nil
}

// yamlMistake puts a syntax error in words. It repeats nothing of the file: the
// place may be a password.
func yamlMistake(e *yaml.LoadError) string {
	const quoteIt = "; quote a value that holds any of : # { } [ ] , & * ! | > ' \" % @ `"
	switch {
	case e.Stage == yaml.ConstructorStage && e.Message == "yaml: no documents in stream":
		return "the file is empty; see docs/configuration.md for an example to begin with"
	case e.Stage == yaml.ConstructorStage:
		return "the file must hold one YAML document; remove the --- lines"
	case e.Stage == yaml.ComposerStage:
		return "this is not YAML: *name without a &name before it" + quoteIt
	case e.ContextMsg != "":
		return "this is not YAML: " + e.Message + " " + e.ContextMsg + quoteIt
	default:
		return "this is not YAML: " + e.Message + quoteIt
	}
}

// complete fills in the defaults that depend on other values.
func complete(rep *report, c *Config) {
	if c.Server.ExternalURL == "" {
		c.Server.ExternalURL = schemeOf(&c.Server) + reachable(c.Server.Listen)
	}
	c.Server.ExternalURL = trimSlash(c.Server.ExternalURL)
	c.PagerDuty.EventsURL = trimSlash(c.PagerDuty.EventsURL)
	c.PagerDuty.APIURL = trimSlash(c.PagerDuty.APIURL)
	c.Slack.APIURL = trimSlash(c.Slack.APIURL) + "/"
	completeSMTP(rep, &c.SMTP)
	for i := range c.Users {
		completeContacts(rep, &c.Users[i], c.SMTP.Host != "" || rep.bad[&c.SMTP.Host] || rep.bad[&c.SMTP])
	}
	for i := range c.Schedules {
		layers := c.Schedules[i].Layers
		for j := range layers {
			if layers[j].Name == "" {
				layers[j].Name = fmt.Sprintf("layer %d", j+1)
			}
		}
	}
	completeDoors(c)
	for i := range c.EscalationPolicies {
		completePolicy(rep, &c.EscalationPolicies[i])
	}
}

func schemeOf(s *Server) string {
	if s.TLS != nil {
		return "https://"
	}
	return "http://"
}

func completeSMTP(rep *report, s *SMTP) {
	if rep.given(&s.Port) {
		return
	}
	switch s.TLS {
	case TLSImplicit:
		s.Port = 465
	case TLSNone:
		s.Port = 25
	default:
		s.Port = 587
	}
}

// completeContacts gives a person without contacts every way there is, at once.
// An address alone is no way when there is no mail server: calendars need it too.
func completeContacts(rep *report, u *User, mail bool) {
	if u.Contacts == nil && !rep.bad[&u.Contacts] {
		if u.Slack != "" {
			u.Contacts = append(u.Contacts, Contact{By: BySlack})
		}
		if !u.PagerDutyRoutingKey.IsZero() {
			u.Contacts = append(u.Contacts, Contact{By: ByPagerDuty})
		}
		if u.Email != "" && mail {
			u.Contacts = append(u.Contacts, Contact{By: ByEmail})
		}
	}
	if u.LowUrgencyContacts == nil && !rep.bad[&u.LowUrgencyContacts] {
		u.LowUrgencyContacts = slices.Clone(u.Contacts)
	}
}

func completePolicy(rep *report, p *EscalationPolicy) {
	if a := &p.Acknowledgement; !rep.given(&a.RemindAfter) {
		a.RemindAfter = a.ReturnAfter / 4 * 3
	}
	if p.Urgency.High == nil {
		p.Urgency.High = []tocsin.Severity{tocsin.Critical, tocsin.Error}
	}
}

func trimSlash(s string) string {
	for s != "" && s[len(s)-1] == '/' {
		s = s[:len(s)-1]
	}
	return s
}

// reachable is the address by which this machine reaches what listens on listen.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}
