package pagerduty

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/tocsin-oncall/tocsin"
)

// Subscription is a V3 webhook subscription
// (https://developer.pagerduty.com/docs/webhooks/v3-overview).
type Subscription struct {
	ID, URL string
	// Active is false when somebody has switched it off, and Disabled true while
	// PagerDuty has: it dropped three webhooks in a row.
	Active, Disabled bool
	Events           []string
	// Filter is "account_reference", "service_reference PF9KMXH".
	Filter string
}

// Subscriptions returns the account's webhook subscriptions. Errors are those of
// OnCalls.
func (r *REST) Subscriptions(ctx context.Context) ([]Subscription, error) {
	var out []Subscription
	for range maxPages {
		var page struct {
			Subscriptions []struct {
				ID     string `json:"id"`
				Active bool   `json:"active"`
				Method struct {
					URL      string `json:"url"`
					Disabled bool   `json:"temporarily_disabled"`
				} `json:"delivery_method"`
				Events []string `json:"events"`
				Filter struct {
					ID   string `json:"id"`
					Type string `json:"type"`
				} `json:"filter"`
			} `json:"webhook_subscriptions"`
			More bool `json:"more"`
		}
		path := "/webhook_subscriptions?limit=" + strconv.Itoa(pageSize) + "&offset=" + strconv.Itoa(len(out))
		if err := r.get(ctx, path, &page); err != nil {
			return nil, err
		}
		for _, s := range page.Subscriptions {
			sub := Subscription{ID: s.ID, URL: s.Method.URL, Active: s.Active, Disabled: s.Method.Disabled, Events: s.Events, Filter: s.Filter.Type}
			if s.Filter.ID != "" {
				sub.Filter += " " + s.Filter.ID
			}
			out = append(out, sub)
		}
		if !page.More || len(page.Subscriptions) == 0 {
			return out, nil
		}
	}
	return out, nil
}

// IncidentKey returns the dedup key of an incident of PagerDuty's, by its ID
// there. The error is tocsin.ErrNotFound where there is no such incident;
// otherwise errors are those of OnCalls.
func (r *REST) IncidentKey(ctx context.Context, incidentID string) (string, error) {
	var out struct {
		Incident struct {
			Key string `json:"incident_key"`
		} `json:"incident"`
	}
	err := r.get(ctx, "/incidents/"+pathID(incidentID), &out)
	return out.Incident.Key, err
}

// Ping asks something that any token may ask. Errors are those of OnCalls.
func (r *REST) Ping(ctx context.Context) error {
	return r.get(ctx, "/abilities", &struct{}{})
}

// get asks what the client library has no words for.
func (r *REST) get(ctx context.Context, path string, out any) error {
	if r.token == "" {
		return tocsin.Permanent(errNoToken)
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	var a answer
	req, err := http.NewRequestWithContext(context.WithValue(ctx, answerKey{}, &a), http.MethodGet, r.base+path, http.NoBody)
	if err != nil {
		return tocsin.Permanent(errAPIURL)
	}
	req.Header.Set("Accept", "application/vnd.pagerduty+json;version=2")
	req.Header.Set("Authorization", "Token token="+r.token)
	resp, err := r.client.HTTPClient.Do(req)
	if err != nil {
		if a.err == nil {
			return tocsin.Permanent(errAPIURL)
		}
		return fmt.Errorf("PagerDuty did not answer: %w", &hidden{r.redact(a.err.Error()), a.err})
	}
	_ = resp.Body.Close() // it was read whole
	if a.status == http.StatusOK {
		if json.Unmarshal(a.body, out) == nil {
			return nil
		}
		return errors.New("PagerDuty's answer is not what its API documents")
	}
	err = r.classify(&a, nil)
	if a.status == http.StatusNotFound {
		return errors.Join(tocsin.ErrNotFound, err)
	}
	return err
}

// pathID keeps an ID that came from outside one element of a path.
func pathID(id string) string { return url.PathEscape(id) }

// WebhookEvents are the types of events that a subscription is to send.
func WebhookEvents() []string {
	return []string{
		"incident.acknowledged", "incident.annotated", "incident.delegated", "incident.escalated", "incident.priority_updated",
		"incident.reassigned", "incident.reopened", "incident.resolved", "incident.responder.added", "incident.responder.replied",
		"incident.triggered", "incident.unacknowledged",
	}
}
