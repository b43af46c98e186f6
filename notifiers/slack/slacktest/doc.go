// Package slacktest is a stateful emulator of Slack's Web API: an http.Handler
// that answers the real paths below /api/, validates as Slack does, keeps what
// was posted, and shows it on a page at / as a person would see it in Slack.
// Tests, the demo and the benchmark use the same one.
//
//	s := slacktest.New(slacktest.WithAutoCreate())
//	client := slack.New(slack.Config{Token: "xoxb-1", HTTPClient: s.Client()})
//
// People click, answer modals and type commands too: Click, Submit and Command send
// what Slack would, signed, to the app's callbacks (SetCallbacks), and the page has
// working buttons. Where the app has no callbacks and connections of Socket Mode
// (Sockets), it gets them there.
//
// It works behind sockets (http.Server, httptest.Server) and without any:
// Client returns an *http.Client that calls the handler directly and so runs
// inside a testing/synctest bubble.
//
// What Slack does is taken from its method pages
// (https://docs.slack.dev/reference/methods) and from the types of the npm
// package @slack/types 3.2.0. Where Slack documents no behaviour, the comment
// at the place says what is assumed.
package slacktest
