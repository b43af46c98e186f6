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
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// boxesOf are the groups of check boxes of a message, read by slack-go.
func boxesOf(t require.TestingT, m slacktest.Message) (ids []string, groups []*slackgo.CheckboxGroupsBlockElement) {
	var blocks slackgo.Blocks
	require.NoError(t, json.Unmarshal(m.Blocks, &blocks))
	for _, b := range blocks.BlockSet {
		row, ok := b.(*slackgo.ActionBlock)
		if !ok {
			continue
		}
		for _, e := range row.Elements.ElementSet {
			if c, ok := e.(*slackgo.CheckboxGroupsBlockElement); ok {
				ids, groups = append(ids, row.BlockID), append(groups, c)
			}
		}
	}
	return ids, groups
}

// worked is an incident with the runbook, of which some steps are done.
func worked(n *tocsin.Notice) {
	n.Incident.Runbook, n.Runbook = "node#node-down", nodeRunbook()
	n.Incident.Progress = &tocsin.Progress{Steps: []tocsin.StepProgress{
		{Step: "a100000000", Number: 1, Text: "Is the machine reachable?", Status: tocsin.StepDone, By: "ana", At: opened.Add(3 * time.Minute), Via: "Slack"},
		{Step: "a300000000", Number: 3, Text: "drain it.", Status: tocsin.StepSkipped, By: "bo", At: opened.Add(30 * time.Hour), Note: "it came back"},
		{Step: "a400000000", Number: 4, Text: "Tell the platform team.", Status: tocsin.StepStarted, By: "bo", At: opened.Add(time.Minute)},
		{Step: "a500000000", Number: 5, Text: "Uncordon it.", Status: tocsin.StepOpen, By: "bo", At: opened.Add(time.Minute)},
	}}
}

func TestStepsAreCheckBoxes(t *testing.T) {
	t.Parallel()
	s, c := clickable(t)
	n := notice(incident())
	worked(&n)
	deliver(t, c.Channel("#incidents"), &n)
	m := one(t, s)
	golden(t, "boxes.golden.json", pretty(t, m))
	ids, groups := boxesOf(t, m)
	require.Len(t, groups, 1)
	g, ok := slack.ParseStepGroup(ids[0])
	require.True(t, ok)
	assert.Equal(t, "k7f3q9", g.Incident)
	assert.Len(t, g.Steps, 7)
	assert.Equal(t, slack.StepBox{Key: "a100000000", Ticked: true}, g.Steps[0])
	assert.Equal(t, slack.StepBox{Key: "a300000000"}, g.Steps[2], "what is skipped is not done")
	require.Len(t, groups[0].InitialOptions, 1)
	var said []string
	for _, o := range groups[0].Options {
		said = append(said, o.Text.Text)
		if o.Description != nil {
			said = append(said, o.Description.Text)
		}
	}
	assert.Equal(t, []string{
		"1. Is the machine reachable?", "✓ ana, 05:03 UTC", "2. Look at the kubelet's journal.",
		"3. ↳ If it does not come back: drain it.", "skipped by bo, 23 Nov 11:00 UTC: it came back",
		"4. Tell the platform team.", "started by bo, 05:01 UTC", "5. Uncordon it when it is well.", "6. Write it down.", "7. Order a new one.",
	}, said)
	assert.Contains(t, string(m.Blocks), "journalctl", "the commands of what is to be done stay")
	assert.NotContains(t, string(m.Blocks), "ping -c 3", "those of what is done go")
	assert.Contains(t, string(m.Blocks), "1 of 7 steps done, 1 skipped")
}

// TestTicksAreTextWhereNobodyTakesClicks, and where nothing is left to be done.
func TestTicksAreTextWhereNobodyTakesClicks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		buttons bool
		change  func(*tocsin.Notice)
	}{
		"without callbacks":      {false, func(*tocsin.Notice) {}},
		"resolved":               {true, func(n *tocsin.Notice) { n.Incident.Resolve("ana", "done", opened.Add(time.Hour)) }},
		"steps without an ID":    {true, func(n *tocsin.Notice) { n.Runbook.Steps[6].ID = "" }},
		"two steps of one ID":    {true, func(n *tocsin.Notice) { n.Runbook.Steps[6].ID = n.Runbook.Steps[5].ID }},
		"resolved, runbook gone": {true, func(n *tocsin.Notice) { n.Incident.Resolve("ana", "done", opened); n.Runbook = nil }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, client := clickable(t)
			ch := client.Channel("#incidents")
			if !c.buttons {
				s, ch = setup(t)
			}
			n := notice(incident())
			worked(&n)
			c.change(&n)
			deliver(t, ch, &n)
			m := one(t, s)
			assert.NotContains(t, string(m.Blocks), `"checkboxes"`)
			assert.Contains(t, string(m.Blocks), "1. Is the machine reachable? · ✓ ana <!date^")
			assert.Contains(t, string(m.Blocks), "skipped by bo <!date^")
			assert.Contains(t, string(m.Blocks), ": it came back")
		})
	}
}

