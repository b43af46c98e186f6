package socket_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
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
	"github.com/tocsin-oncall/tocsin/notifiers/slack/socket"
)

const ana = "U0ANA0001"

// desk stands in for the engine and the store: it commits what is clicked and typed.
type desk struct {
	tocsin.Reader

	mu        sync.Mutex
	incidents map[string]*tocsin.Incident
	acted     map[string]int // by the incident
	ran       []string
	trouble   error
	// begun is told of each Act; held is waited for before it commits. Nil: neither.
	begun chan string
	held  chan struct{}
	// slow is how long each Act takes.
	slow time.Duration
}

func (d *desk) Get(_ context.Context, id string) (*tocsin.Incident, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if inc := d.incidents[id]; inc != nil {
		return inc.Clone(), nil
	}
	return nil, tocsin.ErrNotFound
}

func (d *desk) Act(_ context.Context, id string, a tocsin.Action) error {
	d.mu.Lock()
	begun, held, slow := d.begun, d.held, d.slow
	d.mu.Unlock()
	time.Sleep(slow) // of the bubble
	if begun != nil {
		begun <- id
	}
	if held != nil {
		<-held
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.trouble != nil {
		return d.trouble
	}
	inc := d.incidents[id].Clone()
	if inc.Do(a.ID) {
		inc.Acknowledge(a.By, time.Now())
		d.acted[id]++
	}
	d.incidents[id] = inc
	return nil
}

func (d *desk) Run(_ context.Context, said slack.Said) (slack.Reply, error) {
	text := said.Text
	d.mu.Lock()
	begun, held := d.begun, d.held
	d.mu.Unlock()
	if begun != nil {
		begun <- text
	}
	if held != nil {
		<-held
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ran = append(d.ran, text)
	if text == "long" {
		return slack.Reply{Lines: slices.Repeat([]string{strings.Repeat("長", 900)}, 12)}, d.trouble
	}
	return slack.Reply{Lines: []string{"did " + text}}, d.trouble
}

// hold has what comes wait until held is closed; begun is told of it.
func (d *desk) hold() (begun chan string, held chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.begun, d.held = make(chan string, 4), make(chan struct{})
	return d.begun, d.held
}

func (d *desk) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trouble = err
}

func (d *desk) done() (acted map[string]int, ran []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	acted = map[string]int{}
	for id, n := range d.acted {
		acted[id] = n
	}
	return acted, slices.Clone(d.ran)
}

// office is a workspace whose app runs in Socket Mode alone, over a desk.
type office struct {
	testing.TB
	slack    *slacktest.Server
	sockets  *slacktest.Sockets
	api      *slack.Client
	handler  *callback.Handler
	desk     *desk
	messages map[string]slacktest.Message
	stop     func()
}

// inOffice runs a test over pipes, in a time of its own.
func inOffice(t *testing.T, fn func(t *testing.T, o *office)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.start(slacktest.URL, serve(t, o.slack))
		fn(t, o)
		o.stop()
		o.slack.Close()
	})
}

func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{
		TB: t, slack: slacktest.New(slacktest.WithAutoCreate(), slacktest.WithToken("xoxb-1"), slacktest.WithToken(token, "connections:write")),
		desk: &desk{incidents: map[string]*tocsin.Incident{}, acted: map[string]int{}}, messages: map[string]slacktest.Message{},
	}
	o.sockets = o.slack.Sockets()
	o.slack.AddUser(slacktest.User{ID: ana, Name: "ana"})
	o.slack.AddChannel("ops")
	return o
}

// start starts the app, and waits until it is connected.
func (o *office) start(base string, transport *http.Transport) {
	o.Helper()
	web := &http.Client{Transport: transport}
	o.api = slack.New(slack.Config{Token: "xoxb-1", APIURL: base, HTTPClient: web, Buttons: true})
	o.handler = callback.New(callback.Config{Team: func() string { return slacktest.TeamID }}, callback.Deps{
		Actions: o.desk, Reader: o.desk, Slack: o.api, Commander: o.desk,
		Who: func(id string) (string, bool) { return "ana", id == ana },
	})
	client := socket.New(socket.Config{AppToken: token, APIURL: base, HTTPClient: web}, o.handler)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- client.Run(ctx) }()
	o.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(o, <-ended)
		require.NoError(o, o.handler.Close(context.Background()))
		assert.Empty(o, o.sockets.Violations())
		transport.CloseIdleConnections()
	})
	o.connected(2)
}

func (o *office) connected(n int) {
	o.Helper()
	require.Eventually(o, func() bool { return o.sockets.Len() == n }, 30*time.Second, 2*time.Millisecond, "%d connections", n)
}

// open makes an incident and shows it in #incidents.
func (o *office) open(id string) {
	o.Helper()
	now := time.Now()
	inc := &tocsin.Incident{ID: id, Revision: 1, State: tocsin.Triggered, Title: id, OpenedAt: now, Alerts: 1, Firing: 1, Group: tocsin.NewKey(id)}
	inc.AddTarget("slack:#incidents", true, now)
	_, err := o.api.Channel("#incidents").Deliver(o.Context(), tocsin.Notice{Incident: inc, Delivery: inc.Deliveries[0], Now: now})
	require.NoError(o, err)
	o.desk.mu.Lock()
	o.desk.incidents[id] = inc
	o.desk.mu.Unlock()
	all := o.slack.Messages("incidents")
	o.messages[id] = all[len(all)-1]
}

func (o *office) click(id string) error {
	m := o.messages[id]
	_, err := o.slack.Click(m.Channel, m.TS, ana, slack.ActionAcknowledge)
	return err
}

