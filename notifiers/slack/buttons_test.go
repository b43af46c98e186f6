package slack_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	slackgo "github.com/slack-go/slack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// clickable is setup with buttons.
func clickable(t testing.TB) (*slacktest.Server, *slack.Client) {
	t.Helper()
	s := slacktest.New(slacktest.WithAutoCreate())
	t.Cleanup(s.Close)
	return s, slack.New(slack.Config{Token: "xoxb-canary", HTTPClient: s.Client(), Lookup: true, Buttons: true})
}

func TestButtonsGolden(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*tocsin.Notice){
		"triggered": func(n *tocsin.Notice) {
			n.Incident.Runbook, n.Runbook = "node#node-down", nodeRunbook()
		},
		"acknowledged": func(n *tocsin.Notice) { n.Incident.Acknowledge("Ana", opened) },
		"reminded": func(n *tocsin.Notice) {
			n.Incident.Acknowledge("Ana", opened)
			n.Incident.Escalation = &tocsin.Escalation{ReturnAt: opened.Add(time.Hour)}
			n.Incident.Firing, n.GroupLabels = 0, nil
		},
		"resolved": func(n *tocsin.Notice) { n.Incident.Resolve("Ana", "done", opened.Add(time.Hour)) },
		"notice": func(n *tocsin.Notice) {
			n.Incident.Kind, n.Incident.Title, n.Alerts = tocsin.KindNotice, "Your shift on primary begins at 09:00", nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c := clickable(t)
			n := notice(incident())
			change(&n)
			deliver(t, c.Channel("#incidents"), &n)
			m := one(t, s)
			golden(t, "buttons_"+name+".golden.json", pretty(t, m))
			assert.Empty(t, m.See().Mentions)
			var blocks slackgo.Blocks
			require.NoError(t, json.Unmarshal(m.Blocks, &blocks))
			rows := 0
			for _, b := range blocks.BlockSet {
				if row, ok := b.(*slackgo.ActionBlock); ok {
					if _, boxes := slack.ParseStepGroup(row.BlockID); boxes {
						continue
					}
					rows++
					id, ok := slack.ParseBlockID(row.BlockID)
					assert.True(t, ok)
					assert.Equal(t, n.Incident.ID, id)
				}
			}
			assert.Equal(t, 1, rows)
		})
	}
}

// TestButtonsAreWhereTheyAreWanted: in direct messages too, and nowhere without
// somebody to take the clicks.
func TestButtonsAreWhereTheyAreWanted(t *testing.T) {
	t.Parallel()
	s, c := clickable(t)
	s.AddUser(slacktest.User{ID: "U0ANA0001", Name: "ana"})
	n := notice(incident())
	deliver(t, c.Person("U0ANA0001"), &n)
	require.Len(t, s.Messages("U0ANA0001"), 1)
	assert.Contains(t, string(s.Messages("U0ANA0001")[0].Blocks), slack.ActionAcknowledge)

	s, ch := setup(t)
	n = notice(incident())
	deliver(t, ch, &n)
	assert.NotContains(t, string(one(t, s).Blocks), `"actions"`)

	s, c = clickable(t)
	_, err := c.Channel("#incidents").DeliverDigest(t.Context(), digest(3))
	require.NoError(t, err)
	assert.NotContains(t, string(one(t, s).Blocks), `"actions"`, "a digest tells of many incidents")
}

// TestButtonsChangeWithTheirMessage: after an update it is another block, or a menu
// would go on showing what was chosen.
func TestButtonsChangeWithTheirMessage(t *testing.T) {
	t.Parallel()
	s, c := clickable(t)
	n := notice(incident())
	deliver(t, c.Channel("#incidents"), &n)
	assert.Contains(t, string(one(t, s).Blocks), `"tocsin:k7f3q9:3"`)
	n.Incident.Acknowledge("Ana", opened)
	deliver(t, c.Channel("#incidents"), &n)
	assert.Contains(t, string(one(t, s).Blocks), `"tocsin:k7f3q9:4"`)
	assert.NotContains(t, string(one(t, s).Blocks), `"`+slack.ActionAcknowledge+`"`)
	n.Incident.Resolve("Ana", "done", opened)
	deliver(t, c.Channel("#incidents"), &n)
	assert.NotContains(t, string(one(t, s).Blocks), slack.ActionEscalate)
	assert.Contains(t, string(one(t, s).Blocks), slack.ActionMore)
}

