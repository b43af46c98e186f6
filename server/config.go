package server

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"time"
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

// Token is a bearer token of the API, and the name that its actions are
// recorded under. Browsers give it as the password of basic authentication, with
// any user name.
type Token struct{ Name, Token string }

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
	// Plans is the most answers about schedules that are computed at a time; what
	// exceeds it waits for Wait, and is then answered with 503. 0: 4.
	Plans int
	// Shifts is the most shifts in one answer; 0: 100,000.
	Shifts int
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
	l.Plans = cmp.Or(l.Plans, 4)
	l.Shifts = cmp.Or(l.Shifts, 100_000)
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
		"headers": c.Limits.Headers, "plans": c.Limits.Plans, "shifts": c.Limits.Shifts, "connections": c.Connections,
	} {
		if n < 0 {
			errs = append(errs, fmt.Errorf("limit %s: %d is negative", name, n))
		}
	}
	if c.Limits.Buffered < c.Limits.Body {
		errs = append(errs, fmt.Errorf("limit buffered (%d bytes) is less than one body (%d bytes)", c.Limits.Buffered, c.Limits.Body))
	}
	errs = append(errs, validateAuth(c.Intake, c.API, c.CalendarToken))
	return errors.Join(errs...)
}

func validateAuth(intake Auth, api []Token, calendar string) error {
	for _, t := range intake.Tokens {
		if t == "" {
			return errors.New("intake: an empty token would let everybody in")
		}
	}
	for _, u := range intake.Users {
		if u.Name == "" || u.Password == "" {
			return fmt.Errorf("intake: user %q needs a name and a password", u.Name)
		}
	}
	for _, t := range api {
		if t.Name == "" || t.Token == "" {
			return fmt.Errorf("api: token %q needs a name and a value", t.Name)
		}
		if t.Token == calendar {
			return fmt.Errorf("calendar token: it is the API token of %q; an address must not open the API", t.Name)
		}
	}
	return nil
}
