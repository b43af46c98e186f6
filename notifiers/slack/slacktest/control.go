package slacktest

import (
	"fmt"
	"html"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// element renders what can be clicked. The page's script finds it by data-action.
func (r *render) element(raw jsontext.Value) {
	var e element
	if len(raw) == 0 || json.Unmarshal(raw, &e) != nil {
		return
	}
	switch {
	case e.Type == "button" && e.URL != "":
		r.links = append(r.links, e.URL)
		r.out.WriteString(`<a rel="noopener noreferrer" target="_blank" class="button ` + html.EscapeString(e.Style) + `" href="` + html.EscapeString(e.URL) + `">`)
		r.rawText(e.Text)
		r.out.WriteString("</a>")
	case e.Type == "button":
		r.out.WriteString(`<button class="button ` + html.EscapeString(e.Style) + `" data-action="` + html.EscapeString(e.ActionID) + `"` + e.asks() + `>`)
		r.rawText(e.Text)
		r.out.WriteString("</button>")
	case e.Type == "static_select" || e.Type == "overflow":
		r.menu(&e)
	case e.Type == "checkboxes":
		r.boxGroup(&e)
	default:
		fmt.Fprintf(&r.out, `<span class="button">[%s]</span>`, html.EscapeString(e.Type))
	}
}

// asks is the question that the page asks before a click.
func (e *element) asks() string {
	c := e.Confirm
	if c == nil {
		return ""
	}
	return ` data-confirm="` + html.EscapeString(c.Title.Text+"\n\n"+c.Text.Text) + `"`
}

func (r *render) menu(e *element) {
	r.out.WriteString(`<select class="button ` + html.EscapeString(e.Type) + `" data-action="` + html.EscapeString(e.ActionID) + `"` + e.asks() + `>`)
	r.out.WriteString(`<option value="" selected>`)
	if len(e.Placeholder) > 0 {
		r.rawText(e.Placeholder)
	} else {
		r.out.WriteString("⋯")
	}
	r.out.WriteString("</option>")
	for _, raw := range e.Options {
		var o struct {
			Text  jsontext.Value `json:"text"`
			Value string         `json:"value"`
		}
		if json.Unmarshal(raw, &o) != nil {
			continue
		}
		r.out.WriteString(`<option value="` + html.EscapeString(o.Value) + `">`)
		r.rawText(o.Text)
		r.out.WriteString("</option>")
	}
	r.out.WriteString("</select>")
}

// pageUser is somebody as whom the page can click.
type pageUser struct {
	ID, Name string
	Me       bool
}

// homeTab stands for the app's Home tab where the page names a channel.
const homeTab = "home"

// homeBody is a person's Home tab as the page shows it; empty: nothing was ever
// published there. The caller holds s.mu.
func (s *Server) homeBody(user string) template.HTML {
	v := s.homeView(user)
	if v == nil || v.hash == "" {
		return ""
	}
	r := &render{}
	r.blocks(v.export().Blocks)
	return template.HTML(r.out.String())
}

// me is whoever looks at the page.
func (d *pageData) me() string {
	for _, u := range d.People {
		if u.Me {
			return u.ID
		}
	}
	return ""
}

// pageView is the modal that is open before whoever clicks on the page.
type pageView struct {
	ID, Title, Submit string
	Body              template.HTML
	Inputs            []pageInput
}

type pageInput struct {
	ActionID, Kind, Label, Hint, Error, Initial string
	Multiline, Optional                         bool
	Options                                     []pageOption
}

type pageOption struct {
	Value, Text string
	Selected    bool
}

// people are those who may click, the one who does marked; the first where nobody
// was chosen.
func (s *Server) people(me string) []pageUser {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []pageUser
	for _, u := range s.users {
		if !u.Bot && !u.Deactivated {
			name := u.RealName
			if name == "" {
				name = u.Name
			}
			out = append(out, pageUser{ID: u.ID, Name: name})
		}
	}
	slices.SortFunc(out, func(a, b pageUser) int { return strings.Compare(a.Name+a.ID, b.Name+b.ID) })
	at := max(0, slices.IndexFunc(out, func(u pageUser) bool { return u.ID == me }))
	if len(out) > 0 {
		out[at].Me = true
	}
	return out
}

func (s *Server) pageView(user string, people []pageUser) *pageView {
	v, ok := s.View(user)
	if !ok {
		return nil
	}
	out := &pageView{ID: v.ID, Title: v.Title, Submit: v.Submit}
	r := &render{}
	var blocks []block
	_ = json.Unmarshal(v.Blocks, &blocks) // they were read when they came
	for n := range blocks {
		if blocks[n].Type != "input" {
			r.block(&blocks[n])
		}
	}
	out.Body = template.HTML(r.out.String())
	for _, b := range v.inputs() {
		in := pageInput{
			ActionID: b.Element.ActionID, Kind: b.Element.Type, Label: b.Label.Text, Hint: b.Hint.Text, Error: v.Errors[b.BlockID],
			Initial: b.Element.InitialValue, Multiline: b.Element.Multiline, Optional: b.Optional,
		}
		for _, o := range b.Element.Options {
			in.Options = append(in.Options, pageOption{o.Value, o.Text.Text, o.Value == b.Element.InitialOption.Value})
		}
		if in.Kind == "users_select" {
			for _, u := range people {
				in.Options = append(in.Options, pageOption{Value: u.ID, Text: u.Name})
			}
		}
		out.Inputs = append(out.Inputs, in)
	}
	return out
}

// serveDoing does what somebody does on the page. It takes JSON alone, which no
// other site's form can send.
func (s *Server) serveDoing(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Channel string            `json:"channel"`
		TS      string            `json:"ts"`
		User    string            `json:"user"`
		Action  string            `json:"action"`
		Block   string            `json:"block"`
		Value   string            `json:"value"`
		Checked *bool             `json:"checked"`
		Text    string            `json:"text"`
		Values  map[string]string `json:"values"`
	}
	if r.Method != http.MethodPost || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		http.Error(w, "want a POST of JSON", http.StatusBadRequest)
		return
	}
	if err := json.UnmarshalRead(http.MaxBytesReader(w, r.Body, 1<<20), &in); err != nil {
		http.Error(w, "this is no JSON of the page's", http.StatusBadRequest)
		return
	}
	var err error
	switch r.URL.Path {
	case "/click":
		err = s.pageClick(in.Channel, in.TS, in.User, in.Action, in.Block, in.Value, in.Checked)
	case "/home":
		_, err = s.OpenHome(in.User, "home")
	case "/submit":
		_, err = s.Submit(in.User, in.Values)
	case "/dismiss":
		s.Dismiss(in.User)
	case "/command":
		_, err = s.Command(in.User, in.Channel, in.Text)
	}
	out := reply{OK: err == nil}
	if err != nil {
		out.Error = err.Error()
	}
	succeeded(out).write(w)
}

// pageClick clicks on a message, or in the Home tab.
func (s *Server) pageClick(channel, ts, user, action, block, value string, checked *bool) error {
	var choice []string
	if value != "" {
		choice = []string{value}
	}
	var a Answer
	var err error
	if channel == homeTab {
		a, err = s.ClickHome(user, block, action, choice...)
	} else {
		if checked != nil {
			s.showBox(channel, ts, user, action, value, !*checked)
		}
		a, err = s.Click(channel, ts, user, action, choice...)
	}
	if err == nil && a.Status != http.StatusOK {
		err = fmt.Errorf("the app answered with HTTP %d", a.Status)
	}
	return err
}
