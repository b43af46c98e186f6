package main

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
	"github.com/tocsin-oncall/tocsin/runbooks/remediation/sandbox"
)

// What happens to the demo's nodes, and what remedies do for them.

// crash has nodes end.
func crash(names ...string) func(context.Context, *stage) error {
	return func(_ context.Context, s *stage) error {
		for _, name := range names {
			s.chain.node(name).stop()
		}
		return nil
	}
}

// crowd has transactions wait at a node.
func crowd(name string, transactions int64) func(context.Context, *stage) error {
	return func(_ context.Context, s *stage) error {
		s.chain.node(name).waiting.Store(transactions)
		return nil
	}
}

// recovery starts all nodes that are down.
func recovery(_ context.Context, s *stage) error {
	for _, n := range s.chain {
		n.waiting.Store(0)
	}
	return s.chain.start()
}

// repeat has Alertmanager send again what it has sent.
func repeat(ctx context.Context, s *stage) error { return s.watcher.repeat(ctx) }

// holder says what runs the shipped script here; "" and why not.
func holder() (held, why string) {
	if sandbox.Probe().Kernel == "" {
		return "", "remedies run on Linux only"
	}
	for _, tool := range []string{"curl", "wget", "perl"} {
		for _, dir := range []string{"/usr/local/bin", "/usr/bin", "/bin"} {
			if info, err := os.Stat(filepath.Join(dir, tool)); err == nil && info.Mode()&0o111 != 0 {
				return tool, ""
			}
		}
	}
	return "", "the script needs curl, wget or perl, and none is here"
}

// runs are the runs of remedies for the named incident, by what they act on.
func (s *stage) runs(name string) map[string]tocsin.Remediation {
	out := map[string]tocsin.Remediation{}
	inc := s.find(name)
	if inc == nil {
		return out
	}
	list, err := s.app.remedies.Remediations(context.Background(), inc.ID)
	if err != nil {
		return out
	}
	for i := range list {
		out[list[i].Target] = list[i]
	}
	return out
}

// verified counts the runs for the named incident that have helped.
func (s *stage) verified(name string) int {
	n := 0
	for _, r := range s.runs(name) {
		if r.State == tocsin.RemediationVerified {
			n++
		}
	}
	return n
}

// remedied is seen when the run for a node is in a state.
func remedied(name, node string, state tocsin.RemediationState) func(*stage) bool {
	return func(s *stage) bool { return s.runs(name)[node+":9090"].State == state }
}

// asks is seen when Slack asks for an approval of the run for a node, before any
// other.
func asks(name, node string) func(*stage) bool {
	return func(s *stage) bool {
		m, err := s.messageOf("#incidents", name)
		run := s.runs(name)[node+":9090"].ID
		return err == nil && run != "" && strings.HasSuffix(buttonOf(m, slack.ActionApprove), ":"+run)
	}
}

// buttonOf is the value of a message's uppermost button of a kind; "": it has none.
func buttonOf(m slacktest.Message, action string) string {
	var blocks []struct {
		Elements []struct {
			Action string `json:"action_id"`
			Value  string `json:"value"`
		} `json:"elements"`
	}
	if json.Unmarshal(m.Blocks, &blocks) != nil {
		return ""
	}
	for _, b := range blocks {
		for _, e := range b.Elements {
			if e.Action == action {
				return e.Value
			}
		}
	}
	return ""
}

// answers is seen when a node answers.
func answers(node string) func(*stage) bool {
	return func(s *stage) bool {
		addr, _ := s.chain.node(node).where()
		resp, err := http.Get("http://" + addr + "/health")
		if err != nil {
			return false
		}
		_ = resp.Body.Close() // read to the end or not: it answers
		return resp.StatusCode == http.StatusOK
	}
}

// clickRemedy has somebody click one of the uppermost buttons about a remedy.
func clickRemedy(name, by, action string) func(context.Context, *stage) error {
	return func(_ context.Context, s *stage) error {
		m, err := s.messageOf("#incidents", name)
		if err != nil {
			return err
		}
		return took(s.slack.Click(m.Channel, m.TS, slackID(by), action))
	}
}

