package slacktest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	slackgo "github.com/slack-go/slack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// both runs a test with the official Go client over a socket and without one.
func both(t *testing.T, opts []slacktest.Option, fn func(t *testing.T, s *slacktest.Server, api *slackgo.Client)) {
	t.Helper()
	opts = append([]slacktest.Option{slacktest.WithAutoCreate()}, opts...)
	t.Run("socket", func(t *testing.T) {
		t.Parallel()
		s := slacktest.New(opts...)
		server := httptest.NewServer(s)
		t.Cleanup(func() { s.Close(); server.Close() })
		fn(t, s, slackgo.New("xoxb-1", slackgo.OptionAPIURL(server.URL+"/api/"), slackgo.OptionAppLevelToken("xapp-1")))
	})
	t.Run("socketless", func(t *testing.T) {
		t.Parallel()
		s := slacktest.New(opts...)
		fn(t, s, slackgo.New("xoxb-1", slackgo.OptionAPIURL(slacktest.URL), slackgo.OptionAppLevelToken("xapp-1"), slackgo.OptionHTTPClient(s.Client())))
	})
}

func TestSlackGoPostsUpdatesAndReads(t *testing.T) {
	t.Parallel()
	both(t, nil, func(t *testing.T, s *slacktest.Server, api *slackgo.Client) {
		auth, err := api.AuthTestContext(t.Context())
		require.NoError(t, err)
		assert.Equal(t, slacktest.BotUserID, auth.UserID)

		section := slackgo.NewSectionBlock(slackgo.NewTextBlockObject("mrkdwn", "*hi* `there`", false, false), nil, nil)
		button := slackgo.NewActionBlock("a", slackgo.NewButtonBlockElement("ack", "v", slackgo.NewTextBlockObject("plain_text", "Ack", false, false)))
		meta := slackgo.SlackMetadata{EventType: "e", EventPayload: map[string]any{"id": "7"}}
		id, ts, err := api.PostMessageContext(t.Context(), "#ops", slackgo.MsgOptionText("hi", false),
			slackgo.MsgOptionBlocks(section, button), slackgo.MsgOptionMetadata(meta),
			slackgo.MsgOptionAttachments(slackgo.Attachment{Color: "danger", Text: "bar"}))
		require.NoError(t, err)
		assert.Regexp(t, `^C[0-9A-Z]{10}$`, id)
		assert.Regexp(t, `^\d{9,10}\.\d{6}$`, ts)

		_, reply, _, err := api.SendMessageContext(t.Context(), "ops", slackgo.MsgOptionText("reply", false), slackgo.MsgOptionTS(ts), slackgo.MsgOptionBroadcast())
		require.NoError(t, err)
		_, _, _, err = api.UpdateMessageContext(t.Context(), id, ts, slackgo.MsgOptionText("changed", false), slackgo.MsgOptionBlocks(section))
		require.NoError(t, err)

		h, err := api.GetConversationHistoryContext(t.Context(), &slackgo.GetConversationHistoryParameters{ChannelID: id, IncludeAllMetadata: true})
		require.NoError(t, err)
		require.Len(t, h.Messages, 2, "the broadcast reply is seen in the channel")
		assert.Equal(t, reply, h.Messages[0].Timestamp)
		assert.Equal(t, "thread_broadcast", h.Messages[0].SubType)
		assert.Equal(t, "changed", h.Messages[1].Text)
		assert.Equal(t, "e", h.Messages[1].Metadata.EventType)
		assert.Equal(t, map[string]any{"id": "7"}, h.Messages[1].Metadata.EventPayload)
		assert.Equal(t, 1, h.Messages[1].ReplyCount)
		assert.NotNil(t, h.Messages[1].Edited)
		assert.Len(t, h.Messages[1].Attachments, 1, "attachments that an update leaves out stay")

		replies, _, _, err := api.GetConversationRepliesContext(t.Context(), &slackgo.GetConversationRepliesParameters{ChannelID: id, Timestamp: ts})
		require.NoError(t, err)
		require.Len(t, replies, 2)
		assert.Equal(t, "reply", replies[1].Text)
		assert.Empty(t, replies[0].Metadata.EventType, "metadata comes when asked for")

		require.NoError(t, api.AddReactionContext(t.Context(), "eyes", slackgo.NewRefToMessage(id, ts)))
		require.EqualError(t, api.AddReactionContext(t.Context(), "eyes", slackgo.NewRefToMessage(id, ts)), "already_reacted")

		got := s.Messages("ops")
		require.Len(t, got, 1)
		assert.Equal(t, 1, got[0].Edits)
		assert.Equal(t, []string{"eyes"}, got[0].Reactions)
		assert.True(t, got[0].Replies[0].Broadcast)

		_, _, err = api.DeleteMessageContext(t.Context(), id, ts)
		require.NoError(t, err)
		_, _, _, err = api.UpdateMessageContext(t.Context(), id, ts, slackgo.MsgOptionText("x", false))
		require.EqualError(t, err, "message_not_found")
		assert.Equal(t, 2, s.Calls("chat.update"))
	})
}

