package command_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/command"
)

func utc(day, hour, minute int) time.Time {
	return time.Date(2026, 1, day, hour, minute, 0, 0, time.UTC)
}

// TestActions: what is typed, as Slack sends it, and the action that comes of it.
func TestActions(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]tocsin.Action{
		"ack k7f3q9":                                                 {Kind: tocsin.ActAcknowledge},
		"ACK K7F3Q9":                                                 {Kind: tocsin.ActAcknowledge},
		"/tocsin ack `k7f3q9`":                                       {Kind: tocsin.ActAcknowledge},
		"ack k7f3q9 looking at it":                                   {Kind: tocsin.ActAcknowledge, Text: "looking at it"},
		"ack k7f3q9 force it isn’t mine":                             {Kind: tocsin.ActAcknowledge, Force: true, Text: "it isn’t mine"},
		"acknowledge k7f3q9 a &lt;b&gt; &amp;amp;":                   {Kind: tocsin.ActAcknowledge, Text: "a <b> &amp;"},
		"unack k7f3q9":                                               {Kind: tocsin.ActUnacknowledge},
		"resolve m2x8p4 “disk replaced”":                             {Kind: tocsin.ActResolve, Text: "disk replaced"},
		"resolve k7f3q9 force":                                       {Kind: tocsin.ActResolve, Force: true},
		"resolve m2x8p4 this is public":                              {Kind: tocsin.ActResolve, Text: "this is public"},
		"snooze k7f3q9 2h":                                           {Kind: tocsin.ActSnooze, Until: now.Add(2 * time.Hour)},
		"snooze k7f3q9 for 1h30m":                                    {Kind: tocsin.ActSnooze, Until: now.Add(90 * time.Minute)},
		"snooze k7f3q9 until 09:00":                                  {Kind: tocsin.ActSnooze, Until: utc(11, 8, 0)},
		"snooze k7f3q9 until 13:30":                                  {Kind: tocsin.ActSnooze, Until: utc(10, 12, 30)},
		"snooze k7f3q9 tomorrow 9am":                                 {Kind: tocsin.ActSnooze, Until: utc(11, 8, 0)},
		"snooze k7f3q9 until mon 09:00":                              {Kind: tocsin.ActSnooze, Until: utc(12, 8, 0)},
		"snooze k7f3q9 until saturday 09:00":                         {Kind: tocsin.ActSnooze, Until: utc(17, 8, 0)},
		"snooze k7f3q9 until 2026-01-12 10:15":                       {Kind: tocsin.ActSnooze, Until: utc(12, 9, 15)},
		"snooze k7f3q9 until 2026-01-12T10:15Z":                      {}, // no seconds: not RFC 3339
		"snooze k7f3q9 until 2026-01-12T10:15:00Z":                   {Kind: tocsin.ActSnooze, Until: utc(12, 10, 15)},
		"escalate k7f3q9":                                            {Kind: tocsin.ActEscalate},
		"escalate k7f3q9 step 2 they are late":                       {Kind: tocsin.ActEscalate, Step: 2, Text: "they are late"},
		"escalate k7f3q9 <@U0BO00001|robert> a DBA":                  {Kind: tocsin.ActEscalate, User: "bo", Text: "a DBA"},
		"escalate k7f3q9 <@U0BO00001>, please":                       {Kind: tocsin.ActEscalate, User: "bo", Text: "please"},
		"escalate k7f3q9 @bo":                                        {Kind: tocsin.ActEscalate, User: "bo"},
		"escalate k7f3q9 Primary":                                    {Kind: tocsin.ActEscalate, Schedule: "primary"},
		"escalate k7f3q9 platform now":                               {Kind: tocsin.ActEscalate, Policy: "platform", Text: "now"},
		"escalate k7f3q9 bo":                                         {Kind: tocsin.ActEscalate, User: "bo"},
		"escalate k7f3q9 bo is asleep":                               {}, // whom it calls must not be in doubt
		"escalate k7f3q9 it gets worse":                              {Kind: tocsin.ActEscalate, Text: "it gets worse"},
		"escalate k7f3q9 schedule cy":                                {Kind: tocsin.ActEscalate, Schedule: "cy"},
		"escalate k7f3q9 @cy":                                        {Kind: tocsin.ActEscalate, User: "cy"},
		"escalate k7f3q9 cy":                                         {}, // a user and a schedule
		"reassign k7f3q9 <@U0BO00001> it is yours":                   {Kind: tocsin.ActReassign, User: "bo", Text: "it is yours"},
		"reassign k7f3q9 policy platform":                            {Kind: tocsin.ActReassign, Policy: "platform"},
		"reassign k7f3q9":                                            {},
		"add k7f3q9 bo":                                              {Kind: tocsin.ActAddResponder, User: "bo"},
		"add k7f3q9 platform":                                        {}, // a policy cannot help
		"add k7f3q9 me":                                              {Kind: tocsin.ActAddResponder, User: "ana"},
		"note k7f3q9 see <https://x.test/a?b&amp;c>":                 {Kind: tocsin.ActNote, Text: "see https://x.test/a?b&c"},
		"note k7f3q9 see <http://x.test|x.test> <@U0BO00001>":        {Kind: tocsin.ActNote, Text: "see x.test @bo"},
		"note k7f3q9 see <https://x.test|the page> in <#C1|general>": {Kind: tocsin.ActNote, Text: "see the page (https://x.test) in #general"},
		"note k7f3q9 two\nlines":                                     {Kind: tocsin.ActNote, Text: "two\nlines"},
		"note k7f3q9":                                                {},
		"severity k7f3q9 Warning":                                    {Kind: tocsin.ActSeverity, Severity: tocsin.Warning},
		"severity k7f3q9 bad":                                        {},
		"merge k7f3q9 into m2x8p4":                                   {Kind: tocsin.ActMerge, Into: "m2x8p4"},
		"merge k7f3q9 m2x8p4":                                        {Kind: tocsin.ActMerge, Into: "m2x8p4"},
		"unmerge k7f3q9":                                             {Kind: tocsin.ActUnmerge},
		"merge k7f3q9 into":                                          {},
		"channel k7f3q9":                                             {Kind: tocsin.ActChannel},
		"step k7f3q9 2 done":                                         {Kind: tocsin.ActStep, RunbookStep: "2", Status: tocsin.StepDone},
		"step k7f3q9 1 start":                                        {Kind: tocsin.ActStep, RunbookStep: "1", Status: tocsin.StepStarted},
		"step k7f3q9 3 skip the disk is fine":                        {Kind: tocsin.ActStep, RunbookStep: "3", Status: tocsin.StepSkipped, Text: "the disk is fine"},
		"step k7f3q9 1 open":                                         {Kind: tocsin.ActStep, RunbookStep: "1", Status: tocsin.StepOpen},
		"step k7f3q9 0 done":                                         {},
		"step k7f3q9 1":                                              {},
		"step k7f3q9 1 finished":                                     {},
		"snooze k7f3q9":                                              {},
		"snooze k7f3q9 soon":                                         {},
		"snooze k7f3q9 2h because":                                   {},
		"snooze k7f3q9 until 2020-01-01":                             {},
		"ack":                                                        {},
		"ack zzzzzz":                                                 {},
		"channel k7f3q9 now":                                         {},
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			r := b.says("ana", text)
			if want.Kind == "" {
				assert.Empty(t, b.acted, r.Lines)
				assert.Regexp(t, "(?i)nothing was done", r.Lines[0])
				return
			}
			require.Len(t, b.acted, 1, r.Lines)
			got := b.acted[0]
			assert.NotEmpty(t, got.ID)
			assert.Equal(t, "ana", got.By)
			assert.Equal(t, "Slack", got.Via)
			got.ID, got.By, got.Via = "", "", ""
			assert.True(t, want.Until.Equal(got.Until), "%s, want %s", got.Until, want.Until)
			got.Until, want.Until = time.Time{}, time.Time{}
			assert.Equal(t, want, got)
			assert.Contains(t, r.Lines[0], "✅")
			assert.False(t, r.Public)
		})
	}
}

