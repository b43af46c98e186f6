package callback

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
)

// pins are the reactions that make a message a note.
var pins = []string{"pushpin", "round_pushpin"}

// pinning is a message that somebody has marked.
type pinning struct {
	User     string `json:"user"`
	Reaction string `json:"reaction"`
	Item     struct {
		Type    string `json:"type"`
		Channel string `json:"channel"`
		TS      string `json:"ts"`
	} `json:"item"`
}

// id is that of the note, whoever marks the message.
func (p *pinning) id() string { return "slack:pin:" + p.Item.Channel + "/" + p.Item.TS }

// reacted makes a note of a message in an incident's thread or channel that
// somebody has marked with a pin
// (https://docs.slack.dev/reference/events/reaction_added). The note is committed
// before the event is acknowledged.
func (h *Handler) reacted(ctx context.Context, e *envelope) answer {
	p := &pinning{}
	if err := json.Unmarshal(e.Event, p, lenient); err != nil {
		return answer{refusal: malformed("payload", "its event is not the JSON that Slack documents")}
	}
	if h.d.Message == nil || p.Item.Type != "message" || !slices.Contains(pins, p.Reaction) {
		return ok("ignored")
	}
	m, err := h.d.Message(ctx, p.Item.Channel, p.Item.TS)
	switch {
	case errors.Is(err, tocsin.ErrNotFound):
		return ok("ignored") // deleted meanwhile
	case tocsin.IsPermanent(err):
		return h.unreadable(ctx, p, err)
	case err != nil:
		return h.pinLater("the message could not be read", err)
	case m.Own:
		return ok("ignored")
	}
	inc, err := h.pinnedTo(ctx, p, &m)
	switch {
	case err != nil:
		return h.pinLater("its incident could not be found", err)
	case inc == "":
		return ok("ignored")
	}
	return h.pinned(ctx, p, &m, inc)
}

// pinnedTo returns the incident whose channel or thread a message is in, or "".
func (h *Handler) pinnedTo(ctx context.Context, p *pinning, m *slack.Found) (string, error) {
	docs, _, err := h.d.Reader.Documents(ctx, slack.ChannelDocuments)
	if err != nil {
		return "", err
	}
	if id, ok := slack.ChannelIncident(docs, p.Item.Channel); ok {
		return id, nil
	}
	if m.Thread == "" {
		return "", nil
	}
	root, err := h.d.Message(ctx, p.Item.Channel, m.Thread)
	switch {
	case errors.Is(err, tocsin.ErrNotFound), tocsin.IsPermanent(err):
		return "", nil
	case err != nil:
		return "", err
	case root.Incident == "":
		return "", nil
	}
	inc, err := h.d.Reader.Get(ctx, root.Incident)
	switch {
	case errors.Is(err, tocsin.ErrNotFound):
		return "", nil
	case err != nil:
		return "", err
	case !root.Own && !shownAt(inc, p.Item.Channel+"/"+m.Thread):
		return "", nil // somebody else's metadata
	}
	return inc.ID, nil
}

// pinned notes the message on the incident, if who marked it may.
func (h *Handler) pinned(ctx context.Context, p *pinning, m *slack.Found, incident string) answer {
	to := sender{user: p.User, channel: p.Item.Channel, at: h.cfg.Now()}
	name, known := h.d.Who(p.User)
	if !known {
		return h.stranger(to)
	}
	who := h.d.Person(name)
	inc, err := h.d.Reader.Get(ctx, incident)
	switch {
	case errors.Is(err, tocsin.ErrNotFound):
		return h.gone(to, incident)
	case err != nil:
		return h.pinLater("its incident could not be read", err)
	case !who.MayIn(tocsin.RightRespond, inc):
		return h.forbidden(to, &who, tocsin.RightRespond)
	}
	text := h.plainText(m.Text)
	if text == "" {
		return h.told("stale", to, "Nothing was noted: the message has no text.")
	}
	a := tocsin.Action{Kind: tocsin.ActNote, ID: p.id(), Via: "Slack"}
	a.By, a.Text = h.credited(m.User, who.Name, text)
	err = h.d.Actions.Act(ctx, incident, a)
	switch {
	case err == nil:
		return ok("done")
	case errors.Is(err, tocsin.ErrConflict), errors.Is(err, tocsin.ErrInvalid), errors.Is(err, tocsin.ErrNotFound):
		return h.told("stale", to, "Nothing was noted on "+slack.Code(incident, 40)+": "+slack.Escape(slack.Reason(err), 400)+".")
	default:
		return h.pinLater("the note could not be committed", err)
	}
}

