package config

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/tocsin-oncall/tocsin"
)

// headerName is a token of HTTP (RFC 9110, 5.6.2), without what no header is
// called.
var headerName = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)

func (c *checker) auth() {
	a := &c.cfg.Auth
	c.oidc(a.OIDC)
	c.proxy(a.Proxy)
	c.twice(a.AllowedGroups, "allowed_groups")
	groups := map[[2]string]bool{}
	for i := range a.GroupRoles {
		g := &a.GroupRoles[i]
		c.present(at(&g.Group, g), "group", g.Group)
		key := [2]string{g.Group, g.Team}
		if groups[key] {
			c.fail(at(&g.Group, g), "group_roles: %s is given twice; keep one", quote(g.Group))
		}
		groups[key] = true
		if g.Team == "" {
			c.role(at(&g.Role, g), g.Role)
		} else {
			c.teamRole(at(&g.Role, g), string(g.Role))
		}
	}
	if a.DefaultRole != "" {
		c.role(at(&a.DefaultRole), a.DefaultRole)
	}
	c.positive(&a.SessionIdle, "session_idle", int64(a.SessionIdle))
	c.positive(&a.SessionLifetime, "session_lifetime", int64(a.SessionLifetime))
	if a.SessionIdle > a.SessionLifetime && c.given(&a.SessionIdle) {
		c.fail(at(&a.SessionIdle), "session_idle: %s is longer than session_lifetime (%s); shorten it", a.SessionIdle, a.SessionLifetime)
	}
	if c.byOthers() {
		c.logins()
	}
	if c.byOthers() && len(c.cfg.Users) == 0 && len(a.GroupRoles) == 0 && a.DefaultRole == "" {
		c.warn(at(&a.OIDC, &a.Proxy), "auth: nobody who logs in has a role: there are no users, no group_roles and no default_role")
	}
	if a.Proxy != nil && a.Proxy.Header != "" && a.Proxy.GroupsHeader == "" && a.OIDC == nil && len(a.AllowedGroups) > 0 {
		c.fail(at(&a.AllowedGroups), "allowed_groups: the proxy does not say who is in which group, so nobody could come in; set groups_header")
	}
}

// byOthers reports whether a provider, or a proxy, says who people are.
func (c *checker) byOthers() bool {
	a := &c.cfg.Auth
	return a.OIDC != nil || a.Proxy != nil && a.Proxy.Header != ""
}

func (c *checker) role(fields []any, role tocsin.Role) {
	c.oneOf(fields, "role", string(role), "viewer", "responder", "manager", "admin")
}

// teamRole refuses what there is for everything alone: an administrator of a part.
func (c *checker) teamRole(fields []any, role string) {
	c.oneOf(fields, "role", role, "viewer", "responder", "manager")
}

// belongings checks whose things are: every team that is named is there.
func (c *checker) belongings() {
	mine := func(team *string) {
		if *team != "" {
			c.usedTeams[*team] = true
			refer(c, team, "team", c.teams, &c.cfg.Teams, "teams")
		}
	}
	for i := range c.cfg.Receivers {
		mine(&c.cfg.Receivers[i].Team)
	}
	for i := range c.cfg.Schedules {
		mine(&c.cfg.Schedules[i].Team)
	}
	for i := range c.cfg.Users {
		u := &c.cfg.Users[i]
		in := func(t Team) bool { return slices.Contains(t.Users, u.Name) }
		if u.Role == string(tocsin.RoleNone) && !slices.ContainsFunc(c.cfg.Teams, in) && len(c.cfg.Auth.GroupRoles) == 0 {
			c.warn(at(&u.Role), "user %s has the role none and is on no team: they may answer what calls them, and nothing else", quote(u.Name))
		}
	}
	for i := range c.cfg.Auth.GroupRoles {
		mine(&c.cfg.Auth.GroupRoles[i].Team)
	}
}

