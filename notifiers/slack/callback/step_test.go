package callback_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/callback"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// book is a runbook of so many steps: s01, s02 and so on.
func book(count int) *tocsin.Runbook {
	rb := &tocsin.Runbook{ID: "node#down", Title: "Node down"}
	for n := range count {
		rb.Steps = append(rb.Steps, tocsin.Step{ID: fmt.Sprintf("s%02d", n+1), Text: fmt.Sprintf("do thing %d", n+1)})
	}
	return rb
}

// withSteps opens an incident with a runbook of so many steps.
func withSteps(t testing.TB, count int, opts ...option) *world {
	t.Helper()
	w := newWorld(t, opts...)
	w.desk.runbook = book(count)
	w.open("k7f3q9", func(i *tocsin.Incident) { i.Runbook = "node#down" })
	return w
}

// freeze keeps the messages as they are: what is done is not shown any more.
func (w *world) freeze() {
	w.desk.mu.Lock()
	defer w.desk.mu.Unlock()
	w.desk.changed = nil
}

// stands are the steps that are done, with who did them.
func (w *world) stands(id string) string {
	w.Helper()
	inc, err := w.desk.Get(w.Context(), id)
	require.NoError(w, err)
	var out []string
	if inc.Progress != nil {
		for _, s := range inc.Progress.Steps {
			if s.Status == tocsin.StepDone {
				out = append(out, s.Step+" "+s.By)
			}
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func TestTicking(t *testing.T) {
	t.Parallel()
	for name, bare := range map[string]bool{"with metadata": false, "without metadata": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := withSteps(t, 3, func(_ *callback.Config, _ *callback.Deps, c *slacktest.Callbacks) { c.NoMetadata = bare })
			a := w.click("k7f3q9", ana, slack.ActionSteps, "s02")
			assert.Equal(t, http.StatusOK, a.Status)
			assert.Empty(t, a.Body)
			got := w.desk.actions()
			require.Len(t, got, 1)
			assert.Regexp(t, `^slack:\d+\.\d{6}:\d+\.\d{6}:U0ANA0001:s02$`, got[0].ID)
			assert.Equal(t, tocsin.Action{Kind: tocsin.ActStep, ID: got[0].ID, By: "ana", RunbookStep: "s02", Status: tocsin.StepDone, Via: "Slack"}, got[0])
			assert.Regexp(t, `"description":\{"type":"plain_text","text":"✓ ana, [^"]*\d\d:\d\d UTC"`, string(w.message("k7f3q9").Blocks), "everybody sees who and when")
			assert.Contains(t, string(w.message("k7f3q9").Blocks), "1 of 3 steps done")

			w.click("k7f3q9", bo, slack.ActionSteps, "s01")
			w.click("k7f3q9", bo, slack.ActionSteps, "s02")
			assert.Equal(t, "s01 bo", w.stands("k7f3q9"))
			got = w.desk.actions()
			require.Len(t, got, 3)
			assert.Equal(t, tocsin.StepOpen, got[2].Status)
			w.settle()
			assert.Empty(t, w.slack.Ephemerals(""), "a success needs no words")
		})
	}
}

// TestTwoTickAtOnce from the same shown message: both count, whatever the one's
// Slack says of what the other did.
func TestTwoTickAtOnce(t *testing.T) {
	t.Parallel()
	w := withSteps(t, 12)
	w.click("k7f3q9", ana, slack.ActionSteps, "s09")
	m := w.message("k7f3q9")
	payload := func(user, choice string) []byte {
		p, err := w.slack.ClickPayload(m.Channel, m.TS, user, slack.ActionSteps, choice)
		require.NoError(t, err)
		return p
	}
	all := [][]byte{payload(ana, "s01"), payload(bo, "s02"), payload(bo, "s09"), payload(ana, "s12"), payload(bo, "s01")}
	for _, p := range all {
		a, err := w.slack.Interact(p)
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, a.Status)
	}
	assert.Equal(t, "s01 ana, s02 bo, s12 ana", w.stands("k7f3q9"), "bo has unticked the ninth, and the first stays ana's")
	w.settle()
	assert.Empty(t, w.slack.Ephemerals(""))
}

