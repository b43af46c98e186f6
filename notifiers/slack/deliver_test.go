package slack_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

func TestDeliverOneMessageWithItsThread(t *testing.T) {
	t.Parallel()
	s, ch := setup(t)
	n := notice(incident())

	r := deliver(t, ch, &n)
	m := one(t, s)
	assert.Equal(t, tocsin.Receipt{
		Ref: m.Channel + "/" + m.TS, Revision: 3, State: tocsin.Triggered, Severity: tocsin.Critical,
		Told: 7, Text: "posted to #incidents",
	}, r)

	n.Incident.Acknowledge("Ana", opened.Add(time.Minute))
	n.Events = []tocsin.Event{event(8, tocsin.EventDelivered, "posted"), event(9, tocsin.EventAcknowledged, "acknowledged by Ana")}
	r = deliver(t, ch, &n)
	assert.True(t, r.More)
	assert.Equal(t, uint64(7), r.Told, "the thread tells the rest")
	assert.Empty(t, r.Text)
	m = one(t, s)
	assert.Equal(t, 1, m.Edits)
	assert.Contains(t, string(m.Blocks), "*Acknowledged* by Ana")
	assert.Empty(t, m.Replies)

	r = deliver(t, ch, &n)
	assert.Equal(t, tocsin.Receipt{Revision: 4, State: tocsin.Acknowledged, Severity: tocsin.Critical, Told: 9}, r)
	m = one(t, s)
	require.Len(t, m.Replies, 1)
	assert.Contains(t, string(m.Replies[0].Blocks), "acknowledged by Ana")
	assert.False(t, m.Replies[0].Broadcast)
	assert.Equal(t, "tocsin_thread", m.Replies[0].EventType)
	assert.Equal(t, map[string]any{"incident": "k7f3q9", "told": 9.0}, m.Replies[0].Payload)
	assert.Equal(t, 3, s.Calls(""), "one call a delivery")

	n.Events = []tocsin.Event{event(10, tocsin.EventDelivered, "told")}
	r = deliver(t, ch, &n)
	assert.Equal(t, uint64(10), r.Told, "bookkeeping is passed over")
	assert.False(t, r.More)
	assert.Equal(t, 3, s.Calls(""), "and costs no call")
}

func TestUpdateWithOnlyInternalEventsNeedsNoThread(t *testing.T) {
	t.Parallel()
	_, ch := setup(t)
	n := notice(incident())
	deliver(t, ch, &n)
	n.Incident.Touch(opened)
	n.Events = []tocsin.Event{event(8, tocsin.EventDelivered, "posted"), event(9, tocsin.EventAlertLate, "late")}
	r := deliver(t, ch, &n)
	assert.False(t, r.More)
	assert.Equal(t, uint64(9), r.Told)
}

func TestThreadCoalescesAndBroadcastsWhatIsLoud(t *testing.T) {
	t.Parallel()
	s, ch := setup(t)
	n := notice(incident())
	deliver(t, ch, &n)
	n.Events = nil
	for seq := uint64(8); seq < 58; seq++ {
		n.Events = append(n.Events, event(seq, tocsin.EventAlertFired, fmt.Sprintf("NodeDown fired on node-%d", seq)))
	}
	n.Events[40] = event(48, tocsin.EventReopened, "fires again")
	deliver(t, ch, &n)
	replies := one(t, s).Replies
	require.Len(t, replies, 1)
	assert.True(t, replies[0].Broadcast)
	blocks := string(replies[0].Blocks)
	assert.Contains(t, blocks, "fires again", "what is loud is told however late it comes")
	assert.Contains(t, blocks, "… and 30 more")
	assert.Equal(t, 19, strings.Count(blocks, "NodeDown fired"))
	golden(t, "thread.golden.json", pretty(t, replies[0]))
	assert.Equal(t, uint64(57), n.Delivery.Told)
}

func TestAMessageThatIsGoneIsPostedAnew(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"message_not_found", "cant_update_message", "edit_window_closed"} {
		s, ch := setup(t)
		n := notice(incident())
		old := deliver(t, ch, &n).Ref
		n.Incident.Touch(opened)
		n.Events = []tocsin.Event{event(9, tocsin.EventNote, "a note")}
		s.Fault(slacktest.Fault{Method: "chat.update", Error: code, Count: 1})
		r := deliver(t, ch, &n)
		assert.NotEqual(t, old, r.Ref)
		assert.Equal(t, uint64(9), r.Told)
		assert.Equal(t, "posted to #incidents; the earlier message could not be updated: "+code, r.Text)
	}
}

