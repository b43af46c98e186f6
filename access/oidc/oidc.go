// Package oidc logs people in with an OpenID Connect provider: the authorization
// code flow with PKCE (https://openid.net/specs/openid-connect-core-1_0.html,
// RFC 7636). It keeps nothing: what one log-in needs travels with the browser.
package oidc

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/tocsin-oncall/tocsin"
)

// Config says which provider, and who we are to it. Issuer, ClientID and
// RedirectURL are required.
type Config struct {
	// Issuer is the provider's URL, without /.well-known.
	Issuer string
	// ClientID and ClientSecret are what the provider has given; an empty secret
	// is a public client's.
	ClientID, ClientSecret string
	// RedirectURL is where the provider sends the browser back to.
	RedirectURL string
	// Scopes to ask for; empty: openid, profile and email.
	Scopes []string
	// NameClaim is the claim with the person's name; empty: "email".
	NameClaim string
	// GroupsClaim is the claim with their groups; empty: "groups".
	GroupsClaim string
	// HTTP asks the provider; nil: one with a timeout.
	HTTP *http.Client
	// Logger is for a provider that cannot be reached; nil: none.
	Logger *slog.Logger
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Provider is a provider that may be away. Its methods may be called from many
// goroutines.
type Provider struct {
	c Config

	mu    sync.Mutex
	found *found
	// asked is when the provider was asked last, failed why that came to nothing.
	asked  time.Time
	failed error
}

// found is what the provider says of itself.
type found struct {
	*goidc.Provider
	// sendsIssuer: an answer without iss is not the provider's (RFC 9207).
	sendsIssuer bool
	at          time.Time
}

// Times of asking what the provider says of itself.
const (
	askAgain  = 5 * time.Second  // after it could not be reached
	askAnew   = time.Hour        // after it could
	askWithin = 10 * time.Second // one request
)

// New returns a Provider and asks nothing yet.
func New(c Config) *Provider {
	if len(c.Scopes) == 0 {
		c.Scopes = []string{goidc.ScopeOpenID, goidc.ScopeProfile, goidc.ScopeEmail}
	}
	if !slices.Contains(c.Scopes, goidc.ScopeOpenID) {
		c.Scopes = append([]string{goidc.ScopeOpenID}, c.Scopes...)
	}
	if c.NameClaim == "" {
		c.NameClaim = "email"
	}
	if c.GroupsClaim == "" {
		c.GroupsClaim = "groups"
	}
	if c.HTTP == nil {
		c.HTTP = &http.Client{Timeout: askWithin}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Provider{c: c}
}

// Check asks the provider what it says of itself, where that is not known. It
// returns tocsin.ErrUnavailable while the provider cannot be reached.
func (p *Provider) Check(ctx context.Context) error {
	_, err := p.discover(ctx)
	return err
}

// discover returns what the provider says of itself. One caller at a time asks;
// while it is away, it is not asked at every click.
func (p *Provider) discover(ctx context.Context) (*found, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.c.Now()
	switch {
	case p.found != nil && now.Sub(p.found.at) < askAnew:
		return p.found, nil
	case now.Sub(p.asked) < askAgain && p.found == nil && p.failed != nil:
		return nil, p.failed
	case now.Sub(p.asked) < askAgain && p.found != nil:
		return p.found, nil
	}
	p.asked = now
	f, err := p.ask(ctx)
	if err != nil {
		p.c.Logger.Warn("the OpenID Connect provider could not be asked; tried again when somebody logs in", "issuer", p.c.Issuer, "error", err)
		if p.found != nil {
			return p.found, nil
		}
		p.failed = tocsin.Unavailable(fmt.Errorf("the log-in provider %s does not answer as it should; try again, or use an API token: %w", p.c.Issuer, err))
		return nil, p.failed
	}
	f.at = now
	p.found, p.failed = f, nil
	return f, nil
}

func (p *Provider) ask(ctx context.Context) (*found, error) {
	// One who gives up must not have it fail for the others.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askWithin)
	defer cancel()
	provider, err := goidc.NewProvider(goidc.ClientContext(ctx, p.c.HTTP), p.c.Issuer)
	if err != nil {
		return nil, err
	}
	var more struct {
		SendsIssuer bool     `json:"authorization_response_iss_parameter_supported"`
		Methods     []string `json:"code_challenge_methods_supported"`
	}
	if err := provider.Claims(&more); err != nil {
		return nil, err
	}
	return &found{Provider: provider, sendsIssuer: more.SendsIssuer}, nil
}

func (p *Provider) oauth(f *found) *oauth2.Config {
	return &oauth2.Config{
		ClientID: p.c.ClientID, ClientSecret: p.c.ClientSecret, Endpoint: f.Endpoint(), RedirectURL: p.c.RedirectURL, Scopes: p.c.Scopes,
	}
}

// Start returns where to send a browser to log in. state comes back with it;
// nonce comes back in what the provider signs; the provider gives who logged in
// only to the one who knows verifier. It returns tocsin.ErrUnavailable while the
// provider cannot be reached.
func (p *Provider) Start(ctx context.Context, state, nonce, verifier string) (string, error) {
	f, err := p.discover(ctx)
	if err != nil {
		return "", err
	}
	return p.oauth(f).AuthCodeURL(state, goidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)), nil
}

// ErrRefused is why the provider, or what it sent, did not tell who logged in.
var ErrRefused = errors.New("the log-in failed")

// Finish returns who has logged in, from the query that the browser came back
// with. The caller has compared the state. It returns ErrRefused for what is not
// to be trusted, and tocsin.ErrUnavailable while the provider cannot be reached.
func (p *Provider) Finish(ctx context.Context, query url.Values, nonce, verifier string) (tocsin.Identity, error) {
	f, err := p.discover(ctx)
	if err != nil {
		return tocsin.Identity{}, err
	}
	if err := p.checkAnswer(query, f); err != nil {
		return tocsin.Identity{}, err
	}
	ctx, cancel := context.WithTimeout(goidc.ClientContext(ctx, p.c.HTTP), askWithin)
	defer cancel()
	tokens, err := p.oauth(f).Exchange(ctx, query.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		return tocsin.Identity{}, exchangeError(err)
	}
	raw, ok := tokens.Extra("id_token").(string)
	if !ok {
		return tocsin.Identity{}, refused("the provider sent no ID token; is openid among the scopes of the client?")
	}
	id, err := f.Verifier(&goidc.Config{ClientID: p.c.ClientID, Now: p.c.Now}).Verify(ctx, raw)
	if err != nil {
		return tocsin.Identity{}, refused("the ID token is not to be trusted: " + plain(err.Error()))
	}
	claims, err := p.claims(id, nonce, tokens.AccessToken)
	if err != nil {
		return tocsin.Identity{}, err
	}
	if err := p.userInfo(ctx, f, id.Subject, tokens, claims); err != nil {
		return tocsin.Identity{}, err
	}
	return p.identity(id, claims)
}

// checkAnswer holds what the provider sent the browser back with.
func (p *Provider) checkAnswer(query url.Values, f *found) error {
	for _, name := range []string{"code", "error", "iss", "state"} {
		if len(query[name]) > 1 {
			return refused("the answer has " + name + " twice")
		}
	}
	switch iss, sent := query["iss"]; {
	case sent && iss[0] != p.c.Issuer, !sent && f.sendsIssuer:
		return refused("the answer is not from " + p.c.Issuer)
	case query.Get("error") != "":
		return refused("the provider says " + plain(query.Get("error")))
	case query.Get("code") == "":
		return refused("the answer has no code")
	}
	return nil
}

// exchangeError leaves out the body of the answer, which may hold tokens.
func exchangeError(err error) error {
	var answer *oauth2.RetrieveError
	if !errors.As(err, &answer) {
		return tocsin.Unavailable(fmt.Errorf("the log-in provider could not be asked; try again: %w", err))
	}
	if answer.Response != nil && answer.Response.StatusCode >= http.StatusInternalServerError {
		return tocsin.Unavailable(fmt.Errorf("the log-in provider answered %d; try again", answer.Response.StatusCode))
	}
	if answer.ErrorCode == "" {
		return refused("the provider did not take the code")
	}
	return refused("the provider did not take the code: " + plain(answer.ErrorCode))
}

// claims returns what the ID token says, once it is known to be meant for this
// log-in.
func (p *Provider) claims(id *goidc.IDToken, nonce, accessToken string) (map[string]any, error) {
	if nonce == "" || subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(nonce)) != 1 {
		return nil, refused("the ID token is of another log-in (nonce)")
	}
	claims := map[string]any{}
	if err := id.Claims(&claims); err != nil {
		return nil, refused("the ID token cannot be read")
	}
	// Core 1.0, 3.1.3.7: who shares the audience must not be whom it was issued to.
	azp, has := claims["azp"].(string)
	if has && azp != p.c.ClientID || !has && len(id.Audience) > 1 {
		return nil, refused("the ID token was issued to another client (azp)")
	}
	if id.AccessTokenHash != "" {
		if err := id.VerifyAccessToken(accessToken); err != nil {
			return nil, refused("the access token does not belong to the ID token")
		}
	}
	return claims, nil
}

