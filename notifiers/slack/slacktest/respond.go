package slacktest

import (
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Ephemeral is a message that one person sees.
type Ephemeral struct {
	Message
	// To is the person.
	To string
}

// maxEphemerals bounds those that are kept; the oldest go first.
const maxEphemerals = 1000

// Ephemerals returns what only the user sees, oldest first; the empty user asks for
// everybody's.
func (s *Server) Ephemerals(user string) []Ephemeral {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Ephemeral
	for _, e := range s.ephemerals {
		if user == "" || e.To == user {
			out = append(out, e)
		}
	}
	return out
}

// whisper keeps an ephemeral message. The caller holds s.mu.
func (s *Server) whisper(ch *channel, user, ts, thread string, t content) {
	s.ephemerals = append(s.ephemerals, Ephemeral{To: user, Message: Message{
		Channel: ch.id, TS: ts, ThreadTS: thread, User: BotUserID, Text: t.text, Blocks: t.blocks, Attachments: t.attachments,
	}})
	if over := len(s.ephemerals) - maxEphemerals; over > 0 {
		s.ephemerals = slices.Clone(s.ephemerals[over:])
	}
}

func (s *Server) postEphemeral(c *call) answer {
	t, ans, ok := readContent(c)
	if !ok {
		return ans
	}
	if t.empty() {
		return failed("no_text")
	}
	s.mu.Lock()
	ts, code := s.tell(c, t)
	s.mu.Unlock()
	if code != "" {
		return failed(code)
	}
	s.watch.notify()
	return succeeded(struct {
		OK bool   `json:"ok"`
		TS string `json:"message_ts"`
	}{true, ts})
}

// tell keeps an ephemeral message of the Web API. The caller holds s.mu.
func (s *Server) tell(c *call, t content) (ts, code string) {
	ch, code := s.target(c)
	if code != "" {
		return "", code
	}
	u := s.users[c.arg("user")]
	if u == nil || u.Deactivated || ch.im && ch.with != u.ID {
		return "", "user_not_in_channel"
	}
	ts = s.newTS(c.now)
	s.whisper(ch, u.ID, ts, c.arg("thread_ts"), t)
	return ts, ""
}

// responseMessage is what comes to a response_url, or answers a slash command.
type responseMessage struct {
	Type        string         `json:"response_type"`
	Text        string         `json:"text"`
	Blocks      jsontext.Value `json:"blocks"`
	Attachments jsontext.Value `json:"attachments"`
	ThreadTS    string         `json:"thread_ts"`
	Replace     bool           `json:"replace_original"`
	Delete      bool           `json:"delete_original"`
	Unfurl      *bool          `json:"unfurl_links"`
	UnfurlMedia *bool          `json:"unfurl_media"`
	Mrkdwn      *bool          `json:"mrkdwn"`
	LinkNames   *bool          `json:"link_names"`
	Metadata    jsontext.Value `json:"metadata"`
}

// serveResponse takes a message to a response_url. How Slack words its refusals is
// known from reports alone: 404 with used_url or expired_url.
func (s *Server) serveResponse(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	now := time.Now()
	entry := Request{At: now, Method: "response_url", ContentType: kind}
	f := s.faults.take(&call{method: entry.Method, now: now}, now)
	ans := failed("invalid_payload")
	if f != nil {
		if f.Delay > 0 {
			t := time.NewTimer(f.Delay)
			defer t.Stop()
			wait(r.Context(), s.closed, t.C)
		}
		if a, ok := f.answer(); ok {
			ans = a
		} else {
			f = nil
		}
	}
	if f == nil && err == nil && r.Method == http.MethodPost && kind == "application/json" {
		ans = s.respond(r.URL.Path, raw, now)
	} else if f == nil {
		ans.status = http.StatusBadRequest
	}
	entry.Status, entry.Error = ans.status, ans.code
	s.record(entry)
	ans.write(w)
	s.watch.notify()
}

func (s *Server) respond(path string, raw []byte, now time.Time) answer {
	var m responseMessage
	refuse := func(status int, code string) answer {
		a := failed(code)
		a.status = status
		return a
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return refuse(http.StatusBadRequest, "invalid_payload")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	to := s.responses[path]
	switch {
	case to == nil:
		return refuse(http.StatusNotFound, "invalid_url")
	case now.Sub(to.at) > responseLives:
		return refuse(http.StatusNotFound, "expired_url")
	case to.uses >= responseUses:
		return refuse(http.StatusNotFound, "used_url")
	}
	to.uses++
	if code := s.sayFor(to, &m, now); code != "" {
		return refuse(http.StatusInternalServerError, code)
	}
	return succeeded(reply{OK: true})
}

// sayFor shows a message on behalf of a callback. The caller holds s.mu.
func (s *Server) sayFor(to *response, m *responseMessage, now time.Time) (code string) {
	t := content{text: m.Text}
	var ans answer
	var ok bool
	if t.blocks, ans, ok = readBlocks(m.Blocks); !ok {
		return ans.code
	}
	if t.attachments, ans, ok = readAttachments(m.Attachments); !ok {
		return ans.code
	}
	ch := s.channels[to.channel]
	original := ch.byTS[to.ts]
	switch {
	case m.Delete && original != nil:
		ch.remove(to.ts)
	case t.empty():
		return "no_text"
	case m.Replace && original != nil:
		original.text, original.blocks, original.attachments = t.text, t.blocks, t.attachments
		original.edits++
		original.editedTS = s.newTS(now)
	case m.Type == "in_channel":
		msg := &message{ts: s.newTS(now), user: BotUserID, botID: BotID, text: t.text, blocks: t.blocks, attachments: t.attachments, mrkdwn: true}
		s.attach(ch, msg, m.ThreadTS)
		s.add(ch, msg)
	case m.Type == "" || m.Type == "ephemeral":
		s.whisper(ch, to.user, s.newTS(now), m.ThreadTS, t)
	default:
		return "invalid_payload"
	}
	return ""
}

// isResponse tells the path of a response_url.
func isResponse(path string) bool {
	return strings.HasPrefix(path, "/actions/") || strings.HasPrefix(path, "/commands/")
}
