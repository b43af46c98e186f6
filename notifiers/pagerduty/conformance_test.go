package pagerduty_test

import (
	"net/http"
	"testing"

	"go.uber.org/goleak"

	"github.com/tocsin-oncall/tocsin/notifiers/notifiertest"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
)

const routingKey = "CANARYf00dCANARYf00dCANARYf00d12"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

func TestConformance(t *testing.T) {
	notifiertest.Conformance(t, notifiertest.Provider{
		New: func(t testing.TB, url string, rt http.RoundTripper) notifiertest.Notifier {
			if rt == nil {
				own := &http.Transport{}
				t.Cleanup(own.CloseIdleConnections)
				rt = own
			}
			return pagerduty.New(pagerduty.Config{RoutingKey: routingKey, EventsURL: url, Transport: rt})
		},
		Emulator: func(testing.TB) (http.Handler, func() int) {
			s := pagerdutytest.New(pagerdutytest.Config{Keys: []string{routingKey}})
			return s, func() int { return len(s.Incidents("")) }
		},
		Secrets: []string{routingKey},
		Success: func(status int) bool { return status == http.StatusAccepted },
	})
}
