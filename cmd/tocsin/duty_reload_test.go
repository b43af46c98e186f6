package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// dutySteps is a policy that calls one after the other.
func dutySteps(wait string, steps ...string) string {
	var b strings.Builder
	b.WriteString(`
route: {receiver: page, group_by: [alertname, instance]}
receivers: [{name: page, escalation_policy: platform}]
escalation_policies:
  - name: platform
    last_resort: [{user: cy}]
    steps:
`)
	for i, s := range steps {
		after := wait
		if i == 0 {
			after = "0s"
		}
		fmt.Fprintf(&b, "      - {after: %s, notify: [{%s}]}\n", after, s)
	}
	return b.String()
}

func TestDutyAReloadChangesNoEscalationUnderWay(t *testing.T) {
	t.Parallel()
	d := newDuty(t).with(dutyPeople, dutyPrimary, dutySteps("2s", "schedule: primary", "user: bo"))
	old := d.open("NodeDown", "critical")
	d.hears("U0ANA", "NodeDown a")
	d.reload(dutyPeople, dutyPrimary, dutySteps("2s", "schedule: primary", "user: cy"))
	next := d.open("DiskFull", "critical")
	d.hears("U0BO", "NodeDown a")
	d.hears("U0CY", "DiskFull a")
	assert.Contains(t, d.timeline(old), "step 2 of platform: bo\n", "as it was when the incident opened")
	assert.Contains(t, d.timeline(next), "step 2 of platform: cy\n")
	assert.NotContains(t, d.said("U0BO"), "DiskFull")
	assert.NotContains(t, d.said("U0CY"), "NodeDown")
}

func TestDutyWhoIsGoneLeadsToTheNextStep(t *testing.T) {
	t.Parallel()
	const secondary = `
schedules:
  - {name: primary, layers: [{name: weekly, users: [ana], rotation: {start: '2026-01-05'}}]}
  - {name: secondary, layers: [{name: weekly, users: [bo], rotation: {start: '2026-01-05'}}]}
`
	d := newDuty(t).with(dutyPeople, secondary, dutySteps("1500ms", "schedule: primary", "schedule: secondary", "user: bo"))
	id := d.open("NodeDown", "critical")
	d.hears("U0ANA", "NodeDown a")
	// Neither the schedule nor bo are there any more, nor any way to bo.
	nobody := strings.ReplaceAll(dutyPeople, "  - {name: bo, slack: U0BO, email: bo@example.com, pagerduty_user: PBO0001, contacts: [{by: slack}]}\n", "")
	require.NotEqual(t, dutyPeople, nobody)
	d.reload(nobody, dutyPrimary, dutySteps("1500ms", "schedule: primary"))
	d.eventually(func() bool { return strings.Contains(d.timeline(id), "schedule secondary is not defined any more") }, "it is said")
	d.hears("U0CY", "NodeDown a")
	line := d.timeline(id)
	assert.Contains(t, line, "step 2 of platform: schedule secondary is not defined any more; going on at once")
	assert.Contains(t, line, "last resort of platform: cy")
	inc := d.incident(id)
	assert.Less(t, inc.Escalation.Responder("cy").At.Sub(inc.OpenedAt), 15*time.Second, "at once, and not behind the last step's wait")
}

