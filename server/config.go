package server

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// Config says how to serve. Its zero value listens on a free loopback port,
// asks nobody for a token and has the default limits.
type Config struct {
	// Listen is the address to listen on; empty: "127.0.0.1:0". ":0" takes a
	// free port, see Server.Addr.
	Listen string
	// ExternalURL is where people reach this server. Its host is accepted in
	// requests of browsers. Empty: none.
	ExternalURL string
	// Source names the sender of alerts whose request does not say
	// ?source=name; empty: "alertmanager".
	Source string

	// Intake says who may post alerts. Its zero value lets everybody.
	Intake Auth
	// API lists who may use the API and see the pages. When it is empty they
	// are served to this machine alone.
	API []Token
	// CalendarToken lets a calendar program read the .ics feeds, and nothing
	// else, with ?token=. It is none of the API tokens. Empty: no address may carry
	// a token.
	CalendarToken string
	// NoLocal keeps this machine out, too, where there is no API token, no Login
	// and no proxy that says who somebody is, and keeps senders out without
	// credentials.
	NoLocal bool
	// Proxy is what stands in front and is trusted.
	Proxy Proxy
	// TLS serves HTTPS.
	TLS TLS

	Limits   Limits
	Timeouts Timeouts
	// Connections is the most that are open at a time; 0: 4096. When one more
	// comes, the one that has idled longest makes room.
	Connections int
}

// Auth says who may post alerts: any of the bearer tokens, or any of the users
// with basic authentication. Empty: everybody.
type Auth struct {
	Tokens []string
	Users  []User
}

// User is a name and password for basic authentication.
type User struct{ Name, Password string }

// Token is a bearer token of the API, the name that its actions are recorded
// under, and what it is good for; an empty role is an admin's. Browsers give it as
// the password of basic authentication, with any user name.
type Token struct {
	Name, Token string
	Role        tocsin.Role
}

// Limits bound what one request, and all of them together, may hold. A zero
// field means its default.
type Limits struct {
	// Body is the most bytes of an alert request; 0: 4 MiB.
	Body int
	// Alerts is the most alerts in one request; 0: 10,000.
	Alerts int
	// Labels is the most labels, and the most annotations, of one alert; 0: 128.
	Labels int
	// Name is the longest label or annotation name in bytes; 0: 1 KiB.
	Name int
	// Value is the longest label or annotation value, and the longest
	// generator URL, in bytes; 0: 16 KiB.
	Value int
	// Buffered is the most bytes that all alert requests together hold in
	// memory; what exceeds it is answered with 503. 0: 64 MiB.
	Buffered int
	// Wait is how long an alert request, or an action, may wait to be made
	// durable; 0: 3 s.
	Wait time.Duration
	// APIBody is the most bytes of a request to the API; 0: 64 KiB.
	APIBody int
	// Requests is the most requests a second of one token, or of one person;
	// twice as many at once. 0: 100. Senders of alerts are not counted.
	Requests int
	// Plans is the most answers about schedules that are computed at a time; what
	// exceeds it waits for Wait, and is then answered with 503. 0: 4.
	Plans int
	// Shifts is the most shifts in one answer; 0: 100,000.
	Shifts int
	// Viewers is the most pages and programs that follow what happens at a time; 0:
	// 1000.
	Viewers int
	// Headers is the most bytes of a request's header; 0: 16 KiB.
	Headers int
}

// Timeouts bound the phases of a request. A zero field means its default.
type Timeouts struct {
	// ReadHeader is for the header alone; 0: 5 s.
	ReadHeader time.Duration
	// Read is for the whole request; 0: 15 s.
	Read time.Duration
	// Write is from the end of the header to the end of the answer; 0: 30 s. A
	// backup may take longer, but not a single write of it.
	Write time.Duration
	// Idle is how long a connection may wait for its next request; 0: 60 s.
	Idle time.Duration
	// Stop is how long Run takes to stop at the most; 0: 10 s.
	Stop time.Duration
	// Drain is how long Run goes on answering 503 after it was told to stop,
	// so that a load balancer notices; 0: only while requests are in flight.
	Drain time.Duration
}

