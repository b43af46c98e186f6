package fault

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// stormSize is the number of alerts of the kill -9 storm: TOCSIN_STORM, which CI
// sets to 20,000, or what fits into a developer's patience.
func stormSize(t *testing.T) int {
	if s := os.Getenv("TOCSIN_STORM"); s != "" {
		n, err := strconv.Atoi(s)
		require.NoError(t, err)
		return n
	}
	return 5_000
}

// stormAlert is the i-th alert: a tenth pages, a tenth is inhibited.
func stormAlert(i int) alert {
	instance := fmt.Sprintf("node-%d.", i)
	switch i % 10 {
	case 0:
		return firing("Paged", instance, "critical")
	case 1:
		return firing("Inhibited", instance, "warning")
	default:
		return firing("Told", instance, "warning")
	}
}

// TestKillNineDuringAStorm kills the program again and again while alerts come in, each sent until it is answered with 2xx. Every one of them ends as a
// message or as a recorded suppression; PagerDuty has no incident twice; and
// with the look-up on, neither has Slack.
func TestKillNineDuringAStorm(t *testing.T) {
	w := newWorld(t)
	w.start()
	require.Equal(t, http.StatusOK, w.post(firing("RegionDown", "us", "warning")))
	n := stormSize(t)
	var next, refused atomic.Int64
	var senders sync.WaitGroup
	storm := make(chan struct{})
	for range 16 {
		senders.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				for a := stormAlert(i); w.post(a)/100 != 2; refused.Add(1) {
					<-time.After(20 * time.Millisecond)
				}
			}
		})
	}
	go func() { senders.Wait(); close(storm) }()
	kills, seed := 0, uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	for over := false; !over; {
		select {
		case <-storm:
			over = true
		case <-time.After(250*time.Millisecond + time.Duration(rnd.IntN(750))*time.Millisecond):
			w.kill()
			kills++
			w.start()
		}
	}
	w.settled(60 * time.Second)
	t.Logf("%d alerts, %d kills, %d sends that were not answered with 2xx", n, kills, refused.Load())
	checkStorm(t, w, n)
	out, err := exec.CommandContext(t.Context(), binary, "audit", "--verify", "--server.url", "http://"+w.addr).CombinedOutput()
	require.NoError(t, err, "the audit log: %s", out)
}

func checkStorm(t *testing.T, w *world, n int) {
	t.Helper()
	told := map[string]int{}
	for _, channel := range []string{"#chat", "#incidents"} {
		for _, m := range w.slack.Messages(channel) {
			told[instanceOf(m)]++
		}
	}
	missing, double := 0, 0
	for i := range n {
		a := stormAlert(i)
		count := told[a.Labels["instance"]]
		switch {
		case a.Labels["alertname"] == "Inhibited":
			assert.Zero(t, count, "an inhibited alert was told")
		case count == 0:
			missing++
		case count > 1:
			double++
		}
	}
	assert.Zero(t, missing, "alerts that were answered with 2xx and told to nobody")
	assert.Zero(t, double, "messages that were posted twice")
	s, err := w.stats()
	require.NoError(t, err)
	assert.Equal(t, n+1, s.Alerts, "every alert is known, the inhibited ones too")
	pages := map[string]int{}
	for _, p := range w.pagerduty.Incidents(routingKey) {
		pages[p.DedupKey]++
	}
	assert.Len(t, pages, (n+9)/10)
	for key, count := range pages {
		assert.Equal(t, 1, count, "PagerDuty has %s twice", key)
	}
}

// instanceOf finds "node-17." in a message.
func instanceOf(m slacktest.Message) string {
	text := m.Text + string(m.Blocks)
	for i := 0; i+5 < len(text); i++ {
		if text[i:i+5] != "node-" {
			continue
		}
		end := i + 5
		for end < len(text) && text[end] >= '0' && text[end] <= '9' {
			end++
		}
		if end < len(text) && text[end] == '.' {
			return text[i : end+1]
		}
	}
	return ""
}

// TestGracefulStopDuringAStorm stops with SIGTERM while alerts come in: it takes
// at most ten seconds, and loses nothing.
func TestGracefulStopDuringAStorm(t *testing.T) {
	w := newWorld(t)
	w.start()
	var acked sync.Map
	var senders sync.WaitGroup
	var stop atomic.Bool
	for c := range 8 {
		senders.Go(func() {
			for i := 0; !stop.Load(); i++ {
				a := firing("Told", fmt.Sprintf("node-%d.", c*1_000_000+i), "warning")
				if w.post(a)/100 == 2 {
					acked.Store(a.Labels["instance"], true)
				}
			}
		})
	}
	require.Eventually(t, func() bool { return w.slack.Count("#chat") > 100 }, 30*time.Second, 10*time.Millisecond)
	took := w.term()
	stop.Store(true)
	senders.Wait()
	assert.LessOrEqual(t, took, 12*time.Second)
	w.start()
	w.settled(30 * time.Second)
	told := map[string]int{}
	for _, m := range w.slack.Messages("#chat") {
		told[instanceOf(m)]++
	}
	acked.Range(func(instance, _ any) bool {
		assert.Equal(t, 1, told[instance.(string)], "%s", instance)
		return true
	})
}
