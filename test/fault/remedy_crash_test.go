package fault

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks/live/livetest"
)

// remedyKills is how often the program is killed in the middle of remedies:
// TOCSIN_KILLS, or 200, which takes about a minute and a half; 30 with -short.
func remedyKills(t *testing.T) int {
	if s := os.Getenv("TOCSIN_KILLS"); s != "" {
		n, err := strconv.Atoi(s)
		require.NoError(t, err)
		return n
	}
	if testing.Short() {
		return 30
	}
	return 200
}

// purse is how many runs the fleet budget of one remedy allows.
const purse = 10

// crashRemedies are four: one that asks Prometheus and is undone where it does not
// help (odd nodes), one whose checks are commands and which may run twice, one
// without any question, and one with a budget over all.
func crashRemedies(r *remedyWorld) {
	const note, freely = `echo "%s $1" >> $DIR/did`, "contract: {breaker: {runs: 0}, cooldown: 0s"
	say := func(what string) string { return fmt.Sprintf(note, what) + "\n" }
	daemon := "setsid sh -c 'sleep 300; : $0' \"$2\" > /dev/null 2>&1 &\n"
	undo, sum := r.script("undo", say("undo")+"sleep 0.03\n")
	r.remedy("restart", "NodeDown", say("restart")+daemon+"sleep 0.05\ncase $1 in *[02468]) : > $DIR/up-$1;; esac\n", freely+`,
      precheck: {promql: 'up{instance="{{node}}"} == 0'}, verify: {promql: 'up{instance="{{node}}"} == 1', within: 400ms, every: 100ms},
      rollback: {command: ['`+undo+`', '{{node}}'], sha256: `+sum+`}}`)
	r.remedy("prune", "DiskFull", say("prune")+daemon+"sleep 0.1\n: > $DIR/up-$1\n", "idempotent: true", freely+`,
      precheck: `+r.check("is-full", "test ! -e $DIR/up-$1\n", "")+`,
      verify: `+r.check("is-free", "test -e $DIR/up-$1\n", ", within: 1s, every: 100ms")+"}")
	r.remedy("flush", "Lagging", say("flush")+daemon+"echo flushed\nsleep 0.05\n", freely+"}")
	r.remedy("scale", "Slow", say("scale")+"sleep 0.05\n", freely+fmt.Sprintf(", budget: {fleet: {runs: %d, in: 1d}}}", purse))
}

// TestKillNineAtAnyPointOfARemedy kills the program at 200 random points of runs.
// No run happens twice, each has an outcome in the end, what is unknown pages a
// person, no process outlives the program, and the budget holds over all crashes.
func TestKillNineAtAnyPointOfARemedy(t *testing.T) {
	r := newRemedies(t)
	crashRemedies(r)
	temp := filepath.Join(r.dir, "temp")
	require.NoError(t, os.Mkdir(temp, 0o755))
	t.Setenv("TMPDIR", temp)
	r.start()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	began, kills, nodes := time.Now(), remedyKills(t), 0
	for k := range kills {
		if k%2 == 0 {
			name := []string{"NodeDown", "DiskFull", "Lagging", "Slow"}[k/2%4]
			var rack []alert
			for range 3 {
				nodes++
				rack = append(rack, r.down(name, fmt.Sprint("rack-", k), fmt.Sprint("node-", nodes)))
			}
			for r.post(rack...)/100 != 2 {
				<-time.After(10 * time.Millisecond)
			}
		}
		<-time.After(time.Duration(rnd.IntN(300)) * time.Millisecond)
		r.kill()
		r.nobodyLeft(5 * time.Second)
		if k%5 == 4 && k < kills-1 && k%2 == 0 {
			r.launch()
		} else {
			r.start()
		}
	}
	took := time.Since(began)
	list := r.ended(nodes, 2*time.Minute)
	r.nobodyLeft(5 * time.Second)
	r.settled(60 * time.Second)
	checkRemedies(t, r, list)
	checkFolders(t, r, temp)
	states := map[tocsin.RemediationState]int{}
	for i := range list {
		states[list[i].State]++
	}
	t.Logf("%d kills in %.0f s, settled after %.0f s, %d runs: %v", kills, took.Seconds(), time.Since(began).Seconds(), nodes, states)
}

