package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Severity 1: the engineer on call at once, the team after 15 minutes,
// management after 30, the executives after an hour, and then the commander.
func TestFusionSeverity1(t *testing.T) {
	perform(t, "fusion.yml", instant(t, "Europe/Berlin", "2026-03-31 10:00"), func(s *theatre) {
		id := s.webhook("015-fusion-service-down.json")
		all := func(at string, names ...string) (out []string) {
			for _, n := range names {
				out = append(out, at+" "+n+" by Slack and PagerDuty and email")
			}
			return out
		}
		s.pass(14 * time.Minute)
		day := whomBegan(s, id)
		assert.Contains(s, []string{"dia", "eli"}, day, "it is day in Europe")
		assert.ElementsMatch(s, append(all("0s", day), "0s #incident-response"), s.calls(id))
		s.pass(2 * time.Minute)
		assert.Subset(s, s.calls(id), slices.DeleteFunc(all("15m0s", "dia", "eli", "fay", "gus"), func(c string) bool { return strings.Contains(c, day) }))
		s.pass(15 * time.Minute)
		assert.Subset(s, s.calls(id), all("30m0s", "devops-lead", "security-lead"))
		assert.NotContains(s, strings.Join(s.calls(id), "\n"), "cto")
		s.pass(30 * time.Minute)
		assert.Subset(s, s.calls(id), []string{"1h0m0s cto by email and Slack", "1h0m0s ceo by email and Slack"})
		assert.NotContains(s, strings.Join(s.calls(id), "\n"), "commander")
		s.pass(30 * time.Minute)
		assert.Subset(s, s.calls(id), all("1h30m0s", "commander"))
	})
}

// whomBegan is whom the first step called.
func whomBegan(s *theatre, id string) string {
	s.Helper()
	require.NotEmpty(s, s.incident(id).Escalation.Responders)
	return s.incident(id).Escalation.Responders[0].User
}

// Severity 2 is the same without the executives: the commander is next.
func TestFusionSeverity2SparesTheExecutives(t *testing.T) {
	perform(t, "fusion.yml", instant(t, "Europe/Berlin", "2026-03-31 10:00"), func(s *theatre) {
		id := s.fire(labelled("HighErrorRate", "error"), nil)
		s.pass(2 * time.Hour)
		calls := strings.Join(s.calls(id), "\n")
		assert.Contains(s, calls, "30m0s devops-lead")
		assert.Contains(s, calls, "1h0m0s commander")
		assert.NotContains(s, calls, "cto")
		assert.NotContains(s, calls, "ceo")
	})
}

// Severity 3: at once, at night too, and the team within the two hours.
func TestFusionSeverity3(t *testing.T) {
	perform(t, "fusion.yml", instant(t, "Europe/Berlin", "2026-03-29 02:30"), func(s *theatre) {
		id := s.fire(labelled("QueueLong", "warning"), nil)
		s.pass(2 * time.Hour)
		calls := strings.Join(s.calls(id), "\n")
		assert.Contains(s, calls, "0s "+whomBegan(s, id)+" by Slack and PagerDuty and email")
		for _, name := range []string{"dia", "eli", "fay", "gus"} {
			assert.Contains(s, calls, "1h0m0s "+name, "some of them again")
		}
	})
}

// Severity 4: on Monday, by Slack and mail, of whoever is on call then.
func TestFusionSeverity4(t *testing.T) {
	perform(t, "fusion.yml", instant(t, "UTC", "2026-03-28 12:00"), func(s *theatre) {
		id := s.fire(labelled("TypoOnPage", "info"), nil)
		s.pass(2*24*time.Hour + time.Minute)
		assert.Empty(s, s.calls(id), "who had the weekend begins at 09:00 in Los Angeles, and nobody else is asked before")
		s.pass(10 * 24 * time.Hour)
		assert.Equal(s, "52h0m0s gus by Slack and email", s.calls(id)[0])
		s.inWorkingHours(id)
		assert.Contains(s, strings.Join(s.calls(id), "\n"), "receiver incident-response", "the last resort is a mail")
	})
}

// The day belongs to those for whom it is day, but on holidays (the schedule's
// days, which are in UTC) and at night one person has it all.
func TestFusionFollowsTheSun(t *testing.T) {
	_, rules := loadExample(t, "../../deploy/examples/fusion.yml")
	engineering := rules.Schedules()["engineering"]
	europe, america := []string{"dia", "eli"}, []string{"fay", "gus"}
	layer := func(at time.Time) string {
		shifts := engineering.At(nil, at)
		require.Len(t, shifts, 1)
		return shifts[0].Source
	}
	for n := range 52 {
		monday := time.Date(2026, 2, 2, 0, 0, 0, 0, time.UTC).AddDate(0, 0, 7*n)
		for day := range 5 {
			date := monday.AddDate(0, 0, day).Format("2006-01-02")
			morning, evening := instant(t, "Europe/Berlin", date+" 08:00"), instant(t, "America/Los_Angeles", date+" 15:59")
			night := instant(t, "Europe/Berlin", date+" 07:59")
			assert.Equal(t, "layer any hour", layer(night), date)
			if date == "2026-12-25" || date == "2027-01-01" {
				assert.Equal(t, "layer any hour", layer(morning), date)
				assert.Equal(t, whom(rules, "engineering", morning), whom(rules, "engineering", morning.Add(12*time.Hour)), "one person for the whole holiday")
				continue
			}
			assert.Subset(t, europe, whom(rules, "engineering", morning), date)
			assert.Subset(t, america, whom(rules, "engineering", evening), date)
		}
		saturday := instant(t, "UTC", monday.AddDate(0, 0, 5).Format("2006-01-02")+" 12:00")
		assert.Equal(t, "layer any hour", layer(saturday))
	}
}

// The commands of the examples' operators: what is shipped passes its own check.
func TestExamplesPassTheirOwnCheck(t *testing.T) {
	for _, file := range examples(t) {
		loadExample(t, file) // sets the environment
		now := time.Now()
		holes, err := verifyOffline(file, now, now.AddDate(0, 0, 8*7))
		require.NoError(t, err, file)
		assert.Empty(t, holes, file)
	}
}
