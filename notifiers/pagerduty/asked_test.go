package pagerduty_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/notifiertest"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
)

// askedFor is a notice about what ana has acknowledged, to bo, who was asked for
// by name.
func askedFor() tocsin.Notice {
	n := notifiertest.Sample()
	i := n.Incident
	i.State, i.AcknowledgedBy, i.Revision, i.StateRevision = acknowledged, "ana", 9, 7
	i.Escalation = &tocsin.Escalation{Responders: []tocsin.Responder{{User: "ana", Acknowledged: n.Now}, {User: "bo", At: n.Now, Calls: 1, Asked: true}}}
	n.Delivery.User, n.Call = "bo", true
	return n
}

// TestAskedForByName: who is asked for about an acknowledged incident is called
// until the person has answered.
func TestAskedForByName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		told   tocsin.State
		unsure bool
		change func(*tocsin.Notice)
		want   []string
		status string
	}{
		{"for the first time", none, false, nil, []string{"trigger"}, pagerdutytest.Triggered},
		{"sent perhaps", none, true, nil, []string{"trigger"}, pagerdutytest.Triggered},
		{"called before", triggered, false, nil, []string{"trigger"}, pagerdutytest.Triggered},
		{"acknowledged there perhaps", triggered, true, nil, []string{"resolve", "trigger"}, pagerdutytest.Triggered},
		{"acknowledged there", acknowledged, false, nil, []string{"resolve", "trigger"}, pagerdutytest.Triggered},
		{"was resolved there", resolved, false, nil, []string{"trigger"}, pagerdutytest.Triggered},
		{"more severe now", triggered, false, func(n *tocsin.Notice) { n.Delivery.Severity = tocsin.Info }, []string{"trigger"}, pagerdutytest.Triggered},
		{"called, and something else has changed", triggered, false, func(n *tocsin.Notice) { n.Call = false }, nil, pagerdutytest.Triggered},
		{"answered there", acknowledged, false, func(n *tocsin.Notice) { n.Call = false }, nil, pagerdutytest.Acknowledged},
		{"answered here", triggered, false, func(n *tocsin.Notice) { n.Call = false; n.Incident.AcknowledgedBy = "bo" }, []string{"acknowledge"}, pagerdutytest.Acknowledged},
		{"answered before", triggered, false, func(n *tocsin.Notice) {
			n.Call = false
			n.Incident.Escalation.Responders[1].Acknowledged = n.Now
		}, []string{"acknowledge"}, pagerdutytest.Acknowledged},
		{"not asked for", triggered, false, func(n *tocsin.Notice) { n.Incident.Escalation.Responders[1].Asked = false }, []string{"acknowledge"}, pagerdutytest.Acknowledged},
		{"a service", triggered, false, func(n *tocsin.Notice) { n.Delivery.User = "" }, []string{"acknowledge"}, pagerdutytest.Acknowledged},
		{"resolved here", triggered, false, func(n *tocsin.Notice) { n.Incident.State = resolved }, []string{"resolve"}, pagerdutytest.Resolved},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := pagerdutytest.New(pagerdutytest.Config{})
			p := pagerduty.New(pagerduty.Config{RoutingKey: routingKey, Transport: s.Transport()})
			n := askedFor()
			before := prepare(t, p, &n, c.told)
			n.MayBePosted = c.unsure
			if c.change != nil {
				c.change(&n)
			}
			r := settle(t, p, n)
			var want []string
			want = append(append(want, before...), c.want...)
			assert.Equal(t, want, actions(s))
			all := s.Incidents(routingKey)
			require.NotEmpty(t, all)
			assert.Equal(t, c.status, all[len(all)-1].Status)
			assert.Equal(t, n.Incident.Revision, r.Revision, "nothing is left to tell")
		})
	}
}

// prepare has PagerDuty told up to a state, and returns how.
func prepare(t *testing.T, p *pagerduty.Notifier, n *tocsin.Notice, told tocsin.State) []string {
	t.Helper()
	was, call := *n.Incident, n.Call
	defer func() { n.Incident, n.Call = &was, call }()
	steps := map[tocsin.State][]tocsin.State{none: nil, triggered: {triggered}, acknowledged: {triggered, acknowledged}, resolved: {triggered, resolved}}
	var done []string
	for _, state := range steps[told] {
		i := was
		i.State, i.Escalation, n.Call = state, nil, false
		n.Incident = &i
		apply(&n.Delivery, settle(t, p, *n))
		n.Delivery.Revision = 2
		done = append(done, map[tocsin.State]string{triggered: "trigger", acknowledged: "acknowledge", resolved: "resolve"}[state])
	}
	return done
}

// The whole way, with the records as the dispatcher keeps them.
func TestAskedForByNameUntilTheAnswer(t *testing.T) {
	t.Parallel()
	s := pagerdutytest.New(pagerdutytest.Config{})
	p := pagerduty.New(pagerduty.Config{RoutingKey: routingKey, Transport: s.Transport()})
	n := askedFor()
	i, now := n.Incident, n.Now
	i.Deliveries = nil
	i.Call("pagerduty:@bo", "bo", "", false, now)
	d := i.Delivery("pagerduty:@bo")
	bring := func() (calls int) {
		for d.Lags(i) && calls < 5 {
			n.Delivery, n.Call = *d, d.Calls > d.Called
			r, err := p.Deliver(t.Context(), n)
			require.NoError(t, err)
			if n.Call && !r.More {
				r.Called = d.Calls
			}
			d.Record(r, now)
			calls++
		}
		return calls
	}
	assert.Equal(t, 1, bring())
	i.Grade(tocsin.Info, "ana", now.Add(time.Minute))
	assert.Equal(t, 1, bring(), "said nothing, and at rest")
	assert.Equal(t, []string{"trigger"}, actions(s), "it rings on")
	i.Call("pagerduty:@bo", "bo", "", false, now)
	bring()
	i.Acknowledge("bo", now.Add(2*time.Minute))
	bring()
	assert.Equal(t, []string{"trigger", "trigger", "acknowledge"}, actions(s))
	i.Acknowledge("ana", now.Add(3*time.Minute))
	i.Escalation.Responders[1].Acknowledged = now
	bring()
	i.Escalation.Responders[1].Acknowledged = time.Time{}
	i.Call("pagerduty:@bo", "bo", "", false, now)
	bring()
	assert.Equal(t, []string{"trigger", "trigger", "acknowledge", "resolve", "trigger"}, actions(s), "asked again")
	i.Resolve("ana", "done", now.Add(4*time.Minute))
	bring()
	assert.Equal(t, pagerdutytest.Resolved, s.Incidents(routingKey)[1].Status)
}
