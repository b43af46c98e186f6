package slack_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	slackgo "github.com/slack-go/slack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

func TestMessageGolden(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*tocsin.Notice){
		"triggered": func(n *tocsin.Notice) { n.Runbook = nodeRunbook() },
		"minimal": func(n *tocsin.Notice) {
			*n = tocsin.Notice{Incident: n.Incident, Delivery: n.Delivery, Now: n.Now}
		},
		"acknowledged": func(n *tocsin.Notice) {
			n.Incident.Acknowledge("Ana", opened.Add(4*time.Minute))
		},
		"resolved": func(n *tocsin.Notice) {
			n.Incident.Firing = 0
			n.Incident.Resolve("", "all alerts are resolved", opened.Add(125*time.Minute))
		},
		"suppressed": func(n *tocsin.Notice) {
			n.Incident.Suppressed = 1
			n.Incident.Suppression = &tocsin.Suppression{Reason: tocsin.Silenced, By: "q2w3r4", Text: "silenced by ana until 12:00: maintenance"}
			n.Alerts[0].State.Suppression = n.Incident.Suppression
		},
		"many": func(n *tocsin.Notice) {
			n.Incident.Alerts, n.Incident.Firing, n.Incident.Suppressed = 60, 50, 2
			n.Incident.Flapping, n.Incident.Reopened, n.Incident.Truncated = true, 2, 12
			n.Alerts = many(20)
		},
		"hostile": func(n *tocsin.Notice) {
			n.Incident.Title = "<!channel> *now* `rm` <https://evil.example|click> ```\u202Eevil\u200B\n> quote"
			n.Alerts = []tocsin.AlertRecord{alert("<@U0ANA>", "critical", tocsin.Labels{
				"a`b": "```*_~", "link": "<https://evil.example|x>", "rtl": "\u202Eabc\u202C", "nl": "a\nb\r\n> c",
			})}
			n.Alerts[0].GeneratorURL = "javascript:alert(1)"
			n.Alerts[0].Annotations[tocsin.AnnotationRunbookURL] = "https://user:pw@evil.example/"
			n.Alerts[0].Annotations[tocsin.AnnotationDescription] = "> @here <!here> __init__ http://evil.example"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, ch := setup(t)
			n := notice(incident())
			change(&n)
			deliver(t, ch, &n)
			m := one(t, s)
			golden(t, name+".golden.json", pretty(t, m))
			assert.Empty(t, m.See().Mentions)
			assertSlackGoReads(t, m)
		})
	}
}

// pretty writes a message for a golden file. The order of fields is fixed.
func pretty(t *testing.T, m slacktest.Message) []byte {
	t.Helper()
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	payload := maps.Clone(m.Payload)
	delete(payload, "digest") // a hash
	fields := map[string]any{
		"text": m.Text, "blocks": json.RawMessage(m.Blocks),
		"metadata": map[string]any{"event_type": m.EventType, "event_payload": payload},
	}
	if len(m.Attachments) > 0 {
		fields["attachments"] = json.RawMessage(m.Attachments)
	}
	require.NoError(t, enc.Encode(fields))
	return out.Bytes()
}

// assertSlackGoReads lets another implementation of Block Kit read the message:
// unknown kinds and wrong shapes show.
func assertSlackGoReads(t *testing.T, m slacktest.Message) {
	t.Helper()
	var blocks slackgo.Blocks
	require.NoError(t, json.Unmarshal(m.Blocks, &blocks))
	for _, b := range blocks.BlockSet {
		assert.NotEqual(t, "*slack.UnknownBlock", fmt.Sprintf("%T", b))
	}
	var attachments []slackgo.Attachment
	require.NoError(t, json.Unmarshal(m.Attachments, &attachments))
	assert.Len(t, attachments, 1)
}

func TestMessageTellsWhatMatters(t *testing.T) {
	t.Parallel()
	s, ch := setup(t)
	n := notice(incident())
	n.Runbook = nodeRunbook()
	deliver(t, ch, &n)
	m := one(t, s)
	for _, want := range []string{
		"🔴 Triggered: Node node-3.eu-west is down", "NodeDown", `instance=\"node-3:9100\"`, `region=\"eu-west\"`,
		"*1 of 1 firing*", "Is the machine reachable?", "ping -c 3 'node-3' &amp;&amp; ssh", "fill in: `&lt;node-name&gt;`",
		"… and 2 more steps", "No scrape of",
	} {
		assert.Contains(t, string(m.Blocks), want)
	}
	assert.Contains(t, string(m.Attachments), "tocsin ack k7f3q9")
	assert.Equal(t, []string{
		"https://tocsin.example.com/incidents/k7f3q9", "https://runbooks.example.com/node-down",
		"https://prometheus.example.com/graph?g0.expr=up+%3D%3D+0&g0.tab=1",
	}, m.See().Links)
	assert.Equal(t, "tocsin_incident", m.EventType)
	assert.Equal(t, map[string]any{"incident": "k7f3q9", "target": target, "told": 7.0}, m.Payload)
}

