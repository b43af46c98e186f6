package email_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/email"
	"github.com/tocsin-oncall/tocsin/notifiers/email/smtptest"
	"github.com/tocsin-oncall/tocsin/notifiers/notifiertest"
)

// The checks of notifiertest.Conformance in SMTP: the suite itself speaks HTTP
// (an http.Handler, statuses, Retry-After), which no mail server does. Names and
// requirements are the suite's.

const (
	ok          = notifiertest.OK
	permanent   = notifiertest.Permanent
	rateLimited = notifiertest.RateLimited
	temporary   = notifiertest.Temporary
)

// attempt makes one attempt and checks what holds for every error.
func attempt(ctx context.Context, t testing.TB, m *email.Notifier, n tocsin.Notice) (tocsin.Receipt, error) {
	t.Helper()
	r, err := m.Deliver(ctx, n)
	if err == nil {
		return r, nil
	}
	text := err.Error()
	for _, secret := range []string{
		password, base64.StdEncoding.EncodeToString([]byte(password)),
		base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password)),
	} {
		assert.NotContains(t, text, secret, "a secret is in the error")
	}
	assert.LessOrEqual(t, len(text), 2000, "the error is too long for a timeline")
	assert.Equal(t, -1, strings.IndexFunc(text, unicode.IsControl), "the error has controls: %q", text)
	assert.Equal(t, tocsin.Receipt{}, r, "a failed attempt has no receipt")
	return r, err
}

func TestDelivers(t *testing.T) {
	t.Parallel()
	f := newFixture(t, smtptest.Config{}, nil)
	n := notice()
	r, err := attempt(t.Context(), t, f.mail, n)
	require.NoError(t, err)
	require.Len(t, f.Messages(), 1)
	assert.NotEmpty(t, r.Ref)
	assert.Equal(t, "mailed to ana@example.com", r.Text)
	assert.Equal(t, n.Incident.State, r.State)
	assert.Equal(t, n.Incident.Severity, r.Severity)
	assert.Equal(t, n.Incident.Revision, r.Revision)
	assert.Equal(t, n.Delivery.Calls, r.Called)
	assert.Equal(t, n.Events[0].Seq, r.Told)
	assert.False(t, r.More)
	next := after(n, r)
	assert.False(t, next.Delivery.Lags(n.Incident), "the target would lag for ever")
}

// class is what a code comes to at a place.
func class(at string, code int) notifiertest.Class {
	switch {
	case code == 421 || code == 450:
		return rateLimited
	case code >= 500 && code < 600:
		return permanent
	case at == "greeting" && code == 220, at == "." && code/100 == 2, at == "RCPT" && code/10 == 25,
		at == "MAIL" && code == 250, at == "EHLO" && code == 250, at == "AUTH" && code == 235, at == "DATA" && code == 354:
		return ok
	}
	return temporary
}

func TestClassifiesEveryCode(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"greeting", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "."} {
		for code := 200; code <= 599; code++ {
			if at != "." && code%50 > 5 {
				continue // all that RFCs name but a few
			}
			if class(at, code) == ok && at != "." && at != "RCPT" || at == "AUTH" && code == 334 {
				continue // what follows is not scripted
			}
			answer := fmt.Sprintf("%d said at %s", code, at)
			s := script{at: answer}
			if at == "EHLO" {
				s["HELO"] = answer
			}
			_, err := attempt(t.Context(), t, scripted(s, nil), notice())
			require.Equal(t, class(at, code), notifiertest.ClassOf(err), "%s: %v", answer, err)
			if err != nil {
				require.Contains(t, err.Error(), fmt.Sprint(code), "the error must name the code")
				require.Contains(t, err.Error(), "said at", "and say what the server said")
				require.Equal(t, at == "." && code/100 == 3, tocsin.IsUnclear(err), "%v", err)
			}
		}
	}
}

func TestAsksToSlowDown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code   int
		text   string
		paused bool
	}{
		{421, "4.3.2 Shutting down", true},
		{450, "4.2.0 Greylisted, see http://postgrey.example", true},
		{451, "4.7.1 Greylisting in action, please come back later", true},
		{451, "4.3.0 Local error in processing", false},
		{452, "4.3.1 Insufficient system storage", false},
	} {
		_, err := attempt(t.Context(), t, scripted(script{"RCPT": fmt.Sprintf("%d %s", c.code, c.text)}, nil), notice())
		require.Error(t, err)
		assert.False(t, tocsin.IsPermanent(err), "%v", err)
		assert.Contains(t, err.Error(), c.text)
		d, marked := tocsin.RetryDelay(err)
		assert.Equal(t, c.paused, marked, "%v", err)
		if marked {
			assert.Equal(t, time.Minute, d)
		}
	}
}

func TestSameNoticeTwiceIsOneThing(t *testing.T) {
	t.Parallel()
	f := newFixture(t, smtptest.Config{}, nil)
	n := notice()
	first, err := attempt(t.Context(), t, f.mail, n)
	require.NoError(t, err)
	n.MayBePosted = true
	second, err := attempt(t.Context(), t, f.mail, n)
	require.NoError(t, err)
	assert.Len(t, f.Mailbox(ana), 1)
	assert.Len(t, f.Messages(), 2, "SMTP knows no repeats: the mail program does")
	assert.Equal(t, first.Ref, second.Ref)
}

func TestLostAnswerIsUnclear(t *testing.T) {
	t.Parallel()
	for _, accept := range []bool{true, false} {
		f := newFixture(t, smtptest.Config{TLS: true}, nil)
		f.Fault(smtptest.Fault{At: smtptest.AtEnd, Drop: true, Accept: accept})
		n := notice()
		_, err := attempt(t.Context(), t, f.mail, n)
		require.Error(t, err)
		assert.Equal(t, temporary, notifiertest.ClassOf(err), "%v", err)
		assert.True(t, tocsin.IsUnclear(err), "the server may have taken it: %v", err)
		n.MayBePosted = true
		_, err = attempt(t.Context(), t, f.mail, n)
		require.NoError(t, err)
		assert.Len(t, f.Mailbox(ana), 1)
	}
}

