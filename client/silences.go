package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/tocsin-oncall/tocsin"
)

// Silence is a silence and where it stands: pending, active or expired.
type Silence struct {
	tocsin.Silence
	State string `json:"state"`
}

// Silences returns all that are kept, expired ones too.
func (c *Client) Silences(ctx context.Context) ([]Silence, error) {
	return all[Silence](ctx, c, "/api/v1/silences", "silences", nil)
}

// PutSilence makes a silence, or changes the one that has its ID.
func (c *Client) PutSilence(ctx context.Context, s tocsin.Silence) (out Silence, err error) {
	return out, c.Do(ctx, http.MethodPost, "/api/v1/silences", s, &out)
}

// ExpireSilence ends a silence now.
func (c *Client) ExpireSilence(ctx context.Context, id string) error {
	return c.Do(ctx, http.MethodDelete, "/api/v1/silences/"+url.PathEscape(id), nil, nil)
}
