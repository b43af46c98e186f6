package email_test

import (
	"bufio"
	"context"
	"flag"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/email"
	"github.com/tocsin-oncall/tocsin/notifiers/email/smtptest"
	"github.com/tocsin-oncall/tocsin/notifiers/notifiertest"
)

const (
	host     = "mail.example.com"
	from     = "Tocsin <tocsin@example.com>"
	ana      = "ana@example.com"
	user     = "tocsin-user"
	password = "CANARY-pass/word+1234="
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

// fixture is a mail server and a notifier that uses it without a socket.
type fixture struct {
	*smtptest.Server
	mail *email.Notifier
}

func newFixture(t testing.TB, server smtptest.Config, change func(*email.Config)) *fixture {
	t.Helper()
	s := smtptest.New(server)
	t.Cleanup(s.Close)
	c := email.Config{Host: host, From: from, To: ana, TLS: email.NoTLS, HELO: "tocsin.example.com", Dial: s.Dial, RootCAs: s.Roots()}
	if server.TLS {
		c.TLS = email.StartTLS
	}
	if server.Implicit {
		c.TLS = email.Implicit
	}
	if change != nil {
		change(&c)
	}
	return &fixture{s, email.New(c)}
}

// notice is the sample at an email target.
func notice() tocsin.Notice {
	n := notifiertest.Sample()
	n.Delivery.Target = "email:@ana"
	n.Delivery.User, n.Delivery.Calls = "ana", 1
	n.Call = true
	n.Ahead = []tocsin.Ahead{
		{At: n.Now.Add(15 * time.Minute), Text: "bo by PagerDuty"},
		{At: n.Now.Add(26 * time.Hour), Text: "the team lead"},
	}
	return n
}

// after is the notice as it is once the receipt was recorded.
func after(n tocsin.Notice, r tocsin.Receipt) tocsin.Notice {
	n.Incident = n.Incident.Clone()
	n.Delivery.Record(r, n.Now)
	n.Now = n.Now.Add(5 * time.Minute)
	n.Call, n.MayBePosted, n.Events = false, false, nil
	return n
}

func happened(n *tocsin.Notice, kind tocsin.EventKind, text string) {
	e := n.Incident.Event(kind, "", text, n.Now)
	e.Seq = n.Delivery.Told + uint64(len(n.Events)) + 1
	n.Events = append(n.Events, e)
}

// deliver sends a notice and returns the mail as the server got it.
func (f *fixture) deliver(t testing.TB, n tocsin.Notice) (tocsin.Receipt, smtptest.Message) {
	t.Helper()
	r, err := f.mail.Deliver(t.Context(), n)
	require.NoError(t, err)
	all := f.Messages()
	require.NotEmpty(t, all)
	last := all[len(all)-1]
	require.NoError(t, last.Problem)
	return r, last
}

// script is a mail server that answers as it is told: what it says to a command;
// "greeting" is what it says first, "." what it says to the mail. The answers
// "drop" and "hang" are none.
type script map[string]string

func (s script) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	go s.serve(server)
	return client, ctx.Err()
}

func (s script) say(c net.Conn, to, usual string) bool {
	answer, ok := s[to]
	if !ok {
		answer = usual
	}
	switch answer {
	case "drop":
		return false
	case "hang":
		var b [1]byte
		_, _ = c.Read(b[:]) // until the other end is closed
		return false
	}
	_, err := c.Write([]byte(answer + "\r\n"))
	return err == nil
}

func (s script) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	if !s.say(c, "greeting", "220 "+host+" ESMTP") {
		return
	}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		command, _, _ := strings.Cut(strings.TrimSpace(strings.ToUpper(line)), " ")
		usual := map[string]string{
			"EHLO": "250-" + host + "\r\n250 AUTH PLAIN LOGIN", "AUTH": "235 2.7.0 Accepted",
			"DATA": "354 Go ahead", "QUIT": "221 Bye",
		}[command]
		if usual == "" {
			usual = "250 OK"
		}
		if !s.say(c, command, usual) {
			return
		}
		if command != "DATA" || s["DATA"] != "" {
			continue
		}
		for line != ".\r\n" {
			if line, err = r.ReadString('\n'); err != nil {
				return
			}
		}
		if !s.say(c, ".", "250 2.0.0 Queued") {
			return
		}
	}
}

func scripted(s script, change func(*email.Config)) *email.Notifier {
	c := email.Config{
		Host: "127.0.0.1", From: from, To: ana, TLS: email.NoTLS, HELO: "tocsin.example.com",
		Username: user, Password: password, Dial: s.dial,
	}
	if change != nil {
		change(&c)
	}
	return email.New(c)
}