func TestNoticesHaveNoBoxes(t *testing.T) {
	t.Parallel()
	s, c := clickable(t)
	n := notice(incident())
	worked(&n)
	n.Incident.Kind = tocsin.KindNotice
	deliver(t, c.Channel("#incidents"), &n)
	assert.NotContains(t, string(one(t, s).Blocks), `"checkboxes"`)
}

// steps is a runbook of many steps, of which the first are done.
func steps(n *tocsin.Notice, count, done int) {
	n.Incident.Runbook, n.Runbook = "many", &tocsin.Runbook{ID: "many", Title: "Many"}
	n.Incident.Progress = &tocsin.Progress{}
	for k := range count {
		id := fmt.Sprintf("%010x", k)
		n.Runbook.Steps = append(n.Runbook.Steps, tocsin.Step{ID: id, Text: fmt.Sprintf("Do what comes as number %d.", k+1)})
		if k < done {
			n.Incident.Progress.Steps = append(n.Incident.Progress.Steps, tocsin.StepProgress{Step: id, Status: tocsin.StepDone, By: "ana", At: opened})
		}
	}
}

// TestManySteps: what does not fit is named, and what is next to be done always
// has its box.
func TestManySteps(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		count, done int
		groups      []int
		first       int
		says        []string
	}{
		{10, 0, []int{10}, 1, nil},
		{11, 0, []int{10, 1}, 1, nil},
		{30, 3, []int{10, 10, 10}, 1, nil},
		{34, 8, []int{10, 10, 10}, 5, []string{"… 4 earlier steps"}},
		{34, 2, []int{10, 10, 10}, 2, []string{"… 1 earlier step\"", "… and 3 more steps: Runbook, in the menu above"}},
		{200, 150, []int{10, 10, 10}, 150, []string{"… 149 earlier steps", "… and 21 more steps"}},
		{200, 200, []int{10}, 191, []string{"… 190 earlier steps", "200 of 200 steps done"}},
	} {
		s, client := clickable(t)
		n := notice(incident())
		steps(&n, c.count, c.done)
		deliver(t, client.Channel("#incidents"), &n)
		m := one(t, s)
		ids, groups := boxesOf(t, m)
		var sizes []int
		for k, g := range groups {
			sizes = append(sizes, len(g.Options))
			parsed, ok := slack.ParseStepGroup(ids[k])
			require.True(t, ok, ids[k])
			require.Len(t, parsed.Steps, len(g.Options))
			for o := range g.Options {
				id, key := slack.ParseValue(g.Options[o].Value)
				assert.Equal(t, "k7f3q9", id)
				assert.Equal(t, parsed.Steps[o].Key, key)
			}
		}
		assert.Equal(t, c.groups, sizes, "%d of %d", c.done, c.count)
		assert.Equal(t, fmt.Sprintf("%d. Do what comes as number %[1]d.", c.first), groups[0].Options[0].Text.Text)
		for _, want := range c.says {
			assert.Contains(t, string(m.Blocks), want)
		}
		if c.done < c.count {
			assert.Contains(t, string(m.Blocks), fmt.Sprintf(`"%d. Do what comes`, c.done+1), "the next one")
		}
		assert.LessOrEqual(t, size(m), 10_000)
	}
}

