package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/access"
	"github.com/tocsin-oncall/tocsin/access/oidc"
	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/server"
)

// entrance is who may come in: the tokens and sessions that are kept, and who is
// who.
type entrance struct {
	keeper *access.Keeper
	rules  atomic.Pointer[access.Rules]
}

// serveAccess gives the server what it needs to know who asks.
func (a *App) serveAccess(d *server.Deps) error {
	log := a.log.With("component", "access")
	a.entrance.keeper = access.New(access.Options{Store: a.store, Logger: log})
	a.setAccess(a.cfg)
	d.Tokens, d.Sessions, d.Who = a.entrance.keeper, a.entrance.keeper, a.whoLoggedIn
	d.Bearer, d.Teams, d.TeamReceivers = a.whoBears, a.teams, a.teamReceivers
	if a.cfg.Auth.OIDC == nil {
		return nil
	}
	provider, err := wireOIDC(a.cfg)
	if err != nil {
		return err
	}
	provider.Logger = log
	d.Login = oidc.New(provider)
	return nil
}

// setAccess puts into force what may change without a start.
func (a *App) setAccess(cfg *config.Config) {
	a.entrance.keeper.SetTimes(time.Duration(cfg.Auth.SessionIdle), time.Duration(cfg.Auth.SessionLifetime))
	a.entrance.rules.Store(wireRules(cfg))
}

// whoLoggedIn is the user whom a provider, or a proxy, speaks of.
func (a *App) whoLoggedIn(id tocsin.Identity) (tocsin.Principal, error) {
	return a.entrance.rules.Load().Who(id)
}

// whoBears is what somebody may do who has a token.
func (a *App) whoBears(t tocsin.Token) tocsin.Principal { return a.entrance.rules.Load().Bearer(t) }

// person is what a user may do, however they ask.
func (a *App) person(name string) (who tocsin.Principal, known bool) {
	return a.entrance.rules.Load().Named(name)
}

// teams are the names of the teams.
func (a *App) teams() []string {
	rules := a.entrance.rules.Load()
	names := make([]string, len(rules.Teams))
	for i := range rules.Teams {
		names[i] = rules.Teams[i].Name
	}
	return names
}

// teamReceivers are the names of a team's receivers.
func (a *App) teamReceivers(team string) []string {
	for _, t := range a.entrance.rules.Load().Teams {
		if t.Name == team {
			return t.Receivers
		}
	}
	return nil
}

func wireRules(cfg *config.Config) *access.Rules {
	r := &access.Rules{Allowed: cfg.Auth.AllowedGroups, Default: cfg.Auth.DefaultRole}
	for _, g := range cfg.Auth.GroupRoles {
		r.Groups = append(r.Groups, access.Group{Name: g.Group, Role: g.Role, Team: g.Team})
	}
	for i := range cfg.Users {
		u := &cfg.Users[i]
		r.People = append(r.People, access.Person{Name: u.Name, Login: u.Login, Email: u.Email, Role: tocsin.Role(u.Role)})
	}
	for _, t := range cfg.Teams {
		team := access.Team{Name: t.Name, Role: tocsin.Role(t.Role), Users: t.Users, SilenceMatchers: silenceMatchers(t.SilenceMatchers)}
		for i := range cfg.Receivers {
			if cfg.Receivers[i].Team == t.Name {
				team.Receivers = append(team.Receivers, cfg.Receivers[i].Name)
			}
		}
		for i := range cfg.Schedules {
			if cfg.Schedules[i].Team == t.Name {
				team.Schedules = append(team.Schedules, cfg.Schedules[i].Name)
			}
		}
		r.Teams = append(r.Teams, team)
	}
	return r
}

// silenceMatchers are what makes a silence a team's, in the form in which silences
// are compared.
func silenceMatchers(list []string) []string {
	ms, err := config.ParseMatchers(list)
	if err != nil { // the configuration has been checked; what is not known is nobody's
		return nil
	}
	out := make([]string, len(ms))
	for i, m := range ms {
		out[i] = m.String()
	}
	return out
}

func wireOIDC(cfg *config.Config) (oidc.Config, error) {
	o := cfg.Auth.OIDC
	c := oidc.Config{
		Issuer: o.Issuer, ClientID: o.ClientID, ClientSecret: o.ClientSecret.Reveal(), Scopes: o.Scopes,
		NameClaim: o.NameClaim, GroupsClaim: o.GroupsClaim, RedirectURL: cfg.Server.ExternalURL + server.CallbackPath,
	}
	if o.CAFile == "" {
		return c, nil
	}
	pem, err := os.ReadFile(o.CAFile)
	if err != nil {
		return c, fmt.Errorf("auth.oidc.ca_file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return c, fmt.Errorf("auth.oidc.ca_file: %s holds no PEM certificate", o.CAFile)
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}}
	c.HTTP = &http.Client{Timeout: 10 * time.Second, Transport: transport}
	return c, nil
}

// wireAccess adds to the server's configuration who may come in.
func wireAccess(cfg *config.Config, c *server.Config) {
	c.NoLocal = !cfg.Auth.Local
	if p := cfg.Auth.Proxy; p != nil {
		c.Proxy = server.Proxy{UserHeader: p.Header, GroupsHeader: p.GroupsHeader}
		for _, text := range p.From {
			if net, err := netip.ParsePrefix(text); err == nil { // config has checked it
				c.Proxy.From = append(c.Proxy.From, net)
			}
		}
	}
	if t := cfg.Server.TLS; t != nil {
		c.TLS = server.TLS{CertFile: t.CertFile, KeyFile: t.KeyFile, ClientCAFile: t.ClientCAFile}
	}
}

// sayWhoMayComeIn says plainly at the start who is let in without a token.
func (a *App) sayWhoMayComeIn() {
	au, s := &a.cfg.Auth, &a.cfg.Server
	if au.Local && len(s.APITokens) == 0 && au.OIDC == nil && (au.Proxy == nil || au.Proxy.Header == "") {
		a.log.Info("nobody has said who may come in: the API and the pages are for this machine alone, and everybody on it is admin; " +
			"see server.api_tokens, auth.oidc and auth.proxy")
	}
	if strings.HasPrefix(s.ExternalURL, "http://") && len(s.APITokens) > 0 && s.TLS == nil && !loopbackURL(s.ExternalURL) {
		a.log.Warn("tokens come over the network without TLS; set server.tls, or external_url to the https:// address of the proxy in front", "external_url", s.ExternalURL)
	}
}

func loopbackURL(raw string) bool {
	host := strings.TrimPrefix(raw, "http://")
	addr, err := netip.ParseAddrPort(host)
	return err == nil && addr.Addr().IsLoopback() || strings.HasPrefix(host, "localhost")
}