func TestMessageFitsWhateverItHolds(t *testing.T) {
	t.Parallel()
	s, ch := setup(t)
	big := strings.Repeat(`"\&<>`+"`*_~漢\n", 3000)
	i := incident()
	i.Title, i.Alerts, i.Firing = big, 900, 900
	i.Acknowledge(big, opened)
	n := notice(i)
	n.Alerts = many(40)
	n.GroupLabels = tocsin.Labels{}
	for k := range 60 {
		n.GroupLabels[fmt.Sprintf("%d%s", k, big)] = big
		for a := range n.Alerts {
			n.Alerts[a].Labels[fmt.Sprintf("l%d%s", k, big)] = big
			n.Alerts[a].Annotations[tocsin.AnnotationDescription] = big
		}
	}
	n.Runbook = nodeRunbook()
	for k := range n.Runbook.Steps {
		n.Runbook.Steps[k].Text, n.Runbook.Steps[k].Condition = big, big
		n.Runbook.Steps[k].Commands = []tocsin.Command{{Text: big}, {Text: big[:600], Unfilled: []string{big, big}}}
	}
	deliver(t, ch, &n)
	m := one(t, s)
	assert.LessOrEqual(t, size(m), 10_000)
	assert.Contains(t, string(m.Attachments), "k7f3q9")
}

func size(m slacktest.Message) int {
	return utf8.RuneCountInString(m.Text) + utf8.RuneCount(m.Blocks) + utf8.RuneCount(m.Attachments)
}

func TestLongCommandIsNotCut(t *testing.T) {
	t.Parallel()
	s, ch := setup(t)
	n := notice(incident())
	n.Runbook = &tocsin.Runbook{Title: "R", Steps: []tocsin.Step{{Text: "Do it.", Commands: []tocsin.Command{{Text: "rm -rf /tmp/" + strings.Repeat("x", 900) + "\nls"}}}}}
	deliver(t, ch, &n)
	blocks := string(one(t, s).Blocks)
	assert.NotContains(t, blocks, "rm -rf")
	assert.Contains(t, blocks, "a long command of 2 lines: see the runbook")
}

func TestDigestGolden(t *testing.T) {
	t.Parallel()
	s, ch := setup(t)
	n := digest(7)
	r, err := ch.DeliverDigest(t.Context(), n)
	require.NoError(t, err)
	assert.Equal(t, "told in a digest in #incidents", r.Text)
	m := one(t, s)
	golden(t, "digest.golden.json", pretty(t, m))
	assert.Equal(t, "tocsin_digest", m.EventType)

	n.Ref = r.Ref
	n.Incidents[0].Resolve("", "done", opened)
	again, err := ch.DeliverDigest(t.Context(), n)
	require.NoError(t, err)
	assert.Equal(t, r.Ref, again.Ref)
	assert.Equal(t, 1, one(t, s).Edits)

	s.Delete("incidents", m.TS)
	anew, err := ch.DeliverDigest(t.Context(), n)
	require.NoError(t, err)
	assert.NotEqual(t, r.Ref, anew.Ref)
	assert.Contains(t, anew.Text, "message_not_found")
}

func digest(count int) tocsin.DigestNotice {
	n := tocsin.DigestNotice{Target: target, Since: time.Now(), Now: opened}
	for k := range count {
		i := incident()
		i.ID, i.Title = fmt.Sprintf("k7f%03d", k), fmt.Sprintf("Node node-%d in a region with a rather long name is down and nobody knows why", k)
		switch k % 7 {
		case 1:
			i.Acknowledge("Ana", opened)
		case 2:
			i.Resolve("", "done", opened)
		case 3:
			i.Severity = tocsin.Warning
		}
		n.Incidents = append(n.Incidents, i)
	}
	return n
}

func TestDigestNamesAHundred(t *testing.T) {
	t.Parallel()
	for _, count := range []int{1, 100, 5000} {
		s, ch := setup(t)
		n := digest(count)
		for _, i := range n.Incidents {
			i.Title = strings.Repeat(`"<&`+i.Title, 1+count/200)
		}
		_, err := ch.DeliverDigest(t.Context(), n)
		require.NoError(t, err)
		m := one(t, s)
		assert.LessOrEqual(t, size(m), 10_000)
		if count == 100 {
			for _, i := range n.Incidents {
				assert.Contains(t, string(m.Blocks), i.ID)
			}
		}
		assert.Empty(t, m.See().Mentions)
	}
}