func TestSlackGoUsersGroupsAndConversations(t *testing.T) {
	t.Parallel()
	both(t, nil, func(t *testing.T, s *slacktest.Server, api *slackgo.Client) {
		ctx := t.Context()
		ana := s.AddUser(slacktest.User{Name: "ana", RealName: "Ana", Email: "ana@example.com", TimeZone: "Europe/Madrid"})
		u, err := api.GetUserByEmailContext(ctx, "ANA@example.com")
		require.NoError(t, err)
		assert.Equal(t, ana, u.ID)
		u, err = api.GetUserInfoContext(ctx, ana)
		require.NoError(t, err)
		assert.Equal(t, "Europe/Madrid", u.TZ)
		_, err = api.GetUserInfoContext(ctx, "U0NOBODY")
		require.EqualError(t, err, "user_not_found")

		group := s.AddUserGroup(slacktest.UserGroup{Handle: "oncall", Name: "On call"})
		_, err = api.UpdateUserGroupMembersContext(ctx, group, ana)
		require.NoError(t, err)
		assert.Equal(t, []string{ana}, s.GroupMembers(group))
		_, err = api.UpdateUserGroupMembersContext(ctx, group, "")
		require.EqualError(t, err, "no_users_provided")
		_, err = api.UpdateUserGroupMembersContext(ctx, group, "U0NOBODY")
		require.EqualError(t, err, "invalid_users")
		groups, err := api.GetUserGroupsContext(ctx)
		require.NoError(t, err)
		assert.Len(t, groups, 1)

		dm, _, _, err := api.OpenConversationContext(ctx, &slackgo.OpenConversationParameters{Users: []string{ana}, ReturnIM: true})
		require.NoError(t, err)
		assert.Regexp(t, "^D", dm.ID)
		_, _, err = api.PostMessageContext(ctx, dm.ID, slackgo.MsgOptionText("psst", false))
		require.NoError(t, err)

		for k := range 5 {
			s.AddChannel(fmt.Sprint("c", k))
		}
		list, cursor, err := api.GetConversationsContext(ctx, &slackgo.GetConversationsParameters{Limit: 3})
		require.NoError(t, err)
		assert.Len(t, list, 3)
		rest, cursor, err := api.GetConversationsContext(ctx, &slackgo.GetConversationsParameters{Limit: 3, Cursor: cursor})
		require.NoError(t, err)
		assert.Len(t, rest, 2)
		assert.Empty(t, cursor)
		id := s.AddChannel("c1")
		s.SetMember("c1", false)
		_, _, _, err = api.JoinConversationContext(ctx, id)
		require.NoError(t, err)
		info, err := api.GetConversationInfoContext(ctx, &slackgo.GetConversationInfoInput{ChannelID: id})
		require.NoError(t, err)
		assert.True(t, info.IsMember)

		view := slackgo.ModalViewRequest{
			Type: "modal", Title: slackgo.NewTextBlockObject("plain_text", "T", false, false),
			Blocks: slackgo.Blocks{BlockSet: []slackgo.Block{slackgo.NewDividerBlock()}},
		}
		opened, err := api.OpenViewContext(ctx, s.Trigger(ana), view)
		require.NoError(t, err)
		_, err = api.UpdateViewContext(ctx, view, "", "", opened.ID)
		require.NoError(t, err)
		_, err = api.UpdateViewContext(ctx, view, "", "", "V0NONE")
		require.EqualError(t, err, "not_found")
		_, err = api.PublishViewContext(ctx, slackgo.PublishViewContextRequest{UserID: ana, View: slackgo.HomeTabViewRequest{Type: "home", Blocks: view.Blocks}})
		require.NoError(t, err)
		_, link, err := api.StartSocketModeContext(ctx)
		require.NoError(t, err)
		require.Contains(t, link, "/link?ticket=")
	})
}

