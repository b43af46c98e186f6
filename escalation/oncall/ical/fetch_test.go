package ical_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation/oncall/ical"
)

func local() ical.FetcherConfig {
	return ical.FetcherConfig{AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Timeout: 30 * time.Second}
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func TestFetchRemembersWhatHasNotChanged(t *testing.T) {
	t.Parallel()
	var full, unchanged atomic.Int32
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") == `"1"` {
			unchanged.Add(1)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		full.Add(1)
		w.Header().Set("ETag", `"1"`)
		fmt.Fprint(w, "calendar of ", r.URL.Query().Get("token"))
	})
	f := ical.NewFetcher(local())
	for _, token := range []string{"a", "a", "b", "a"} {
		body, err := f.Fetch(t.Context(), " "+address+"/x.ics?token="+token)
		require.NoError(t, err)
		assert.Equal(t, "calendar of "+token, string(body))
	}
	assert.EqualValues(t, 2, full.Load())
	assert.EqualValues(t, 2, unchanged.Load())
}

func TestFetchReachesPublicAddressesOnly(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	address := serve(t, func(http.ResponseWriter, *http.Request) { calls.Add(1) })
	_, port, err := net.SplitHostPort(strings.TrimPrefix(address, "http://"))
	require.NoError(t, err)
	nobody := ical.NewFetcher(ical.FetcherConfig{Timeout: 5 * time.Second})
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "169.254.169.254", "10.1.2.3", "192.168.0.1", "172.16.0.1", "100.100.100.200", "[fd00:ec2::254]", "[64:ff9b::7f00:1]"} {
		_, err := nobody.Fetch(t.Context(), "http://"+host+":"+port+"/secret.ics")
		require.Error(t, err, host)
		assert.NotContains(t, err.Error(), "secret")
		assert.Regexp(t, "not a public address|no such host|cannot assign|network is unreachable", err.Error(), host)
	}
	assert.Zero(t, calls.Load())
	_, err = ical.NewFetcher(local()).Fetch(t.Context(), address)
	require.NoError(t, err)
	assert.EqualValues(t, 1, calls.Load())
}

func TestARedirectIsJudgedAnew(t *testing.T) {
	t.Parallel()
	var target atomic.Value
	var hops atomic.Int32
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if hops.Add(1); r.URL.Path == "/end" {
			assert.Empty(t, r.Referer())
			fmt.Fprint(w, "the end")
			return
		}
		w.Header().Set("Location", target.Load().(string))
		w.WriteHeader(http.StatusFound)
	})
	f := ical.NewFetcher(local())
	target.Store("/end")
	body, err := f.Fetch(t.Context(), address+"/begin")
	require.NoError(t, err)
	assert.Equal(t, "the end", string(body))
	for to, want := range map[string]string{
		"http://127.0.0.2:1/token":    "not a public address",
		"file:///etc/token":           "neither http nor https",
		"/token":                      "more than 3 times",
		"http://token%zz.example.com": "cannot be read",
	} {
		hops.Store(0)
		target.Store(to)
		_, err := f.Fetch(t.Context(), address+"/begin?token")
		require.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), "token")
		assert.LessOrEqual(t, hops.Load(), int32(4))
	}
}

func TestFetchFailures(t *testing.T) {
	t.Parallel()
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/gone":
			http.Error(w, "token", http.StatusGone)
		case "/busy":
			w.Header().Set("Retry-After", "120")
			w.WriteHeader(http.StatusTooManyRequests)
		case "/unasked":
			w.WriteHeader(http.StatusNotModified)
		case "/large":
			_, _ = w.Write(make([]byte, ical.MaxSize+1))
		case "/bomb":
			w.Header().Set("Content-Encoding", "gzip")
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			_, _ = z.Write(make([]byte, 2*ical.MaxSize))
			_ = z.Close()
			_, _ = w.Write(b.Bytes())
		case "/short":
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "x")
		default:
			<-r.Context().Done()
		}
	})
	c := local()
	c.Timeout = 300 * time.Millisecond
	slow, f := ical.NewFetcher(c), ical.NewFetcher(local())
	for path, want := range map[string]string{
		"/gone": "410: check that the calendar", "/busy": "429", "/unasked": "304", "/large": "larger than", "/bomb": "larger than",
		"/short": "broke off",
	} {
		_, err := f.Fetch(t.Context(), address+path+"?token")
		require.ErrorContains(t, err, want)
		assert.Contains(t, err.Error(), "the calendar at 127.0.0.1:")
		assert.NotContains(t, err.Error(), "token")
		pause, ok := tocsin.RetryDelay(err)
		assert.Equal(t, path == "/busy", ok)
		assert.True(t, !ok || pause == 2*time.Minute)
	}
	_, err := slow.Fetch(t.Context(), address+"/slow?token")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.NotContains(t, err.Error(), "token")
	for _, bad := range []string{"", "ftp://x/token", "https://", "://token", "/etc/token", "http://a b/token"} {
		_, err := f.Fetch(t.Context(), bad)
		require.Error(t, err)
		assert.True(t, tocsin.IsPermanent(err))
		assert.NotContains(t, err.Error(), "token")
	}
}
