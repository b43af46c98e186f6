package socket_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/socket"
)

const (
	clickPayload = `{"type":"block_actions","n":1}`
	modalPayload = `{"type":"view_submission"}`
	eventPayload = `{"type":"event_callback","event_id":"Ev1"}`
)

func TestEnvelopesAreTakenAndAnswered(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.run()
		require.Equal(t, 2, w.sockets.Len())
		assert.Equal(t, 2.0, w.value("tocsin_slack_socket_connections"))
		w.taker.doing(func(_ context.Context, e taken) (string, bool) { return `{"kind":"` + e.kind + `"}`, true })

		a, err := w.slack.Interact([]byte(clickPayload))
		require.NoError(t, err)
		assert.Empty(t, a.Body, "a click takes no answer")
		a, err = w.slack.Interact([]byte(modalPayload))
		require.NoError(t, err)
		assert.JSONEq(t, `{"kind":"interactive"}`, string(a.Body))
		a, err = w.slack.Event([]byte(eventPayload))
		require.NoError(t, err)
		assert.Empty(t, a.Body)

		seen := w.taker.seen()
		require.Len(t, seen, 3)
		assert.Equal(t, "interactive", seen[0].kind)
		assert.JSONEq(t, clickPayload, seen[0].payload)
		assert.Equal(t, "events_api", seen[2].kind)
		synctest.Wait() // it is counted after it is acknowledged
		assert.Equal(t, 3.0, w.value("tocsin_slack_socket_envelopes_total", "acknowledged"))
	})
}

func TestWhatIsNotDoneIsNotAcknowledged(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.run()
		w.taker.doing(func(context.Context, taken) (string, bool) { return "", false })
		_, err := w.slack.Interact([]byte(clickPayload))
		require.ErrorContains(t, err, "did not acknowledge", "the person is told")
		assert.Len(t, w.taker.seen(), 1, "a click is not sent again")

		tries := 0
		w.taker.doing(func(context.Context, taken) (string, bool) { tries++; return "", tries == 3 })
		begun := time.Now()
		_, err = w.slack.Event([]byte(eventPayload))
		require.NoError(t, err, "an event is")
		assert.Equal(t, 3, tries)
		assert.Equal(t, time.Minute+6*time.Second, time.Since(begun))
		assert.Equal(t, 3.0, w.value("tocsin_slack_socket_envelopes_total", "refused"))
	})
}

func TestAPanicIsOneEnvelopeLost(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.run()
		w.taker.doing(func(context.Context, taken) (string, bool) { panic("ouch") })
		_, err := w.slack.Interact([]byte(clickPayload))
		require.Error(t, err)
		w.taker.doing(nil)
		_, err = w.slack.Interact([]byte(clickPayload))
		require.NoError(t, err)
		assert.Equal(t, 2, w.sockets.Len())
		assert.Contains(t, w.logs.String(), "ouch")
		assert.Equal(t, 1.0, w.value("tocsin_slack_socket_envelopes_total", "panicked"))
	})
}

func TestARefreshOpensAnotherBeforeTheOldCloses(t *testing.T) {
	for _, reason := range []string{"warning", "refresh_requested"} {
		t.Run(reason, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.run()
				for n := range 3 {
					time.Sleep(time.Hour)
					require.True(t, w.sockets.Refresh(0, reason, 10*time.Second))
					synctest.Wait()
					require.Equal(t, 3, w.sockets.Len(), "both are open")
					assert.Equal(t, 3+n, w.sockets.Opened())
					assert.Equal(t, 3.0, w.value("tocsin_slack_socket_connections"))
					time.Sleep(11 * time.Second)
					synctest.Wait()
					require.Equal(t, 2, w.sockets.Len())
					assert.Equal(t, 2.0, w.value("tocsin_slack_socket_connections"))
				}
				assert.Equal(t, 3.0, w.value("tocsin_slack_socket_reconnects_total", reason))
				assert.NotContains(t, w.logs.String(), "WARN")
			})
		})
	}
}

