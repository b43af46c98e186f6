package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// doing is what a test asks for; each verb uses a part of it.
type doing struct {
	User    string            `json:"user"`
	Channel string            `json:"channel"`
	TS      string            `json:"ts"`
	Action  string            `json:"action"`
	Choice  []string          `json:"choice"`
	Text    string            `json:"text"`
	Values  map[string]string `json:"values"`
	// Block is what the ID of a block in the Home tab begins with.
	Block string `json:"block"`
	// Before and After are what changes in Tocsin's configuration.
	Before string `json:"before"`
	After  string `json:"after"`
	// Payload is sent as it is, signed.
	Payload json.RawMessage `json:"payload"`
	// Secret and the URLs say where callbacks go.
	Secret       string `json:"secret"`
	Interactions string `json:"interactions"`
	Commands     string `json:"commands"`
	Events       string `json:"events"`
	// Method and what follows are a fault.
	Method     string `json:"method"`
	Error      string `json:"error"`
	Status     int    `json:"status"`
	RetryAfter *int   `json:"retryAfter"`
	Count      int    `json:"count"`
}

// done is what came of it: Status and Body are the app's answer.
type done struct {
	Status int    `json:"status,omitempty"`
	Body   string `json:"body,omitempty"`
	Error  string `json:"error,omitempty"`
	Value  any    `json:"value,omitempty"`
}

func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	var in doing
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	out := w.do(strings.TrimPrefix(r.URL.Path, "/do/"), &in)
	rw.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(rw).Encode(out) // the test is gone
}

func (w *world) do(verb string, in *doing) done {
	switch verb {
	case "callbacks":
		w.slack.SetCallbacks(slacktest.Callbacks{
			Secret: in.Secret, Interactions: in.Interactions, Commands: in.Commands, Events: in.Events, Self: w.slackURL,
		})
		return done{}
	case "click":
		return answered(w.slack.Click(in.Channel, in.TS, in.User, in.Action, in.Choice...))
	case "submit":
		return answered(w.slack.Submit(in.User, in.Values))
	case "command":
		return answered(w.slack.Command(in.User, in.Channel, in.Text))
	case "click-home":
		return answered(w.slack.ClickHome(in.User, in.Block, in.Action, in.Choice...))
	case "open-home":
		return answered(w.slack.OpenHome(in.User, "home"))
	case "interact":
		return answered(w.slack.Interact(in.Payload))
	case "event":
		return answered(w.slack.Event(in.Payload))
	case "verify-url":
		return answered(slacktest.Answer{}, w.slack.VerifyURL())
	case "payload":
		raw, err := w.slack.ClickPayload(in.Channel, in.TS, in.User, in.Action, in.Choice...)
		return answered(slacktest.Answer{Body: raw}, err)
	case "refresh":
		return done{Value: w.slack.Sockets().Refresh(0, "refresh_requested", 50*time.Millisecond)}
	case "drop":
		return done{Value: w.slack.Sockets().Drop(0, false)}
	case "fault":
		w.slack.Fault(slacktest.Fault{Method: in.Method, Error: in.Error, Status: in.Status, RetryAfter: in.RetryAfter, Count: in.Count})
		return done{}
	default:
		return w.operate(verb, in)
	}
}

// operate does what those who run Tocsin do.
func (w *world) operate(verb string, in *doing) done {
	ctx, cancel := context.WithTimeout(context.Background(), startWithin+stopWithin)
	defer cancel()
	switch verb {
	case "reload":
		return answered(slacktest.Answer{}, w.process().reload(in.Before, in.After))
	case "restart":
		return valued(w.restart(ctx))
	case "changes":
		return valued(w.process().changes(ctx))
	default:
		return w.look(verb, in)
	}
}

func valued[T any](v T, err error) done {
	if err != nil {
		return done{Error: err.Error()}
	}
	return done{Value: v}
}

// look tells what there is.
func (w *world) look(verb string, in *doing) done {
	switch verb {
	case "trigger":
		return done{Value: w.slack.Trigger(in.User)}
	case "say":
		return done{Value: w.slack.Say(in.Channel, in.User, in.Text, in.TS)}
	case "messages":
		return done{Value: w.slack.Messages(in.Channel)}
	case "ephemerals":
		return done{Value: w.slack.Ephemerals(in.User)}
	case "view":
		v, open := w.slack.View(in.User)
		if !open {
			return done{}
		}
		return done{Value: v}
	case "sent":
		return done{Value: w.sent.of(false)}
	case "peers-sent":
		return done{Value: w.sent.of(true)}
	case "sockets":
		x := w.slack.Sockets()
		return done{Value: sockets{x.Len(), x.Opened(), x.Violations()}}
	case "rooms":
		return done{Value: w.slack.Rooms(in.Channel)}
	case "home":
		v, ok := w.slack.Home(in.User)
		if !ok {
			return done{}
		}
		return done{Value: v}
	case "home-payload":
		raw, err := w.slack.ClickHomePayload(in.User, in.Block, in.Action, in.Choice...)
		return answered(slacktest.Answer{Body: raw}, err)
	case "told":
		return done{Value: told(w.pagerduty.Events())}
	case "pages":
		return done{Value: w.pagerduty.Incidents("")}
	default:
		return done{Error: fmt.Sprintf("nobody can %q here", verb)}
	}
}

// event is a request to the emulator of PagerDuty, with its body as it came.
type event struct {
	Change  bool            `json:"change"`
	Outcome string          `json:"outcome"`
	Body    json.RawMessage `json:"body"`
}

func told(events []pagerdutytest.Event) []event {
	var out []event
	for i := range events {
		e := event{Change: events[i].Change, Outcome: events[i].Outcome}
		if json.Valid(events[i].Body) {
			e.Body = events[i].Body
		}
		out = append(out, e)
	}
	return out
}

// sockets is the state of Socket Mode.
type sockets struct {
	Connections int      `json:"connections"`
	Opened      int      `json:"opened"`
	Violations  []string `json:"violations"`
}

func answered(a slacktest.Answer, err error) done {
	out := done{Status: a.Status, Body: string(a.Body)}
	if err != nil {
		out.Error = err.Error()
	}
	return out
}