// TestTickedAndUntickedBeforeTheMessageFollows: the second click says what the
// message showed before the first.
func TestTickedAndUntickedBeforeTheMessageFollows(t *testing.T) {
	t.Parallel()
	w := withSteps(t, 3)
	w.freeze()
	w.click("k7f3q9", ana, slack.ActionSteps, "s01")
	w.click("k7f3q9", ana, slack.ActionSteps, "s02")
	assert.Equal(t, "s01 ana, s02 ana", w.stands("k7f3q9"))
	w.click("k7f3q9", ana, slack.ActionSteps, "s01")
	assert.Equal(t, "s02 ana", w.stands("k7f3q9"))
	w.click("k7f3q9", bo, slack.ActionSteps, "s03")
	assert.Equal(t, "s02 ana, s03 bo", w.stands("k7f3q9"))
	assert.Len(t, w.desk.actions(), 4)
}

// TestClicksThatComeLate: of two clicks of one person the later one says it all,
// also when it comes first.
func TestClicksThatComeLate(t *testing.T) {
	t.Parallel()
	w := withSteps(t, 3)
	w.freeze()
	m := w.message("k7f3q9")
	var payloads [][]byte
	for range 3 { // ticked, unticked, ticked
		p, err := w.slack.ClickPayload(m.Channel, m.TS, ana, slack.ActionSteps, "s01")
		require.NoError(t, err)
		payloads = append(payloads, p)
	}
	for _, n := range []int{2, 0, 1} {
		_, err := w.slack.Interact(payloads[n])
		require.NoError(t, err)
	}
	assert.Equal(t, "s01 ana", w.stands("k7f3q9"))
	assert.Len(t, w.desk.actions(), 1)
}

// TestTwoDevices: the person's other device does not know what the first has
// ticked.
func TestTwoDevices(t *testing.T) {
	t.Parallel()
	w := withSteps(t, 3)
	w.freeze()
	w.click("k7f3q9", ana, slack.ActionSteps, "s01")
	m := w.message("k7f3q9")
	p, err := w.slack.ClickPayload(m.Channel, m.TS, bo, slack.ActionSteps, "s02")
	require.NoError(t, err)
	_, err = w.slack.Interact(changed(t, p, bo, ana))
	require.NoError(t, err)
	assert.Equal(t, "s01 ana, s02 ana", w.stands("k7f3q9"))
}

// TestAStaleMessageStillDoesTheRightThing: it was not brought up to date for long.
func TestAStaleMessageStillDoesTheRightThing(t *testing.T) {
	t.Parallel()
	w := withSteps(t, 4)
	w.click("k7f3q9", ana, slack.ActionSteps, "s01")
	w.freeze()
	w.desk.change("k7f3q9", func(i *tocsin.Incident) {
		i.Revision += 40
		i.Progress.Of("s01").Status = tocsin.StepOpen // unticked elsewhere
		i.Progress.Steps = append(i.Progress.Steps, tocsin.StepProgress{Step: "s02", Status: tocsin.StepDone, By: "cy", At: time.Now()},
			tocsin.StepProgress{Step: "s03", Status: tocsin.StepSkipped, By: "cy"})
	})
	w.click("k7f3q9", bo, slack.ActionSteps, "s04")
	assert.Equal(t, "s02 cy, s04 bo", w.stands("k7f3q9"), "what bo did not touch stays")
	w.click("k7f3q9", bo, slack.ActionSteps, "s03")
	assert.Equal(t, "s02 cy, s03 bo, s04 bo", w.stands("k7f3q9"), "what was skipped can be done")
}

func TestManyStepsAreTicked(t *testing.T) {
	t.Parallel()
	w := withSteps(t, 25)
	for _, step := range []string{"s03", "s14", "s25", "s11", "s20"} {
		w.click("k7f3q9", ana, slack.ActionSteps, step)
	}
	assert.Equal(t, "s03 ana, s11 ana, s14 ana, s20 ana, s25 ana", w.stands("k7f3q9"))
	assert.Contains(t, string(w.message("k7f3q9").Blocks), "5 of 25 steps done")
	assert.Equal(t, 3, strings.Count(string(w.message("k7f3q9").Blocks), `"checkboxes"`))
}

