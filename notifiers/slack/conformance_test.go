package slack_test

import (
	"net/http"
	"testing"

	"github.com/tocsin-oncall/tocsin/notifiers/notifiertest"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// TestConformance runs the checks that every provider must pass.
func TestConformance(t *testing.T) {
	const token = "xoxb-canary-conformance"
	notifiertest.Conformance(t, notifiertest.Provider{
		New: func(t testing.TB, url string, rt http.RoundTripper) notifiertest.Notifier {
			if rt == nil {
				own := &http.Transport{}
				t.Cleanup(own.CloseIdleConnections)
				rt = own
			}
			c := slack.New(slack.Config{Token: token, APIURL: url + "/api/", HTTPClient: &http.Client{Transport: rt}, Lookup: true})
			return c.Channel("#incidents")
		},
		Emulator: func(t testing.TB) (http.Handler, func() int) {
			s := slacktest.New(slacktest.WithAutoCreate())
			t.Cleanup(s.Close)
			return s, func() int { return s.Count("#incidents") }
		},
		Secrets: []string{token},
		Success: func(status int) bool { return status == http.StatusOK },
		// A misdirected or too early request is a matter of the connection.
		Class: func(status int) notifiertest.Class {
			if status == http.StatusMisdirectedRequest || status == http.StatusTooEarly {
				return notifiertest.Temporary
			}
			return ""
		},
	})
}