func TestSlackGoSpeaksToPeople(t *testing.T) {
	t.Parallel()
	opts := []slacktest.Option{slacktest.WithToken("xoxb-1"), slacktest.WithToken("xoxb-few", "chat:write", "channels:history")}
	both(t, opts, func(t *testing.T, s *slacktest.Server, api *slackgo.Client) {
		ctx := t.Context()
		ana := s.AddUser(slacktest.User{Name: "ana"})
		id, ts, err := api.PostMessageContext(ctx, ana, slackgo.MsgOptionText("psst", false))
		require.NoError(t, err)
		assert.Regexp(t, "^D", id, "a message to a user's ID opens the direct messages")
		dm, _, _, err := api.OpenConversationContext(ctx, &slackgo.OpenConversationParameters{Users: []string{ana}})
		require.NoError(t, err)
		assert.Equal(t, id, dm.ID)
		_, _, _, err = api.UpdateMessageContext(ctx, ana, ts, slackgo.MsgOptionText("no", false))
		require.EqualError(t, err, "channel_not_found", "chat.update takes the conversation's own ID alone")
		_, _, _, err = api.UpdateMessageContext(ctx, id, ts, slackgo.MsgOptionText("yes", false))
		require.NoError(t, err)
		_, _, err = api.PostMessageContext(ctx, id, slackgo.MsgOptionText("reply", false), slackgo.MsgOptionTS(ts), slackgo.MsgOptionBroadcast())
		require.NoError(t, err)
		assert.True(t, s.Messages(ana)[0].Replies[0].Broadcast)

		_, _, err = api.PostMessageContext(ctx, slacktest.BotUserID, slackgo.MsgOptionText("me", false))
		require.EqualError(t, err, "cannot_dm_bot")
		_, _, err = api.PostMessageContext(ctx, "U0NOBODY01", slackgo.MsgOptionText("who", false))
		require.EqualError(t, err, "channel_not_found")
		s.Deactivate(ana, true)
		_, _, err = api.PostMessageContext(ctx, ana, slackgo.MsgOptionText("gone", false))
		require.NoError(t, err, "as the real one")
		_, _, _, err = api.OpenConversationContext(ctx, &slackgo.OpenConversationParameters{Users: []string{ana}})
		require.EqualError(t, err, "user_disabled")
		group := s.AddUserGroup(slacktest.UserGroup{Handle: "oncall"})
		_, err = api.UpdateUserGroupMembersContext(ctx, group, ana)
		require.EqualError(t, err, "invalid_users")
		_, err = api.UpdateUserGroupMembersContext(ctx, group, slacktest.BotUserID)
		require.EqualError(t, err, "invalid_user")
		last := s.Requests()[len(s.Requests())-1]
		assert.Equal(t, group, last.UserGroup)
		assert.Equal(t, slacktest.BotUserID, last.Users)
		out := call(t, s, "conversations.history", "xoxb-few", map[string]any{"channel": id})
		assert.Equal(t, "missing_scope", out["error"], "channels:history does not read direct messages")
	})
}

