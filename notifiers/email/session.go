package email

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"github.com/tocsin-oncall/tocsin"
)

const (
	// maxAnswers is how many bytes of a server's answers are read in one
	// session, TLS included. An ordinary session has a few thousand; what reads
	// an answer of many lines takes time that grows with its square.
	maxAnswers = 128 << 10
	// quitGrace is how long a server may take to say good-bye.
	quitGrace = time.Second
	// patience is how many attempts fail before a mail goes out without the
	// recipients that the server does not take for the time being.
	patience = 3
)

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

// session is one connection to the mail server, logged in. It ends with its
// context.
type session struct {
	m      *Notifier
	ctx    context.Context
	conn   net.Conn
	client *smtp.Client
	stop   func() bool
	tls    bool
}

// limited is a connection of which only so much can be read.
type limited struct {
	net.Conn
	left int
}

var errEndless = errors.New("it says more than any mail server does")

// Read implements net.Conn.
func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		_ = l.Close() // the server may be waiting to be read, and then reads nothing
		return 0, errEndless
	}
	n, err := l.Conn.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}

// open connects, encrypts and logs in. ctx has a deadline.
func (m *Notifier) open(ctx context.Context) (*session, error) {
	conn, err := m.c.Dial(ctx, "tcp", m.address)
	if err != nil {
		return nil, fmt.Errorf("the mail server %s cannot be reached: %w", m.address, m.hide(err))
	}
	s := &session{m: m, ctx: ctx, conn: &limited{conn, maxAnswers}}
	// A deadline in the past ends whatever waits for the server.
	s.stop = context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	if err := s.begin(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *session) begin() error {
	wire := s.conn
	if s.m.c.TLS == Implicit {
		encrypted := tls.Client(wire, s.m.tls())
		if err := encrypted.HandshakeContext(s.ctx); err != nil {
			return s.failed(stageTLS, err)
		}
		wire, s.tls = encrypted, true
	}
	var err error
	if s.client, err = smtp.NewClient(wire, s.m.c.Host); err != nil {
		return s.failed(stageGreeting, err)
	}
	if err := s.client.Hello(s.m.c.HELO); err != nil {
		return s.failed(stageHello, err)
	}
	if s.m.c.TLS == StartTLS {
		if ok, _ := s.client.Extension("STARTTLS"); !ok {
			return tocsin.Permanent(fmt.Errorf(
				"the mail server %s offers no STARTTLS: set smtp.tls to implicit and smtp.port to its TLS port, or to none for a server on this machine",
				s.m.address))
		}
		if err := s.client.StartTLS(s.m.tls()); err != nil {
			return s.failed(stageTLS, err)
		}
		s.tls = true
	}
	return s.login()
}

func (m *Notifier) tls() *tls.Config {
	return &tls.Config{ServerName: m.c.Host, RootCAs: m.c.RootCAs, MinVersion: tls.VersionTLS12}
}

// login logs in where a user is configured. The library's own check of what
// counts as this machine is narrower than ours, which has been made already.
func (s *session) login() error {
	c := &s.m.c
	if c.Username == "" {
		return nil
	}
	_, offered := s.client.Extension("AUTH")
	var auth smtp.Auth
	switch ways := strings.Fields(strings.ToUpper(offered)); {
	case slices.Contains(ways, "PLAIN"):
		auth = smtp.PlainAuth("", c.Username, c.Password, c.Host, true)
	case slices.Contains(ways, "LOGIN"):
		auth = smtp.LoginAuth(c.Username, c.Password, c.Host, true)
	case len(ways) == 0:
		return tocsin.Permanent(fmt.Errorf(
			"the mail server %s takes no logins here: use its submission port (587 or 465), or take smtp.username out", s.m.address))
	default:
		return tocsin.Permanent(fmt.Errorf("the mail server %s takes none of the logins PLAIN and LOGIN, only %s",
			s.m.address, line(strings.Join(ways, ", "), 100)))
	}
	if err := s.client.Auth(auth); err != nil {
		return s.failed(stageAuth, err)
	}
	return nil
}

// told says who was sent a mail, and who was refused.
type told struct {
	to      []string
	refused []string
}

func (t *told) text(again bool) string {
	text := "mailed to " + strings.Join(t.to, ", ")
	if again {
		text += " again: not answered yet"
	}
	if len(t.refused) > 0 {
		text += "; not to " + strings.Join(t.refused, "; ")
	}
	return line(text, 600)
}

// send makes one session and sends one mail in it. With hurry the mail goes out
// even when some of its recipients are refused for the time being.
func (m *Notifier) send(ctx context.Context, raw []byte, hurry bool) (told, error) {
	ctx, cancel := context.WithTimeout(ctx, m.c.Timeout)
	defer cancel()
	s, err := m.open(ctx)
	if err != nil {
		return told{}, err
	}
	defer s.quit()
	t, err := s.envelope(hurry)
	if err != nil {
		return told{}, err
	}
	return t, s.data(raw)
}

// envelope names the sender and the recipients. One that does not exist does not
// keep the mail from the others.
func (s *session) envelope(hurry bool) (told, error) {
	var t told
	s.client.SkipSMTPUTF8(!s.m.international())
	if err := s.client.Mail(path(s.m.from)); err != nil {
		return t, s.failed(stageMail, err)
	}
	var first error
	for _, to := range s.m.to {
		cause := s.client.Rcpt(path(to))
		if cause == nil {
			t.to = append(t.to, to.Address)
			continue
		}
		err := s.refused(to.Address, cause)
		var answer *textproto.Error
		if !errors.As(cause, &answer) || !tocsin.IsPermanent(err) && !hurry {
			return t, err
		}
		t.refused = append(t.refused, fmt.Sprintf("%s: %d %s", to.Address, answer.Code, s.m.said(answer)))
		// What may pass decides whether there is another try.
		if first == nil || tocsin.IsPermanent(first) {
			first = err
		}
	}
	if len(t.to) == 0 {
		return t, first
	}
	return t, nil
}

// path is an address as it stands in an envelope.
func path(a *mail.Address) string { return (&mail.Address{Address: a.Address}).String() }

// international reports whether an address needs SMTPUTF8 (RFC 6531).
func (m *Notifier) international() bool {
	for _, a := range append([]*mail.Address{m.from}, m.to...) {
		if strings.ContainsFunc(a.Address, func(r rune) bool { return r > '~' }) {
			return true
		}
	}
	return false
}

// data sends the mail. Until the line with the single dot has left, the server
// must drop what it has (RFC 5321, section 4.1.1.4); once it has, only the
// server's answer tells.
func (s *session) data(raw []byte) error {
	w, err := s.client.Data()
	if err != nil {
		return s.failed(stageData, err)
	}
	if _, err := w.Write(raw); err != nil {
		s.close() // closing the writer would end the mail as if it were whole
		return s.failed(stageText, err)
	}
	err = w.Close()
	var answer *textproto.Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &answer):
		s.close()
		return tocsin.Unclear(fmt.Errorf("the mail server %s did not say whether it took the mail: %w", s.m.address, s.cause(err)))
	case answer.Code >= 200 && answer.Code < 300:
		return nil
	case answer.Code < 400 || answer.Code >= 600:
		return tocsin.Unclear(s.failed(stageEnd, err))
	}
	return s.failed(stageEnd, err)
}

// quit says good-bye, and does not wait long for an answer.
func (s *session) quit() {
	timer := time.AfterFunc(quitGrace, func() { _ = s.conn.Close() })
	_ = s.client.Quit() // what was to be done is done
	timer.Stop()
	s.close()
}

func (s *session) close() {
	s.stop()
	_ = s.conn.Close() // what it would report was reported, or does not matter
}
