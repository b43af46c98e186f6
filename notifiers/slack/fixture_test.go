package slack_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
	"github.com/tocsin-oncall/tocsin/test/leak"
)

var update = flag.Bool("update", false, "write the golden files")

const target = "slack:#incidents"

var opened = time.Date(2026, 11, 22, 5, 0, 0, 0, time.UTC)

func alert(name, severity string, labels tocsin.Labels) tocsin.AlertRecord {
	l := tocsin.Labels{tocsin.LabelAlertName: name, tocsin.LabelSeverity: severity}
	for k, v := range labels {
		l[k] = v
	}
	a := tocsin.Alert{
		Source: "alertmanager", Labels: l, Firing: true, StartsAt: opened,
		Annotations: tocsin.Labels{
			tocsin.AnnotationSummary:     "Node " + labels["instance"] + " is down",
			tocsin.AnnotationDescription: "No scrape of " + labels["instance"] + " has succeeded for 2 minutes.",
			tocsin.AnnotationRunbookURL:  "https://runbooks.example.com/node-down",
		},
		GeneratorURL: "https://prometheus.example.com/graph?g0.expr=up+%3D%3D+0&g0.tab=1",
	}
	return tocsin.AlertRecord{Alert: a, State: tocsin.AlertState{
		ID: a.ID(), Incident: "k7f3q9", Seq: 1, Firing: true, StartsAt: opened, Severity: a.Severity(),
	}}
}

func incident() *tocsin.Incident {
	return &tocsin.Incident{
		ID: "k7f3q9", Revision: 3, StateRevision: 1, State: tocsin.Triggered, Severity: tocsin.Critical,
		Title: "Node node-3.eu-west is down", OpenedAt: opened, ChangedAt: opened, Alerts: 1, Firing: 1,
		Deliveries: []tocsin.Delivery{{Target: target, Detail: true, Since: opened}},
	}
}

func notice(i *tocsin.Incident) tocsin.Notice {
	return tocsin.Notice{
		Incident: i, Delivery: i.Deliveries[0],
		Alerts:      []tocsin.AlertRecord{alert("NodeDown", "critical", tocsin.Labels{"instance": "node-3:9100", "region": "eu-west", "job": "node"})},
		GroupLabels: tocsin.Labels{"region": "eu-west"},
		Events:      []tocsin.Event{{Seq: 7, Kind: tocsin.EventOpened, Incident: i.ID, Revision: 1, At: opened, Text: "opened"}},
		URL:         "https://tocsin.example.com/incidents/k7f3q9",
		Now:         opened.Add(time.Second),
	}
}

func nodeRunbook() *tocsin.Runbook {
	return &tocsin.Runbook{
		ID: "node#node-down", Title: "Node down", URL: "https://runbooks.example.com/node-down",
		Steps: []tocsin.Step{
			{ID: "a100000000", Section: tocsin.SectionDiagnosis, Text: "Is the machine reachable?", Commands: []tocsin.Command{{Lang: "bash", Text: "ping -c 3 'node-3' && ssh 'node-3' uptime"}}},
			{ID: "a200000000", Section: tocsin.SectionDiagnosis, Text: "Look at the kubelet's journal.", Commands: []tocsin.Command{{Lang: "bash", Text: "journalctl -u kubelet --since '10 min ago' | grep -i error > /tmp/errors\nwc -l < /tmp/errors"}}},
			{
				ID: "a300000000", Section: tocsin.SectionMitigation, Condition: "If it does not come back", Text: "drain it.", Depth: 1,
				Commands: []tocsin.Command{{Lang: "bash", Text: "kubectl drain <node-name> --ignore-daemonsets", Unfilled: []string{"<node-name>"}}},
			},
			{ID: "a400000000", Section: tocsin.SectionMitigation, Text: "Tell the platform team."},
			{ID: "a500000000", Section: tocsin.SectionResolution, Text: "Uncordon it when it is well."},
			{ID: "a600000000", Section: tocsin.SectionFollowUp, Text: "Write it down."},
			{ID: "a700000000", Section: tocsin.SectionFollowUp, Text: "Order a new one."},
		},
	}
}

func event(seq uint64, kind tocsin.EventKind, text string) tocsin.Event {
	return tocsin.Event{Seq: seq, Kind: kind, Incident: "k7f3q9", Revision: seq, At: opened.Add(time.Duration(seq) * time.Second), Text: text}
}

// setup is an emulator with a client that reaches it without sockets.
func setup(t testing.TB, opts ...slacktest.Option) (*slacktest.Server, *slack.Channel) {
	t.Helper()
	s := slacktest.New(append([]slacktest.Option{slacktest.WithAutoCreate()}, opts...)...)
	t.Cleanup(s.Close)
	return s, slack.New(slack.Config{Token: "xoxb-canary", HTTPClient: s.Client(), Lookup: true}).Channel("#incidents")
}

// deliver delivers and notes the receipt as the dispatcher would.
func deliver(t testing.TB, ch *slack.Channel, n *tocsin.Notice) tocsin.Receipt {
	t.Helper()
	r, err := ch.Deliver(t.Context(), *n)
	require.NoError(t, err)
	leak.Said(t, fmt.Sprintf("%+v", r))
	record(n, r)
	return r
}

func record(n *tocsin.Notice, r tocsin.Receipt) {
	d := &n.Delivery
	if r.Ref != "" {
		d.Ref, d.Digest = r.Ref, r.Digest
	}
	d.Revision, d.State, d.Severity = r.Revision, r.State, r.Severity
	d.Told = max(d.Told, r.Told)
	n.MayBePosted = false
}

func one(t testing.TB, s *slacktest.Server) slacktest.Message {
	t.Helper()
	m := s.Messages("incidents")
	require.Len(t, m, 1)
	return m[0]
}

// golden compares with testdata/name, or writes it with -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run go test -update to make the golden files")
	assert.Equal(t, string(want), string(got), "the message differs from "+path+"; run go test -update if it should")
}

func many(n int) []tocsin.AlertRecord {
	var out []tocsin.AlertRecord
	for k := range n {
		out = append(out, alert("NodeDown", "critical", tocsin.Labels{"instance": fmt.Sprintf("node-%d:9100", k), "region": "eu-west", "job": "node"}))
	}
	return out
}