func TestReopen(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	assert.Contains(t, b.lines("resolve m2x8p4"), "is resolved by ana")
	assert.Contains(t, b.lines("reopen m2x8p4"), "is triggered")
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"":                                 {"*Commands*", "`ack ID", "More of one"},
		"help":                             {"`override list", "`help [COMMAND]`"},
		"help snooze":                      {"until TIME", "Example: `/tocsin snooze k7f3q9 2h`"},
		"help akc":                         {"Did you mean `ack`"},
		"list":                             {"*2 incidents* (open)", "`k7f3q9` is triggered", "critical, 2 of 2 alerts firing", "&lt;!here&gt;"},
		"list mine":                        {"No open incident is yours."},
		"list acknowledged":                {"No incident is acknowledged."},
		"list mien":                        {"there is no list `mien`. Did you mean `mine`?"},
		"list page 3":                      {"There is no page 3: there are 2 in all."},
		"list page x":                      {"Write a number"},
		"show k7f3q9":                      {"*`k7f3q9` is triggered", "bo by Slack at <!date", "firing `{alertname=\"NodeDown\"", "runbook k7f3q9"},
		"show k7f3q8":                      {"there is no incident `k7f3q8`. Did you mean this one? `k7f3q9`"},
		"show nonsense":                    {"there is no incident `nonsense`; the open ones"},
		"show":                             {"say which incident", "Example: `/tocsin show k7f3q9`"},
		"why k7f3q9":                       {"*Why me?*", "ana"},
		"status":                           {"ready since noon"},
		"resolve k7f3q9":                   {"Nothing was done: 2 alerts still fire &lt;!here&gt;.", "If that is meant: `/tocsin resolve k7f3q9 force`"},
		"resolvee k7f3q9":                  {"There is no command `resolvee`. Did you mean `resolve`?", "Usage: `/tocsin resolve ID", "Example:"},
		"esca k7f3q9":                      {"Did you mean `esc"},
		"xyzzy":                            {"There is no command `xyzzy`. All of them: `/tocsin help`"},
		"escalate k7f3q9 @boo":             {"there is no user `boo`. Did you mean `bo`?"},
		"escalate k7f3q9 <@U0XX00001>":     {"Tocsin does not know `@U0XX00001`"},
		"escalate k7f3q9 step x":           {"which step?"},
		"escalate k7f3q9 bo is asleep":     {"`bo` is a user. Write `@bo` to call them, or begin the reason with another word."},
		"escalate k7f3q9 cy":               {"names several. Write `@cy` or `schedule cy`"},
		"add k7f3q9 nobody":                {"there is no user or schedule `nobody`; there are `ana`"},
		"add k7f3q9":                       {"say whom to call"},
		"page @bo the db is down":          {"🚨 Opened: `mmmmm2` is triggered", "the db is down", "📟 Called: bo"},
		"page primary the db is down":      {"Nobody has been called yet"},
		"page the db is down":              {"there is no user, schedule or policy `the`"},
		"page @bo":                         {"say what is wrong"},
		"page":                             {"say whom to call"},
		"oncall":                           {"*On call now*", "`primary`: *ana* until", "`storage`: ⚠️ *nobody*"},
		"oncall Primary":                   {"*On call* on `primary`", "*ana* from", "*bo* from"},
		"oncall primray":                   {"there is no schedule `primray`. Did you mean `primary`?"},
		"handoff":                          {"*Handoff* of `primary`", "• k7f3q9 &lt;!here&gt; primary"},
		"handoff storage":                  {"*Handoff* of `storage`"},
		"override":                         {"No override is in force or to come."},
		"override add primary @me":         {"say until when"},
		"override add primary @me to noon": {"`noon` is not a time"},
		"override add primary @me later":   {"`later` is not understood"},
		"override add primary":             {"say who."},
		"override add primary @me from 2h to 2026-01-10 12:30": {"is not behind the start"},
		"override cancel zzzzzz":                               {"there is no override `zzzzzz`"},
		"override cancel":                                      {"say which"},
		"override chancel x":                                   {"Did you mean `cancel`?"},
		"silence":                                              {"Nothing is silenced."},
		"silence a=b":                                          {"say for how long"},
		"silence for 2h why":                                   {"say what to silence"},
		"silence node for 2h why":                              {"`node` is no matcher"},
		"silence a=b for 2h":                                   {"say why"},
		"silence a=b for ever why":                             {"`ever` is not a time"},
		"silence a=~“(” for 2h why":                            {"Nothing was done: not a regular expression &lt;!channel&gt;."},
		"silence expire zzzzzz":                                {"there is no silence `zzzzzz`"},
		"silence expire":                                       {"say which"},
		"silences":                                             {"Nothing is silenced."},
		"runbook k7f3q9":                                       {"📖 *Runbook*: Node down", "Look at it", "`/tocsin step k7f3q9 1 done`"},
		"runbook nodedown":                                     {"Node down"},
		"runbook nodes#full":                                   {"*Meaning*", "No room &lt;!here&gt;"},
		"runbook node":                                         {"*2 runbooks* fit `node`", "`nodes#full`"},
		"runbook":                                              {"Payments", "`pay`"},
		"runbook what is this":                                 {"there is no runbook `what is this`"},
		"step k7f3q9 2 done":                                   {"✅ Step 2 is done.\n`k7f3q9` is triggered"},
		"note k7f3q9 seen":                                     {"✅ Noted.\n`k7f3q9` is triggered"},
		"severity k7f3q9 info":                                 {"✅ Severity is now info.\n`k7f3q9` is triggered"},
		"channel k7f3q9":                                       {"✅ A channel of its own is opened; it shows in the incident's message.\n`k7f3q9` is triggered"},
		"merge k7f3q9 into m2x8p4":                             {"✅ Merged into `m2x8p4`.\n`k7f3q9` is triggered"},
		"unmerge k7f3q9":                                       {"✅ It pages for itself.\n`k7f3q9` is triggered"},
		"escalate k7f3q9 step 2":                               {"✅ Escalated by ana to step 2.\n`k7f3q9` is triggered", "📟 Called: cy"},
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			got := newBench(t).lines(text)
			for _, w := range want {
				assert.Contains(t, got, w)
			}
		})
	}
}

