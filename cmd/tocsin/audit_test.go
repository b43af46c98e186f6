package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// audited is the program with signed clicks and its audit log in a file, canaries
// for secrets, and a few things done to it from everywhere. The incident's ID is
// returned.
func audited(t *testing.T) (d *duty, file, id string) {
	t.Helper()
	d = newDuty(t)
	file = filepath.Join(d.dir, "audit.jsonl")
	d.write(dutyPeople, dutyPrimary, strings.ReplaceAll(dutyPolicy, "[{name: page, escalation_policy: platform}]",
		"[{name: page, escalation_policy: platform, slack_configs: [{channel: '#incidents'}]}]"), "\naudit: {file: audit.jsonl}\n")
	text := bytes.Replace(read(t, d.file), []byte("slack: {"), []byte("slack: {signing_secret: canary-signing-secret, "), 1)
	require.NoError(t, os.WriteFile(d.file, text, 0o600))
	d.start()
	d.slack.SetCallbacks(slacktest.Callbacks{Secret: "canary-signing-secret", Interactions: d.url + "/slack/interactions", Self: d.slackURL})

	id = d.open("NodeDown", "critical")
	d.eventually(func() bool { return len(d.slack.Messages("#incidents")) == 1 }, "it is told")
	_, err := d.slack.Click("#incidents", d.slack.Messages("#incidents")[0].TS, "U0BO", slack.ActionAcknowledge)
	require.NoError(t, err)
	d.do(id, tocsin.ActNote, tocsin.Action{By: "ana", Text: "through the API"})
	runCLI(t, 0, "note", id, "from a terminal", "--by", "cy", "--server.url", d.url)
	s := runCLI(t, 0, "silence", "add", "alertname=Noise", "--for", "2h", "--comment", "as typed: hunter2", "--by", "cy", "--server.url", d.url)
	runCLI(t, 0, "silence", "expire", strings.Fields(s)[1], "--server.url", d.url)
	o := d.override(tocsin.Override{Schedule: "primary", User: "bo", From: time.Now(), To: time.Now().Add(time.Hour), CreatedBy: "bo"})
	require.Equal(t, http.StatusOK, d.ask(http.MethodPost, "/api/v1/overrides/"+o.ID+"/cancel", map[string]string{"by": "ana"}, nil))
	swap := d.override(tocsin.Override{Kind: tocsin.OverrideSwap, Schedule: "primary", Replaces: "ana", From: time.Now().Add(time.Hour), To: time.Now().Add(2 * time.Hour), CreatedBy: "ana"})
	require.Equal(t, http.StatusOK, d.ask(http.MethodPost, "/api/v1/overrides/"+swap.ID+"/accept", map[string]string{"by": "cy"}, nil))
	d.override(tocsin.Override{Kind: tocsin.OverrideTimeOff, User: "bo", From: time.Now().Add(time.Hour), To: time.Now().Add(2 * time.Hour), CreatedBy: "bo"})
	runCLI(t, 0, "remediate", "stop", "--by", "cy", "--server.url", d.url)
	runCLI(t, 0, "remediate", "resume", "--by", "cy", "--server.url", d.url)
	runCLI(t, 0, "backup", filepath.Join(d.dir, "b.db"), "--server.url", d.url)
	require.NoError(t, os.WriteFile(d.file, append(text, "\ninhibit_rules: [{source_matchers: ['a=\"b\"'], target_matchers: ['a=\"c\"']}]\n"...), 0o600))
	d.reload()
	return d, file, id
}

// lines are those of an audit log.
func auditLog(t *testing.T, d *duty, args ...string) string {
	t.Helper()
	return runCLI(t, 0, append([]string{"audit", "--server.url", d.url}, args...)...)
}

