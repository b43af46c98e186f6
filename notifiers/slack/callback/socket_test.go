package callback_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/callback"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

func (w *world) take(id, kind, payload string) (string, bool) {
	w.Helper()
	answer, ok := w.handler.Take(w.Context(), id, kind, []byte(payload))
	return string(answer), ok
}

// typist runs commands, one at a time where hold is set.
type typist struct {
	mu   sync.Mutex
	ran  []string
	hold chan struct{}
}

func (y *typist) Run(_ context.Context, said slack.Said) (slack.Reply, error) {
	if y.hold != nil {
		<-y.hold
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	y.ran = append(y.ran, said.Text)
	return slack.Reply{Lines: []string{"did " + said.Text}}, nil
}

func commandJSON(t testing.TB, trigger, text string) string {
	t.Helper()
	raw, err := json.Marshal(map[string]string{
		"team_id": slacktest.TeamID, "command": "/tocsin", "user_id": ana, "channel_id": "C1", "text": text, "trigger_id": trigger, "is_enterprise_install": "false",
	})
	require.NoError(t, err)
	return string(raw)
}

func TestAClickOverASocketIsThatOverHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.open("k7f3q9")
	click := string(w.ack())
	answer, ok := w.take("e1", "interactive", click)
	assert.True(t, ok)
	assert.Empty(t, answer)
	require.Len(t, w.desk.actions(), 1)
	assert.Equal(t, tocsin.ActAcknowledge, w.desk.actions()[0].Kind)
	for _, id := range []string{"e1", "e2"} {
		_, ok = w.take(id, "interactive", click)
		assert.True(t, ok, "again, in envelope %s", id)
	}
	assert.Len(t, w.desk.actions(), 1, "it is done once")
}

func TestWhatCannotBeCommittedNowIsNotOKAndMayComeAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.open("k7f3q9")
	click := string(w.ack())
	w.desk.fail(tocsin.Unavailable(context.DeadlineExceeded))
	_, ok := w.take("e1", "interactive", click)
	assert.False(t, ok)
	assert.Contains(t, w.told(ana), "Not done")
	w.desk.fail(nil)
	_, ok = w.take("e1", "interactive", click)
	assert.True(t, ok)
	assert.Len(t, w.desk.actions(), 1)
}

func TestWhatASocketBringsThatIsNotOurs(t *testing.T) {
	t.Parallel()
	large := `{"x":"` + string(make([]byte, 1<<20)) + `"}`
	for _, c := range []struct {
		kind, payload string
		ok            bool
	}{
		{"interactive", ``, false},
		{"interactive", `null`, false},
		{"interactive", `[]`, false},
		{"interactive", `{"type":"block_actions","team":{"id":"T0OTHER"}}`, false},
		{"interactive", `{"type":"shortcut","team":{"id":"T0TOCSIN01"}}`, false},
		{"interactive", large, false},
		{"slash_commands", `{"team_id":"T0OTHER","command":"/tocsin","user_id":"U0ANA0001"}`, false},
		{"slash_commands", `{"team_id":"T0TOCSIN01"}`, false},
		{"slash_commands", `payload=%7B%7D`, false},
		{"slash_commands", `{"team_id":7}`, false},
		// Slack would send these again and again.
		{"events_api", `{"type":"event_callback","team_id":"T0OTHER","event_id":"Ev1"}`, true},
		{"events_api", `{`, true},
		{"events_api", `{"type":"event_callback","team_id":"T0TOCSIN01","event_id":"Ev2","event":{"type":"brand_new"}}`, true},
		{"events_api", `{"type":"url_verification","challenge":"x"}`, true},
		{"options", `{}`, false},
		{"", ``, false},
	} {
		w := newWorld(t)
		answer, ok := w.take("e1", c.kind, c.payload)
		assert.Equal(t, c.ok, ok, "%s %.80s", c.kind, c.payload)
		assert.Empty(t, answer)
		assert.Empty(t, w.desk.actions())
	}
}

func TestAModalOverASocketComplainsInItsAcknowledgement(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	answer, ok := w.take("e1", "interactive", `{"type":"view_submission","team":{"id":"T0TOCSIN01"},"user":{"id":"U0ANA0001"},"view":{"id":"V1","callback_id":"tocsin_note","private_metadata":"k7f3q9 C1"}}`)
	assert.True(t, ok)
	assert.Empty(t, answer, "the incident is not kept")
	w.open("k7f3q9")
	answer, ok = w.take("e2", "interactive", `{"type":"view_submission","team":{"id":"T0TOCSIN01"},"user":{"id":"U0ANA0001"},"view":{"id":"V2","callback_id":"tocsin_note","private_metadata":"k7f3q9 C1"}}`)
	assert.True(t, ok)
	assert.JSONEq(t, `{"response_action":"errors","errors":{"text":"Say what to note."}}`, answer)
}

// TestTheSameCommandWhileItRuns: the second delivery waits for the first, and neither
// is OK before the command is done.
func TestTheSameCommandWhileItRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		y := &typist{hold: make(chan struct{})}
		w := newWorld(t, func(_ *callback.Config, d *callback.Deps, _ *slacktest.Callbacks) { d.Commander = y })
		answers, typed := make(chan string, 3), commandJSON(t, "1.2.3", "page bo")
		for _, id := range []string{"e1", "e2", "e3"} {
			go func() {
				answer, ok := w.take(id, "slash_commands", typed)
				assert.True(t, ok)
				answers <- answer
			}()
		}
		synctest.Wait()
		assert.Empty(t, answers)
		close(y.hold)
		for range 3 {
			assert.Contains(t, <-answers, "did page bo")
		}
		assert.Equal(t, []string{"page bo"}, y.ran)
		_, ok := w.take("e4", "slash_commands", commandJSON(t, "1.2.4", "page bo"))
		assert.True(t, ok)
		assert.Len(t, y.ran, 2, "typed again, it is another")
		time.Sleep(11 * time.Minute)
		_, ok = w.take("e5", "slash_commands", commandJSON(t, "1.2.3", "page bo"))
		assert.True(t, ok)
		assert.Len(t, y.ran, 3, "nothing is remembered for ever")
		w.settle()
	})
}

func FuzzTake(f *testing.F) {
	f.Add("interactive", `{"type":"block_actions","team":{"id":"T0TOCSIN01"}}`)
	f.Add("slash_commands", `{"team_id":"T0TOCSIN01","command":"/tocsin","user_id":"U0ANA0001","text":"x"}`)
	f.Add("events_api", `{"type":"event_callback","team_id":"T0TOCSIN01","event_id":"Ev1","event":{"type":"app_mention"}}`)
	w := newWorld(f)
	f.Fuzz(func(t *testing.T, kind, payload string) {
		answer, _ := w.handler.Take(t.Context(), "e", kind, []byte(payload))
		if len(answer) > 0 && !json.Valid(answer) {
			t.Fatalf("the answer is no JSON: %s", answer)
		}
		if len(w.desk.actions()) > 0 {
			t.Fatal("something was done")
		}
	})
}
