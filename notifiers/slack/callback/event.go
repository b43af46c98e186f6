package callback

import (
	"context"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// envelope is what the Events API wraps each event in
// (https://docs.slack.dev/apis/events-api#callback-field).
type envelope struct {
	Type      string         `json:"type"`
	Team      string         `json:"team_id"`
	Challenge string         `json:"challenge"`
	ID        string         `json:"event_id"`
	Event     jsontext.Value `json:"event"`
	// Authorizations holds one installation of the app that the event is for.
	Authorizations []struct {
		User string `json:"user_id"`
		Bot  bool   `json:"is_bot"`
	} `json:"authorizations"`
}

// doing is what is done about an event before it is acknowledged: an error other
// than tocsin's refusals has Slack send it again.
type doing func(h *Handler, ctx context.Context, e *envelope) answer

// events are those that the app subscribes to.
var events = map[string]doing{
	"reaction_added":  (*Handler).reacted,
	"app_home_opened": (*Handler).homeOpened,
	"app_mention":     (*Handler).mentioned,
	"message":         (*Handler).messaged,
}

// eventOnce is event, which has Slack's second try of one that is still under way
// wait for what becomes of the first: an answer to Slack's second try is the last
// that it asks for.
func (h *Handler) eventOnce(ctx context.Context, body []byte) answer {
	key := flightKey("", "events_api", body)
	if key == flightKey("", "events_api", nil) {
		return h.event(ctx, body)
	}
	var a answer
	first := false
	_, done := h.flights.once(key, h.cfg.Now(), func() ([]byte, bool) {
		first = true
		a = h.event(ctx, body)
		return nil, a.refusal == nil && a.status < http.StatusInternalServerError
	})
	switch {
	case first:
		return a
	case done:
		return ok("ignored")
	default:
		return answer{outcome: "failed", status: http.StatusServiceUnavailable}
	}
}

// event answers the Events API: the challenge by which Slack verifies the URL
// (https://docs.slack.dev/reference/events/url_verification), the events that are
// subscribed to, and a plain acknowledgement to all else, so that Slack does not
// send it again.
func (h *Handler) event(ctx context.Context, body []byte) answer {
	e := &envelope{}
	if err := json.Unmarshal(body, e, lenient); err != nil || e.Type == "" {
		return answer{refusal: malformed("payload", "its body is not the JSON that Slack documents")}
	}
	if e.Type == "url_verification" {
		return answer{outcome: "done", status: http.StatusOK, body: []byte(e.Challenge), plain: true}
	}
	if bad := h.ours(e.Team); bad != nil {
		return answer{refusal: bad}
	}
	var kind struct {
		Type string `json:"type"`
	}
	if e.Type != "event_callback" || len(e.Event) == 0 || json.Unmarshal(e.Event, &kind, lenient) != nil {
		return ok("ignored")
	}
	do, known := events[kind.Type]
	if !known || e.ID == "" {
		return ok("ignored")
	}
	// Slack sends an event again that it has no answer to, signed anew
	// (https://docs.slack.dev/apis/events-api#retries).
	if h.heard.add(e.ID, h.cfg.Now()) == seenBefore {
		return ok("ignored")
	}
	ctx, cancel := context.WithTimeout(ctx, actWithin)
	defer cancel()
	a := do(h, ctx, e)
	if a.status >= http.StatusInternalServerError {
		h.heard.forget(e.ID)
	}
	return a
}
