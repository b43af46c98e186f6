package pagerduty

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	pd "github.com/PagerDuty/go-pagerduty"

	"github.com/tocsin-oncall/tocsin"
)

// SendChange tells the service of a change, which pages nobody: PagerDuty shows
// it beside the incidents that follow
// (https://developer.pagerduty.com/docs/events-api-v2/send-change-events). The
// summary is cut to 1024 characters. Doing it again shows it twice. Errors are
// those of Deliver.
func (p *Notifier) SendChange(ctx context.Context, summary string, details map[string]string) error {
	if p.key == "" {
		return tocsin.Permanent(errors.New("no PagerDuty routing key: set routing_key or routing_key_file of this receiver"))
	}
	text := clip(cleanLine(head(summary, maxSummary)), maxSummary)
	if text == "" {
		return tocsin.Permanent(errors.New("a change needs a summary"))
	}
	now := time.Now()
	ev := pd.ChangeEvent{RoutingKey: p.key, Payload: pd.ChangeEventPayload{Summary: text, Source: p.sender, Timestamp: instant(now)}}
	for k, v := range details {
		if ev.Payload.CustomDetails == nil {
			ev.Payload.CustomDetails = map[string]any{}
		}
		if len(ev.Payload.CustomDetails) < 32 {
			ev.Payload.CustomDetails[line(k)] = paragraph(v, maxField)
		}
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
