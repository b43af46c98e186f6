package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"
)

// TestOverridesThatMiss: who takes over from somebody who is not on call, or
// leaves a gap behind, is told so at once.
func TestOverridesThatMiss(t *testing.T) {
	t.Parallel()
	const (
		span   = `"from": "2099-01-05T08:00:00Z", "to": "2099-01-05T16:00:00Z"`
		made   = `{"id": "m2x8p4", "schedule": "primary", "state": "active", ` + span + `, `
		shifts = `{"shifts": [{"schedule": "primary", ` + span + `, `
	)
	for name, c := range map[string]struct {
		args, made, shifts, want string
	}{
		"takes over": {
			"override add --schedule primary --user bo --replaces ana", made + `"kind": "replace", "user": "bo", "replaces": "ana"}`,
			shifts + `"user": "bo", "source": "override m2x8p4"}]}`, "",
		},
		"takes over from somebody else": {
			"override add --schedule primary --user bo --replaces cy", made + `"kind": "replace", "user": "bo", "replaces": "cy"}`,
			shifts + `"user": "ana", "source": "layer weekly"}]}`, "note: it changes nothing: cy is not on call on primary in that time\n",
		},
		"from a shadow": {
			"override add --schedule primary --user bo --replaces cy", made + `"kind": "replace", "user": "bo", "replaces": "cy"}`,
			shifts + `"user": "cy", "shadow": true, "source": "layer learning"}]}`, "note: it changes nothing: cy is not on call on primary in that time\n",
		},
		"asks for what is not there": {
			"swap request --schedule primary --user bo --replaces cy",
			strings.Replace(made, "active", "requested", 1) + `"kind": "swap", "user": "bo", "replaces": "cy"}`,
			shifts + `"user": "ana"}]}`, "to accept: tocsin swap accept m2x8p4 --by bo\nnote: it changes nothing: cy is not on call on primary in that time\n",
		},
		"asks anybody": {
			"swap request --schedule primary --replaces ana",
			strings.Replace(made, "active", "requested", 1) + `"kind": "swap", "replaces": "ana"}`,
			shifts + `"user": "ana"}]}`, "to accept: tocsin swap accept m2x8p4 --by NAME\n",
		},
		"leaves a gap": {
			"timeoff add --user ana", made + `"kind": "time_off", "user": "ana"}`, shifts + `"user": "", "source": "time off m2x8p4"}]}`,
			"note: NOBODY is on call on primary from Mon 2099-01-05 09:00 CET to Mon 2099-01-05 17:00 CET; fill it with tocsin override add\n",
		},
		"leaves another's gap": {
			"timeoff add --user ana", made + `"kind": "time_off", "user": "ana"}`, shifts + `"user": "", "source": "time off k7f3q9"}]}`, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newCanned(t, map[string]string{"/api/v1/overrides": c.made, "/api/v1/shifts": c.shifts})
			out := s.run(t, 0, append(strings.Fields(c.args), "--from", "2099-01-05T09:00", "--for", "8h", "--time-zone", "Europe/Madrid")...)
			_, rest, _ := strings.Cut(out, "\n")
			assert.Equal(t, c.want, rest)
			assert.Contains(t, s.requests()[1].query, "from=2099-01-05T08%3A00%3A00Z")
			assert.NotContains(t, s.run(t, 0, append(strings.Fields(c.args), "--for", "8h", "-o", "json")...), "note:")
		})
	}
}

// TestWhoIsAwayIsPutOnCall: the later override wins over time off, which nobody
// means to find out at night.
func TestWhoIsAwayIsPutOnCall(t *testing.T) {
	t.Parallel()
	const span = `"from": "2099-01-05T08:00:00Z", "to": "2099-01-05T16:00:00Z"`
	off := func(id, user, more string) string {
		return `{"id": "` + id + `", "kind": "time_off", "user": "` + user + `", "state": "active", "from": "2099-01-05T00:00:00Z", "to": "2099-01-06T00:00:00Z"` + more + `}`
	}
	s := newCanned(t, map[string]string{"/api/v1/overrides": `{"id": "m2x8p4", "kind": "replace", "schedule": "primary", "user": "bo", "state": "active", ` + span + `,
		"overrides": [` + strings.Join([]string{
		off("k7f3q9", "bo", ""), off("aaaaaa", "ana", ""), off("bbbbbb", "bo", `, "schedule": "secondary"`),
		strings.Replace(off("cccccc", "bo", ""), "active", "cancelled", 1), strings.ReplaceAll(off("dddddd", "bo", ""), "2099", "2098"),
	}, ",") + `]}`})
	_, notes, _ := strings.Cut(s.run(t, 0, "override", "add", "--schedule", "primary", "--user", "bo", "--for", "8h", "--time-zone", "UTC"), "\n")
	assert.Equal(t, "note: bo has time off from Mon 2099-01-05 00:00 UTC to Tue 2099-01-06 00:00 UTC (k7f3q9), and is called all the same\n", notes)
}

