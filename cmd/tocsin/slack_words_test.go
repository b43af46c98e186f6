package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
)

// TestSlackWordsOnIncidents: what is typed does what it says on the real program,
// and is answered to the one who typed it.
func TestSlackWordsOnIncidents(t *testing.T) {
	overBoth(t, func(s *team) {
		s.putRunbook(stepsBefore)
		s.with(teamPeople, dutyPrimary, dutyChannel, dutyRunbooks)
		doors := []door{slash, mention, direct}
		for n, d := range doors {
			id := s.openAt("NodeDown", string(rune('a'+n)), "critical")
			s.shows("#incidents", id, "Called: ana")
			title := "NodeDown " + string(rune('a'+n))
			s.says(d, "U0BO", "show "+id, "is triggered", title, "ana called", "has not answered", "Next, if nobody answers", "firing")
			s.says(d, "U0BO", "list", title)
			s.says(d, "U0ANA", "list mine", title)
			s.says(d, "U0BO", "list mine", "No open incident is yours.")
			s.says(d, "U0ANA", "why "+id, "Why me?", "You (ana) were called at", "on call on primary by layer weekly")
			s.says(d, "U0BO", "runbook "+id, "Look at the machine", "ssh "+string(rune('a'+n))+" uptime")
			s.says(d, "U0BO", "runbook nodedown", "Tell the team")

			s.says(d, "U0BO", "ack "+id+" looking at it", "is acknowledged by bo")
			assert.Equal(s.t, "bo", s.incident(id).AcknowledgedBy)
			assert.Contains(s.t, s.timeline(id), "looking at it")
			s.says(d, "U0BO", "note "+id+" the vendor <https://vendor.example.com> &amp; us", "Noted.", id)
			assert.Contains(s.t, s.timeline(id), "note: the vendor https://vendor.example.com & us")
			s.says(d, "U0BO", "step "+id+" 1 done the fan", "Step 1 is done")
			s.says(d, "U0BO", "step "+id+" 2 skip nobody answers", "Step 2 is skipped")
			assert.Contains(s.t, s.progress(id), "1 Look at the machine: done by bo, Slack, the fan\n2 Ask the providr: skipped by bo, Slack, nobody answers")
			s.says(d, "U0BO", "snooze "+id+" 2h", "is acknowledged by bo", "snoozed until")
			require.NotNil(s.t, s.incident(id).Escalation)
			assert.InDelta(s.t, 7200, time.Until(s.incident(id).Escalation.SnoozedUntil).Seconds(), 60)
			s.says(d, "U0BO", "unack "+id+" force", "is triggered", "Called: ana")
			s.says(d, "U0ANA", "add "+id+" @cy knows the disks", "Called: cy")
			s.shows("U0CY", id, title)
			s.says(d, "U0ANA", "severity "+id+" error", "Severity is now error.", id)
			assert.Equal(s.t, tocsin.Error, s.incident(id).Severity)
			s.says(d, "U0ANA", "reassign "+id+" <@U0BO|bo> my shift is over", "Called: bo")
			s.shows("U0BO", id, title)
			s.says(d, "U0BO", "escalate "+id+" step 2", "Escalated now by bo to step 2.", "Called:")
			s.shows("#leads", id, title)

			s.says(d, "U0BO", "resolve "+id, "Nothing was done: 1 alert still fires", "resolve "+id+" force")
			assert.NotEqual(s.t, tocsin.Resolved, s.incident(id).State)
			s.says(d, "U0BO", "resolve "+id+" force disk replaced", "is resolved by bo")
			assert.Equal(s.t, tocsin.Resolved, s.incident(id).State)
			s.shows("#incidents", id, "Resolved", "disk replaced")
			s.says(d, "U0BO", "reopen "+id, "is triggered")
			s.says(d, "U0BO", "close "+id+" force", "is resolved by bo")
			s.says(d, "U0BO", "list resolved", title)
			s.says(d, "U0BO", "snooze "+id+" 1h", "Nothing was done: incident "+id+" is resolved")
		}
	})
}

