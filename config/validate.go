package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// checker holds what the checks share.
type checker struct {
	*report
	cfg *Config
	// now is for warnings only: whether a file is in order does not depend on it.
	now time.Time
	// What has a name, by it; used are those that something refers to.
	receivers     map[string]*Receiver
	intervals     map[string]*TimeInterval
	users         map[string]*User
	teams         map[string]*Team
	schedules     map[string]*Schedule
	policies      map[string]*EscalationPolicy
	usedReceivers map[string]bool
	usedIntervals map[string]bool
	usedUsers     map[string]bool
	usedTeams     map[string]bool
	usedSchedules map[string]bool
	usedPolicies  map[string]bool
	// allowed are the networks of calendars.allow_private.
	allowed map[netip.Prefix]bool
	// zones that were looked up, and what is wrong with them.
	zones map[string]string
	// slackUse, mailUse and pdUse are the first that need Slack, a mail server,
	// PagerDuty's REST API.
	slackUse, mailUse, pdUse *use
	// guesses counts what was said about names that do not exist.
	guesses int
}

// use is something that needs a provider.
type use struct {
	fields []any
	what   string
}

// need remembers the first use of a provider.
func need(u **use, what string, fields ...any) {
	if *u == nil {
		*u = &use{fields, what}
	}
}

// validate checks everything that lies between values or in their meaning. It
// runs even when some values could not be read, so that all is told at once.
func validate(rep *report, cfg *Config) {
	c := &checker{
		report: rep, cfg: cfg, now: time.Now(), zones: map[string]string{}, allowed: map[netip.Prefix]bool{},
		receivers: map[string]*Receiver{}, intervals: map[string]*TimeInterval{}, users: map[string]*User{},
		teams: map[string]*Team{}, schedules: map[string]*Schedule{}, policies: map[string]*EscalationPolicy{},
		usedReceivers: map[string]bool{}, usedIntervals: map[string]bool{}, usedUsers: map[string]bool{},
		usedTeams: map[string]bool{}, usedSchedules: map[string]bool{}, usedPolicies: map[string]bool{},
	}
	c.server()
	c.auth()
	c.limits()
	c.storage()
	c.nats()
	c.incidents()
	c.providers()
	c.timeIntervals()
	c.allReceivers()
	c.people()
	c.calendars()
	c.allSchedules()
	c.allPolicies()
	c.receiversPolicies()
	c.belongings()
	c.needed()
	c.routes()
	c.inhibitRules()
	c.alarm()
	c.doors()
	c.heartbeats()
	c.alertmanager()
	c.prometheus()
	c.remediations()
	c.statusPage()
	if len(c.errors) == 0 {
		c.unused()
	}
}

func (c *checker) server() {
	s := &c.cfg.Server
	host, port, err := net.SplitHostPort(s.Listen)
	if n, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil {
		c.fail(at(&s.Listen), "listen: %s is not an address; write host:port, such as 127.0.0.1:9911", quote(s.Listen))
	} else if n == 0 {
		c.warn(at(&s.Listen), "listen: port 0 is a different port at every start, which no sender and no link can know; choose one, such as 9911")
	} else if !loopback(host) {
		c.openToOthers(s)
		if !c.given(&s.ExternalURL) && reachable(s.Listen) != s.Listen {
			c.warn(at(&s.Listen), "external_url is not set: the links in messages lead to %s", s.ExternalURL)
		}
	}
	if c.given(&s.ExternalURL) {
		c.httpURL(at(&s.ExternalURL), "external_url", s.ExternalURL)
	}
	c.basicAuth(s.IntakeBasicAuth, "intake_basic_auth")
	for i := range s.IntakeTokens {
		c.token(at(&s.IntakeTokens[i], &s.IntakeTokens), "intake_tokens", s.IntakeTokens[i])
	}
	for i := range s.APITokens {
		t := &s.APITokens[i]
		c.name(at(t, &s.APITokens), "the name of a token in api_tokens", t.Name)
		c.token(at(t, &s.APITokens), "api_tokens", t.Token)
	}
	c.serverTLS(s.TLS)
	c.sharedToken(s)
	c.calendarToken(s)
}

// calendarToken refuses one that would open more than calendars: it is part of
// URLs, which are passed on and logged.
func (c *checker) calendarToken(s *Server) {
	t := s.CalendarToken
	if t.IsZero() || !c.token(at(&s.CalendarToken), "calendar_token", t) {
		return
	}
	isIt := func(a APIToken) bool { return a.Token == t }
	if slices.Contains(s.IntakeTokens, t) || slices.ContainsFunc(s.APITokens, isIt) {
		c.fail(at(&s.CalendarToken), "calendar_token is an API token or an intake token too; it stands in URLs, which are passed on: make another")
	}
}

// openToOthers refuses a listener that others reach and that asks for nothing.
func (c *checker) openToOthers(s *Server) {
	if !c.intakeAsks(s) && !c.bad[&s.IntakeTokens] && !c.bad[&s.IntakeBasicAuth] {
		c.fail(at(&s.Listen), "listen: others can reach %s, and anybody could send alerts; set intake_tokens_file or intake_basic_auth, or listen on 127.0.0.1", s.Listen)
	}
	if !c.apiAsks(s) && !c.bad[&s.APITokens] {
		c.fail(at(&s.Listen), "listen: others can reach %s, and anybody could acknowledge and silence; set api_tokens_file, or listen on 127.0.0.1", s.Listen)
	}
}