func TestDutyAReloadWithAnErrorChangesNothing(t *testing.T) {
	t.Parallel()
	d := newDuty(t).with(dutyPeople, dutyPrimary, dutyPolicy)
	runbooks := filepath.Join(d.dir, "runbooks")
	require.NoError(t, os.Mkdir(runbooks, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(d.dir, "broken.ics"), []byte("<html>please log in</html>"), 0o600))
	other := strings.NewReplacer("users: [ana]", "users: [bo]").Replace(dutyPrimary)
	for what, broken := range map[string]string{
		"an unknown user":   strings.ReplaceAll(dutyPrimary, "users: [ana]", "users: [zoe]"),
		"an empty rotation": strings.ReplaceAll(dutyPrimary, "users: [ana]", "users: []"),
		// What only turns out when the calendar is read.
		"a broken calendar": other + "  - {name: second, layers: [{name: imported, calendar_file: broken.ics}]}\n",
		"broken holidays":   strings.ReplaceAll(other, "{name: primary,", "{name: primary, holidays: {calendar_file: broken.ics},"),
	} {
		d.write(dutyPeople, broken, strings.ReplaceAll(dutyPolicy, "{name: page, ", "{name: page, slack_configs: [{channel: '#new'}], "), `
runbooks: {dirs: [runbooks]}
`)
		text := strings.ReplaceAll(string(read(t, d.file)), "canary-calendar-token-1", "canary-calendar-token-2")
		require.NoError(t, os.WriteFile(d.file, []byte(text), 0o600))
		code, body := d.post(t, "/-/reload", nil)
		assert.Equal(t, http.StatusInternalServerError, code, what)
		assert.Regexp(t, `tocsin\.yml:\d+`, body, what)
		assert.Equal(t, "ana", d.onCall(time.Time{}), what)
		assert.Equal(t, http.StatusOK, d.calendarStatus("canary-calendar-token-1"), "%s: the old token holds", what)
		id := d.open(strings.ReplaceAll(what, " ", ""), "critical")
		d.quiet()
		assert.Nil(t, d.incident(id).Delivery("slack:#new"), "%s: the old route holds", what)
		assert.InDelta(t, 0, d.metric("tocsin_config_last_reload_successful"), 0, what)
	}
	// What the feeds change later is the old configuration's too.
	d.app.feedsChanged()
	assert.Equal(t, "ana", d.onCall(time.Time{}))
}

func (d *duty) calendarStatus(token string) int {
	return d.ask(http.MethodGet, "/api/v1/schedules/primary/calendar.ics?token="+token, nil, nil)
}

// TestDutyReloadsInAStorm: 200 incidents escalate while the configuration
// changes again and again.
func TestDutyReloadsInAStorm(t *testing.T) {
	t.Parallel()
	const many = 200
	d := newDuty(t).with(dutyPeople, dutyPrimary, dutySteps("1s", "schedule: primary", "user: bo"))
	var senders sync.WaitGroup
	for w := range 4 {
		senders.Go(func() {
			for n := range many / 4 {
				d.fire(t, "NodeDown", fmt.Sprintf("n%03d", w*many/4+n), "critical")
			}
		})
	}
	seconds := []string{"user: bo", "user: cy"}
	for n := range 12 {
		d.reload(dutyPeople, dutyPrimary, dutySteps("1s", "schedule: primary", seconds[(n+1)%2]))
	}
	senders.Wait()
	d.eventually(func() bool {
		for _, inc := range d.incidents(t) {
			if e := inc.Escalation; e == nil || len(e.Runs) != 1 || e.Runs[0].Step != 2 {
				return false
			}
		}
		return true
	}, "every incident comes to its second step")
	list := d.incidents(t)
	require.Len(t, list, many)
	for _, inc := range list {
		line := d.timeline(inc.ID)
		require.Equal(t, 1, strings.Count(line, "step 1 of platform: ana"), line)
		require.Equal(t, 1, strings.Count(line, "step 2 of platform: "), line)
		require.Equal(t, 1, strings.Count(line, "calling ana by Slack\n"), line)
		require.Len(t, inc.Escalation.Responders, 2, line)
	}
}

// TestDutyFeedsAndReloadsTogether: what a feed says is put into force with the
// configuration that is in force, however close the reload.
func TestDutyFeedsAndReloadsTogether(t *testing.T) {
	t.Parallel()
	d := newDuty(t).with(dutyPeople, dutyPrimary, dutyPolicy)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				d.app.feedsChanged()
			}
		}
	}()
	for n := range 12 {
		user := []string{"bo", "ana"}[n%2]
		d.reload(dutyPeople, strings.ReplaceAll(dutyPrimary, "users: [ana]", "users: ["+user+"]"), dutyPolicy)
		require.Equal(t, user, d.onCall(time.Time{}))
	}
	close(stop)
	<-done
	require.Equal(t, "ana", d.onCall(time.Time{}))
}