// userInfo adds what the ID token does not say: many providers leave the claims of
// scopes to the endpoint for them.
func (p *Provider) userInfo(ctx context.Context, f *found, subject string, tokens *oauth2.Token, claims map[string]any) error {
	_, named := claims[p.c.NameClaim]
	_, grouped := claims[p.c.GroupsClaim]
	if named && grouped || f.UserInfoEndpoint() == "" {
		return nil
	}
	info, err := f.UserInfo(ctx, oauth2.StaticTokenSource(tokens))
	if err != nil {
		if named {
			p.c.Logger.Warn("the provider's user info could not be read; the log-in goes on without", "error", plain(err.Error()))
			return nil
		}
		return refused("the provider's user info could not be read")
	}
	if info.Subject != subject { // Core 1.0, 5.3.2
		return refused("the user info is another person's")
	}
	more := map[string]any{}
	if err := info.Claims(&more); err != nil {
		return refused("the user info cannot be read")
	}
	for name, value := range more {
		if _, known := claims[name]; !known {
			claims[name] = value
		}
	}
	return nil
}

func (p *Provider) identity(id *goidc.IDToken, claims map[string]any) (tocsin.Identity, error) {
	who := tocsin.Identity{Issuer: id.Issuer, Subject: id.Subject, Groups: texts(claims[p.c.GroupsClaim])}
	who.Name, _ = claims[p.c.NameClaim].(string)
	who.Name = strings.TrimSpace(who.Name)
	switch {
	case who.Subject == "":
		return tocsin.Identity{}, refused("the ID token names nobody (sub)")
	case who.Name == "":
		return tocsin.Identity{}, refused("the provider does not tell the claim " + p.c.NameClaim + "; check the scopes and name_claim")
	case p.c.NameClaim == "email" && isFalse(claims["email_verified"]):
		return tocsin.Identity{}, refused("the provider has not verified the e-mail address")
	}
	return who, nil
}

// isFalse knows providers that write booleans as text.
func isFalse(v any) bool { return v == false || v == "false" }

// maxGroups is the most groups that are looked at.
const maxGroups = 1000

// texts reads a list of texts, or one.
func texts(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, e := range v[:min(len(v), maxGroups)] {
			if text, ok := e.(string); ok {
				out = append(out, text)
			}
		}
		return out
	}
	return nil
}

func refused(why string) error { return fmt.Errorf("%w: %s", ErrRefused, why) }

// plain makes what a stranger may have written fit for a line.
func plain(text string) string {
	const longest = 300
	if len(text) > longest {
		text = text[:longest] + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar {
			return '?'
		}
		return r
	}, text)
}
