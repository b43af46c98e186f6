package email

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/tocsin-oncall/tocsin"
)

// DefaultTimeout bounds a call where Config.Timeout is 0.
const DefaultTimeout = 10 * time.Second

// TLS says how a connection is encrypted.
type TLS string

// The modes of TLS.
const (
	// StartTLS begins in the clear and requires STARTTLS (RFC 3207): nothing is
	// sent to a server that does not offer it. It is the default.
	StartTLS TLS = "starttls"
	// Implicit begins with TLS (RFC 8314).
	Implicit TLS = "implicit"
	// NoTLS sends in the clear, and passwords to the machine itself only.
	NoTLS TLS = "none"
)

// Config says where to send, as whom and to whom.
type Config struct {
	// Host of the mail server, as in its certificate. Port 0: 587, or 465 for
	// Implicit, or 25 for NoTLS.
	Host string
	Port int
	// From is the sender: "tocsin@example.com", "Tocsin <tocsin@example.com>".
	From string
	// To are the recipients, separated by commas.
	To string
	// Username and Password to log in with (PLAIN or LOGIN); no Username: no
	// login. The password is a secret: it is in no error.
	Username, Password string
	// TLS mode; empty: StartTLS.
	TLS TLS
	// RootCAs that the server's certificate is checked against; nil: the
	// system's.
	RootCAs *x509.CertPool
	// Timeout bounds one call, from dialling to the last answer; 0:
	// DefaultTimeout. The context given to Deliver may end sooner.
	Timeout time.Duration
	// HELO is the name to introduce ourselves by; empty: the machine's.
	HELO string
	// Location is the time zone that mails are written in, the reader's; nil:
	// UTC.
	Location *time.Location
	// Dial makes the connections; nil: an ordinary net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Notifier mails incidents. It is safe for concurrent use; deliveries of one
// incident must come one after the other, so that its thread is in order.
type Notifier struct {
	c       Config
	problem error
	address string // host:port
	from    *mail.Address
	to      []*mail.Address
	domain  string
	secrets *strings.Replacer
}

// New returns a notifier. It makes no calls. A wrong configuration is reported
// by Deliver and Verify, as a permanent error.
func New(c Config) *Notifier {
	c.Host, c.HELO = strings.TrimSpace(c.Host), strings.TrimSpace(c.HELO)
	c.TLS = cmp.Or(c.TLS, StartTLS)
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	c.HELO = cmp.Or(c.HELO, machine())
	if c.Location == nil {
		c.Location = time.UTC
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{}).DialContext
	}
	m := &Notifier{c: c, secrets: secrets(&c)}
	if err := m.read(); err != nil {
		m.problem = tocsin.Permanent(err)
	}
	return m
}

// read takes the configuration apart and says what is wrong with it.
func (m *Notifier) read() error {
	c := &m.c
	port := c.Port
	switch c.TLS {
	case StartTLS:
		port = cmp.Or(port, 587)
	case Implicit:
		port = cmp.Or(port, 465)
	case NoTLS:
		port = cmp.Or(port, 25)
	default:
		return errors.New("smtp.tls is none of starttls, implicit and none: set one of them")
	}
	if c.Host == "" || strings.ContainsFunc(c.Host, unprintable) || port < 1 || port > 65535 {
		return errors.New("no mail server is configured: set smtp.host and smtp.port")
	}
	if strings.ContainsFunc(c.HELO, unprintable) {
		return errors.New("smtp.helo is not a host name: set one, or leave it out")
	}
	m.address = net.JoinHostPort(c.Host, strconv.Itoa(port))
	var err error
	if m.from, err = mail.ParseAddress(c.From); err != nil {
		return fmt.Errorf("the sender %q is no mail address: set smtp.from: %w", clip(c.From, 100), &hidden{err.Error(), err})
	}
	_, m.domain, _ = strings.Cut(m.from.Address[strings.LastIndexByte(m.from.Address, '@'):], "@")
	if m.to, err = mail.ParseAddressList(c.To); err != nil {
		return fmt.Errorf("the recipient %q is no mail address: set email of this user, or to of this receiver: %w",
			clip(c.To, 100), &hidden{err.Error(), err})
	}
	if c.Username != "" && c.TLS == NoTLS && !loopback(c.Host) {
		return errors.New("the password would be sent in the clear: set smtp.tls to starttls or implicit")
	}
	return nil
}

func unprintable(r rune) bool { return r <= ' ' || r > '~' }

// machine is this machine's name where it can stand in a HELO, else an address
// literal (RFC 5321, section 4.1.4).
func machine() string {
	name := hostname()
	if name == "" || strings.ContainsFunc(name, func(r rune) bool {
		return r >= unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '-' && r != '.'
	}) {
		return "[127.0.0.1]"
	}
	return name
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// Deliver sends at most one mail and says what the recipients have been told
// then. An error is marked with tocsin.Permanent, tocsin.RetryAfter or
// tocsin.Unclear where that is so; any other is temporary. No error holds the
// password.
//
// A resolved incident that nobody was mailed about, and a notice that was
// mailed, are answered without a call.
func (m *Notifier) Deliver(ctx context.Context, n tocsin.Notice) (tocsin.Receipt, error) {
	i := n.Incident
	done := tocsin.Receipt{
		Revision: i.Revision, State: i.State, Severity: i.Severity, Called: n.Delivery.Calls,
	}
	if why, needed := needed(&n); !needed {
		done.Text = why
		return done, nil
	}
	if m.problem != nil {
		return tocsin.Receipt{}, m.problem
	}
	if err := ctx.Err(); err != nil {
		return tocsin.Receipt{}, fmt.Errorf("no mail was sent: %w", err)
	}
	t := threadOf(&n, m.domain)
	raw, err := m.compose(&n, t)
	if err != nil {
		return tocsin.Receipt{}, tocsin.Permanent(fmt.Errorf("the mail cannot be written: %w", &hidden{err.Error(), err}))
	}
	told, err := m.send(ctx, raw, n.Delivery.Attempts >= patience)
	if err != nil {
		return tocsin.Receipt{}, err
	}
	done.Ref = t.root
	done.Text = told.text(n.Call && n.Delivery.Ref != "")
	if last := len(n.Events); last > 0 {
		done.Told = n.Events[last-1].Seq
	}
	return done, nil
}

// Verify connects, encrypts and logs in as for a mail, and sends none. Its
// errors are those of Deliver.
func (m *Notifier) Verify(ctx context.Context) error {
	if m.problem != nil {
		return m.problem
	}
	ctx, cancel := context.WithTimeout(ctx, m.c.Timeout)
	defer cancel()
	s, err := m.open(ctx)
	if err != nil {
		return err
	}
	s.quit()
	return nil
}
