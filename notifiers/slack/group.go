package slack

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tocsin-oncall/tocsin"
)

// UserGroup is a Slack user group, to follow who is on call. Make it with
// Client.UserGroup. It is safe for concurrent use.
type UserGroup struct {
	client *Client
	id     string
}

// UserGroup returns the user group of an ID (S…). It does not call Slack.
func (c *Client) UserGroup(id string) *UserGroup { return &UserGroup{c, id} }

// Members returns the user IDs of the group. It needs the scope usergroups:read.
// Errors are marked as those of Channel.Deliver.
func (g *UserGroup) Members(ctx context.Context) ([]string, error) {
	if err := g.check(); err != nil {
		return nil, err
	}
	return g.client.members(ctx, g.id)
}

// Set makes the users the whole of the group; doing it again changes nothing. An
// empty list is refused without a call, as Slack would refuse it: whoever
// mentions the group must reach somebody. It needs the scope usergroups:write,
// and a workspace that lets everyone manage user groups, or Slack answers
// permission_denied
// (https://docs.slack.dev/reference/methods/usergroups.users.update). Errors are
// marked as those of Channel.Deliver.
func (g *UserGroup) Set(ctx context.Context, users []string) error {
	if err := g.check(); err != nil {
		return err
	}
	users = slices.Clone(users)
	slices.Sort(users)
	users = slices.Compact(users)
	if len(users) == 0 {
		return tocsin.Permanent(errors.New("a Slack user group is never emptied: nobody is on call, so it stays as it is"))
	}
	for _, u := range users {
		if !isUser(u) {
			return tocsin.Permanent(fmt.Errorf("%q is no ID of a Slack user: correct slack of that person in users", u))
		}
	}
	return g.client.setMembers(ctx, g.id, users)
}

func (g *UserGroup) check() error {
	if !groupID.MatchString(g.id) {
		return tocsin.Permanent(fmt.Errorf("%q is no ID of a Slack user group: it begins with S", g.id))
	}
	return nil
}
