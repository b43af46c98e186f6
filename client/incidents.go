package client

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"strconv"

	"github.com/tocsin-oncall/tocsin"
)

// IncidentQuery selects incidents. Its zero value selects the live ones.
type IncidentQuery struct {
	// States to list; empty: all.
	States []tocsin.State
	// Matchers that one of the incident's alerts, or the incident, must match, in
	// Alertmanager's syntax.
	Matchers []string
	// Team whose receivers are told of them; empty: whoever is.
	Team string
	// Mine lists those alone that call who asks, or are theirs.
	Mine bool
	// Severity that they have at least; empty: any.
	Severity tocsin.Severity
	// Archived lists the archived ones too.
	Archived bool
	// Limit is the most to return; 0: 100.
	Limit int
	// After continues a list: it is the Next of the one before.
	After string
}

func (q *IncidentQuery) values() url.Values {
	v := url.Values{}
	for _, s := range q.States {
		v.Add("state", string(s))
	}
	for _, m := range q.Matchers {
		v.Add("filter", m)
	}
	for name, value := range map[string]string{"team": q.Team, "severity": string(q.Severity)} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if q.Mine {
		v.Set("mine", "true")
	}
	if q.Archived {
		v.Set("archived", "true")
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	if q.After != "" {
		v.Set("after", q.After)
	}
	return v
}

// Incidents is a list of incidents, the newest first.
type Incidents struct {
	Incidents []*tocsin.Incident `json:"incidents"`
	// Next is the After of the list that follows; empty: there is none.
	Next string `json:"next,omitempty"`
}

// Incidents lists incidents.
func (c *Client) Incidents(ctx context.Context, q IncidentQuery) (list Incidents, err error) {
	return list, c.Get(ctx, "/api/v1/incidents?"+q.values().Encode(), &list)
}

// Incident is everything about one incident.
type Incident struct {
	Incident *tocsin.Incident     `json:"incident"`
	Alerts   []tocsin.AlertRecord `json:"alerts"`
	Timeline []tocsin.Event       `json:"timeline"`
	Runbook  *tocsin.Runbook      `json:"runbook"`
	Progress []tocsin.StepView    `json:"progress"`
	Ahead    []tocsin.Ahead       `json:"ahead,omitempty"`
}

func incidentPath(id string) string { return "/api/v1/incidents/" + url.PathEscape(id) }

// Incident returns one incident.
func (c *Client) Incident(ctx context.Context, id string) (d Incident, err error) {
	return d, c.Get(ctx, incidentPath(id), &d)
}

// Act does something to an incident and returns it as it is then. It happens once
// though the connection breaks: an action without an ID gets one.
func (c *Client) Act(ctx context.Context, id string, a tocsin.Action) (*tocsin.Incident, error) {
	if a.ID == "" {
		a.ID = rand.Text()
	}
	var answer struct {
		Incident *tocsin.Incident `json:"incident"`
	}
	err := c.Repeat(ctx, http.MethodPost, incidentPath(id)+"/"+string(a.Kind), a, &answer)
	return answer.Incident, err
}

// Open opens an incident by hand and returns it. It happens once though the
// connection breaks, where m.ID is set.
func (c *Client) Open(ctx context.Context, m tocsin.Manual) (*tocsin.Incident, error) {
	var answer struct {
		Incident *tocsin.Incident `json:"incident"`
	}
	err := c.Repeat(ctx, http.MethodPost, "/api/v1/incidents", m, &answer)
	return answer.Incident, err
}
