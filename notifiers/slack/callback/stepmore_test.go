package callback_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/callback"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

func TestAStepIsBegunSkippedAndWrittenAbout(t *testing.T) {
	t.Parallel()
	for name, bare := range map[string]bool{"with metadata": false, "without metadata": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := withSteps(t, 12, func(_ *callback.Config, _ *callback.Deps, c *slacktest.Callbacks) { c.NoMetadata = bare })
			w.click("k7f3q9", ana, slack.ActionStepMore)
			v := w.window(ana)
			assert.Equal(t, "A step of the runbook", v.Title)
			w.desk.fail(tocsin.Unavailable(errors.New("no")))
			_, err := w.slack.Submit(ana, map[string]string{"step": "s02", "status": "skipped", "text": "it is <!channel> a VM"})
			require.NoError(t, err)
			assert.Contains(t, w.window(ana).Errors["step"], "Try again", "the window keeps what was written")
			w.desk.fail(nil)
			_, err = w.slack.Submit(ana, map[string]string{"step": "s02", "status": "skipped", "text": " it is <!channel> a VM "})
			require.NoError(t, err)
			got := w.desk.actions()
			require.Len(t, got, 1)
			assert.Regexp(t, `^slack:V`, got[0].ID, "once for each window")
			assert.Equal(t, tocsin.Action{
				Kind: tocsin.ActStep, ID: got[0].ID, By: "ana", RunbookStep: "s02", Status: tocsin.StepSkipped, Via: "Slack", Text: "it is <!channel> a VM",
			}, got[0])
			assert.Contains(t, string(w.message("k7f3q9").Blocks), "skipped by ana")

			w.click("k7f3q9", bo, slack.ActionStepMore)
			w.window(bo)
			_, err = w.slack.Submit(bo, map[string]string{"step": "s12", "status": "started"})
			require.NoError(t, err)
			assert.Contains(t, string(w.message("k7f3q9").Blocks), "started by bo")
		})
	}
}

func TestAStepThatIsGoneMeanwhile(t *testing.T) {
	t.Parallel()
	w := withSteps(t, 3)
	w.click("k7f3q9", ana, slack.ActionStepMore)
	w.window(ana)
	w.desk.mu.Lock()
	w.desk.runbook = book(1)
	w.desk.mu.Unlock()
	_, err := w.slack.Submit(ana, map[string]string{"step": "s03", "status": "done"})
	require.NoError(t, err)
	assert.Contains(t, w.window(ana).Errors["step"], "not in the runbook any more")
	w.desk.change("k7f3q9", func(i *tocsin.Incident) { i.State = tocsin.Resolved })
	_, err = w.slack.Submit(ana, map[string]string{"step": "s01", "status": "done"})
	require.NoError(t, err)
	assert.Contains(t, w.window(ana).Errors["step"], "resolved")

	w.click("k7f3q9", bo, slack.ActionStepMore)
	assert.Contains(t, w.told(bo), "has moved on")
	w.desk.change("k7f3q9", func(i *tocsin.Incident) { i.State = tocsin.Triggered })
	w.desk.mu.Lock()
	w.desk.runbook = nil
	w.desk.mu.Unlock()
	w.click("k7f3q9", ana, slack.ActionStepMore)
	assert.Contains(t, w.told(ana), "no runbook with steps")
	assert.Empty(t, w.desk.actions())
}

func TestWhoMayNotWorkOnSteps(t *testing.T) {
	t.Parallel()
	w := withSteps(t, 3, func(_ *callback.Config, d *callback.Deps, _ *slacktest.Callbacks) {
		d.Person = boViews
	})
	w.click("k7f3q9", bo, slack.ActionStepMore)
	assert.Contains(t, w.told(bo), "has no right")
	w.click("k7f3q9", guest, slack.ActionStepMore)
	assert.Contains(t, w.told(guest), "does not know who you are")
	assert.Empty(t, w.desk.actions())
}
