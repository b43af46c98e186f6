package fault

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks/live/livetest"
)

// TestStillBadIsUndoneOnce has remedies that do not help: each is undone, once,
// and somebody is told.
func TestStillBadIsUndoneOnce(t *testing.T) {
	r := newRemedies(t)
	undo, sum := r.script("undo", "echo \"undo $1\" >> $DIR/did\n")
	r.remedy("restart", "NodeDown", "echo \"restart $1\" >> $DIR/did\n", `contract: {breaker: {runs: 0},
      precheck: {promql: 'up{instance="{{node}}"} == 0'}, verify: {promql: 'up{instance="{{node}}"} == 1', within: 500ms, every: 100ms},
      rollback: {command: ['`+undo+`', '{{node}}'], sha256: `+sum+`}}`)
	r.start()
	var all []alert
	for n := range 10 {
		all = append(all, r.down("NodeDown", "one", fmt.Sprint("node-", n)))
	}
	require.Equal(t, http.StatusOK, r.post(all...))
	list := r.ended(10, time.Minute)
	require.Equal(t, http.StatusOK, r.post(all...), "Alertmanager says it again")
	<-time.After(time.Second)
	assert.Len(t, r.runs(), 10)
	did := r.did()
	require.Eventually(t, func() bool {
		return !slices.ContainsFunc(list, func(x tocsin.Remediation) bool { pd, slack := r.pagedAbout(&x); return !pd || !slack })
	}, 30*time.Second, 100*time.Millisecond, "somebody is told of each")
	for i := range list {
		assert.Equal(t, tocsin.RemediationRolledBack, list[i].State, list[i].Why)
		assert.Equal(t, 1, did["restart "+list[i].Target])
		assert.Equal(t, 1, did["undo "+list[i].Target])
	}
}

// TestGoneBeforeTheStartIsNotRun resolves a hundred alerts while their remedies
// are about to start: what has not been started then is not, and what was said not
// to have run has not.
func TestGoneBeforeTheStartIsNotRun(t *testing.T) {
	const n = 100
	r := newRemedies(t)
	r.remedy("restart", "NodeDown", "echo \"restart $1\" >> $DIR/did\n", `contract: {breaker: {runs: 0}, precheck: {promql: 'up{instance="{{node}}"} == 0'}}`)
	r.start()
	var next sync.Mutex
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	wait := func(most int) <-chan time.Time {
		next.Lock()
		defer next.Unlock()
		return time.After(time.Duration(rnd.IntN(most)) * time.Millisecond)
	}
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := worker; i < n; i += 4 {
				a := r.down("NodeDown", fmt.Sprintf("rack-%d.", i), fmt.Sprint("node-", i))
				r.prometheus.Set(fmt.Sprintf(`up{instance="node-%d"} == 0`, i), livetest.Series{Value: func(time.Time) float64 {
					<-wait(40)
					return 0
				}})
				assert.Equal(t, http.StatusOK, r.post(a))
				<-wait(100)
				a.Status, a.EndsAt = "resolved", time.Now()
				assert.Equal(t, http.StatusOK, r.post(a))
			}
		})
	}
	all.Wait()
	var list []tocsin.Remediation
	require.Eventually(t, func() bool {
		list = r.runs()
		return len(list) > 0 && !anyOpen(list) && r.status("/-/ready") == http.StatusOK
	}, time.Minute, 200*time.Millisecond, "a run is left without an outcome")
	did, ran := r.did(), 0
	for i := range list {
		x := &list[i]
		times := did["restart "+x.Target]
		ran += times
		if !x.State.Ran() {
			assert.Zero(t, times, "%s is %s and ran", x.Target, x.State)
			continue
		}
		assert.Equal(t, 1, times, x.Target)
		for _, e := range r.incident(x.Incident).Timeline {
			if e.Kind == tocsin.EventRemediation && strings.Contains(e.Text, ": started") {
				break
			}
			assert.NotContains(t, []tocsin.EventKind{tocsin.EventResolved, tocsin.EventAlertResolved}, e.Kind, "%s started after its alert had ended", x.Target)
		}
	}
	t.Logf("%d of %d were proposed, %d ran, %d were too late", len(list), n, ran, len(list)-ran)
	assert.Positive(t, ran, "nothing was in time: this proves nothing")
	assert.Less(t, ran, n, "everything was in time: this proves nothing")
}

// TestStopHoldsEverything: tocsin remediate stop ends what runs with all its
// children, also what does not listen, and lets nothing start until resume.
func TestStopHoldsEverything(t *testing.T) {
	r := newRemedies(t)
	r.remedy("obedient", "Slow", "echo \"obedient $1\" >> $DIR/did\nsetsid sh -c 'sleep 300; : $0' \"$2\" &\nsleep 300\n", "timeout: 5m", "contract: {breaker: {runs: 0}}")
	r.remedy("deaf", "Deaf", "echo \"deaf $1\" >> $DIR/did\ntrap '' TERM INT HUP\nwhile :; do sleep 0.1; done\n", "timeout: 5m", "contract: {breaker: {runs: 0}}")
	r.start()
	stop := func(alertname string) (cli, gone time.Duration) {
		require.Equal(t, http.StatusOK, r.post(r.down(alertname, alertname, alertname+"-1"), r.down(alertname, alertname, alertname+"-2")))
		require.Eventually(t, func() bool { return len(r.did()) == 2 }, 20*time.Second, 5*time.Millisecond, "they run")
		began := time.Now()
		r.cli("remediate", "stop", "--by", "bo")
		cli = time.Since(began)
		require.Eventually(t, func() bool { return len(r.processes()) == 0 }, 20*time.Second, 5*time.Millisecond, "nothing is left")
		return cli, time.Since(began)
	}
	cli, gone := stop("Slow")
	t.Logf("obedient: the command line took %.0f ms, the last process was gone after %.0f ms", ms(cli), ms(gone))
	for _, x := range r.ended(2, 10*time.Second) {
		assert.Equal(t, "ended in the middle: stopped by bo", x.Why)
	}
	require.Equal(t, http.StatusOK, r.post(r.down("Slow", "later", "Slow-3")))
	for _, x := range r.ended(3, 20*time.Second) {
		assert.Contains(t, x.Why, "stopped by bo")
	}
	assert.Len(t, r.did(), 2, "what is stopped does not start")
	r.kill()
	r.start()
	<-time.After(time.Second)
	assert.Len(t, r.did(), 2, "nor after a restart")
	r.cli("remediate", "resume", "--by", "bo")
	later := ""
	for _, inc := range r.incidents() {
		if inc.Kind == tocsin.KindAlerts && len(r.runsOf(inc.ID)) == 1 {
			later = inc.ID
		}
	}
	r.cli("remediate", "run", later, "obedient", "--by", "ana")
	require.Eventually(t, func() bool { return r.did()["obedient Slow-3"] == 1 }, 20*time.Second, 10*time.Millisecond, "it runs when it is asked for again")
	r.cli("remediate", "stop", "obedient", "--by", "bo")
	r.nobodyLeft(10 * time.Second)
	require.NoError(t, r.forget())
	cli, gone = stop("Deaf")
	t.Logf("deaf: the command line took %.0f ms, the last process was gone after %.0f ms", ms(cli), ms(gone))
	r.ended(5, 20*time.Second)
}