func TestPublic(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for text, public := range map[string]bool{
		"list": false, "public list": true, "list public": true, "/tocsin public oncall primary": true, "oncall PUBLIC": true,
		"public note k7f3q9 seen": true, "note k7f3q9 this is public": false, "public": true,
		"override list public": true, "silence public": false, "silence list public": true, "public show zzzzzz": false, "public xyzzy": false, "show public": false,
	} {
		assert.Equal(t, public, b.says("ana", text).Public, text)
	}
}

func TestRights(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"ack k7f3q9", "unack k7f3q9", "resolve m2x8p4", "reopen m2x8p4", "snooze k7f3q9 2h", "escalate k7f3q9", "reassign k7f3q9 @bo",
		"add k7f3q9 @bo", "note k7f3q9 x", "severity k7f3q9 info", "merge k7f3q9 into m2x8p4", "unmerge k7f3q9", "channel k7f3q9", "page @bo x",
		"step k7f3q9 1 done", "override add primary @me for 2h", "override cancel zzzzzz", "silence a=b for 2h x", "silence expire zzzzzz",
	} {
		b := newBench(t)
		b.overrides = []tocsin.Override{{ID: "zzzzzz", Schedule: "primary", User: "bo", CreatedBy: "bo"}}
		r := b.says("vi", text)
		assert.Contains(t, r.Lines[0], "vi has no right to respond", text)
		assert.Empty(t, b.acted, text)
		assert.Empty(t, b.opened, text)
		assert.Len(t, b.overrides, 1, text)
		assert.Empty(t, b.overrides[0].State, text)
		assert.Empty(t, b.silences, text)
	}
	for _, text := range []string{"list", "show k7f3q9", "why k7f3q9", "oncall", "override list", "silences", "silence list", "runbook", "handoff primary", "status", "help"} {
		assert.NotContains(t, newBench(t).says("vi", text).Lines[0], "no right", text)
	}
}

