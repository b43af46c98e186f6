package main

import (
	"bytes"
	"encoding/json"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
	"github.com/tocsin-oncall/tocsin/runbooks/live/livetest"
	"github.com/tocsin-oncall/tocsin/server"
)

// stepsAsking asks Prometheus in its steps: what is filled in, what is not, and what
// Prometheus does not understand.
const stepsAsking = `# NodeDown

## Diagnosis

1. Look at the load

   ` + "```promql\n   node_load1{instance=\"<instance>\"}\n   ```" + `

   ` + "```promql\n   node_load5{zone=\"<zone>\"}\n   ```" + `
2. Ask the provider
`

// askedOf is a Prometheus that knows the load of node a.
func askedOf(t *testing.T) (*livetest.Server, string) {
	t.Helper()
	prom := &livetest.Server{}
	load := livetest.Constant(9.5, livetest.Labels{"__name__": "node_load1", "instance": "a"})
	for _, expr := range []string{"node_load1", "node_load1 > 8", `node_load1{instance="a"}`} {
		prom.Set(expr, load)
	}
	srv := httptest.NewServer(prom)
	t.Cleanup(srv.Close)
	return prom, srv.URL
}

// loaded is an alert of the rule node_load1 > 8.
func loaded(instance string) demoAlert {
	a := fires(map[string]string{"alertname": "NodeDown", "instance": instance, "severity": "critical"}, "NodeDown "+instance)
	a.Generator = "http://prometheus:9090/graph?g0.expr=node_load1+%3E+8&g0.tab=1"
	return a
}

// graphs are the files in the threads of a channel, or of the direct messages with a
// person.
func (d *duty) graphs(ref string) (out []slacktest.File) {
	for _, m := range d.slack.Messages(ref) {
		for _, r := range m.Replies {
			out = append(out, r.Files...)
		}
	}
	return out
}

// values are what an incident's expressions give.
func (d *duty) values(id string) []server.LiveValue {
	d.t.Helper()
	var got struct {
		Values []server.LiveValue `json:"values"`
	}
	require.Equal(d.t, http.StatusOK, d.ask(http.MethodGet, "/api/v1/incidents/"+id+"/values", nil, &got))
	return got.Values
}

func TestLiveValuesOfTheSteps(t *testing.T) {
	t.Parallel()
	prom, url := askedOf(t)
	d := newDuty(t)
	d.putRunbook(stepsAsking)
	d.with(dutyPeople, dutyPrimary, dutyPolicy, dutyRunbooks, "\nprometheus: {url: '"+url+"', timeout: 20s}\n")
	code, body := d.post(t, "/webhook/alertmanager", webhookBody(t, loaded("a")))
	require.Equal(t, http.StatusOK, code, body)
	id := d.byTitle("NodeDown a").ID

	got := d.values(id)
	require.Len(t, got, 3)
	assert.Equal(t, "node_load1 > 8", got[0].Expr)
	require.Len(t, got[0].Series, 1)
	assert.Equal(t, "9.5", got[0].Series[0].Value)
	assert.Equal(t, []any{1, 1, "Look at the load", `node_load1{instance="a"}`, "9.5"}, []any{got[1].Step, got[1].Query, got[1].Text, got[1].Expr, got[1].Series[0].Value})
	assert.Contains(t, got[2].Why, "<zone>")
	assert.Empty(t, got[2].Graph)
	for _, q := range prom.Asked() {
		assert.NotContains(t, q.Expr, "zone", "what is not filled in is not asked")
	}
	page := d.get(t, "/incidents/"+id+"/beside")
	for _, want := range []string{"9.5", "Look at the load", "&lt;zone&gt;", "graph.svg?step=1"} {
		assert.Contains(t, page, want)
	}
	svg := d.get(t, got[1].Graph)
	assert.Contains(t, svg, "node_load1{instance=")
	resp, err := http.Get(d.url + "/incidents/" + id + "/graph.svg?step=1&query=2")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusNotFound, resp.StatusCode)

	prom.Fail(livetest.Fault{Type: "bad_data", Text: "parse error: unexpected <op:+>"})
	assert.Equal(t, "Prometheus says: bad_data: parse error: unexpected <op:+>", d.values(id)[0].Why)
}

