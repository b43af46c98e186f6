package slack

import (
	"context"
	"net/url"
	"strings"

	slackgo "github.com/slack-go/slack"
)

// The methods of the Web API in use.
const (
	methodPost    = "chat.postMessage"
	methodUpdate  = "chat.update"
	methodHistory = "conversations.history"
	methodReplies = "conversations.replies"
	methodList    = "conversations.list"
	methodOpen    = "conversations.open"
	methodMembers = "usergroups.users.list"
	methodSet     = "usergroups.users.update"
	methodTell    = "chat.postEphemeral"
	methodView    = "views.open"
	methodTest    = "auth.test"
	methodAskFile = "files.getUploadURLExternal"
	methodAddFile = "files.completeUploadExternal"
)

// send posts or updates a message and returns the channel's ID and the
// message's time.
func (c *Client) send(ctx context.Context, method string, f *form) (id, ts string, err error) {
	err = c.call(ctx, method, func(ctx context.Context) (err error) {
		id, ts, _, err = c.api.SendMessageContext(ctx, f.channel, f.options(c.base+method)...)
		return err
	})
	return id, ts, err
}

// options tells slack-go of a message. Blocks, attachments and metadata are
// ready-made: through its typed options slack-go would encode them once more,
// which costs more than all the rest, and would write < > & as \u003c and so
// on, which take room.
func (f *form) options(endpoint string) []slackgo.MsgOption {
	out := append(make([]slackgo.MsgOption, 0, 8),
		slackgo.UnsafeMsgOptionEndpoint(endpoint, func(v url.Values) {
			v.Set("blocks", f.blocks)
			v.Set("attachments", f.attachments)
			v.Set("metadata", f.metadata)
			if f.ts != "" {
				v.Set("ts", f.ts)
			}
		}),
		slackgo.MsgOptionText(f.text, false),
		// These keep Slack from finding names and links in the text; chat.update
		// would otherwise go back to looking for them.
		slackgo.MsgOptionParse(false), slackgo.MsgOptionLinkNames(false),
	)
	if strings.HasSuffix(endpoint, methodPost) { // the others have no such arguments
		out = append(out, slackgo.MsgOptionDisableLinkUnfurl(), slackgo.MsgOptionDisableMediaUnfurl())
	}
	if f.threadTS != "" {
		out = append(out, slackgo.MsgOptionTS(f.threadTS))
	}
	if f.broadcast {
		out = append(out, slackgo.MsgOptionBroadcast())
	}
	return out
}

// page is one page of messages; an empty cursor: the last.
type page struct {
	messages []slackgo.Message
	cursor   string
}

func (c *Client) history(ctx context.Context, p *slackgo.GetConversationHistoryParameters) (page, error) {
	var out page
	err := c.call(ctx, methodHistory, func(ctx context.Context) error {
		r, err := c.api.GetConversationHistoryContext(ctx, p)
		if err != nil {
			return err
		}
		out.messages = r.Messages
		if r.HasMore {
			out.cursor = r.ResponseMetaData.NextCursor
		}
		return nil
	})
	return out, err
}

func (c *Client) replies(ctx context.Context, p *slackgo.GetConversationRepliesParameters) (page, error) {
	var out page
	err := c.call(ctx, methodReplies, func(ctx context.Context) error {
		messages, more, cursor, err := c.api.GetConversationRepliesContext(ctx, p)
		if err != nil {
			return err
		}
		out.messages = messages
		if more {
			out.cursor = cursor
		}
		return nil
	})
	return out, err
}

func (c *Client) list(ctx context.Context, p *slackgo.GetConversationsParameters) (channels []slackgo.Channel, cursor string, err error) {
	err = c.call(ctx, methodList, func(ctx context.Context) (err error) {
		channels, cursor, err = c.api.GetConversationsContext(ctx, p)
		return err
	})
	return channels, cursor, err
}

// open opens the direct messages with a person and returns their ID.
func (c *Client) open(ctx context.Context, user string) (id string, err error) {
	err = c.call(ctx, methodOpen, func(ctx context.Context) error {
		ch, _, _, err := c.api.OpenConversationContext(ctx, &slackgo.OpenConversationParameters{Users: []string{user}})
		if err == nil && ch != nil {
			id = ch.ID
		}
		return err
	})
	return id, err
}

func (c *Client) members(ctx context.Context, group string) (users []string, err error) {
	err = c.call(ctx, methodMembers, func(ctx context.Context) (err error) {
		users, err = c.api.GetUserGroupMembersContext(ctx, group)
		return err
	})
	return users, err
}

func (c *Client) setMembers(ctx context.Context, group string, users []string) error {
	return c.call(ctx, methodSet, func(ctx context.Context) error {
		_, err := c.api.UpdateUserGroupMembersListContext(ctx, group, users)
		return err
	})
}

// ephemeral posts what one person sees.
func (c *Client) ephemeral(ctx context.Context, user string, f *form) error {
	return c.call(ctx, methodTell, func(ctx context.Context) error {
		options := append(f.options(c.base+methodTell), slackgo.UnsafeMsgOptionEndpoint(c.base+methodTell, func(v url.Values) {
			v.Set("user", user)
			v.Del("attachments")
			v.Del("metadata")
		}))
		_, _, _, err := c.api.SendMessageContext(ctx, f.channel, options...)
		return err
	})
}

func (c *Client) openView(ctx context.Context, trigger string, v slackgo.ModalViewRequest) error {
	return c.call(ctx, methodView, func(ctx context.Context) error {
		_, err := c.api.OpenViewContext(ctx, trigger, v)
		return err
	})
}

// team returns the ID of the token's workspace.
func (c *Client) team(ctx context.Context) (id string, err error) {
	err = c.call(ctx, methodTest, func(ctx context.Context) error {
		r, err := c.api.AuthTestContext(ctx)
		if err == nil {
			id = r.TeamID
		}
		return err
	})
	return id, err
}
