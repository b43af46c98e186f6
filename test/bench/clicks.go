package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// What people click is signed with this.
const signingSecret = "bench-signing-secret"

const clicksConfig = `
server: {listen: "%s"}
storage: {path: data, min_free: 0, ballast: 0}
slack: {bot_token: xoxb-bench, signing_secret: ` + signingSecret + `, api_url: "%s/api/", rate_limit: 0, digest_after: 0}
users: [{name: ana, slack: U0ANA}, {name: boss, slack: U0BOSS}]
escalation_policies:
  - {name: night, steps: [{after: 30m, notify: [{user: ana}]}], repeat_after: 24h, last_resort: [{user: boss}]}
route: {receiver: page, group_by: [alertname, instance]}
receivers: [{name: page, escalation_policy: night, slack_configs: [{channel: "#bench"}]}]
`

// clicks has 1,000 incidents acknowledged in Slack, 100 a second: from the click
// until it is committed and answered, and the message is updated behind it. Beside
// it, on the same connections, what a request costs that commits nothing.
func clicks(ctx context.Context, o options) error {
	const n = 1000
	return with(func(s *sink, dir string) error {
		s.slack.AddUser(slacktest.User{ID: "U0ANA", Name: "ana"})
		s.slack.AddUser(slacktest.User{ID: "U0BOSS", Name: "boss"})
		p, err := startWith(ctx, o, dir, func(addr string) string { return fmt.Sprintf(clicksConfig, addr, s.URL) })
		if err != nil {
			return err
		}
		defer func() { _ = p.stop() }()
		var bodies [][]byte
		for i := range n {
			bodies = append(bodies, webhookBody(makeAlert(i, fmt.Sprintf("node-%d:9090", i))))
		}
		if _, err := postAll(ctx, p.url, o.connections, bodies); err != nil {
			return err
		}
		if _, err := s.wait(ctx, n); err != nil {
			return err
		}
		bodies = bodies[:0]
		for _, m := range s.slack.Messages("#bench") {
			payload, err := s.slack.ClickPayload("#bench", m.TS, "U0ANA", slack.ActionAcknowledge)
			if err != nil {
				return err
			}
			bodies = append(bodies, []byte(url.Values{"payload": {string(payload)}}.Encode()))
		}
		if err := click(ctx, "clicks", bodies, func(body []byte) (*http.Request, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.base+"/slack/interactions", bytes.NewReader(body))
			if err == nil {
				req.Header = slacktest.Sign(signingSecret, time.Now(), body)
				req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			return req, err
		}); err != nil {
			return err
		}
		done, err := p.figure(`tocsin_slack_callbacks_total{kind="interaction",outcome="done"}`)
		if err != nil || int(done) != len(bodies) {
			return errors.Join(err, fmt.Errorf("%v of %d clicks acted", done, len(bodies)))
		}
		return click(ctx, "healthy", bodies, func([]byte) (*http.Request, error) {
			return http.NewRequestWithContext(ctx, http.MethodGet, p.base+"/-/healthy", nil)
		})
	})
}

// click sends a request for each body, 100 a second, and prints how long the
// answers took.
func click(ctx context.Context, name string, bodies [][]byte, request func(body []byte) (*http.Request, error)) error {
	var mu sync.Mutex
	var took []time.Duration
	var failed []string
	var all sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for _, body := range bodies {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		all.Go(func() {
			req, err := request(body)
			began, status := time.Now(), "not sent"
			if err == nil {
				var resp *http.Response
				if resp, err = client.Do(req); err == nil {
					_ = resp.Body.Close()
					status = resp.Status
				}
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, time.Since(began))
			if err != nil || !strings.HasPrefix(status, "200") {
				failed = append(failed, fmt.Sprint(status, " ", err))
			}
		})
	}
	all.Wait()
	if len(failed) > 0 {
		return fmt.Errorf("%d of %d failed: %s", len(failed), len(bodies), failed[0])
	}
	slices.Sort(took)
	ms := func(q float64) float64 { return float64(took[int(q*float64(len(took)-1))]) / float64(time.Millisecond) }
	fmt.Printf("%-14s answered at 100/s: p50 %.2f ms, p99 %.2f ms, max %.2f ms   (clicks: p99 at most 50)\n", name, ms(0.5), ms(0.99), ms(1))
	return nil
}
