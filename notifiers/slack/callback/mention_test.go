package callback_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/callback"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/command"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// scribe is the desk of the harness for a real command.Desk.
type scribe struct{ *desk }

func (scribe) OpenManual(context.Context, tocsin.Manual) (string, error) {
	return "", errors.New("nothing is opened here")
}

// typing has the words of command do what is typed.
func typing(c *callback.Config, d *callback.Deps, _ *slacktest.Callbacks) {
	why := func(_ context.Context, inc *tocsin.Incident, who string) []string {
		return slack.Why(inc, &tocsin.Why{Answer: "You (" + who + ") were not called."}, who, "")
	}
	d.Commander = command.New(command.Deps{
		Actions: scribe{d.Reader.(*desk)}, Reader: d.Reader, Why: why, Who: d.Who, Now: c.Now,
		People: func() []string { return []string{"ana", "bo"} },
	})
	d.Post = d.Slack.(*slack.Client).Post
}

// event sends one of the Events API and returns the answer.
func (w *world) event(id string, event map[string]any) slacktest.Answer {
	w.Helper()
	body, err := json.Marshal(map[string]any{
		"type": "event_callback", "team_id": slacktest.TeamID, "event_id": id, "event": event,
		"authorizations": []any{map[string]any{"user_id": slacktest.BotUserID, "is_bot": true}},
	})
	require.NoError(w, err)
	a, err := w.slack.Event(body)
	require.NoError(w, err)
	return a
}

// mention is what Slack sends of one in #incidents.
func (w *world) mention(user, text string, change ...string) map[string]any {
	e := map[string]any{
		"type": "app_mention", "user": user, "text": "<@" + slacktest.BotUserID + "> " + text, "channel": w.slack.AddChannel("incidents"),
		"ts": fmt.Sprintf("%d.000100", time.Now().Unix()),
	}
	for n := 0; n+1 < len(change); n += 2 {
		e[change[n]] = change[n+1]
	}
	return e
}

// direct opens the direct messages with a user, and returns what Slack sends of a
// message there.
func (w *world) direct(user, text string) map[string]any {
	w.Helper()
	name := "dm:" + user
	if w.slack.Count(name) == 0 {
		require.NoError(w, w.client.Post(w.Context(), user, slack.Reply{Lines: []string{"hello"}}))
	}
	return map[string]any{
		"type": "message", "channel_type": "im", "user": user, "text": text, "channel": w.slack.Messages(name)[0].Channel,
		"ts": fmt.Sprintf("%d.000200", time.Now().Unix()),
	}
}

func TestMentions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, typing)
	w.open("k7f3q9")
	assert.Equal(t, http.StatusOK, w.event("Ev1", w.mention(ana, "ack k7f3q9 looking")).Status)
	require.Len(t, w.desk.actions(), 1, "it is committed before the answer")
	assert.Equal(t, tocsin.Action{Kind: tocsin.ActAcknowledge, ID: "slack:Ev1:ack", By: "ana", Text: "looking", Via: "Slack"}, w.desk.actions()[0])
	assert.Contains(t, w.told(ana), "acknowledged by ana")
	assert.Equal(t, 1, w.slack.Count("incidents"), "only she sees it")

	w.event("Ev1", w.mention(ana, "ack k7f3q9 looking"))
	assert.Len(t, w.desk.actions(), 1)

	parent := w.message("k7f3q9")
	w.event("Ev2", w.mention(ana, "", "text", "hey <@"+slacktest.BotUserID+">: note rotate the logs", "thread_ts", parent.TS))
	w.settle()
	require.Len(t, w.desk.actions(), 2)
	assert.Equal(t, "rotate the logs", w.desk.actions()[1].Text, "the thread's incident is meant")
	said := w.slack.Ephemerals(ana)
	require.Len(t, said, 2)
	assert.Equal(t, parent.TS, said[1].ThreadTS)
}