func TestTheGraphFollowsTheMessage(t *testing.T) {
	t.Parallel()
	_, url := askedOf(t)
	d := newDuty(t)
	d.with(dutyPeople, dutyPrimary, dutyPolicy, "\nprometheus: {url: '"+url+"', timeout: 20s}\n")
	alert := loaded("a")
	d.post(t, "/webhook/alertmanager", webhookBody(t, alert))
	d.eventually(func() bool { return len(d.graphs("U0ANA")) == 1 }, "the graph is in the thread")
	f := d.graphs("U0ANA")[0]
	assert.Equal(t, "node_load1 > 8", f.Title)
	assert.Equal(t, "The last hour of node_load1 > 8", f.Alt)
	_, err := png.Decode(bytes.NewReader(f.Data))
	require.NoError(t, err)

	id := d.byTitle("NodeDown a").ID
	d.do(id, tocsin.ActNote, tocsin.Action{By: "ana", Text: "on it"})
	d.restart()
	d.do(id, tocsin.ActAcknowledge, tocsin.Action{By: "ana"})
	d.hears("U0ANA", "Acknowledged")
	d.quiet()
	assert.Len(t, d.graphs("U0ANA"), 1, "one for each opening")

	d.do(id, tocsin.ActResolve, tocsin.Action{By: "ana", Force: true})
	d.quiet()
	require.NoError(t, d.app.engine.Act(t.Context(), id, tocsin.Action{Kind: tocsin.ActReopen, By: "ana"}))
	d.eventually(func() bool { return len(d.graphs("U0ANA")) == 2 }, "it opened again")
	assert.Equal(t, 2, d.slack.Calls("files.completeUploadExternal"))
	assert.NotContains(t, d.log.String(), "could not be put")
}

// Nothing that stands beside the page delays it: neither the messages nor the pages
// wait for a Prometheus that hangs.
func TestThePageGoesOutWhilePrometheusHangs(t *testing.T) {
	t.Parallel()
	prom, url := askedOf(t)
	prom.Fail(livetest.Fault{Hangs: true})
	d := newDuty(t)
	d.putRunbook(stepsAsking)
	d.with(dutyPeople, dutyPrimary, dutyPolicy, dutyRunbooks, "\nprometheus: {url: '"+url+"', timeout: 2m}\n")
	begun := time.Now()
	d.post(t, "/webhook/alertmanager", webhookBody(t, loaded("a")))
	d.hears("U0ANA", "NodeDown a")
	d.eventually(func() bool { return len(d.pagerduty.Events()) > 0 }, "PagerDuty was told")
	id := d.byTitle("NodeDown a").ID
	got := d.values(id)
	assert.Contains(t, got[0].Why, "did not answer in time")
	assert.Contains(t, d.get(t, "/incidents/"+id+"/beside"), "did not answer in time")
	assert.Less(t, time.Since(begun), 90*time.Second, "less than one question may take")
	assert.Empty(t, d.graphs("U0ANA"))

	prom.Fail(livetest.Fault{})
	assert.Len(t, d.values(id)[0].Series, 1)
}

