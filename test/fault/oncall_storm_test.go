package fault

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// stormSteps is a policy whose steps fall due again and again within six
// seconds. Its last step calls the first person again.
var stormSteps = []string{
	"notify: [{schedule: primary}]",
	"after: 1s, notify: [{schedule: secondary}]",
	"after: 2s, notify: [{team: leads}]",
	"after: 1s, notify: [{slack_channel: '#war'}]",
	"after: 2s, notify: [{schedule: primary}]",
}

// stormDue is when each of them is due.
var stormDue = []time.Duration{0, time.Second, 3 * time.Second, 4 * time.Second, 6 * time.Second}

// killCount is how often the program is killed: TOCSIN_KILLS, for which 200 is
// the whole promise and takes about three minutes, or what fits into a
// developer's patience.
func killCount(t *testing.T) int {
	if s := os.Getenv("TOCSIN_KILLS"); s != "" {
		n, err := strconv.Atoi(s)
		require.NoError(t, err)
		return n
	}
	return 40
}

// answers are when an acknowledgement was answered, by instance.
type answers struct {
	mu sync.Mutex
	at map[string]time.Time
}

func (a *answers) note(instance string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at[instance] = time.Now()
}

// TestKillNineAtAnyPointOfAStep kills the program at random while steps fall due
// and people answer. Each step of each incident is taken, each once; nobody is
// paged twice, and nobody after somebody has answered.
func TestKillNineAtAnyPointOfAStep(t *testing.T) {
	w := newOnCall(t, stormSteps...)
	w.start()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	over := make(chan struct{})
	acked := &answers{at: map[string]time.Time{}}
	opened := 0
	var senders, owners sync.WaitGroup
	senders.Go(func() {
		rnd := rand.New(rand.NewPCG(seed, 1))
		for ; ; opened++ {
			instance := fmt.Sprintf("node-%d.", opened)
			for w.post(firing("Night", instance, "critical"))/100 != 2 {
				<-time.After(10 * time.Millisecond)
			}
			if wait := time.Duration(rnd.IntN(7000)) * time.Millisecond; opened%3 == 0 {
				owners.Go(func() { answer(w, acked, instance, wait) })
			}
			select {
			case <-over:
				opened++
				return
			case <-time.After(time.Duration(50+rnd.IntN(250)) * time.Millisecond):
			}
		}
	})
	began := time.Now()
	kills := killCount(t)
	killAtRandom(w, rand.New(rand.NewPCG(seed, 0)), kills)
	took := time.Since(began)
	close(over)
	senders.Wait()
	owners.Wait()
	ids := allSteps(t, w, opened, acked)
	all := map[string]told{} // before what was received: the last resort is called all the time
	for _, id := range ids {
		all[id] = w.incident(id)
	}
	w.settled(60 * time.Second)
	t.Logf("%d kills in %.0f s, %d incidents, %d of them acknowledged", kills, took.Seconds(), opened, len(acked.at))
	require.Len(t, ids, opened)
	got := receivedBy(w)
	for instance, id := range ids {
		i := all[id]
		checkEscalation(t, &i, got, acked.at[instance])
	}
}

// killAtRandom kills and starts n times. Every fifth start is killed before it
// is done; after every twentieth there is time to look for what was posted
// without our knowing.
func killAtRandom(w *world, rnd *rand.Rand, n int) {
	w.t.Helper()
	for k := range n {
		wait := 50 + rnd.IntN(250)
		if k%20 == 19 {
			wait += 3000
		}
		<-time.After(time.Duration(wait) * time.Millisecond)
		w.kill()
		if k%5 == 4 && k < n-1 {
			w.launch()
		} else {
			w.start()
		}
	}
}

// answer acknowledges an instance's incident after a while, until the program
// says that it has.
func answer(w *world, acked *answers, instance string, wait time.Duration) {
	<-time.After(wait)
	for id := ""; ; <-time.After(10 * time.Millisecond) {
		if id == "" {
			id = w.incidentOf(instance)
		}
		if id != "" && w.send(http.MethodPost, "/api/v1/incidents/"+id+"/acknowledge", map[string]string{"by": "ana", "id": "ack-" + instance}, nil)/100 == 2 {
			acked.note(instance)
			return
		}
	}
}

// allSteps waits until every incident that nobody has acknowledged has taken
// every step and made every call, and returns the incidents by instance.
func allSteps(t *testing.T, w *world, n int, acked *answers) map[string]string {
	t.Helper()
	ids, list := map[string]string{}, w.incidents()
	for i := range n {
		instance := fmt.Sprintf("node-%d.", i)
		id := idIn(list, instance)
		require.NotEmpty(t, id, "an alert that was answered with 2xx has no incident: %s", instance)
		ids[instance] = id
		if acked.at[instance].IsZero() {
			require.Eventually(t, func() bool {
				i := w.incident(id)
				return i.has(fmt.Sprintf("step %d of night", len(stormSteps))) && len(i.Incident.Escalation.Calls) == 0
			}, 20*time.Second, 50*time.Millisecond, "%s is left without its last step", id)
		}
	}
	return ids
}

