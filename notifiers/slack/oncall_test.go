package slack_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

const ana = "U0ANA00001"

// person is an emulator with Ana in it, and her direct messages.
func person(t *testing.T, opts ...slacktest.Option) (*slacktest.Server, *slack.Channel) {
	t.Helper()
	s := slacktest.New(opts...)
	t.Cleanup(s.Close)
	s.AddUser(slacktest.User{ID: ana, Name: "ana"})
	return s, slack.New(slack.Config{Token: "xoxb-canary", HTTPClient: s.Client(), Lookup: true}).Person(ana)
}

// page is a notice that calls Ana in her direct messages.
func page() tocsin.Notice {
	i := incident()
	i.Deliveries = nil
	i.Call("slack:@ana", "ana", "", true, opened)
	n := notice(i)
	n.Call = true
	return n
}

// again calls for the next time, as the escalation does, and returns the event.
func again(n *tocsin.Notice, seq uint64) {
	d := n.Incident.Delivery(n.Delivery.Target)
	*d = n.Delivery
	n.Incident.Call(d.Target, d.User, d.Mention, d.Detail, opened)
	n.Incident.Touch(opened)
	e := event(seq, tocsin.EventCalled, "calling ana again by Slack")
	e.Target = d.Target
	n.Events, n.Delivery, n.Call = append(n.Events, e), *d, true
}

// settle delivers until nothing more is wanted, as the dispatcher does.
func settle(t *testing.T, ch *slack.Channel, n *tocsin.Notice) tocsin.Receipt {
	t.Helper()
	for range 4 {
		r, err := ch.Deliver(t.Context(), *n)
		require.NoError(t, err)
		if n.Call && !r.More {
			r.Called = n.Delivery.Calls
		}
		n.Delivery.Record(r, n.Now)
		n.MayBePosted, n.Call = false, n.Delivery.Called < n.Delivery.Calls
		if !r.More {
			return r
		}
	}
	t.Fatal("the deliveries do not end")
	return tocsin.Receipt{}
}

func TestAPersonIsCalledAgainInTheThread(t *testing.T) {
	t.Parallel()
	s, ch := person(t)
	n := page()
	r := settle(t, ch, &n)
	assert.Regexp(t, `^D[0-9A-Z]{10}/\d+\.\d{6}$`, r.Ref, "the conversation's own ID")
	assert.Equal(t, "posted to the direct messages of "+ana, r.Text)

	again(&n, 8)
	r = settle(t, ch, &n)
	assert.Contains(t, r.Text, "called again")
	assert.Equal(t, uint32(2), n.Delivery.Called)
	m := s.Messages(ana)
	require.Len(t, m, 1)
	require.Len(t, m[0].Replies, 1)
	reply := m[0].Replies[0]
	assert.True(t, reply.Broadcast, "a reply that is only in the thread is not seen")
	assert.Equal(t, "📟 Still not acknowledged: calling again (2).", reply.Text)
	assert.Contains(t, string(reply.Blocks), "calling again (2).")
	assert.NotContains(t, string(reply.Blocks), "by Slack", "one line for one call")
	assert.Empty(t, reply.See().Mentions, "there is nobody else to mention")
	assert.Equal(t, 1, s.Calls("conversations.open"), "asked once, not with each message")
}

// The answer to the reply that calls is lost, in this process or with it.
func TestALostCallIsNotMadeTwice(t *testing.T) {
	t.Parallel()
	for _, crash := range []bool{false, true} {
		s, ch := person(t)
		n := page()
		settle(t, ch, &n)
		again(&n, 8)
		n.Delivery.Since = time.Now()
		r, err := ch.Deliver(t.Context(), n) // the update; the reply is next
		require.NoError(t, err)
		require.True(t, r.More)
		n.Delivery.Record(r, n.Now)
		s.Fault(slacktest.Fault{Method: "chat.postMessage", DropAfter: true, Count: 1})
		_, err = ch.Deliver(t.Context(), n)
		require.True(t, tocsin.IsUnclear(err), "%v", err)
		if crash {
			ch = slack.New(slack.Config{Token: "xoxb-canary", HTTPClient: s.Client(), Lookup: true}).Person(ana)
		}
		n.MayBePosted = true
		settle(t, ch, &n)
		assert.Equal(t, 2, s.Count(ana), "crash: %v", crash)
		assert.Equal(t, uint32(2), n.Delivery.Called)
	}
}