// sharedToken refuses a sender's token that would also open the API.
func (c *checker) sharedToken(s *Server) {
	senders, actors := map[Secret]bool{}, map[Secret]bool{}
	for _, t := range s.IntakeTokens {
		senders[t] = true
	}
	for i := range s.APITokens {
		t := &s.APITokens[i]
		if senders[t.Token] {
			c.fail(at(t, &s.APITokens), "api_tokens: the token of %s is an intake token too; a sender must not be able to acknowledge: make another", t.Name)
		}
		if actors[t.Token] {
			c.fail(at(t, &s.APITokens), "api_tokens: the token of %s is given twice; timelines could not tell who acted: make another", t.Name)
		}
		actors[t.Token] = true
	}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

func (c *checker) limits() {
	l := &c.cfg.Server.Limits
	c.positive(&l.Body, "body", int64(l.Body))
	c.positive(&l.Alerts, "alerts", int64(l.Alerts))
	c.positive(&l.Labels, "labels", int64(l.Labels))
	c.positive(&l.LabelName, "label_name", int64(l.LabelName))
	c.positive(&l.LabelValue, "label_value", int64(l.LabelValue))
	c.positive(&l.Queue, "queue", int64(l.Queue))
	c.positive(&l.Wait, "wait", int64(l.Wait))
	c.positive(&l.RequestsPerSecond, "requests_per_second", int64(l.RequestsPerSecond))
	c.positive(&l.Connections, "connections", int64(l.Connections))
}

func (c *checker) storage() {
	s := &c.cfg.Storage
	c.present(at(&s.Path, s), "path", s.Path)
	c.positive(&s.Retention, "retention", int64(s.Retention))
	const least = 16 << 20
	if s.MaxSize < least {
		c.fail(at(&s.MaxSize), "max_size: %s is too little to work with; give it at least 16MiB", s.MaxSize)
	}
}

func (c *checker) incidents() {
	i := &c.cfg.Incidents
	if i.Flapping.Changes < 0 || i.Flapping.Changes == 1 {
		c.fail(at(&i.Flapping.Changes), "changes: %d is not a number of changes; write 2 or more, or 0 for never", i.Flapping.Changes)
	}
	if i.Flapping.Changes > 0 {
		c.positive(&i.Flapping.Window, "window", int64(i.Flapping.Window))
		c.positive(&i.Flapping.Settle, "settle", int64(i.Flapping.Settle))
	}
	const least = Duration(10 * 60 * 1e9)
	if i.StaleAfter > 0 && i.StaleAfter < least {
		c.warn(at(&i.StaleAfter), "stale_after: %s is shorter than most repeat intervals: alerts that still fire would be closed; use more than twice Alertmanager's repeat_interval", i.StaleAfter)
	}
}

// positive refuses 0 and less where that means nothing.
func (c *checker) positive(field any, key string, n int64) {
	if n <= 0 {
		c.fail(at(field), "%s must be more than 0", key)
	}
}

// present refuses an empty value. what to do follows, in the caller's words.
func (c *checker) present(fields []any, key, value string) bool {
	if strings.TrimSpace(value) == "" {
		c.fail(fields, "%s is missing; set it", key)
		return false
	}
	return true
}

// name refuses what could not be told apart or printed in one line.
func (c *checker) name(fields []any, what, name string) bool {
	switch {
	case name == "":
		c.fail(fields, "%s is missing; give it one", what)
	case strings.TrimSpace(name) != name || strings.ContainsFunc(name, unicode.IsControl):
		c.fail(fields, "%s holds a line break or begins or ends with a space: %s; remove it", what, quote(name))
	case len(name) > 200:
		c.fail(fields, "%s is longer than 200 bytes; shorten it", what)
	default:
		return true
	}
	return false
}

// token refuses what cannot stand in an HTTP header.
func (c *checker) token(fields []any, key string, s Secret) bool {
	isOdd := func(r rune) bool { return r <= ' ' || r > '~' }
	switch {
	case s.IsZero():
		c.fail(fields, "%s: a token is empty; write one, or remove the entry", key)
	case strings.ContainsFunc(s.Reveal(), isOdd):
		c.fail(fields, "%s: a token holds a space, a line break or a character beyond ASCII; check how it was copied", key)
	default:
		return true
	}
	return false
}

func (c *checker) basicAuth(b *BasicAuth, key string) {
	if b == nil {
		return
	}
	if strings.Contains(b.Username, ":") {
		c.fail(at(&b.Username, b), "%s: username cannot hold a colon", key)
	}
	c.present(at(&b.Username, b), key+": username", b.Username)
	c.present(at(&b.Password, b), key+": password (or password_file)", b.Password.Reveal())
}

// httpURL refuses what is no http(s) URL, without repeating it: it may bear a
// token.
func (c *checker) httpURL(fields []any, key, raw string) {
	if problem := checkURL(raw, "http", "https"); problem != "" {
		c.fail(fields, "%s %s; write it as https://host/path", key, problem)
	}
}

// checkURL says what is wrong with a URL, or "".
func checkURL(raw string, schemes ...string) string {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return "is not a URL"
	case u.Host == "" || u.Hostname() == "":
		return "is not a URL with a host"
	case u.User != nil:
		return "holds a user name or a password, which logs would show"
	case !slices.Contains(schemes, u.Scheme):
		return fmt.Sprintf("must begin with %s://", strings.Join(schemes, ":// or "))
	}
	return ""
}
