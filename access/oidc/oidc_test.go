package oidc_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/access/oidc"
	"github.com/tocsin-oncall/tocsin/access/oidc/oidctest"
)

var now = time.Date(2026, 11, 22, 5, 0, 0, 0, time.UTC)

type issuer = oidctest.Issuer

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	return oidctest.New(t, "https://tocsin.example.com/login/callback", func() time.Time { return now })
}

const (
	state    = "state-of-this-log-in"
	nonce    = "nonce-of-this-log-in"
	verifier = "verifier-of-this-log-in-0123456789abcdefghijk"
)

func newProvider(i *issuer, change ...func(*oidc.Config)) *oidc.Provider {
	c := oidc.Config{
		Issuer: i.URL, ClientID: "tocsin", ClientSecret: "s3cret", RedirectURL: "https://tocsin.example.com/login/callback",
		Now: func() time.Time { return now },
	}
	for _, f := range change {
		f(&c)
	}
	return oidc.New(c)
}

func start(t *testing.T, i *issuer, p *oidc.Provider) url.Values {
	t.Helper()
	to, err := p.Start(context.Background(), state, nonce, verifier)
	require.NoError(t, err)
	return i.Login(to)
}

func TestLogin(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	p := newProvider(i)
	query := start(t, i, p)
	require.Equal(t, state, query.Get("state"))
	i.Set(func() { i.Claims["groups"] = []any{"sre", 7, "oncall"} })
	id, err := p.Finish(context.Background(), query, nonce, verifier)
	require.NoError(t, err)
	assert.Equal(t, tocsin.Identity{Issuer: i.URL, Subject: "00u1", Name: "ana@example.com", Groups: []string{"sre", "oncall"}}, id)

	_, err = p.Finish(context.Background(), query, nonce, verifier)
	require.ErrorIs(t, err, oidc.ErrRefused, "a code works once")
}

// Whatever is not exactly right is no log-in.
func TestNobodyLogsInWith(t *testing.T) {
	t.Parallel()
	for title, c := range map[string]struct {
		claims map[string]any
		change func(*issuer)
		query  func(url.Values)
		nonce  string
		says   string
	}{
		"another log-in's nonce":      {nonce: "another", says: "nonce"},
		"no nonce":                    {claims: map[string]any{"nonce": nil}, says: "nonce"},
		"an empty nonce":              {claims: map[string]any{"nonce": ""}, nonce: "", says: "nonce"},
		"another's audience":          {claims: map[string]any{"aud": "grafana"}, says: "audience"},
		"an audience shared":          {claims: map[string]any{"aud": []string{"tocsin", "grafana"}}, says: "azp"},
		"a token issued to another":   {claims: map[string]any{"aud": []string{"tocsin", "grafana"}, "azp": "grafana"}, says: "azp"},
		"another party than us":       {claims: map[string]any{"azp": "grafana"}, says: "azp"},
		"an expired token":            {claims: map[string]any{"exp": now.Add(-time.Second).Unix()}, says: "expired"},
		"a token of the future":       {claims: map[string]any{"nbf": now.Add(time.Hour).Unix()}, says: "before"},
		"another issuer":              {claims: map[string]any{"iss": "https://evil.example.com"}, says: "different provider"},
		"nobody in it":                {claims: map[string]any{"sub": ""}, says: "sub"},
		"no name":                     {claims: map[string]any{"email": nil}, says: "email"},
		"a name that is a list":       {claims: map[string]any{"email": []string{"ana@example.com"}}, says: "email"},
		"an address not verified":     {claims: map[string]any{"email_verified": false}, says: "verified"},
		"an address not \"verified\"": {claims: map[string]any{"email_verified": "false"}, says: "verified"},
		"another's access token":      {claims: map[string]any{"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, says: "access token"},
		"no signature":                {change: func(i *issuer) { i.Sign = "none" }, says: "not to be trusted"},
		"another key":                 {change: func(i *issuer) { i.Sign = "other" }, says: "not to be trusted"},
		"the public key as a secret":  {change: func(i *issuer) { i.Sign = "hmac" }, says: "not to be trusted"},
		"no ID token":                 {change: func(i *issuer) { i.NoIDToken = true }, says: "no ID token"},
		"an answer of another":        {query: func(q url.Values) { q.Set("iss", "https://evil.example.com") }, says: "not from"},
		"two codes":                   {query: func(q url.Values) { q.Add("code", "x") }, says: "twice"},
		"a made-up code":              {query: func(q url.Values) { q.Set("code", "x") }, says: "invalid_grant"},
		"no code":                     {query: func(q url.Values) { q.Del("code") }, says: "no code"},
		"a refusal":                   {query: func(q url.Values) { q.Set("error", "access_denied\n\u202e") }, says: "access_denied??"},
		"another's user info": {claims: map[string]any{"email": nil}, change: func(i *issuer) {
			i.Info = map[string]any{"sub": "00u2", "email": "bo@example.com"}
		}, says: "another person"},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			if c.change != nil {
				c.change(i)
			}
			if c.claims != nil {
				i.Claims = c.claims
			}
			p := newProvider(i)
			query := start(t, i, p)
			if c.query != nil {
				c.query(query)
			}
			expected := nonce
			if c.nonce != "" || title == "an empty nonce" {
				expected = c.nonce
			}
			id, err := p.Finish(context.Background(), query, expected, verifier)
			require.ErrorIs(t, err, oidc.ErrRefused)
			require.ErrorContains(t, err, c.says)
			assert.NotContains(t, err.Error(), "hunter2")
			assert.Zero(t, id)
		})
	}
}

