package fault

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
)

// hostileTimeout is how long each hostile remedy may run.
const hostileTimeout = 2 * time.Second

// hostile are scripts that do what a remedy should not. $DATA is the program's
// data folder, $CONFIG its configuration.
func hostile() []struct{ name, script string } {
	return []struct{ name, script string }{
		{"fork-bomb", "b() { b | b & }\nb\nwhile :; do :; done"},
		{"spinners", "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24; do (while :; do :; done) & done\nwait"},
		{"daemon", "setsid sh -c 'while :; do sleep 0.1; done; : $0' \"$2\" > /dev/null 2>&1 < /dev/null &\nnohup setsid sh -c 'trap \"\" TERM HUP; while :; do :; done; : $0' \"$2\" &\nexit 0"},
		{"flood", "yes 0123456789012345678901234567890123456789012345678901234567890 | head -c 1000000000\necho the end\nwhile :; do sleep 1; done"},
		{"deaf", "trap '' TERM INT HUP QUIT\nwhile :; do sleep 0.05; done"},
		{"filler", "n=0; while [ $n -lt 200 ]; do n=$((n+1)); head -c 100000000 /dev/zero > big-$n; done\nhead -c 100000000 /dev/zero > $DATA/evil && echo WRITTEN\n" +
			"ls $DATA && echo LISTED\nwhile :; do sleep 1; done"},
		// Where it may write, on the disk of the store.
		{"writer", "while :; do head -c 100000000 /dev/zero > $DIR/evil-$1 && echo WRITTEN; done"},
		{"thief", "for f in $DATA/tocsin.db $DATA/* $CONFIG /proc/1/environ /proc/*/environ /proc/1/root$CONFIG /proc/self/root$CONFIG /proc/1/mem /proc/kcore /etc/shadow; do\n" +
			"  case $f in /proc/self/environ|/proc/thread-self/environ|/proc/$$/environ) continue;; esac\n  cat $f 2> /dev/null && echo READ $f\ndone\nenv\nset\necho the end"},
	}
}

