package email_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/email"
	"github.com/tocsin-oncall/tocsin/notifiers/email/smtptest"
	"github.com/tocsin-oncall/tocsin/notifiers/notifiertest"
)

func TestOverSockets(t *testing.T) {
	t.Parallel()
	for name, server := range map[string]smtptest.Config{
		"starttls": {TLS: true, RequireTLS: true, Username: user, Password: password},
		"implicit": {TLS: true, Implicit: true, Username: user, Password: password},
		"login":    {TLS: true, Username: user, Password: password, Mechanisms: []string{"LOGIN"}},
		"none":     {Username: user, Password: password},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, server, nil)
			port, err := f.Listen()
			require.NoError(t, err)
			c := email.Config{
				Host: "localhost", Port: port, From: from, To: ana, Username: user, Password: password,
				TLS: email.NoTLS, RootCAs: f.Roots(),
			}
			if server.TLS {
				c.TLS = email.StartTLS
			}
			if server.Implicit {
				c.TLS = email.Implicit
			}
			m := email.New(c)
			require.NoError(t, m.Verify(t.Context()))
			assert.Empty(t, f.Messages())
			_, err = m.Deliver(t.Context(), notice())
			require.NoError(t, err)
			require.Len(t, f.Messages(), 1)
			got := f.Messages()[0]
			assert.Equal(t, server.TLS, got.TLS)
			assert.Equal(t, user, got.User)
			assert.NotEmpty(t, got.Hello)
			assert.Equal(t, "tocsin@example.com", got.From)
			assert.Equal(t, []string{ana}, got.To)
			assert.Equal(t, smtptest.Stats{Connections: 2, Logins: 2, Accepted: 1}, f.Stats())
		})
	}
}

func TestInABubble(t *testing.T) {
	for _, server := range []smtptest.Config{
		{}, {TLS: true, Username: user, Password: password}, {TLS: true, Implicit: true, Username: user, Password: password},
	} {
		server.Greylist = time.Minute
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t, server, func(c *email.Config) {
				if server.TLS {
					c.Username, c.Password = user, password
				}
			})
			n := notice()
			_, err := f.mail.Deliver(t.Context(), n)
			d, put := tocsin.RetryDelay(err)
			require.True(t, put, "%v", err)
			time.Sleep(d)
			r, err := f.mail.Deliver(t.Context(), n)
			require.NoError(t, err)
			assert.NotEmpty(t, r.Ref)
			f.Fault(smtptest.Fault{At: smtptest.AtRcpt, Delay: 9 * time.Second})
			_, err = f.mail.Deliver(t.Context(), n)
			require.NoError(t, err)
			f.Fault(smtptest.Fault{At: smtptest.AtEnd, Delay: time.Hour})
			_, err = f.mail.Deliver(t.Context(), n)
			assert.True(t, tocsin.IsUnclear(err), "%v", err)
			assert.Len(t, f.Messages(), 3)
			assert.Len(t, f.Mailbox(ana), 1)
			f.Close()
			time.Sleep(2 * time.Hour) // lets the delayed session end
		})
	}
}

