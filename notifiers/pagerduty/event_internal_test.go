package pagerduty

import (
	"testing"

	"github.com/tocsin-oncall/tocsin/notifiers/notifiertest"
)

func BenchmarkEvent(b *testing.B) {
	p := New(Config{RoutingKey: "0123456789abcdef0123456789abcdef"})
	n := notifiertest.Sample()
	b.ReportAllocs()
	for b.Loop() {
		if ev := p.event(actionTrigger, p.dedupKey(&n), &n); ev.Payload.Details == nil {
			b.Fatal("no details")
		}
	}
}
