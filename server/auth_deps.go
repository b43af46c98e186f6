package server

import (
	"context"
	"net/netip"
	"net/url"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// Tokens keeps the tokens that Tocsin has made.
type Tokens interface {
	// Tokens returns what is known of all of them.
	Tokens(ctx context.Context) ([]tocsin.Token, error)
	// Token returns the one whose text secret is. It returns tocsin.ErrNotFound
	// for one that is unknown, revoked or expired.
	Token(ctx context.Context, secret string) (tocsin.Token, error)
	// CreateToken makes one with t's Name, Role, Team, CreatedBy and ExpiresAt,
	// and returns it with its text, which is not to be had again.
	CreateToken(ctx context.Context, t tocsin.Token) (made tocsin.Token, secret string, err error)
	// RevokeToken ends one, or returns tocsin.ErrNotFound.
	RevokeToken(ctx context.Context, id, by string) error
}

// Sessions keeps the log-ins of browsers.
type Sessions interface {
	// Sessions returns those that have not ended.
	Sessions(ctx context.Context) ([]tocsin.Session, error)
	// Session returns the one that secret proves. It returns tocsin.ErrNotFound for
	// one that is unknown or has ended.
	Session(ctx context.Context, secret string) (tocsin.Session, error)
	// BeginSession begins one with s's Identity, Address and Agent, as name, and
	// returns what proves it.
	BeginSession(ctx context.Context, s tocsin.Session, name string) (secret string, err error)
	// EndSession ends one, or returns tocsin.ErrNotFound.
	EndSession(ctx context.Context, id, by string) error
	// EndSessions ends all of a person's.
	EndSessions(ctx context.Context, who tocsin.Identity, by string) error
}

// Login is a provider that people log in with: OpenID Connect.
type Login interface {
	// Start returns where to send a browser. state comes back with it; nonce comes
	// back in what the provider signs; only who knows verifier learns who has
	// logged in. It returns tocsin.ErrUnavailable while the provider is away.
	Start(ctx context.Context, state, nonce, verifier string) (url string, err error)
	// Finish returns who has logged in, from the query that the browser came back
	// with, whose state was compared. Its error is shown to the person.
	Finish(ctx context.Context, query url.Values, nonce, verifier string) (tocsin.Identity, error)
}

// Proxy is what stands in front of Tocsin and is trusted. Its zero value trusts
// nothing.
type Proxy struct {
	// From are the addresses that it has. From them, and from nobody else,
	// X-Forwarded-For says where a request came from.
	From []netip.Prefix
	// UserHeader is the header with who has logged in at the proxy; empty: it does
	// not say. Each request from the proxy has it, or needs a token.
	UserHeader string
	// GroupsHeader is the header with their groups, with commas between; empty: it
	// does not say.
	GroupsHeader string
}

func (p *Proxy) trusts(addr netip.Addr) bool {
	for _, net := range p.From {
		if net.Contains(addr) {
			return true
		}
	}
	return false
}

// TLS names the files for TLS; they are read again when they change. Its zero
// value serves plain HTTP.
type TLS struct {
	// CertFile holds the certificate and those that lead to its authority, KeyFile
	// its key, as PEM.
	CertFile, KeyFile string
	// ClientCAFile holds authorities as PEM: who sends alerts and shows a
	// certificate that one of them has issued needs no token. Empty: nobody is
	// asked for a certificate.
	ClientCAFile string
}