func TestThread(t *testing.T) {
	t.Parallel()
	f := newFixture(t, smtptest.Config{}, nil)
	n := notice()
	n.Incident.Severity = tocsin.Warning
	var subjects []string
	var root string
	ids := map[string]bool{}
	step := func(what string, change func(*tocsin.Notice)) {
		if change != nil {
			change(&n)
		}
		r, got := f.deliver(t, n)
		subjects = append(subjects, got.Subject)
		assert.False(t, ids[got.ID], "%s: %s was sent before", what, got.ID)
		ids[got.ID] = true
		first, _, _ := strings.Cut(got.Text, "\n")
		if root == "" {
			root = got.ID
			assert.Empty(t, got.Header.Get("In-Reply-To"))
			assert.Empty(t, got.Header.Get("References"))
		} else {
			assert.Equal(t, what, first)
			assert.Equal(t, root, got.Header.Get("In-Reply-To"))
			assert.Equal(t, root, got.Header.Get("References"))
		}
		assert.Equal(t, root, r.Ref)
		n = after(n, r)
	}
	step("opened", nil)
	step("Still not acknowledged: calling again", func(n *tocsin.Notice) { n.Delivery.Calls, n.Call = 2, true })
	step("Severity raised from warning to critical", func(n *tocsin.Notice) { n.Incident.Raise(tocsin.Critical, n.Now) })
	step("Acknowledged by bo", func(n *tocsin.Notice) { n.Incident.Acknowledge("bo", n.Now) })
	step("Still open, acknowledged by bo: calling again", func(n *tocsin.Notice) { n.Delivery.Calls, n.Call = 3, true })
	step("Not acknowledged any more", func(n *tocsin.Notice) {
		n.Incident.Mute("x", n.Now)
		n.Incident.State = tocsin.Triggered
	})
	step("Resolved by bo", func(n *tocsin.Notice) { n.Incident.Resolve("bo", "done", n.Now) })
	n.Incident.Reopen("again", n.Now)
	_, err := f.mail.Deliver(t.Context(), n)
	require.NoError(t, err)
	require.Len(t, f.Messages(), len(subjects), "a person is mailed when it is that person's turn")
	step("It fires again", func(n *tocsin.Notice) { n.Delivery.User = "" })
	step("flapping: 3 changes", func(n *tocsin.Notice) {
		n.Incident.Mute("y", n.Now)
		happened(n, tocsin.EventFlapping, "flapping: 3 changes")
	})
	step("Resolved", func(n *tocsin.Notice) { n.Incident.Resolve("", "all alerts ended", n.Now) })
	for _, s := range subjects {
		assert.Equal(t, "[warning] Node node-a:9100 is down (k7f3q9)", s, "a changed subject parts the thread")
	}
	assert.Equal(t, "<tocsin.k7f3q9.warning.", root[:23])
	assert.True(t, strings.HasSuffix(root, "@example.com>"), root)
}

func TestThreadsAreApart(t *testing.T) {
	t.Parallel()
	f := newFixture(t, smtptest.Config{}, nil)
	refs := map[string]bool{}
	for _, id := range []string{"k7f3q9", "k7f3q8", "odd id\r\nX: y", "<@>"} {
		for _, target := range []string{"email:@ana", "email:@bo", "email:receiver/0"} {
			n := notice()
			n.Incident.ID, n.Delivery.Target = id, target
			r, got := f.deliver(t, n)
			assert.Equal(t, got.ID, r.Ref)
			_, err := mail.ParseAddress(r.Ref)
			assert.NoError(t, err, "%q", r.Ref)
			refs[r.Ref] = true
		}
	}
	assert.Len(t, refs, 12)
}

// TestNewsIsNoRepeat: after an unclear first mail, what has happened since is
// not sent under the Message-ID of the first, which a mail program would drop.
func TestNewsIsNoRepeat(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*tocsin.Notice){
		"nothing":      func(*tocsin.Notice) {},
		"acknowledged": func(n *tocsin.Notice) { n.Incident.Acknowledge("bo", n.Now) },
		"resolved":     func(n *tocsin.Notice) { n.Incident.Resolve("bo", "", n.Now) },
		"called again": func(n *tocsin.Notice) { n.Delivery.Calls = 2 },
		"raised":       func(n *tocsin.Notice) { happened(n, tocsin.EventSeverity, "severity raised") },
		"a note":       func(n *tocsin.Notice) { happened(n, tocsin.EventNote, "hm") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, smtptest.Config{}, nil)
			f.Fault(smtptest.Fault{At: smtptest.AtEnd, Drop: true, Accept: true})
			n := notice()
			_, err := f.mail.Deliver(t.Context(), n)
			require.True(t, tocsin.IsUnclear(err), "%v", err)
			n.MayBePosted = true
			n.Incident = n.Incident.Clone()
			change(&n)
			r, err := f.mail.Deliver(t.Context(), n)
			require.NoError(t, err)
			box := f.Mailbox(ana)
			assert.Equal(t, r.Ref, box[0].ID, "it is the same thread")
			if name == "nothing" || name == "a note" {
				assert.Len(t, box, 1)
				return
			}
			require.Len(t, box, 2)
			assert.Equal(t, r.Ref, box[1].Header.Get("References"))
		})
	}
}