func TestSlackWordsOnDutyAndSilences(t *testing.T) {
	overBoth(t, func(s *team) {
		s.with(teamPeople, dutyPrimary, dutyChannel)
		for _, d := range []door{slash, mention, direct} {
			s.says(d, "U0BO", "oncall", "primary", "ana")
			s.says(d, "U0BO", "oncall primary", "On call on primary", "ana")
			s.says(d, "U0BO", "handoff", "Handoff of primary")
			s.says(d, "U0BO", "status", "alerts are taken", "Tocsin ")
			s.says(d, "U0BO", "help", "silence expire", "snooze", "page")
			s.says(d, "U0BO", "help snooze", "/tocsin snooze ID DURATION")

			answer := s.says(d, "U0BO", "override add primary @me for 2h dentist", "bo replaces whoever is on call on primary", "dentist")
			assert.Equal(s.t, "bo", s.onCall(time.Time{}))
			s.says(d, "U0ANA", "oncall", "bo")
			override := regexp.MustCompile(`override cancel (\w+)`).FindStringSubmatch(answer)
			require.Len(s.t, override, 2, answer)
			s.says(d, "U0ANA", "override list", override[1], "dentist")
			s.says(d, "U0VIC", "override cancel "+override[1], "vic has no right to respond")
			assert.Equal(s.t, "bo", s.onCall(time.Time{}))
			s.says(d, "U0ANA", "override cancel "+override[1], "it was made by bo")
			s.says(d, "U0BO", "override cancel "+override[1], "Ended now")
			assert.Equal(s.t, "ana", s.onCall(time.Time{}))

			s.says(d, "U0BO", "override add primary @cy for 2h", "you are not on call on primary then")
			assert.Equal(s.t, "ana", s.onCall(time.Time{}))
			answer = s.says(d, "U0CY", "override add primary @bo for 2h", "bo replaces")
			assert.Equal(s.t, "bo", s.onCall(time.Time{}), "a manager changes other people's shifts")
			override = regexp.MustCompile(`override cancel (\w+)`).FindStringSubmatch(answer)
			s.says(d, "U0CY", "override cancel "+override[1], "Ended now")

			name := "Disk" + strings.Trim(string(d), "/@")
			id := s.open(name, "critical")
			s.shows("#incidents", id, "Triggered: "+name)
			answer = s.says(d, "U0BO", "silence alertname="+name+" region=~“u.” for 2h swapping it", "Silenced until", `region=~"u."`)
			silence := regexp.MustCompile(`silence expire (\w+)`).FindStringSubmatch(answer)
			require.Len(s.t, silence, 2, answer)
			s.eventually(func() bool { return s.incident(id).Quiet() }, "the silence holds")
			s.shows("#incidents", id, "silence")
			s.says(d, "U0BO", "silences", silence[1], "swapping it", "by bo")
			s.says(d, "U0VIC", "silence expire "+silence[1], "vic has no right to respond")
			s.says(d, "U0ANA", "silence expire "+silence[1], "is over")
			s.eventually(func() bool { return !s.incident(id).Quiet() }, "the silence is over")
			s.says(d, "U0BO", "silences", "Nothing is silenced.")
			s.says(d, "U0BO", "silences all", silence[1])
			s.says(d, "U0BO", "silence alertname="+name+" for 2h", "say why")
		}
	})
}

