package slack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"github.com/tocsin-oncall/tocsin"
)

// maxReply bounds what is shown of a reply, in characters.
const maxReply = 9_000

// Reply is what is said to one person who clicked or typed a command. Its lines
// are Slack's mrkdwn: text from outside goes through Escape or Code first. Lines
// above the room of a message are cut, and what does not fit is left out with a
// word.
type Reply struct {
	Lines []string
	// Public replies are seen by everybody in the conversation.
	Public bool
	// Thread is the ts of the message in whose thread it is said; empty: in none.
	Thread string
}

// Escape returns a text from outside on one line, in at most limit characters,
// where it mentions, links and formats nothing.
func Escape(s string, limit int) string { return escape(s, limit, prose) }

// Reason says why what a person asked for was not done: the text of an error without
// what is for programs, the word conflict and the name of the field that is wrong. It
// is a text from outside, for Escape or Plain.
func Reason(err error) string {
	text := strings.TrimPrefix(err.Error(), tocsin.ErrConflict.Error()+": ")
	if errors.Is(err, tocsin.ErrInvalid) {
		if field, rest, ok := strings.Cut(text, ": "); ok && !strings.ContainsAny(field, " \n\"") {
			return rest
		}
	}
	return text
}

// Plain returns a text from outside for where Slack reads no markup, such as the
// error below a modal's input.
func Plain(s string, limit int) string { return escape(s, limit, plain) }

// Code returns a text from outside as a code span.
func Code(s string, limit int) string { return string(appendCode(nil, s, limit)) }

// Time returns a time that each reader sees in their own zone.
func Time(t time.Time) string { return string(appendTime(nil, t)) }

// blocks are the reply's sections.
func (r *Reply) blocks() []block {
	var b builder
	left := maxReply
	for n, line := range r.Lines {
		if cost := utf8.RuneCountInString(line); cost > maxSection || cost > left {
			b.line(fmt.Appendf(nil, "… and %d more %s, which do not fit here", len(r.Lines)-n, plural(uint64(len(r.Lines)-n), "line")))
			break
		}
		left -= utf8.RuneCountInString(line) + 1
		b.line([]byte(line))
	}
	b.flush()
	return b.blocks
}

// text is what notifications show: the first line.
func (r *Reply) text() string {
	if len(r.Lines) > 0 && utf8.RuneCountInString(r.Lines[0]) <= maxFallback {
		return r.Lines[0]
	}
	return "Tocsin has answered."
}

// Body is the reply as the body of an answer to a slash command, or of a message
// to a response_url
// (https://docs.slack.dev/interactivity/handling-user-interaction#message_responses).
func (r *Reply) Body() []byte {
	kind := "ephemeral"
	if r.Public {
		kind = "in_channel"
	}
	off := false
	body, err := json.Marshal(struct {
		ResponseType string  `json:"response_type"`
		Text         string  `json:"text"`
		Blocks       []block `json:"blocks,omitzero"`
		Replace      *bool   `json:"replace_original"`
		UnfurlLinks  *bool   `json:"unfurl_links"`
		ThreadTS     string  `json:"thread_ts,omitzero"`
	}{kind, r.text(), r.blocks(), &off, &off, r.Thread})
	if err != nil {
		return []byte(`{}`) // strings and booleans do not fail
	}
	return body
}

// The hosts of Slack's response URLs.
var responseHosts = []string{"hooks.slack.com", "hooks.slack-gov.com"}

// Respond says r by means of the response_url of a callback, which Slack takes 5
// times within 30 minutes. A URL that is not Slack's is not called. A permanent
// error says that this URL will not do any more; see Channel.Deliver for others.
func (c *Client) Respond(ctx context.Context, responseURL string, r Reply) error {
	const method = "response_url"
	if !c.responds(responseURL) {
		return tocsin.Permanent(errors.New("slack response_url: it does not lead to Slack, and is not called"))
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, responseURL, bytes.NewReader(r.Body()))
	if err != nil {
		return tocsin.Permanent(errors.New("slack response_url: it is not valid"))
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	resp, err := c.http.Do(req)
	if err != nil {
		return c.classifyNetwork(method, err, &record{})
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxBody)) // so that the connection is used again
	e := &apiError{method: method, status: resp.StatusCode}
	switch {
	case resp.StatusCode == http.StatusOK:
		return nil
	case resp.StatusCode == http.StatusTooManyRequests:
		return tocsin.RetryAfter(e, retryAfter(resp.Header.Get("Retry-After"), time.Now()))
	case resp.StatusCode >= 500:
		return e
	default:
		return tocsin.Permanent(e)
	}
}

const maxBody = 64 << 10

// responds reports whether a URL is Slack's, or beside the Web API that is
// configured.
func (c *Client) responds(responseURL string) bool {
	u, err := url.Parse(responseURL)
	if err != nil || u.User != nil {
		return false
	}
	if own, err := url.Parse(c.base); err == nil && own.Host != "" && own.Scheme == u.Scheme && own.Host == u.Host {
		return true
	}
	for _, host := range responseHosts {
		if u.Scheme == "https" && u.Host == host {
			return true
		}
	}
	return false
}

// Tell says r to one person in a conversation, where nobody else sees it. The
// scope chat:write is enough.
func (c *Client) Tell(ctx context.Context, channel, user string, r Reply) error {
	m := message{place: place{channel: channel}, threadTS: r.Thread, text: r.text(), blocks: r.blocks()}
	f, err := m.encode()
	if err != nil {
		return tocsin.Permanent(err)
	}
	return c.ephemeral(ctx, user, &f)
}

// Workspace returns the ID of the workspace (T…) that the token belongs to.
func (c *Client) Workspace(ctx context.Context) (id string, err error) { return c.team(ctx) }

// RunbookLines are the steps of a runbook, its commands whole or not at all, for
// a Reply. Progress tells what was done about each; nil: nobody keeps account.
func RunbookLines(rb *tocsin.Runbook, progress *tocsin.Progress) []string {
	v := view{
		Notice: &tocsin.Notice{Incident: &tocsin.Incident{Progress: progress}, Runbook: rb},
		detail: detail{steps: 40, step: 600, commands: 6, command: 1500},
	}
	v.runbook()
	v.b.flush()
	var lines []string
	for n := range v.b.blocks {
		lines = append(lines, v.b.blocks[n].Text.Text)
	}
	if target := safeURL(rb.URL); target != "" {
		lines = append(lines, "<"+target+"|The whole runbook>")
	}
	return lines
}

// State says in one line where an incident stands.
func State(i *tocsin.Incident) string {
	b := append(appendCode(nil, i.ID, 40), " is "+strings.ToLower(stateWord(i))...)
	switch i.State {
	case tocsin.Acknowledged:
		b = appendName(append(b, " by "...), i.AcknowledgedBy)
		b = appendTime(append(b, " since "...), i.AcknowledgedAt)
		if e := i.Escalation; e != nil && !e.SnoozedUntil.IsZero() {
			b = appendTime(append(b, ", snoozed until "...), e.SnoozedUntil)
		}
	case tocsin.Resolved:
		if i.ResolvedBy != "" {
			b = appendName(append(b, " by "...), i.ResolvedBy)
		}
		b = appendTime(append(b, " since "...), i.ResolvedAt)
	default:
		b = appendTime(append(b, " since "...), i.OpenedAt)
	}
	b = append(b, ": "...)
	return string(appendText(b, title(i), 200, prose))
}
