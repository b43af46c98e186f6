package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/tocsin-oncall/tocsin"
)

// routeChange is what a route changes, and what the audit log is to hold of it.
type routeChange struct {
	// path and body of the request, made when all is ready for it. A path that is not
	// set is the route's own.
	do func(*changer) (path string, body any)
	// by does it in a way of its own, as providers do that sign.
	by func(*changer)
	// kind of the event, actor and origin; empty: dora, and the page or the API from
	// this machine.
	kind          tocsin.EventKind
	actor, origin string
	// before and after are true where the event has them.
	before, after bool
}

// noActor is the actor of what Tocsin, or a sender, does.
const noActor = "-"

// changesNothing are routes that change nothing that the audit log is for.
var changesNothing = map[string]string{
	"POST /heartbeat/{name}":   "a sign of life changes nothing; that there is none opens an incident, which is logged",
	"POST /webhook/sns/{name}": "takes only what Amazon's own key has signed: its package's tests send it; where from is asserted below",
	"POST /slack/events":       "answers what is mentioned and unfurls links: it shows, and changes nothing",
	"POST /audit/verify":       "reads the audit log",
}

// TestEveryChangeIsInTheAuditLog does a real change through every route that is not
// only read: the log has who did it, from where, and what was before and after. A
// route without an entry fails.
func TestEveryChangeIsInTheAuditLog(t *testing.T) {
	t.Parallel()
	c := newChanger(t)
	all := routeChanges()
	for _, route := range c.routes() {
		want, listed := all[route]
		if why := changesNothing[route]; why != "" {
			assert.False(t, listed, route)
			continue
		}
		if !assert.True(t, listed, "%s has no entry: say in routeChanges what it changes, or in changesNothing why nothing", route) {
			continue
		}
		delete(all, route)
		c.hold(route, &want)
	}
	assert.Empty(t, all, "these are no routes")
	for path := range map[string]bool{"/slack/interactions": true, "/webhook/sns/:name": true, "/webhook/pagerduty": true, "/v2/change/enqueue": true} {
		assert.True(t, fromSomewhere(path), path)
	}
}

func fromSomewhere(path string) bool {
	for _, p := range providers {
		if strings.HasPrefix(path, p.path) {
			return true
		}
	}
	return false
}

// changer is the program with everything that can be changed.
type changer struct {
	*duty
	method string
	n      int
}

// routes are those of openapi.yaml that are not only read; package server's tests
// hold that it has every route.
func (c *changer) routes() []string {
	var doc struct {
		Paths map[string]map[string]any
	}
	require.NoError(c.t, yaml.Unmarshal([]byte(c.get(c.t, "/api/v1/openapi.yaml")), &doc))
	var list []string
	for path, methods := range doc.Paths {
		for method := range methods {
			if method = strings.ToUpper(method); method != http.MethodGet && method != http.MethodHead {
				list = append(list, method+" "+path)
			}
		}
	}
	require.Greater(c.t, len(list), 50)
	return list
}

// hold does a change and looks for it in the log.
func (c *changer) hold(route string, want *routeChange) {
	c.t.Helper()
	var path string
	var body any
	c.method, _, _ = strings.Cut(route, " ")
	_, own, _ := strings.Cut(route, " ")
	if want.do != nil {
		path, body = want.do(c)
	}
	c.quiet()
	last := c.app.store.LastSeq()
	if want.by != nil {
		want.by(c)
	} else {
		if path == "" {
			path = own
		}
		who := want.actor
		if who == "" || who == noActor {
			who = "dora"
		}
		c.send(route, path, who, body)
	}
	actor, origin := want.actor, want.origin
	switch actor {
	case "":
		actor = "dora"
	case noActor:
		actor = ""
	}
	if origin == "" {
		origin = "page from 127.0.0.1"
		if strings.HasPrefix(own, "/api/") || strings.HasPrefix(own, "/-/") {
			origin = "API from 127.0.0.1"
		}
	}
	events, err := c.app.store.Log(c.t.Context(), last, 1000)
	require.NoError(c.t, err)
	if strings.HasSuffix(own, "/stop") {
		require.NoError(c.t, c.app.remedies.Resume(c.t.Context(), "cure", "ana"))
	}
	var of []tocsin.Event
	for _, e := range events {
		if e.Kind == want.kind && e.Origin != "" { // without one it is Tocsin's own doing, of before
			of = append(of, e)
		}
	}
	if !assert.NotEmpty(c.t, of, "%s is not in the audit log as %s; there is %+v", route, want.kind, events) {
		return
	}
	e := of[0]
	assert.Equal(c.t, actor, e.Actor, "%s: %+v", route, e)
	assert.Equal(c.t, origin, e.Origin, "%s: %+v", route, e)
	assert.Equal(c.t, want.before, e.Before != "", "%s: before: %+v", route, e)
	assert.Equal(c.t, want.after, e.After != "", "%s: after: %+v", route, e)
	assert.NotEmpty(c.t, e.Text, route)
}

