package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tocsin-oncall/tocsin/config"
)

// What is shown of an output while it is being written may end in the middle of a
// secret of several lines, and one secret may begin with another.
func TestSecretsAreHiddenWhereverTheyEnd(t *testing.T) {
	t.Parallel()
	key := "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n}\n-----END PRIVATE KEY-----\n"
	hide := hiding([]config.Secret{config.NewSecret("hunter2"), config.NewSecret(""), config.NewSecret("hunter2-and-more"), config.NewSecret(key)})
	assert.Equal(t, "<secret>|<secret>|a } b", hide.Replace("hunter2-and-more|hunter2|a } b"))
	assert.Equal(t, "before <secret>after", hide.Replace("before "+key+"after"))
	for at := range key {
		for _, text := range []string{key[:at], "  " + strings.ReplaceAll(key[:at], "\n", "\r\n  ")} {
			whole := text[:strings.LastIndex(text, "\n")+1] // the last line is held back until it is whole
			shown := hide.Replace(whole)
			for _, piece := range []string{"MIIEvQ", "BKcwgg", "PRIVATE"} {
				assert.NotContains(t, shown, piece)
			}
		}
	}
}
