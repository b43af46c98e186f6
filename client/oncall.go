package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// Shifts are the shifts that hold at At, or those of [From, To), gaps too.
type Shifts struct {
	At     time.Time      `json:"at,omitzero"`
	From   time.Time      `json:"from,omitzero"`
	To     time.Time      `json:"to,omitzero"`
	Shifts []tocsin.Shift `json:"shifts"`
}

// OnCall returns the shifts that hold at an instant; of one schedule or of one
// person, where they are not empty.
func (c *Client) OnCall(ctx context.Context, at time.Time, schedule, user string) (s Shifts, err error) {
	q := whose(schedule, user)
	q.Set("at", at.UTC().Format(time.RFC3339Nano))
	return s, c.Get(ctx, "/api/v1/oncall?"+q.Encode(), &s)
}

// Shifts returns the shifts of a span of time.
func (c *Client) Shifts(ctx context.Context, from, to time.Time, schedule, user string) (s Shifts, err error) {
	q := span(whose(schedule, user), from, to)
	return s, c.Get(ctx, "/api/v1/shifts?"+q.Encode(), &s)
}

func whose(schedule, user string) url.Values {
	q := url.Values{}
	for name, value := range map[string]string{"schedule": schedule, "user": user} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

func span(q url.Values, from, to time.Time) url.Values {
	q.Set("from", from.UTC().Format(time.RFC3339Nano))
	q.Set("to", to.UTC().Format(time.RFC3339Nano))
	return q
}

// Coverage is where some policy would reach nobody in [From, To).
type Coverage struct {
	From      time.Time          `json:"from"`
	To        time.Time          `json:"to"`
	Uncovered []tocsin.Uncovered `json:"uncovered"`
}

// Coverage proves that somebody is always called, or says where it does not hold.
func (c *Client) Coverage(ctx context.Context, from, to time.Time) (v Coverage, err error) {
	return v, c.Get(ctx, "/api/v1/oncall/coverage?"+span(url.Values{}, from, to).Encode(), &v)
}

// Fairness is what each person bears in [From, To).
type Fairness struct {
	From   time.Time      `json:"from"`
	To     time.Time      `json:"to"`
	Shares []tocsin.Share `json:"shares"`
}

// Fairness returns what each person bears.
func (c *Client) Fairness(ctx context.Context, from, to time.Time) (v Fairness, err error) {
	return v, c.Get(ctx, "/api/v1/oncall/fairness?"+span(url.Values{}, from, to).Encode(), &v)
}

// Overrides returns all overrides, swaps and time off that are kept.
func (c *Client) Overrides(ctx context.Context) ([]tocsin.Override, error) {
	return all[tocsin.Override](ctx, c, "/api/v1/overrides", "overrides", nil)
}

// PutOverride makes an override, a swap or time off. The same one twice is one, so
// that a broken connection is no trouble.
func (c *Client) PutOverride(ctx context.Context, o tocsin.Override) (made tocsin.Override, err error) {
	return made, c.Repeat(ctx, http.MethodPost, "/api/v1/overrides", o, &made)
}

// AnswerOverride cancels one, or accepts or declines a swap. Answering twice is
// answering once.
func (c *Client) AnswerOverride(ctx context.Context, id, by string, answer tocsin.OverrideAnswer) (o tocsin.Override, err error) {
	in := map[string]string{"by": by}
	return o, c.Repeat(ctx, http.MethodPost, "/api/v1/overrides/"+url.PathEscape(id)+"/"+string(answer), in, &o)
}
