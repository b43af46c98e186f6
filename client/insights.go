package client

import (
	"context"
	"strconv"

	"github.com/tocsin-oncall/tocsin"
)

// Insights returns what the last weeks say of paging: 1 to 53.
func (c *Client) Insights(ctx context.Context, weeks int) (in tocsin.Insights, err error) {
	return in, c.Get(ctx, "/api/v1/insights?weeks="+strconv.Itoa(weeks), &in)
}