// TestRightsOverShifts: everybody who responds may take over a shift and hand over
// their own; other people's are the manager's.
func TestRightsOverShifts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		who, text string
		// replaces is whose shifts it changes, "-" that it is refused.
		replaces string
	}{
		{"cy", "override add primary @me for 2h", ""},
		{"cy", "override add primary <@U0CY00001> beside for 2h", ""},
		{"ana", "override add primary @bo for 2h", "ana"},              // her own shift
		{"ana", "override add primary @bo for 2d", "ana"},              // hers of them
		{"ana", "override add primary @cy replaces @me for 2d", "ana"}, // the same
		{"ana", "override add primary @cy from 20:00 to 22:00", "-"},   // bo's
		{"ana", "override add primary @cy replaces @bo for 2d", "-"},   // bo's
		{"ana", "override add primary @cy beside for 2h", "-"},         // everybody's
		{"cy", "override add primary bo for 2h", "-"},                  // ana's
		{"bo", "override add primary @cy for 2h", ""},                  // he manages
		{"bo", "override add primary @cy replaces @ana for 2h", "ana"}, // he manages
	} {
		b := newBench(t)
		r := b.says(c.who, c.text)
		if c.replaces == "-" {
			assert.Empty(t, b.overrides, c.text)
			assert.Contains(t, r.Lines[0], "without the right to manage", c.text)
			continue
		}
		require.Len(t, b.overrides, 1, "%s: %s", c.text, r.Lines)
		assert.Equal(t, c.replaces, b.overrides[0].Replaces, c.text)
		assert.Equal(t, c.who, b.overrides[0].CreatedBy)
	}
	b := newBench(t)
	b.says("cy", "override add primary @me for 2h")
	assert.Contains(t, b.lines("override cancel rrrrr2"), "it was made by cy")
	assert.Contains(t, b.says("cy", "override cancel RRRRR2").Lines[0], "`rrrrr2` is cancelled")
	assert.Equal(t, tocsin.OverrideCancelled, b.overrides[0].State)
}