// The first message was posted, which nobody knows after the crash: it has
// called already.
func TestAFoundMessageHasCalled(t *testing.T) {
	t.Parallel()
	s, ch := person(t)
	n := page()
	n.Delivery.Since = time.Now()
	_, err := ch.Deliver(t.Context(), n)
	require.NoError(t, err)
	ch = slack.New(slack.Config{Token: "xoxb-canary", HTTPClient: s.Client(), Lookup: true}).Person(ana)
	n.MayBePosted = true
	settle(t, ch, &n)
	assert.Equal(t, 1, s.Count(ana))
	assert.Equal(t, uint32(1), n.Delivery.Called)
}

// A call whose event is not among those at hand is made all the same.
func TestACallWithoutItsEventIsMade(t *testing.T) {
	t.Parallel()
	s, ch := person(t)
	n := page()
	settle(t, ch, &n)
	again(&n, 8)
	n.Events = nil
	settle(t, ch, &n)
	assert.Equal(t, 2, s.Count(ana))
}

func TestAChannelIsCalledWithItsMention(t *testing.T) {
	t.Parallel()
	for mention, want := range map[string]string{
		"S0ONCALL01": "!subteam^S0ONCALL01", ana: "@" + ana, "!channel": "", "S0<!here>": "", "": "",
	} {
		s, ch := setup(t)
		n := notice(incident())
		n.Delivery.Mention, n.Delivery.Calls, n.Call = mention, 1, true
		settle(t, ch, &n)
		again(&n, 8)
		settle(t, ch, &n)
		m := one(t, s)
		require.Len(t, m.Replies, 1)
		assert.True(t, m.Replies[0].Broadcast)
		for _, got := range [][]string{m.See().Mentions, m.Replies[0].See().Mentions} {
			if want == "" {
				assert.Empty(t, got, mention)
			} else {
				assert.Subset(t, []string{want}, got)
				assert.NotEmpty(t, got, mention)
			}
		}
	}
}

func TestAChannelThatShowedIsCalledForTheFirstTime(t *testing.T) {
	t.Parallel()
	s, ch := setup(t)
	n := notice(incident())
	settle(t, ch, &n)
	again(&n, 8)
	settle(t, ch, &n)
	assert.Equal(t, "📟 Not acknowledged: calling.", one(t, s).Replies[0].Text)
}

func TestThreadTellsWhoIsCalledAndPeopleAreLeftInPeace(t *testing.T) {
	t.Parallel()
	events := []tocsin.Event{
		event(8, tocsin.EventCalled, "calling bo by PagerDuty"), event(9, tocsin.EventNobody, "the secondary: nobody is on call"),
		event(10, tocsin.EventAlertFired, "NodeDown on node-4"), event(11, tocsin.EventNote, "looking at it"),
		event(12, tocsin.EventSnoozed, "snoozed until 06:00"), event(13, tocsin.EventReminded, "still acknowledged by ana"),
	}
	events[0].Target, events[3].Actor = "pagerduty:@bo", "cy"
	tell := func(s *slacktest.Server, ch *slack.Channel, n tocsin.Notice, ref string) slacktest.Message {
		settle(t, ch, &n)
		n.Incident.Acknowledge("ana", opened)
		n.Events = append(n.Events, events...)
		settle(t, ch, &n)
		require.Len(t, s.Messages(ref)[0].Replies, 1)
		return s.Messages(ref)[0].Replies[0]
	}
	s, ch := setup(t)
	public := tell(s, ch, notice(incident()), "incidents")
	for _, want := range []string{"📟 calling bo", "🚨 the secondary", "🔥 NodeDown", "📝 cy: looking", "💤 snoozed", "⏰ still"} {
		assert.Contains(t, string(public.Blocks), want)
	}
	assert.True(t, public.Broadcast, "that nobody was reached is said aloud")

	s, ch = person(t)
	own := tell(s, ch, page(), ana)
	for _, want := range []string{"📝 cy: looking", "💤 snoozed", "⏰ still"} {
		assert.Contains(t, string(own.Blocks), want)
	}
	for _, not := range []string{"calling bo", "the secondary", "NodeDown"} {
		assert.NotContains(t, string(own.Blocks), not)
	}
}

