package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

//go:embed tocsin.yml runbooks
var builtIn embed.FS

// startWithin and stopWithin are generous: the machine may be busy with much else.
const (
	startWithin = 2 * time.Minute
	stopWithin  = time.Minute
)

// listening is where Tocsin logs the port that it was given.
var listening = regexp.MustCompile(`"?msg"?[=:]"?tocsin is listening"?.*"?address"?[=:]"?([0-9.]+:[0-9]+)`)

// settings are what a start needs.
type settings struct {
	binary, dir            string
	slackURL, pagerdutyURL string
	// socket: what people do in Slack comes by Socket Mode, and there is no signing
	// secret.
	socket bool
	// folder has the files; "": those built in.
	folder string
}

// files are what the binary runs with.
func (s settings) files() fs.FS {
	if s.folder != "" {
		return os.DirFS(s.folder)
	}
	return builtIn
}

// write makes the configuration.
func (s settings) write() (file string, err error) {
	if err := os.CopyFS(s.dir, s.files()); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	text, err := fs.ReadFile(s.files(), "tocsin.yml")
	if err != nil {
		return "", err
	}
	wayIn := "signing_secret: " + signingSecret
	if s.socket {
		wayIn = "app_token: " + tocsinAppToken
	}
	filled := strings.NewReplacer("SLACK_URL", s.slackURL, "PAGERDUTY_URL", s.pagerdutyURL, "BOT_TOKEN", botToken,
		"WAY_IN", wayIn, "ROUTING_KEY", routingKey, "SERVICE_KEY", serviceKey, "API_TOKEN", apiToken).Replace(string(text))
	file = filepath.Join(s.dir, "tocsin.yml")
	return file, os.WriteFile(file, []byte(filled), 0o600)
}

// process is the binary under test.
type process struct {
	cmd       *exec.Cmd
	url, log  string
	file, dir string
}

// start runs the binary on a port that it is given until it is ready.
func start(ctx context.Context, s settings) (*process, error) {
	binary, err := filepath.Abs(s.binary) // it runs in the folder
	if err != nil {
		return nil, err
	}
	file, err := s.write()
	if err != nil {
		return nil, err
	}
	p := &process{log: filepath.Join(s.dir, "tocsin.log"), file: file, dir: s.dir}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	// It is stopped by stop, after those who still speak to it.
	p.cmd = exec.CommandContext(context.WithoutCancel(ctx), binary, "serve", "--config.file", file, "--log.level", "info")
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = s.dir, log, log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	if err := p.ready(ctx); err != nil {
		said, _ := os.ReadFile(p.log) // without it the error has to do
		return nil, errors.Join(fmt.Errorf("%s did not become ready: %w\n%s", binary, err, said), p.stop())
	}
	return p, nil
}

func (p *process) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for !p.answers(ctx) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

// answers reports whether the binary has said where it is, and is ready there.
func (p *process) answers(ctx context.Context) bool {
	said, err := os.ReadFile(p.log)
	found := listening.FindSubmatch(said)
	if err != nil || found == nil {
		return false
	}
	p.url = "http://" + string(found[1])
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/-/ready", http.NoBody)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// reload has the binary take a configuration in which text is replaced.
func (p *process) reload(before, after string) error {
	text, err := os.ReadFile(p.file)
	if err != nil {
		return err
	}
	if !strings.Contains(string(text), before) {
		return fmt.Errorf("the configuration does not say %q", before)
	}
	if err := os.WriteFile(p.file, []byte(strings.ReplaceAll(string(text), before, after)), 0o600); err != nil {
		return err
	}
	resp, err := http.Post(p.url+"/-/reload", "", http.NoBody)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the reload: HTTP %d", resp.StatusCode)
	}
	return nil
}

// stop ends the binary, and fails if it did not end well.
func (p *process) stop() error {
	timer := time.AfterFunc(stopWithin, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it has ended already: Wait says how
	return p.cmd.Wait()
}
