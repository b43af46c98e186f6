package slacktest_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	slackgo "github.com/slack-go/slack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// TestThePageHasAHomeTab: each person sees their own, and clicks in it.
func TestThePageHasAHomeTab(t *testing.T) {
	t.Parallel()
	const ana, bo = "U0ANA0001", "U0BO00001"
	var told []string
	s := slacktest.New()
	s.AddUser(slacktest.User{ID: ana, Name: "ana", RealName: "Ana"})
	s.AddUser(slacktest.User{ID: bo, Name: "bo", RealName: "Bo"})
	s.SetCallbacks(slacktest.Callbacks{
		Secret: signing, Interactions: "http://app.test/interactions", Events: "http://app.test/events",
		Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			raw, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			told = append(told, string(raw))
		}),
	})
	post := func(path, body string) string {
		resp, err := s.Client().Post("http://slack.test"+path, "application/json", strings.NewReader(body))
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		raw, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return string(raw)
	}
	seen := func(who string) string { return get(t, s.Client(), "http://slack.test/fragment?channel=home&me="+who) }

	assert.Contains(t, seen(ana), "This is a work in progress")
	assert.Contains(t, post("/home", `{"user":"`+ana+`"}`), `"ok":true`)
	require.Len(t, told, 1)
	assert.Contains(t, told[0], "app_home_opened")

	api := slackgo.New("xoxb-1", slackgo.OptionHTTPClient(s.Client()), slackgo.OptionAPIURL(slacktest.URL))
	label := slackgo.NewTextBlockObject("plain_text", "Acknowledge", false, false)
	_, err := api.PublishViewContext(t.Context(), slackgo.PublishViewContextRequest{UserID: ana, View: slackgo.HomeTabViewRequest{
		Type: "home", Blocks: slackgo.Blocks{BlockSet: []slackgo.Block{
			slackgo.NewActionBlock("first", slackgo.NewButtonBlockElement("ack", "1", label)),
			slackgo.NewActionBlock("second", slackgo.NewButtonBlockElement("ack", "2", label)),
		}},
	}})
	require.NoError(t, err)
	assert.Contains(t, seen(ana), `data-block="second"><button class="button " data-action="ack">Acknowledge`)
	assert.NotContains(t, seen(bo), "Acknowledge")
	assert.Contains(t, post("/click", `{"channel":"home","ts":"0","user":"`+ana+`","block":"second","action":"ack"}`), `"ok":true`)
	require.Len(t, told, 2)
	assert.Contains(t, told[1], "%22value%22%3A%222%22", "the button of the block that was clicked")
	assert.Contains(t, post("/click", `{"channel":"home","ts":"0","user":"`+bo+`","block":"second","action":"ack"}`), `"ok":false`)
}
