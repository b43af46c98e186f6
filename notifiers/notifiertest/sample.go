package notifiertest

import (
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// Sample returns a fresh notice of a triggered incident of two alerts, of which
// nothing is posted yet: one fires, one is resolved, with a runbook.
func Sample() tocsin.Notice {
	opened := time.Date(2026, 11, 22, 4, 41, 9, 396523000, time.UTC)
	i := &tocsin.Incident{
		ID: "k7f3q9", Revision: 3, StateRevision: 1, State: tocsin.Triggered, Severity: tocsin.Critical,
		Title: "Node node-a:9100 is down", Group: tocsin.NewKey("group"), GroupBy: []string{"alertname", "region"},
		Route: "tocsin.yml:12", Receivers: []string{"platform-critical"}, Runbook: "node.md#node-down",
		OpenedAt: opened, ChangedAt: opened, Alerts: 2, Firing: 1,
	}
	i.AddTarget("sample:target", false, opened)
	return tocsin.Notice{
		Incident: i, Delivery: i.Deliveries[0],
		Alerts:      []tocsin.AlertRecord{SampleAlert("node-a:9100", opened), endedAlert("node-b:9100", opened)},
		GroupLabels: tocsin.Labels{"alertname": "NodeDown", "region": "us-east"},
		Events:      []tocsin.Event{{Seq: 1, Kind: tocsin.EventOpened, Incident: i.ID, Revision: 1, At: opened, Text: "opened"}},
		Runbook:     SampleRunbook(),
		URL:         "https://tocsin.example.com/incidents/k7f3q9",
		Now:         opened.Add(2 * time.Second),
	}
}

// SampleAlert returns a firing NodeDown alert of an instance.
func SampleAlert(instance string, at time.Time) tocsin.AlertRecord {
	a := tocsin.Alert{
		Source: "alertmanager",
		Labels: tocsin.Labels{
			"alertname": "NodeDown", "severity": "critical", "instance": instance, "job": "node",
			"region": "us-east", "cluster": "production", "component": "node",
		},
		Annotations: tocsin.Labels{
			"summary":     "Node " + instance + " is down",
			"description": "Node " + instance + " in us-east has been down for more than 2 minutes.",
			"runbook_url": "https://runbooks.example.com/node-down",
		},
		Firing: true, StartsAt: at, GeneratorURL: "http://prometheus.example.com/graph?g0.expr=up&g0.tab=1",
	}
	return tocsin.AlertRecord{Alert: a, State: tocsin.AlertState{
		ID: a.ID(), Incident: "k7f3q9", Seq: 1, Firing: true, StartsAt: at, ChangedAt: at, SeenAt: at, Severity: tocsin.Critical,
	}}
}

func endedAlert(instance string, at time.Time) tocsin.AlertRecord {
	a := SampleAlert(instance, at)
	a.Firing, a.EndsAt = false, at.Add(time.Second)
	a.State.Firing, a.State.EndsAt, a.State.Seq = false, a.EndsAt, 2
	return a
}

// SampleRunbook returns a runbook with a nested step, a condition and commands.
func SampleRunbook() *tocsin.Runbook {
	return &tocsin.Runbook{
		ID: "node.md#node-down", Title: "Node down", File: "node.md", Line: 3, Alerts: []string{"NodeDown"},
		URL: "https://runbooks.example.com/node-down#node-down",
		Steps: []tocsin.Step{
			{
				ID: "1", Section: tocsin.SectionDiagnosis, Text: "See whether the machine answers.",
				Commands: []tocsin.Command{{Lang: "bash", Text: "ping -c 3 'node-a'\nssh 'node-a' uptime\n"}},
			},
			{ID: "2", Section: tocsin.SectionDiagnosis, Depth: 1, Text: "Look at its console."},
			{
				ID: "3", Section: tocsin.SectionMitigation, Condition: "If resource constrained", Text: "Restart the service.",
				Commands: []tocsin.Command{{Lang: "bash", Text: "systemctl restart <unit>", Unfilled: []string{"<unit>"}}},
			},
		},
	}
}
