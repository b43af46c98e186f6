package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// What the people of the demo do in Slack: as there, they see the messages of the
// emulator and nothing else.

// slackID is the ID in Slack of one of the demo's people.
func slackID(name string) string {
	for id, n := range demoPeople {
		if n == name {
			return id
		}
	}
	return ""
}

// messageOf is the message of the named incident in a channel.
func (s *stage) messageOf(channel, name string) (slacktest.Message, error) {
	inc := s.find(name)
	if inc == nil {
		return slacktest.Message{}, fmt.Errorf("no incident for %s", name)
	}
	for _, m := range s.slack.Messages(channel) {
		if strings.HasSuffix(m.Text, inc.ID) {
			return m, nil
		}
	}
	return slacktest.Message{}, fmt.Errorf("no message about %s (%s) in %s", name, inc.ID, channel)
}

// room is the named incident's own channel.
func (s *stage) room(name string) (slacktest.Room, bool) {
	if inc := s.find(name); inc != nil {
		for _, r := range s.slack.Rooms("inc-" + inc.ID) {
			return r, true
		}
	}
	return slacktest.Room{}, false
}

// roomOf is seen when the named incident's own channel shows a state in its topic.
func roomOf(name, state string) func(*stage) bool {
	return func(s *stage) bool {
		r, ok := s.room(name)
		return ok && strings.Contains(r.Topic, state)
	}
}

func took(a slacktest.Answer, err error) error {
	if err == nil && a.Status != http.StatusOK {
		err = fmt.Errorf("what was done in Slack was answered with HTTP %d", a.Status)
	}
	return err
}

func clickAcknowledge(name, by string) func(context.Context, *stage) error {
	return func(_ context.Context, s *stage) error {
		m, err := s.messageOf("#incidents", name)
		if err != nil {
			return err
		}
		return took(s.slack.Click(m.Channel, m.TS, slackID(by), slack.ActionAcknowledge))
	}
}

// tick has somebody tick a step of the runbook, in the incident's own channel.
func tick(name, by string, step int) func(context.Context, *stage) error {
	return func(_ context.Context, s *stage) error {
		r, _ := s.room(name)
		m, err := s.messageOf(r.ID, name)
		if err != nil {
			return err
		}
		box, err := boxOf(m, step)
		if err != nil {
			return err
		}
		return took(s.slack.Click(m.Channel, m.TS, slackID(by), slack.ActionSteps, box))
	}
}

// boxOf is the value of the check box of a step.
func boxOf(m slacktest.Message, step int) (string, error) {
	var blocks []struct {
		Elements []struct {
			Options []struct {
				Value string                `json:"value"`
				Text  struct{ Text string } `json:"text"`
			} `json:"options"`
		} `json:"elements"`
	}
	if err := json.Unmarshal(m.Blocks, &blocks); err != nil {
		return "", err
	}
	for _, b := range blocks {
		for _, e := range b.Elements {
			for _, o := range e.Options {
				if strings.HasPrefix(o.Text.Text, fmt.Sprintf("%d. ", step)) {
					return o.Value, nil
				}
			}
		}
	}
	return "", fmt.Errorf("the message has no check box for step %d", step)
}

// typeCommand has somebody type /tocsin.
func typeCommand(by, words string) func(context.Context, *stage) error {
	return func(_ context.Context, s *stage) error {
		return took(s.slack.Command(slackID(by), "#incidents", words))
	}
}

// answered is seen when somebody alone is shown an answer.
func answered(by, text string) func(*stage) bool {
	return func(s *stage) bool {
		for _, e := range s.slack.Ephemerals(slackID(by)) {
			if strings.Contains(e.Text, text) {
				return true
			}
		}
		return false
	}
}

// pin has somebody write in the incident's own channel, and mark that.
func pin(name, by, text string) func(context.Context, *stage) error {
	return func(_ context.Context, s *stage) error {
		r, _ := s.room(name)
		return took(s.slack.React(r.ID, s.slack.Say(r.ID, slackID(by), text, ""), slackID(by), "pushpin"))
	}
}

// ticked is seen when that many steps of the named incident's runbook are done.
func ticked(name string, n int) func(*stage) bool {
	return func(s *stage) bool { return s.done(name) == n }
}

func (s *stage) done(name string) int {
	n := 0
	if inc := s.find(name); inc != nil && inc.Progress != nil {
		for i := range inc.Progress.Steps {
			if inc.Progress.Steps[i].Status == tocsin.StepDone {
				n++
			}
		}
	}
	return n
}

func (s *stage) notes(name string) int {
	inc := s.find(name)
	if inc == nil {
		return 0
	}
	events, err := s.app.store.Timeline(context.Background(), inc.ID, 0, 1000)
	if err != nil {
		return 0
	}
	n := 0
	for i := range events {
		if events[i].Kind == tocsin.EventNote {
			n++
		}
	}
	return n
}

// then does one thing, and another after it.
func then(a, b func(context.Context, *stage) error) func(context.Context, *stage) error {
	return func(ctx context.Context, s *stage) error {
		if err := a(ctx, s); err != nil {
			return err
		}
		return b(ctx, s)
	}
}