func (c *checker) oidc(o *OIDC) {
	if o == nil {
		return
	}
	switch problem := checkURL(o.Issuer, "https", "http"); {
	case o.Issuer == "":
		c.fail(at(&o.Issuer, o), "issuer is missing; set it to the provider's URL")
	case problem != "":
		c.fail(at(&o.Issuer, o), "issuer %s; write it as https://login.example.com", problem)
	case inTheClear(o.Issuer):
		c.fail(at(&o.Issuer, o), "issuer: without TLS anybody on the way could log in as anybody; write it with https://")
	}
	c.present(at(&o.ClientID, o), "client_id", o.ClientID)
	c.present(at(&o.NameClaim, o), "name_claim", o.NameClaim)
	c.present(at(&o.GroupsClaim, o), "groups_claim", o.GroupsClaim)
	c.twice(o.Scopes, "scopes")
	for i, scope := range o.Scopes {
		if scope == "" || strings.ContainsAny(scope, " \t\"\\") {
			c.fail(at(&o.Scopes[i], &o.Scopes), "scopes: %s is not one scope; write each on its own", quote(scope))
		}
	}
	if inTheClear(c.cfg.Server.ExternalURL) {
		c.fail(at(&c.cfg.Server.ExternalURL, o), "oidc: browsers would send their cookies to %s without TLS; set external_url to an https:// address", c.cfg.Server.ExternalURL)
	}
}

// inTheClear reports whether a URL is asked without TLS, over a network.
func inTheClear(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && u.Scheme == "http" && !loopback(u.Hostname())
}

func (c *checker) proxy(p *AuthProxy) {
	if p == nil {
		return
	}
	if len(p.From) == 0 && !c.bad[&p.From] {
		c.fail(at(&p.From, p), "proxy: from is missing: anybody could say who they are; list the networks that the proxy's address is in")
	}
	c.twice(p.From, "from")
	for i, text := range p.From {
		where := at(&p.From[i], &p.From)
		switch net, err := netip.ParsePrefix(text); {
		case err != nil:
			c.fail(where, "from: %s is not a network; write it as 10.0.0.0/8, or 192.168.1.7/32 for one address", quote(text))
		case net != net.Masked():
			c.fail(where, "from: %s is an address within a network; write %s for the network", quote(text), net.Masked())
		case net.Bits() == 0:
			c.fail(where, "from: %s is everybody, and everybody could say who they are; write the proxy's network", text)
		}
	}
	for key, field := range map[string]*string{"header": &p.Header, "groups_header": &p.GroupsHeader} {
		taken := []string{"authorization", "cookie", "host", "x-forwarded-for"}
		if *field != "" && (!headerName.MatchString(*field) || slices.Contains(taken, strings.ToLower(*field))) {
			c.fail(at(field), "%s: %s cannot be the name of the header; write it as X-Forwarded-User", key, quote(*field))
		}
	}
	if p.GroupsHeader != "" && p.Header == "" {
		c.fail(at(&p.GroupsHeader), "groups_header needs header: groups alone are nobody")
	}
}

// logins refuses two people whom a provider calls the same.
func (c *checker) logins() {
	emails, logins := map[string]string{}, map[string]string{}
	for i := range c.cfg.Users {
		u := &c.cfg.Users[i]
		for _, is := range []struct {
			key, value string
			field      any
			seen       map[string]string
		}{{"email", strings.ToLower(u.Email), &u.Email, emails}, {"login", u.Login, &u.Login, logins}} {
			if other, twice := is.seen[is.value]; twice && is.value != "" {
				c.fail(at(is.field, u), "%s: %s and %s have the same, and who logs in could be either; change one", is.key, other, u.Name)
			}
			is.seen[is.value] = u.Name
		}
	}
}

func (c *checker) serverTLS(t *ServerTLS) {
	if t == nil {
		return
	}
	c.present(at(&t.CertFile, t), "cert_file", t.CertFile)
	c.present(at(&t.KeyFile, t), "key_file", t.KeyFile)
}

// intakeAsks and apiAsks report whether senders, and people, have to say who they
// are.
func (c *checker) intakeAsks(s *Server) bool {
	return len(s.IntakeTokens) > 0 || s.IntakeBasicAuth != nil || s.TLS != nil && s.TLS.ClientCAFile != "" || !c.cfg.Auth.Local
}

func (c *checker) apiAsks(s *Server) bool {
	return len(s.APITokens) > 0 || c.byOthers() || !c.cfg.Auth.Local
}