// TestOverrideTimes are in the person's own zone: Madrid for ana, UTC for bo.
func TestOverrideTimes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		who, text string
		from, to  time.Time
		comment   string
	}{
		{"ana", "for 2h", now, now.Add(2 * time.Hour), ""},
		{"ana", "to 18:00 at the dentist", now, utc(10, 17, 0), "at the dentist"},
		{"bo", "to 18:00", now, utc(10, 18, 0), ""},
		{"ana", "from 18:00 to 09:00 night", utc(10, 17, 0), utc(11, 8, 0), "night"},
		{"ana", "from 18:00 for 2h from now on", utc(10, 17, 0), utc(10, 19, 0), "from now on"},
		{"ana", "from tomorrow 09:00 until mon 09:00", utc(11, 8, 0), utc(12, 8, 0), ""},
		{"ana", "from 2026-01-12 to 2026-01-19", utc(11, 23, 0), utc(18, 23, 0), ""},
		{"ana", "from in 2h to 8h", utc(10, 13, 0), utc(10, 21, 0), ""},
		// The clocks go forward on 29 March, at 02:00 in Madrid: 02:30 is not.
		{"ana", "from 2026-03-29 02:30 to 2026-03-29 09:00", time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC), time.Date(2026, 3, 29, 7, 0, 0, 0, time.UTC), ""},
	} {
		b := newBench(t)
		r := b.says(c.who, "override add primary @me "+c.text)
		require.Len(t, b.overrides, 1, "%s: %s", c.text, r.Lines)
		o := b.overrides[0]
		assert.True(t, c.from.Equal(o.From), "%s: from %s, want %s", c.text, o.From, c.from)
		assert.True(t, c.to.Equal(o.To), "%s: to %s, want %s", c.text, o.To, c.to)
		assert.Equal(t, c.comment, o.Comment, c.text)
		assert.Contains(t, b.lines("override list"), "replaces whoever is on call on `primary`")
	}
}