// TestAnEditedRunbook: a step that is gone is told; the others count.
func TestAnEditedRunbook(t *testing.T) {
	t.Parallel()
	w := withSteps(t, 3)
	w.desk.mu.Lock()
	w.desk.runbook = book(3)
	w.desk.runbook.Steps = slices.Delete(w.desk.runbook.Steps, 0, 1)
	w.desk.mu.Unlock()
	assert.Equal(t, http.StatusOK, w.click("k7f3q9", ana, slack.ActionSteps, "s01").Status)
	said := w.told(ana)
	assert.Contains(t, said, "Not done")
	assert.Contains(t, said, "not in the runbook any more")
	assert.Empty(t, w.desk.actions())
	w.click("k7f3q9", ana, slack.ActionSteps, "s03")
	assert.Equal(t, "s03 ana", w.stands("k7f3q9"))
	require.Eventually(t, func() bool { return len(w.slack.Ephemerals(ana)) == 2 }, 5*time.Second, time.Millisecond)
	assert.Contains(t, w.told(ana), "✓ Step 2 is done", "its Slack still shows the first as ticked, so it is told again")

	w = withSteps(t, 3)
	w.desk.mu.Lock()
	w.desk.runbook = nil
	w.desk.mu.Unlock()
	w.click("k7f3q9", ana, slack.ActionSteps, "s01")
	assert.Contains(t, w.told(ana), "not in the runbook any more")
}

// TestSeveralInOneClick, of which one fails.
func TestSeveralInOneClick(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		status int
		says   []string
		done   string
	}{
		"none":     {nil, 200, nil, "s01 ana, s02 ana, s03 ana"},
		"conflict": {fmt.Errorf("%w: <!channel> no", tocsin.ErrConflict), 200, []string{"Not all was done", "Step 2: &lt;!channel&gt; no.", "✓ Step 1 is done", "✓ Step 3 is done"}, "s01 ana, s03 ana"},
		"not now":  {tocsin.ErrUnavailable, 503, []string{"Not all was done", "Step 2: Tocsin cannot commit", "Step 3: not tried", "✓ Step 1 is done"}, "s01 ana"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := withSteps(t, 3)
			w.freeze()
			w.desk.stuck = map[string]error{"s02": c.err}
			assert.Equal(t, c.status, w.click("k7f3q9", ana, slack.ActionSteps, "s01", "s02", "s03").Status)
			assert.Equal(t, c.done, w.stands("k7f3q9"))
			for _, want := range c.says {
				assert.Contains(t, w.told(ana), want)
			}
			for _, e := range w.slack.Ephemerals("") {
				assert.Empty(t, e.See().Mentions)
			}
			if c.err == nil {
				return
			}
			w.desk.mu.Lock()
			w.desk.stuck = nil
			w.desk.mu.Unlock()
			w.slack.Dismiss(ana)
			w.click("k7f3q9", ana, slack.ActionSteps, "s01")
			assert.Equal(t, "s02 ana, s03 ana", w.stands("k7f3q9"), "the next click brings what was missing")
		})
	}
}

func TestWhoMayTick(t *testing.T) {
	t.Parallel()
	w := withSteps(t, 3, func(_ *callback.Config, d *callback.Deps, _ *slacktest.Callbacks) {
		d.Person = boViews
	})
	w.click("k7f3q9", guest, slack.ActionSteps, "s01")
	assert.Contains(t, w.told(guest), "slack: "+guest)
	w.click("k7f3q9", bo, slack.ActionSteps, "s01")
	w.told(bo)
	assert.Empty(t, w.desk.actions())
	w.freeze()
	w.desk.change("k7f3q9", resolved)
	w.click("k7f3q9", ana, slack.ActionSteps, "s01")
	assert.Contains(t, w.told(ana), "`k7f3q9` is resolved")
	assert.Empty(t, w.desk.actions())
}