// wait is for something to be seen before what comes next is done.
func wait(what string, seen func(*stage) bool) func(context.Context, *stage) error {
	return func(ctx context.Context, s *stage) error { return s.until(ctx, what, seen) }
}

// plan shows what somebody alone was told.
func (s *stage) plan(by string) error {
	for _, e := range s.slack.Ephemerals(slackID(by)) {
		if !strings.Contains(e.Text, "would run") {
			continue
		}
		var blocks []struct {
			Text struct{ Text string } `json:"text"`
		}
		if err := json.Unmarshal(e.Blocks, &blocks); err != nil {
			return err
		}
		for _, b := range blocks {
			s.quote(html.UnescapeString(b.Text.Text))
		}
		return nil
	}
	return fmt.Errorf("%s was shown no plan", by)
}

// quote prints what something or somebody says.
func (s *stage) quote(text string) {
	for line := range strings.Lines(text) {
		fmt.Fprintf(s.out, "%s       | %s\n", s.clock(), strings.TrimRight(printable(line), " \n"))
	}
}

// output shows what the run for a node has written, and what held it.
func (s *stage) output(ctx context.Context, name, node string) error {
	run := s.runs(name)[node+":9090"]
	_, text, err := s.app.remedies.Remediation(ctx, run.ID)
	if err != nil {
		return err
	}
	s.quote(text)
	s.quote("held by " + run.Sandbox)
	return nil
}

// remedyScenes are those of the first two nodes: one is brought back by its remedy,
// the other has to wait for its turn. Where remedies cannot run, somebody starts it.
func remedyScenes() []scene {
	const first, second = "node-us-east-1", "node-us-east-2"
	back := both(answers(second), incident("NodeDown", tocsin.Triggered, 1))
	if _, why := holder(); why != "" {
		return []scene{{why + ": bo starts the second node by hand, and its alert resolves by itself", func(_ context.Context, s *stage) error {
			return s.chain.node(second).start()
		}, back}}
	}
	return []scene{
		{
			"the runbook's remedy waits for an approval: bo asks in Slack what exactly it would do",
			then(wait("Slack asks", asks("NodeDown", second)), clickRemedy("NodeDown", "bo", slack.ActionPlan)),
			func(s *stage) bool { return answered("bo", "would run")(s) },
		},
		{
			"bo approves it, and the shipped script runs in its sandbox; ana approves that of the other node too: refused, 10 % of seven nodes is one",
			then(
				func(_ context.Context, s *stage) error { return s.plan("bo") },
				then(clickRemedy("NodeDown", "bo", slack.ActionApprove),
					then(wait("Slack asks for the other", asks("NodeDown", first)), clickRemedy("NodeDown", "ana", slack.ActionApprove))),
			),
			both(remedied("NodeDown", second, tocsin.RemediationVerified), remedied("NodeDown", first, tocsin.RemediationRefused)),
		},
		{
			"the node answers again: its alert resolves by itself",
			func(ctx context.Context, s *stage) error { return s.output(ctx, "NodeDown", second) },
			back,
		},
	}
}

// left is what is left to whoever watches: a node that is down, with its remedy.
func (s *stage) left(ctx context.Context) error {
	if err := crash("node-ap-south-1")(ctx, s); err != nil {
		return err
	}
	if _, why := holder(); why != "" {
		return nil
	}
	return s.until(ctx, "the last node's remedy is proposed", func(s *stage) bool {
		all, err := s.app.remedies.Remediations(ctx, "") // the region's resolved incident has the same name
		return err == nil && slices.ContainsFunc(all, func(r tocsin.Remediation) bool {
			return r.Target == "node-ap-south-1:9090" && r.State == tocsin.RemediationProposed
		})
	})
}

// scrapeClient is what looks at nodes: each time over a connection of its own, so
// that a node that was stopped is not asked over an old one.
func scrapeClient() *http.Client {
	return &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
}