// unreadable says to who marked a message that it cannot be read. In channels that
// have nothing to do with incidents nobody is told.
func (h *Handler) unreadable(ctx context.Context, p *pinning, err error) answer {
	h.log.once(h.cfg.Now(), "pin").Warn("a message that was marked in Slack could not be read; it is no note", "channel", p.Item.Channel, "error", err)
	name, known := h.d.Who(p.User)
	if who := h.d.Person(name); !known || !h.shows(ctx, &who, p.Item.Channel) {
		return ok("failed")
	}
	return h.told("failed", sender{user: p.User, channel: p.Item.Channel, at: h.cfg.Now()},
		"Nothing was noted: "+slack.Escape(err.Error(), 400)+".")
}

// shows reports whether an incident that is not archived, and that somebody may
// view, is shown in a channel.
func (h *Handler) shows(ctx context.Context, who *tocsin.Principal, channel string) bool {
	live, err := who.Reader(h.d.Reader).List(ctx, tocsin.Filter{Limit: homeScan})
	return err == nil && slices.ContainsFunc(live, func(i *tocsin.Incident) bool {
		return slices.ContainsFunc(i.Deliveries, func(d tocsin.Delivery) bool { return strings.HasPrefix(d.Ref, channel+"/") })
	})
}

// pinLater has Slack send the event again.
func (h *Handler) pinLater(what string, err error) answer {
	h.log.once(h.cfg.Now(), "pin later").Warn("a message that was marked in Slack is no note yet; Slack sends the event again", "why", what, "error", err)
	return answer{outcome: "failed", status: http.StatusServiceUnavailable}
}

// credited is whose note a message is, and its text: the writer's, where they are
// known, with who has marked it unless they did so themselves.
func (h *Handler) credited(slackID, marker, text string) (by, note string) {
	writer, known := h.d.Who(slackID)
	switch {
	case known && writer == marker:
		return writer, text
	case known:
		return writer, text + " (marked with 📌 by " + marker + ")"
	case slackID == "":
		return marker, "an app in Slack: " + text
	default:
		return marker, slackID + " in Slack: " + text
	}
}

// entities are what Slack escapes
// (https://docs.slack.dev/messaging/formatting-message-text#escaping).
var entities = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")

// plainText is a message as people see it, without the markup of names, links and
// times, in at most maxNote characters.
func (h *Handler) plainText(text string) string {
	var b strings.Builder
	for text != "" {
		before, rest, more := strings.Cut(text, "<")
		b.WriteString(entities.Replace(before))
		if !more {
			break
		}
		token, after, closed := strings.Cut(rest, ">")
		if !closed {
			b.WriteString(entities.Replace("<" + rest))
			break
		}
		b.WriteString(entities.Replace(h.token(token)))
		text = after
	}
	out := strings.TrimSpace(strings.ToValidUTF8(b.String(), "\uFFFD"))
	if utf8.RuneCountInString(out) > maxNote {
		out = string([]rune(out)[:maxNote-1]) + "…"
	}
	return out
}

// token is what stands for the inside of <…>.
func (h *Handler) token(s string) string {
	target, label, labelled := strings.Cut(s, "|")
	kind := byte(0)
	if target != "" {
		kind = target[0]
	}
	switch {
	case kind == '@':
		if name, known := h.d.Who(target[1:]); known {
			return "@" + name
		}
		if labelled {
			return "@" + strings.TrimPrefix(label, "@")
		}
		return target
	case kind == '#' && labelled && label != "":
		return "#" + label
	case kind == '!' && labelled:
		return label
	case kind == '!':
		return "@" + target[1:]
	case labelled && label != "" && label != target && !strings.HasSuffix(target, label):
		return label + " (" + target + ")"
	default:
		return target
	}
}
