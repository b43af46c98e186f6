package router_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
)

// model is what should be true after any sequence of messages, silences,
// restarts and steps of our clock. The sender's clock only goes forward.
type model struct {
	*harness
	rt       *rapid.T
	sender   time.Time
	firing   map[string]tocsin.Alert // by identity
	alerts   []tocsin.Alert
	silences []tocsin.Silence
}

func universe() []tocsin.Alert {
	var out []tocsin.Alert
	for _, region := range []string{"us", "eu"} {
		out = append(out, alert("RegionDown", region, ""))
		for _, instance := range []string{"a", "b"} {
			out = append(out, alert("NodeDown", region, instance), alert("Slow", region, instance, "severity", "warning"))
		}
	}
	return out
}

func (m *model) pick() tocsin.Alert {
	return m.alerts[rapid.IntRange(0, len(m.alerts)-1).Draw(m.rt, "alert")]
}

// tell sends one batch of up to four messages, each firing or resolved.
func (m *model) tell(*rapid.T) {
	var batch []tocsin.Alert
	for range rapid.IntRange(1, 4).Draw(m.rt, "messages") {
		a := m.pick()
		m.sender = m.sender.Add(time.Second)
		key := a.Labels.String()
		if rapid.Bool().Draw(m.rt, "firing") {
			a.Firing, a.StartsAt = true, m.sender
			m.firing[key] = a
		} else {
			a.StartsAt, a.EndsAt = m.sender, m.sender
			delete(m.firing, key)
		}
		batch = append(batch, a)
	}
	for range rapid.IntRange(1, 2).Draw(m.rt, "copies") { // a pair sends twice
		m.send(batch...)
	}
}

// pass moves both clocks on.
func (m *model) pass(*rapid.T) {
	d := time.Duration(rapid.IntRange(1, 3600).Draw(m.rt, "seconds")) * time.Second
	m.sender = m.sender.Add(d)
	m.clock.Advance(d)
}

// step moves our clock alone, either way.
func (m *model) step(*rapid.T) {
	m.clock.Advance(time.Duration(rapid.IntRange(-3600, 3600).Draw(m.rt, "step")) * time.Second)
}

func (m *model) silence(*rapid.T) {
	s, err := m.router.PutSilence(context.Background(), tocsin.Silence{
		Matchers: []string{fmt.Sprintf("region=%q", rapid.SampledFrom([]string{"us", "eu"}).Draw(m.rt, "region"))},
		EndsAt:   m.clock.Now().Add(time.Duration(rapid.IntRange(60, 7200).Draw(m.rt, "for")) * time.Second), CreatedBy: "ana", Comment: "x",
	})
	require.NoError(m.rt, err)
	m.silences = append(m.silences, s)
}

func (m *model) expire(t *rapid.T) {
	if len(m.silences) == 0 {
		t.Skip("no silence")
	}
	i := rapid.IntRange(0, len(m.silences)-1).Draw(m.rt, "silence")
	require.NoError(m.rt, m.router.ExpireSilence(context.Background(), m.silences[i].ID, "bo"))
	if now := m.clock.Now(); now.Before(m.silences[i].EndsAt) {
		m.silences[i].EndsAt = now
	}
}

func (m *model) restart(*rapid.T) { m.reopen(basicWithoutFlapping()) }

func (m *model) deliver(*rapid.T) { deliverAll(m.harness) }

// suppressed says whether the model holds an alert back.
func (m *model) suppressed(a tocsin.Alert) bool {
	now := m.clock.Now()
	for _, s := range m.silences {
		if s.Active(now) && s.Matchers[0] == fmt.Sprintf("region=%q", a.Labels["region"]) {
			return true
		}
	}
	if a.Name() != "NodeDown" {
		return false
	}
	for _, b := range m.firing {
		if b.Name() == "RegionDown" && b.Labels["region"] == a.Labels["region"] {
			return true
		}
	}
	return false
}

// check compares every live incident with the model.
func (m *model) check(*rapid.T) {
	m.sweep()
	seen := map[string]bool{}
	groups := map[tocsin.Key]bool{}
	for _, inc := range m.live() {
		require.False(m.rt, groups[inc.Group], "two live incidents of one group")
		groups[inc.Group] = true
		m.checkIncident(inc, seen)
	}
	for key := range m.firing {
		require.True(m.rt, seen[key], "%s fires and no incident has it", key)
	}
}

func (m *model) checkIncident(inc *tocsin.Incident, seen map[string]bool) {
	records, err := m.store.AlertsOf(context.Background(), inc.ID, 100)
	require.NoError(m.rt, err)
	var firing, suppressed uint32
	for _, r := range records {
		key := r.Labels.String()
		a, fires := m.firing[key]
		if !r.State.Firing {
			continue
		}
		require.True(m.rt, fires, "%s is said to fire", key)
		require.False(m.rt, seen[key], "%s is in two incidents", key)
		seen[key] = true
		firing++
		if m.suppressed(a) {
			suppressed++
		}
		require.Equal(m.rt, m.suppressed(a), r.State.Suppression != nil, "suppression of %s", key)
	}
	require.Equal(m.rt, firing, inc.Firing, "firing of %s", inc.Title)
	require.Equal(m.rt, suppressed, inc.Suppressed, "suppressed of %s", inc.Title)
	pages := firing > suppressed
	if pages {
		require.Equal(m.rt, tocsin.Triggered, inc.State)
		require.NotEmpty(m.rt, inc.Deliveries, "somebody is to be told of %s", inc.Title)
	}
	if firing == 0 {
		require.Equal(m.rt, tocsin.Resolved, inc.State)
	}
	quietlyLagging := slices.ContainsFunc(inc.Deliveries, func(d tocsin.Delivery) bool { return inc.Quiet() && d.Ref == "" && d.Lags(inc) })
	require.False(m.rt, quietlyLagging, "a suppressed incident would page")
}

// TestModel plays random messages, silences, restarts and clock steps against
// the model. A failure prints the seed to play it again with.
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{
			harness: newHarness(t, basicWithoutFlapping()), rt: rt, sender: start,
			firing: map[string]tocsin.Alert{}, alerts: universe(),
		}
		rt.Repeat(map[string]func(*rapid.T){
			"tell": m.tell, "tell more": m.tell, "pass": m.pass, "step": m.step, "silence": m.silence,
			"expire": m.expire, "restart": m.restart, "deliver": m.deliver, "": m.check,
		})
		require.NoError(rt, m.store.Close())
	})
}
