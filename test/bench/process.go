package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a program under measurement.
type process struct {
	cmd  *exec.Cmd
	dir  string
	base string
	// url takes alerts.
	url  string
	logs bytes.Buffer
}

// start runs a program and waits until url answers ready.
func start(ctx context.Context, dir, ready string, argv ...string) (*process, error) {
	p := &process{dir: dir, cmd: exec.CommandContext(ctx, argv[0], argv[1:]...)}
	p.cmd.Dir = dir
	p.cmd.Stdout, p.cmd.Stderr = &p.logs, &p.logs
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = 10 * time.Second
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	deadline := time.Now().Add(60 * time.Second)
	for {
		resp, err := http.Get(ready)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return p, nil
			}
		}
		if time.Now().After(deadline) {
			return nil, errors.Join(fmt.Errorf("%s did not become ready:\n%s", argv[0], &p.logs), p.stop())
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil
	}
	return err
}

// cpu is the processor time used so far by all threads that live.
func (p *process) cpu() time.Duration {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.cmd.Process.Pid))
	var total time.Duration
	for _, t := range tasks {
		b, err := os.ReadFile(t)
		if err != nil {
			continue
		}
		ns, _ := strconv.ParseInt(strings.Fields(string(b))[0], 10, 64)
		total += time.Duration(ns)
	}
	return total
}

// memory is a line of /proc/PID/status in MiB: VmRSS, VmHWM, RssAnon.
func (p *process) memory(field string) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			kb, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb / 1024
		}
	}
	return 0
}

// freePort is a port that was free a moment ago.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

const tocsinConfig = `
server: {listen: "%s"}
storage: {path: data, min_free: 0, ballast: 0}
slack: {bot_token: xoxb-bench, api_url: "%s/api/", rate_limit: 0}
route: {receiver: chat, group_by: [%s]}
receivers: [{name: chat, slack_configs: [{channel: "#bench"}]}]
`

// startTocsin runs tocsin in dir, which may hold the data of an earlier run.
func startTocsin(ctx context.Context, o options, dir, slackURL, groupBy string) (*process, error) {
	return startWith(ctx, o, dir, func(addr string) string { return fmt.Sprintf(tocsinConfig, addr, slackURL, groupBy) })
}

// startWith runs tocsin with the configuration that config makes for an address.
func startWith(ctx context.Context, o options, dir string, config func(addr string) string) (*process, error) {
	addr, err := freePort()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "tocsin.yml")
	if err := os.WriteFile(file, []byte(config(addr)), 0o600); err != nil {
		return nil, err
	}
	binary, err := filepath.Abs(o.tocsin)
	if err != nil {
		return nil, err
	}
	p, err := start(ctx, dir, "http://"+addr+"/-/ready", binary, "serve", "--config.file", file, "--log.level", "error")
	if err != nil {
		return nil, err
	}
	p.base = "http://" + addr
	p.url = p.base + "/webhook/alertmanager"
	return p, nil
}

const alertmanagerConfig = `
route: {receiver: chat, group_by: [alertname, instance], group_wait: 0s, group_interval: 5m}
receivers: [{name: chat, slack_configs: [{api_url: "%s/services/T/B/x", channel: "#bench", send_resolved: false, text: '{{ .CommonAnnotations.summary }}'}]}]
`

func startAlertmanager(ctx context.Context, o options, dir, slackURL string) (*process, error) {
	addr, err := freePort()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "alertmanager.yml")
	if err := os.WriteFile(file, fmt.Appendf(nil, alertmanagerConfig, slackURL), 0o600); err != nil {
		return nil, err
	}
	p, err := start(ctx, dir, "http://"+addr+"/-/ready", o.alertmanager, "--config.file", file, "--storage.path", filepath.Join(dir, "am"),
		"--web.listen-address", addr, "--cluster.listen-address", "", "--log.level", "error")
	if err != nil {
		return nil, err
	}
	p.url = "http://" + addr + "/api/v2/alerts"
	return p, nil
}
