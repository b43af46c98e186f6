package pagerduty

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	pd "github.com/PagerDuty/go-pagerduty"

	"github.com/tocsin-oncall/tocsin"
)

// DefaultAPIURL is the base of PagerDuty's REST API.
const DefaultAPIURL = "https://api.pagerduty.com"

const (
	// maxRange is the span asked for in one call: PagerDuty refuses more than 3
	// months
	// (https://developer.pagerduty.com/api-reference/3a6b910f11050-list-all-of-the-on-calls).
	maxRange = 80 * 24 * time.Hour
	// MaxOnCallRange is the longest span that REST.OnCalls answers for.
	MaxOnCallRange = 400 * 24 * time.Hour
	// pageSize is the most that a page holds, and maxPages of that size the most
	// that PagerDuty pages through: offset and limit together are at most 10,000
	// (https://developer.pagerduty.com/docs/pagination).
	pageSize = 100
	maxPages = 100
	// maxPage is how much of a page is read, in bytes.
	maxPage = 4 << 20
)

// RESTConfig says how to reach PagerDuty's REST API.
type RESTConfig struct {
	// Token is an API key; read-only is enough for everything but notes. It is a
	// secret: it is in no error.
	Token string
	// From is the address of the user in whose name notes are written: the token
	// of an account wants one, that of a user knows whose it is.
	From string
	// APIURL is the base of the API; empty: DefaultAPIURL.
	APIURL string
	// Timeout bounds one call, its answer included; 0: DefaultTimeout.
	Timeout time.Duration
	// Transport makes the calls; nil: one of the client's own.
	Transport http.RoundTripper
}

// REST asks PagerDuty's REST API. It is safe for concurrent use.
type REST struct {
	token   string
	from    string
	base    string
	timeout time.Duration
	client  *pd.Client
}

// OnCall is a span in which PagerDuty has somebody on call.
type OnCall struct {
	UserID, UserName string
	// UserEmail is the address that the user signs in with.
	UserEmail string
	From      time.Time
	// To is the first instant after it.
	To time.Time
}

