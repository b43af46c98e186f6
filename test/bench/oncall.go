package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// escalatedConfig has one person on call. The receiver's own keys and the delay
// of the first step differ.
const escalatedConfig = `
server: {listen: "%s"}
storage: {path: data, min_free: 0, ballast: 0}
slack: {bot_token: xoxb-bench, api_url: "%s/api/", rate_limit: 0}
users: [{name: ana, slack: U0ANA}, {name: boss, slack: U0BOSS}]
schedules:
  - {name: primary, notify_shifts: false, layers: [{name: weekly, users: [ana], rotation: {unit: weeks, start: '2026-01-05'}}]}
escalation_policies:
  - {name: night, steps: [{after: %s, notify: [{schedule: primary}]}], repeat_after: 24h, last_resort: [{user: boss}]}
route: {receiver: page, group_by: [alertname, instance]}
receivers: [{name: page, %s}]
`

const (
	toPolicy  = "escalation_policy: night"
	toChannel = `slack_configs: [{channel: "#bench"}]`
)

func startEscalated(ctx context.Context, o options, s *sink, dir, after string, receiver ...string) (*process, error) {
	for _, name := range []string{"ana", "boss"} {
		s.slack.AddUser(slacktest.User{ID: "U0" + strings.ToUpper(name), Name: name})
	}
	return startWith(ctx, o, dir, func(addr string) string {
		return fmt.Sprintf(escalatedConfig, addr, s.URL, after, strings.Join(receiver, ", "))
	})
}

// figure reads one metric, written with its labels.
func (p *process) figure(name string) (float64, error) {
	resp, err := http.Get(p.base + "/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, lines.Err()
}

// deadlines opens incidents whose first step comes later, stops the process
// until all of them are overdue, and lets it go on: all fall due in the same
// instant.
func deadlines(ctx context.Context, o options) error {
	const wait = 15 * time.Second
	return with(func(s *sink, dir string) error {
		p, err := startEscalated(ctx, o, s, dir, wait.String(), toPolicy)
		if err != nil {
			return err
		}
		_, fifty := stormBodies(o.n)
		first, err := postAll(ctx, p.url, o.connections, fifty)
		if err != nil {
			return errors.Join(err, p.stop())
		}
		opened := time.Now()
		if opened.Sub(first) >= wait {
			return errors.Join(errors.New("opening the incidents took so long that their deadlines passed"), p.stop())
		}
		if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			return err
		}
		time.Sleep(time.Until(opened.Add(wait + time.Second)))
		due, before := time.Now(), p.cpu()
		if err := p.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			return err
		}
		err = p.steps(ctx, o, s, due, before)
		return errors.Join(err, p.stop())
	})
}