// A code that was stolen on the way is worth nothing without the verifier.
func TestStolenCode(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	p := newProvider(i)
	_, err := p.Finish(context.Background(), start(t, i, p), nonce, "another-verifier-0123456789abcdefghijklmnopqrs")
	require.ErrorIs(t, err, oidc.ErrRefused)
}

// RFC 9207: who says that they name themselves must do so.
func TestMixUp(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.SendsIssuer = true
	p := newProvider(i)
	query := start(t, i, p)
	_, err := p.Finish(context.Background(), query, nonce, verifier)
	require.ErrorIs(t, err, oidc.ErrRefused)
	query = start(t, i, p)
	query.Set("iss", i.URL)
	_, err = p.Finish(context.Background(), query, nonce, verifier)
	require.NoError(t, err)
}

func TestUserInfo(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.Claims["email"], i.Claims["sub"] = nil, "00u1"
	i.Info = map[string]any{"sub": "00u1", "preferred_username": "ana", "roles": "sre", "nonce": "made up"}
	p := newProvider(i, func(c *oidc.Config) {
		c.NameClaim, c.GroupsClaim, c.Scopes = "preferred_username", "roles", []string{"profile"}
	})
	to, err := p.Start(context.Background(), state, nonce, verifier)
	require.NoError(t, err)
	u, err := url.Parse(to)
	require.NoError(t, err)
	assert.Equal(t, "openid profile", u.Query().Get("scope"))
	id, err := p.Finish(context.Background(), i.Login(to), nonce, verifier)
	require.NoError(t, err)
	assert.Equal(t, tocsin.Identity{Issuer: i.URL, Subject: "00u1", Name: "ana", Groups: []string{"sre"}}, id)
}

// A provider that is away keeps nobody from starting, and is not asked at every
// click.
func TestProviderAway(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	var mu sync.Mutex
	at := now
	i := newIssuer(t)
	i.Away = true
	p := newProvider(i, func(c *oidc.Config) {
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
		c.Now = func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return at
		}
	})
	pass := func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		at = at.Add(d)
	}
	for range 3 {
		require.ErrorIs(t, p.Check(context.Background()), tocsin.ErrUnavailable)
	}
	assert.Equal(t, 1, bytes.Count(log.Bytes(), []byte("\n")), "asked once")
	i.Set(func() { i.Away = false })
	require.ErrorIs(t, p.Check(context.Background()), tocsin.ErrUnavailable, "not yet asked again")
	pass(5 * time.Second)
	require.NoError(t, p.Check(context.Background()))

	query := start(t, i, p)
	i.Set(func() { i.TokenError = 503 })
	_, err := p.Finish(context.Background(), query, nonce, verifier)
	require.ErrorIs(t, err, tocsin.ErrUnavailable)
	i.Set(func() { i.TokenError, i.Away = 0, true })
	pass(2 * time.Hour)
	require.NoError(t, p.Check(context.Background()), "what it said before holds")
	i.Set(func() { i.Away = false })
	pass(time.Hour)
	require.NoError(t, p.Check(context.Background()))
	i.Set(func() { assert.Equal(t, 2, i.Discoveries) })
}

// Whoever answers in its place is not it.
func TestAnotherIssuer(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	p := newProvider(i, func(c *oidc.Config) { c.Issuer = i.URL + "/" })
	require.ErrorIs(t, p.Check(context.Background()), tocsin.ErrUnavailable)
}