func TestUnclearReplyAndRepeat(t *testing.T) {
	t.Parallel()
	f := newFixture(t, smtptest.Config{}, nil)
	n := notice()
	r, _ := f.deliver(t, n)
	n = after(n, r)
	n.Incident.Acknowledge("bo", n.Now)
	f.Fault(smtptest.Fault{At: smtptest.AtEnd, Drop: true, Accept: true, Count: 3})
	for range 3 {
		_, err := f.mail.Deliver(t.Context(), n)
		require.True(t, tocsin.IsUnclear(err), "%v", err)
		n.MayBePosted = true
	}
	r, last := f.deliver(t, n)
	assert.Len(t, f.Messages(), 5)
	assert.Len(t, f.Mailbox(ana), 2)
	assert.Equal(t, 4, f.Copies(last.ID))
	assert.Equal(t, n.Delivery.Ref, r.Ref)
}

func TestWhatNeedsNoMail(t *testing.T) {
	t.Parallel()
	f := newFixture(t, smtptest.Config{}, nil)
	n := notice()
	n.Incident.Resolve("bo", "", n.Now)
	r, err := f.mail.Deliver(t.Context(), n)
	require.NoError(t, err)
	assert.Empty(t, r.Ref)
	assert.Contains(t, r.Text, "not sent")
	n.Delivery.Record(r, n.Now)
	assert.False(t, n.Delivery.Lags(n.Incident))

	told := notice()
	told.Incident.Kind, told.Incident.State = tocsin.KindNotice, tocsin.Resolved
	r, _ = f.deliver(t, told)
	assert.Len(t, f.Messages(), 1, "a notice is told whatever its state")
	told = after(told, r)
	told.Incident.StateRevision++
	r, err = f.mail.Deliver(t.Context(), told)
	require.NoError(t, err)
	assert.Len(t, f.Messages(), 1, "and once")
	assert.Equal(t, told.Incident.State, r.State)
	told.Call, told.Delivery.Calls = true, 2
	_, err = f.mail.Deliver(t.Context(), told)
	require.NoError(t, err)
	assert.Len(t, f.Mailbox(ana), 2, "unless it is to be told again")
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		server smtptest.Config
		change func(*email.Config)
		fault  smtptest.Fault
		class  notifiertest.Class
		says   []string
	}{
		"unknown mailbox": {
			server: smtptest.Config{Recipients: []string{"bo@example.com"}}, class: permanent,
			says: []string{"550", "no such mailbox here", "ana@example.com", "check the address"},
		},
		"wrong password": {
			server: smtptest.Config{TLS: true, Username: user, Password: "another"},
			change: func(c *email.Config) { c.Username, c.Password = user, password }, class: permanent,
			says: []string{"535", "Username and Password not accepted", "check smtp.username and smtp.password"},
		},
		"wants STARTTLS": {
			server: smtptest.Config{TLS: true, RequireTLS: true}, change: func(c *email.Config) { c.TLS = email.NoTLS },
			class: permanent, says: []string{"530", "Must issue a STARTTLS", "set smtp.tls to starttls"},
		},
		"wants a login": {
			server: smtptest.Config{TLS: true, Username: user, Password: password}, class: permanent,
			says: []string{"530", "set smtp.username and smtp.password"},
		},
		"no logins": {
			server: smtptest.Config{TLS: true}, change: func(c *email.Config) { c.Username, c.Password = user, password },
			class: permanent, says: []string{"takes no logins here"},
		},
		"other logins": {
			server: smtptest.Config{TLS: true, Username: user, Password: password, Mechanisms: []string{"GSSAPI"}},
			change: func(c *email.Config) { c.Username, c.Password = user, password }, class: permanent,
			says: []string{"PLAIN and LOGIN, only GSSAPI"},
		},
		"no STARTTLS": {
			change: func(c *email.Config) { c.TLS = email.StartTLS }, class: permanent, says: []string{"offers no STARTTLS"},
		},
		"password in the clear": {
			change: func(c *email.Config) { c.Username, c.Password = user, password }, class: permanent,
			says: []string{"in the clear"},
		},
		"unknown issuer": {
			server: smtptest.Config{TLS: true}, change: func(c *email.Config) { c.RootCAs = x509.NewCertPool() },
			class: temporary, says: []string{"certificate", "not to be trusted", "unknown authority"},
		},
		"unknown issuer, implicit": {
			server: smtptest.Config{TLS: true, Implicit: true}, change: func(c *email.Config) { c.RootCAs = x509.NewCertPool() },
			class: temporary, says: []string{"certificate", "not to be trusted", "unknown authority"},
		},
		"another name": {
			server: smtptest.Config{TLS: true, Hosts: []string{"other.example"}}, class: temporary,
			says: []string{"certificate", "other.example", "not mail.example.com"},
		},
		"no TLS on the port": {
			change: func(c *email.Config) { c.TLS = email.Implicit }, class: temporary, says: []string{"does not speak TLS on this port"},
		},
		"too large": {
			server: smtptest.Config{MaxBytes: 500}, class: permanent, says: []string{"552", "too large"},
		},
		"sender": {
			fault: smtptest.Fault{At: smtptest.AtMail, Code: 553, Text: "5.7.1 not owned by user"}, class: permanent,
			says: []string{"553", "not owned by user", "check smtp.from"},
		},
		"busy":      {fault: smtptest.Fault{At: smtptest.AtMail, Code: 421, Text: "4.7.0 later"}, class: rateLimited, says: []string{"421"}},
		"grey":      {server: smtptest.Config{Greylist: time.Hour}, class: rateLimited, says: []string{"450", "Greylisted"}},
		"disk full": {fault: smtptest.Fault{At: smtptest.AtEnd, Code: 452}, class: temporary, says: []string{"452"}},
		"fails":     {server: smtptest.Config{FailRate: 1}, class: temporary, says: []string{"451", "try again"}},
		"dead":      {fault: smtptest.Fault{At: smtptest.AtDial, Drop: true}, class: temporary, says: []string{"cannot be reached", "connection refused"}},
		"gone":      {fault: smtptest.Fault{At: smtptest.AtRcpt, Drop: true}, class: temporary, says: []string{"the recipient", "connection was closed"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, c.server, c.change)
			if c.fault.At != "" {
				f.Fault(c.fault)
			}
			_, err := attempt(t.Context(), t, f.mail, notice())
			require.Error(t, err)
			assert.Equal(t, c.class, notifiertest.ClassOf(err), "%v", err)
			assert.False(t, tocsin.IsUnclear(err), "%v", err)
			for _, says := range c.says {
				assert.Contains(t, err.Error(), says)
			}
			assert.Empty(t, f.Messages())
		})
	}
}

