package client

import (
	"context"

	"github.com/tocsin-oncall/tocsin"
)

// Why returns the decisions on an incident's way, from the payload to the
// providers' answers, in order.
func (c *Client) Why(ctx context.Context, id string) ([]tocsin.Reason, error) {
	var answer struct {
		Reasons []tocsin.Reason `json:"reasons"`
	}
	return answer.Reasons, c.Get(ctx, incidentPath(id)+"/why", &answer)
}
