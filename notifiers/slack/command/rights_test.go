package command_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
)

// ofTeams has an incident of each team, one of each that is resolved, and one of
// the other team that has called web.
func ofTeams(t testing.TB) *bench {
	t.Helper()
	b := newBench(t)
	b.incidents, b.order = map[string]*tocsin.Incident{}, nil
	told := func(receiver string) func(*tocsin.Incident) {
		return func(i *tocsin.Incident) { i.Receivers = []string{receiver} }
	}
	b.open("k7f3q9", "web is down", told("primary"))
	b.open("m2x8p4", "passwords are out", told("storage"), func(i *tocsin.Incident) {
		i.Deliveries = []tocsin.Delivery{{Target: "slack:#ops", Ref: "C1/77.0001"}}
	})
	b.open("n4r8t5", "disk is full", told("storage"), func(i *tocsin.Incident) {
		i.Escalation = &tocsin.Escalation{Responders: []tocsin.Responder{{User: "web", At: now, Calls: 1}}}
	})
	b.open("p6q7s8", "old passwords", told("storage"), func(i *tocsin.Incident) { i.State = tocsin.Resolved })
	b.shifts = append(b.shifts,
		tocsin.Shift{Schedule: "storage", User: "web", From: now.Add(-time.Hour), To: now.Add(time.Hour), Source: "helping"},
		tocsin.Shift{Schedule: "storage", User: "secret-dba", From: now.Add(-time.Hour), To: now.Add(time.Hour)})
	b.overrides = []tocsin.Override{
		{ID: "aaaaa2", Kind: tocsin.OverrideReplace, Schedule: "primary", User: "bo", From: now, To: now.Add(time.Hour), State: tocsin.OverrideActive, CreatedBy: "bo"},
		{ID: "aaaaa3", Kind: tocsin.OverrideReplace, Schedule: "storage", User: "secret-dba", From: now, To: now.Add(time.Hour), State: tocsin.OverrideActive, CreatedBy: "bo"},
		{ID: "aaaaa4", Kind: tocsin.OverrideAdd, Schedule: "storage", User: "web", From: now, To: now.Add(time.Hour), State: tocsin.OverrideActive, CreatedBy: "bo"},
		{ID: "aaaaa5", Kind: tocsin.OverrideTimeOff, User: "secret-dba", From: now, To: now.Add(time.Hour), State: tocsin.OverrideActive, CreatedBy: "bo"},
	}
	return b
}

func (b *bench) answer(who, text string) string {
	b.Helper()
	return strings.Join(b.says(who, text).Lines, "\n")
}

// onOne are the commands that take an incident.
var onOne = []string{
	"show ID", "why ID", "ack ID", "unack ID", "resolve ID force", "reopen ID", "snooze ID 2h", "escalate ID", "reassign ID @bo", "add ID @bo", "note ID x",
	"severity ID info", "merge ID into k7f3q9", "merge k7f3q9 into ID", "unmerge ID", "channel ID", "runbook ID", "step ID 1 done",
}

// Of another team's incident one is told what one is told of none.
func TestAnotherTeamsIncidentIsUnknown(t *testing.T) {
	t.Parallel()
	for _, text := range onOne {
		for _, id := range []string{"m2x8p4", "p6q7s8"} {
			b := ofTeams(t)
			theirs := b.answer("web", strings.ReplaceAll(text, "ID", id))
			unknown := b.answer("web", strings.ReplaceAll(text, "ID", "z2z2z2"))
			assert.Equal(t, strings.ReplaceAll(unknown, "z2z2z2", id), theirs, text)
			assert.NotContains(t, theirs, "passwords", text)
			assert.Empty(t, b.acted, text)
		}
	}
	b := ofTeams(t)
	assert.NotContains(t, b.answer("web", "ack m2x8p5"), "m2x8p4", "nor is it the nearest")
	r, err := b.run.Run(t.Context(), slack.Said{ID: "slack:t", Who: "web", Channel: "C1", Thread: "77.0001", Text: "ack", At: now})
	require.NoError(t, err)
	assert.Contains(t, r.Lines[0], "say which incident", "nor is it found by its thread")
	assert.Empty(t, b.acted)
	r, err = b.run.Run(t.Context(), slack.Said{ID: "slack:u", Who: "dba", Channel: "C1", Thread: "77.0001", Text: "ack", At: now})
	require.NoError(t, err)
	assert.Contains(t, r.Lines[0], "is acknowledged by dba", "its team finds it")
}