// call posts JSON and returns the error code; "" is a success.
func call(t *testing.T, s *slacktest.Server, method, token string, args map[string]any) map[string]any {
	t.Helper()
	body, err := json.Marshal(args)
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, slacktest.URL+method, strings.NewReader(string(body)))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := s.Client().Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	var out map[string]any
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&out))
	return out
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := slacktest.New(slacktest.WithToken("good"), slacktest.WithToken("poor", "users:read"), slacktest.WithToken("old"))
	s.RevokeToken("old")
	open, shut, private, foreign := s.AddChannel("open"), s.AddChannel("shut"), s.AddChannel("private"), s.AddChannel("foreign")
	s.SetArchived(shut, true)
	s.SetPrivate(private, true)
	s.SetMember(private, false)
	s.SetMember(foreign, false)
	theirs := s.Say("open", "U0ANA", "mine", "")
	text := func(channel string) map[string]any { return map[string]any{"channel": channel, "text": "x"} }
	for _, c := range []struct {
		method, token, want string
		args                map[string]any
	}{
		{"chat.postMessage", "", "not_authed", text(open)},
		{"chat.postMessage", "bad", "invalid_auth", text(open)},
		{"chat.postMessage", "old", "token_revoked", text(open)},
		{"chat.postMessage", "poor", "missing_scope", text(open)},
		{"chat.postMessage", "good", "channel_not_found", text("#nowhere")},
		{"chat.postMessage", "good", "channel_not_found", text(private)},
		{"chat.postMessage", "good", "not_in_channel", text(foreign)},
		{"chat.postMessage", "good", "is_archived", text("#shut")},
		{"chat.postMessage", "good", "no_text", map[string]any{"channel": open, "text": " "}},
		{"chat.postMessage", "good", "msg_too_long", map[string]any{"channel": open, "text": strings.Repeat("漢", 40_001)}},
		{"chat.postMessage", "good", "invalid_metadata_format", map[string]any{"channel": open, "text": "x", "metadata": "no"}},
		{"chat.update", "good", "message_not_found", map[string]any{"channel": open, "ts": "1.000000", "text": "x"}},
		{"chat.update", "good", "channel_not_found", map[string]any{"channel": "#open", "ts": theirs, "text": "x"}},
		{"chat.update", "good", "cant_update_message", map[string]any{"channel": open, "ts": theirs, "text": "x"}},
		{"chat.delete", "good", "cant_delete_message", map[string]any{"channel": open, "ts": theirs}},
		{"conversations.history", "good", "not_in_channel", map[string]any{"channel": foreign}},
		{"conversations.history", "good", "invalid_cursor", map[string]any{"channel": open, "cursor": "x"}},
		{"conversations.replies", "good", "thread_not_found", map[string]any{"channel": open, "ts": "1.0"}},
		{"usergroups.users.update", "good", "no_such_subteam", map[string]any{"usergroup": "S1", "users": "U1"}},
		{"chat.scream", "good", "unknown_method", nil},
	} {
		got := call(t, s, c.method, c.token, c.args)
		assert.Equal(t, false, got["ok"], "%v", c)
		assert.Equal(t, c.want, got["error"], "%v", c)
	}
	assert.Equal(t, "chat:write", call(t, s, "chat.postMessage", "poor", text(open))["needed"])
	assert.Len(t, s.Messages("open"), 1)
}