func TestMessageFitsWithButtons(t *testing.T) {
	t.Parallel()
	s, c := clickable(t)
	big := strings.Repeat(`"\&<>`+"`*_~漢\n", 3000)
	i := incident()
	i.Title, i.Text, i.Runbook, i.Alerts, i.Firing = big, big, big, 4_000_000_000, 4_000_000_000
	i.Escalation = &tocsin.Escalation{ReturnAt: opened}
	for k := range 40 {
		i.Escalation.Responders = append(i.Escalation.Responders, tocsin.Responder{User: fmt.Sprint(big, k)})
	}
	n := notice(i)
	n.Alerts = many(40)
	n.Runbook = nodeRunbook()
	n.Ahead = []tocsin.Ahead{{At: opened, Text: big}, {At: opened, Text: big}, {At: opened, Text: big}, {At: opened, Text: big}}
	n.GroupLabels = tocsin.Labels{}
	for k := range 60 {
		n.GroupLabels[fmt.Sprintf("%d%s", k, big)] = big
		for a := range n.Alerts {
			n.Alerts[a].Labels[fmt.Sprintf("l%d%s", k, big)] = big
		}
	}
	for _, state := range []tocsin.State{tocsin.Triggered, tocsin.Acknowledged} {
		i.State, i.AcknowledgedBy = state, big
		i.Touch(opened)
		deliver(t, c.Channel("#incidents"), &n)
		m := one(t, s)
		assert.LessOrEqual(t, size(m), 10_000)
		assert.Contains(t, string(m.Blocks), slack.ActionResolveFiring)
	}
}

func TestParseBlockIDAndValue(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"tocsin:k7f3q9:12": "k7f3q9", "tocsin:k7f3q9": "", "tocsin::1": "", "k7f3q9:1": "", "": "", "tocsin:a:b:1": "", "tocsin:a:-1": "",
	} {
		got, ok := slack.ParseBlockID(id)
		assert.Equal(t, want, got, id)
		assert.Equal(t, want != "", ok, id)
	}
	id, choice := slack.ParseValue("k7f3q9:1h")
	assert.Equal(t, "k7f3q9 1h", id+" "+choice)
	id, choice = slack.ParseValue("k7f3q9")
	assert.Equal(t, "k7f3q9 ", id+" "+choice)
}

// TestRespondGoesToSlackAlone: a response_url is not followed elsewhere, even when
// it was signed.
func TestRespondGoesToSlackAlone(t *testing.T) {
	t.Parallel()
	s := slacktest.New()
	c := slack.New(slack.Config{Token: "t", APIURL: slacktest.URL, HTTPClient: s.Client()})
	for _, u := range []string{
		"http://169.254.169.254/latest", "https://evil.example/actions/T/1", "http://hooks.slack.com/actions/T/1",
		"https://hooks.slack.com.evil.example/", "https://hooks.slack.com@evil.example/", "https://user@hooks.slack.com/", "", "%",
	} {
		err := c.Respond(t.Context(), u, slack.Reply{Lines: []string{"x"}})
		require.True(t, tocsin.IsPermanent(err), u)
		require.ErrorContains(t, err, "not called")
	}
	assert.Zero(t, s.Calls(""))
	err := c.Respond(t.Context(), "https://hooks.slack.com/actions/T/1", slack.Reply{Lines: []string{"x"}})
	require.ErrorContains(t, err, "404")
	assert.Equal(t, 1, s.Calls("response_url"))
}

func TestWorkspace(t *testing.T) {
	t.Parallel()
	_, c := clickable(t)
	id, err := c.Workspace(t.Context())
	require.NoError(t, err)
	assert.Equal(t, slacktest.TeamID, id)
}