func TestOnesOwnTeamsIncidents(t *testing.T) {
	t.Parallel()
	for _, text := range onOne {
		for _, id := range []string{"k7f3q9", "n4r8t5"} {
			if text = strings.ReplaceAll(text, "ID", id); text == "merge k7f3q9 into m2x8p4" {
				continue
			}
			got := ofTeams(t).answer("web", text)
			assert.NotContains(t, got, "no right", text)
			assert.NotContains(t, got, "there is no incident", text)
		}
	}
	for list, want := range map[string]string{"list": "k7f3q9 n4r8t5", "list all": "k7f3q9 n4r8t5", "list resolved": "", "list mine": "n4r8t5"} {
		var ids []string
		for _, id := range []string{"k7f3q9", "m2x8p4", "n4r8t5", "p6q7s8"} {
			if strings.Contains(ofTeams(t).answer("web", list), id) {
				ids = append(ids, id)
			}
		}
		assert.Equal(t, want, strings.Join(ids, " "), list)
	}
	assert.Contains(t, ofTeams(t).answer("web", "list"), "*2 incidents*", "others are not counted")
	b := ofTeams(t)
	b.answer("new", "ack k7f3q9")
	assert.Contains(t, b.answer("new", "list"), "No incident is open.", "who is in no team, and not called")
	assert.Empty(t, b.acted)
}

// What is no team's takes a right everywhere.
func TestWhatHoldsForEverybody(t *testing.T) {
	t.Parallel()
	for text, right := range map[string]string{
		"silence alertname=X for 2h x": "view", "silence expire sssss1": "view", "silence": "view", "silences": "view", "silences all": "view", "status": "view",
	} {
		for _, who := range []string{"web", "dba", "new"} {
			b := ofTeams(t)
			b.silences = []tocsin.Silence{{ID: "sssss1", Matchers: []string{`customer="secret"`}, EndsAt: now.Add(time.Hour)}}
			got := b.answer(who, text)
			assert.Contains(t, got, "Nothing was done: "+who+" has no right to "+right+" here", text)
			assert.NotContains(t, got, "secret", text)
			assert.Len(t, b.silences, 1)
			assert.True(t, b.silences[0].EndsAt.After(now))
		}
	}
	b := ofTeams(t)
	assert.Contains(t, b.answer("web", "runbook pay"), "Call the bank", "what is known is for every team")
	assert.Contains(t, b.answer("new", "runbook pay"), "Call the bank", "and for whom something may call")
	assert.Contains(t, b.answer("new", "help"), "snooze")
}

// People of a team that has silences make, see and end those, and no others.
func TestSilencesOfTeams(t *testing.T) {
	t.Parallel()
	b := ofTeams(t)
	b.silences = []tocsin.Silence{
		{ID: "sssss1", Matchers: []string{`customer="secret"`}, EndsAt: now.Add(time.Hour)},
		{ID: "sssss2", Matchers: []string{`{alertname=X, team=web}`}, EndsAt: now.Add(time.Hour)},
	}
	for _, text := range []string{"silence alertname=X for 2h x", "silence team=~web for 2h x", "silence team=webs for 2h x"} {
		assert.Contains(t, b.answer("sia", text), `Nothing was done: add team="web"; your team's silences include it.`, text)
	}
	assert.Contains(t, b.answer("sia", "silence team=~“(” for 2h x"), "Nothing was done: ")
	assert.Len(t, b.silences, 2)
	for _, who := range []string{"sia", "sivi"} {
		for _, text := range []string{"silences", "silence", "silences all"} {
			got := b.answer(who, text)
			assert.Contains(t, got, "sssss2", text)
			assert.NotContains(t, got, "secret", text)
		}
	}
	assert.Equal(t, strings.ReplaceAll(b.answer("sia", "silence expire zzzzz9"), "zzzzz9", "sssss1"), b.answer("sia", "silence expire sssss1"), "another one is not there")
	for _, text := range []string{"silence expire sssss2", "silence team=web for 2h x"} {
		assert.Contains(t, b.answer("sivi", text), "sivi has no right to respond here", text)
	}
	assert.True(t, b.silences[0].EndsAt.After(now) && b.silences[1].EndsAt.After(now))
	assert.Contains(t, b.answer("sia", "silence alertname=X, team=“web” for 2h x"), "Silenced until")
	require.Len(t, b.silences, 3)
	assert.Contains(t, b.answer("sia", "silence expire sssss2"), "is over")
	assert.False(t, b.silences[1].EndsAt.After(now))
}

