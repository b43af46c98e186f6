package slack

import (
	"context"
	"net/url"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/tocsin-oncall/tocsin"
)

// Said is what somebody typed: behind the slash command, to a mention, or in the
// direct messages. It is plain data.
type Said struct {
	// ID is the same for the same words, however often Slack sends them. Empty:
	// nothing is known to tell them by.
	ID string
	// Who is the user of the configuration who typed it.
	Who string
	// User and Channel are Slack's IDs.
	User, Channel string
	// Thread is the ts of the message in whose thread it was typed; empty: in none.
	Thread string
	// Text as Slack sends it, with its escapes, without what it was addressed to:
	// the command's name, the mention
	// (https://docs.slack.dev/messaging/formatting-message-text#escaping).
	Text string
	// At is when it was typed. Times such as "2h" are counted from it, so that the
	// same words mean the same when they come again.
	At time.Time
}

// Post says r to everybody in a conversation, in the thread that it names. See
// Channel.Deliver for the errors. It needs the scope chat:write, and the bot in
// the conversation.
func (c *Client) Post(ctx context.Context, channel string, r Reply) error {
	m := message{place: place{channel: channel}, threadTS: r.Thread, text: r.text(), blocks: r.blocks()}
	f, err := m.encode()
	if err != nil {
		return tocsin.Permanent(err)
	}
	return c.call(ctx, methodPost, func(ctx context.Context) error {
		options := append(f.options(c.base+methodPost), slackgo.UnsafeMsgOptionEndpoint(c.base+methodPost, func(v url.Values) {
			v.Del("attachments")
			v.Del("metadata")
		}))
		_, _, _, err := c.api.SendMessageContext(ctx, f.channel, options...)
		return err
	})
}
