package slack

import (
	"context"
	"errors"

	slackgo "github.com/slack-go/slack"

	"github.com/tocsin-oncall/tocsin"
)

// The methods of the Web API in use for incident channels.
const (
	methodCreate  = "conversations.create"
	methodInvite  = "conversations.invite"
	methodTopic   = "conversations.setTopic"
	methodArchive = "conversations.archive"
	methodPin     = "pins.add"
)

// createChannel makes a channel and returns its ID. An error after which there may
// be one is unclear.
func (c *Client) createChannel(ctx context.Context, name string, private bool) (id string, err error) {
	err = c.call(ctx, methodCreate, func(ctx context.Context) error {
		ch, err := c.api.CreateConversationContext(ctx, slackgo.CreateConversationParams{ChannelName: name, IsPrivate: private})
		if err == nil {
			id = ch.ID
		}
		return err
	})
	_, paused := tocsin.RetryDelay(err)
	switch code := codeOf(err); {
	case err == nil && id == "":
		return "", tocsin.Unclear(errors.New("slack " + methodCreate + ": the answer names no channel"))
	case err != nil && !paused && !tocsin.IsPermanent(err) && (code == "" || unclearCodes[code]):
		return "", tocsin.Unclear(err)
	}
	return id, err
}

// channelNamed returns the channel of a name that is not archived, or a zero one.
func (c *Client) channelNamed(ctx context.Context, name string, private bool) (slackgo.Channel, error) {
	kind := "public_channel"
	if private {
		kind = "private_channel"
	}
	params := &slackgo.GetConversationsParameters{Types: []string{kind}, Limit: lookupPage, ExcludeArchived: true}
	for range lookupPages {
		channels, cursor, err := c.list(ctx, params)
		if err != nil {
			return slackgo.Channel{}, err
		}
		for n := range channels {
			if channels[n].Name == name {
				return channels[n], nil
			}
		}
		if params.Cursor = cursor; cursor == "" {
			break
		}
	}
	return slackgo.Channel{}, nil
}

func (c *Client) invite(ctx context.Context, channel string, users ...string) error {
	return c.call(ctx, methodInvite, func(ctx context.Context) error {
		_, err := c.api.InviteUsersToConversationContext(ctx, channel, users...)
		return err
	})
}

func (c *Client) setTopic(ctx context.Context, channel, topic string) error {
	return c.call(ctx, methodTopic, func(ctx context.Context) error {
		_, err := c.api.SetTopicOfConversationContext(ctx, channel, topic)
		return err
	})
}

func (c *Client) archive(ctx context.Context, channel string) error {
	return c.call(ctx, methodArchive, func(ctx context.Context) error {
		return c.api.ArchiveConversationContext(ctx, channel)
	})
}

func (c *Client) pin(ctx context.Context, channel, ts string) error {
	return c.call(ctx, methodPin, func(ctx context.Context) error {
		return c.api.AddPinContext(ctx, channel, slackgo.NewRefToMessage(channel, ts))
	})
}

// bot returns the ID of the token's own user, which Slack is asked for once.
func (c *Client) bot(ctx context.Context) (string, error) {
	c.mu.Lock()
	id := c.self
	c.mu.Unlock()
	if id != "" {
		return id, nil
	}
	err := c.call(ctx, methodTest, func(ctx context.Context) error {
		r, err := c.api.AuthTestContext(ctx)
		if err == nil {
			id = r.UserID
		}
		return err
	})
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.self = id
	return id, nil
}

// Found is a message that somebody pointed at.
type Found struct {
	// User who wrote it (U…); empty for some apps' messages. Text is as Slack keeps
	// it, with its markup.
	User, Text string
	// Thread is the ts of the thread's first message; empty: it is in none.
	Thread string
	// Own messages are this app's.
	Own bool
	// Incident whose message it is, by its metadata; empty: it is none. Anybody can
	// write metadata.
	Incident string
}

// Message returns one message of a conversation, also of a thread. It needs the
// scope channels:history (groups:history where it is private). An error of
// tocsin.ErrNotFound says that there is none; see Channel.Deliver for others.
func (c *Client) Message(ctx context.Context, channel, ts string) (Found, error) {
	self, err := c.bot(ctx)
	if err != nil {
		return Found{}, err
	}
	// The parent alone, or the reply alone: either way the one with this ts.
	p, err := c.replies(ctx, &slackgo.GetConversationRepliesParameters{
		ChannelID: channel, Timestamp: ts, Oldest: ts, Latest: ts, Inclusive: true, IncludeAllMetadata: true, Limit: 2,
	})
	switch {
	case messageGone(err):
		return Found{}, tocsin.ErrNotFound
	case err != nil:
		return Found{}, err
	}
	for n := range p.messages {
		m := &p.messages[n]
		if m.Timestamp != ts {
			continue
		}
		f := Found{User: m.User, Text: m.Text, Own: m.User == self}
		if m.ThreadTimestamp != ts {
			f.Thread = m.ThreadTimestamp
		}
		if about, ok := about(m, eventIncident); ok {
			f.Incident = about.Incident
		}
		return f, nil
	}
	return Found{}, tocsin.ErrNotFound
}
