package slack

import (
	"context"
	"errors"
	"regexp"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// reachFresh is how long it counts that Slack knows a person's account.
const reachFresh = time.Hour

// The IDs of Slack's users and user groups. What has another form is never
// written where Slack would read it as a mention.
var (
	userID  = regexp.MustCompile(`^[UW][A-Z0-9]{2,20}$`)
	groupID = regexp.MustCompile(`^S[A-Z0-9]{2,20}$`)
)

func isUser(id string) bool { return userID.MatchString(id) }

// Person returns the direct messages with the person of a user ID (U…, W…). The
// same ID yields the same Channel. It needs the scopes chat:write and im:write,
// and im:history to look messages up; without im:write it cannot be told that an
// account is deactivated, and posts all the same.
func (c *Client) Person(userID string) *Channel { return c.Channel(userID) }

// open opens the direct messages and returns their ID, which chat.update and the
// history need: they do not take a user's.
func (ch *Channel) open(ctx context.Context) (string, error) {
	id, err := ch.client.open(ctx, ch.name)
	if err == nil && id == "" {
		err = errors.New("slack " + methodOpen + ": the answer names no conversation")
	}
	if err != nil {
		return "", err
	}
	ch.learn(id + "/")
	return id, nil
}

// reach returns an error when a person surely cannot be reached. It asks before
// a new message is posted, at most once in reachFresh: Slack takes messages for
// deactivated accounts and says nothing
// (github.com/slackapi/python-slack-sdk/issues/1156). Where Slack gives no clear
// answer the message itself is the better question.
func (ch *Channel) reach(ctx context.Context) error {
	if !isUser(ch.name) || !ch.stale(time.Now()) {
		return nil
	}
	_, err := ch.open(ctx)
	switch code := codeOf(err); code {
	case "user_not_found", "user_disabled", "user_is_deactivated", "cannot_dm_bot":
		return err
	}
	if err == nil || tocsin.IsPermanent(err) {
		ch.mu.Lock()
		defer ch.mu.Unlock()
		ch.reached = time.Now()
	}
	return nil
}

func (ch *Channel) stale(now time.Time) bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return now.Sub(ch.reached) > reachFresh
}

// appendMention writes the mention of a user group or a user, and a space after
// it; of anything else nothing
// (https://docs.slack.dev/messaging/formatting-message-text#mentioning-groups).
func appendMention(b []byte, id string) []byte {
	switch {
	case groupID.MatchString(id):
		return append(b, "<!subteam^"+id+"> "...)
	case userID.MatchString(id):
		return append(b, "<@"+id+"> "...)
	default:
		return b
	}
}