// TestSlackPage: whoever is named is called at once, and the policy is what comes
// next.
func TestSlackPage(t *testing.T) {
	overBoth(t, func(s *team) {
		s.with(teamPeople, dutyPrimary, dutyChannel)
		for n, d := range []door{slash, mention, direct} {
			title := "the database is down " + string(d)
			answer := s.says(d, "U0CY", "page <@U0BO|bo> "+title+"\nfor customers in the US", "Opened: ", title, "Called: bo")
			inc := s.byTitle(title)
			assert.Contains(s.t, answer, inc.ID)
			assert.Equal(s.t, tocsin.KindManual, inc.Kind)
			assert.Equal(s.t, "for customers in the US", inc.Text)
			s.shows("U0BO", inc.ID, title, "for customers in the US")
			s.shows("#incidents", inc.ID, title, "Called: bo")
			assert.NotContains(s.t, s.said("U0ANA"), title, "ana is not called yet")
			require.Len(s.t, inc.Escalation.Runs, 1)
			due := inc.Escalation.Runs[0].Due
			assert.False(s.t, due.IsZero(), "the policy is followed when bo sleeps on")
			s.says(d, "U0CY", "show "+inc.ID, "bo called", "has not answered", "Next, if nobody answers: ana by Slack")
			// bo does not answer: the next ones are called.
			s.says(d, "U0CY", "escalate "+inc.ID+" he sleeps on", "Escalated now by cy", "Called: ana")
			s.shows("U0ANA", inc.ID, title)
			s.clicks("U0ANA", inc.ID, "U0ANA", "tocsin_acknowledge")
			assert.Equal(s.t, "ana", s.incident(inc.ID).AcknowledgedBy)
			s.says(d, "U0BO", "page primary customers cannot pay", "Called: ana")
			s.says(d, "U0BO", "page policy platform it burns", "Called: ana")
			s.says(d, "U0BO", "page bo2 it burns", "there is no user, schedule or policy", "bo")
			s.says(d, "U0BO", "page <@U0OLD|old> it burns", "Tocsin does not know @old")
			s.says(d, "U0VIC", "page @bo it burns", "vic has no right to respond")
			assert.Len(s.t, s.incidents(s.t), 3*(n+1))
		}
	})
}

// TestSlackPublicAnswersAndMistakes: who sees what, and what is said to whom it is
// not allowed or not known.
func TestSlackPublicAnswersAndMistakes(t *testing.T) {
	overBoth(t, func(s *team) {
		s.with(teamPeople, dutyPrimary, dutyChannel)
		id := s.open("NodeDown", "critical")
		s.shows("#incidents", id, "Triggered: NodeDown a")
		before := s.incident(id)
		for _, d := range []door{slash, mention, direct} {
			for _, words := range []string{"public list", "list public", "public show " + id} {
				answer, public := s.types(d, "U0VIC", words)
				assert.True(s.t, public, "%s %s", d, words)
				assert.Contains(s.t, answer, "NodeDown a")
			}
			answer, public := s.types(d, "U0BO", "public ack zzzzzz")
			assert.Equal(s.t, d == direct, public, "a mistake is nobody else's business: %s", answer)

			s.says(d, "U0BO", "lst", "There is no command lst. Did you mean list?", "Usage: /tocsin list", "Example: ")
			s.says(d, "U0BO", "akc "+id, "Did you mean ack?")
			s.says(d, "U0BO", "qqqqqqqq", "There is no command", "help")
			s.says(d, "U0BO", "ack", "say which incident")
			s.says(d, "U0BO", "ack "+id[:5]+"?", "Nothing was done", "Did you mean this one?", id)
			s.says(d, "U0BO", "snooze "+id, "say until when", "Usage: ")
			s.says(d, "U0BO", "snooze "+id+" soon", "soon", "Usage: ")
			s.says(d, "U0BO", "step "+id+" 1 done", "Nothing was done", "has no runbook")
			s.says(d, "U0BO", "oncall primry", "there is no schedule primry. Did you mean primary?")
			for _, words := range []string{"ack " + id, "resolve " + id + " force", "note " + id + " x", "escalate " + id, "channel " + id} {
				s.says(d, "U0VIC", words, "Nothing was done: vic has no right to respond", "role")
				s.says(d, "U0OLD", words, "Tocsin does not know who you are", "slack: U0OLD")
			}
			s.says(d, "U0VIC", "show "+id, "is triggered", "NodeDown a")
			s.says(d, "U0VIC", "list", "NodeDown a")
			s.says(d, "U0OLD", "list", "Tocsin does not know who you are")
		}
		assert.Equal(s.t, before.Revision, s.incident(id).Revision, "nothing of it has changed anything: %s", s.timeline(id))
	})
}
