package slack_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	slackgo "github.com/slack-go/slack"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// echo answers every call at once with what the emulator answered to one.
type echo string

func (e echo) RoundTrip(req *http.Request) (*http.Response, error) {
	_, _ = io.Copy(io.Discard, req.Body)
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{}, Request: req,
		Body: io.NopCloser(strings.NewReader(string(e))),
	}, nil
}

// recorded returns the emulator's real answer to one of our messages.
func recorded(b *testing.B) (string, slacktest.Message) {
	b.Helper()
	s := slacktest.New(slacktest.WithAutoCreate())
	tap := &tap{next: s.Client().Transport}
	n := notice(incident())
	_, err := slack.New(slack.Config{Token: "t", HTTPClient: &http.Client{Transport: tap}}).Channel("#incidents").Deliver(b.Context(), n)
	require.NoError(b, err)
	return tap.body, s.Messages("incidents")[0]
}

type tap struct {
	next http.RoundTripper
	body string
}

func (t *tap) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(resp.Body)
	t.body = string(raw)
	resp.Body = io.NopCloser(strings.NewReader(t.body))
	return resp, err
}

// BenchmarkDeliver is everything but the network: message, request, answer.
func BenchmarkDeliver(b *testing.B) {
	answer, _ := recorded(b)
	for name, runbook := range map[string]bool{"simple": false, "runbook": true} {
		b.Run(name, func(b *testing.B) {
			ch := slack.New(slack.Config{Token: "t", HTTPClient: &http.Client{Transport: echo(answer)}}).Channel("#incidents")
			n := notice(incident())
			if runbook {
				n.Runbook = nodeRunbook()
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ch.Deliver(context.Background(), n); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDeliverToTheEmulator is whole deliveries over loopback sockets, the
// emulator's work included: an upper bound of what a load test can ask of it.
func BenchmarkDeliverToTheEmulator(b *testing.B) {
	s := slacktest.New(slacktest.WithAutoCreate(), slacktest.WithMaxMessages(1000), slacktest.WithRequestLog(0))
	server := httptest.NewServer(s)
	defer server.Close()
	ch := slack.New(slack.Config{Token: "t", APIURL: server.URL + "/api/"}).Channel("#incidents")
	n := notice(incident())
	b.SetParallelism(16)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := ch.Deliver(context.Background(), n); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "posts/s")
}

// BenchmarkSlackGo sends the same message, ready-made, as most users of slack-go
// would, to tell what its typed blocks and its reading of whole answers cost.
func BenchmarkSlackGo(b *testing.B) {
	answer, m := recorded(b)
	var blocks slackgo.Blocks
	require.NoError(b, blocks.UnmarshalJSON(m.Blocks))
	api := slackgo.New("t", slackgo.OptionHTTPClient(&http.Client{Transport: echo(answer)}))
	meta := slackgo.SlackMetadata{EventType: m.EventType, EventPayload: m.Payload}
	b.ReportAllocs()
	for b.Loop() {
		_, _, err := api.PostMessageContext(context.Background(), "#incidents", slackgo.MsgOptionText(m.Text, false),
			slackgo.MsgOptionBlocks(blocks.BlockSet...), slackgo.MsgOptionMetadata(meta))
		if err != nil {
			b.Fatal(err)
		}
	}
}
