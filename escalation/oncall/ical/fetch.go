package ical

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

const (
	// DefaultTimeout of a Fetcher.
	DefaultTimeout = 10 * time.Second
	maxRedirects   = 3
	// maxRemembered calendars are kept for answers of 304.
	maxRemembered = 256
	// maxPause is the longest Retry-After that is obeyed.
	maxPause = time.Hour
)

// FetcherConfig of a Fetcher. Its zero value is ready.
type FetcherConfig struct {
	// AllowPrivate are networks that may be reached although they are not
	// public: those of calendars on the premises.
	AllowPrivate []netip.Prefix
	// Timeout of one fetch, redirects included; 0: DefaultTimeout.
	Timeout time.Duration
}

// Fetcher gets calendars over HTTP. It reaches public addresses only, judged by
// the address that is dialed, at each redirect anew, so that a name cannot point
// elsewhere in between; it uses no proxy. It is safe for concurrent use.
type Fetcher struct {
	timeout time.Duration
	client  *http.Client

	mu    sync.Mutex
	known map[[32]byte]remembered
}

// remembered is the last answer of an address that can say "not changed".
type remembered struct {
	etag, modified string
	body           []byte
}

// NewFetcher returns a Fetcher. It makes no calls.
func NewFetcher(c FetcherConfig) *Fetcher {
	dialer := &net.Dialer{Timeout: 5 * time.Second, Control: guard(c.AllowPrivate)}
	return &Fetcher{
		timeout: cmp.Or(c.Timeout, DefaultTimeout),
		known:   make(map[[32]byte]remembered),
		client: &http.Client{
			Transport: &http.Transport{
				DialContext:            dialer.DialContext,
				ForceAttemptHTTP2:      true,
				TLSHandshakeTimeout:    5 * time.Second,
				MaxIdleConnsPerHost:    1,
				IdleConnTimeout:        30 * time.Second,
				MaxResponseHeaderBytes: 64 << 10,
			},
			CheckRedirect: redirect,
		},
	}
}

func redirect(req *http.Request, via []*http.Request) error {
	req.Header.Del("Referer") // it would tell the address of the calendar
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("it redirects more than %d times", maxRedirects)
	case req.URL.Scheme != "http" && req.URL.Scheme != "https":
		return errors.New("it redirects to what is neither http nor https")
	case req.URL.Scheme == "http" && via[len(via)-1].URL.Scheme == "https":
		return errors.New("it redirects from https to http")
	}
	return nil
}

// Fetch gets the calendar at an http or https address. What it returns is
// shared: do not change it. An answer of at most MaxSize bytes is taken, whole
// or not at all. The address of a calendar is a secret, so errors tell its host
// only. Where the server asks to come later, the error is marked with
// tocsin.RetryAfter.
func (f *Fetcher) Fetch(ctx context.Context, address string) ([]byte, error) {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, tocsin.Permanent(errors.New("the address of a calendar must begin with https:// or http://, and a host"))
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	body, err := f.get(ctx, u)
	if err != nil {
		return nil, fmt.Errorf("the calendar at %s was not fetched: %w", u.Host, err)
	}
	return body, nil
}

func (f *Fetcher) get(ctx context.Context, u *url.URL) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, errors.New("its address cannot be asked for")
	}
	req.Header.Set("Accept", "text/calendar, */*;q=0.1")
	req.Header.Set("User-Agent", "Tocsin")
	key := sha256.Sum256([]byte(u.String()))
	last, asked := f.last(key)
	if asked {
		setIf(req.Header, "If-None-Match", last.etag)
		setIf(req.Header, "If-Modified-Since", last.modified)
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, unaddressed(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotModified && asked {
		return last.body, nil
	}
	if resp.StatusCode != http.StatusOK {
		return nil, refusal(resp)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("it broke off: %w", unaddressed(err))
	}
	if len(body) > MaxSize {
		return nil, fmt.Errorf("it is larger than %d bytes", MaxSize)
	}
	f.remember(key, remembered{resp.Header.Get("ETag"), resp.Header.Get("Last-Modified"), body})
	return body, nil
}

func setIf(h http.Header, name, value string) {
	if value != "" {
		h.Set(name, value)
	}
}

func (f *Fetcher) last(key [32]byte) (remembered, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r, ok := f.known[key]
	return r, ok
}

func (f *Fetcher) remember(key [32]byte, r remembered) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.known, key)
	if r.etag == "" && r.modified == "" {
		return
	}
	if len(f.known) >= maxRemembered {
		clear(f.known)
	}
	f.known[key] = r
}

// refusal is the error for an answer that is no calendar. Its text is not
// repeated: it may hold the address.
func refusal(resp *http.Response) error {
	err := fmt.Errorf("the server answered %d", resp.StatusCode)
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone:
		err = fmt.Errorf("%w: check that the calendar is still published at this address", err)
	}
	if s, e := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 31); e == nil {
		return tocsin.RetryAfter(err, min(time.Duration(s)*time.Second, maxPause))
	}
	return err
}

// unaddressed takes the address out of an error of the HTTP client.
func unaddressed(err error) error {
	var u *url.Error
	if !errors.As(err, &u) {
		return err
	}
	if strings.Contains(u.Err.Error(), "Location header") {
		return errors.New("it redirects to an address that cannot be read")
	}
	return u.Err
}
