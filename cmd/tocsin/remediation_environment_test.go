package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
)

// A label called PATH or LD_PRELOAD never becomes the environment, not even where
// it is a parameter: a started remedy has the declared environment and no more.
func TestALabelNeverBecomesTheEnvironment(t *testing.T) {
	t.Parallel()
	cure, sum := remedyScript(t, "cure", "#!/bin/sh\necho \"argument: $1\"\nexport -p\n")
	d := newDuty(t)
	d.with(dutyPeople, dutyPrimary, dutyPolicy, fmt.Sprintf(`
remediations:
  - name: cure
    command: ['%s', '{{path}}']
    sha256: %s
    parameters: [{name: node, label: instance}, {name: path, label: PATH}, {name: ld_preload, label: LD_PRELOAD}]
    environment: ['DECLARED=yes']
    matchers: ['alertname="NodeDown"']
    mode: auto
    sandbox: {require: none}
`, cure, sum))
	labels := map[string]string{"alertname": "NodeDown", "instance": "a", "severity": "critical"}
	for _, name := range []string{"PATH", "LD_PRELOAD", "LD_LIBRARY_PATH", "BASH_ENV", "ENV", "IFS", "DECLARED", "HOME"} {
		labels[name] = "/tmp/evil"
	}
	code, body := d.post(t, "/webhook/alertmanager", webhookBody(t, demoAlert{Status: "firing", Labels: labels}))
	require.Equal(t, 200, code, body)
	d.eventually(func() bool { return len(d.incidents(t)) == 1 }, "it opens")
	run := d.theRun(d.incidents(t)[0].ID, tocsin.RemediationVerified, tocsin.RemediationNotFixed, tocsin.RemediationUnknown, tocsin.RemediationRefused)
	shown := runCLI(t, 0, "remediate", "show", run.ID, "--server.url", d.url)
	require.Contains(t, shown, "argument: /tmp/evil", "it has run, with the label's value as an argument")
	assert.Contains(t, shown, "export DECLARED='yes'")
	for line := range strings.Lines(shown) {
		if _, variable, ok := strings.Cut(line, "export "); ok {
			assert.NotContains(t, variable, "evil", shown)
		}
	}
}
