package config_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/config"
)

func parse(t *testing.T, src string) (*config.Config, config.Warnings) {
	t.Helper()
	cfg, warnings, err := config.Parse("tocsin.yml", []byte(src))
	require.NoError(t, err)
	return cfg, warnings
}

// TestTokensOfAnEmulator have whatever form it gives them.
func TestTokensOfAnEmulator(t *testing.T) {
	t.Parallel()
	cfg, _ := parse(t, `slack: {bot_token: xapp-1, app_token: xoxb-1, api_url: "http://127.0.0.1:9912/api/"}
route: {receiver: s}
receivers: [{name: s, slack_configs: [{channel: "#a"}]}]
`)
	assert.Equal(t, "xapp-1", cfg.Slack.BotToken.Reveal())
}

func TestFullOnCall(t *testing.T) {
	setEnv(t)
	cfg, _, err := config.Load("testdata/good/full.yml")
	require.NoError(t, err)
	minutes := func(n int) config.Duration { return config.Duration(time.Duration(n) * time.Minute) }

	assert.Equal(t, "calendar-token-of-the-full-example", cfg.Server.CalendarToken.Reveal())
	assert.Equal(t, "https://api.eu.pagerduty.com", cfg.PagerDuty.APIURL, "without its last slash")
	assert.Equal(t, "pagerduty-api-token-1", cfg.PagerDuty.APIToken.Reveal())
	assert.Equal(t, "smtp password", cfg.SMTP.Password.Reveal())

	ana := cfg.Users[0]
	assert.Equal(t, "0123456789abcdef0123456789abcdef", ana.PagerDutyRoutingKey.Reveal())
	assert.Equal(t, []config.Contact{
		{By: config.BySlack}, {By: config.ByPagerDuty, After: minutes(2)}, {By: config.ByEmail, After: minutes(5)},
	}, ana.Contacts)
	assert.Equal(t, []config.Contact{{By: config.BySlack}}, ana.LowUrgencyContacts)
	from, to := ana.QuietHours[0].Minutes()
	assert.Equal(t, []int{22 * 60, 7 * 60}, []int{from, to})
	assert.Equal(t, uint8(0b0111110), ana.QuietHours[0].Days())
	from, to = ana.QuietHours[1].Minutes()
	assert.Equal(t, []int{0, 0}, []int{from, to}, "the whole day")
	assert.Equal(t, uint8(0b1000001), ana.QuietHours[1].Days())

	s := cfg.Schedules[0]
	weekly := s.Layers[0]
	assert.Equal(t, []string{"ana", "bo", "ana"}, weekly.Users)
	assert.Equal(t, &config.Rotation{
		Unit: config.UnitWeeks, Length: 1, Start: config.Date{Year: 2026, Month: time.January, Day: 5}, Handoff: 9 * 60,
	}, weekly.Rotation)
	assert.Equal(t, uint8(0b1100011), weekly.Restrictions[0].Days(), "friday to monday")
	assert.Equal(t, config.UnitMonths, s.Layers[1].Rotation.Unit)
	assert.Equal(t, config.OnHolidays, s.Layers[1].On)
	assert.Equal(t, config.OnEveryDay, weekly.On)
	assert.Equal(t, "https://calendar.example.com/oncall.ics?key=k", s.Layers[4].Feed.URL.Reveal())
	assert.Equal(t, []string{"layer 5", "layer 6", "imported"}, []string{s.Layers[4].Name, s.Layers[5].Name, s.Layers[6].Name})
	assert.Equal(t, "testdata/good/shifts.ics", s.Layers[5].CalendarFile)
	assert.Equal(t, "testdata/good/holidays.ics", s.Holidays.CalendarFile)
	assert.Equal(t, []config.Date{{Year: 2026, Month: 12, Day: 25}, {Year: 2027, Month: 1, Day: 1}}, s.Holidays.Dates)
	assert.Equal(t, "full.yml:205", s.Pos)

	p := cfg.EscalationPolicies[0]
	assert.Equal(t, []tocsin.Severity{tocsin.Critical}, p.Steps[2].When.Severities)
	hours := p.Steps[2].When.Window()
	assert.Equal(t, uint8(0b0111110), hours.Days())
	always := p.Steps[0].When.Window()
	assert.True(t, always.Always())
	assert.False(t, hours.Always())
	assert.Equal(t, config.Acknowledgement{RemindAfter: minutes(45), ReturnAfter: minutes(120)}, p.Acknowledgement)
	assert.Equal(t, []tocsin.Severity{tocsin.Error, tocsin.Warning}, p.Urgency.SupportHours.Severities)
	assert.Equal(t, "platform", cfg.Receivers[1].EscalationPolicy)
	assert.Equal(t, "platform@example.com", cfg.Receivers[1].EmailConfigs[0].To)
}

