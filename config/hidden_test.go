package config_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/config"
)

func TestWhatIsToBeHiddenIsKnown(t *testing.T) {
	t.Setenv("TOCSIN_TEST_API_KEY", "key-of-a-remedy")
	cfg, _, err := config.Parse("tocsin.yml", []byte(`
server: {intake_tokens: [intake-token-1], api_tokens: ['ana:ana-token-1']}
slack: {bot_token: xoxb-the-bot-token, signing_secret: short}
route: {receiver: hook}
receivers:
  - name: hook
    webhook_configs: [{url: "http://127.0.0.1:8080/?key=hidden", basic_auth: {username: u, password: a-password-of-a-hook}}]
remediations:
  - name: cure
    command: [/opt/cure]
    sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    environment: ['API_KEY=${TOCSIN_TEST_API_KEY}', 'HOME=/tmp']
    matchers: ['a="b"']
`))
	require.NoError(t, err)
	var got []string
	for _, s := range cfg.Hidden {
		got = append(got, s.Reveal())
	}
	assert.Equal(t, "http://127.0.0.1:8080/?key=hidden", got[0], "the longest first")
	assert.ElementsMatch(t, []string{
		"http://127.0.0.1:8080/?key=hidden", "a-password-of-a-hook", "xoxb-the-bot-token", "ana-token-1", "key-of-a-remedy", "intake-token-1",
	}, got)
	assert.NotContains(t, fmt.Sprintf("%+v", cfg.Hidden), "token", "they are shown nowhere themselves")
}