func TestADigestIsNeverOverwritten(t *testing.T) {
	t.Parallel()
	s, ch := setup(t)
	r, err := ch.DeliverDigest(t.Context(), digest(3))
	require.NoError(t, err)
	n := notice(incident())
	n.Delivery.Ref, n.Delivery.Digest = r.Ref, true
	got := deliver(t, ch, &n)
	assert.NotEqual(t, r.Ref, got.Ref)
	assert.Len(t, s.Messages("incidents"), 2)

	n.Delivery.Ref, n.Delivery.Digest = r.Ref, true
	n.Events = []tocsin.Event{event(9, tocsin.EventNote, "a note")}
	got = deliver(t, ch, &n)
	assert.Equal(t, uint64(9), got.Told, "a digest has no thread of the incident's")
	assert.Zero(t, s.Calls("chat.update"))
	assert.Empty(t, s.Messages("incidents")[0].Replies)
}

func TestRefusedBlocksAreSentAsText(t *testing.T) {
	t.Parallel()
	s, ch := setup(t)
	s.Fault(slacktest.Fault{Method: "chat.postMessage", Error: "invalid_blocks", Count: 1})
	n := notice(incident())
	r := deliver(t, ch, &n)
	assert.Contains(t, r.Text, "as plain text: slack chat.postMessage: invalid_blocks")
	m := one(t, s)
	assert.Empty(t, m.Blocks)
	assert.Contains(t, m.Text, "Triggered: Node node-3.eu-west is down")

	s.Fault(slacktest.Fault{Method: "chat.update", Error: "invalid_blocks"})
	n.Incident.Touch(opened)
	_, err := ch.Deliver(t.Context(), n)
	assert.True(t, tocsin.IsPermanent(err), "%v", err)
}

// unclear makes an attempt that Slack accepts without an answer.
func unclear(t *testing.T, s *slacktest.Server, ch *slack.Channel, n *tocsin.Notice) {
	t.Helper()
	s.Fault(slacktest.Fault{Method: "chat.postMessage", DropAfter: true, Count: 1})
	_, err := ch.Deliver(t.Context(), *n)
	require.True(t, tocsin.IsUnclear(err), "%v", err)
	n.MayBePosted = true
}

func TestLookupFindsTheMessageOfAnEarlierAttempt(t *testing.T) {
	t.Parallel()
	s, ch := setup(t)
	n := notice(incident())
	n.Delivery.Since = time.Now()
	unclear(t, s, ch, &n)
	first := one(t, s)
	n.Incident.Touch(opened)
	n.Events = append(n.Events, event(8, tocsin.EventSeverity, "severity raised"))

	r := deliver(t, ch, &n)
	m := one(t, s)
	assert.Equal(t, first.TS, m.TS)
	assert.Equal(t, m.Channel+"/"+m.TS, r.Ref)
	assert.Equal(t, 1, m.Edits)
	assert.True(t, r.More, "the message did not tell of what came later")
	assert.Equal(t, uint64(7), r.Told)

	deliver(t, ch, &n)
	assert.Len(t, one(t, s).Replies, 1)
}

func TestLookupPostsWhatIsNotThere(t *testing.T) {
	t.Parallel()
	s, ch := setup(t)
	s.AddChannel("incidents")
	n := notice(incident())
	n.MayBePosted = true
	r := deliver(t, ch, &n)
	assert.Equal(t, "posted to #incidents", r.Text)
	assert.Equal(t, 1, s.Calls("conversations.history"))
	one(t, s)
}

func TestLookupOfManyIncidentsCostsFewCalls(t *testing.T) {
	t.Parallel()
	s, ch := setup(t)
	notices := make([]tocsin.Notice, 1000)
	for k := range notices {
		i := incident()
		i.ID = fmt.Sprintf("n%05d", k)
		notices[k] = notice(i)
		notices[k].Delivery.Since = time.Now().Add(-time.Duration(k) * time.Second)
		if k%2 == 0 {
			_, err := ch.Deliver(t.Context(), notices[k])
			require.NoError(t, err)
		}
		notices[k].MayBePosted = true
	}
	// As a new process would.
	fresh := slack.New(slack.Config{Token: "t", HTTPClient: s.Client(), Lookup: true}).Channel("#incidents")
	for k := range notices {
		deliver(t, fresh, &notices[k])
	}
	assert.Len(t, s.Messages("incidents"), 1000)
	assert.Equal(t, 500, s.Calls("chat.update"))
	assert.LessOrEqual(t, s.Calls("conversations.history"), 10)
	assert.LessOrEqual(t, s.Calls("conversations.list"), 1)
}

// All of it happens at one time.
func TestLookupSeesWhatItsOwnLaterAttemptsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, ch := setup(t)
		a, b := notice(incident()), notice(incident())
		b.Incident.ID = "bbbbbb"
		a.Delivery.Since, b.Delivery.Since = time.Now(), time.Now()
		unclear(t, s, ch, &a)
		deliver(t, ch, &a)    // scans
		unclear(t, s, ch, &b) // after that scan, which is still fresh
		deliver(t, ch, &b)
		assert.Len(t, s.Messages("incidents"), 2)
		assert.Equal(t, 2, s.Calls("conversations.history"))
	})
}