func TestWrongConfiguration(t *testing.T) {
	t.Parallel()
	for says, change := range map[string]func(*email.Config){
		"set smtp.host":         func(c *email.Config) { c.Host = " " },
		"smtp.host":             func(c *email.Config) { c.Host = "a\r\nb" },
		"smtp.port":             func(c *email.Config) { c.Port = 70000 },
		"set smtp.from":         func(c *email.Config) { c.From = "tocsin\r\nBcc: all@example.com" },
		"smtp.from":             func(c *email.Config) { c.From = "" },
		"set email of this":     func(c *email.Config) { c.To = "nobody" },
		"starttls, implicit":    func(c *email.Config) { c.TLS = "ssl" },
		"smtp.helo is not a":    func(c *email.Config) { c.HELO = "a b" },
		"the password would be": func(c *email.Config) { c.Username, c.Password = user, password },
	} {
		f := newFixture(t, smtptest.Config{}, change)
		_, err := attempt(t.Context(), t, f.mail, notice())
		require.Error(t, err)
		assert.True(t, tocsin.IsPermanent(err), "%v", err)
		assert.Contains(t, err.Error(), says)
		assert.Equal(t, err, f.mail.Verify(t.Context()))
		assert.Zero(t, f.Stats().Connections)
	}
}

func TestDefaultPorts(t *testing.T) {
	t.Parallel()
	for mode, port := range map[email.TLS]string{"": "587", email.StartTLS: "587", email.Implicit: "465", email.NoTLS: "25"} {
		var dialled string
		m := email.New(email.Config{Host: host, From: from, To: ana, TLS: mode, Dial: func(_ context.Context, _, address string) (net.Conn, error) {
			dialled = address
			return nil, errors.New("not now")
		}})
		require.Error(t, m.Verify(t.Context()))
		assert.Equal(t, net.JoinHostPort(host, port), dialled)
	}
}