// TestNoClickIsLostWhenConnectionsAreRefreshed: each connection is refreshed, and
// closed, in the middle of a stream of clicks, and each click is done, once.
func TestNoClickIsLostWhenConnectionsAreRefreshed(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		const clicks, atOnce = 200, 8
		for n := range clicks {
			o.open(fmt.Sprintf("i%d", n))
		}
		o.desk.slow = time.Second
		next := make(chan int)
		var people sync.WaitGroup
		for range atOnce {
			people.Go(func() {
				for n := range next {
					assert.NoError(t, o.click(fmt.Sprintf("i%d", n)))
				}
			})
		}
		for n := range clicks {
			switch n {
			case 20:
				require.True(t, o.sockets.Refresh(0, "refresh_requested", 3*time.Second))
			case 60:
				require.True(t, o.sockets.Refresh(0, "warning", 3*time.Second))
			case 120: // both at once
				require.True(t, o.sockets.Refresh(0, "warning", 10*time.Second))
				require.True(t, o.sockets.Refresh(0, "warning", 10*time.Second))
			default:
			}
			next <- n
		}
		close(next)
		people.Wait()
		acted, _ := o.desk.done()
		assert.Len(t, acted, clicks, "none is lost")
		for id, n := range acted {
			assert.Equal(t, 1, n, "%s is done once", id)
		}
		o.connected(2)
		assert.Equal(t, 6, o.sockets.Opened())
	})
}

func TestAClickIsAcknowledgedAfterTheCommit(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.open("k7f3q9")
		begun, held := o.desk.hold()
		answered := make(chan error, 1)
		go func() { answered <- o.click("k7f3q9") }()
		<-begun
		synctest.Wait()
		require.Empty(t, answered, "not before")
		close(held)
		require.NoError(t, <-answered)
		acted, _ := o.desk.done()
		assert.Equal(t, map[string]int{"k7f3q9": 1}, acted)
	})
}

func TestAClickThatCannotBeCommittedIsNotAcknowledged(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.open("k7f3q9")
		o.desk.fail(tocsin.Unavailable(context.DeadlineExceeded))
		require.ErrorContains(t, o.click("k7f3q9"), "did not acknowledge")
		require.Len(t, o.slack.Ephemerals(ana), 1, "the person is told")
		o.desk.fail(nil)
		require.NoError(t, o.click("k7f3q9"), "and can click again")
		acted, _ := o.desk.done()
		assert.Equal(t, map[string]int{"k7f3q9": 1}, acted)
	})
}

// TestACommandWhoseAcknowledgementIsLostRunsOnce: the connection breaks after the
// commit, and Slack delivers it again on another. This one is over TCP.
func TestACommandWhoseAcknowledgementIsLostRunsOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	server := httptest.NewServer(o.slack)
	t.Cleanup(func() { o.slack.Close(); server.Close() })
	o.start(server.URL+"/api/", &http.Transport{})
	defer o.stop()
	o.sockets.LoseAcks(1)
	a, err := o.slack.Command(ana, "ops", "page ana")
	require.NoError(t, err)
	assert.Contains(t, string(a.Body), "did page ana", "the second delivery gets the answer of the first")
	_, ran := o.desk.done()
	assert.Equal(t, []string{"page ana"}, ran)
	o.connected(2)
}

// TestAnEventWhoseAcknowledgementIsLostIsDoneOnce: the same, of what Slack itself
// goes on sending.
func TestAnEventWhoseAcknowledgementIsLostIsDoneOnce(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		mention := `{"type":"event_callback","team_id":"` + slacktest.TeamID + `","event_id":"Ev1","event":{"type":"app_mention","user":"` + ana +
			`","channel":"` + o.slack.AddChannel("ops") + `","ts":"1700000000.000100","text":"<@` + slacktest.BotUserID + `> ack k7f3q9"}}`
		o.sockets.LoseAcks(2)
		_, err := o.slack.Event([]byte(mention))
		require.NoError(t, err)
		_, ran := o.desk.done()
		assert.Equal(t, []string{"ack k7f3q9"}, ran)
		o.connected(2)
	})
}

// TestACommandWhoseConnectionBreaksOnTheWayRunsOnce: it comes again while the first is
// under way.
func TestACommandWhoseConnectionBreaksOnTheWayRunsOnce(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		begun, held := o.desk.hold()
		var a slacktest.Answer
		failed := make(chan error, 1)
		go func() {
			var err error
			a, err = o.slack.Command(ana, "ops", "note")
			failed <- err
		}()
		<-begun
		// Whichever of the two it has come on.
		o.sockets.Drop(0, false)
		o.connected(2)
		o.sockets.Drop(0, true)
		o.connected(2)
		close(held)
		require.NoError(t, <-failed)
		assert.Contains(t, string(a.Body), "did note")
		_, ran := o.desk.done()
		assert.Equal(t, []string{"note"}, ran)
	})
}

// TestALongAnswerIsSaidByItsURL: an acknowledgement has no room for it.
func TestALongAnswerIsSaidByItsURL(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		a, err := o.slack.Command(ana, "ops", "long")
		require.NoError(t, err)
		assert.Empty(t, a.Body)
		synctest.Wait()
		require.Len(t, o.slack.Ephemerals(ana), 1)
		assert.Contains(t, string(o.slack.Ephemerals(ana)[0].Blocks), "長長")
	})
}

// TestSlackStartsAnew: every connection breaks, and none can be opened for a while.
func TestSlackStartsAnew(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.open("k7f3q9")
		o.slack.Fault(slacktest.Fault{Method: "apps.connections.open", Status: http.StatusServiceUnavailable, Count: 5})
		o.sockets.Drop(1, false)
		o.sockets.Drop(0, false)
		require.Error(t, o.click("k7f3q9"), "the person is told")
		time.Sleep(time.Minute)
		o.connected(2)
		require.NoError(t, o.click("k7f3q9"))
	})
}