// NewREST returns a REST. It makes no calls. A missing or wrong token is
// reported by the first call, as a permanent error.
func NewREST(c RESTConfig) *REST {
	base := c.Transport
	if base == nil {
		base = newTransport()
	}
	token := strings.TrimSpace(c.Token)
	url := strings.TrimRight(cmp.Or(strings.TrimSpace(c.APIURL), DefaultAPIURL), "/")
	client := pd.NewClient(token, pd.WithAPIEndpoint(url))
	client.HTTPClient = &http.Client{
		Transport: pageRecorder{base},
		// A redirect would carry the token to wherever it points.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &REST{token: token, from: strings.TrimSpace(c.From), base: url, timeout: cmp.Or(c.Timeout, DefaultTimeout), client: client}
}

// OnCalls returns who is on call on a schedule between from and to, by From.
// PagerDuty lists a schedule once for each escalation policy and level that uses
// it, which is made one here, and does not list what no policy uses: its answer
// is empty then, as it is for a schedule without anybody on call. Spans that
// overlap the edges are returned as PagerDuty gives them; those without a
// beginning or an end begin at from or end at to.
//
// An error is marked with tocsin.Permanent or tocsin.RetryAfter where that is
// so; any other is temporary.
func (r *REST) OnCalls(ctx context.Context, scheduleID string, from, to time.Time) ([]OnCall, error) {
	switch {
	case r.token == "":
		return nil, tocsin.Permanent(errNoToken)
	case scheduleID == "":
		return nil, tocsin.Permanent(errors.New("no PagerDuty schedule: set pagerduty_schedule to its ID, like P123ABC"))
	case !from.Before(to) || to.Sub(from) > MaxOnCallRange:
		return nil, tocsin.Permanent(fmt.Errorf("PagerDuty is not asked who is on call from %s to %s: that is no span, or longer than %d days",
			from.Format(time.RFC3339), to.Format(time.RFC3339), int(MaxOnCallRange.Hours()/24)))
	}
	var all []OnCall
	for since := from; since.Before(to); since = since.Add(maxRange) {
		until := since.Add(maxRange)
		if until.After(to) {
			until = to
		}
		list, err := r.pages(ctx, scheduleID, since, until)
		if err != nil {
			return nil, err
		}
		for i := range list {
			c, err := onCall(&list[i], from, to)
			if err != nil {
				return nil, err
			}
			all = append(all, c)
		}
	}
	return united(all), nil
}

func (r *REST) pages(ctx context.Context, scheduleID string, since, until time.Time) ([]pd.OnCall, error) {
	o := pd.ListOnCallOptions{
		ScheduleIDs: []string{scheduleID}, Includes: []string{"users"}, Limit: pageSize,
		Since: since.UTC().Format(time.RFC3339), Until: until.UTC().Format(time.RFC3339),
	}
	var all []pd.OnCall
	for range maxPages {
		page, err := r.page(ctx, o)
		if err != nil {
			return nil, err
		}
		all = append(all, page.OnCalls...)
		if !page.More {
			return all, nil
		}
		if len(page.OnCalls) == 0 {
			return nil, errors.New("PagerDuty says that there are more pages, and sends empty ones")
		}
		o.Offset += uint(len(page.OnCalls))
	}
	return nil, tocsin.Permanent(fmt.Errorf("PagerDuty has more than %d entries for the schedule %s in %d days: is the schedule used by very many policies?",
		maxPages*pageSize, scheduleID, int(maxRange.Hours()/24)))
}

func (r *REST) page(ctx context.Context, o pd.ListOnCallOptions) (*pd.ListOnCallsResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	var a answer
	page, err := r.client.ListOnCallsWithContext(context.WithValue(ctx, answerKey{}, &a), o)
	switch {
	case a.err != nil:
		return nil, fmt.Errorf("PagerDuty did not answer: %w", &hidden{r.redact(a.err.Error()), a.err})
	case a.status == 0:
		return nil, tocsin.Permanent(errAPIURL)
	case err == nil && a.status == http.StatusOK:
		return page, nil
	}
	return nil, r.classify(&a, err)
}

// classify says what an answer that is no success means, after
// https://developer.pagerduty.com/docs/errors and
// https://developer.pagerduty.com/docs/rest-api-rate-limits.
func (r *REST) classify(a *answer, err error) error {
	said := fmt.Sprintf("status %d", a.status)
	var refused pd.APIError
	if errors.As(err, &refused) && refused.APIError.Valid {
		said += ": " + clip(cleanLine(r.redact(refused.Error())), maxErrorText)
	}
	pause, asked := a.pause(time.Time{}) // dates are judged by the answer's own Date
	if !asked {
		pause = rateWindow
	}
	switch {
	case a.status == http.StatusTooManyRequests:
		return tocsin.RetryAfter(fmt.Errorf("PagerDuty asks to slow down: %s", said), pause)
	case a.status == http.StatusUnauthorized, a.status == http.StatusForbidden:
		return tocsin.Permanent(fmt.Errorf("PagerDuty refused access; check pagerduty.api_token: %s", said))
	case a.status == http.StatusNotFound:
		return tocsin.Permanent(fmt.Errorf("PagerDuty does not know this; check the ID of the schedule and pagerduty.api_url: %s", said))
	case a.status == http.StatusRequestTimeout, a.status >= 500:
		err = fmt.Errorf("PagerDuty failed to answer: %s", said)
	case a.status >= 300:
		return tocsin.Permanent(fmt.Errorf("PagerDuty refused the question: %s", said))
	default:
		err = fmt.Errorf("PagerDuty's answer is not what its API documents: %s", said)
	}
	if asked {
		return tocsin.RetryAfter(err, pause)
	}
	return err
}

func (r *REST) redact(s string) string { return strings.ReplaceAll(s, r.token, "<secret>") }

func onCall(c *pd.OnCall, from, to time.Time) (OnCall, error) {
	out := OnCall{
		UserID: c.User.ID, UserName: cmp.Or(c.User.Name, c.User.Summary), UserEmail: c.User.Email, From: from, To: to,
	}
	var err error
	if c.Start != "" {
		if out.From, err = time.Parse(time.RFC3339, c.Start); err != nil {
			return OnCall{}, fmt.Errorf("PagerDuty sent a time that cannot be read: %w", err)
		}
	}
	if c.End != "" {
		if out.To, err = time.Parse(time.RFC3339, c.End); err != nil {
			return OnCall{}, fmt.Errorf("PagerDuty sent a time that cannot be read: %w", err)
		}
	}
	out.From, out.To = out.From.UTC(), out.To.UTC()
	return out, nil
}

// united makes one of the spans of a user that overlap.
func united(all []OnCall) []OnCall {
	slices.SortStableFunc(all, func(a, b OnCall) int {
		return cmp.Or(a.From.Compare(b.From), strings.Compare(a.UserID, b.UserID))
	})
	last := make(map[string]int)
	var out []OnCall
	for _, c := range all {
		if !c.From.Before(c.To) {
			continue
		}
		if i, ok := last[c.UserID]; ok && c.From.Before(out[i].To) {
			if c.To.After(out[i].To) {
				out[i].To = c.To
			}
			continue
		}
		last[c.UserID] = len(out)
		out = append(out, c)
	}
	return out
}

// pageRecorder is a recorder for pages, which are larger than the answers to
// events: one that does not fit is refused, since half a page would be half a
// schedule.
type pageRecorder struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (p pageRecorder) RoundTrip(req *http.Request) (*http.Response, error) {
	a, ok := req.Context().Value(answerKey{}).(*answer)
	if !ok {
		return p.base.RoundTrip(req)
	}
	resp, err := p.base.RoundTrip(req)
	if err != nil {
		a.err = err
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	a.status, a.header = resp.StatusCode, resp.Header
	a.body, a.err = io.ReadAll(io.LimitReader(resp.Body, maxPage+1))
	if a.err == nil && len(a.body) > maxPage {
		a.err = fmt.Errorf("its answer is larger than %d bytes", maxPage)
	}
	if a.err != nil {
		return nil, a.err
	}
	resp.Body = io.NopCloser(bytes.NewReader(a.body))
	return resp, nil
}