// TestAuditTellsWhoFromWhereWhat does things from everywhere: the log has who did
// them, from where, what before and after, and no secret.
func TestAuditTellsWhoFromWhereWhat(t *testing.T) {
	t.Parallel()
	d, file, id := audited(t)
	text := auditLog(t, d, "--all")
	for _, want := range []string{
		`opened +` + id + ` +- \(Alertmanager from 127\.0\.0\.1\)`,
		`acknowledged +` + id + ` +bo \(Slack\)`,
		`note +` + id + ` +\S+ \(API from 127\.0\.0\.1\) +through the API`,
		`note +` + id + ` +\S+ \(terminal from 127\.0\.0\.1\) +from a terminal`,
		`silence +\S+ \(terminal from 127\.0\.0\.1\) +silence \w+ of alertname=Noise made by`,
		`silence +\S+ \(terminal from 127\.0\.0\.1\) +silence \w+ of alertname=Noise ended by`,
		`after \{"id":"\w+","matchers":\["alertname=.*as typed: hunter2`,
		`override +\S+ \(API from 127\.0\.0\.1\) +override \w+ made by bo`,
		`before \{"id":"\w+","kind":"replace"`,
		`override +cy \(API from 127\.0\.0\.1\) +swap \w+ accepted by cy`,
		`override +bo \(API from 127\.0\.0\.1\) +time off \w+ made by bo`,
		`switch +cy \(terminal from 127\.0\.0\.1\) +all remedies stopped by cy`,
		`switch +cy \(terminal from 127\.0\.0\.1\) +all remedies let go by cy
 +before \{"stopped":true`,
		`system +- +Tocsin dev started\n +after [0-9a-f]{16}`,
		`system +.*terminal from 127\.0\.0\.1\) +a backup was taken`,
		`change +.*\(API from 127\.0\.0\.1\) +Tocsin configuration reloaded: inhibit_rules changed\n +before [0-9a-f]{16}\n +after [0-9a-f]{16}`,
	} {
		assert.Regexp(t, want, text)
	}
	assert.NotContains(t, auditLog(t, d, "--kind", "silence"), "opened")
	assert.Contains(t, auditLog(t, d, "--actor", "bo"), "acknowledged")
	assert.Empty(t, auditLog(t, d, "--since", "+1h"))
	assert.Len(t, strings.Split(strings.TrimSpace(auditLog(t, d, "--last", "3", "--output", "json")), "\n"), 3)

	verified := auditLog(t, d, "--verify")
	assert.Contains(t, verified, "verified: ")
	_, head, _ := strings.Cut(strings.TrimSpace(verified), "head: ")
	runCLI(t, 0, "note", id, "one more", "--server.url", d.url)
	assert.Contains(t, auditLog(t, d, "--verify", "--head", head), "was that of record")
	assert.Contains(t, runCLI(t, 1, "audit", "--verify", "--head", strings.Repeat("0", 63)+"1", "--server.url", d.url), "NOT VERIFIED")
	assert.Contains(t, runCLI(t, 1, "audit", "--verify", "--db", filepath.Join(d.dir, "data")), "a running tocsin has it open")
	assert.Contains(t, runCLI(t, 0, "audit", "--verify", "--db", filepath.Join(d.dir, "b.db")), "verified")

	d.stop()
	written := string(read(t, file))
	assert.Contains(t, written, `"Tocsin stopped"`)
	for _, secret := range []string{"canary-signing-secret", "canary"} {
		assert.NotContains(t, written, secret)
	}
}

// TestAuditFindsTampering changes the store, and the file, of a stopped program.
func TestAuditFindsTampering(t *testing.T) {
	t.Parallel()
	d, file, _ := audited(t)
	d.stop()
	db := filepath.Join(d.dir, "data", "tocsin.db")
	assert.Contains(t, runCLI(t, 0, "audit", "--verify", "--db", db), "verified")
	assert.Contains(t, runCLI(t, 0, "audit", "--verify", "--file", file), "verified")

	runCLI(t, 0, "restore", filepath.Join(d.dir, "b.db"), "--config.file", d.file, "--force")
	assert.Contains(t, runCLI(t, 0, "audit", "--verify", "--db", db), "verified")
	d.start()
	assert.Regexp(t, `system +\S+ \(terminal\) +the store was restored from b\.db`, auditLog(t, d))
	require.Eventually(t, func() bool {
		aside, err := filepath.Glob(file + ".until-*")
		return err == nil && len(aside) == 1
	}, time.Minute, 10*time.Millisecond, "the file had what the backup has not")
	d.stop()

	store := read(t, db)
	forged := bytes.Replace(store, []byte(`"text":"through the API"`), []byte(`"text":"through the ABI"`), 1)
	require.NotEqual(t, store, forged)
	require.NoError(t, os.WriteFile(db, forged, 0o600))
	assert.Contains(t, runCLI(t, 1, "audit", "--verify", "--db", db), "NOT VERIFIED: record")

	lines := bytes.SplitAfter(read(t, file), []byte("\n"))
	for what, forged := range map[string][][]byte{
		"changed":   append([][]byte{bytes.Replace(lines[0], []byte(`"seq":1`), []byte(`"seq":1 `), 1)}, lines[1:]...),
		"taken out": append([][]byte{lines[0]}, lines[2:]...),
		"swapped":   append([][]byte{lines[1], lines[0]}, lines[2:]...),
		"doubled":   append([][]byte{lines[0]}, lines...),
	} {
		path := filepath.Join(t.TempDir(), "forged.jsonl")
		require.NoError(t, os.WriteFile(path, bytes.Join(forged, nil), 0o600))
		assert.Contains(t, runCLI(t, 1, "audit", "--verify", "--file", path), "NOT VERIFIED", what)
		_, err := documentedScript(t, path)
		assert.Error(t, err, what)
	}
	out, err := documentedScript(t, file)
	require.NoError(t, err, out)
	assert.Contains(t, out, "verified up to record")
}

