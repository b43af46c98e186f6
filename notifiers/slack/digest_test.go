package slack_test

import (
	"bytes"
	"fmt"
	"io"
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

// lost makes an attempt at a digest that Slack accepts without an answer.
func lost(t *testing.T, s *slacktest.Server, ch *slack.Channel, n *tocsin.DigestNotice) {
	t.Helper()
	s.Fault(slacktest.Fault{Method: "chat.postMessage", DropAfter: true, Count: 1})
	_, err := ch.DeliverDigest(t.Context(), *n)
	require.True(t, tocsin.IsUnclear(err), "%v", err)
	n.MayBePosted = true
}

func tell(t *testing.T, ch *slack.Channel, n tocsin.DigestNotice) tocsin.Receipt {
	t.Helper()
	r, err := ch.DeliverDigest(t.Context(), n)
	require.NoError(t, err)
	return r
}

// fresh is the channel as another process has it.
func fresh(s *slacktest.Server) *slack.Channel {
	return slack.New(slack.Config{Token: "xoxb-canary", HTTPClient: s.Client(), Lookup: true}).Channel("#incidents")
}

// alone is the notice of one of a digest's incidents.
func alone(i *tocsin.Incident) tocsin.Notice {
	n := notice(i)
	n.Delivery.Since, n.MayBePosted = time.Now(), true
	return n
}

func TestADigestOfAnEarlierAttemptIsUpdated(t *testing.T) {
	t.Parallel()
	for _, restarted := range []bool{false, true} {
		s, ch := setup(t)
		n := digest(7)
		lost(t, s, ch, &n)
		first := one(t, s)
		if restarted {
			ch = fresh(s)
		}
		n.Incidents[0].Resolve("", "done", opened)
		r := tell(t, ch, n)
		m := one(t, s)
		assert.Equal(t, tocsin.Receipt{Ref: m.Channel + "/" + first.TS, Digest: true, Text: "found in a digest in #incidents"}, r)
		assert.Equal(t, 1, m.Edits)
		assert.Contains(t, string(m.Blocks), "✅ `k7f000`")
	}
}

func TestADigestThatIsNotThereIsPosted(t *testing.T) {
	t.Parallel()
	s, ch := setup(t)
	other := digest(3)
	other.Target = "slack:#elsewhere"
	tell(t, ch, other)
	n := digest(3)
	n.MayBePosted = true
	r := tell(t, ch, n)
	assert.Equal(t, "told in a digest in #incidents", r.Text)
	assert.Len(t, s.Messages("incidents"), 2)
	assert.Zero(t, s.Calls("chat.update"))
}

func TestAnIncidentIsFoundInADigest(t *testing.T) {
	t.Parallel()
	s, ch := setup(t)
	n := digest(7)
	lost(t, s, ch, &n)
	first := one(t, s)
	ch = fresh(s)
	for _, i := range n.Incidents {
		single := alone(i)
		r := deliver(t, ch, &single)
		assert.Equal(t, tocsin.Receipt{
			Ref: first.Channel + "/" + first.TS, Digest: true, Revision: i.Revision, State: i.State, Severity: i.Severity,
			Text: "found in a digest in #incidents",
		}, r)
	}
	assert.Equal(t, first, one(t, s))
	assert.Equal(t, 1, s.Calls("chat.postMessage"))
	assert.Equal(t, 1, s.Calls("conversations.history"))
	assert.Zero(t, s.Calls("chat.update"))

	own := alone(n.Incidents[3])
	own.Delivery.Digest = true
	r := deliver(t, ch, &own)
	assert.False(t, r.Digest, "a message of its own was asked for")
	assert.Equal(t, 2, s.Calls("chat.postMessage"))
}

func TestAnIncidentThatChangedSinceItsDigestLags(t *testing.T) {
	t.Parallel()
	s, ch := setup(t)
	n := digest(3)
	lost(t, s, ch, &n)
	i := n.Incidents[0].Clone()
	i.Resolve("", "done", opened)
	single := alone(i)
	r := deliver(t, ch, &single)
	assert.True(t, r.Digest)
	assert.Equal(t, uint64(3), r.Revision, "what the digest shows")
	assert.Less(t, r.Revision, i.Revision)

	// The caller knows of that one alone, and updates the digest for it.
	tell(t, ch, tocsin.DigestNotice{Ref: r.Ref, Target: target, Incidents: []*tocsin.Incident{i}, Now: opened})
	blocks := string(one(t, s).Blocks)
	assert.Contains(t, blocks, "✅ `k7f000`")
	assert.Contains(t, blocks, "`k7f001` acknowledged: Node node-1")
	assert.Contains(t, blocks, "`k7f002` ~Node node-2")

	// And so does another process with the others, which it finds there still.
	ch = fresh(s)
	single = alone(n.Incidents[1])
	assert.Equal(t, r.Ref, deliver(t, ch, &single).Ref)
	acked := n.Incidents[1].Clone()
	acked.Resolve("", "done", opened)
	tell(t, ch, tocsin.DigestNotice{Ref: r.Ref, Target: target, Incidents: []*tocsin.Incident{acked}, Now: opened})
	m := one(t, s)
	assert.Contains(t, string(m.Blocks), "✅ `k7f001`")
	assert.Contains(t, string(m.Blocks), "`k7f000` (told here before a restart)")
	assert.Len(t, m.Payload["incidents"], 3)
}

func TestADigestGoesOnToTellOfTheOthers(t *testing.T) {
	t.Parallel()
	s, ch := setup(t)
	n := digest(7)
	lost(t, s, ch, &n)

	// The most urgent one is tried by itself, then the rest together.
	single := alone(n.Incidents[4])
	ref := deliver(t, ch, &single).Ref
	rest := n
	rest.Incidents = append(append([]*tocsin.Incident(nil), n.Incidents[:4]...), n.Incidents[5:]...)
	assert.Equal(t, ref, tell(t, ch, rest).Ref)
	m := one(t, s)
	for _, i := range n.Incidents {
		assert.Contains(t, string(m.Blocks), i.ID)
	}
	assert.NotContains(t, string(m.Blocks), "before a restart")
	assert.Contains(t, string(m.Blocks), "7 incidents")

	// Now the caller knows of all of them: what it leaves out is gone.
	rest.Ref, rest.MayBePosted = ref, false
	tell(t, ch, rest)
	assert.NotContains(t, string(one(t, s).Blocks), n.Incidents[4].ID)
}

func TestADigestThatWouldGrowTooLongIsLeft(t *testing.T) {
	t.Parallel()
	s, ch := setup(t)
	all := digest(140)
	n := all
	n.Incidents = all.Incidents[:100]
	lost(t, s, ch, &n)
	n.Incidents = all.Incidents[40:]
	tell(t, ch, n)
	messages := s.Messages("incidents")
	require.Len(t, messages, 2, "told twice rather than not at all")
	for _, i := range n.Incidents {
		assert.Contains(t, string(messages[1].Blocks), i.ID)
	}
	assert.Len(t, messages[1].Payload["incidents"], 100)
}

func TestAnOwnMessageCountsForMoreThanADigest(t *testing.T) {
	t.Parallel()
	s, ch := setup(t)
	n := digest(3)
	single := notice(n.Incidents[0])
	ref := deliver(t, ch, &single).Ref
	lost(t, s, ch, &n)
	again := alone(n.Incidents[0])
	r := deliver(t, ch, &again)
	assert.Equal(t, ref, r.Ref)
	assert.False(t, r.Digest)
}

func TestADigestFoundAndGoneIsPostedAnew(t *testing.T) {
	t.Parallel()
	s, ch := setup(t)
	n := digest(3)
	lost(t, s, ch, &n)
	s.Fault(slacktest.Fault{Method: "chat.update", Error: "message_not_found", Count: 1})
	r := tell(t, ch, n)
	assert.Equal(t, "told in a digest in #incidents; the earlier digest could not be updated: message_not_found", r.Text)
	assert.Len(t, s.Messages("incidents"), 2)
}

func TestALookupOfADigestThatFailsIsTriedAgain(t *testing.T) {
	t.Parallel()
	s, ch := setup(t)
	n := digest(3)
	lost(t, s, ch, &n)
	s.Fault(slacktest.Fault{Method: "conversations.history", Status: 500})
	for range 2 {
		_, err := ch.DeliverDigest(t.Context(), n)
		require.Error(t, err)
		assert.False(t, tocsin.IsPermanent(err))
		assert.False(t, tocsin.IsUnclear(err), "nothing was posted")
	}
	assert.Contains(t, tell(t, ch, n).Text, "not looked up first: slack conversations.history: HTTP 500")
}

func TestALookupSeesADigestThatCameAfterTheLastScan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, ch := setup(t)
		s.AddChannel("incidents")
		before := alone(incident())
		deliver(t, ch, &before) // scans
		n := digest(3)
		lost(t, s, ch, &n) // while that scan is still fresh
		tell(t, ch, n)
		assert.Len(t, s.Messages("incidents"), 2)
	})
}