// TestForgedTicks are refused, logged once, and do nothing.
func TestForgedTicks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ old, with string }{
		"a box of another incident":     {`"value":"k7f3q9:s01"`, `"value":"m2m2m2:s01"`},
		"a step that was not shown":     {`"value":"k7f3q9:s01"`, `"value":"k7f3q9:s77"`},
		"no step":                       {`"value":"k7f3q9:s01"`, `"value":"k7f3q9"`},
		"another incident in the block": {`tocsin_steps:k7f3q9:`, `tocsin_steps:m2m2m2:`},
		"another incident altogether":   {`k7f3q9:`, `m2m2m2:`},
		"a block of buttons":            {`tocsin_steps:k7f3q9:1:0:s01,s02,s03`, `tocsin:k7f3q9:1`},
		"a block without steps":         {`tocsin_steps:k7f3q9:1:0:s01,s02,s03`, `tocsin_steps:k7f3q9:1:0`},
		"another message":               {`"incident":"k7f3q9"`, `"incident":"m2m2m2"`},
		"a digest":                      {`tocsin_incident`, `tocsin_digest`},
		"no selection":                  {`"selected_options"`, `"selected"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := withSteps(t, 3)
			w.open("m2m2m2", func(i *tocsin.Incident) { i.Runbook = "node#down" })
			m := w.message("k7f3q9")
			payload, err := w.slack.ClickPayload(m.Channel, m.TS, ana, slack.ActionSteps, "s01")
			require.NoError(t, err)
			payload = changed(t, payload, c.old, c.with)
			for range 5 {
				code := w.serve(w.request(append(payload, ' '), time.Now()))
				assert.NotEqual(t, 200, code)
				payload = append(payload, ' ')
			}
			assert.Equal(t, 1, w.logs.lines("was refused"))
			w.settle()
			assert.Empty(t, w.desk.actions())
			assert.Empty(t, w.slack.Ephemerals(""))
		})
	}
	t.Run("the same box twice, and a message that never was", func(t *testing.T) {
		t.Parallel()
		w := withSteps(t, 3, func(_ *callback.Config, _ *callback.Deps, c *slacktest.Callbacks) { c.NoMetadata = true })
		m := w.message("k7f3q9")
		payload, err := w.slack.ClickPayload(m.Channel, m.TS, ana, slack.ActionSteps, "s01")
		require.NoError(t, err)
		var p map[string]any
		require.NoError(t, json.Unmarshal(payload, &p))
		action := p["actions"].([]any)[0].(map[string]any)
		selected := action["selected_options"].([]any)
		action["selected_options"] = append(selected, selected...)
		twice, err := json.Marshal(p)
		require.NoError(t, err)
		assert.NotEqual(t, 200, w.serve(w.request(twice, time.Now())))
		assert.NotEqual(t, 200, w.serve(w.request(changed(t, payload, m.TS, "1.000001"), time.Now())))
		assert.Empty(t, w.desk.actions())
	})
}

// TestANoticeIsNotTicked, whatever its payload says.
func TestANoticeIsNotTicked(t *testing.T) {
	t.Parallel()
	w := withSteps(t, 3)
	m := w.message("k7f3q9")
	payload, err := w.slack.ClickPayload(m.Channel, m.TS, ana, slack.ActionSteps, "s01")
	require.NoError(t, err)
	w.desk.change("k7f3q9", func(i *tocsin.Incident) { i.Kind = tocsin.KindNotice })
	assert.NotEqual(t, 200, w.serve(w.request(payload, time.Now())))
	assert.Empty(t, w.desk.actions())
}

// TestTickingConverges: whoever ticks whatever, and however rarely the message
// follows, each box ends as the last who clicked on it wanted, and the message
// shows that.
func TestTickingConverges(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := withSteps(t, 13)
		want := map[string]bool{}
		clients := map[string]map[string]bool{ana: {}, bo: {}} // what each Slack shows
		w.freeze()
		for range rapid.IntRange(1, 12).Draw(rt, "clicks") {
			if rapid.IntRange(0, 3).Draw(rt, "follows") == 0 {
				w.follow()
				for user := range clients {
					clients[user] = map[string]bool{}
					for step, on := range want {
						clients[user][step] = on
					}
				}
			}
			user := rapid.SampledFrom([]string{ana, bo}).Draw(rt, "user")
			step := fmt.Sprintf("s%02d", rapid.IntRange(1, 13).Draw(rt, "step"))
			require.Equal(rt, 200, w.click("k7f3q9", user, slack.ActionSteps, step).Status)
			clients[user][step] = !clients[user][step]
			want[step] = clients[user][step]
		}
		w.follow()
		inc, err := w.desk.Get(w.Context(), "k7f3q9")
		require.NoError(rt, err)
		done := 0
		for n := range 13 {
			step := fmt.Sprintf("s%02d", n+1)
			require.Equal(rt, want[step], inc.Progress.Status(step) == tocsin.StepDone, step)
			if want[step] {
				done++
			}
		}
		require.Contains(rt, string(w.message("k7f3q9").Blocks), fmt.Sprintf("%d of 13 steps done", done))
		w.settle()
		require.Empty(rt, w.slack.Ephemerals(""))
	})
}

// follow brings the message up to date.
func (w *world) follow() {
	w.Helper()
	inc, err := w.desk.Get(w.Context(), "k7f3q9")
	require.NoError(w, err)
	w.show(inc)
}

func TestTheRunbookViewShowsTicks(t *testing.T) {
	t.Parallel()
	w := withSteps(t, 3)
	w.click("k7f3q9", bo, slack.ActionSteps, "s02")
	w.click("k7f3q9", ana, slack.ActionMore, slack.ChoiceRunbook)
	said := w.told(ana)
	assert.Contains(t, said, "2. do thing 2 · ✓ bo <!date^")
	assert.Contains(t, said, "1 of 3 steps done")
}