func TestTheOldConnectionIsReadUntilItCloses(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.run()
		time.Sleep(time.Minute)
		// No other is to be had: what comes, comes on those that are to leave.
		w.slack.Fault(slacktest.Fault{Method: "apps.connections.open", Status: http.StatusServiceUnavailable})
		w.sockets.Refresh(0, "warning", 40*time.Second)
		w.sockets.Refresh(1, "warning", 40*time.Second)
		for range 30 {
			time.Sleep(time.Second)
			_, err := w.slack.Interact([]byte(clickPayload))
			require.NoError(t, err)
		}
		w.slack.ClearFaults()
		time.Sleep(2 * time.Minute)
		assert.Equal(t, 2, w.sockets.Len())
	})
}

func TestOneThatIsToLeaveAndStaysIsClosed(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.run()
		time.Sleep(time.Minute)
		w.sockets.Refresh(0, "refresh_requested", time.Hour)
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		assert.Equal(t, 2, w.sockets.Len())
		assert.Equal(t, 2.0, w.value("tocsin_slack_socket_connections"))
	})
}

func TestABrokenConnectionIsOpenedAgain(t *testing.T) {
	for name, clean := range map[string]bool{"with a close frame": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.run()
				time.Sleep(time.Hour)
				require.True(t, w.sockets.Drop(0, clean))
				synctest.Wait()
				assert.Equal(t, 2, w.sockets.Len(), "at once")
				assert.Equal(t, 1.0, w.value("tocsin_slack_socket_reconnects_total", "closed"))
				_, err := w.slack.Interact([]byte(clickPayload))
				assert.NoError(t, err)
			})
		})
	}
}

func TestASilentConnectionIsNoticed(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.run()
		time.Sleep(time.Hour)
		require.Equal(t, 2, w.sockets.Opened(), "quiet is not silent: pings are answered")
		require.True(t, w.sockets.Silence(0))
		time.Sleep(41 * time.Second)
		synctest.Wait()
		assert.Equal(t, 3, w.sockets.Opened())
		assert.Equal(t, 1.0, w.value("tocsin_slack_socket_reconnects_total", "silent"))
	})
}

func TestAGreetingThatDoesNotComeIsNotWaitedFor(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		release := w.sockets.HoldHello()
		w.run()
		time.Sleep(9 * time.Second)
		assert.Equal(t, 2, w.slack.Calls("apps.connections.open"))
		time.Sleep(5 * time.Second)
		assert.Greater(t, w.slack.Calls("apps.connections.open"), 2)
		assert.Zero(t, w.value("tocsin_slack_socket_connections"))
		release()
		time.Sleep(time.Minute)
		assert.Equal(t, 2, w.sockets.Len())
	})
}

func TestSlackAway(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.run()
		time.Sleep(time.Hour)
		w.slack.Fault(slacktest.Fault{Method: "apps.connections.open", Status: http.StatusServiceUnavailable})
		before := w.slack.Calls("apps.connections.open")
		w.sockets.Drop(1, false)
		w.sockets.Drop(0, false)
		time.Sleep(10 * time.Minute)
		calls := w.slack.Calls("apps.connections.open") - before
		assert.Greater(t, calls, 20, "it goes on trying")
		assert.Less(t, calls, 70, "and not too often")
		assert.Zero(t, w.value("tocsin_slack_socket_connections"))
		w.slack.ClearFaults()
		time.Sleep(time.Minute + time.Second)
		assert.Equal(t, 2, w.sockets.Len())
	})
}

func TestRetryAfterIsKeptTo(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.slack.Fault(slacktest.Fault{Method: "apps.connections.open", Status: http.StatusTooManyRequests, RetryAfter: slacktest.Seconds(90), Count: 2})
		w.run()
		time.Sleep(89 * time.Second)
		assert.Equal(t, 2, w.slack.Calls("apps.connections.open"))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		assert.Equal(t, 2, w.sockets.Len())
	})
}

func TestWhatOnlyAPersonCanMendIsSaidAndTriedSlowly(t *testing.T) {
	for code, advice := range map[string]string{
		"invalid_auth": "connections:write", "token_revoked": "was revoked", "not_allowed_token_type": "another kind of token", "missing_scope": "lacks the scope",
	} {
		t.Run(code, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.slack.Fault(slacktest.Fault{Method: "apps.connections.open", Error: code})
				err := w.client.Check(t.Context())
				require.ErrorContains(t, err, advice)
				assert.True(t, tocsin.IsPermanent(err))
				w.run()
				time.Sleep(4 * time.Minute)
				assert.Equal(t, 3, w.slack.Calls("apps.connections.open"))
				assert.Contains(t, w.logs.String(), "level=ERROR")
				assert.Contains(t, w.logs.String(), advice)
				w.slack.ClearFaults()
				time.Sleep(3 * time.Minute)
				assert.Equal(t, 2, w.sockets.Len(), "it mends by itself")
			})
		})
	}
}

