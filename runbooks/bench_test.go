package runbooks_test

import (
	"os"
	"testing"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks"
)

func benchDir() string {
	if _, err := os.Stat(sharedData + "/runbooks"); err == nil {
		return sharedData + "/runbooks"
	}
	return "testdata/runbooks"
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, _, err := runbooks.Load([]string{benchDir()}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFind(b *testing.B) {
	lib, _, err := runbooks.Load([]string{"testdata/runbooks/kubernetes"})
	if err != nil {
		b.Fatal(err)
	}
	for name, a := range map[string]*tocsin.Alert{
		"name":     {Labels: tocsin.Labels{"alertname": "KubeletDown"}},
		"any case": {Labels: tocsin.Labels{"alertname": "kubeLETdown"}},
		"none":     {Labels: tocsin.Labels{"alertname": "NothingOfTheKind"}},
		"url":      {Labels: tocsin.Labels{"alertname": "x"}, Annotations: tocsin.Labels{"runbook_url": "https://runbooks.prometheus-operator.dev/runbooks/kubernetes/kubenodenotready"}},
		"bad url":  {Labels: tocsin.Labels{"alertname": "x"}, Annotations: tocsin.Labels{"runbook_url": "https://wiki.example.com/Some/Where/Else.md#anchor"}},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				lib.Find(a)
			}
		})
	}
}

func BenchmarkFill(b *testing.B) {
	lib, _, err := runbooks.Load([]string{"testdata/runbooks"})
	if err != nil {
		b.Fatal(err)
	}
	rb := lib.Get("kubernetes/KubeNodeNotReady")
	labels := tocsin.Labels{"alertname": "KubeNodeNotReady", "node": "ip-10-0-1-23", "severity": "critical"}
	for b.Loop() {
		runbooks.Fill(rb, labels)
	}
}