func TestLookupPagesAndResumes(t *testing.T) {
	t.Parallel()
	s, ch := setup(t)
	n := notice(incident())
	n.Delivery.Since = time.Now()
	unclear(t, s, ch, &n)
	for k := range 2500 {
		s.Say("incidents", "U1", fmt.Sprint("chatter ", k), "")
	}
	calls := 0
	limited := &http.Client{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
		if strings.HasSuffix(req.URL.Path, "conversations.history") {
			if calls++; calls == 2 {
				defer s.Fault(slacktest.Fault{Method: "conversations.history", Status: 429, RetryAfter: slacktest.Seconds(7)})()
			}
		}
		return s.Client().Transport.RoundTrip(req)
	})}
	ch = slack.New(slack.Config{Token: "t", HTTPClient: limited, Lookup: true}).Channel("#incidents")
	_, err := ch.Deliver(t.Context(), n)
	wait, ok := tocsin.RetryDelay(err)
	assert.True(t, ok, "%v", err)
	assert.Equal(t, 7*time.Second, wait)
	deliver(t, ch, &n)
	assert.Equal(t, 1, s.Calls("chat.update"))
	assert.Equal(t, 4, calls, "the page that was read is not read again")
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestLookupThatIsNotAllowedPostsAnyway(t *testing.T) {
	t.Parallel()
	s := slacktest.New(slacktest.WithToken("xoxb-poor", "chat:write", "channels:read"))
	s.AddChannel("incidents")
	ch := slack.New(slack.Config{Token: "xoxb-poor", HTTPClient: s.Client(), Lookup: true}).Channel("#incidents")
	for k := range 3 {
		n := notice(incident())
		n.Incident.ID, n.MayBePosted = fmt.Sprint("poor0", k), true
		r := deliver(t, ch, &n)
		assert.Contains(t, r.Text, "posted to #incidents; not looked up first: slack conversations.history: missing_scope (needed: channels:history")
	}
	assert.Equal(t, 1, s.Calls("conversations.history"), "it is not asked for again and again")
	assert.Len(t, s.Messages("incidents"), 3)
}

func TestLookupThatKeepsFailingPostsAnyway(t *testing.T) {
	t.Parallel()
	s, ch := setup(t)
	s.AddChannel("incidents")
	s.Fault(slacktest.Fault{Method: "conversations.history", Status: 500})
	n := notice(incident())
	n.MayBePosted = true
	for range 2 {
		_, err := ch.Deliver(t.Context(), n)
		require.Error(t, err)
		assert.False(t, tocsin.IsPermanent(err))
		assert.False(t, tocsin.IsUnclear(err), "nothing was posted")
	}
	r := deliver(t, ch, &n)
	assert.Contains(t, r.Text, "not looked up first: slack conversations.history: HTTP 500")
}

func TestThreadReplyIsLookedUp(t *testing.T) {
	t.Parallel()
	s, ch := setup(t)
	n := notice(incident())
	n.Delivery.Since = time.Now()
	deliver(t, ch, &n)
	n.Events = []tocsin.Event{event(8, tocsin.EventNote, "first")}
	unclear(t, s, ch, &n)
	require.Len(t, one(t, s).Replies, 1)

	// The incident moves on: the message is updated first, and the thread is
	// still in doubt after it.
	n.Incident.Touch(opened)
	n.Events = append(n.Events, event(9, tocsin.EventNote, "second"))
	assert.True(t, deliver(t, ch, &n).More)
	deliver(t, ch, &n)
	replies := one(t, s).Replies
	require.Len(t, replies, 2)
	assert.NotContains(t, string(replies[1].Blocks), "first")
	assert.Contains(t, string(replies[1].Blocks), "second")
	assert.Equal(t, uint64(9), n.Delivery.Told)
	assert.Equal(t, 1, s.Calls("conversations.replies"))

	n.MayBePosted = true
	n.Events = []tocsin.Event{event(9, tocsin.EventNote, "second")}
	n.Delivery.Told = 8
	r := deliver(t, ch, &n)
	assert.Equal(t, uint64(9), r.Told, "all of it was told")
	assert.Len(t, one(t, s).Replies, 2)
}

func TestConcurrentDeliveries(t *testing.T) {
	t.Parallel()
	s, ch := setup(t)
	s.AddChannel("incidents")
	done := make(chan error)
	for k := range 50 {
		go func() {
			i := incident()
			i.ID = fmt.Sprintf("c%05d", k)
			n := notice(i)
			n.MayBePosted = true
			_, err := ch.Deliver(context.Background(), n)
			done <- err
		}()
	}
	for range 50 {
		require.NoError(t, <-done)
	}
	assert.Len(t, s.Messages("incidents"), 50)
	assert.LessOrEqual(t, s.Calls("conversations.history"), 5)
}