func TestARevokedTokenIsLoud(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.run()
		time.Sleep(time.Hour)
		w.slack.RevokeToken(token)
		time.Sleep(time.Minute)
		assert.Zero(t, w.value("tocsin_slack_socket_connections"))
		assert.Contains(t, w.logs.String(), "token_revoked")
	})
}

func TestSocketModeTurnedOff(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.run()
		time.Sleep(time.Hour)
		before := w.slack.Calls("apps.connections.open")
		w.sockets.Off()
		time.Sleep(4 * time.Minute)
		assert.Equal(t, before, w.slack.Calls("apps.connections.open"))
		assert.Contains(t, w.logs.String(), "turn Socket Mode on")
		time.Sleep(3 * time.Minute)
		assert.Zero(t, w.sockets.Len(), "it is off")
		w.sockets.On()
		time.Sleep(6 * time.Minute)
		assert.Equal(t, 2, w.sockets.Len())
	})
}

func TestTooManyConnections(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		others := socket.New(socket.Config{AppToken: token, APIURL: slacktest.URL, HTTPClient: &http.Client{Transport: serve(t, w.slack)}, Connections: 50}, w.taker)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- others.Run(ctx) }()
		synctest.Wait()
		require.Equal(t, 10, w.sockets.Len())
		w.run()
		time.Sleep(20 * time.Second)
		assert.Equal(t, 12, w.slack.Calls("apps.connections.open"), "not in a hurry")
		assert.Contains(t, w.logs.String(), "stop other programs")
		cancel()
		require.NoError(t, <-ended)
		time.Sleep(time.Minute)
		assert.Equal(t, 2, w.sockets.Len())
	})
}

func TestAStopFinishesWhatIsUnderWay(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.run()
		w.taker.doing(func(ctx context.Context, _ taken) (string, bool) {
			time.Sleep(2 * time.Second)
			return "", ctx.Err() == nil
		})
		var clicks sync.WaitGroup
		for range 6 {
			clicks.Go(func() {
				_, err := w.slack.Interact([]byte(clickPayload))
				assert.NoError(t, err)
			})
		}
		synctest.Wait()
		require.Len(t, w.taker.seen(), 6)
		w.stop()
		clicks.Wait()
		assert.Zero(t, w.value("tocsin_slack_socket_connections"))
		assert.Equal(t, 6.0, w.value("tocsin_slack_socket_envelopes_total", "acknowledged"))
		synctest.Wait()
		assert.Zero(t, w.sockets.Len())
	})
}

func TestAStopTakesNothingNew(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.run()
		held := make(chan struct{})
		w.taker.doing(func(_ context.Context, e taken) (string, bool) {
			<-held
			return "", true
		})
		go func() { _, _ = w.slack.Interact([]byte(clickPayload)) }()
		go func() { _, _ = w.slack.Interact([]byte(clickPayload)) }()
		synctest.Wait()
		go w.stop()
		synctest.Wait()
		failed := make(chan error, 1)
		go func() { _, err := w.slack.Interact([]byte(modalPayload)); failed <- err }()
		synctest.Wait()
		close(held)
		require.Error(t, <-failed)
		w.stop()
		assert.Len(t, w.taker.seen(), 2)
	})
}

func TestAnAnswerThatIsTooLongIsLeftOut(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.run()
		w.taker.doing(func(context.Context, taken) (string, bool) { return `"` + strings.Repeat("x", 20<<10) + `"`, true })
		a, err := w.slack.Interact([]byte(modalPayload))
		require.NoError(t, err)
		assert.Empty(t, a.Body)
		w.taker.doing(func(context.Context, taken) (string, bool) { return `not JSON`, true })
		a, err = w.slack.Interact([]byte(modalPayload))
		require.NoError(t, err)
		assert.Empty(t, a.Body)
	})
}

func TestRunWithoutATokenSaysWhatToDo(t *testing.T) {
	t.Parallel()
	err := socket.New(socket.Config{}, &taker{}).Run(t.Context())
	assert.ErrorContains(t, err, "connections:write")
	assert.True(t, tocsin.IsPermanent(err))
}
