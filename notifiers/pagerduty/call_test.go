package pagerduty_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/notifiertest"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
)

// TestCalls: what is sent to call again, and of what was stopped.
func TestCalls(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		told    tocsin.State
		is      tocsin.State
		call    bool
		stopped bool
		unsure  bool
		want    []string
		text    string
	}{
		{"the first", none, triggered, true, false, false, []string{"trigger"}, "triggered in PagerDuty"},
		{"again", triggered, triggered, true, false, false, []string{"trigger"}, "goes on calling"},
		{"the acknowledgement ran out", acknowledged, triggered, true, false, false, []string{"resolve", "trigger"}, "triggered again"},
		{"its end of unknown outcome", acknowledged, triggered, true, false, true, []string{"resolve", "trigger"}, "triggered again"},
		{"the acknowledgement ran out, nobody is called", acknowledged, triggered, false, false, false, []string{"trigger"}, "notifies nobody"},
		{"fires again", resolved, triggered, true, false, false, []string{"trigger"}, "triggered again"},
		{"fires again, and it is somebody else's turn", resolved, triggered, false, false, false, nil, ""},
		{"fires again, answered before the trigger", resolved, acknowledged, false, false, false, nil, ""},
		{"fires again, answered, triggered perhaps", resolved, acknowledged, false, false, true, []string{"acknowledge"}, "in case"},
		{"a reminder", acknowledged, acknowledged, true, false, false, nil, "not called by PagerDuty"},
		{"stopped", none, acknowledged, false, true, false, nil, "somebody has answered"},
		{"stopped, triggered perhaps", none, acknowledged, false, true, true, []string{"acknowledge"}, "in case"},
		{"stopped and resolved", none, resolved, false, true, false, nil, "not sent"},
		{"stopped and resolved, triggered perhaps", none, resolved, false, true, true, []string{"resolve"}, "resolved"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := pagerdutytest.New(pagerdutytest.Config{})
			p := pagerduty.New(pagerduty.Config{RoutingKey: routingKey, Transport: s.Transport()})
			n := notifiertest.Sample()
			n.Incident.State, n.Incident.Revision, n.Incident.StateRevision = c.is, 9, 7
			n.Call, n.Delivery.Stopped, n.MayBePosted = c.call, c.stopped, c.unsure
			n.Delivery.User = "ana"
			if n.Delivery.State, n.Delivery.Severity = c.told, n.Incident.Severity; c.told != none {
				n.Delivery.Ref, n.Delivery.Revision = "tocsin-k7f3q9", 2
			}
			r := settle(t, p, n)
			assert.Equal(t, c.want, actions(s))
			assert.Contains(t, r.Text, c.text)
			assert.Equal(t, uint64(9), r.Revision)
		})
	}
}

func TestNoticesAreNotTold(t *testing.T) {
	t.Parallel()
	s := pagerdutytest.New(pagerdutytest.Config{})
	n := notifiertest.Sample()
	n.Incident.Kind, n.Call = tocsin.KindNotice, true
	r, err := pagerduty.New(pagerduty.Config{RoutingKey: routingKey, Transport: s.Transport()}).Deliver(t.Context(), n)
	require.NoError(t, err)
	assert.Equal(t, "not told: PagerDuty has no notices", r.Text)
	assert.Empty(t, s.Events())
}

func TestTheTextOfAManualIncidentIsTold(t *testing.T) {
	t.Parallel()
	s := pagerdutytest.New(pagerdutytest.Config{})
	n := notifiertest.Sample()
	n.Incident.Kind, n.Incident.Title, n.Incident.Text = tocsin.KindManual, "Help", "first\nsecond \u202E\"line\""
	n.Alerts, n.Incident.Alerts, n.Incident.Firing = nil, 0, 0
	_, err := pagerduty.New(pagerduty.Config{RoutingKey: routingKey, Transport: s.Transport()}).Deliver(t.Context(), n)
	require.NoError(t, err)
	all := s.Incidents("")
	require.Len(t, all, 1)
	assert.Equal(t, "Help", all[0].Title)
	assert.Contains(t, string(all[0].Details), `"text":"first\nsecond \"line\""`)
	assert.Contains(t, string(all[0].Details), `"incident":"k7f3q9"`)
}
