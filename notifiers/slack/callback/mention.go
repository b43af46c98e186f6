package callback

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-oncall/tocsin/notifiers/slack"
)

// spoken is what is read of Slack's app_mention and message events
// (https://docs.slack.dev/reference/events/app_mention,
// https://docs.slack.dev/reference/events/message.im).
type spoken struct {
	Subtype     string         `json:"subtype"`
	User        string         `json:"user"`
	Text        string         `json:"text"`
	TS          string         `json:"ts"`
	Thread      string         `json:"thread_ts"`
	Channel     string         `json:"channel"`
	ChannelType string         `json:"channel_type"`
	Bot         string         `json:"bot_id"`
	Profile     jsontext.Value `json:"bot_profile"`
	Edited      jsontext.Value `json:"edited"`
}

// byPerson tells what a person has just written from the messages of bots, of Slack
// itself and of Tocsin, and from edits.
func (s *spoken) byPerson(ours string) bool {
	return s.Subtype == "" && s.Bot == "" && len(s.Profile) == 0 && len(s.Edited) == 0 &&
		s.User != "" && s.User != ours && s.Channel != ""
}

// bot is the Slack ID of our bot user, or "".
func (e *envelope) bot() string {
	for _, a := range e.Authorizations {
		if a.Bot {
			return a.User
		}
	}
	return ""
}

// mentioned does what was said to a mention. The answer is for the person alone,
// unless it was asked to be public.
func (h *Handler) mentioned(ctx context.Context, e *envelope) answer {
	s := &spoken{}
	if json.Unmarshal(e.Event, s, lenient) != nil || !s.byPerson(e.bot()) {
		return ok("ignored")
	}
	return h.spoke(ctx, e, s, addressed(s.Text, e.bot(), true))
}

// messaged does what was said in the direct messages, and answers there.
func (h *Handler) messaged(ctx context.Context, e *envelope) answer {
	s := &spoken{}
	if json.Unmarshal(e.Event, s, lenient) != nil || s.ChannelType != "im" || !s.byPerson(e.bot()) {
		return ok("ignored")
	}
	return h.spoke(ctx, e, s, addressed(s.Text, e.bot(), false))
}

// addressed returns what is said behind the mention of the bot: one at the
// beginning, or anywhere. Where the bot's ID is not known, a mention at the
// beginning is taken for its.
func addressed(text, bot string, anywhere bool) string {
	rest := strings.TrimSpace(text)
	at := strings.Index(rest, "<@"+bot)
	if at < 0 || at > 0 && (!anywhere || bot == "") {
		return rest
	}
	name, behind, closed := strings.Cut(rest[at+len("<@"):], ">")
	if id, _, _ := strings.Cut(name, "|"); !closed || bot != "" && id != bot {
		return rest
	}
	return strings.TrimLeft(behind, " \t\r\n,:\u00a0")
}

// spoke has it done before Slack gets its acknowledgement: what could not be
// committed Slack sends again.
func (h *Handler) spoke(ctx context.Context, e *envelope, s *spoken, text string) answer {
	to := sender{user: s.User, channel: s.Channel, at: h.said(s.TS)}
	direct := s.ChannelType == "im"
	tell := func(outcome string, r slack.Reply) answer {
		r.Thread, r.Public = s.Thread, r.Public || direct
		return answer{outcome: outcome, after: h.say(to, r)}
	}
	who, known := h.d.Who(s.User)
	switch {
	case !known:
		return tell("stranger", slack.Reply{Lines: strangerLines(s.User)})
	case h.d.Commander == nil:
		return tell("ignored", slack.Reply{Lines: []string{"Commands are not available here."}})
	}
	r, err := h.speak(ctx, slack.Said{
		ID: "slack:" + e.ID, Who: who, User: s.User, Channel: s.Channel, Thread: s.Thread, Text: text, At: to.at,
	})
	if err == nil {
		return tell("done", r)
	}
	a := answer{outcome: "failed"}
	if h.warned.add(e.ID, h.cfg.Now()) == firstSeen {
		a = tell("failed", slack.Reply{Lines: []string{
			"⚠️ Not done yet: Tocsin cannot reach its store right now. It is tried again for some 6 minutes; if nothing is said here by then, say it again.",
		}})
	}
	a.status = http.StatusServiceUnavailable
	return a
}

// said is when a message was written: Slack sends an event again, and late, and the
// same words must mean the same times. A time that cannot be is now.
func (h *Handler) said(ts string) time.Time {
	now := h.cfg.Now()
	secs, fraction, _ := strings.Cut(ts, ".")
	n, err := strconv.ParseInt(secs, 10, 64)
	if err != nil || len(secs) > 12 {
		return now
	}
	micros, err := strconv.ParseUint((fraction + "000000")[:6], 10, 32)
	if err != nil {
		return now
	}
	at := time.Unix(n, int64(micros)*1000).In(now.Location())
	if d := now.Sub(at); d < -skew || d > eventRepeats {
		return now
	}
	return at
}