func TestPagerDutyShowsTheGraph(t *testing.T) {
	t.Parallel()
	prom, url := askedOf(t)
	d := newDuty(t)
	d.pagerduty = pagerdutytest.New(pagerdutytest.Config{APIToken: "canary-pd-token", KeepBodies: true})
	p := httptest.NewServer(d.pagerduty)
	t.Cleanup(p.Close)
	d.pagerdutyURL = p.URL
	start := func(change ...string) {
		d.write(dutyPeople, dutyPrimary, dutyPolicy, "\nprometheus: {url: '"+url+"', timeout: 20s}\n")
		text, err := os.ReadFile(filepath.Clean(d.file))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(d.file, []byte(strings.NewReplacer(change...).Replace(string(text))), 0o600))
		d.start()
	}
	images := func(title string) []map[string]string {
		d.eventually(func() bool { return strings.Contains(d.told(), title) }, "PagerDuty was told of %s", title)
		var body struct {
			Images []map[string]string `json:"images"`
		}
		for _, e := range d.pagerduty.Events() {
			if e.Action == "trigger" && strings.Contains(string(e.Body), title) {
				require.NoError(t, json.Unmarshal(e.Body, &body))
			}
		}
		return body.Images
	}
	wants := []string{`api_token: canary-pd-token,`, `api_token: canary-pd-token, images: true,`}
	start(wants...)
	d.post(t, "/webhook/alertmanager", webhookBody(t, loaded("a")))
	assert.Empty(t, images("NodeDown a"), "nobody could load them without https")
	d.stop()

	start(append(wants, "http://tocsin.example.com", "https://tocsin.example.com")...)
	d.post(t, "/webhook/alertmanager", webhookBody(t, loaded("b")))
	list := images("NodeDown b")
	require.Len(t, list, 1)
	path, ours := strings.CutPrefix(list[0]["src"], "https://tocsin.example.com")
	require.True(t, ours, list)
	load := func(path string) (int, []byte) {
		resp, err := http.Get(d.url + path)
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		var b bytes.Buffer
		_, err = b.ReadFrom(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, b.Bytes()
	}
	code, drawn := load(path)
	require.Equal(t, http.StatusOK, code)
	_, err := png.Decode(bytes.NewReader(drawn))
	require.NoError(t, err)
	code, _ = load(strings.Replace(path, "sig=", "sig=A", 1))
	assert.Equal(t, http.StatusNotFound, code)
	other := d.byTitle("NodeDown a").ID
	code, _ = load(strings.Replace(path, d.byTitle("NodeDown b").ID, other, 1))
	assert.Equal(t, http.StatusNotFound, code, "a link opens one incident's graph")

	prom.Fail(livetest.Fault{Hangs: true})
	code, none := load(path)
	require.Equal(t, http.StatusOK, code)
	_, err = png.Decode(bytes.NewReader(none))
	require.NoError(t, err)
	assert.NotEqual(t, drawn, none, "it says that there are no data")
	d.restart()
	prom.Fail(livetest.Fault{})
	code, _ = load(path)
	assert.Equal(t, http.StatusOK, code, "what it is signed with is kept")
}

// told is everything that PagerDuty was told.
func (d *duty) told() string {
	var b strings.Builder
	for _, e := range d.pagerduty.Events() {
		b.Write(e.Body)
	}
	return b.String()
}

// What is edited in the middle of an incident shows in Slack too, and a step can be
// skipped there, with a note.
func TestStepsInSlackOfAnEditedRunbook(t *testing.T) {
	overBoth(t, func(s *team) {
		s.putRunbook(stepsBefore)
		s.with(teamPeople, dutyPrimary, dutyChannel, dutyRunbooks)
		id := s.open("NodeDown", "critical")
		s.everywhere(id, "0 of 5 steps done", "NodeDown a")
		s.ticks("#incidents", id, "U0BO", "3. Drain the node")
		s.everywhere(id, "1 of 5 steps done", "NodeDown a")

		s.putRunbook(stepsAfter)
		s.reload()
		work := func(user string, values map[string]string) {
			s.clicks("#incidents", id, user, slack.ActionStepMore)
			s.eventually(func() bool { _, open := s.slack.View(user); return open }, "the window opens before %s", user)
			_, err := s.slack.Submit(user, values)
			require.NoError(s.t, err)
			s.eventually(func() bool { _, open := s.slack.View(user); return !open }, "the window closes")
		}
		steps := s.app.shelf.Get(s.incident(id).Runbook).Steps
		work("U0ANA", map[string]string{"step": slack.StepKey(steps[3].ID), "status": "skipped", "text": "there are none"})
		s.everywhere(id, "1 skipped", "NodeDown a")
		work("U0BO", map[string]string{"step": slack.StepKey(steps[2].ID), "status": "started"})
		s.everywhere(id, "started by bo", "NodeDown a")
		for _, want := range []string{"edited since", "Gone from the runbook: 3. Drain the node · ✓ bo", "skipped by ana"} {
			assert.Contains(s.t, s.shown("#incidents", id), want)
		}
		assert.Contains(s.t, s.progress(id), "4 Check the volumes: skipped by ana, Slack, there are none (edited since)")
		assert.Contains(s.t, s.timeline(id), "ana skipped step 4: Check the volumes (there are none)")

		// A viewer sees it, and changes nothing.
		before := s.incident(id).Revision
		s.clicks("#incidents", id, "U0VIC", slack.ActionStepMore)
		s.whispered("U0VIC", "has no right to respond")
		assert.Equal(s.t, before, s.incident(id).Revision)
	})
}
