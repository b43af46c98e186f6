package server_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// chromium runs a real browser once, and returns what it wrote.
func chromium(t *testing.T, args ...string) (stdout, stderr string) {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium on this machine: the pages are not looked at in a real browser")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, append([]string{
		"--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars", "--disable-dev-shm-usage",
		"--enable-logging=stderr", "--user-data-dir=" + t.TempDir(),
	}, args...)...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	cmd.WaitDelay = 5 * time.Second
	require.NoError(t, cmd.Run(), log.String())
	return out.String(), log.String()
}

// pagesToSee are the pages that are looked at.
func pagesToSee() map[string]string {
	return map[string]string{
		"incidents": "/", "incident": "/incidents/k7f3q9", "remediations": "/remediations", "remediation": "/remediations/r1",
		"plan": "/incidents/k7f3q9/remedies/restart-node", "runbooks": "/runbooks", "runbook": "/runbooks/dir/file%23node-down",
		"filter-wrong": "/?q=severity%3D", "missing": "/incidents/nobody", "oncall": "/oncall",
	}
}

// The policy lets the pages' own script and style work, and the script does its
// part: in a real browser.
func TestPagesInChromium(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	w := withIncident(t, server.Config{}, func(d *server.Deps) {
		d.Remedies, d.Remediator, d.OnCall = &medicine{}, &medicine{}, &rota{}
		d.Ahead = func(*tocsin.Incident) []tocsin.Ahead { return []tocsin.Ahead{{At: now, Text: "bo by PagerDuty"}} }
	})
	w.run(t)
	dom, log := chromium(t, "--virtual-time-budget=3000", "--dump-dom", w.url("/incidents/k7f3q9"))
	assert.Contains(t, dom, `<button type="button" data-copy=`, "the script has shown the button")
	assert.NotContains(t, dom, `hidden="" data-copy`)
	for _, bad := range []string{"Refused to", "Content Security Policy", "Uncaught", "SyntaxError"} {
		assert.NotContains(t, log, bad)
	}
	dir := os.Getenv("TOCSIN_SCREENSHOTS") // a folder: leave pictures there to look at
	if dir == "" {
		return
	}
	for name, path := range pagesToSee() {
		for _, look := range []struct{ name, size, flag string }{
			{"wide-light", "1280,1400", ""},
			{"narrow-dark", "360,1600", "--force-dark-mode"},
			{"narrow-light", "360,1600", ""},
			{"wide-dark", "1280,1400", "--force-dark-mode"},
		} {
			args := []string{"--virtual-time-budget=3000", "--screenshot=" + filepath.Join(dir, name+"-"+look.name+".png"), "--window-size=" + look.size, w.url(path)}
			if look.flag != "" {
				args = append([]string{look.flag, "--blink-settings=preferredColorScheme=0"}, args...)
			}
			chromium(t, args...)
		}
	}
}
