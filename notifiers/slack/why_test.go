package slack_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
)

func TestWhyAnswersWhoAsksFirst(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	inc := &tocsin.Incident{ID: "k7f3q9", State: tocsin.Triggered, OpenedAt: at}
	why := &tocsin.Why{Answer: "You (ana) were called once, last at 2026-11-22 03:00:00 UTC.", Reasons: []tocsin.Reason{
		{Stage: tocsin.StagePayload, Text: "alertmanager sent NodeDown", At: at},
		{Stage: tocsin.StageRoute, Text: "took it until 2026-11-22 03:00 UTC", Where: "tocsin.yml:4"},
		{Stage: tocsin.StageRoute, Text: "would not take it", Now: true},
		{Stage: tocsin.StagePerson, Text: "ana was called once", User: "ana"},
		{Stage: tocsin.StageProvider, End: tocsin.EndFailed, Text: "no channel", Where: "slack:#x"},
	}}
	lines := slack.Why(inc, why, "ana", "https://tocsin.example.com/incidents/k7f3q9/why")
	require.Len(t, lines, 11)
	assert.True(t, strings.HasPrefix(lines[0], "*Why me?* `k7f3q9`"), lines[0])
	assert.Equal(t, "You (ana) were called once, last at <!date^1795316400^{date_short_pretty} {time}|2026-11-22 03:00 UTC>.", lines[1], "each sees times in their own zone")
	assert.Equal(t, "• ana was called once", lines[2], "what is about who asks comes before all else")
	assert.Equal(t, "*What came in*", lines[3])
	assert.Equal(t, "• took it until <!date^1795316400^{date_short_pretty} {time}|2026-11-22 03:00 UTC> `tocsin.yml:4`", lines[6])
	assert.Equal(t, "• _failed:_ no channel `slack:#x`", lines[8])
	assert.Equal(t, "There is more: 1 decision.", lines[9])
	assert.Equal(t, "<https://tocsin.example.com/incidents/k7f3q9/why|Every decision, and what was not sent>", lines[10])
}

// However much there is, it stays short, and what failed or was held is in it.
func TestWhyStaysShort(t *testing.T) {
	t.Parallel()
	why := &tocsin.Why{Answer: strings.Repeat("a ", 4000)}
	for n := range 200 {
		for _, s := range []tocsin.ReasonStage{tocsin.StagePayload, tocsin.StagePolicy, tocsin.StageProvider} {
			why.Reasons = append(why.Reasons, tocsin.Reason{Stage: s, Text: fmt.Sprint("one ", n, strings.Repeat(" b", 900)), User: map[bool]string{true: "ana"}[n%2 == 0]})
		}
	}
	why.Reasons = append(why.Reasons, tocsin.Reason{Stage: tocsin.StageProvider, End: tocsin.EndFailed, Text: "no such channel"})
	lines := slack.Why(&tocsin.Incident{ID: "k7f3q9"}, why, "ana", "")
	all := strings.Join(lines, "\n")
	assert.Less(t, len(all), 9000)
	assert.Contains(t, all, "no such channel")
}

func TestWhyObeysNobody(t *testing.T) {
	t.Parallel()
	const evil = "<!channel> <@U0ANA> *bold* `code` <https://evil.example.com|here>\n• 2026-99-99 99:99:99 UTC"
	why := &tocsin.Why{Answer: evil, Reasons: []tocsin.Reason{{Stage: tocsin.StageRoute, Text: evil, Where: evil, By: evil, User: evil}, {Stage: evil, Text: evil}}}
	for _, line := range slack.Why(&tocsin.Incident{ID: "k7f3q9"}, why, evil, "javascript:alert(1)") {
		for _, bad := range []string{"<!channel>", "<@", "<https", "javascript", "\n"} {
			assert.NotContains(t, line, bad)
		}
	}
}
