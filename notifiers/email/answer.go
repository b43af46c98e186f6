package email

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

const (
	// maxErrorText is how many runes of an answer an error repeats.
	maxErrorText = 300
	// pause is how long a server is left alone that is shutting down or too
	// busy, or that puts off senders it does not know ("greylisting", RFC 6647).
	pause = 60 * time.Second
)

// stage is where in a session something failed.
type stage string

// The stages, as errors name them.
const (
	stageTLS      stage = "TLS"
	stageGreeting stage = "the greeting"
	stageHello    stage = "EHLO"
	stageAuth     stage = "the login"
	stageMail     stage = "the sender"
	stageRcpt     stage = "the recipient"
	stageData     stage = "DATA"
	stageText     stage = "the mail's text"
	stageEnd      stage = "the mail"
)

// failed turns an error of the session into one that says what to do.
func (s *session) failed(at stage, err error) error { return s.failure(at, "", err) }

// refused is failed for a recipient.
func (s *session) refused(to string, err error) error { return s.failure(stageRcpt, to, err) }

func (s *session) failure(at stage, to string, err error) error {
	var answer *textproto.Error
	if errors.As(err, &answer) {
		return s.m.classify(at, to, answer, s.tls)
	}
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	server := "the mail server " + s.m.address
	switch {
	case errors.As(err, &cert):
		return fmt.Errorf("the certificate of %s is not to be trusted; smtp.host must be a name in it, and its issuer known to this machine: %w",
			server, s.m.hide(err))
	case errors.As(err, &record):
		return fmt.Errorf("%s does not speak TLS on this port; set smtp.tls to starttls: %w", server, s.m.hide(err))
	default:
		return fmt.Errorf("%s failed at %s: %w", server, at, s.cause(err))
	}
}

// cause is err without secrets, in words for what only Go's readers know.
func (s *session) cause(err error) error {
	switch {
	case s.ctx.Err() != nil && errors.Is(s.ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)
	case s.ctx.Err() != nil:
		return s.ctx.Err()
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return &hidden{"the connection was closed", err}
	}
	return s.m.hide(err)
}

// classify judges an answer by its code, as RFC 5321 (section 4.2.1) says: 4yz
// is for the time being, 5yz is for good.
func (m *Notifier) classify(at stage, to string, answer *textproto.Error, encrypted bool) error {
	said := m.said(answer)
	told := func(what, advice string) error {
		text := fmt.Sprintf("the mail server %s %s: %d", m.address, what, answer.Code)
		if said != "" {
			text += " " + said
		}
		if advice != "" {
			text += " (" + advice + ")"
		}
		return errors.New(text)
	}
	what := string(at)
	if to != "" {
		what += " " + line(to, 100)
	}
	switch code := answer.Code; {
	case code == 421:
		return tocsin.RetryAfter(told("is going away or too busy", ""), pause)
	case code == 450, code == 451 && strings.Contains(strings.ToLower(said), "grey"):
		return tocsin.RetryAfter(told("puts off "+what, ""), pause)
	case code >= 500 && code < 600:
		return tocsin.Permanent(told("refused "+what, advice(at, code, said, encrypted)))
	case code >= 400 && code < 500:
		return told("does not take "+what+" for the time being", "")
	default:
		return told("gave an answer that has no meaning to "+what, "")
	}
}

// advice says what to do about a refusal. Codes: RFC 5321 (section 4.2.2),
// RFC 4954 (section 6), RFC 3207 (section 4).
func advice(at stage, code int, said string, encrypted bool) string {
	switch {
	case code == 530 && !encrypted && strings.Contains(strings.ToUpper(said), "TLS"):
		return "it wants TLS: set smtp.tls to starttls"
	case code == 530:
		return "it wants a login: set smtp.username and smtp.password"
	case code == 534:
		return "it does not take this kind of password; many providers want one made for a program"
	case code == 538:
		return "it takes passwords under TLS only: set smtp.tls to starttls"
	case at == stageAuth:
		return "check smtp.username and smtp.password"
	case at == stageMail:
		return "check smtp.from, and whether this user may send as it"
	case at == stageRcpt && (code == 550 || code == 551 || code == 553):
		return "check the address; if it is right, this server may not send there for us without a login"
	case at == stageRcpt:
		return "check the address"
	case code == 552:
		return "the mailbox is full, or the mail too large for it"
	case at == stageGreeting || at == stageHello:
		return "check that smtp.host takes mail from this machine"
	case at == stageTLS:
		return "set smtp.tls to implicit, or ask the server's administrator"
	}
	return ""
}

// said is the server's own words in one line, without secrets.
func (m *Notifier) said(answer *textproto.Error) string {
	return line(m.secrets.Replace(answer.Msg), maxErrorText)
}

func (m *Notifier) hide(err error) error { return &hidden{m.secrets.Replace(err.Error()), err} }

// secrets replaces the password wherever a server repeats it, also as it goes
// over the wire.
func secrets(c *Config) *strings.Replacer {
	if c.Password == "" {
		return strings.NewReplacer()
	}
	encode := base64.StdEncoding.EncodeToString
	found := []string{
		c.Password, encode([]byte(c.Password)), encode([]byte("\x00" + c.Username + "\x00" + c.Password)),
		fmt.Sprintf("%q", c.Password),
	}
	// The longest first, so that a secret within another does not leave the
	// other's ends.
	slices.SortFunc(found, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, s := range found {
		pairs = append(pairs, s, "<secret>")
	}
	return strings.NewReplacer(pairs...)
}

// hidden is an error whose text was cleaned of secrets, and which is still
// known by its cause.
type hidden struct {
	text  string
	cause error
}

func (h *hidden) Error() string { return line(h.text, maxErrorText) }
func (h *hidden) Unwrap() error { return h.cause }
