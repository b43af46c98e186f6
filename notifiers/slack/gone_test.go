package slack_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// A runbook that was edited in the middle of the incident: what is not as it was is
// marked, and what is gone stays.
func TestAnEditedRunbookInSlack(t *testing.T) {
	t.Parallel()
	pinned, now := nodeRunbook(), nodeRunbook()
	now.Steps[1] = tocsin.Step{ID: "b200000000", Section: tocsin.SectionDiagnosis, Text: "Look at the kubelet's new journal."}
	now.Steps = append(now.Steps[:3], now.Steps[4:]...)
	for name, buttons := range map[string]bool{"with check boxes": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := slacktest.New(slacktest.WithAutoCreate())
			t.Cleanup(s.Close)
			i := incident()
			i.Runbook = "node#node-down"
			i.Progress = &tocsin.Progress{Steps: []tocsin.StepProgress{
				{Step: "a200000000", Number: 2, Text: "Look at the ~kubelet's~ <!channel> journal.", Status: tocsin.StepDone, By: "ana", At: opened.Add(time.Minute)},
			}}
			n := notice(i)
			n.Runbook, n.Steps = now, i.Progress.View(pinned, now)
			ch := slack.New(slack.Config{Token: "xoxb-canary", HTTPClient: s.Client(), Buttons: buttons}).Channel("#incidents")
			deliver(t, ch, &n)
			seen := one(t, s).See()
			html := string(seen.HTML)
			assert.Contains(t, html, "edited since")
			assert.Regexp(t, `Gone from the runbook: <s>2\. Look at the [^<]*journal\.</s> · ✓ ana`, html)
			assert.Regexp(t, `Gone from the runbook: <s>4\. Tell the platform team\.</s>`, html)
			assert.Equal(t, 2, strings.Count(html, "Gone from"), "what was replaced and never touched is told by its successor")
			assert.Empty(t, seen.Mentions)
		})
	}

	i := incident()
	i.Runbook = "node#node-down"
	var steps []tocsin.StepView
	for k := range 9 {
		steps = append(steps, tocsin.StepView{Number: k + 1, ID: fmt.Sprint(k), Text: strings.Repeat("é", 200), Status: tocsin.StepSkipped, By: "bo", Note: strings.Repeat("n", 500), Gone: true})
	}
	n := notice(i)
	n.Steps = steps
	s, ch := setup(t)
	deliver(t, ch, &n)
	html := string(one(t, s).See().HTML)
	assert.Contains(t, html, "it is not there any more")
	assert.Contains(t, html, "and 4 more that are gone")
	require.Equal(t, 5, strings.Count(html, "Gone from"))
}

func TestTheStepsOfAMenu(t *testing.T) {
	t.Parallel()
	rb := &tocsin.Runbook{}
	var p tocsin.Progress
	for k := range 300 {
		rb.Steps = append(rb.Steps, tocsin.Step{ID: fmt.Sprintf("s%03d", k), Text: strings.Repeat("x", 200)})
		if k < 150 {
			p.Steps = append(p.Steps, tocsin.StepProgress{Step: fmt.Sprintf("s%03d", k), Status: tocsin.StepDone})
		}
	}
	list := slack.StepChoices(rb, &p)
	require.Len(t, list, 100)
	assert.Equal(t, "s149", list[0][0])
	assert.Equal(t, "s150", slack.NextStep(rb, &p))
	for _, o := range list {
		assert.LessOrEqual(t, len([]rune(o[1])), 75)
	}
	assert.Len(t, slack.StepChoices(nodeRunbook(), nil), 7)
	assert.Empty(t, slack.StepChoices(nil, nil))
}
