package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/deploy/demo"
	shipped "github.com/tocsin-oncall/tocsin/deploy/remedies"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

type demoCmd struct {
	Once      bool            `help:"Play the script to its end without waiting, print a summary, and exit 0 only if everything arrived."`
	Pause     config.Duration `default:"2500ms" help:"How long to wait between two scenes; with --once not at all."`
	Listen    string          `default:"127.0.0.1:9911" help:"Where Tocsin listens."`
	Slack     string          `default:"127.0.0.1:9912" help:"Where the emulated Slack listens; its page is there."`
	PagerDuty string          `name:"pagerduty" default:"127.0.0.1:9913" help:"Where the emulated PagerDuty listens; its page is there."`
	Nodes     string          `default:"127.0.0.1:9914" help:"Where what starts and stops the demo's nodes listens."`
	Level     string          `name:"log.level" default:"error" enum:"debug,info,warn,error" help:"What Tocsin logs: ${enum}."`
}

// demoKey is the routing key in the demo's configuration.
const demoKey = "00000000000000000000000000000001"

// demoSecret signs what is clicked in the demo's Slack.
const demoSecret = "demo-signing-secret"

// stage is where the demo plays: the emulators, the program, a folder.
type stage struct {
	slack     *slacktest.Server
	pagerduty *pagerdutytest.Server
	chain     chain
	watcher   *watcher
	app       *App
	url       string
	slackURL  string
	out       io.Writer
	pause     time.Duration
	started   time.Time
}

// Help is shown by --help.
func (demoCmd) Help() string { return "Example: tocsin demo --once" }

// Run plays the script.
func (c *demoCmd) Run(ctx context.Context, e *env) error {
	log, err := newLogger(e.err, c.Level, "text")
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "tocsin-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if c.Once {
		c.Listen, c.Slack, c.PagerDuty, c.Nodes = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var g errgroup.Group
	s, err := c.build(ctx, dir, e.out, log, &g)
	if err != nil {
		stop()
		return errors.Join(explainBusy(err), g.Wait())
	}
	defer s.chain.stop()
	err = s.play(ctx, c)
	stop()
	werr := g.Wait()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil
	}
	return errors.Join(err, werr, s.app.Close())
}

func explainBusy(err error) error {
	if err != nil && bytes.Contains([]byte(err.Error()), []byte("address already in use")) {
		return fmt.Errorf("%w; is another demo running? choose other ports with --listen, --slack, --pagerduty and --nodes", err)
	}
	return err
}

// build starts the nodes, the emulators and the program.
func (c *demoCmd) build(ctx context.Context, dir string, out io.Writer, log *slog.Logger, g *errgroup.Group) (*stage, error) {
	s := &stage{
		slack: slacktest.New(slacktest.WithAutoCreate()), pagerduty: pagerdutytest.New(pagerdutytest.Config{}), chain: newChain(),
		out: out, started: time.Now(),
	}
	for id, name := range demoPeople {
		s.slack.AddUser(slacktest.User{ID: id, Name: name, RealName: name})
	}
	if !c.Once {
		s.pause = c.Pause.Std()
	}
	slackAddr, err := serveHTTP(ctx, g, c.Slack, s.slack)
	if err != nil {
		return nil, err
	}
	pdAddr, err := serveHTTP(ctx, g, c.PagerDuty, s.pagerduty)
	if err != nil {
		return nil, err
	}
	nodes := http.NewServeMux()
	nodes.Handle("/api/v1/", s.chain.prometheus())
	nodes.Handle("/", s.chain.supervisor())
	nodesAddr, err := serveHTTP(ctx, g, c.Nodes, nodes)
	if err != nil {
		return nil, err
	}
	if err := writeDemoFiles(dir, nodesAddr); err != nil {
		return nil, err
	}
	for name, value := range map[string]string{
		"DEMO_LISTEN": c.Listen, "DEMO_DATA": filepath.Join(dir, "data"),
		"DEMO_SLACK": "http://" + slackAddr, "DEMO_PAGERDUTY": "http://" + pdAddr,
		"DEMO_YESTERDAY": time.Now().AddDate(0, 0, -1).Format(time.DateOnly),
	} {
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
	}
	if s.app, err = NewApp(ctx, filepath.Join(dir, "tocsin.yml"), log); err != nil {
		return nil, err
	}
	g.Go(func() error { return s.app.Run(ctx) })
	s.url, s.slackURL = "http://"+s.app.Addr(), "http://"+slackAddr
	s.slack.SetCallbacks(slacktest.Callbacks{
		Secret: demoSecret, Interactions: s.url + "/slack/interactions",
		Commands: s.url + "/slack/commands", Events: s.url + "/slack/events", Self: s.slackURL,
	})
	if err := s.chain.start(); err != nil {
		s.chain.stop()
		return nil, err
	}
	s.watcher = &watcher{chain: s.chain, post: s.post, log: log, client: scrapeClient()}
	g.Go(func() error { return s.watcher.run(ctx) })
	s.introduce(pdAddr, nodesAddr)
	return s, nil
}

