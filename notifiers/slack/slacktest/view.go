package slacktest

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Limits of views (https://docs.slack.dev/reference/views/modal-views).
const (
	maxViewTitle   = 24
	maxPrivate     = 3000
	maxLabel       = 2000
	maxOptionText  = 75
	maxOptionValue = 150
	maxPlaceholder = 150
	maxOverflow    = 5
	maxInputLength = 3000
)

// view is a home tab or a modal. A modal is open until it is answered or
// dismissed.
type view struct {
	id, kind, user string
	raw            jsontext.Value
	hash           string
	open           bool
	errors         map[string]string
}

// View is a modal that a person sees.
type View struct {
	ID, User        string
	CallbackID      string
	PrivateMetadata string
	Title, Submit   string
	Blocks          jsontext.Value
	// Errors are what the app said of the last answer, by block ID.
	Errors map[string]string
}

// View returns the modal that is open before a user.
func (s *Server) View(user string) (View, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.openView(user)
	if v == nil {
		return View{}, false
	}
	return v.export(), true
}

// openView is the newest. The caller holds s.mu.
func (s *Server) openView(user string) *view {
	for _, v := range slices.Backward(s.modals) {
		if v.open && v.user == user {
			return v
		}
	}
	return nil
}

func (v *view) export() View {
	var w struct {
		Callback string         `json:"callback_id"`
		Private  string         `json:"private_metadata"`
		Title    textObject     `json:"title"`
		Submit   textObject     `json:"submit"`
		Blocks   jsontext.Value `json:"blocks"`
	}
	_ = json.Unmarshal(v.raw, &w) // it was read when it came
	return View{
		ID: v.id, User: v.user, CallbackID: w.Callback, PrivateMetadata: w.Private,
		Title: w.Title.Text, Submit: w.Submit.Text, Blocks: w.Blocks, Errors: v.errors,
	}
}

// Dismiss closes the modal that is open before a user.
func (s *Server) Dismiss(user string) {
	s.mu.Lock()
	if v := s.openView(user); v != nil {
		v.open = false
	}
	s.mu.Unlock()
	s.watch.notify()
}

// inputBlock is one question of a modal.
type inputBlock struct {
	Type     string     `json:"type"`
	BlockID  string     `json:"block_id"`
	Label    textObject `json:"label"`
	Hint     textObject `json:"hint"`
	Optional bool       `json:"optional"`
	Text     textObject `json:"text"`
	Element  struct {
		Type         string `json:"type"`
		ActionID     string `json:"action_id"`
		Multiline    bool   `json:"multiline"`
		MaxLength    int    `json:"max_length"`
		InitialValue string `json:"initial_value"`
		Options      []struct {
			Text  textObject `json:"text"`
			Value string     `json:"value"`
		} `json:"options"`
		InitialOption struct {
			Value string `json:"value"`
		} `json:"initial_option"`
		Rest jsontext.Value `json:",embed"`
	} `json:"element"`
}

// Submit answers the modal that is open before a user; values are by action ID,
// and what is missing keeps its initial value. The error says what Slack itself
// would have complained of, or that the app did not answer. What the app complains
// of is in View.Errors, and the modal stays open.
func (s *Server) Submit(user string, values map[string]string) (Answer, error) {
	s.mu.Lock()
	v, u := s.openView(user), s.users[user]
	if v == nil || u == nil {
		s.mu.Unlock()
		return Answer{}, errors.New("no modal is open")
	}
	state, err := v.fill(values, func(id string) bool { return s.users[id] != nil })
	payload := s.payload("view_submission", u, time.Now())
	full := map[string]jsontext.Value{}
	_ = json.Unmarshal(v.raw, &full) // it was read when it came
	s.mu.Unlock()
	if err != nil {
		return Answer{}, err
	}
	raw, err := json.Marshal(map[string]any{"values": state})
	if err != nil {
		return Answer{}, err
	}
	full["state"] = raw
	payload["view"], payload["response_urls"] = full, []any{}
	a, err := s.interact(payload)
	if err != nil {
		return a, err
	}
	return a, s.answered(v, a)
}

// answered does with a modal what the app answered
// (https://docs.slack.dev/surfaces/modals#handling_submissions).
func (s *Server) answered(v *view, a Answer) error {
	if a.Status != http.StatusOK {
		return fmt.Errorf("we had some trouble connecting: HTTP %d", a.Status)
	}
	var r struct {
		Action string            `json:"response_action"`
		Errors map[string]string `json:"errors"`
		View   jsontext.Value    `json:"view"`
	}
	if len(a.Body) > 0 {
		if err := json.Unmarshal(a.Body, &r); err != nil {
			return fmt.Errorf("the answer cannot be read: %w", err)
		}
	}
	defer s.watch.notify()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch r.Action {
	case "", "clear":
		v.open = false
	case "errors":
		known := v.export().inputs()
		for id := range r.Errors {
			if !slices.ContainsFunc(known, func(b inputBlock) bool { return b.BlockID == id }) {
				return fmt.Errorf("the answer complains of %q, which is no input", id)
			}
		}
		v.errors = r.Errors
	default:
		return fmt.Errorf("response_action %q is not emulated", r.Action)
	}
	return nil
}

// inputs are the questions.
func (v View) inputs() []inputBlock {
	var blocks []inputBlock
	_ = json.Unmarshal(v.Blocks, &blocks) // they were read when they came
	return slices.DeleteFunc(blocks, func(b inputBlock) bool { return b.Type != "input" })
}

// fill makes the state of an answered modal.
func (v *view) fill(values map[string]string, isUser func(string) bool) (map[string]any, error) {
	state := map[string]any{}
	for _, b := range v.export().inputs() {
		e := &b.Element
		given, ok := values[e.ActionID]
		if !ok {
			given = e.InitialValue + e.InitialOption.Value
		}
		answer := map[string]any{"type": e.Type}
		switch e.Type {
		case "plain_text_input":
			if most := e.MaxLength; most > 0 && utf8.RuneCountInString(given) > most {
				return nil, fmt.Errorf("%s: must be shorter than %d characters", b.Label.Text, most+1)
			}
			answer["value"] = nil
			if given != "" {
				answer["value"] = given
			}
		case "users_select":
			if given != "" && !isUser(given) {
				return nil, fmt.Errorf("%s: no user %s", b.Label.Text, given)
			}
			answer["selected_user"] = given
		case "static_select":
			answer["selected_option"] = nil
			for _, o := range e.Options {
				if o.Value == given {
					answer["selected_option"] = map[string]any{"text": map[string]any{"type": "plain_text", "text": o.Text.Text}, "value": o.Value}
				}
			}
			if given != "" && answer["selected_option"] == nil {
				return nil, fmt.Errorf("%s: no choice %s", b.Label.Text, given)
			}
		default:
			return nil, fmt.Errorf("a %s is not emulated", e.Type)
		}
		if given == "" && !b.Optional {
			return nil, fmt.Errorf("%s: please complete this required field", b.Label.Text)
		}
		state[b.BlockID] = map[string]any{e.ActionID: answer}
	}
	return state, nil
}

func (s *Server) viewOpen(c *call) answer {
	id := c.arg("trigger_id")
	if id == "" {
		return failed("invalid_trigger_id")
	}
	return s.putView(c, "modal", "", func() (string, string) { return s.pull(id, c.now) })
}

func (s *Server) viewUpdate(c *call) answer {
	id := c.arg("view_id")
	return s.putView(c, "", id, func() (string, string) {
		if s.views[id] == nil {
			return "", "not_found"
		}
		return s.views[id].user, ""
	})
}

// putView checks a view and keeps it, for whom it is meant.
func (s *Server) putView(c *call, kind, id string, whose func() (user, code string)) answer {
	fields := map[string]jsontext.Value{}
	if err := json.Unmarshal([]byte(c.arg("view")), &fields); err != nil {
		return failed("invalid_arguments")
	}
	var got string
	if err := json.Unmarshal(fields["type"], &got); err != nil || kind != "" && got != kind {
		return failed("invalid_arguments")
	}
	if problems, ok := checkView(fields, got); !ok || len(problems) > 0 {
		return invalidBlocks("invalid_arguments", problems)
	}
	defer s.watch.notify()
	s.mu.Lock()
	defer s.mu.Unlock()
	user, code := whose()
	if code != "" {
		return failed(code)
	}
	v := s.views[id]
	if v == nil {
		v = &view{id: s.newID('V'), kind: got, user: user, open: got == "modal"}
		s.views[v.id] = v
		if v.open {
			s.modals = append(s.modals, v)
		}
	}
	s.lastTS = max(time.Now().UnixMicro(), s.lastTS+1)
	v.hash = fmt.Sprintf("%d.%06d", s.lastTS/1e6, s.lastTS%1e6)
	v.complete(fields)
	raw, err := json.Marshal(fields, json.Deterministic(true))
	if err != nil {
		return failed("invalid_arguments")
	}
	v.raw, v.errors = raw, nil
	return succeeded(struct {
		OK   bool           `json:"ok"`
		View jsontext.Value `json:"view"`
	}{true, raw})
}

// complete adds what Slack adds to a view
// (https://docs.slack.dev/reference/methods/views.open, views.publish).
func (v *view) complete(fields map[string]jsontext.Value) {
	for name, value := range map[string]string{"id": v.id, "root_view_id": v.id, "hash": v.hash, "team_id": TeamID, "app_installed_team_id": TeamID, "app_id": appID, "bot_id": BotID} {
		fields[name] = jsontext.Value(strconv.Quote(value))
	}
	fields["previous_view_id"], fields["state"] = jsontext.Value("null"), jsontext.Value(`{"values":{}}`)
	for name, value := range map[string]string{
		"private_metadata": `""`, "callback_id": `""`, "external_id": `""`, "submit": "null", "close": "null", "clear_on_close": "false", "notify_on_close": "false",
	} {
		if len(fields[name]) == 0 {
			fields[name] = jsontext.Value(value)
		}
	}
}

// checkView returns what is wrong with a view; a modal and a home tab take 100
// blocks.
func checkView(fields map[string]jsontext.Value, kind string) ([]string, bool) {
	problems, ok := checkBlocks(fields["blocks"], maxViewBlocks)
	k := &checker{problems: problems}
	var inputs []inputBlock
	_ = json.Unmarshal(fields["blocks"], &inputs) // checkBlocks has complained
	asks := false
	for n := range inputs {
		if inputs[n].Type == "input" {
			asks = true
			k.input(&inputs[n], fmt.Sprintf("/view/blocks/%d", n))
		}
	}
	if kind == "modal" {
		k.text(fields["title"], "/view/title", maxViewTitle, "plain_text")
		for _, name := range []string{"submit", "close"} {
			if len(fields[name]) > 0 {
				k.text(fields[name], "/view/"+name, maxViewTitle, "plain_text")
			}
		}
		if asks && len(fields["submit"]) == 0 {
			k.fail("/view/submit", "a view with an input must have a submit button")
		}
	}
	var private, callback string
	_ = json.Unmarshal(fields["private_metadata"], &private) // absent: empty
	_ = json.Unmarshal(fields["callback_id"], &callback)
	k.length("/view/private_metadata", private, maxPrivate)
	k.length("/view/callback_id", callback, maxID)
	return k.problems, ok
}

func (k *checker) input(b *inputBlock, at string) {
	k.textObject(b.Label, at+"/label", maxLabel, "plain_text")
	if b.Hint.Type != "" {
		k.textObject(b.Hint, at+"/hint", maxLabel, "plain_text")
	}
	e := &b.Element
	k.length(at+"/element/action_id", e.ActionID, maxID)
	switch e.Type {
	case "plain_text_input":
		if e.MaxLength < 0 || e.MaxLength > maxInputLength {
			k.fail(at+"/element/max_length", "must be at most %d", maxInputLength)
		}
	case "static_select":
		if len(e.Options) == 0 || len(e.Options) > maxOptions {
			k.fail(at+"/element/options", "must have 1 to %d items", maxOptions)
		}
		for n := range e.Options {
			o := &e.Options[n]
			k.textObject(o.Text, fmt.Sprintf("%s/element/options/%d/text", at, n), maxOptionText, "plain_text")
			k.length(fmt.Sprintf("%s/element/options/%d/value", at, n), o.Value, maxOptionValue)
		}
	}
}
