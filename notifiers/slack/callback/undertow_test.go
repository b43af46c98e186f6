package callback_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/callback"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// gate is a commander that says that it was called, and answers when it is let.
type gate struct {
	called chan struct{}
	answer chan error
}

func (g *gate) Run(context.Context, slack.Said) (slack.Reply, error) {
	g.called <- struct{}{}
	return slack.Reply{Lines: []string{"done"}}, <-g.answer
}

// Slack sends an event again that it has waited 3 s for, while it is still being
// done: were the second one acknowledged at once, what the first fails at would be
// lost.
func TestAnEventThatComesAgainWaitsForTheFirst(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		status int
	}{
		"fails": {tocsin.ErrUnavailable, http.StatusServiceUnavailable},
		"done":  {nil, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := &gate{make(chan struct{}, 9), make(chan error)}
			w := newWorld(t, func(_ *callback.Config, d *callback.Deps, _ *slacktest.Callbacks) { d.Commander = g })
			answers := make(chan slacktest.Answer, 2)
			send := func(try string) { // a second try is signed anew, which another body stands for here
				answers <- w.event("Ev1", w.mention(ana, "note k7f3q9 the disk was full", "try", try))
			}
			go send("1")
			<-g.called
			go send("2")
			select {
			case a := <-answers:
				require.Fail(t, "answered before the first was done", "%+v", a)
			case <-time.After(50 * time.Millisecond):
			}
			g.answer <- c.err
			for range 2 {
				assert.Equal(t, c.status, (<-answers).Status)
			}
			assert.Empty(t, g.called, "it was done once")
		})
	}
}

// Slack proves each URL anew, with requests that have no ID.
func TestChallengesAreAnsweredEachTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, challenge := range []string{"one", "two"} {
		a, err := w.slack.Event([]byte(`{"type":"url_verification","challenge":"` + challenge + `"}`))
		require.NoError(t, err)
		assert.Equal(t, challenge, string(a.Body))
	}
}

// What is done behind an answer has no server around it that would catch a panic.
func TestAPanicBehindAnAnswerIsNotTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(_ *callback.Config, d *callback.Deps, _ *slacktest.Callbacks) {
		d.Publish = func(context.Context, string, string, slack.Home) error { panic("no such luck") }
	})
	a := w.event("Ev1", map[string]any{"type": "app_home_opened", "user": ana, "tab": "home"})
	assert.Equal(t, http.StatusOK, a.Status)
	require.Eventually(t, func() bool { return w.logs.lines("no such luck") == 1 }, 10*time.Second, 5*time.Millisecond)
	require.NoError(t, w.handler.Close(t.Context()))
}