// TestAnyRunbookFits: whatever a runbook holds and whatever was done about it, Slack
// takes the message, and what is to be ticked can be told.
func TestAnyRunbookFits(t *testing.T) {
	t.Parallel()
	texts := rapid.OneOf(rapid.String(), rapid.SampledFrom(append(nasty, huge...)), rapid.StringMatching(`[a-z]{1,10}( [a-z]{1,8}){0,30}`))
	rapid.Check(t, func(t *rapid.T) {
		text := func(label string) string { return texts.Draw(t, label) }
		s := slacktest.New(slacktest.WithAutoCreate())
		defer s.Close()
		c := slack.New(slack.Config{Token: "xoxb-canary", HTTPClient: s.Client(), Buttons: true})
		n := notice(incident())
		n.Incident.Runbook, n.Runbook = "r", &tocsin.Runbook{ID: "r", Title: text("title")}
		n.Incident.Progress = &tocsin.Progress{}
		n.Incident.Revision = rapid.Uint64().Draw(t, "revision")
		statuses := []tocsin.StepStatus{"", tocsin.StepOpen, tocsin.StepStarted, tocsin.StepDone, tocsin.StepSkipped, "other"}
		for k := range rapid.IntRange(1, 60).Draw(t, "steps") {
			st := tocsin.Step{ID: fmt.Sprintf("%d%s", k, text("id")), Text: text("text"), Depth: rapid.IntRange(0, 9).Draw(t, "depth")}
			if rapid.Bool().Draw(t, "has more") {
				st.Condition, st.Commands = text("condition"), []tocsin.Command{{Text: text("command"), Unfilled: []string{text("unfilled")}}}
			}
			n.Runbook.Steps = append(n.Runbook.Steps, st)
			if status := rapid.SampledFrom(statuses).Draw(t, "status"); status != "" {
				n.Incident.Progress.Steps = append(n.Incident.Progress.Steps, tocsin.StepProgress{
					Step: st.ID, Status: status, By: text("by"), At: opened.Add(time.Duration(k) * time.Hour), Note: text("note"),
				})
			}
		}
		r, err := c.Channel("#incidents").Deliver(t.Context(), n)
		require.NoError(t, err)
		require.NotContains(t, r.Text, "plain text")
		m := s.Messages("incidents")
		require.Len(t, m, 1)
		assertHarmless(t, m[0])
		ids, groups := boxesOf(t, m[0])
		for k := range ids {
			g, ok := slack.ParseStepGroup(ids[k])
			require.True(t, ok, ids[k])
			require.Len(t, g.Steps, len(groups[k].Options))
		}
	})
}

func TestParseStepGroup(t *testing.T) {
	t.Parallel()
	g, ok := slack.ParseStepGroup("tocsin_steps:k7f3q9:12:1:a1+,b2")
	require.True(t, ok)
	assert.Equal(t, slack.StepGroup{Incident: "k7f3q9", Steps: []slack.StepBox{{Key: "a1", Ticked: true}, {Key: "b2"}}}, g)
	for _, id := range []string{
		"", "tocsin:k7f3q9:12", "tocsin_steps:k7f3q9:12:1", "tocsin_steps:k7f3q9:12:1:", "tocsin_steps::12:1:a", "tocsin_steps:k:x:1:a",
		"tocsin_steps:k:1:x:a", "tocsin_steps:k:1:1:a,a", "tocsin_steps:k:1:1:a,a+", "tocsin_steps:k:1:1:a:b", "tocsin_steps:k:1:1:+",
		"tocsin_steps:k:1:1:a++", "tocsin_steps:k:1:1:" + strings.Repeat("a", 17), "tocsin_steps:k:1:1:a,b,c,d,e,f,g,h,i,j,k", "tocsin_steps:k:1:1:a<b",
	} {
		_, ok := slack.ParseStepGroup(id)
		assert.False(t, ok, id)
	}
	assert.Equal(t, "1a2b3c4d5e", slack.StepKey("1a2b3c4d5e"))
	assert.Empty(t, slack.StepKey(""))
	assert.Regexp(t, `^[0-9a-f]{16}$`, slack.StepKey("node#down/step 3"))
	assert.NotEqual(t, slack.StepKey("a b"), slack.StepKey("a  b"))
}

func TestRunbookLinesTellWhatWasDone(t *testing.T) {
	t.Parallel()
	n := notice(incident())
	worked(&n)
	said := strings.Join(slack.RunbookLines(n.Runbook, n.Incident.Progress), "\n")
	assert.Contains(t, said, "1 of 7 steps done, 1 skipped")
	assert.Contains(t, said, "1. Is the machine reachable? · ✓ ana <!date^")
	assert.Contains(t, said, "ping -c 3")
	assert.NotContains(t, strings.Join(slack.RunbookLines(n.Runbook, nil), "\n"), "steps done")
}
