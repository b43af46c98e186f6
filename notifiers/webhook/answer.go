package webhook

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/tocsin-oncall/tocsin"
)

const (
	// maxAnswer is how much of an answer is read.
	maxAnswer = 64 << 10
	// maxErrorText is how much of it, in bytes, an error repeats.
	maxErrorText = 300
	// defaultPause is the pause when a 429 names none.
	defaultPause = 30 * time.Second
	// maxPause is the longest pause that is obeyed: nobody is told in it.
	maxPause = 15 * time.Minute
)

// classify turns an answer that is no 2xx into an error that says what to do.
// Unlike Alertmanager, which gives up on 408 and 429, it tries those again.
func classify(status int, header http.Header, body string, now time.Time) error {
	said := oneLine(body)
	if strings.HasPrefix(said, "<") {
		said = "an HTML page"
	}
	report := func(what string) error {
		if said == "" {
			return fmt.Errorf("%s: status %d", what, status)
		}
		return fmt.Errorf("%s: status %d: %s", what, status, said)
	}
	asked, ok := pause(header, now)
	switch {
	case status == http.StatusTooManyRequests:
		if !ok {
			asked = defaultPause
		}
		return tocsin.RetryAfter(report("the webhook asks to slow down"), asked)
	case status >= 300 && status < 500 && status != http.StatusRequestTimeout:
		return tocsin.Permanent(report(refused(status)))
	}
	err := tocsin.Unclear(report("the webhook failed"))
	if ok {
		return tocsin.RetryAfter(err, asked)
	}
	return err
}

func refused(status int) string {
	switch {
	case status < 400:
		return "the webhook redirects to where it is not followed; set url to the final address"
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return "the webhook refused access; check the credentials of this receiver"
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed || status == http.StatusGone:
		return "the webhook is not at this address; check url of this receiver"
	case status == http.StatusProxyAuthRequired:
		return "the proxy before the webhook wants a password; check HTTPS_PROXY"
	case status == http.StatusRequestEntityTooLarge:
		return "the message is too large for the webhook; lower max_alerts"
	default:
		return "the webhook refused the message"
	}
}

// neverSent reports whether the request cannot have reached the endpoint.
func neverSent(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect") {
		return true
	}
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	return errors.As(err, &dns) || errors.As(err, &cert) || errors.As(err, &record)
}

// pause is what Retry-After asks for, in seconds or as a date.
func pause(header http.Header, now time.Time) (time.Duration, bool) {
	v := strings.TrimSpace(header.Get("Retry-After"))
	var d time.Duration
	if s, err := strconv.ParseUint(v, 10, 31); err == nil {
		d = time.Duration(s) * time.Second
	} else if t, err := http.ParseTime(v); err == nil {
		if date, err := http.ParseTime(header.Get("Date")); err == nil {
			now = date
		}
		d = t.Sub(now)
	} else {
		return 0, false
	}
	return min(max(d, time.Second), maxPause), true
}

// oneLine is s as one short line of valid text without controls.
func oneLine(s string) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r) || r == '\u2028' || r == '\u2029':
			return ' '
		case unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, s))
	if len(s) > maxErrorText {
		s = strings.ToValidUTF8(s[:maxErrorText], "") + "…"
	}
	return s
}