func TestSilences(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"alertname=NodeDown for 2h why not":                                  {"alertname=NodeDown"},
		`alertname=“Node Down”, region=~“eu-.*” for 2h why not`:              {`alertname="Node Down"`, `region=~"eu-.*"`},
		`{alertname="A", b!="C D"} for 2h "why not"`:                         {`{alertname="A", b!="C D"}`},
		`'severity=“critical”' for 2h why not`:                               {`severity="critical"`},
		`instance=<http://node.example.com|node.example.com> for 2h why not`: {"instance=node.example.com"},
		`a="say \"for\" &lt;b&gt;" for 2h why not`:                           {`a="say \"for\" <b>"`},
	} {
		b := newBench(t)
		r := b.says("ana", "silence "+text)
		require.Len(t, b.silences, 1, "%s: %s", text, r.Lines)
		s := b.silences[0]
		assert.Equal(t, want, s.Matchers, text)
		assert.Equal(t, "why not", s.Comment, text)
		assert.Equal(t, "ana", s.CreatedBy)
		assert.True(t, now.Add(2*time.Hour).Equal(s.EndsAt), s.EndsAt)
		assert.Contains(t, b.lines("silences"), "`sssss2`")
		assert.Contains(t, b.lines("silence expire SSSSS2"), "is over")
		assert.Equal(t, "Nothing is silenced.", b.lines("silences"))
		assert.Contains(t, b.lines("silences all"), "`sssss2`")
	}
}

// TestTheSameWordsAgain are done once, and answered again.
func TestTheSameWordsAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, text := range []string{
		"ack k7f3q9", "escalate k7f3q9 @bo", "note k7f3q9 seen", "page @bo the db is down", "override add primary @me for 2h",
		"silence a=b for 2h why",
	} {
		said := slack.Said{ID: "slack:Ev1:" + text, Who: "ana", Text: text, At: now}
		first, err := b.run.Run(t.Context(), said)
		require.NoError(t, err)
		again, err := b.run.Run(t.Context(), said)
		require.NoError(t, err)
		assert.Equal(t, first, again, text)
	}
	assert.Len(t, b.acted, 3)
	assert.Len(t, b.opened, 1)
	assert.Len(t, b.overrides, 1)
	assert.Len(t, b.silences, 1)
	b.says("ana", "escalate k7f3q9 @bo")
	assert.Len(t, b.acted, 4, "other words are another action")
}

// TestNotNow is an error, so that Slack sends the words again; a refusal is none.
func TestNotNow(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.trouble = tocsin.Unavailable(context.DeadlineExceeded)
	for _, text := range []string{"ack k7f3q9", "list", "show zzzzzz"} {
		_, err := b.run.Run(t.Context(), slack.Said{ID: "x", Who: "ana", Text: text, At: now})
		require.ErrorIs(t, err, tocsin.ErrUnavailable, text)
	}
}

// TestHandoffOfAll is for who is on call nowhere.
func TestHandoffOfAll(t *testing.T) {
	t.Parallel()
	lines := newBench(t).says("vi", "handoff").Lines
	assert.Equal(t, []string{"*Handoff*", "Open and not taken:", "• k7f3q9 &lt;!here&gt;"}, lines)
}

