package slacktest

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// pageMessages is how many of a channel's newest messages the page shows.
const pageMessages = 100

//go:embed page.html
var pageSource string

var pageTemplate = template.Must(template.New("page").Parse(pageSource))

// watch tells the page's event streams that something has changed.
type watch struct {
	mu      sync.Mutex
	changed chan struct{}
	waiting int
}

func (w *watch) notify() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting > 0 {
		close(w.changed)
		w.changed, w.waiting = make(chan struct{}), 0
	}
}

func (w *watch) next() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting++
	return w.changed
}

func (s *Server) servePage(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/":
		s.showPage(w, r, "page")
	case "/fragment":
		s.showPage(w, r, "body")
	case "/events":
		s.serveEvents(w, r)
	case "/click", "/submit", "/dismiss", "/command", "/home":
		s.serveDoing(w, r)
	default:
		s.serveFile(w, r)
	}
}

type pageData struct {
	Team     string
	Channels []pageChannel
	Current  pageChannel
	Messages []pageMessage
	More     int
	People   []pageUser
	// Clickable is true where an app takes what people do.
	Clickable bool
	// Types is true where one takes slash commands.
	Types bool
	View  *pageView
	// AtHome is true where the Home tab is looked at, and Home is what it shows; empty:
	// nothing was published.
	AtHome bool
	Home   template.HTML
}

type pageChannel struct {
	ID, Name string
	Topic    string
	Private  bool
	Archived bool
	Current  bool
	Count    int
}

type pageMessage struct {
	Channel, TS string
	Who, Letter string
	// Ephemeral messages are seen by one person.
	Ephemeral bool
	App       bool
	At        time.Time
	Day       string
	Body      template.HTML
	Edits     int
	Broadcast bool
	Reactions []string
	Replies   []pageMessage
}

func (s *Server) showPage(w http.ResponseWriter, r *http.Request, name string) {
	var out bytes.Buffer
	if err := pageTemplate.ExecuteTemplate(&out, name, s.pageData(r.URL.Query().Get("channel"), r.URL.Query().Get("me"))); err != nil {
		http.Error(w, "the page could not be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'")
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(out.Bytes())
}

func (s *Server) pageData(ref, me string) pageData {
	d := pageData{Team: "Tocsin Test", People: s.people(me)}
	s.mu.Lock()
	d.Clickable = s.callbacks.Interactions != "" && len(d.People) > 0
	d.Types = s.callbacks.Commands != "" && len(d.People) > 0
	all := s.sorted(func(*channel) bool { return true })
	current := s.find(ref)
	if d.AtHome = ref == homeTab && d.Clickable; d.AtHome {
		d.Home = s.homeBody(d.me())
	} else if current == nil && len(all) > 0 {
		current = all[0]
	}
	for _, c := range all {
		pc := pageChannel{ID: c.id, Name: c.name, Topic: c.topic, Private: c.private || c.im, Archived: c.archived, Current: c == current, Count: len(c.messages)}
		if u := s.users[c.with]; c.im && u != nil {
			pc.Name = cmp.Or(u.RealName, u.Name)
		}
		d.Channels = append(d.Channels, pc)
		if pc.Current {
			d.Current = pc
		}
	}
	names := map[string]string{}
	for id, u := range s.users {
		names[id] = u.RealName
	}
	s.mu.Unlock()
	if current == nil {
		d.View = s.pageView(d.me(), d.People)
		return d
	}
	messages := s.withWhispers(&d)
	d.More = max(0, len(messages)-pageMessages)
	day := ""
	for _, m := range messages[d.More:] {
		pm := m.Message.page(names)
		pm.Ephemeral = m.To != ""
		if pm.Day == day {
			pm.Day = ""
		} else {
			day = pm.Day
		}
		d.Messages = append(d.Messages, pm)
	}
	return d
}

// withWhispers are the messages of the current channel, with what whoever looks at
// the page sees alone; an Ephemeral without To is for everybody. It fills in the
// modal that is open.
func (s *Server) withWhispers(d *pageData) []Ephemeral {
	var out []Ephemeral
	for _, m := range s.Messages(d.Current.ID) {
		out = append(out, Ephemeral{Message: m})
	}
	d.View = s.pageView(d.me(), d.People)
	for _, e := range s.Ephemerals(d.me()) {
		if e.Channel == d.Current.ID {
			out = append(out, e)
		}
	}
	slices.SortStableFunc(out, func(a, b Ephemeral) int { return cmp.Compare(micros(a.TS), micros(b.TS)) })
	return out
}

func (m Message) page(names map[string]string) pageMessage {
	who := names[m.User]
	if who == "" {
		who = m.User
	}
	sec, _, _ := strings.Cut(m.TS, ".")
	unix, _ := strconv.ParseInt(sec, 10, 64)
	at := time.Unix(unix, 0).UTC()
	p := pageMessage{
		Channel: m.Channel, TS: m.TS,
		Who: who, App: m.User == BotUserID, At: at, Day: at.Format("Monday, January 2, 2006"),
		Body: m.See().HTML, Edits: m.Edits, Broadcast: m.Broadcast, Reactions: m.Reactions,
	}
	for _, r := range who {
		p.Letter = string(r)
		break
	}
	for _, r := range m.Replies {
		p.Replies = append(p.Replies, r.page(names))
	}
	return p
}

// eventPause keeps a busy channel from redrawing the page all the time.
const eventPause = 250 * time.Millisecond

// serveEvents tells the page when to fetch its content again, as a stream of
// server-sent events.
func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request) {
	flush, ok := w.(http.Flusher)
	if !ok {
		http.Error(w, "this connection cannot stream", http.StatusNotImplemented)
		return
	}
	// A server's write timeout must not end the stream.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	for {
		changed := s.watch.next()
		if _, err := fmt.Fprint(w, "data: changed\n\n"); err != nil {
			return
		}
		flush.Flush()
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		case <-s.closed:
			return
		}
		t := time.NewTimer(eventPause)
		wait(r.Context(), s.closed, t.C)
		t.Stop()
	}
}
