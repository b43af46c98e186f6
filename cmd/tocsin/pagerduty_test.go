package main

import (
	"bytes"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
	"github.com/tocsin-oncall/tocsin/test/leak"
)

func TestPagerDutyCheck(t *testing.T) {
	t.Parallel()
	const good, bad = "canaryaaaaaaaaaaaaaaaaaaaaaaaaaa", "canarybbbbbbbbbbbbbbbbbbbbbbbbbb"
	for name, c := range map[string]struct {
		token, secrets, key string
		send                bool
		sub                 *pagerdutytest.Subscription
		want                []string
		fails               bool
	}{
		"all is well": {"canary-token", "[canary-s]", good, true, &pagerdutytest.Subscription{}, []string{
			"ok    routing key of receiver page, service 1; user ana", "ok    API token", "ok    webhook subscription PSUB001: active",
		}, false},
		"not sent":        {"canary-token", "[canary-s]", good, false, &pagerdutytest.Subscription{}, []string{"-     routing key of receiver page", "--send"}, false},
		"bad routing key": {"canary-token", "[canary-s]", bad, true, &pagerdutytest.Subscription{}, []string{"FAIL  routing key", "check the routing key"}, true},
		"bad token":       {"canary-wrong", "[canary-s]", good, false, nil, []string{"FAIL  API token: ", "check pagerduty.api_token"}, true},
		"no token":        {"", "[canary-s]", good, false, nil, []string{"-     API token: none is set: notes are not written"}, false},
		"no subscription": {"canary-token", "[canary-s]", good, false, nil, []string{"FAIL  webhook subscription: none of 0 leads to https://tocsin.example.com/webhook/pagerduty"}, true},
		"none wanted":     {"canary-token", "[]", good, false, nil, []string{"-     webhook subscription: none leads to"}, false},
		"no secret":       {"canary-token", "[]", good, false, &pagerdutytest.Subscription{}, []string{"answered with 503"}, true},
		"events missing":  {"canary-token", "[canary-s]", good, false, &pagerdutytest.Subscription{Events: []string{"incident.resolved"}}, []string{"it does not send incident.acknowledged, "}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := pagerdutytest.New(pagerdutytest.Config{Keys: []string{good}, APIToken: "canary-token"})
			if c.sub != nil {
				c.sub.URL = "https://tocsin.example.com" + pagerdutyPath
				s.Subscribe(*c.sub)
			}
			web := httptest.NewServer(s)
			defer web.Close()
			file := filepath.Join(t.TempDir(), "tocsin.yml")
			require.NoError(t, os.WriteFile(file, []byte(strings.NewReplacer("URL", web.URL, "TOKEN", c.token, "SECRETS", c.secrets, "KEY", c.key).Replace(`
server: {external_url: 'https://tocsin.example.com'}
pagerduty: {events_url: 'URL', api_url: 'URL', api_token: 'TOKEN', webhook_secrets: SECRETS}
users: [{name: ana, pagerduty_routing_key: KEY}]
route: {receiver: page}
receivers: [{name: page, pagerduty_configs: [{routing_key: KEY}]}]
`)), 0o600))
			var out bytes.Buffer
			err := (&pagerdutyCheckCmd{Config: file, Send: c.send}).Run(t.Context(), &env{out: &out, err: &out})
			assert.Equal(t, c.fails, err != nil, "%v\n%s", err, out.String())
			for _, w := range c.want {
				assert.Contains(t, out.String(), w)
			}
			leak.Said(t, out.String())
			for _, i := range s.Incidents("") {
				assert.Equal(t, pagerdutytest.Resolved, i.Status, "the test event is over")
			}
		})
	}
}
