package client

import (
	"context"
	"encoding/json"
)

// Postmortem is what happened in an incident.
type Postmortem struct {
	// Report is the data, as the API's description of it says.
	Report json.RawMessage `json:"report"`
	// Markdown is the same, to be read and gone on with.
	Markdown string `json:"markdown"`
}

// Postmortem returns an incident's postmortem.
func (c *Client) Postmortem(ctx context.Context, id string) (p Postmortem, err error) {
	return p, c.Get(ctx, incidentPath(id)+"/postmortem", &p)
}