func TestADigestWithoutItsMetadataIsBetterThanNone(t *testing.T) {
	t.Parallel()
	s, ch := setup(t)
	s.Fault(slacktest.Fault{Method: "chat.postMessage", Error: "metadata_too_large", Count: 1})
	tell(t, ch, digest(3))
	m := one(t, s)
	assert.Contains(t, string(m.Blocks), "k7f002")
	assert.Equal(t, "tocsin_digest", m.EventType)
	assert.NotContains(t, m.Payload, "incidents")
}

// rewritten changes Slack's answers on their way.
func rewritten(s *slacktest.Server, method, from, to string) *http.Client {
	return &http.Client{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
		resp, err := s.Client().Transport.RoundTrip(req)
		if err != nil || !strings.HasSuffix(req.URL.Path, method) {
			return resp, err
		}
		raw, err := io.ReadAll(resp.Body)
		resp.Body = io.NopCloser(bytes.NewReader(bytes.ReplaceAll(raw, []byte(from), []byte(to))))
		return resp, err
	})}
}

// Shapes that slack-go cannot read, in parts of an answer that nobody needs.
func TestMessagesOfStrangeShapesDisturbNothing(t *testing.T) {
	t.Parallel()
	s, ch := setup(t)
	n := notice(incident())
	n.Delivery.Since = time.Now()
	unclear(t, s, ch, &n)
	s.Say("incidents", "U1", "STRANGE", "")
	for k, strange := range []string{
		`"STRANGE","attachments":[{"id":"a string","color":7}]`,
		`"STRANGE","blocks":{"no":"array"}`,
		`"STRANGE","metadata":{"event_type":"tocsin_incident","event_payload":[1]}`,
		`"STRANGE","metadata":{"event_type":"tocsin_digest","event_payload":{"target":1,"incidents":[1,{"id":2,"revision":-1}]}}`,
		`"STRANGE","metadata":{"event_type":"theirs","event_payload":"none"}`,
	} {
		client := rewritten(s, "conversations.history", `"STRANGE"`, strange)
		deliver(t, slack.New(slack.Config{Token: "t", HTTPClient: client, Lookup: true}).Channel("#incidents"), &n)
		assert.Equal(t, k+1, one0(t, s).Edits, strange)
		n.MayBePosted, n.Delivery = true, tocsin.Delivery{Target: target, Since: n.Delivery.Since}
	}
	client := rewritten(s, "chat.postMessage", `"message":{`, `"message":{"attachments":"none","blocks":[[]],"edited":7,`)
	p := notice(incident())
	r := deliver(t, slack.New(slack.Config{Token: "t", HTTPClient: client}).Channel("#incidents"), &p)
	assert.Equal(t, "posted to #incidents", r.Text)
}

