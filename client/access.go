package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// Tokens lists what is known of the tokens that Tocsin has made. It wants the
// right to admin, as the others here do.
func (c *Client) Tokens(ctx context.Context) ([]tocsin.Token, error) {
	return all[tocsin.Token](ctx, c, "/api/v1/tokens", "tokens", nil)
}

// NewToken is a token that was just made. Secret is what its bearer presents; it is
// not to be had again.
type NewToken struct {
	Token  tocsin.Token `json:"token"`
	Secret string       `json:"secret"`
}

// CreateToken makes a token with t's Name, Role, Team and ExpiresAt. A zero expiry is
// none.
func (c *Client) CreateToken(ctx context.Context, t tocsin.Token) (made NewToken, err error) {
	in := struct {
		Name      string      `json:"name"`
		Role      tocsin.Role `json:"role"`
		Team      string      `json:"team,omitempty"`
		ExpiresAt time.Time   `json:"expiresAt,omitzero"`
	}{t.Name, t.Role, t.Team, t.ExpiresAt}
	err = c.Do(ctx, http.MethodPost, "/api/v1/tokens", in, &made)
	return made, err
}

// RevokeToken ends a token.
func (c *Client) RevokeToken(ctx context.Context, id string) error {
	return c.Do(ctx, http.MethodDelete, "/api/v1/tokens/"+url.PathEscape(id), nil, nil)
}