// documentedScript verifies a file with the script of docs/audit.md.
func documentedScript(t *testing.T, path string) (string, error) {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed; the documented script is not checked")
	}
	var code string
	for _, m := range fences.FindAllStringSubmatch(string(read(t, "../../docs/audit.md")), -1) {
		if m[1] == "python" {
			code = m[2]
		}
	}
	require.NotEmpty(t, code)
	in, err := os.Open(path)
	require.NoError(t, err)
	defer in.Close()
	cmd := exec.CommandContext(t.Context(), python, "-c", code)
	cmd.Stdin = in
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestAuditDocument runs the commands of docs/audit.md and loads its
// configuration.
func TestAuditDocument(t *testing.T) {
	t.Parallel()
	d, file, id := audited(t)
	_, head, _ := strings.Cut(strings.TrimSpace(auditLog(t, d, "--verify")), "head: ")
	d.eventually(func() bool { _, err := os.Stat(file); return err == nil }, "the file is begun")
	require.NoError(t, os.Rename(file, file+".1"))
	runCLI(t, 0, "note", id, "into the new file", "--server.url", d.url)
	d.eventually(func() bool { b, err := os.ReadFile(file); return err == nil && bytes.Count(b, []byte("\n")) > 1 }, "a new file")
	ran := 0
	for _, m := range fences.FindAllStringSubmatch(string(read(t, "../../docs/audit.md")), -1) {
		switch m[1] {
		case "yaml":
			_, _, err := config.Load(configWith(t, m[2]))
			require.NoError(t, err)
		case "sh":
			for line := range strings.Lines(m[2]) {
				args := strings.Fields(strings.NewReplacer(strings.Repeat("0", 64), head, "audit.jsonl", file, "data/tocsin.db", filepath.Join(d.dir, "b.db")).Replace(line))[1:]
				assert.NotEmpty(t, runCLI(t, 0, append(args, "--server.url", d.url)...), line)
				ran++
			}
		}
	}
	assert.Equal(t, 8, ran)
}

func configWith(t *testing.T, text string) string {
	path := filepath.Join(t.TempDir(), "tocsin.yml")
	require.NoError(t, os.WriteFile(path, []byte(text+"\nroute: {receiver: hook}\nreceivers: [{name: hook, webhook_configs: [{url: 'http://127.0.0.1:1/'}]}]\n"), 0o600))
	return path
}

// TestAuditFollows prints what happens as it does.
func TestAuditFollows(t *testing.T) {
	t.Parallel()
	d, _, id := audited(t)
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, []string{"audit", "--follow", "--last", "1", "--server.url", d.url}, w, io.Discard)
		_ = w.Close()
	}()
	d.do(id, tocsin.ActNote, tocsin.Action{By: "ana", Text: "seen at once"})
	var seen bytes.Buffer
	for b := make([]byte, 4096); !strings.Contains(seen.String(), "seen at once"); {
		n, err := r.Read(b)
		require.NoError(t, err)
		seen.Write(b[:n])
	}
	assert.Equal(t, 1, strings.Count(seen.String(), "seen at once"))
	cancel()
	_ = r.Close()
	<-done
}