// checkFolders finds that the next start removes what killed ones have left.
func checkFolders(t *testing.T, r *remedyWorld, temp string) {
	t.Helper()
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	old := time.Now().Add(-time.Hour)
	for _, e := range left {
		require.NoError(t, os.Chtimes(filepath.Join(temp, e.Name()), old, old))
	}
	r.term()
	r.start()
	after, err := os.ReadDir(temp)
	require.NoError(t, err)
	assert.Empty(t, after, "of %d working folders that were left", len(left))
}

// checkRemedies holds what was done against what is said of it.
func checkRemedies(t *testing.T, r *remedyWorld, list []tocsin.Remediation) {
	t.Helper()
	did := r.did()
	started, ran := 0, 0
	for i := range list {
		x := &list[i]
		times, undone := did[x.Remedy+" "+x.Target], did["undo "+x.Target]
		about := fmt.Sprintf("%s, %s of %s: %s: %s", x.ID, x.Remedy, x.Target, x.State, x.Why)
		most := 1
		if x.Remedy == "prune" {
			most = 2
		}
		assert.LessOrEqual(t, times, most, about)
		assert.LessOrEqual(t, undone, 1, about)
		assert.NotEmpty(t, x.Why, about)
		if !x.State.Ran() {
			assert.Zero(t, times, about)
		}
		switch x.State {
		case tocsin.RemediationVerified:
			assert.Positive(t, times, about)
			assert.Zero(t, undone, about)
		case tocsin.RemediationRolledBack:
			assert.Equal(t, 1, undone, about)
		case tocsin.RemediationUnknown:
			pagerduty, slack := r.pagedAbout(x)
			assert.True(t, pagerduty, "PagerDuty was not told: %s", about)
			assert.True(t, slack, "Slack was not told: %s", about)
		case tocsin.RemediationRefused:
			assert.True(t, strings.Contains(x.Why, "budget") || strings.Contains(x.Why, "precheck"), about)
		}
		if x.Remedy == "scale" {
			ran += times
			if !x.StartedAt.IsZero() {
				started++
			}
		}
	}
	assert.LessOrEqual(t, ran, purse, "the budget over all")
	assert.LessOrEqual(t, started, purse, "the budget over all")
}

// TestAHundredAlertsAgainstABudget has a hundred alerts at once ask for a remedy
// that may act on a tenth of the fleet, and kills the program in the middle.
func TestAHundredAlertsAgainstABudget(t *testing.T) {
	r := newRemedies(t)
	r.remedy("restart", "NodeDown", "echo \"restart $1\" >> $DIR/did\nsleep 0.1\n", `contract: {breaker: {runs: 0}, budget: {fleet: {percent: 10, of: 'count(up)'}}}`)
	r.prometheus.Set("count(up)", livetest.Constant(100, nil))
	r.start()
	var all []alert
	for n := range 100 {
		all = append(all, r.down("NodeDown", "one", fmt.Sprint("node-", n)))
	}
	require.Equal(t, http.StatusOK, r.post(all...))
	require.Eventually(t, func() bool { return len(r.did()) >= 3 }, 20*time.Second, 2*time.Millisecond, "some have run")
	r.kill()
	r.start()
	list := r.ended(100, 2*time.Minute)
	started := map[string]bool{}
	for i := range list {
		if x := &list[i]; x.State.Ran() {
			started[x.Target] = true
		} else {
			assert.Contains(t, x.Why, "budget")
		}
	}
	did := r.did()
	for line, times := range did {
		assert.Equal(t, 1, times, "%s", line)
	}
	assert.Len(t, started, 10, "exactly the budget")
	assert.LessOrEqual(t, len(did), 10)
	assert.GreaterOrEqual(t, len(did), 10-4, "what was started and killed before it did anything: four at once")
}