func TestBlockKitLimits(t *testing.T) {
	t.Parallel()
	s := slacktest.New(slacktest.WithAutoCreate())
	long := func(n int) string { return strings.Repeat("漢", n) }
	plain := func(n int) map[string]any { return map[string]any{"type": "plain_text", "text": long(n)} }
	section := map[string]any{"type": "section", "text": plain(1)}
	button := func(change map[string]any) map[string]any {
		b := map[string]any{"type": "button", "text": plain(1)}
		for k, v := range change {
			b[k] = v
		}
		return map[string]any{"type": "actions", "elements": []any{b}}
	}
	repeat := func(n int, v any) []any {
		var out []any
		for range n {
			out = append(out, v)
		}
		return out
	}
	for _, c := range []struct {
		name, want string
		blocks     any
	}{
		{"section of 3000", "", []any{map[string]any{"type": "section", "text": plain(3000)}}},
		{"section of 3001", "invalid_blocks", []any{map[string]any{"type": "section", "text": plain(3001)}}},
		{"empty section", "invalid_blocks", []any{map[string]any{"type": "section", "text": plain(0)}}},
		{"section without text", "invalid_blocks", []any{map[string]any{"type": "section"}}},
		{"50 blocks", "", repeat(50, section)},
		{"51 blocks", "invalid_blocks", repeat(51, section)},
		{"header of 150", "", []any{map[string]any{"type": "header", "text": plain(150)}}},
		{"header of 151", "invalid_blocks", []any{map[string]any{"type": "header", "text": plain(151)}}},
		{"header in mrkdwn", "invalid_blocks", []any{map[string]any{"type": "header", "text": map[string]any{"type": "mrkdwn", "text": "x"}}}},
		{"10 fields", "", []any{map[string]any{"type": "section", "fields": repeat(10, plain(1))}}},
		{"11 fields", "invalid_blocks", []any{map[string]any{"type": "section", "fields": repeat(11, plain(1))}}},
		{"field of 2001", "invalid_blocks", []any{map[string]any{"type": "section", "fields": repeat(1, plain(2001))}}},
		{"11 context elements", "invalid_blocks", []any{map[string]any{"type": "context", "elements": repeat(11, plain(1))}}},
		{"26 buttons", "invalid_blocks", []any{map[string]any{"type": "actions", "elements": repeat(26, map[string]any{"type": "button", "text": plain(1)})}}},
		{"button", "", []any{button(map[string]any{"value": long(2000), "url": "https://x.example/", "style": "danger"})}},
		{"button value", "invalid_blocks", []any{button(map[string]any{"value": long(2001)})}},
		{"button text", "invalid_blocks", []any{button(map[string]any{"text": plain(76)})}},
		{"button style", "invalid_blocks", []any{button(map[string]any{"style": "loud"})}},
		{"button URL", "invalid_blocks", []any{button(map[string]any{"url": "javascript:alert(1)"})}},
		{"action ID", "invalid_blocks", []any{button(map[string]any{"action_id": long(256)})}},
		{"block ID", "invalid_blocks", []any{map[string]any{"type": "divider", "block_id": long(256)}}},
		{"same block ID twice", "invalid_blocks", repeat(2, map[string]any{"type": "divider", "block_id": "x"})},
		{"unknown block", "invalid_blocks", []any{map[string]any{"type": "banner"}}},
		{"unknown property", "invalid_blocks", []any{map[string]any{"type": "divider", "wide": true}}},
		{"emoji in mrkdwn", "invalid_blocks", []any{map[string]any{"type": "section", "text": map[string]any{"type": "mrkdwn", "text": "x", "emoji": true}}}},
		{"image without alt text", "invalid_blocks", []any{map[string]any{"type": "image", "image_url": "https://x.example/"}}},
		{"markdown", "invalid_blocks", []any{map[string]any{"type": "markdown", "text": long(12_001)}}},
		{"all together too long", "msg_blocks_too_long", repeat(5, map[string]any{"type": "section", "text": plain(2900)})},
		{"no list", "invalid_blocks_format", map[string]any{"type": "divider"}},
	} {
		got := call(t, s, "chat.postMessage", "t", map[string]any{"channel": "#c", "text": "x", "blocks": c.blocks})
		want := any(nil)
		if c.want != "" {
			want = c.want
		}
		assert.Equal(t, want, got["error"], c.name)
		if c.want == "invalid_blocks" {
			assert.Contains(t, fmt.Sprint(got["response_metadata"]), "[json-pointer:/blocks", c.name)
		}
		attached := call(t, s, "chat.postMessage", "t", map[string]any{"channel": "#c", "attachments": []any{map[string]any{"blocks": c.blocks}}})
		assert.Equal(t, c.want == "", attached["ok"], "in an attachment: %s", c.name)
	}
}

func TestFormsQueriesAndTokensInTheBody(t *testing.T) {
	t.Parallel()
	s := slacktest.New(slacktest.WithAutoCreate(), slacktest.WithToken("xoxb-1"))
	form := url.Values{"token": {"xoxb-1"}, "channel": {"ops"}, "text": {"hi"}, "blocks": {`[{"type":"divider"}]`}}
	resp, err := s.Client().PostForm(slacktest.URL+"chat.postMessage", form)
	require.NoError(t, err)
	_ = resp.Body.Close()
	require.Len(t, s.Messages("#ops"), 1)
	resp, err = s.Client().Get(slacktest.URL + "conversations.history?token=xoxb-1&channel=" + s.AddChannel("ops"))
	require.NoError(t, err)
	raw, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	require.NoError(t, err)
	assert.Contains(t, string(raw), `"text":"hi"`)
}

