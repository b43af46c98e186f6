package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/tocsin-oncall/tocsin"
)

// Remediations returns the runs, the newest first; of one incident, where it is
// not empty.
func (c *Client) Remediations(ctx context.Context, incident string) ([]tocsin.Remediation, error) {
	q := url.Values{}
	if incident != "" {
		q.Set("incident", incident)
	}
	return all[tocsin.Remediation](ctx, c, "/api/v1/remediations", "remediations", q)
}

// Run is one run of a remedy, with what is kept of its output.
type Run struct {
	Remediation tocsin.Remediation `json:"remediation"`
	Output      string             `json:"output,omitempty"`
}

// Remediation returns one run.
func (c *Client) Remediation(ctx context.Context, id string) (r Run, err error) {
	return r, c.Get(ctx, "/api/v1/remediations/"+url.PathEscape(id), &r)
}

// Plan says what a remedy would do for a target of an incident: nothing is done.
// An empty remedy: each that is for one of its alerts. An empty target: the only
// one.
func (c *Client) Plan(ctx context.Context, incident, remedy, target string) ([]tocsin.RemedyPlan, error) {
	var a struct {
		Plans []tocsin.RemedyPlan `json:"plans"`
	}
	err := c.Get(ctx, incidentPath(incident)+"/remedies?"+url.Values{"remedy": {remedy}, "target": {target}}.Encode(), &a)
	return a.Plans, err
}

// Remediate has a remedy run, or proposes it where it has to be approved.
func (c *Client) Remediate(ctx context.Context, incident, remedy, target, by string) (r Run, err error) {
	in := map[string]string{"remedy": remedy, "target": target, "by": by}
	return r, c.Repeat(ctx, http.MethodPost, incidentPath(incident)+"/remediate", in, &r)
}

// Approve says yes to a run, Deny no.
func (c *Client) Approve(ctx context.Context, id, by string) (Run, error) {
	return c.answerRun(ctx, id, "approve", by)
}

// Deny says no to a run.
func (c *Client) Deny(ctx context.Context, id, by string) (Run, error) {
	return c.answerRun(ctx, id, "deny", by)
}

func (c *Client) answerRun(ctx context.Context, id, verb, by string) (r Run, err error) {
	return r, c.Repeat(ctx, http.MethodPost, "/api/v1/remediations/"+url.PathEscape(id)+"/"+verb, map[string]string{"by": by}, &r)
}

// Hold stops a remedy, or with an empty name all of them; Resume lets them run
// again. Both return what is stopped then; "" among them: all are.
func (c *Client) Hold(ctx context.Context, remedy, by string) ([]string, error) {
	return c.hold(ctx, "stop", remedy, by)
}

// Resume lets a remedy, or with an empty name all of them, run again.
func (c *Client) Resume(ctx context.Context, remedy, by string) ([]string, error) {
	return c.hold(ctx, "resume", remedy, by)
}

func (c *Client) hold(ctx context.Context, verb, remedy, by string) ([]string, error) {
	var a struct {
		Stopped []string `json:"stopped"`
	}
	err := c.Repeat(ctx, http.MethodPost, "/api/v1/remedies/"+verb, map[string]string{"remedy": remedy, "by": by}, &a)
	return a.Stopped, err
}
