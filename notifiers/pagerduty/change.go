package pagerduty

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	pd "github.com/PagerDuty/go-pagerduty"

	"github.com/tocsin-oncall/tocsin"
)

// maxDetails is how many details a change has.
const maxDetails = 32

// Change is something that was changed, which may explain the incidents that
// follow. It holds no secret.
type Change struct {
	// Summary says what, in a line; cut to 1024 characters.
	Summary string
	// At is when; zero: now.
	At time.Time
	// Source is the machine that it happened on; empty: Config.Client.
	Source string
	// URL is a page about it; one that is no http or https address is left out.
	URL string
	// Details are 32 at most, each cut to 255 characters.
	Details map[string]string
}

// SendChange tells the service of a change, which pages nobody: PagerDuty shows
// it beside the incidents that follow
// (https://developer.pagerduty.com/docs/events-api-v2/send-change-events).
// Doing it again shows it twice. Errors are those of Deliver.
func (p *Notifier) SendChange(ctx context.Context, c Change) error {
	if p.key == "" {
		return tocsin.Permanent(errors.New("no PagerDuty routing key: set routing_key or routing_key_file of this receiver"))
	}
	now := time.Now()
	ev := p.change(&c, now)
	if ev.Payload.Summary == "" {
		return tocsin.Permanent(errors.New("a change needs a summary"))
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	var a answer
	_, err := p.client.CreateChangeEventWithContext(context.WithValue(ctx, answerKey{}, &a), ev)
	switch {
	case a.err != nil:
		return p.unreachable(a.err)
	case a.status == 0:
		return tocsin.Permanent(fmt.Errorf("the change could not be sent to PagerDuty: check pagerduty.events_url, it must be an http or https address"))
	case err == nil && a.status == http.StatusAccepted:
		return nil
	}
	a.body = []byte(p.redact(string(a.body)))
	return a.classify(now)
}

func (p *Notifier) change(c *Change, now time.Time) pd.ChangeEvent {
	ev := pd.ChangeEvent{RoutingKey: p.key, Payload: pd.ChangeEventPayload{
		Summary: clip(cleanLine(head(c.Summary, maxSummary)), maxSummary),
		Source:  cmp.Or(line(c.Source), p.sender), Timestamp: cmp.Or(instant(c.At), instant(now)),
	}}
	for _, k := range slices.Sorted(maps.Keys(c.Details)) {
		if ev.Payload.CustomDetails == nil {
			ev.Payload.CustomDetails = map[string]any{}
		}
		if len(ev.Payload.CustomDetails) < maxDetails {
			ev.Payload.CustomDetails[line(k)] = paragraph(c.Details[k], maxField)
		}
	}
	if href := webURL(c.URL); href != "" {
		ev.Links = []pd.ChangeEventLink{{Href: href, Text: p.sender}}
	}
	return ev
}

// Test sends an event of no consequence: a trigger and a resolve at once, with a
// dedup key of their own. It pages for a moment, where the service's urgency and
// rules have it. Errors are those of Deliver.
func (p *Notifier) Test(ctx context.Context, now time.Time) error {
	if p.key == "" {
		return tocsin.Permanent(errors.New("no PagerDuty routing key: set routing_key or routing_key_file"))
	}
	ev := &pd.V2Event{
		RoutingKey: p.key, Action: actionTrigger, DedupKey: "tocsin check " + instant(now), Client: p.sender,
		Payload: &pd.V2Payload{Summary: "Test of " + p.sender + ": nothing is wrong, and it is resolved already", Source: p.sender, Severity: "info"},
	}
	err := p.send(ctx, ev, now)
	if err != nil && !tocsin.IsUnclear(err) {
		return err
	}
	return errors.Join(err, p.send(ctx, &pd.V2Event{RoutingKey: p.key, Action: actionResolve, DedupKey: ev.DedupKey}, now))
}