// one0 is the channel's first message.
func one0(t *testing.T, s *slacktest.Server) slacktest.Message {
	t.Helper()
	m := s.Messages("incidents")
	require.NotEmpty(t, m)
	return m[0]
}

func TestManyDigestsAreFoundInFewCalls(t *testing.T) {
	t.Parallel()
	s, ch := setup(t)
	all := make([]tocsin.DigestNotice, 20)
	for k := range all {
		all[k] = digest(100)
		for _, i := range all[k].Incidents {
			i.ID = fmt.Sprintf("d%02d%s", k, i.ID[3:])
		}
		lost(t, s, ch, &all[k])
	}
	ch = fresh(s)
	for k := range all {
		tell(t, ch, all[k])
	}
	assert.Len(t, s.Messages("incidents"), 20)
	assert.LessOrEqual(t, s.Calls("conversations.history"), 2)
}

func TestALookupEndsSomewhere(t *testing.T) {
	t.Parallel()
	s, _ := setup(t)
	s.AddChannel("incidents")
	client := rewritten(s, "conversations.history", `"has_more":false,"response_metadata":{"next_cursor":""}`,
		`"has_more":true,"response_metadata":{"next_cursor":"bmV4dF90czo5"}`)
	n := notice(incident())
	n.Delivery.Since, n.MayBePosted = time.Now(), true
	r := deliver(t, slack.New(slack.Config{Token: "t", HTTPClient: client, Lookup: true}).Channel("#incidents"), &n)
	assert.Equal(t, "posted to #incidents; an earlier attempt is not among the channel's newest messages", r.Text)
	assert.Equal(t, 50, s.Calls("conversations.history"))
}