func (c Config) withDefaults() Config {
	c.Listen = cmp.Or(c.Listen, "127.0.0.1:0")
	c.Source = cmp.Or(c.Source, "alertmanager")
	c.Connections = cmp.Or(c.Connections, 4096)

	l := &c.Limits
	l.Body = cmp.Or(l.Body, 4<<20)
	l.Alerts = cmp.Or(l.Alerts, 10_000)
	l.Labels = cmp.Or(l.Labels, 128)
	l.Name = cmp.Or(l.Name, 1<<10)
	l.Value = cmp.Or(l.Value, 16<<10)
	l.Buffered = cmp.Or(l.Buffered, 64<<20)
	l.Wait = cmp.Or(l.Wait, 3*time.Second)
	l.APIBody = cmp.Or(l.APIBody, 64<<10)
	l.Requests = cmp.Or(l.Requests, 100)
	l.Plans = cmp.Or(l.Plans, 4)
	l.Shifts = cmp.Or(l.Shifts, 100_000)
	l.Viewers = cmp.Or(l.Viewers, 1000)
	l.Headers = cmp.Or(l.Headers, 16<<10)

	t := &c.Timeouts
	t.ReadHeader = cmp.Or(t.ReadHeader, 5*time.Second)
	t.Read = cmp.Or(t.Read, 15*time.Second)
	t.Write = cmp.Or(t.Write, 30*time.Second)
	t.Idle = cmp.Or(t.Idle, 60*time.Second)
	t.Stop = cmp.Or(t.Stop, 10*time.Second)
	return c
}

// validate expects the defaults to be filled in.
func (c Config) validate() error {
	var errs []error
	if !validSource(c.Source) {
		errs = append(errs, fmt.Errorf("source %q: use 1 to %d of the letters a-z, A-Z, 0-9 and . _ -", c.Source, maxSource))
	}
	if c.ExternalURL != "" {
		if u, err := url.Parse(c.ExternalURL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			errs = append(errs, fmt.Errorf("external_url %q: want http://host or https://host", c.ExternalURL))
		}
	}
	for name, n := range map[string]int{
		"body": c.Limits.Body, "alerts": c.Limits.Alerts, "labels": c.Limits.Labels, "name": c.Limits.Name,
		"value": c.Limits.Value, "buffered": c.Limits.Buffered, "api body": c.Limits.APIBody,
		"headers": c.Limits.Headers, "requests": c.Limits.Requests, "plans": c.Limits.Plans, "shifts": c.Limits.Shifts, "viewers": c.Limits.Viewers, "connections": c.Connections,
	} {
		if n < 0 {
			errs = append(errs, fmt.Errorf("limit %s: %d is negative", name, n))
		}
	}
	if c.Limits.Buffered < c.Limits.Body {
		errs = append(errs, fmt.Errorf("limit buffered (%d bytes) is less than one body (%d bytes)", c.Limits.Buffered, c.Limits.Body))
	}
	errs = append(errs, validateAuth(c))
	return errors.Join(errs...)
}

func validateAuth(c Config) error {
	for _, t := range c.Intake.Tokens {
		if t == "" {
			return errors.New("intake: an empty token would let everybody in")
		}
	}
	for _, u := range c.Intake.Users {
		if u.Name == "" || u.Password == "" {
			return fmt.Errorf("intake: user %q needs a name and a password", u.Name)
		}
	}
	for _, t := range c.API {
		if t.Name == "" || t.Token == "" {
			return fmt.Errorf("api: token %q needs a name and a value", t.Name)
		}
		if t.Token == c.CalendarToken {
			return fmt.Errorf("calendar token: it is the API token of %q; an address must not open the API", t.Name)
		}
		if t.Role != "" && !slices.Contains(tocsin.Roles(), t.Role) {
			return fmt.Errorf("api: token %q has the role %q; want viewer, responder, manager or admin", t.Name, t.Role)
		}
	}
	if c.Proxy.UserHeader+c.Proxy.GroupsHeader != "" && len(c.Proxy.From) == 0 {
		return errors.New("proxy: without the addresses that it has, anybody could say who they are")
	}
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") || c.TLS.CertFile == "" && c.TLS.ClientCAFile != "" {
		return errors.New("tls: a certificate and its key are both needed")
	}
	return nil
}