func TestSchedulesOfTeams(t *testing.T) {
	t.Parallel()
	b := ofTeams(t)
	got := b.answer("web", "oncall")
	assert.Contains(t, got, "ana")
	assert.Contains(t, got, "helping", "one's own shift on another team's schedule")
	assert.NotContains(t, got, "secret-dba")
	for _, text := range []string{"oncall NAME", "handoff NAME", "override add NAME @me for 2h"} {
		unknown := b.answer("web", strings.ReplaceAll(text, "NAME", "nothing"))
		assert.Contains(t, unknown, "there is no schedule", text)
		assert.Equal(t, strings.ReplaceAll(unknown, "nothing", "storage"), b.answer("web", strings.ReplaceAll(text, "NAME", "storage")), text)
	}
	assert.Contains(t, b.answer("web", "oncall primary"), "ana")
	assert.Contains(t, b.answer("web", "handoff"), "Handoff* of `primary`", "the only one of theirs")

	ids := strings.Join(regexp.MustCompile(`aaaaa\d`).FindAllString(b.answer("web", "override list"), -1), " ")
	assert.Equal(t, "aaaaa2 aaaaa4", ids)
	unknown := b.answer("web", "override cancel zzzzzz")
	assert.Equal(t, strings.ReplaceAll(unknown, "zzzzzz", "aaaaa3"), b.answer("web", "override cancel aaaaa3"))
	assert.Contains(t, b.answer("web", "override cancel aaaaa4"), "web has no right to respond here")
	assert.Contains(t, b.answer("web", "override cancel aaaaa2"), "it was made by bo", "theirs, and not theirs to manage")
	assert.Zero(t, b.puts)
	assert.Contains(t, b.answer("web", "override add primary @me for 2h"), "web replaces")
	assert.Contains(t, b.answer("web", "override add primary @bo for 2h"), "you are not on call on `primary` then")
	assert.Contains(t, b.answer("dba", "override add storage @bo for 2h"), "bo replaces", "who manages the schedule changes other people's shifts")
	assert.Contains(t, b.answer("dba", "override cancel aaaaa3"), "aaaaa3")
	assert.Equal(t, tocsin.OverrideCancelled, b.overrides[1].State)
}

// An incident that is opened by hand is told to the receivers of who opens it; who
// is called is up to them.
func TestPageOfTeams(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"ana: page @bo it burns":                           "Opened, for ",
		"ana: page receiver anything @bo it burns":         "Opened, for anything",
		"web: page @bo it burns":                           "Opened, for primary",
		"web: page storage it burns":                       "Opened, for primary",
		"web: page policy platform it burns":               "Opened, for primary",
		"web: page receiver primary @bo it burns":          "Opened, for primary",
		"web: page receiver storage @bo it burns":          "`storage` is none of yours; those are primary",
		"web: page receiver nothing @bo it burns":          "`nothing` is none of yours; those are primary",
		"dba: page @bo it burns":                           "receivers: missing; yours are storage, storage-chat",
		"dba: page receiver storage-chat @bo it burns":     "Opened, for storage-chat",
		"new: page @bo it burns":                           "new has no right to respond here",
		"web: page receiver":                               "there is no user, schedule or policy `receiver`",
		"dba: page receiver storage-chat schedule primary": "say what is wrong",
	} {
		b := ofTeams(t)
		who, words, _ := strings.Cut(text, ": ")
		got := strings.ReplaceAll(b.answer(who, words), `"`, "`")
		if opened, ok := strings.CutPrefix(want, "Opened, for "); ok {
			require.Len(t, b.opened, 1, "%s: %s", text, got)
			assert.Equal(t, opened, strings.Join(b.opened[0].Receivers, ","), text)
			assert.Equal(t, "it burns", b.opened[0].Title, text)
			continue
		}
		assert.Contains(t, got, want, text)
		assert.Empty(t, b.opened, text)
	}
}