// TestLostBeforeTheEndIsNotUnclear: a server that has not seen the end of a mail
// drops it.
func TestLostBeforeTheEndIsNotUnclear(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"greeting", "EHLO", "AUTH", "MAIL", "RCPT", "DATA"} {
		for _, how := range []string{"drop", "hang"} {
			m := scripted(script{at: how}, func(c *email.Config) { c.Timeout = 50 * time.Millisecond })
			_, err := attempt(t.Context(), t, m, notice())
			require.Error(t, err)
			assert.Equal(t, temporary, notifiertest.ClassOf(err), "%s at %s: %v", how, at, err)
			assert.False(t, tocsin.IsUnclear(err), "%s at %s: %v", how, at, err)
			if how == "hang" {
				assert.ErrorIs(t, err, context.DeadlineExceeded)
				assert.Contains(t, err.Error(), "no answer in time")
			}
		}
	}
}

func TestEndedContextMakesNoCall(t *testing.T) {
	t.Parallel()
	f := newFixture(t, smtptest.Config{}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := attempt(ctx, t, f.mail, notice())
	require.Error(t, err)
	assert.Equal(t, temporary, notifiertest.ClassOf(err), "%v", err)
	assert.Zero(t, f.Stats().Connections)
}

func TestBlackHoleEndsWithContext(t *testing.T) {
	for _, how := range []func(context.Context) (context.Context, context.CancelFunc){
		func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 100*time.Millisecond)
		},
		func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(100*time.Millisecond, cancel)
			return ctx, cancel
		},
	} {
		synctest.Test(t, func(t *testing.T) { // in real time a busy machine does not get as far
			ctx, cancel := how(t.Context())
			defer cancel()
			start := time.Now()
			_, err := attempt(ctx, t, scripted(script{".": "hang"}, nil), notice())
			require.Error(t, err)
			assert.Equal(t, 100*time.Millisecond, time.Since(start))
			assert.Equal(t, temporary, notifiertest.ClassOf(err), "%v", err)
			assert.True(t, tocsin.IsUnclear(err), "the server has the whole mail: %v", err)
		})
	}
}

func TestBlackHoleEndsWithoutContext(t *testing.T) {
	for _, at := range []string{"greeting", "RCPT", ".", "QUIT"} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			_, err := attempt(context.Background(), t, scripted(script{at: "hang"}, nil), notice())
			if at == "QUIT" {
				require.NoError(t, err, "the mail was taken")
				assert.LessOrEqual(t, time.Since(start), time.Second)
				return
			}
			require.Error(t, err)
			assert.Equal(t, email.DefaultTimeout, time.Since(start))
			assert.Equal(t, temporary, notifiertest.ClassOf(err), "%v", err)
		})
	}
}

func TestEndlessAnswer(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"EHLO", "RCPT", "."} {
		endless := strings.Repeat("250-more and more\r\n", 20_000)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		_, err := attempt(ctx, t, scripted(script{at: endless, "HELO": "500 no"}, nil), notice())
		cancel()
		require.Error(t, err)
		assert.NotEqual(t, permanent, notifiertest.ClassOf(err), "%v", err)
		assert.NotErrorIs(t, err, context.DeadlineExceeded, "the length ends it, not the time")
		assert.Equal(t, at == ".", tocsin.IsUnclear(err), "%v", err)
	}
}

func TestNoMailServerAtAll(t *testing.T) {
	t.Parallel()
	page := "HTTP/1.1 400 Bad Request\r\n\r\n<html><body onload=\"alert(1)\">\x00\x1b[31m" + strings.Repeat("long", 5000)
	for _, at := range []string{"greeting", "MAIL", "."} {
		_, err := attempt(t.Context(), t, scripted(script{at: page}, nil), notice())
		require.Error(t, err)
		assert.Equal(t, temporary, notifiertest.ClassOf(err), "%v", err)
		assert.Equal(t, at == ".", tocsin.IsUnclear(err), "%v", err)
	}
}

func TestRefusedConnection(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	require.NoError(t, l.Close())
	_, err = attempt(t.Context(), t, scripted(nil, func(c *email.Config) { c.Port, c.Dial = port, nil }), notice())
	require.Error(t, err)
	assert.Equal(t, temporary, notifiertest.ClassOf(err), "%v", err)
	assert.False(t, tocsin.IsUnclear(err), "nothing was sent: %v", err)
	assert.Contains(t, err.Error(), fmt.Sprintf("127.0.0.1:%d cannot be reached", port))
}

// TestNoSecretsInErrors: the server repeats all that it was told.
func TestNoSecretsInErrors(t *testing.T) {
	t.Parallel()
	plain := base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
	for _, at := range []string{"AUTH", "MAIL", "RCPT", "DATA", "."} {
		for _, code := range []int{421, 451, 535, 550} {
			answer := fmt.Sprintf("%d-you said AUTH PLAIN %s\r\n%d which is %s or %s", code, plain, code, password,
				base64.StdEncoding.EncodeToString([]byte(password)))
			_, err := attempt(t.Context(), t, scripted(script{at: answer}, nil), notice())
			require.Error(t, err)
			assert.Contains(t, err.Error(), "<secret>")
		}
	}
	odd := "nonsense " + password + " " + plain
	_, err := attempt(t.Context(), t, scripted(script{"MAIL": odd}, nil), notice())
	require.Error(t, err)
}
