package smtptest_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/smtp"
	"net/textproto"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-oncall/tocsin/notifiers/email/smtptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

const text = "Message-ID: <a@b.example>\r\nSubject: =?utf-8?q?=C3=A9?=\r\nContent-Type: text/plain\r\n\r\nhello\r\n.dot\r\n"

// client is the standard library's, which is not what the product uses.
func client(t *testing.T, s *smtptest.Server) *smtp.Client {
	t.Helper()
	conn, err := s.Dial(t.Context(), "tcp", "mail.example.com:25")
	require.NoError(t, err)
	c, err := smtp.NewClient(conn, "mail.example.com")
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// send sends the text and returns the code of the refusal, or 250; 0 when the
// connection was lost.
func send(t *testing.T, c *smtp.Client, to ...string) int {
	t.Helper()
	err := c.Mail("me@example.com")
	for _, r := range to {
		if err == nil {
			err = c.Rcpt(r)
		}
	}
	if err == nil {
		w, derr := c.Data()
		require.NoError(t, derr)
		_, derr = fmt.Fprint(w, text)
		require.NoError(t, derr)
		err = w.Close()
	}
	var answer *textproto.Error
	switch {
	case err == nil:
		return 250
	case errors.As(err, &answer):
		require.NoError(t, c.Reset())
		return answer.Code
	}
	return 0
}

func TestMailboxes(t *testing.T) {
	t.Parallel()
	s := smtptest.New(smtptest.Config{Recipients: []string{"a@x.example", "b@x.example"}})
	t.Cleanup(s.Close)
	c := client(t, s)
	assert.Equal(t, 250, send(t, c, "a@x.example"))
	assert.Equal(t, 250, send(t, c, "A@x.example", "b@x.example"))
	assert.Equal(t, 550, send(t, c, "c@x.example"))
	assert.Len(t, s.Messages(), 2)
	assert.Equal(t, 2, s.Copies("<a@b.example>"))
	require.Len(t, s.Mailbox("a@x.example"), 1)
	assert.Len(t, s.Mailbox("b@x.example"), 1)
	got := s.Mailbox("a@x.example")[0]
	require.NoError(t, got.Problem)
	assert.Equal(t, "é", got.Subject)
	assert.Equal(t, "hello\n.dot\n", got.Text)
	assert.Equal(t, text, string(got.Raw))
	assert.Equal(t, smtptest.Stats{Connections: 1, Accepted: 2, Refused: 1}, s.Stats())
	s.Clear()
	assert.Empty(t, s.Messages())
}

func TestLogins(t *testing.T) {
	t.Parallel()
	s := smtptest.New(smtptest.Config{TLS: true, Username: "u", Password: "secret"})
	t.Cleanup(s.Close)
	c := client(t, s)
	assert.Equal(t, 530, send(t, c, "a@x.example"))
	if ok, _ := c.Extension("AUTH"); ok {
		t.Error("AUTH is offered in the clear")
	}
	require.NoError(t, c.StartTLS(&tls.Config{ServerName: "mail.example.com", RootCAs: s.Roots()}))
	require.NoError(t, c.Auth(smtp.PlainAuth("", "u", "secret", "mail.example.com")))
	assert.Equal(t, 250, send(t, c, "a@x.example"))
	assert.True(t, s.Messages()[0].TLS)
	assert.Equal(t, "u", s.Messages()[0].User)

	c = client(t, s)
	require.NoError(t, c.StartTLS(&tls.Config{ServerName: "mail.example.com", RootCAs: s.Roots()}))
	err := c.Auth(smtp.PlainAuth("", "u", "wrong", "mail.example.com"))
	require.ErrorContains(t, err, "535")
	assert.Equal(t, 1, s.Stats().BadLogins)
}

func TestFaults(t *testing.T) {
	t.Parallel()
	s := smtptest.New(smtptest.Config{})
	t.Cleanup(s.Close)
	c := client(t, s)
	s.Fault(smtptest.Fault{At: smtptest.AtMail, Code: 421, Count: 2})
	s.Fault(smtptest.Fault{At: smtptest.AtRcpt, Code: 451})
	s.Fault(smtptest.Fault{At: smtptest.AtEnd, Code: 452, Accept: true})
	s.Fault(smtptest.Fault{At: smtptest.AtEnd, Delay: time.Millisecond})
	var codes []int
	for range 6 {
		codes = append(codes, send(t, c, "a@x.example"))
	}
	assert.Equal(t, []int{421, 421, 451, 452, 250, 250}, codes)
	assert.Len(t, s.Messages(), 3, "the one with 452 was kept as asked for")
	for n, accept := range []bool{true, false} {
		s.Fault(smtptest.Fault{At: smtptest.AtEnd, Drop: true, Accept: accept})
		assert.Zero(t, send(t, client(t, s), "a@x.example"))
		assert.Len(t, s.Messages(), 4, "drop %d", n)
	}
	s.Fault(smtptest.Fault{At: smtptest.AtDial, Drop: true})
	_, err := s.Dial(t.Context(), "tcp", "mail.example.com:25")
	require.ErrorContains(t, err, "connection refused")
	s.Fault(smtptest.Fault{At: smtptest.AtMail, Code: 451, Count: -1})
	s.ClearFaults()
	s.SetFailRate(1)
	assert.Equal(t, 451, send(t, client(t, s), "a@x.example"))
	s.SetFailRate(0)
	assert.Equal(t, 250, send(t, client(t, s), "a@x.example"))
}

func TestGreylist(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	s := smtptest.New(smtptest.Config{Greylist: time.Minute, Now: func() time.Time { return now }})
	t.Cleanup(s.Close)
	c := client(t, s)
	assert.Equal(t, 450, send(t, c, "a@x.example"))
	now = now.Add(59 * time.Second)
	assert.Equal(t, 450, send(t, c, "a@x.example"))
	now = now.Add(time.Second)
	assert.Equal(t, 250, send(t, c, "a@x.example"))
	assert.Equal(t, 450, send(t, c, "b@x.example"))
}
