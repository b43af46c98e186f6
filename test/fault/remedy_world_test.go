package fault

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks/live/livetest"
)

const remedyText = `
server: {listen: "%s"}
storage: {path: "%s", min_free: 0, ballast: 0}
slack: {bot_token: xoxb-canary-slack, api_url: "%s/api/", rate_limit: 0}
pagerduty: {events_url: "%s", rate_limit: 0}
prometheus: {url: "%s", timeout: 5s}
route: {receiver: page, group_by: [alertname, region]}
receivers: [{name: page, slack_configs: [{channel: "#incidents"}], pagerduty_configs: [{routing_key: "%s"}]}]
remediations:
%s`

// remedyWorld is a world whose remedies write down what they do in a file, and
// bring nodes up by making files; a Prometheus sees those.
type remedyWorld struct {
	*world
	prometheus livetest.Server
	// box is the remedies' folder: their marks, and what they did.
	box string
	// marker is an argument of each remedy, by which its processes are known.
	marker string
	// sandbox is the one that this machine can give.
	sandbox  string
	remedies []string
}

func newRemedies(t *testing.T) *remedyWorld {
	t.Helper()
	r := &remedyWorld{world: newWorld(t), marker: fmt.Sprintf("marker-%d-%d", os.Getpid(), time.Now().UnixNano())}
	r.box = filepath.Join(r.dir, "box")
	require.NoError(t, os.Mkdir(r.box, 0o755))
	p := httptest.NewServer(&r.prometheus)
	t.Cleanup(p.Close)
	r.sandbox = fmt.Sprintf("require: none, read: ['%s'], write: ['%[1]s']", r.box)
	if says, err := exec.Command(binary, "remediate", "sandbox").Output(); err == nil && bytes.Contains(says, []byte("yes  Landlock")) {
		r.sandbox = strings.Replace(r.sandbox, "none", "landlock", 1)
	}
	r.config = func(w *world) string {
		return fmt.Sprintf(remedyText, w.addr, w.data, w.slackURL, w.pdURL, p.URL, routingKey, strings.Join(r.remedies, ""))
	}
	return r
}

// script writes a script and returns the two lines of the configuration that
// name it. What is written for $DIR is the box.
func (r *remedyWorld) script(name, text string) (command, sum string) {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	text = "#!/bin/sh\n" + strings.ReplaceAll(text, "$DIR", r.box)
	require.NoError(r.t, os.WriteFile(path, []byte(text), 0o755))
	h := sha256.Sum256([]byte(text))
	return path, hex.EncodeToString(h[:])
}

// remedy declares one for an alert name: auto, for a node, with a script that
// gets the node and the marker. The rest is written as in the configuration.
func (r *remedyWorld) remedy(name, alertname, script string, rest ...string) {
	r.t.Helper()
	path, sum := r.script(name, script)
	text := fmt.Sprintf(`  - name: %s
    command: ['%s', '{{node}}', '%s']
    sha256: %s
    parameters: [{name: node, label: instance}]
    matchers: ['alertname="%s"']
    mode: auto
    sandbox: {%s}
`, name, path, r.marker, sum, alertname, r.sandbox)
	for _, line := range rest {
		text += "    " + line + "\n"
	}
	r.remedies = append(r.remedies, text)
}

// check is a command of a contract.
func (r *remedyWorld) check(name, script, rest string) string {
	r.t.Helper()
	path, sum := r.script(name, script)
	return fmt.Sprintf(`{command: ['%s', '{{node}}', '%s'], sha256: %s%s}`, path, r.marker, sum, rest)
}

// down is an alert of a rack's incident, about a node that Prometheus knows.
func (r *remedyWorld) down(alertname, rack, node string) alert {
	for _, up := range []float64{0, 1} {
		r.prometheus.Set(fmt.Sprintf(`up{instance="%s"} == %g`, node, up), livetest.Series{Value: func(time.Time) float64 {
			if _, err := os.Stat(filepath.Join(r.box, "up-"+node)); (err == nil) == (up == 1) {
				return up
			}
			return math.NaN()
		}})
	}
	a := firing(alertname, node, "critical")
	a.Labels["region"] = rack
	return a
}

// did counts the lines of what was done: "restart node-3".
func (r *remedyWorld) did() map[string]int {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.box, "did"))
	if !os.IsNotExist(err) {
		require.NoError(r.t, err)
	}
	out := map[string]int{}
	for line := range strings.Lines(string(text)) {
		out[strings.TrimSpace(line)]++
	}
	return out
}

