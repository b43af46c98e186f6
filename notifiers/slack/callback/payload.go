package callback

import (
	"net/url"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// interaction is what is read of Slack's block_actions and view_submission
// (https://docs.slack.dev/reference/interaction-payloads).
type interaction struct {
	Type string `json:"type"`
	Team struct {
		ID string `json:"id"`
	} `json:"team"`
	User struct {
		ID string `json:"id"`
	} `json:"user"`
	Channel struct {
		ID string `json:"id"`
	} `json:"channel"`
	TriggerID   string   `json:"trigger_id"`
	ResponseURL string   `json:"response_url"`
	Message     *message `json:"message"`
	Actions     []click  `json:"actions"`
	View        view     `json:"view"`
}

type message struct {
	TS       string `json:"ts"`
	Metadata *struct {
		Type    string `json:"event_type"`
		Payload struct {
			Incident string `json:"incident"`
		} `json:"event_payload"`
	} `json:"metadata"`
}

type click struct {
	ActionID string `json:"action_id"`
	BlockID  string `json:"block_id"`
	TS       string `json:"action_ts"`
	Value    string `json:"value"`
	Selected *struct {
		Value string `json:"value"`
	} `json:"selected_option"`
	// Ticked are all the check boxes of a group that are, as the person sees it;
	// nil: it is no such group.
	Ticked []struct {
		Value string `json:"value"`
	} `json:"selected_options"`
}

// value is that of the button, or of the menu's option.
func (c *click) value() string {
	if c.Selected != nil {
		return c.Selected.Value
	}
	return c.Value
}

type view struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Hash     string `json:"hash"`
	Callback string `json:"callback_id"`
	Private  string `json:"private_metadata"`
	State    struct {
		Values map[string]map[string]given `json:"values"`
	} `json:"state"`
}

// given is an answer to a modal's input.
type given struct {
	Value    string `json:"value"`
	User     string `json:"selected_user"`
	Selected *struct {
		Value string `json:"value"`
	} `json:"selected_option"`
}

// input returns the answer to the input of an ID.
func (v *view) input(id string) string {
	g := v.State.Values[id][id]
	switch {
	case g.Selected != nil:
		return g.Selected.Value
	case g.User != "":
		return g.User
	default:
		return g.Value
	}
}

// lenient reads what Slack relays of people's text, which may be cut anywhere.
var lenient = json.JoinOptions(jsontext.AllowInvalidUTF8(true))

// fields reads a form in which each name comes once.
func fields(body []byte) (map[string]string, *refusal) {
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, malformed("form", "its form cannot be read")
	}
	out := make(map[string]string, len(values))
	for name, list := range values {
		if len(list) != 1 {
			return nil, malformed("form", "a field of its form comes twice")
		}
		out[name] = list[0]
	}
	return out, nil
}

func parse(payload []byte) (*interaction, *refusal) {
	p := &interaction{}
	if len(payload) == 0 {
		return nil, malformed("payload", "its body has no payload")
	}
	if err := json.Unmarshal(payload, p, lenient); err != nil {
		return nil, malformed("payload", "its payload is not the JSON that Slack documents")
	}
	return p, nil
}

// ours refuses another workspace.
func (h *Handler) ours(team string) *refusal {
	if h.cfg.Team == nil {
		return nil
	}
	if want := h.cfg.Team(); want != "" && team != want {
		return &refusal{403, "workspace", "it comes from another workspace"}
	}
	return nil
}
