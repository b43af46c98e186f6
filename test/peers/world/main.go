// Command world is what the vendors' own clients of test/peers meet: the emulators
// of Slack and PagerDuty and the real binary between them, on loopback ports. It
// prints one line of JSON that says where everything is, takes what people do in
// Slack as JSON (POST /do/VERB), and ends with its standard input.
package main

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
	"github.com/tocsin-oncall/tocsin/test/leak"
)

// The secrets of this world, with the mark by which package leak knows them.
const (
	botToken      = "xoxb-canary-tocsin"
	peerToken     = "xoxb-canary-peer"
	narrowToken   = "xoxb-canary-narrow"
	revokedToken  = "xoxb-canary-revoked"
	signingSecret = "canary31b10e8888abcd99yyyzzz85a5"
	routingKey    = "canary0123456789abcdef0123456789"
	apiToken      = "canary-pd-token"
	appToken      = "xapp-canary-peer"
	// tocsinAppToken is Tocsin's own, and serviceKey that of a service it pages.
	tocsinAppToken = "xapp-canary-tocsin"
	serviceKey     = "canary9876543210fedcba9876543210"
	// patience is the emulator's, instead of Slack's 3 seconds.
	patience = time.Minute
)

func main() {
	binary := flag.String("tocsin", "bin/tocsin", "the binary under test")
	socket := flag.Bool("socket", false, "Tocsin speaks Socket Mode, and has no signing secret")
	folder := flag.String("folder", "", "where tocsin.yml and what it names is, instead of what is built in")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, stop = context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // its end is all that counts
		stop()
	}()
	if err := run(ctx, settings{binary: *binary, socket: *socket, folder: *folder}, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// world is everything that runs.
type world struct {
	slack     *slacktest.Server
	pagerduty *pagerdutytest.Server
	sent      recorder
	slackURL  string

	mu       sync.Mutex
	settings settings
	tocsin   *process
}

// process is the binary as it now runs.
func (w *world) process() *process {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.tocsin
}

// restart ends the binary and starts it again, on another port.
func (w *world) restart(ctx context.Context) (url string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.tocsin.stop(); err != nil {
		return "", err
	}
	p, err := start(ctx, w.settings)
	if err != nil {
		return "", err
	}
	w.tocsin = p
	return p.url, nil
}

// front is where Tocsin is, wherever that is now, for those who speak https alone.
func (w *world) front() *httptest.Server {
	return httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		if target, err := url.Parse(w.process().url); err == nil {
			r.SetURL(target)
		}
	}})
}

// places says where everything is, and what opens it.
type places struct {
	Control   string `json:"control"`
	Slack     string `json:"slack"`
	Tocsin    string `json:"tocsin"`
	PagerDuty string `json:"pagerduty"`
	// TocsinTLS and PagerDutyTLS are hosts with ports, for clients that speak
	// https alone; Certificate is theirs.
	TocsinTLS    string `json:"tocsinTLS"`
	PagerDutyTLS string `json:"pagerdutyTLS"`
	Certificate  string `json:"certificate"`
	// Log is the file that Tocsin logs to.
	Log string `json:"log"`

	PeerToken     string `json:"peerToken"`
	NarrowToken   string `json:"narrowToken"`
	RevokedToken  string `json:"revokedToken"`
	SigningSecret string `json:"signingSecret"`
	RoutingKey    string `json:"routingKey"`
	APIToken      string `json:"apiToken"`
	AppToken      string `json:"appToken"`
}

// run serves until ctx ends.
func run(ctx context.Context, s settings, out io.Writer) (err error) {
	if s.dir, err = os.MkdirTemp("", "tocsin-peers-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(s.dir)) }()
	defer func() { err = errors.Join(err, leak.Files(s.dir)) }() // all that Tocsin leaves: its log too
	w := &world{
		slack: slacktest.New(slacktest.WithAutoCreate(), slacktest.WithPatience(patience), slacktest.WithToken(botToken), slacktest.WithToken(peerToken),
			slacktest.WithToken(appToken, "connections:write"), slacktest.WithToken(tocsinAppToken, "connections:write"), slacktest.WithToken(narrowToken, "chat:write", "channels:read"), slacktest.WithToken(revokedToken)),
		pagerduty: pagerdutytest.New(pagerdutytest.Config{APIToken: apiToken, KeepBodies: true}),
	}
	w.populate()
	slack := httptest.NewServer(w.sent.record(w.slack))
	defer slack.Close()
	defer w.slack.Close()
	pagerduty, pagerdutyTLS := httptest.NewServer(w.pagerduty), httptest.NewTLSServer(w.pagerduty)
	defer pagerduty.Close()
	defer pagerdutyTLS.Close()
	w.slackURL, s.slackURL, s.pagerdutyURL = slack.URL, slack.URL, pagerduty.URL
	p, err := start(ctx, s)
	if err != nil {
		return err
	}
	w.settings, w.tocsin = s, p
	defer func() { err = errors.Join(err, w.process().stop()) }()
	front := w.front()
	defer front.Close()
	control := httptest.NewServer(http.HandlerFunc(w.serve))
	defer control.Close()
	err = json.NewEncoder(out).Encode(places{
		Control: control.URL, Slack: slack.URL, Tocsin: p.url, PagerDuty: pagerduty.URL, Log: p.log,
		TocsinTLS: strings.TrimPrefix(front.URL, "https://"), PagerDutyTLS: strings.TrimPrefix(pagerdutyTLS.URL, "https://"),
		Certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})),
		PeerToken:   peerToken, NarrowToken: narrowToken, RevokedToken: revokedToken, SigningSecret: signingSecret,
		RoutingKey: routingKey, APIToken: apiToken, AppToken: appToken,
	})
	if err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// populate fills the workspace and the account.
func (w *world) populate() {
	for id, name := range map[string]string{"U0ANA": "ana", "U0BO": "bo", "U0CY": "cy", "U0DEE": "dee", "U0STRANGER": "stranger"} {
		w.slack.AddUser(slacktest.User{ID: id, Name: name, RealName: name, Email: name + "@example.com", TimeZone: "Europe/Madrid"})
	}
	w.slack.AddUserGroup(slacktest.UserGroup{ID: "S0ONCALL", Handle: "oncall", Name: "On call", Users: []string{"U0CY"}})
	w.slack.AddChannel("peers")
	w.slack.AddChannel("archived")
	w.slack.SetArchived("archived", true)
	w.slack.AddChannel("elsewhere")
	w.slack.SetMember("elsewhere", false)
	w.slack.RevokeToken(revokedToken)
	reference := func(id, kind, summary string) pagerdutytest.Reference {
		return pagerdutytest.Reference{ID: id, Type: kind, Summary: summary}
	}
	var calls []pagerdutytest.OnCall
	for n := range 30 {
		calls = append(calls, pagerdutytest.OnCall{
			User: reference(fmt.Sprintf("PUSER%02d", n), "user_reference", "Ana"), EscalationLevel: 1,
			EscalationPolicy: reference("PPOLICY", "escalation_policy_reference", "Platform"),
		})
	}
	w.pagerduty.SetOnCalls(calls...)
}