// TestMentionsOfAnUnknownBot: where Slack does not say who we are, the first mention
// is ours, and whoever is mentioned later is not.
func TestMentionsOfAnUnknownBot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, typing)
	w.open("k7f3q9")
	for n, text := range []string{"<@U0WHOEVER> note k7f3q9 tell <@" + bo + ">", "note k7f3q9 tell <@" + bo + ">", "<@U0WHOEVER|tocsin>, note k7f3q9 tell <@" + bo + ">"} {
		raw, err := json.Marshal(w.mention(ana, "", "text", text))
		require.NoError(t, err)
		_, err = w.slack.Event(fmt.Appendf(nil, `{"type":"event_callback","team_id":"%s","event_id":"Ev%d","event":%s}`, slacktest.TeamID, n, raw))
		require.NoError(t, err)
		require.Len(t, w.desk.actions(), n+1, text)
		assert.Equal(t, "tell @bo", w.desk.actions()[n].Text)
	}
}

func TestMentionsWithoutWords(t *testing.T) {
	t.Parallel()
	w := newWorld(t, typing)
	w.event("Ev1", w.mention(ana, ""))
	assert.Contains(t, w.told(ana), "*Commands*")
}

func TestPublicMentions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, typing)
	w.open("k7f3q9")
	parent := w.message("k7f3q9")
	w.event("Ev1", w.mention(ana, "public show k7f3q9", "thread_ts", parent.TS))
	w.event("Ev2", w.mention(ana, "list public"))
	w.event("Ev3", w.mention(ana, "public nonsense"))
	w.settle()
	messages := w.slack.Messages("incidents")
	require.Len(t, messages, 2)
	require.Len(t, messages[0].Replies, 1, "asked in a thread, answered there")
	assert.Contains(t, messages[0].Replies[0].Text, "k7f3q9")
	assert.Contains(t, messages[1].Text, "1 incident")
	assert.Empty(t, messages[1].See().Mentions)
	assert.Len(t, w.slack.Ephemerals(ana), 1, "a mistake is nobody else's business")
}

func TestDirectMessages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, typing)
	w.open("k7f3q9")
	e := w.direct(ana, "why `k7f3q9`")
	w.event("Ev1", e)
	w.event("Ev2", w.direct(ana, "<@"+slacktest.BotUserID+"> snooze k7f3q9 2h"))
	e["thread_ts"], e["text"] = w.slack.Messages("dm:" + ana)[0].TS, "help"
	w.event("Ev3", e)
	w.settle()
	assert.Empty(t, w.slack.Ephemerals(""))
	messages := w.slack.Messages("dm:" + ana)
	require.Len(t, messages, 3)
	require.Len(t, messages[0].Replies, 1, "asked in a thread, answered there")
	assert.Contains(t, messages[0].Replies[0].Text, "*Commands*")
	all := messages[1].Text + messages[2].Text
	assert.Contains(t, all, "*Why me?*")
	assert.Contains(t, all, "acknowledged by ana")
	require.Len(t, w.desk.actions(), 1)
	assert.WithinDuration(t, time.Now().Add(2*time.Hour), w.desk.actions()[0].Until, 5*time.Minute)
}

