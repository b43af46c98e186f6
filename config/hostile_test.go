package config_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/config"
)

func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// A file at the limits of what is read takes seconds at the worst, even on a
// busy machine: quadratic work would take minutes.
func TestLargeFilesAreRefusedSoon(t *testing.T) {
	t.Parallel()
	for name, src := range map[string]string{
		"nested":       strings.Repeat("[", 500_000),
		"unknown keys": numbered("key%d: 1\n", 20_000),
		"routes":       "route:\n  receiver: x\n  routes: [" + strings.Repeat("{},", 100_000) + "]\n",
		"some routes":  "route:\n  receiver: x\n  routes: [" + strings.Repeat("{},", 20_000) + "]\n",
		"same labels":  "inhibit_rules: [{equal: [" + strings.Repeat("a1,", 20_000) + "]}]\n",
		"group_by":     "route:\n  receiver: x\n  group_by:\n" + numbered("  - k%d\n", 20_000),
		"tokens":       "server:\n  api_tokens:\n" + numbered("  - tokentok%d\n", 20_000),
		"bad tokens":   "server:\n  intake_tokens:\n" + numbered("  - token tok%d\n", 20_000),
		"receivers":    "receivers:\n" + numbered("- name: r%d\n", 8_000) + "route:\n  receiver: x\n  routes:\n" + strings.Repeat("  - receiver: r\n", 4_000),
		"users":        "users:\n" + numbered("- {name: u%d, slack: U%[1]d}\n", 8_000),
		"same users":   "users:\n" + strings.Repeat("- {name: u, slack: U0, email: a}\n", 8_000),
		"team":         "users:\n" + numbered("- {name: usr%d}\n", 999) + "teams: [{name: t, users: [" + numbered("usx%d,", 40_000) + "]}]\n",
		"zones":        "users:\n" + numbered("- {name: u%d, time_zone: Mars/Base%[1]d}\n", 8_000),
		"quiet hours":  "users: [{name: u, quiet_hours: [" + strings.Repeat("{weekdays: [monday]},", 12_000) + "]}]\n",
		"layers":       "schedules: [{name: s, layers: [" + strings.Repeat("{users: [u]},", 10_000) + "]}]\n",
		"steps":        "escalation_policies: [{name: p, steps: [" + strings.Repeat("{notify: [{user: u}]},", 8_000) + "]}]\n",
		"policies":     "escalation_policies:\n" + numbered("- {name: p%d, last_resort: [{team: t%[1]d}]}\n", 6_000),
		"networks":     "calendars: {allow_private: [" + strings.Repeat("10.0.0.0/8,", 20_000) + "]}\ntime_off_calendars: [" + strings.Repeat("{url: 'http://[::1]/'},", 6_000) + "]\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			_, _, err := config.Parse("tocsin.yml", []byte(src))
			t.Log(time.Since(start))
			require.Error(t, err)
			assert.Less(t, time.Since(start), 4*time.Minute, "what takes quadratic time takes hours")
		})
	}
}