// send asks as somebody does, with a form or with JSON.
func (c *changer) send(route, path, who string, body any) {
	c.t.Helper()
	var r io.Reader
	kind := "application/json"
	switch body := body.(type) {
	case url.Values:
		r, kind = strings.NewReader(body.Encode()), "application/x-www-form-urlencoded"
	case string:
		r = strings.NewReader(body)
	case []byte:
		r = bytes.NewReader(body)
	default:
		b, err := json.Marshal(body)
		require.NoError(c.t, err)
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(c.t.Context(), c.method, c.url+path, r)
	require.NoError(c.t, err)
	req.Header.Set("Content-Type", kind)
	req.Header.Set("X-Tocsin-User", who)
	if cookie, ok := body.(url.Values); ok && cookie.Get("cookie") != "" {
		req.Header.Set("Cookie", "tocsin_session="+cookie.Get("cookie"))
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	require.NoError(c.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(c.t, err)
	require.Less(c.t, resp.StatusCode, 400, "%s: %.600s", route, plainText(string(b)))
}

// incident opens one of its own.
func (c *changer) opened() string {
	c.t.Helper()
	c.n++
	host := "h" + strings.Repeat("x", c.n%20) + string(rune('a'+c.n%26))
	c.fire(c.t, "NodeDown", host, "critical")
	return c.byTitle("NodeDown " + host).ID
}

func (c *changer) silence() tocsin.Silence {
	c.t.Helper()
	c.n++
	s, err := c.app.router.PutSilence(c.t.Context(), tocsin.Silence{
		Matchers: []string{`alertname="Nothing"`}, StartsAt: time.Now(), EndsAt: time.Now().Add(time.Duration(c.n+60) * time.Minute).Truncate(time.Second), CreatedBy: "ana", Comment: "noise",
	})
	require.NoError(c.t, err)
	return s
}

func (c *changer) shift(kind tocsin.OverrideKind) tocsin.Override {
	c.t.Helper()
	c.n++
	from := time.Now().Add(time.Duration(c.n) * 24 * time.Hour)
	o := tocsin.Override{Kind: kind, Schedule: "primary", From: from, To: from.Add(time.Hour), CreatedBy: "ana", Replaces: "ana"}
	if kind == tocsin.OverrideReplace {
		o.User = "bo"
	}
	made, err := c.app.engine.PutOverride(c.t.Context(), o)
	require.NoError(c.t, err)
	return made
}

// proposed is a run that waits for an approval.
func (c *changer) proposed() string {
	return c.theRun(c.opened(), tocsin.RemediationProposed).ID
}

func (c *changer) token() string {
	c.t.Helper()
	made, _, err := c.app.entrance.keeper.CreateToken(c.t.Context(), tocsin.Token{Name: "ci", Role: tocsin.RoleViewer, CreatedBy: "ana"})
	require.NoError(c.t, err)
	return made.ID
}

// session begins one and returns what proves it, and its ID.
func (c *changer) session() (secret, id string) {
	c.t.Helper()
	secret, err := c.app.entrance.keeper.BeginSession(c.t.Context(), tocsin.Session{Identity: tocsin.Identity{Issuer: "proxy", Subject: "dora", Name: "dora"}}, "dora")
	require.NoError(c.t, err)
	s, err := c.app.entrance.keeper.Session(c.t.Context(), secret)
	require.NoError(c.t, err)
	return secret, s.ID
}