func TestHistoryPages(t *testing.T) {
	t.Parallel()
	s := slacktest.New()
	id := s.AddChannel("c")
	var stamps []string
	for k := range 25 {
		stamps = append(stamps, s.Say("c", "U1", fmt.Sprint(k), ""))
	}
	api := slackgo.New("t", slackgo.OptionHTTPClient(s.Client()))
	var got []string
	p := &slackgo.GetConversationHistoryParameters{ChannelID: id, Limit: 10, Oldest: stamps[2], Latest: stamps[23]}
	pages := 0
	for {
		h, err := api.GetConversationHistoryContext(t.Context(), p)
		require.NoError(t, err)
		pages++
		for _, m := range h.Messages {
			got = append(got, m.Text)
		}
		if !h.HasMore {
			break
		}
		p.Cursor = h.ResponseMetaData.NextCursor
	}
	assert.Equal(t, 2, pages)
	require.Len(t, got, 20, "both ends are left out")
	assert.Equal(t, "22", got[0])
	assert.Equal(t, "3", got[19])
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := slacktest.New(slacktest.WithAutoCreate(), slacktest.WithRateLimit(1, 3), slacktest.WithMethodLimit("auth.test", 2, time.Minute))
		api := slackgo.New("t", slackgo.OptionHTTPClient(s.Client()))
		post := func(channel string) error {
			_, _, err := api.PostMessageContext(t.Context(), channel, slackgo.MsgOptionText("x", false))
			return err
		}
		for range 3 {
			require.NoError(t, post("#a"))
		}
		var limited *slackgo.RateLimitedError
		require.ErrorAs(t, post("a"), &limited)
		assert.Equal(t, time.Second, limited.RetryAfter)
		require.NoError(t, post("#b"), "each channel has its own")
		time.Sleep(limited.RetryAfter)
		require.NoError(t, post(s.AddChannel("a")))
		assert.Equal(t, 1, s.Violations())
		for range 2 {
			require.NoError(t, drop(api.AuthTestContext(t.Context())))
		}
		require.ErrorAs(t, drop(api.AuthTestContext(t.Context())), &limited)
		assert.Equal(t, 30*time.Second, limited.RetryAfter)
	})
}

func drop(_ *slackgo.AuthTestResponse, err error) error { return err }

func TestFaults(t *testing.T) {
	t.Parallel()
	both(t, nil, func(t *testing.T, s *slacktest.Server, api *slackgo.Client) {
		post := func(ctx context.Context) error {
			_, _, err := api.PostMessageContext(ctx, "#c", slackgo.MsgOptionText("x", false))
			return err
		}
		s.Fault(slacktest.Fault{Method: "chat.postMessage", Status: 429, RetryAfter: slacktest.Seconds(9), Count: 1})
		var limited *slackgo.RateLimitedError
		require.ErrorAs(t, post(t.Context()), &limited)
		assert.Equal(t, 9*time.Second, limited.RetryAfter)

		remove := s.Fault(slacktest.Fault{Status: 503, Body: "<html>down</html>"})
		var status slackgo.StatusCodeError
		require.ErrorAs(t, post(t.Context()), &status)
		assert.Equal(t, 503, status.Code)
		remove()

		s.Fault(slacktest.Fault{Error: "fatal_error", Count: 1})
		require.EqualError(t, post(t.Context()), "fatal_error")
		assert.Zero(t, s.Count("c"), "what failed is not stored")

		s.Fault(slacktest.Fault{DropAfter: true, Count: 1})
		require.Error(t, post(t.Context()))
		assert.Equal(t, 1, s.Count("c"), "accepted, and not answered")

		s.Fault(slacktest.Fault{BlackHole: true, Count: 1})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, post(ctx), context.DeadlineExceeded)
		require.NoError(t, post(t.Context()))
		assert.Equal(t, 2, s.Count("c"))
		assert.Equal(t, 6, s.Calls("chat.postMessage"))
		require.Eventually(t, func() bool { return len(s.Requests()) == 6 }, time.Second, time.Millisecond)
		assert.Zero(t, s.Requests()[3].Status)
	})
}

func TestFaultsInABubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := slacktest.New(slacktest.WithAutoCreate())
		client := s.Client()
		client.Timeout = 10 * time.Second
		api := slackgo.New("t", slackgo.OptionHTTPClient(client))
		post := func() error {
			_, _, err := api.PostMessageContext(t.Context(), "#c", slackgo.MsgOptionText("x", false))
			return err
		}
		s.Fault(slacktest.Fault{BlackHole: true, Until: time.Now().Add(time.Minute)})
		began := time.Now()
		require.Error(t, post())
		assert.Equal(t, 10*time.Second, time.Since(began))
		time.Sleep(time.Minute)
		require.NoError(t, post())

		s.Fault(slacktest.Fault{Delay: 5 * time.Second, Count: 1})
		began = time.Now()
		require.NoError(t, post())
		assert.Equal(t, 5*time.Second, time.Since(began))
		s.Fault(slacktest.Fault{Delay: 15 * time.Second, Count: 1})
		require.Error(t, post())
		assert.Equal(t, 3, s.Count("c"), "a slow Slack takes effect although nobody waits")
	})
}

