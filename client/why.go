package client

import (
	"context"

	"github.com/tocsin-oncall/tocsin"
)

// Why returns the decisions on an incident's way, from the payload to the
// providers' answers, in order, and the answer for who asks.
func (c *Client) Why(ctx context.Context, id string) (*tocsin.Why, error) {
	var answer tocsin.Why
	return &answer, c.Get(ctx, incidentPath(id)+"/why", &answer)
}
