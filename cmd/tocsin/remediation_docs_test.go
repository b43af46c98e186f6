package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/runbooks/remediation"
)

// What docs/remediation.md shows can be loaded, and its commands run.
func TestRemediationDocument(t *testing.T) {
	t.Parallel()
	cure, sum := remedyScript(t, "restart-node", "#!/bin/sh\nexit 0\n")
	text := string(read(t, "../../docs/remediation.md"))
	d := newDuty(t)
	d.with(dutyPeople, dutyPrimary, dutyPolicy, "\nremediations: [{name: restart-node, command: ['"+cure+"'], sha256: "+sum+
		", parameters: [{name: node, label: instance}], matchers: ['alertname=\"NodeDown\"'], sandbox: {require: none}}]\n")
	id := d.open("NodeDown", "critical")
	ran, loaded := 0, 0
	for _, m := range fences.FindAllStringSubmatch(text, -1) {
		switch m[1] {
		case "yaml":
			file := filepath.Join(t.TempDir(), "tocsin.yml")
			whole := m[2] + "\nroute: {receiver: hook}\nreceivers: [{name: hook, webhook_configs: [{url: 'http://127.0.0.1:1/'}]}]\n"
			require.NoError(t, os.WriteFile(file, []byte(whole), 0o600))
			cfg, warnings, err := config.Load(file)
			require.NoError(t, err)
			assert.Empty(t, warnings)
			_, err = remediation.NewRules(wireRemedies(cfg))
			require.NoError(t, err)
			loaded++
		case "sh":
			for line := range strings.Lines(m[2]) {
				line, _, _ = strings.Cut(line, " #")
				words := strings.Fields(strings.ReplaceAll(line, "k7f3q9", id))
				if len(words) < 2 {
					continue
				}
				args := words[1:]
				if words[2] != "sandbox" {
					args = append(args, "--server.url", d.url)
				}
				assert.NotEmpty(t, runCLI(t, 0, args...), line)
				ran++
			}
		}
	}
	assert.Equal(t, 1, loaded)
	assert.Equal(t, 6, ran)
}