func TestUnreachablePeople(t *testing.T) {
	t.Parallel()
	deliver := func(s *slacktest.Server, id string) error {
		_, err := slack.New(slack.Config{Token: "xoxb-canary", HTTPClient: s.Client()}).Person(id).Deliver(t.Context(), page())
		return err
	}
	s, _ := person(t)
	s.Deactivate(ana, true)
	for id, want := range map[string]string{ana: "deactivated", "U0NOBODY01": "user_not_found", slacktest.BotUserID: "cannot_dm_bot"} {
		err := deliver(s, id)
		require.ErrorContains(t, err, want)
		assert.True(t, tocsin.IsPermanent(err), "%v", err)
	}
	assert.Zero(t, s.Calls("chat.postMessage"), "Slack would have said yes")

	s.Deactivate(ana, false)
	s.Fault(slacktest.Fault{Method: "chat.postMessage", Error: "messages_tab_disabled", Count: 1})
	err := deliver(s, ana)
	require.ErrorContains(t, err, "App Home")
	assert.True(t, tocsin.IsPermanent(err))
}

func TestAPersonIsReachedWithFewScopes(t *testing.T) {
	t.Parallel()
	s, ch := person(t, slacktest.WithToken("xoxb-canary", "chat:write"))
	n := page()
	n.MayBePosted = true
	r := settle(t, ch, &n)
	assert.Contains(t, r.Text, "missing_scope (needed: im:write")
	assert.Equal(t, 1, s.Count(ana))
	s.Fault(slacktest.Fault{Method: "conversations.open", Status: 503})
	n = page()
	n.Incident.ID = "k7f3q8"
	settle(t, ch, &n)
	assert.Equal(t, 2, s.Count(ana), "that Slack cannot say who Ana is keeps no page back")
}

func TestStoppedIsLookedForAndNotPosted(t *testing.T) {
	t.Parallel()
	s, ch := person(t)
	n := page()
	n.Delivery.Since, n.MayBePosted = time.Now(), true
	n.Incident.Acknowledge("bo", opened)
	n.Delivery.Calls, n.Delivery.Stopped, n.Call = 0, true, false
	r := settle(t, ch, &n)
	assert.Contains(t, r.Text, "somebody has answered")
	assert.Zero(t, s.Calls("chat.postMessage"))
}

func TestOnCallGolden(t *testing.T) {
	t.Parallel()
	ahead := []tocsin.Ahead{
		{At: opened.Add(15 * time.Minute), Text: "bo"},
		{At: opened.Add(30 * time.Minute), Text: "the <!team> lead"},
		{At: opened.Add(50 * time.Hour), Text: "cy"},
		{At: opened.Add(60 * time.Hour), Text: "nobody"},
	}
	crew := &tocsin.Escalation{Responders: []tocsin.Responder{
		{User: "ana", Acknowledged: opened.Add(time.Minute)}, {User: "*bo*"}, {User: "cy", Unreachable: true},
	}}
	for name, change := range map[string]func(*tocsin.Notice){
		"called": func(n *tocsin.Notice) { n.Ahead, n.Incident.Escalation = ahead, crew },
		"snoozed": func(n *tocsin.Notice) {
			n.Incident.Acknowledge("ana", opened)
			n.Ahead, n.Incident.Escalation = ahead, crew.Clone()
			n.Incident.Escalation.SnoozedUntil = opened.Add(time.Hour)
		},
		"manual": func(n *tocsin.Notice) {
			n.Incident.Kind, n.Incident.Text = tocsin.KindManual, "Tocsin could not reach the store.\n\nLook at <disk> & *logs*."
			n.Alerts, n.GroupLabels, n.Incident.Alerts, n.Incident.Firing = nil, nil, 0, 0
		},
		"notice": func(n *tocsin.Notice) {
			n.Incident.Kind, n.Incident.Title = tocsin.KindNotice, "Your shift on primary begins"
			n.Incident.Text = "Until Monday 09:00.\nOpen: <k7f3q9> node-3 is down"
			n.Alerts, n.GroupLabels = nil, nil
			n.Incident.Acknowledge("ana", opened)
			n.Incident.Resolve("", "told", opened)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, ch := setup(t)
			n := notice(incident())
			change(&n)
			settle(t, ch, &n)
			m := one(t, s)
			golden(t, name+".golden.json", pretty(t, m))
			assert.Empty(t, m.See().Mentions)
		})
	}
}