// TestWhatIsNotSaidToUs is left alone: bots, ourselves, edits, other channels.
func TestWhatIsNotSaidToUs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, typing)
	w.open("k7f3q9")
	n := 0
	for _, change := range [][2]any{
		{"bot_id", "B123"},
		{"bot_profile", map[string]any{"id": "B1"}},
		{"subtype", "message_changed"},
		{"subtype", "bot_message"},
		{"edited", map[string]any{"ts": "1.2"}},
		{"user", slacktest.BotUserID},
		{"user", ""},
		{"channel", ""},
	} {
		for _, e := range []map[string]any{w.mention(ana, "ack k7f3q9"), w.direct(ana, "ack k7f3q9")} {
			n++
			e[change[0].(string)] = change[1]
			assert.Equal(t, http.StatusOK, w.event(fmt.Sprint("Ev", n), e).Status, change)
		}
	}
	for _, kind := range []string{"channel", "group", "mpim", ""} {
		e := w.direct(ana, "ack k7f3q9")
		e["channel_type"] = kind
		assert.Equal(t, http.StatusOK, w.event("Ev"+kind, e).Status)
	}
	w.event("EvOdd", map[string]any{"type": "app_mention", "user": 7})
	w.event("EvNoID", map[string]any{"type": "message"})
	w.settle()
	assert.Empty(t, w.desk.actions())
	assert.Empty(t, w.slack.Ephemerals(""))
	assert.Equal(t, 1, w.slack.Count("dm:"+ana))
}

func TestStrangersWhoType(t *testing.T) {
	t.Parallel()
	w := newWorld(t, typing)
	w.open("k7f3q9")
	w.event("Ev1", w.mention(guest, "ack k7f3q9"))
	w.event("Ev2", w.direct(guest, "ack k7f3q9"))
	w.settle()
	assert.Empty(t, w.desk.actions())
	require.Len(t, w.slack.Ephemerals(guest), 1)
	assert.Contains(t, string(w.slack.Ephemerals(guest)[0].Blocks), "slack: "+guest)
	assert.Equal(t, 2, w.slack.Count("dm:"+guest))
}

// TestEventsAreTriedAgain: while nothing can be committed Slack gets 5xx, and the
// person one word; when Slack sends it again it is done, at the time that was meant.
func TestEventsAreTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, typing)
	w.open("k7f3q9")
	w.desk.fail(tocsin.Unavailable(errors.New("the disk is full")))
	e := w.mention(ana, "snooze k7f3q9 2h")
	for range 3 {
		assert.Equal(t, http.StatusServiceUnavailable, w.event("Ev1", e).Status)
	}
	assert.Contains(t, w.told(ana), "Not done yet")
	w.desk.fail(nil)
	assert.Equal(t, http.StatusOK, w.event("Ev1", e).Status)
	w.event("Ev1", e)
	w.settle()
	require.Len(t, w.desk.actions(), 1)
	var secs int64
	_, err := fmt.Sscan(e["ts"].(string)[:10], &secs)
	require.NoError(t, err)
	assert.Equal(t, secs+7200, w.desk.actions()[0].Until.Unix())
	assert.Len(t, w.slack.Ephemerals(ana), 2)
}

func TestNoCommander(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.event("Ev1", w.mention(ana, "list"))
	assert.Contains(t, w.told(ana), "not available")
}

// TestTypedCommands go through the whole door: signed, done, answered.
func TestTypedCommands(t *testing.T) {
	t.Parallel()
	w := newWorld(t, typing)
	w.open("k7f3q9")
	_, err := w.slack.Command(ana, "incidents", "akc k7f3q9")
	require.NoError(t, err)
	assert.Contains(t, w.told(ana), "Did you mean `ack`?")
	_, err = w.slack.Command(ana, "incidents", "escalate k7f3q9 <@"+bo+"|bo> “needs a DBA”")
	require.NoError(t, err)
	require.Len(t, w.desk.actions(), 1)
	assert.Equal(t, "bo", w.desk.actions()[0].User)
	assert.Equal(t, "needs a DBA", w.desk.actions()[0].Text)
	assert.Regexp(t, `^slack:.+:escalate$`, w.desk.actions()[0].ID)
	_, err = w.slack.Command(bo, "incidents", "public list")
	require.NoError(t, err)
	assert.Equal(t, 2, w.slack.Count("incidents"))
	w.desk.fail(tocsin.Unavailable(errors.New("the disk is full")))
	_, err = w.slack.Command(ana, "incidents", "ack k7f3q9")
	require.NoError(t, err)
	assert.Contains(t, w.told(ana), "Not done")
}
