package slacktest_test

import (
	"strings"
	"testing"

	slackgo "github.com/slack-go/slack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// The whole life of a channel, as slack-go drives it.
func TestRooms(t *testing.T) {
	t.Parallel()
	s := slacktest.New(slacktest.WithToken("all"), slacktest.WithToken("public", "channels:manage"), slacktest.WithToken("narrow", "channels:write.topic"))
	api := func(token string) *slackgo.Client {
		return slackgo.New(token, slackgo.OptionAPIURL(slacktest.URL), slackgo.OptionHTTPClient(s.Client()))
	}
	all := api("all")
	ana := s.AddUser(slacktest.User{Name: "ana"})
	gone := s.AddUser(slacktest.User{Name: "gone", Deactivated: true})
	create := func(c *slackgo.Client, name string, private bool) (string, error) {
		ch, err := c.CreateConversation(slackgo.CreateConversationParams{ChannelName: name, IsPrivate: private})
		if err != nil {
			return "", err
		}
		return ch.ID, nil
	}
	for name, want := range map[string]string{
		"": "invalid_name_required", "Node": "invalid_name_specials", "a b": "invalid_name_specials", "--": "invalid_name_punctuation",
		strings.Repeat("a", 81): "invalid_name_maxlength",
	} {
		_, err := create(all, name, false)
		assert.EqualError(t, err, want, name)
	}
	_, err := create(api("public"), "secret", true)
	assert.EqualError(t, err, "missing_scope")
	_, err = create(api("narrow"), "inc-1", false)
	assert.EqualError(t, err, "missing_scope")
	id, err := create(api("public"), "inc-1", false)
	require.NoError(t, err)
	_, err = create(all, "inc-1", false)
	assert.EqualError(t, err, "name_taken")

	_, err = api("narrow").SetTopicOfConversation(id, "calm")
	require.NoError(t, err)
	_, err = all.SetTopicOfConversation(id, strings.Repeat("ä", 251))
	assert.EqualError(t, err, "too_long")
	for users, want := range map[string]string{slacktest.BotUserID: "cant_invite_self", "U0NOBODY01": "user_not_found", ana + "," + gone: "user_not_found"} {
		_, err = all.InviteUsersToConversation(id, strings.Split(users, ",")...)
		assert.EqualError(t, err, want)
	}
	_, err = api("narrow").InviteUsersToConversation(id, ana)
	assert.EqualError(t, err, "missing_scope")
	_, err = all.InviteUsersToConversation(id, ana)
	require.NoError(t, err)
	_, err = all.InviteUsersToConversation(id, ana)
	assert.EqualError(t, err, "already_in_channel")

	_, ts, err := all.PostMessage(id, slackgo.MsgOptionText("hello", false))
	require.NoError(t, err)
	pin := slackgo.NewRefToMessage(id, ts)
	require.EqualError(t, api("public").AddPin(id, pin), "missing_scope")
	require.NoError(t, all.AddPin(id, pin))
	require.EqualError(t, all.AddPin(id, pin), "already_pinned")
	require.EqualError(t, all.AddPin(id, slackgo.NewRefToMessage(id, "1.000001")), "message_not_found")
	items, _, err := all.ListPins(id)
	require.NoError(t, err)
	require.Len(t, items, 1)
	require.NoError(t, all.RemovePin(id, pin))
	require.EqualError(t, all.RemovePin(id, pin), "no_pin")

	_, err = all.RenameConversation(id, "inc-one")
	require.NoError(t, err)
	require.EqualError(t, all.UnArchiveConversation(id), "not_archived")
	require.NoError(t, all.ArchiveConversation(id))
	require.EqualError(t, all.ArchiveConversation(id), "already_archived")
	require.EqualError(t, all.UnArchiveConversation(id), "not_in_channel", "a bot cannot")
	require.EqualError(t, all.AddPin(id, pin), "is_archived")
	_, err = create(all, "inc-one", false)
	assert.EqualError(t, err, "name_taken", "an archived channel keeps its name")

	r, ok := s.Room(id)
	require.True(t, ok)
	assert.Equal(t, slacktest.Room{ID: id, Name: "inc-one", Topic: "calm", Creator: slacktest.BotUserID, Archived: true, People: []string{ana}, Pins: []string{}}, r)
	s.DeleteChannel(id)
	require.EqualError(t, all.ArchiveConversation(id), "channel_not_found")
}

func TestReactionsAreTold(t *testing.T) {
	t.Parallel()
	s := slacktest.New(slacktest.WithToken("poor", "chat:write"))
	id := s.AddChannel("incidents")
	ts := s.Say(id, "U0ANA00001", "hello", "")
	a, err := s.React(id, ts, "U0ANA00001", "pushpin")
	require.NoError(t, err)
	assert.Zero(t, a, "without reactions:read nothing is told")
	s.AddToken("rich", "reactions:read")
	_, err = s.React(id, ts, "U0ANA00001", "pushpin")
	require.Error(t, err, "there is no events URL")
	assert.Equal(t, []string{"pushpin"}, s.Messages(id)[0].Reactions)
	assert.Contains(t, string(s.Reaction(id, ts, "U0ANA00001", "pushpin")), `"reaction":"pushpin"`)
}