// introduce says where to look.
func (s *stage) introduce(pdAddr, nodesAddr string) {
	fmt.Fprintf(s.out, "Tocsin              %-24s incidents with their runbooks, who is on call, remedies, silences, insights; /status is for the public\n", s.url)
	fmt.Fprintf(s.out, "emulated Slack      %-24s the channels as a person sees them; what can be clicked there can be clicked\n", s.slackURL)
	fmt.Fprintf(s.out, "emulated PagerDuty  http://%-17s its incidents\n", pdAddr)
	fmt.Fprintf(s.out, "seven nodes         http://%-17s servers on this machine; what starts and stops them, and answers for Prometheus\n", nodesAddr)
	fmt.Fprintf(s.out, "from a terminal     tocsin incidents --server.url %s\n\n", s.url)
}

// serveHTTP serves h until ctx ends.
func serveHTTP(ctx context.Context, g *errgroup.Group, addr string, h http.Handler) (string, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "", err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	g.Go(func() error {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		return srv.Close()
	})
	return l.Addr().String(), nil
}

// writeDemoFiles writes the configuration, the runbooks and the script into a folder,
// with the addresses of this demo.
func writeDemoFiles(dir, nodes string) error {
	_, port, err := net.SplitHostPort(nodes)
	if err != nil {
		return err
	}
	scripts := filepath.Join(dir, "remedies")
	here := strings.NewReplacer("/usr/local/lib/tocsin/", scripts+"/", "http://127.0.0.1:9914", "http://"+nodes, "[9914]", "["+port+"]")
	err = fs.WalkDir(demo.Files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := demo.Files.ReadFile(path)
		if err != nil {
			return err
		}
		if path == "tocsin.yml" {
			data = []byte(here.Replace(string(data)))
		}
		return writeDemoFile(filepath.Join(dir, filepath.FromSlash(path)), data, 0o644)
	})
	if err != nil {
		return err
	}
	script, err := shipped.Files.ReadFile("restart-node")
	if err != nil {
		return err
	}
	return writeDemoFile(filepath.Join(scripts, "restart-node"), script, 0o755)
}

func writeDemoFile(path string, data []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, data, mode)
}

// play runs the scenes one after the other, each until its effect is seen, and
// unless it is to be over then leaves an incident to whoever watches.
func (s *stage) play(ctx context.Context, c *demoCmd) error {
	follow, stop := context.WithCancel(ctx)
	defer stop()
	var g errgroup.Group
	g.Go(func() error { return s.follow(follow) })
	for _, sc := range script() {
		fmt.Fprintf(s.out, "%s  == %s\n", s.clock(), sc.title)
		if err := sc.act(ctx, s); err != nil {
			return errors.Join(fmt.Errorf("%q: %w", sc.title, err), stopAnd(stop, &g))
		}
		if err := s.until(ctx, sc.title, sc.seen); err != nil {
			return errors.Join(err, stopAnd(stop, &g))
		}
		if err := sleep(ctx, s.pause); err != nil {
			return errors.Join(err, stopAnd(stop, &g))
		}
	}
	if err := s.until(ctx, "nothing lags", func(s *stage) bool { return s.app.store.Stats().Lagging == 0 }); err != nil {
		return errors.Join(err, stopAnd(stop, &g))
	}
	if err := s.summary(); err != nil || c.Once {
		return errors.Join(err, stopAnd(stop, &g))
	}
	if err := s.leave(ctx); err != nil {
		return errors.Join(err, stopAnd(stop, &g))
	}
	<-ctx.Done()
	return stopAnd(stop, &g)
}

// leave opens an incident for whoever watches.
func (s *stage) leave(ctx context.Context) error {
	fmt.Fprintf(s.out, "\nThe script is over, and one more node goes down: that one is yours. Everything keeps running; stop with Ctrl-C.\n")
	fmt.Fprintf(s.out, "In %s/?channel=incidents approve its remedy, click its buttons, tick its steps, type /tocsin help.\n", s.slackURL)
	fmt.Fprintf(s.out, "Beside it, %s shows the same, live: its plan ahead, why it paged (Why), who is on call next week, what the silence hides.\n\n", s.url)
	if err := s.left(ctx); err != nil {
		return err
	}
	_, err := fmt.Fprintf(s.out, "%s  == node-ap-south-1 is down, and waits for you\n", s.clock())
	return err
}

func stopAnd(stop func(), g *errgroup.Group) error {
	stop()
	return g.Wait()
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// patience is how long a scene may take to have its effect.
const patience = 30 * time.Second

// until waits for a scene's effect.
func (s *stage) until(ctx context.Context, what string, seen func(*stage) bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for !seen(s) {
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			if errors.Is(err, context.DeadlineExceeded) {
				return fmt.Errorf("%q did not have its effect within %s", what, patience)
			}
			return err
		}
	}
	return nil
}

// follow prints the events of all incidents as they happen.
func (s *stage) follow(ctx context.Context) error {
	var after uint64
	for {
		events, err := s.app.store.Log(context.WithoutCancel(ctx), after, 100)
		if err != nil {
			return err
		}
		for i := range events {
			after = events[i].Seq
			s.print(&events[i])
		}
		if len(events) > 0 {
			continue
		}
		if sleep(ctx, 50*time.Millisecond) != nil {
			return nil
		}
	}
}

func (s *stage) print(e *tocsin.Event) {
	fmt.Fprintf(s.out, "%s     %-6s  %-16s %s\n", s.clock(), e.Incident, cmp.Or(e.Target, string(e.Kind)), e.Text)
}

func (s *stage) clock() string {
	return fmt.Sprintf("%6.2fs", time.Since(s.started).Seconds())
}