func TestFailRateIsRepeatable(t *testing.T) {
	t.Parallel()
	outcomes := func(seed uint64) string {
		s := slacktest.New(slacktest.WithAutoCreate(), slacktest.WithSeed(seed))
		s.Fault(slacktest.Fault{Error: "internal_error", Rate: 0.3})
		var b strings.Builder
		for range 200 {
			fmt.Fprint(&b, call(t, s, "chat.postMessage", "t", map[string]any{"channel": "c", "text": "x"})["ok"], " ")
		}
		return b.String()
	}
	first, again := outcomes(5), outcomes(5)
	assert.Equal(t, first, again)
	assert.NotEqual(t, outcomes(5), outcomes(6))
	assert.InDelta(t, 60, strings.Count(outcomes(5), "false"), 25)
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	s := slacktest.New(slacktest.WithAutoCreate(), slacktest.WithMaxMessages(100), slacktest.WithRequestLog(50))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				call(t, s, "chat.postMessage", "t", map[string]any{"channel": "c", "text": "x"})
			}
		})
	}
	wg.Wait()
	assert.LessOrEqual(t, s.Count("c"), 111)
	assert.Len(t, s.Requests(), 50)
	assert.Equal(t, 1600, s.Calls("chat.postMessage"))
	seen := map[string]bool{}
	last := ""
	for _, m := range s.Messages("c") {
		assert.False(t, seen[m.TS])
		assert.Greater(t, m.TS, last)
		seen[m.TS], last = true, m.TS
	}
}

// BenchmarkPost is a post of about 800 characters over loopback HTTP, client
// included, as a form (slack-go) and as JSON, and the emulator's share of it.
func BenchmarkPost(b *testing.B) {
	fields := map[string]any{
		"channel": "#c", "text": "x", "metadata": map[string]any{"event_type": "e", "event_payload": map[string]any{"id": "1"}},
		"blocks": []any{
			map[string]any{"type": "header", "text": map[string]any{"type": "plain_text", "text": "NodeDown"}},
			map[string]any{"type": "section", "text": map[string]any{"type": "mrkdwn", "text": strings.Repeat("a line of text ", 40)}},
		},
	}
	asJSON, err := json.Marshal(fields)
	require.NoError(b, err)
	form := url.Values{"token": {"t"}, "channel": {"#c"}, "text": {"x"}}
	for _, name := range []string{"metadata", "blocks"} {
		raw, err := json.Marshal(fields[name])
		require.NoError(b, err)
		form.Set(name, string(raw))
	}
	post := func(b *testing.B, client *http.Client, base, contentType, body string) {
		b.SetParallelism(8)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				req, _ := http.NewRequest(http.MethodPost, base+"chat.postMessage", strings.NewReader(body))
				req.Header.Set("Content-Type", contentType)
				req.Header.Set("Authorization", "Bearer t")
				resp, err := client.Do(req)
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "posts/s")
	}
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write(asJSON)
	})
	for _, kind := range []struct{ name, contentType, body string }{
		{"form", "application/x-www-form-urlencoded", form.Encode()},
		{"JSON", "application/json", string(asJSON)},
	} {
		for name, handler := range map[string]http.Handler{"socket": slacktest.New(slacktest.WithAutoCreate()), "bare HTTP": bare} {
			b.Run(kind.name+"/"+name, func(b *testing.B) {
				server := httptest.NewServer(handler)
				defer server.Close()
				post(b, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}, server.URL+"/api/", kind.contentType, kind.body)
			})
		}
		b.Run(kind.name+"/socketless", func(b *testing.B) {
			post(b, slacktest.New(slacktest.WithAutoCreate()).Client(), slacktest.URL, kind.contentType, kind.body)
		})
	}
}
