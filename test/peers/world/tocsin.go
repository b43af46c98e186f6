package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

//go:embed tocsin.yml runbooks
var files embed.FS

// process is the binary under test.
type process struct {
	cmd      *exec.Cmd
	url, log string
}

// start runs the binary on a free port until it is ready.
func start(ctx context.Context, binary, dir, slackURL, pagerdutyURL string) (*process, error) {
	binary, err := filepath.Abs(binary) // it runs in dir
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	if err := os.CopyFS(dir, files); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "tocsin.yml")
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	filled := strings.NewReplacer("LISTEN", addr, "SLACK_URL", slackURL, "PAGERDUTY_URL", pagerdutyURL, "BOT_TOKEN", botToken,
		"SIGNING_SECRET", signingSecret, "ROUTING_KEY", routingKey, "API_TOKEN", apiToken).Replace(string(text))
	if err := os.WriteFile(file, []byte(filled), 0o600); err != nil {
		return nil, err
	}
	p := &process{url: "http://" + addr, log: filepath.Join(dir, "tocsin.log")}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	// It is stopped by stop, after those who still speak to it.
	p.cmd = exec.CommandContext(context.WithoutCancel(ctx), binary, "serve", "--config.file", file, "--log.level", "info")
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, log, log
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
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/-/ready", http.NoBody)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// stop ends the binary, and fails if it did not end well.
func (p *process) stop() error {
	timer := time.AfterFunc(20*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it has ended already: Wait says how
	return p.cmd.Wait()
}