// TestHandoffShowsMatchersAsTheyAre, for somebody to copy.
func TestHandoffShowsMatchersAsTheyAre(t *testing.T) {
	t.Parallel()
	d := newDesk()
	with := deps(d)
	with.Handoff = func(context.Context, *tocsin.Principal, string) (string, error) {
		return "Silences:\n  region=~\"eu-.*\" job!~\"_a\" by bo until Sat: <!here> `x`\nSnoozes:\n  k7f3q9 *x*", nil
	}
	r, err := command.New(with).Run(t.Context(), slack.Said{Who: "vi", Text: "handoff"})
	require.NoError(t, err)
	assert.Equal(t, []string{
		"*Handoff*", "Silences:", "• `region=~\"eu-.*\" job!~\"_a\" by bo until Sat: &lt;!here&gt; ˋxˋ`", "Snoozes:", "• k7f3q9 ∗x∗",
	}, r.Lines)
}

// TestAChannelThatIsThere is named.
func TestAChannelThatIsThere(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.incidents["k7f3q9"].Deliveries = []tocsin.Delivery{{Target: tocsin.IncidentChannel, Ref: "C0ROOM001/100.1"}}
	assert.Contains(t, b.lines("channel k7f3q9"), "✅ Its own channel is <#C0ROOM001>.\n`k7f3q9` is triggered")
}

// TestInAThread the incident of the thread's message is meant.
func TestInAThread(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.incidents["k7f3q9"].Deliveries = []tocsin.Delivery{{Target: "slack:#incidents", Ref: "C1/100.1"}}
	run := func(text string) string {
		r, err := b.run.Run(t.Context(), slack.Said{ID: "slack:" + text, Who: "ana", Channel: "C1", Thread: "100.1", Text: text, At: now})
		require.NoError(t, err)
		return strings.Join(r.Lines, "\n")
	}
	assert.Contains(t, run("ack"), "`k7f3q9` is acknowledged")
	assert.Contains(t, run("note rotate the logs"), "`k7f3q9`")
	assert.Equal(t, "rotate the logs", b.acted[1].Text)
	assert.Contains(t, run("show m2x8p4"), "`m2x8p4`")
	assert.Contains(t, run("resolve k7f3q8 force"), "there is no incident", "an ID that is mistyped is no note")
	assert.Contains(t, run("runbook"), "Look at it")
	b.incidents["m2x8p4"].Deliveries = b.incidents["k7f3q9"].Deliveries
	assert.Contains(t, run("resolve force"), "there is no incident", "a digest shows several")
	assert.Len(t, b.acted, 2)
}

func TestLongLists(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for n := range 45 {
		b.open(fmt.Sprintf("bbbb%02d", n), strings.Repeat("<!channel> _x_ ", 60))
	}
	r := b.says("ana", "list")
	assert.Contains(t, r.Lines[len(r.Lines)-1], "… and 27 more: `/tocsin list open page 2`")
	bounded(t, r)
	r = b.says("ana", "list open page 3")
	assert.Len(t, r.Lines, 1+7)
	bounded(t, r)
}

// TestWhatIsNotThere: a word whose part is not wired says so.
func TestWhatIsNotThere(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.open("k7f3q9", "x")
	run := command.New(command.Deps{Actions: d, Reader: d})
	for _, text := range []string{"why k7f3q9", "oncall", "override", "handoff", "silence a=b for 2h x", "silences", "runbook", "status"} {
		r, err := run.Run(t.Context(), slack.Said{Who: "ana", Text: text})
		require.NoError(t, err)
		assert.Contains(t, r.Lines[0], "is not available here", text)
	}
	r, err := run.Run(t.Context(), slack.Said{Who: "ana", Text: "page @bo x"})
	require.NoError(t, err)
	assert.Contains(t, r.Lines[0], "there is no user")
	r, err = run.Run(t.Context(), slack.Said{Who: "ana", Text: "ack k7f3q9"})
	require.NoError(t, err)
	assert.Contains(t, r.Lines[0], "acknowledged by ana")
	assert.Empty(t, d.acted[0].ID, "words without an ID are an action without one")
}