// steps waits until every step is committed, and until every person was told.
func (p *process) steps(ctx context.Context, o options, s *sink, due time.Time, before time.Duration) error {
	const escalated = `tocsin_escalations_total{kind="escalated"}`
	for time.Since(due) < time.Minute {
		n, err := p.figure(escalated)
		if err != nil {
			return err
		}
		if int(n) >= o.n {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	committed, cpu := time.Since(due), p.cpu()-before
	last, err := s.wait(ctx, int64(o.n))
	if err != nil {
		return err
	}
	n, err := p.figure(escalated)
	if err != nil {
		return err
	}
	fmt.Printf("%d steps due at once       %8.2f s to the last commit (at most 2), %.0f ms CPU, messages and all   %.2f s to the last message   %.0f steps in all\n",
		o.n, committed.Seconds(), float64(cpu)/float64(time.Millisecond), last.Sub(due).Seconds(), n)
	return nil
}

// escalatedStorm is the storm with a channel, with a policy that waits beside the
// channel, and with a policy that pages at once in its place.
func escalatedStorm(ctx context.Context, o options) error {
	single, _ := stormBodies(o.n)
	var plain result
	for _, variant := range []struct {
		name, after string
		receiver    []string
	}{
		{"channel", "1h", []string{toChannel}},
		{"and a policy", "1h", []string{toChannel, toPolicy}},
		{"policy alone", "0s", []string{toPolicy}},
	} {
		if err := with(func(s *sink, dir string) error {
			p, err := startEscalated(ctx, o, s, dir, variant.after, variant.receiver...)
			if err != nil {
				return err
			}
			r, err := measureStorm(ctx, o, s, p, single)
			if err == nil {
				r.print(variant.name)
				if plain.rate == 0 {
					plain = r
				}
				fmt.Printf("%-14s %8.2f x rate   %.2f x CPU   %.2f x memory\n", "", r.rate/plain.rate, r.cpu/plain.cpu, r.peak/plain.peak)
			}
			return errors.Join(err, p.stop())
		}); err != nil {
			return err
		}
	}
	return nil
}

// escalatedIncidents is many-incidents, each of which pages somebody and waits
// for an answer.
func escalatedIncidents(ctx context.Context, o options) error {
	return with(func(s *sink, dir string) error {
		p, err := startEscalated(ctx, o, s, dir, "0s", toPolicy)
		if err != nil {
			return err
		}
		err = growth(ctx, o, s, p, 100_000)
		goal, err1 := p.figure("go_memstats_next_gc_bytes")
		percent, err2 := p.figure("go_gc_gogc_percent")
		fmt.Printf("resident with all called  %8.0f MiB (of it anonymous %.0f); about %.0f live after the last collection\n",
			p.memory("VmRSS"), p.memory("RssAnon"), goal/(1+percent/100)/(1<<20))
		if err := errors.Join(err, err1, err2, p.stop()); err != nil {
			return err
		}
		began := time.Now()
		if p, err = startEscalated(ctx, o, s, dir, "0s", toPolicy); err != nil {
			return err
		}
		fmt.Printf("ready after a restart in  %8.2f s   (at most 3)   resident %.0f MiB\n", time.Since(began).Seconds(), p.memory("VmRSS"))
		return p.stop()
	})
}

// onCall times the commands over 50 schedules of five layers and 20 policies,
// beside commands that do nothing but start.
func onCall(ctx context.Context, o options) error {
	return with(func(s *sink, dir string) error {
		p, err := startWith(ctx, o, dir, func(addr string) string { return manySchedules(addr, s.URL) })
		if err != nil {
			return err
		}
		file := filepath.Join(dir, "tocsin.yml")
		err = errors.Join(
			command(ctx, o, p, "start of a process", "version"),
			command(ctx, o, p, "who is on call now", "oncall", "--server.url", p.base),
			command(ctx, o, p, "52 weeks (at most 200)", "oncall", "--for", "52w", "--server.url", p.base),
			command(ctx, o, p, "52 weeks as JSON", "oncall", "--for", "52w", "-o", "json", "--server.url", p.base),
			command(ctx, o, p, "proof of 8 weeks (at most 1000)", "oncall", "verify", "--weeks", "8", "--server.url", p.base),
			command(ctx, o, p, "the same, of the file", "oncall", "verify", "--weeks", "8", "--config.file", file),
			command(ctx, o, p, "check of the file", "check", "--config.file", file),
		)
		return errors.Join(err, p.stop())
	})
}

// command runs tocsin a few times and prints the median and the range; and of the
// processor time, which a busy machine does not stretch as much, the median of its own
// and the mean of the server's.
func command(ctx context.Context, o options, server *process, name string, args ...string) error {
	var took, own []time.Duration
	before := server.cpu()
	var out bytes.Buffer
	for range 7 {
		out.Reset()
		c := exec.CommandContext(ctx, o.tocsin, args...)
		c.Stdout, c.Stderr = &out, &out
		c.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
		began := time.Now()
		if err := c.Run(); err != nil {
			return fmt.Errorf("tocsin %s: %w\n%s", strings.Join(args, " "), err, out.Bytes()[:min(out.Len(), 2000)])
		}
		took, own = append(took, time.Since(began)), append(own, c.ProcessState.UserTime()+c.ProcessState.SystemTime())
	}
	slices.Sort(took)
	slices.Sort(own)
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	fmt.Printf("%-32s %6.0f ms (%.0f-%.0f)   CPU %.0f ms and %.0f of the server   %d KiB of output\n",
		name, ms(took[3]), ms(took[0]), ms(took[6]), ms(own[3]), ms(server.cpu()-before)/float64(len(took)), out.Len()>>10)
	return nil
}

// manySchedules is a configuration with 50 schedules of five layers in five time
// zones, and 20 policies over them.
func manySchedules(addr, slackURL string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `
server: {listen: "%s"}
storage: {path: data, min_free: 0, ballast: 0}
slack: {bot_token: xoxb-bench, api_url: "%s/api/", rate_limit: 0}
users:
`, addr, slackURL)
	names := []string{"ana", "bo", "cy", "di", "eve", "fay", "gus", "hal"}
	zones := []string{"Europe/Madrid", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"}
	for n, name := range names {
		fmt.Fprintf(&b, "  - {name: %s, slack: U0%s, time_zone: %s}\n", name, strings.ToUpper(name), zones[n%len(zones)])
	}
	fmt.Fprintf(&b, "teams: [{name: leads, users: [%s]}]\nschedules:\n", strings.Join(names[:3], ", "))
	for n := range 50 {
		fmt.Fprintf(&b, `  - name: s%d
    time_zone: %s
    notify_shifts: false
    holidays: {dates: ['2026-12-25', '2027-01-01', '2027-05-01', '2027-12-25']}
    layers:
      - {name: weekly, users: [ana, bo, cy, di], rotation: {unit: weeks, start: '2026-01-05', handoff: '09:%02d'}}
      - {name: hours, priority: 1, users: [eve, fay, gus], rotation: {unit: days, start: '2026-01-05'}, restrictions: [{weekdays: ['monday:friday'], start_time: '09:00', end_time: '17:00'}]}
      - {name: nights, priority: 2, users: [bo, hal], rotation: {unit: hours, length: 12, start: '2026-01-05'}, restrictions: [{weekdays: [saturday, sunday], start_time: '22:00', end_time: '06:00'}]}
      - {name: holidays, priority: 3, users: [hal, cy], rotation: {unit: days, start: '2026-01-05'}, 'on': holidays}
      - {name: learners, shadow: true, users: [gus, fay], rotation: {unit: weeks, length: 2, start: '2026-01-05'}}
`, n, zones[n%len(zones)], n)
	}
	b.WriteString("escalation_policies:\n")
	for n := range 20 {
		fmt.Fprintf(&b, `  - name: p%d
    steps:
      - {notify: [{schedule: s%d}]}
      - {after: 15m, notify: [{schedule: s%d}], when: {severities: [critical, error]}}
      - {after: 15m, notify: [{schedule: s%d}, {team: leads}], when: {weekdays: ['monday:friday'], start_time: '09:00', end_time: '17:00'}}
    last_resort: [{team: leads}]
    urgency: {high: [critical, error], support_hours: {severities: [warning], weekdays: ['monday:friday'], start_time: '09:00', end_time: '17:00', time_zone: Europe/Madrid}}
`, n, n, (n+20)%50, (n+40)%50)
	}
	b.WriteString("route: {receiver: r0}\nreceivers:\n")
	for n := range 20 {
		fmt.Fprintf(&b, "  - {name: r%d, escalation_policy: p%d}\n", n, n)
	}
	return b.String()
}