func TestALongNoticeFits(t *testing.T) {
	t.Parallel()
	s, ch := setup(t)
	r := rand.New(rand.NewPCG(1, 2))
	for k, kind := range []tocsin.Kind{tocsin.KindManual, tocsin.KindNotice} {
		i := incident()
		i.ID, i.Kind = i.ID[:5]+string(rune('x'+k)), kind
		i.Title = strings.Repeat(`"<&*`, 200)
		for range 3000 {
			i.Text += nastyText(r) + "\n" + strings.Repeat(`\"`, 40) + "\n"
		}
		i.Escalation = &tocsin.Escalation{}
		n := notice(i)
		for range 50 {
			i.Escalation.Responders = append(i.Escalation.Responders, tocsin.Responder{User: nastyText(r) + strings.Repeat("&", 500)})
			n.Ahead = append(n.Ahead, tocsin.Ahead{At: opened, Text: nastyText(r) + strings.Repeat("<", 500)})
		}
		settle(t, ch, &n)
	}
	for _, m := range s.Messages("incidents") {
		assert.LessOrEqual(t, size(m), 10_000)
		assert.Empty(t, m.See().Mentions)
	}
}

func TestUserGroup(t *testing.T) {
	t.Parallel()
	s, _ := person(t, slacktest.WithToken("xoxb-canary"), slacktest.WithToken("xoxb-few", "chat:write"))
	bo := s.AddUser(slacktest.User{Name: "bo"})
	id := s.AddUserGroup(slacktest.UserGroup{Handle: "oncall", Users: []string{ana}})
	c := slack.New(slack.Config{Token: "xoxb-canary", HTTPClient: s.Client()})
	g := c.UserGroup(id)
	users, err := g.Members(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{ana}, users)
	require.NoError(t, g.Set(t.Context(), []string{bo, ana, bo}))
	assert.ElementsMatch(t, []string{ana, bo}, s.GroupMembers(id))

	before := s.Calls("")
	for _, bad := range [][]string{nil, {}, {""}, {"@ana"}} {
		assert.True(t, tocsin.IsPermanent(g.Set(t.Context(), bad)), "%q", bad)
	}
	require.Error(t, c.UserGroup("oncall").Set(t.Context(), []string{ana}))
	assert.Equal(t, before, s.Calls(""), "refused without a call")
	assert.ElementsMatch(t, []string{ana, bo}, s.GroupMembers(id), "never emptied")

	err = slack.New(slack.Config{Token: "xoxb-few", HTTPClient: s.Client()}).UserGroup(id).Set(t.Context(), []string{ana})
	require.ErrorContains(t, err, "needed: usergroups:write")
	s.Fault(slacktest.Fault{Method: "usergroups.users.update", Error: "permission_denied", Count: 1})
	err = g.Set(t.Context(), []string{ana})
	require.ErrorContains(t, err, "let everyone manage user groups")
	assert.True(t, tocsin.IsPermanent(err))
	s.Fault(slacktest.Fault{Method: "usergroups.users.update", Status: 429, RetryAfter: slacktest.Seconds(7), Count: 1})
	after, ok := tocsin.RetryDelay(g.Set(t.Context(), []string{ana}))
	assert.True(t, ok)
	assert.Equal(t, 7*time.Second, after)
}

func TestADigestMentionsWhomItCallsFor(t *testing.T) {
	t.Parallel()
	s, ch := setup(t)
	n := digest(7)
	for _, i := range n.Incidents {
		i.Deliveries[0].Calls, i.Deliveries[0].Mention = 1, "S0ONCALL01"
	}
	r, err := ch.DeliverDigest(t.Context(), n)
	require.NoError(t, err)
	assert.Contains(t, one(t, s).See().Mentions, "!subteam^S0ONCALL01")
	assert.Equal(t, 1, strings.Count(string(one(t, s).Blocks), "subteam"))

	// Another digest is wanted to call again: the one that is known is not it.
	n.Since, n.MayBePosted = time.Now(), true
	for _, i := range n.Incidents {
		i.Deliveries[0].Ref, i.Deliveries[0].Digest, i.Deliveries[0].Called, i.Deliveries[0].Calls = r.Ref, true, 1, 2
	}
	again, err := ch.DeliverDigest(t.Context(), n)
	require.NoError(t, err)
	assert.NotEqual(t, r.Ref, again.Ref)
	third, err := fresh(s).DeliverDigest(t.Context(), n) // its receipt was lost with the process
	require.NoError(t, err)
	assert.Equal(t, again.Ref, third.Ref)
}
