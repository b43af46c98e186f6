package escalation_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation"
)

var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// paged is an incident whose two targets lag since start.
func paged() *tocsin.Incident {
	inc := &tocsin.Incident{ID: "k7f3q9", State: tocsin.Triggered, Severity: tocsin.Critical, Firing: 1, Alerts: 1, Revision: 1, StateRevision: 1}
	inc.AddTarget("slack:#incidents", true, start)
	inc.AddTarget("pagerduty:page/0", false, start)
	return inc
}

var alarm = escalation.Alarm{After: 5 * time.Minute, Targets: []escalation.Target{{Key: "slack:#last-resort", Detail: true}}}

func TestAlarmIsDue(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*tocsin.Incident)
		alarm  escalation.Alarm
		due    time.Time
	}{
		"lags":             {func(*tocsin.Incident) {}, alarm, start.Add(5 * time.Minute)},
		"failed: at once":  {func(i *tocsin.Incident) { i.Delivery("pagerduty:page/0").Failed = true }, alarm, start},
		"only failures":    {func(i *tocsin.Incident) { i.Delivery("pagerduty:page/0").Failed = true }, escalation.Alarm{}, start},
		"no bound, no lag": {func(*tocsin.Incident) {}, escalation.Alarm{}, time.Time{}},
		"suppressed":       {func(i *tocsin.Incident) { i.Suppressed = 1 }, alarm, time.Time{}},
		"resolved":         {func(i *tocsin.Incident) { i.State = tocsin.Resolved }, alarm, time.Time{}},
		"delivered":        {func(i *tocsin.Incident) { deliver(i, "slack:#incidents"); deliver(i, "pagerduty:page/0") }, alarm, time.Time{}},
		"a channel to come": {func(i *tocsin.Incident) {
			i.AddTarget(tocsin.IncidentChannel, true, start)
			deliver(i, "slack:#incidents")
			deliver(i, "pagerduty:page/0")
		}, alarm, time.Time{}},
		"alarmed about one": {func(i *tocsin.Incident) { i.Delivery("slack:#incidents").Alarmed = true }, alarm, start.Add(5 * time.Minute)},
	} {
		inc := paged()
		c.change(inc)
		due, ok := c.alarm.Due(inc)
		assert.Equal(t, c.due, due, name)
		assert.Equal(t, !c.due.IsZero(), ok, name)
	}
}

func deliver(i *tocsin.Incident, target string) {
	i.Delivery(target).Record(tocsin.Receipt{Ref: "x", Revision: i.Revision}, start)
}

func TestRaiseOnceAndNotEarly(t *testing.T) {
	t.Parallel()
	inc := paged()
	assert.Empty(t, alarm.Raise(inc, start.Add(5*time.Minute-time.Nanosecond)), "never early")
	assert.Nil(t, inc.Delivery("slack:#last-resort"))

	events := alarm.Raise(inc, start.Add(5*time.Minute))
	require.Len(t, events, 2)
	assert.Equal(t, tocsin.EventAlarm, events[0].Kind)
	assert.Contains(t, events[0].Text, "has not been told for 5m0s")
	require.NotNil(t, inc.Delivery("slack:#last-resort"))
	assert.Empty(t, alarm.Raise(inc, start.Add(6*time.Minute)), "once")

	deliver(inc, "pagerduty:page/0")
	assert.False(t, inc.Delivery("pagerduty:page/0").Alarmed, "told at last: the next silence alarms again")
}

func TestAlarmWithoutAReceiverSaysSo(t *testing.T) {
	t.Parallel()
	inc := paged()
	inc.Delivery("pagerduty:page/0").Failed, inc.Delivery("pagerduty:page/0").Error = true, "invalid key"
	events := escalation.Alarm{}.Raise(inc, start)
	require.Len(t, events, 1)
	assert.Contains(t, events[0].Text, "invalid key")
	assert.Contains(t, events[0].Text, "no alarm receiver is configured")
}

// The alarm's own target lags too when its provider is dead: that alarms once
// more and then ends, since there is nobody else.
func TestAlarmAboutTheAlarmEnds(t *testing.T) {
	t.Parallel()
	inc := paged()
	now := start
	total := 0
	for range 100 {
		now = now.Add(time.Minute)
		total += len(alarm.Raise(inc, now))
	}
	assert.Equal(t, 3, total, "each delivery once")
}
