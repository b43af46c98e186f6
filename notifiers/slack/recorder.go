package slack

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxAnswer bounds an answer's body: a page of 999 messages of the largest size
// is below it.
const maxAnswer = 64 << 20

// recorder is the HTTP client that slack-go sends with. It notes the outcome of
// a call in the record of the request's context, and hands slack-go the answer
// without what nobody reads of it. An answer holds whole messages, with blocks
// and attachments of whoever posted them: a shape in them that slack-go does not
// know would make a failure of a post that succeeded, or hide a page of the
// history (slack-go issues 645, 1123, 1292), and reading them takes slack-go
// several times as long as all the rest of a call.
type recorder struct{ http http.Client }

// Do sends a request.
func (r *recorder) Do(req *http.Request) (*http.Response, error) {
	rec, ok := req.Context().Value(recordKey{}).(*record)
	if !ok {
		return r.http.Do(req)
	}
	rec.begun = true
	resp, err := r.http.Do(req)
	if err != nil {
		rec.err = err
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	_ = resp.Body.Close()
	if err != nil {
		rec.err = err
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(rec.note(resp, raw)))
	return resp, nil
}

// record is the outcome of one call. Only the trace's part of it may change
// after the call has returned.
type record struct {
	// begun is false until slack-go has made a request.
	begun bool
	// err is the failure of a request that got no answer.
	err    error
	status int
	header http.Header
	// parsed tells that the body was Slack's JSON.
	parsed bool
	answer answer
	html   bool

	mu          sync.Mutex
	asked, sent bool
}

type recordKey struct{}

// watch returns a context in which a request is recorded, and in which it is
// learnt whether any of it was written. A RoundTripper that is no
// http.Transport tells nothing of the latter.
func (r *record) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(context.WithValue(ctx, recordKey{}, r), &httptrace.ClientTrace{
		GetConn:      func(string) { r.flag(&r.asked) },
		WroteHeaders: func() { r.flag(&r.sent) },
	})
}

func (r *record) flag(b *bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*b = true
}

// unsent reports that the request was surely not sent.
func (r *record) unsent() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asked {
		return !r.sent
	}
	return neverSent(r.err)
}

func (r *record) success() bool { return r.parsed && r.answer.OK && r.status == http.StatusOK }

// note takes over an answer and returns the body for slack-go.
func (r *record) note(resp *http.Response, raw []byte) []byte {
	r.status, r.header = resp.StatusCode, resp.Header
	r.parsed = json.Unmarshal(raw, &r.answer, lenient) == nil
	if !r.success() {
		r.html = bytes.HasPrefix(bytes.TrimSpace(raw), []byte("<"))
		return raw
	}
	r.answer.trim()
	body, err := json.Marshal(&r.answer, lenient)
	if err != nil {
		return raw
	}
	return body
}

// lenient reads answers as encoding/json would: what Slack sends is not ours to
// refuse.
var lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// answer holds what is used of the answers of all methods.
type answer struct {
	OK       bool   `json:"ok"`
	Error    string `json:"error,omitzero"`
	Needed   string `json:"needed,omitzero"`
	Provided string `json:"provided,omitzero"`
	// Channel is an ID, or the conversation that was opened.
	Channel  jsontext.Value    `json:"channel,omitzero"`
	TS       string            `json:"ts,omitzero"`
	HasMore  bool              `json:"has_more,omitzero"`
	Messages []answeredMessage `json:"messages,omitzero"`
	Channels []answeredChannel `json:"channels,omitzero"`
	// TeamID is the workspace of the token, Team its name.
	TeamID string         `json:"team_id,omitzero"`
	Team   jsontext.Value `json:"team,omitzero"`
	// ScheduledID is of a message that is to be posted later.
	ScheduledID string `json:"scheduled_message_id,omitzero"`
	// UploadURL is where the bytes of the file FileID go.
	UploadURL string `json:"upload_url,omitzero"`
	FileID    string `json:"file_id,omitzero"`
	// UserID is the token's own user.
	UserID string `json:"user_id,omitzero"`
	// Users are the members of a user group.
	Users    []string `json:"users,omitzero"`
	Metadata struct {
		NextCursor string   `json:"next_cursor,omitzero"`
		Messages   []string `json:"messages,omitzero"`
	} `json:"response_metadata,omitzero"`
}

type answeredMessage struct {
	TS       string `json:"ts"`
	User     string `json:"user,omitzero"`
	Text     string `json:"text,omitzero"`
	ThreadTS string `json:"thread_ts,omitzero"`
	Metadata *struct {
		EventType string         `json:"event_type"`
		Payload   jsontext.Value `json:"event_payload"`
	} `json:"metadata,omitzero"`
}

type answeredChannel struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Creator string `json:"creator,omitzero"`
}

// trim leaves out the metadata of other apps, and of a conversation all but its
// ID, name and creator.
func (a *answer) trim() {
	if a.Channel.Kind() == '{' {
		var c answeredChannel
		err := json.Unmarshal(a.Channel, &c, lenient)
		if a.Channel = nil; err == nil {
			a.Channel, _ = json.Marshal(c) // two strings do not fail
		}
	}
	for n := range a.Messages {
		m := &a.Messages[n]
		if m.Metadata != nil && (!strings.HasPrefix(m.Metadata.EventType, eventPrefix) || m.Metadata.Payload.Kind() != '{') {
			m.Metadata = nil
		}
	}
}