// underWay is what is granted to a call that was being made when the answer was given.
const underWay = 2 * time.Second

// checkEscalation holds what was done about one incident against what was to be
// done. answered is zero when nobody has acknowledged it.
func checkEscalation(t *testing.T, i *told, got map[string]received, answered time.Time) {
	t.Helper()
	id := i.Incident.ID
	checkSteps(t, i, answered)
	calls, over, loud := map[string]int{}, false, len(i.said(tocsin.EventLastResort))
	for n := range i.Timeline {
		e := &i.Timeline[n]
		switch e.Kind {
		case tocsin.EventAcknowledged:
			assert.False(t, over, "%s was acknowledged twice", id)
			over = true
		case tocsin.EventCalled:
			assert.False(t, over, "%s: %s, after it was acknowledged", id, e.Text)
			calls[e.Target]++
			_, user, _ := strings.Cut(e.Target, ":@")
			assert.LessOrEqual(t, calls[e.Target], map[string]int{"ana": 2, "bo": 1, "cy": 1, "di": 1, "boss": loud, "": 1}[user], "%s: %s", id, e.Text)
		}
	}
	assert.Equal(t, !answered.IsZero(), over, "%s: an acknowledgement was lost, or is nobody's", id)
	for _, user := range people {
		checkPerson(t, id, user, got[user+id], calls, answered)
	}
	if answered.IsZero() {
		for _, user := range []string{"ana", "bo", "cy", "di"} {
			assert.Contains(t, calls, "slack:@"+user, "%s called not everybody", id)
			assert.Contains(t, calls, "pagerduty:@"+user, "%s called not everybody", id)
		}
		assert.Contains(t, calls, "slack:#war")
		return
	}
	assert.Equal(t, tocsin.Acknowledged, i.Incident.State, "%s: an acknowledgement was lost", id)
	assert.Equal(t, "ana", i.Incident.AcknowledgedBy)
}

// checkSteps finds every step once, in order, none before its time.
func checkSteps(t *testing.T, i *told, answered time.Time) {
	t.Helper()
	next := 1
	for n := range i.Timeline {
		e := &i.Timeline[n]
		if e.Kind != tocsin.EventEscalated {
			continue
		}
		name := fmt.Sprintf("step %d of night", next)
		if !assert.True(t, strings.HasPrefix(e.Text, name), "%s: %q where %s is due", i.Incident.ID, e.Text, name) {
			return
		}
		assert.GreaterOrEqual(t, e.At.Sub(i.Incident.OpenedAt), stormDue[next-1], "%s: %s came early", i.Incident.ID, name)
		next++
	}
	if answered.IsZero() {
		assert.Equal(t, len(stormSteps)+1, next, "%s: a step is missing", i.Incident.ID)
	}
}

// received is what one person got about one incident.
type received struct {
	messages []slacktest.Message
	pages    []pagerdutytest.Incident
}

// receivedBy is what everybody got, by the person's name and the incident's ID.
func receivedBy(w *world) map[string]received {
	out := map[string]received{}
	for _, user := range people {
		for _, m := range w.slack.Messages(slackID(user)) {
			key := user + fmt.Sprint(m.Payload["incident"])
			r := out[key]
			r.messages = append(r.messages, m)
			out[key] = r
		}
		for _, p := range w.pagerduty.Incidents(keyOf(user)) {
			about, _ := pagerduty.ParseKey(p.DedupKey)
			key := user + about.Incident
			r := out[key]
			r.pages = append(r.pages, p)
			out[key] = r
		}
	}
	return out
}

// checkPerson looks at what somebody got: one message, one page, none after the
// answer.
func checkPerson(t *testing.T, id, user string, got received, calls map[string]int, answered time.Time) {
	t.Helper()
	assert.LessOrEqual(t, len(got.messages), 1, "%s has messages of %s", user, id)
	assert.LessOrEqual(t, len(got.pages), 1, "%s was paged about %s", user, id)
	if answered.IsZero() {
		assert.GreaterOrEqual(t, len(got.messages), min(calls["slack:@"+user], 1), "%s has no message of %s", user, id)
		assert.GreaterOrEqual(t, len(got.pages), min(calls["pagerduty:@"+user], 1), "%s was not paged about %s", user, id)
	}
	for n := range got.messages {
		m := &got.messages[n]
		again := 0
		for k := range m.Replies {
			if m.Replies[k].Payload["called"] != nil {
				again++
			}
		}
		assert.True(t, user == "boss" || again <= max(calls["slack:@"+user]-1, 0), "%s was called about %s too often", user, id)
		assert.True(t, answered.IsZero() || postedAt(t, m).Before(answered.Add(underWay)), "%s was told of %s after the answer", user, id)
	}
	for n := range got.pages {
		p := &got.pages[n]
		assert.True(t, answered.IsZero() || p.CreatedAt.Before(answered.Add(underWay)), "%s was paged about %s after the answer", user, id)
		assert.True(t, answered.IsZero() || p.Status != pagerdutytest.Triggered, "%s is still paged about %s", user, id)
	}
}
