package config

import (
	"github.com/tocsin-oncall/tocsin"
)

// Auth is who may come in, beside those with one of server.api_tokens and of the
// tokens that tocsin token create makes.
type Auth struct {
	// Whether this machine is let in without a token, as admin, and senders without
	// credentials, while there are neither api_tokens nor oidc nor proxy. With false
	// everybody needs a token: make the first with tocsin token create
	// --config.file, before the server is started.
	Local bool `yaml:"local" default:"true" example:"false"`
	// Log in with an OpenID Connect provider.
	OIDC *OIDC `yaml:"oidc" restart:"true"`
	// A proxy in front of Tocsin that is trusted.
	Proxy *AuthProxy `yaml:"proxy"`
	// Groups of which a person must be in at least one to come in by oidc or proxy.
	// Empty: anybody whom the provider, or the proxy, lets in.
	AllowedGroups []string `yaml:"allowed_groups" example:"[oncall, sre]"`
	// Roles of groups. Of those that a person has by name and by groups, the one
	// that may most counts.
	GroupRoles []GroupRole `yaml:"group_roles"`
	// The role of those who come in by oidc or proxy, and are none of users and in
	// none of the groups of group_roles.
	DefaultRole tocsin.Role `yaml:"default_role" defaultdoc:"none: they are refused" example:"viewer" jsonschema:"enum=viewer,enum=responder,enum=manager,enum=admin"`
	// How long a log-in lasts without a request.
	SessionIdle Duration `yaml:"session_idle" default:"1d" example:"8h"`
	// How long a log-in lasts at the most.
	SessionLifetime Duration `yaml:"session_lifetime" default:"7d" example:"12h"`
}

// OIDC is an OpenID Connect provider. The address to register there is
// external_url with /login/callback.
type OIDC struct {
	// The provider's URL, without /.well-known.
	Issuer string `yaml:"issuer" example:"https://login.example.com/realms/ops" jsonschema:"required"`
	// What the provider calls Tocsin.
	ClientID string `yaml:"client_id" example:"tocsin" jsonschema:"required"`
	// The secret of the client. Empty: a public client, which PKCE protects alone.
	ClientSecret Secret `yaml:"client_secret" example:"${TOCSIN_CLIENT_SECRET}"`
	// File with the secret.
	ClientSecretFile string `yaml:"client_secret_file" path:"true" example:"oidc.secret"`
	// The scopes to ask for. openid is always among them.
	Scopes []string `yaml:"scopes" defaultdoc:"openid, profile, email" example:"[openid, email, groups]"`
	// The claim that says who it is. It is looked for among the login, the email and
	// the name of users.
	NameClaim string `yaml:"name_claim" default:"email" example:"preferred_username"`
	// The claim with the person's groups.
	GroupsClaim string `yaml:"groups_claim" default:"groups" example:"roles"`
	// Certificate authorities to trust for the provider instead of the system's.
	CAFile string `yaml:"ca_file" path:"true" example:"login-ca.pem"`
}

// AuthProxy is a reverse proxy that stands in front, and that is believed. It must
// remove the headers from what comes to it.
type AuthProxy struct {
	// The networks that the proxy's own address is in. Only what comes from there
	// is believed, X-Forwarded-For too.
	From []string `yaml:"from" example:"[10.0.0.0/8]" jsonschema:"required"`
	// The header in which the proxy says who has logged in. Empty: it does not say,
	// and people need another way in.
	Header string `yaml:"header" example:"X-Forwarded-User"`
	// The header with their groups, with commas between. Goes with header.
	GroupsHeader string `yaml:"groups_header" example:"X-Forwarded-Groups"`
}

// GroupRole is the role that a group gives.
type GroupRole struct {
	// The group, as the provider writes it.
	Group string `yaml:"group" example:"sre" jsonschema:"required"`
	// What its members may do.
	Role tocsin.Role `yaml:"role" example:"manager" jsonschema:"required,enum=viewer,enum=responder,enum=manager,enum=admin"`
	// The team for whose incidents and schedules alone the role is. Empty: for
	// everything.
	Team string `yaml:"team" example:"platform"`
}

// ServerTLS names the files for HTTPS. They are read again when they change.
type ServerTLS struct {
	// The certificate, with those that lead to its authority.
	CertFile string `yaml:"cert_file" path:"true" example:"tocsin.pem" jsonschema:"required"`
	// The key of the certificate.
	KeyFile string `yaml:"key_file" path:"true" example:"tocsin-key.pem" jsonschema:"required"`
	// Certificate authorities for senders of alerts: who shows a certificate of
	// theirs needs no intake token. Take one that certifies senders and nothing
	// else.
	ClientCAFile string `yaml:"client_ca_file" path:"true" example:"senders-ca.pem"`
}