// forget forgets what was done.
func (r *remedyWorld) forget() error { return os.Truncate(filepath.Join(r.box, "did"), 0) }

// runsOf are the runs for an incident; nil when the program does not answer.
func (r *remedyWorld) runsOf(incident string) []tocsin.Remediation {
	var list struct{ Remediations []tocsin.Remediation }
	r.send(http.MethodGet, "/api/v1/remediations?incident="+incident, nil, &list)
	return list.Remediations
}

// runs are the runs for all incidents but for the pages about them.
func (r *remedyWorld) runs() []tocsin.Remediation {
	var out []tocsin.Remediation
	for _, inc := range r.incidents() {
		if inc.Kind == tocsin.KindAlerts {
			out = append(out, r.runsOf(inc.ID)...)
		}
	}
	return out
}

// ended waits until there are n runs and each has come to its end, and returns
// them.
func (r *remedyWorld) ended(n int, within time.Duration) []tocsin.Remediation {
	r.t.Helper()
	var list []tocsin.Remediation
	if !assert.Eventually(r.t, func() bool {
		list = r.runs()
		return len(list) == n && !slices.ContainsFunc(list, func(x tocsin.Remediation) bool { return !x.State.Final() })
	}, within, 100*time.Millisecond, "a run is left without an outcome") {
		for i := range list {
			if !list[i].State.Final() {
				r.t.Logf("%s %s: %s", list[i].ID, list[i].State, list[i].Why)
			}
		}
		require.Len(r.t, list, n)
		r.t.FailNow()
	}
	return list
}

// output is what a run has written, as the API shows it.
func (r *remedyWorld) output(id string) string {
	r.t.Helper()
	var one struct{ Output string }
	require.Equal(r.t, http.StatusOK, r.send(http.MethodGet, "/api/v1/remediations/"+id, nil, &one))
	return one.Output
}

// cli runs the command line against the program.
func (r *remedyWorld) cli(args ...string) string {
	r.t.Helper()
	out, err := exec.Command(binary, append(args, "--server.url", "http://"+r.addr)...).CombinedOutput()
	require.NoError(r.t, err, "%s", out)
	return string(out)
}

// processes are those of the machine that a remedy's command line names, and the
// program's own helpers.
func (r *remedyWorld) processes() []string {
	var out []string
	dir, err := os.ReadDir("/proc")
	require.NoError(r.t, err)
	for _, e := range dir {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		line, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil {
			continue
		}
		args := strings.ReplaceAll(string(line), "\x00", " ")
		exe, _ := os.Readlink(filepath.Join("/proc", e.Name(), "exe"))
		if strings.Contains(args, r.marker) || exe == binary && strings.Contains(args, "sandbox-exec") {
			out = append(out, e.Name()+" "+args)
		}
	}
	return out
}

// nobodyLeft waits until no process of a remedy is left.
func (r *remedyWorld) nobodyLeft(within time.Duration) {
	r.t.Helper()
	var left []string
	if !assert.Eventually(r.t, func() bool { left = r.processes(); return len(left) == 0 }, within, 5*time.Millisecond, "a remedy's process is left") {
		r.t.Logf("%q", left)
	}
}

// pagedAbout reports whether PagerDuty and Slack were told that a run needs
// somebody.
func (r *remedyWorld) pagedAbout(run *tocsin.Remediation) (pagerduty, slack bool) {
	what := "remedy " + run.Remedy + " on " + run.Target + " needs somebody"
	for _, p := range r.pagerduty.Incidents(routingKey) {
		pagerduty = pagerduty || strings.Contains(p.Title, what)
	}
	for _, m := range r.slack.Messages("#incidents") {
		slack = slack || strings.Contains(m.Text+string(m.Blocks), what)
	}
	return pagerduty, slack
}

// size is how much a folder holds.
func size(t *testing.T, dir string) (total int64) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			total += info.Size()
		}
		return nil
	}))
	return total
}

// quantiles are p50, p99 and the most.
func quantiles(took []time.Duration) (p50, p99, most time.Duration) {
	if len(took) == 0 {
		return 0, 0, 0
	}
	took = slices.Sorted(slices.Values(took))
	return took[len(took)/2], took[len(took)*99/100], took[len(took)-1]
}