// TestHostileRemedies has remedies do their worst, four at once, while alerts come
// in: each is stopped with all its children, capped and refused, nothing secret is
// shown, and no alert is lost or late.
func TestHostileRemedies(t *testing.T) {
	const canary = "canary-of-the-environment-7f3a"
	t.Setenv("TOCSIN_CANARY", canary)
	r := newRemedies(t)
	for _, h := range hostile() {
		script := strings.NewReplacer("$DATA", r.data, "$CONFIG", filepath.Join(r.dir, "tocsin.yml")).Replace(h.script)
		r.remedy(h.name, h.name, script+"\n", fmt.Sprintf("timeout: %s", hostileTimeout), "contract: {breaker: {runs: 0}}")
	}
	r.start()
	posts, lost := 0, 0
	load := func(until func() bool) []time.Duration {
		took, failed := r.traffic(&posts, until)
		lost += failed
		return took
	}
	load(after(2 * time.Second)) // to warm up
	p50, p99, most := quantiles(load(after(5 * time.Second)))
	t.Logf("%-12s intake p50 %6.2f ms  p99 %6.2f ms  max %6.2f ms", "nothing", ms(p50), ms(p99), ms(most))
	quiet50, quiet99 := p50, p99
	before := size(t, r.data)
	for _, h := range hostile() {
		var alerts []alert
		for n := range 4 {
			alerts = append(alerts, r.down(h.name, h.name, fmt.Sprint(h.name, "-", n)))
		}
		require.Equal(t, http.StatusOK, r.post(alerts...))
		var list []tocsin.Remediation
		began := time.Now()
		took := load(func() bool {
			list = r.runsOfGroup(h.name)
			return len(list) == 4 && !anyOpen(list) || time.Since(began) > time.Minute
		})
		r.nobodyLeft(2 * time.Second)
		p50, p99, most := quantiles(took)
		longest := r.checkHostile(t, h.name, list, canary)
		assert.Less(t, p99, 5*time.Second, "%s: intake waits for remedies", h.name)
		t.Logf("%-12s intake p50 %6.2f ms  p99 %6.2f ms  max %6.2f ms  (%.1f and %.1f times)  longest run %.2f s of %s allowed: %s",
			h.name, ms(p50), ms(p99), ms(most), float64(p50)/float64(quiet50), float64(p99)/float64(quiet99), longest.Seconds(), hostileTimeout, list[0].Why)
	}
	assert.Zero(t, lost, "a post was not answered with 2xx")
	assert.NoFileExists(t, filepath.Join(r.data, "evil"))
	assert.Less(t, size(t, r.data)-before, int64(64<<20), "the store's folder was filled")
	r.settled(30 * time.Second)
	s, err := r.stats()
	require.NoError(t, err)
	assert.GreaterOrEqual(t, s.Alerts, posts, "every alert that was posted is known")
	assert.NotContains(t, r.logs.String(), canary)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func after(d time.Duration) func() bool {
	end := time.Now().Add(d)
	return func() bool { return time.Now().After(end) }
}

func anyOpen(list []tocsin.Remediation) bool {
	for i := range list {
		if !list[i].State.Final() {
			return true
		}
	}
	return false
}

// runsOfGroup are the runs for the incident of a rack.
func (r *remedyWorld) runsOfGroup(rack string) []tocsin.Remediation {
	for _, inc := range r.incidents() {
		if inc.Kind == tocsin.KindAlerts && strings.HasPrefix(inc.Title, rack) {
			return r.runsOf(inc.ID)
		}
	}
	return nil
}

// traffic posts 50 alerts a second, each of another instance, until it is over,
// which is asked four times a second, and returns how long each took.
func (r *remedyWorld) traffic(posts *int, over func() bool) (took []time.Duration, failed int) {
	var mu sync.Mutex
	var all sync.WaitGroup
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	asked := make(chan bool)
	go func() {
		for !over() {
			<-time.After(250 * time.Millisecond)
		}
		close(asked)
	}()
	for {
		select {
		case <-asked:
			all.Wait()
			return took, failed
		case <-tick.C:
		}
		*posts++
		a := firing("Told", fmt.Sprintf("node-%d.", *posts), "warning")
		all.Go(func() {
			began := time.Now()
			code := r.post(a)
			mu.Lock()
			defer mu.Unlock()
			if took = append(took, time.Since(began)); code/100 != 2 {
				failed++
			}
		})
	}
}

// checkHostile holds what is said of runs against what they may do, and returns
// how long the longest took.
func (r *remedyWorld) checkHostile(t *testing.T, name string, list []tocsin.Remediation, canary string) (longest time.Duration) {
	t.Helper()
	require.Len(t, list, 4, name)
	for i := range list {
		x := &list[i]
		require.True(t, x.State.Final(), "%s: %s", name, x.State)
		assert.True(t, x.State.Ran(), "%s: %s: %s", name, x.State, x.Why)
		longest = max(longest, x.EndedAt.Sub(x.StartedAt))
		assert.Less(t, x.EndedAt.Sub(x.StartedAt), hostileTimeout+5*time.Second, "%s was stopped late", name)
		out := r.output(x.ID)
		assert.LessOrEqual(t, len(out), 66<<10, "%s: more output is kept than may be", name)
		for _, secret := range []string{canary, "canary-slack", routingKey, "root:$", "WRITTEN", "LISTED", "READ"} {
			if !assert.NotContains(t, out, secret, name) {
				t.Log(tail(out, 2000))
			}
		}
		if name == "thief" {
			assert.Contains(t, out, "the end", "it has tried everything")
		}
	}
	if entries, err := os.ReadDir(r.box); assert.NoError(t, err) {
		for _, e := range entries {
			info, err := e.Info()
			require.NoError(t, err)
			assert.LessOrEqual(t, info.Size(), int64(64<<20), "%s: a file is larger than it may be", name)
		}
	}
	return longest
}
