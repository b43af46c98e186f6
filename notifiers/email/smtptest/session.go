package smtptest

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// session is one client's.
type session struct {
	s      *Server
	conn   *smtp.Conn
	secure bool
	user   string
	from   string
	to     []string
}

var _ smtp.AuthSession = (*session)(nil)

func (s *Server) session(c *smtp.Conn) (smtp.Session, error) {
	_, secure := c.TLSConnectionState()
	x := &session{s: s, conn: c, secure: secure}
	if err := x.strike(AtHello); err != nil {
		return nil, err
	}
	return x, nil
}

// strike makes the next fault of a place happen, but for keeping the mail.
func (x *session) strike(at At) error {
	f := x.s.fault(at)
	if f == nil {
		return nil
	}
	return x.suffer(f)
}

func (x *session) suffer(f *Fault) error {
	time.Sleep(f.Delay)
	if f.Drop {
		_ = x.conn.Conn().Close()
		return errors.New("dropped")
	}
	err := f.answer()
	if err != nil {
		x.s.count(func(c *Stats) { c.Refused++ })
	}
	return err
}

func (x *session) refuse(code int, enhanced smtp.EnhancedCode, text string) error {
	x.s.count(func(c *Stats) { c.Refused++ })
	return &smtp.SMTPError{Code: code, EnhancedCode: enhanced, Message: text}
}

// Reset implements smtp.Session.
func (x *session) Reset() { x.from, x.to = "", nil }

// Logout implements smtp.Session.
func (x *session) Logout() error { return nil }

// AuthMechanisms implements smtp.AuthSession.
func (x *session) AuthMechanisms() []string {
	if x.s.conf.Username == "" {
		return nil
	}
	return x.s.conf.Mechanisms
}

// Auth implements smtp.AuthSession.
func (x *session) Auth(mech string) (sasl.Server, error) {
	if !slices.Contains(x.AuthMechanisms(), mech) {
		return nil, smtp.ErrAuthUnknownMechanism
	}
	switch mech {
	case "PLAIN":
		return sasl.NewPlainServer(func(_, user, password string) error { return x.login(user, password) }), nil
	case "LOGIN":
		return &login{x: x}, nil
	}
	return nil, smtp.ErrAuthUnknownMechanism
}

func (x *session) login(user, password string) error {
	if err := x.strike(AtAuth); err != nil {
		return err
	}
	c := &x.s.conf
	if user != c.Username || subtle.ConstantTimeCompare([]byte(password), []byte(c.Password)) == 0 {
		x.s.count(func(c *Stats) { c.BadLogins++ })
		return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "Username and Password not accepted"}
	}
	x.s.count(func(c *Stats) { c.Logins++ })
	x.user = user
	return nil
}

// login is the server's half of LOGIN, which go-sasl has no more.
type login struct {
	x    *session
	step int
	user string
}

// Next implements sasl.Server.
func (l *login) Next(response []byte) (challenge []byte, done bool, err error) {
	if response == nil && l.step == 0 {
		return []byte("Username:"), false, nil
	}
	l.step++
	if l.step == 1 {
		l.user = string(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.x.login(l.user, string(response))
}

// Mail implements smtp.Session.
func (x *session) Mail(from string, _ *smtp.MailOptions) error {
	c := &x.s.conf
	switch {
	case c.RequireTLS && !x.secure:
		return x.refuse(530, smtp.EnhancedCode{5, 7, 0}, "Must issue a STARTTLS command first")
	case c.Username != "" && x.user == "":
		return x.refuse(530, smtp.EnhancedCode{5, 7, 0}, "Authentication required")
	}
	if err := x.strike(AtMail); err != nil {
		return err
	}
	x.from = from
	return nil
}

// Rcpt implements smtp.Session.
func (x *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if err := x.strike(AtRcpt); err != nil {
		return err
	}
	known := x.s.conf.Recipients
	if len(known) > 0 && !slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, to) }) {
		return x.refuse(550, smtp.EnhancedCode{5, 1, 1}, "<"+to+">: no such mailbox here")
	}
	if x.s.greylisted(x.from, to) {
		return x.refuse(450, smtp.EnhancedCode{4, 2, 0}, "<"+to+">: Greylisted, please try again later")
	}
	x.to = append(x.to, to)
	return nil
}

func (s *Server) greylisted(from, to string) bool {
	if s.conf.Greylist <= 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now, pair := s.conf.Now(), [2]string{from, to}
	if s.seen[pair].IsZero() {
		s.seen[pair] = now
	}
	return now.Sub(s.seen[pair]) < s.conf.Greylist
}

// Data implements smtp.Session.
func (x *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err // too large, or the connection has broken off
	}
	f := x.s.fault(AtEnd)
	if f != nil && (f.Accept || f.Code == 0 && !f.Drop) {
		x.keep(raw)
	}
	if f != nil {
		return x.suffer(f)
	}
	if x.s.fails() {
		return x.refuse(451, smtp.EnhancedCode{4, 3, 0}, "Temporary failure, please try again")
	}
	x.keep(raw)
	return nil
}

func (s *Server) fails() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conf.FailRate > 0 && s.rand.Float64() < s.conf.FailRate
}

func (x *session) keep(raw []byte) {
	m := parse(bytes.Clone(raw))
	m.From, m.To, m.User, m.TLS, m.Hello = x.from, slices.Clone(x.to), x.user, x.secure, x.conn.Hostname()
	m.At = x.s.conf.Now()
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	x.s.messages = append(x.s.messages, m)
	x.s.stats.Accepted++
}

// greeter counts connections.
type greeter struct {
	net.Listener
	s *Server
}

// Accept implements net.Listener.
func (g greeter) Accept() (net.Conn, error) {
	c, err := g.Listener.Accept()
	if err == nil {
		g.s.count(func(c *Stats) { c.Connections++ })
	}
	return c, err
}
