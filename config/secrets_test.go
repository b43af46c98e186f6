package config_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/config"
)

func TestSecretsAreFoundEverywhere(t *testing.T) {
	t.Parallel()
	cfg, _, err := config.Parse("tocsin.yml", []byte(`
server: {intake_tokens: [intake-token-1], api_tokens: ['ana:ana-token-1']}
slack: {bot_token: xoxb-the-bot-token, signing_secret: short}
route: {receiver: hook}
receivers:
  - name: hook
    webhook_configs: [{url: "http://127.0.0.1:8080/?key=hidden", basic_auth: {username: u, password: a-password-of-a-hook}}]
`))
	require.NoError(t, err)
	assert.Equal(t, []string{
		"http://127.0.0.1:8080/?key=hidden", "a-password-of-a-hook", "xoxb-the-bot-token", "ana-token-1", "intake-token-1",
	}[0], cfg.Secrets()[0], "the longest first")
	assert.ElementsMatch(t, []string{
		"http://127.0.0.1:8080/?key=hidden", "a-password-of-a-hook", "xoxb-the-bot-token", "ana-token-1", "intake-token-1",
	}, cfg.Secrets())
}