func TestTheGapsNamedAreBounded(t *testing.T) {
	t.Parallel()
	gap := `{"schedule": "primary", "from": "2099-01-05T08:00:00Z", "to": "2099-01-05T16:00:00Z", "user": "", "source": "time off m2x8p4"}`
	s := newCanned(t, map[string]string{
		"/api/v1/overrides": `{"id": "m2x8p4", "kind": "time_off", "user": "ana", "state": "active"}`,
		"/api/v1/shifts":    `{"shifts": [` + strings.Repeat(gap+",", 99) + gap + `]}`,
	})
	out := s.run(t, 0, "timeoff", "add", "--user", "ana", "--for", "52w")
	assert.Equal(t, 5, strings.Count(out, "NOBODY"))
	assert.Contains(t, out, "note: and 95 gaps more\n")
}

// TestWhatAnActionHasDone: an answer to a step that all must answer is no
// acknowledgement yet, and an escalation has called somebody.
func TestWhatAnActionHasDone(t *testing.T) {
	t.Parallel()
	const head = `{"incident": {"id": "k7f3q9", "state": "triggered", "severity": "critical", "escalation": {"responders": [`
	for name, c := range map[string]struct{ responders, want string }{
		"one of two has answered": {
			`{"user": "ana", "must": true, "at": "2026-01-05T08:00:00Z", "acknowledged": "2026-01-05T08:01:00Z"}, {"user": "bo", "must": true, "at": "2026-01-05T08:00:00Z"}`,
			"k7f3q9 is triggered, critical, until bo answers too (or --force)\n",
		},
		"both were called": {
			`{"user": "ana", "must": true, "at": "2026-01-05T08:00:00Z"}, {"user": "bo", "at": "2026-01-05T08:00:00Z"}`,
			"k7f3q9 is triggered, critical, called: ana, bo\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newCanned(t, map[string]string{"/api/v1/incidents/k7f3q9/acknowledge": head + c.responders + `]}}}`})
			assert.Equal(t, c.want, s.run(t, 0, "ack", "k7f3q9"))
		})
	}
}

// TestFairnessIsAmongThoseOnCall: the lead whom a last resort has paged is on no
// rota, and makes nobody's share unfair.
func TestFairnessIsAmongThoseOnCall(t *testing.T) {
	t.Parallel()
	s := newCanned(t, map[string]string{"/api/v1/oncall/fairness": `{"from": "2026-01-05T00:00:00Z", "to": "2026-03-30T00:00:00Z", "shares": [
		{"user": "ana", "hours": 90, "shifts": 2, "pages": 3}, {"user": "bo", "hours": 70, "shifts": 1}, {"user": "lea", "pages": 9}]}`})
	out := s.run(t, 0, "oncall", "fairness", "--time-zone", "UTC")
	assert.Contains(t, out, "lea ")
	assert.Contains(t, out, "The hours spread over 20 h (25 %), from 70 to 90; the mean is 80.")
	s.answers["/api/v1/oncall/fairness"] = `{"shares": [{"user": "lea", "pages": 9}]}`
	out = s.run(t, 0, "oncall", "fairness")
	assert.Contains(t, out, "lea ")
	assert.NotContains(t, out, "mean")
}

// TestSpansAreToldToTheSecond: an override that begins now begins within a
// second.
func TestSpansAreToldToTheSecond(t *testing.T) {
	t.Parallel()
	s := newCanned(t, map[string]string{"/api/v1/oncall/coverage": `{"uncovered": [
		{"policy": "p", "severity": "error", "from": "2026-11-23T10:02:55.579Z", "to": "2026-11-24T10:02:55.318Z"},
		{"policy": "p", "severity": "error", "from": "2026-11-25T10:00:00Z", "to": "2026-11-25T10:00:00.25Z"}]}`})
	out := s.run(t, 1, "oncall", "verify", "--time-zone", "UTC")
	assert.Contains(t, out, "Tue 2026-11-24 10:02 UTC (1d)\n")
	assert.Contains(t, out, "Wed 2026-11-25 10:00 UTC (250ms)\n")
}

// TestPictureNamesTheZoneOfThisMachine: "in Local" says nothing.
func TestPictureNamesTheZoneOfThisMachine(t *testing.T) {
	t.Parallel()
	s := newCanned(t, map[string]string{"/api/v1/shifts": `{"shifts": ` + shiftsJSON + `}`})
	assert.NotContains(t, s.run(t, 0, "oncall", "--from", "2026-01-05", "--for", "1w"), "Local")
}

// TestOnCallDocumentMetrics: an alert on a metric that nobody exposes never
// fires.
func TestOnCallDocumentMetrics(t *testing.T) {
	t.Parallel()
	r := startApp(t)
	r.stop()
	text, err := yaml.Marshal(with(asMap(t, string(read(t, r.file))), asMap(t, `
users: [{name: ana, slack: U00000ANA}]
escalation_policies: [{name: p, steps: [{notify: [{user: ana}]}], last_resort: [{user: ana}]}]
`)))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(r.file, text, 0o600))
	r.run(t)
	names := regexp.MustCompile(`\btocsin_[a-z_]+`).FindAllString(string(read(t, "../../docs/oncall.md")), -1)
	require.NotEmpty(t, names)
	for _, name := range names { // they are there from the first proof on
		require.Eventually(t, func() bool { return strings.Contains(r.get(t, "/metrics"), "# TYPE "+name+" ") }, 10*time.Second, 20*time.Millisecond, name)
	}
}