const onCall = `
slack: {bot_token: xoxb-1}
users:
  - {name: ana, slack: U0ANA, email: ana@example.com, pagerduty_routing_key: 0123456789abcdef0123456789abcdef}
schedules:
  - {name: primary, layers: [{users: [ana], rotation: {start: "2026-01-05"}}]}
escalation_policies:
  - {name: platform, steps: [{notify: [{schedule: primary}]}], last_resort: [{user: ana}]}
route: {receiver: hook}
receivers:
  - name: hook
    escalation_policy: platform
`

func TestOnCallDefaults(t *testing.T) {
	t.Parallel()
	cfg, warnings := parse(t, onCall)
	assert.Empty(t, warnings)
	ana := cfg.Users[0]
	assert.Equal(t, "UTC", ana.TimeZone)
	assert.Equal(t, []config.Contact{{By: config.BySlack}, {By: config.ByPagerDuty}}, ana.Contacts, "there is no mail server")
	assert.Equal(t, ana.Contacts, ana.LowUrgencyContacts)
	s := cfg.Schedules[0]
	assert.Equal(t, "UTC", s.TimeZone)
	assert.True(t, s.NotifyShifts)
	assert.Equal(t, config.Handoff{Otherwise: config.HandOver}, s.Handoff)
	assert.Equal(t, "layer 1", s.Layers[0].Name)
	assert.Equal(t, 9*60, int(s.Layers[0].Rotation.Handoff))
	p := cfg.EscalationPolicies[0]
	assert.Equal(t, 15*time.Minute, p.LastResortEvery.Std())
	assert.Equal(t, 15*time.Minute, p.RepeatAfter.Std())
	assert.Equal(t, 45*time.Minute, p.Acknowledgement.RemindAfter.Std())
	assert.Equal(t, time.Hour, p.Acknowledgement.ReturnAfter.Std())
	assert.Equal(t, []tocsin.Severity{tocsin.Critical, tocsin.Error}, p.Urgency.High)
	assert.Nil(t, p.Urgency.SupportHours)

	cfg, _ = parse(t, onCall+"smtp: {host: localhost, from: tocsin@example.com}")
	assert.Equal(t, []config.Contact{{By: config.BySlack}, {By: config.ByPagerDuty}, {By: config.ByEmail}}, cfg.Users[0].Contacts)
}

func TestReminderFollowsTheReturn(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]config.Acknowledgement{
		"{return_after: 20m}":                   {RemindAfter: config.Duration(15 * time.Minute), ReturnAfter: config.Duration(20 * time.Minute)},
		"{return_after: 0}":                     {},
		"{return_after: 0, remind_after: 1h}":   {RemindAfter: config.Duration(time.Hour)},
		"{return_after: 20m, remind_after: 0s}": {ReturnAfter: config.Duration(20 * time.Minute)},
	} {
		cfg, _ := parse(t, `
slack: {bot_token: xoxb-1}
users: [{name: ana, slack: U0ANA}]
escalation_policies:
  - name: platform
    steps: [{notify: [{user: ana}]}]
    last_resort: [{user: ana}]
    acknowledgement: `+text+minimal)
		assert.Equal(t, want, cfg.EscalationPolicies[0].Acknowledgement, text)
	}
}

func TestPortFollowsTLS(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"": 587, ", tls: implicit": 465, ", tls: none": 25, ", tls: none, port: 2525": 2525,
	} {
		cfg, _ := parse(t, "smtp: {host: localhost, from: tocsin@example.com"+text+"}"+minimal)
		assert.Equal(t, want, cfg.SMTP.Port, text)
	}
}

