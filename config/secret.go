package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"unique"

	"github.com/tocsin-oncall/tocsin"
)

// redacted stands for a secret wherever one would be printed.
const redacted = "<secret>"

// Secret is a value that must not be seen: it prints, logs and marshals as
// <secret>, with every verb, and as nothing when it is empty. It cannot be
// converted to a string by accident; see Reveal. Two Secrets can be compared
// with ==. The zero value is the empty secret.
//
// The value stands behind a pointer, since package fmt goes past all methods
// where a verb does not fit, and prints what it finds.
type Secret struct{ value unique.Handle[string] }

// NewSecret makes a Secret of a value.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{unique.Make(value)}
}

// Reveal is the value itself. Give it to the client that needs it and to nothing
// else.
func (s Secret) Reveal() string {
	if s.IsZero() {
		return ""
	}
	return s.value.Value()
}

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s == Secret{} }

// String is <secret>, or "" for the empty secret.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return redacted
}

// Format prints <secret> whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue logs <secret>.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText writes <secret>, to JSON and YAML too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText takes the value, without its trailing line breaks.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(strings.TrimRight(string(text), "\r\n"))
	return nil
}

// DefaultActor is the name on timelines of an API token that has none.
const DefaultActor = "api"

// APIToken lets its bearer use the API under a name. In the configuration it is
// one string, "name:role:token", "name:token" or "token".
type APIToken struct {
	// Name is the actor on timelines.
	Name string
	// Role is what it is good for.
	Role tocsin.Role
	// Token is what the bearer presents.
	Token Secret
}

// String is "name:role:<secret>", without the role where it is an admin's.
func (t APIToken) String() string {
	if t.Role == "" || t.Role == tocsin.RoleAdmin {
		return t.Name + ":" + t.Token.String()
	}
	return t.Name + ":" + string(t.Role) + ":" + t.Token.String()
}

// LogValue logs String.
func (t APIToken) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText writes String.
func (t APIToken) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads "name:role:token", "name:token" or "token". A token holds no
// colon.
func (t *APIToken) UnmarshalText(text []byte) error {
	parts := strings.Split(string(text), ":")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	name, role := DefaultActor, tocsin.RoleAdmin
	if len(parts) > 1 {
		name = parts[0]
	}
	if len(parts) == 3 {
		role = tocsin.Role(parts[1])
	}
	token := parts[len(parts)-1]
	if len(parts) > 3 || name == "" || token == "" || !slices.Contains(tocsin.Roles(), role) {
		return errors.New("is not a token; write name:token, name:role:token (viewer, responder, manager or admin), or the token alone")
	}
	*t = APIToken{Name: name, Role: role, Token: NewSecret(token)}
	return nil
}