func TestSeveralRecipients(t *testing.T) {
	t.Parallel()
	several := func(c *email.Config) { c.To = "Ana <ana@example.com>, bo@example.com, cy@example.com" }
	f := newFixture(t, smtptest.Config{Recipients: []string{ana, "cy@example.com"}}, several)
	r, got := f.deliver(t, notice())
	assert.Equal(t, []string{ana, "cy@example.com"}, got.To)
	assert.Contains(t, r.Text, "mailed to ana@example.com, cy@example.com; not to bo@example.com: 550")
	to, err := got.Header.AddressList("To")
	require.NoError(t, err)
	assert.Len(t, to, 3)

	// Somebody who is put off holds the mail back for a while, not for ever.
	f = newFixture(t, smtptest.Config{}, several)
	f.Fault(smtptest.Fault{At: smtptest.AtRcpt, Code: 450, Count: 2})
	n := notice()
	_, err = f.mail.Deliver(t.Context(), n)
	require.Error(t, err)
	n.Delivery.Attempts = 3
	_, got = f.deliver(t, n)
	assert.Equal(t, []string{"bo@example.com", "cy@example.com"}, got.To)

	// Where nobody is taken, the hope of another try counts.
	f.Fault(smtptest.Fault{At: smtptest.AtRcpt, Code: 550})
	f.Fault(smtptest.Fault{At: smtptest.AtRcpt, Code: 451})
	f.Fault(smtptest.Fault{At: smtptest.AtRcpt, Code: 550})
	_, err = f.mail.Deliver(t.Context(), n)
	assert.Equal(t, temporary, notifiertest.ClassOf(err), "%v", err)
}

func TestAddressesBeyondASCII(t *testing.T) {
	t.Parallel()
	f := newFixture(t, smtptest.Config{}, func(c *email.Config) {
		c.From, c.To = "Tócsin <tocsin@example.com>", `"Ana Ñ" <ana@exämple.com>, "a b"@example.com`
	})
	_, got := f.deliver(t, notice())
	assert.Equal(t, []string{"ana@exämple.com", "a b@example.com"}, got.To)
	to, err := got.Header.AddressList("To")
	require.NoError(t, err)
	assert.Equal(t, "Ana Ñ", to[0].Name)
	sender, err := got.Header.AddressList("From")
	require.NoError(t, err)
	assert.Equal(t, "Tócsin", sender[0].Name)
}

func TestVerifySaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	f := newFixture(t, smtptest.Config{TLS: true, Username: user, Password: "other"}, func(c *email.Config) {
		c.Username, c.Password = user, password
	})
	err := f.mail.Verify(t.Context())
	require.Error(t, err)
	assert.True(t, tocsin.IsPermanent(err))
	assert.NotContains(t, err.Error(), password)
	assert.Equal(t, 1, f.Stats().BadLogins)
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t, smtptest.Config{FailRate: 0.3, Seed: 7}, nil)
	const incidents = 40
	done := make(chan error, incidents)
	for k := range incidents {
		go func() {
			n := notice()
			n.Incident.ID = fmt.Sprintf("inc%03d", k)
			for {
				_, err := f.mail.Deliver(t.Context(), n)
				if err == nil || notifiertest.ClassOf(err) != temporary {
					done <- err
					return
				}
			}
		}()
	}
	for range incidents {
		require.NoError(t, <-done)
	}
	assert.Len(t, f.Mailbox(ana), incidents)
	assert.Len(t, f.Messages(), incidents)
}