func TestOnCallWarnings(t *testing.T) {
	t.Parallel()
	_, warnings := parse(t, `
slack: {bot_token: xoxb-1}
smtp: {host: smtp.example.com, from: tocsin@example.com, tls: none}
calendars: {allow_private: [8.8.8.0/24, 0.0.0.0/0]}
users:
  - {name: ana, slack: U0ANA, email: same@example.com, pagerduty_routing_key: short1}
  - {name: bo, slack: U0BO, email: same@example.com, pagerduty_routing_key: short1}
  - {name: spare, slack: U0SPARE}
teams: [{name: leads, users: [bo]}]
schedules:
  - name: primary
    handoff: {otherwise: outgoing_stays}
    layers:
      - {name: top, priority: 1, users: [ana, bo], rotation: {start: "2026-01-05", length: 60}}
      - {name: below, users: [bo], rotation: {start: "2999-01-01"}, on: workdays}
  - {name: unused, layers: [{users: [ana], rotation: {start: "2026-01-05"}}]}
  - name: feast
    holidays: {dates: ["2020-12-25"]}
    layers: [{users: [ana], rotation: {start: "2026-01-05"}, on: holidays}]
    user_group: S0FEAST
escalation_policies:
  - name: platform
    steps:
      - {notify: [{schedule: primary}], when: {severities: [critical, error], time_zone: UTC}, after: 25h}
    last_resort: [{user: ana}]
    urgency: {high: [critical], support_hours: {severities: [critical]}}
  - name: unused
    steps: [{notify: [{user: ana}]}]
    last_resort: [{user: ana}]
    urgency: {high: []}
route: {receiver: hook}
receivers:
  - {name: hook, escalation_policy: platform}
`)
	want := []string{
		`3:63: tls: without it everybody on the way to "smtp.example.com" can read the mail`,
		"4:29: allow_private: 8.8.8.0/24 is not a private network",
		"4:41: allow_private: 0.0.0.0/0 is not a private network",
		"6:79: pagerduty_routing_key does not look like one",
		`7:36: email: "ana" has this address too`,
		"7:77: pagerduty_routing_key does not look like one",
		`7:77: pagerduty_routing_key: "ana" has the same`,
		`8:12: user "spare" is on no schedule, team or escalation policy`,
		`9:16: team "leads" is called by no escalation policy and has no receiver or schedule`,
		"12:26: otherwise means nothing without acknowledge_within",
		"14:92: length: a turn of 60 weeks is longer than a year",
		`15:9: layer "below" covers only while people of layer "top" are away`,
		"15:54: start: nobody is on call by this rotation before 2999-01-01",
		"15:73: on: the schedule has no holidays, so that this is every day",
		`16:12: schedule "unused" is called by no escalation policy`,
		"19:66: on: all holidays have been, the last on 2020-12-25",
		"24:7: no step is for severity warning, info",
		"24:90: time_zone means nothing without",
		"24:103: after: 1d1h is more than a day",
		"26:62: severity critical is urgent at any hour already",
		`27:11: escalation policy "unused" is named by no receiver`,
		"30:21: high is empty: nothing is urgent",
	}
	require.Len(t, warnings, len(want), warnings.String())
	for i, w := range want {
		assert.Contains(t, warnings[i].String(), w)
	}
}

// TestTeamsThatOwn are used, and people who may do nothing are told of.
func TestTeamsThatOwn(t *testing.T) {
	t.Parallel()
	cfg, warnings := parse(t, `slack: {bot_token: xoxb-1}
users:
  - {name: ana, slack: U0ANA, role: none}
  - {name: bo, slack: U0BO, role: none}
teams: [{name: db, users: [ana]}, {name: web, users: [ana], role: viewer}]
schedules: [{name: primary, team: web, layers: [{name: a, users: [bo], rotation: {unit: weeks, start: 2026-01-05}}]}]
escalation_policies: [{name: p, steps: [{notify: [{schedule: primary}]}], last_resort: [{user: ana}]}]
route: {receiver: hook}
receivers: [{name: hook, team: db, escalation_policy: p, slack_configs: [{channel: "#a"}]}]
`)
	require.Len(t, warnings, 1, warnings.String())
	assert.Contains(t, warnings[0].Text, `user "bo" has the role none and is on no team`)
	assert.Equal(t, "responder", cfg.Teams[0].Role)
	assert.Equal(t, []string{"db", "web"}, []string{cfg.Receivers[0].Team, cfg.Schedules[0].Team})
}

func TestPeopleOfCalendarsAreUsed(t *testing.T) {
	t.Parallel()
	_, warnings := parse(t, `
pagerduty: {api_token: token-of-pagerduty}
slack: {bot_token: xoxb-1}
users:
  - {name: ana, slack: U0ANA, pagerduty_user: PANA}
  - {name: bo, slack: U0BO}
  - {name: cy, pagerduty_user: PCY}
schedules:
  - {name: primary, layers: [{name: pd, pagerduty_schedule: P123ABC}], user_group: S0ONCALL}
`+minimal)
	require.Len(t, warnings, 2, warnings.String())
	assert.Contains(t, warnings[0].Text, `user "bo" is on no schedule`)
	assert.Contains(t, warnings[1].Text, `user "cy" may come on call and cannot be reached`)
}
