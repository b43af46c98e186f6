package main

import (
	"bytes"
	"fmt"
	"maps"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// newChanger starts the program with all that has routes.
func newChanger(t *testing.T) *changer {
	t.Helper()
	cure, sum := remedyScript(t, "cure", "#!/bin/sh\nexit 0\n")
	d := newDuty(t)
	d.write(strings.ReplaceAll(dutyPeople, "after: 1s", "after: 0s"), dutyPrimary, strings.ReplaceAll(dutyPolicy,
		"[{name: page, escalation_policy: platform}]", "[{name: page, escalation_policy: platform, slack_configs: [{channel: '#incidents'}]}]"),
		doorsConfig, dutyRunbooks, fmt.Sprintf(`
remediations:
  - {name: cure, command: ['%s', '{{node}}'], sha256: %s, parameters: [{name: node, label: instance, pattern: '[a-z]{1,40}'}], matchers: ['alertname="NodeDown"'], mode: approve, sandbox: {require: none}}
`, cure, sum))
	text := bytes.Replace(read(t, d.file), []byte("slack: {"), []byte("slack: {signing_secret: canary-clicks-are-signed, "), 1)
	text = bytes.Replace(text, []byte("pagerduty: {"), []byte("pagerduty: {webhook_secrets: [canary-hooks-are-signed], "), 1)
	require.NoError(t, os.WriteFile(d.file, text, 0o600))
	d.putRunbook(stepsBefore)
	d.start()
	d.slack.SetCallbacks(slacktest.Callbacks{
		Secret: "canary-clicks-are-signed", Interactions: d.url + "/slack/interactions", Commands: d.url + "/slack/commands", Self: d.slackURL,
	})
	d.pagerduty.Subscribe(pagerdutytest.Subscription{URL: d.url + "/webhook/pagerduty", Secrets: []string{"canary-hooks-are-signed"}})
	return &changer{duty: d}
}

// routeChanges are what each route changes.
func routeChanges() map[string]routeChange {
	all := map[string]routeChange{}
	for _, more := range []map[string]routeChange{incidentChanges(), otherChanges(), formChanges(), doorChanges(), accessChanges()} {
		maps.Copy(all, more)
	}
	return all
}

// acts are what is done to incidents: as JSON, as a form, and the event.
var acts = map[string]struct {
	json, form, first string
	kind              tocsin.EventKind
}{
	"acknowledge":   {`{}`, "", "", tocsin.EventAcknowledged},
	"resolve":       {`{"force":true}`, "force=yes", "", tocsin.EventResolved},
	"snooze":        {`{"until":"UNTIL"}`, "for=30m", "", tocsin.EventSnoozed},
	"escalate":      {`{"user":"bo"}`, "whom=bo", "", tocsin.EventEscalated},
	"reassign":      {`{"user":"bo"}`, "whom=bo", "", tocsin.EventReassigned},
	"add-responder": {`{"user":"bo"}`, "whom=bo", "", tocsin.EventResponder},
	"note":          {`{"text":"hello"}`, "text=hello", "", tocsin.EventNote},
	"merge":         {`{"into":"OTHER"}`, "into=OTHER", "", tocsin.EventMerged},
	"unmerge":       {`{}`, "", "merge", tocsin.EventUnmerged},
	"severity":      {`{"severity":"info"}`, "severity=info", "", tocsin.EventSeverity},
	"step":          {`{"runbookStep":"1","status":"done"}`, "step=1&status=done", "", tocsin.EventStep},
	"channel":       {`{}`, "", "", tocsin.EventChannel},
}

func incidentChanges() map[string]routeChange {
	all := map[string]routeChange{
		"POST /api/v1/incidents": {do: asIs("", map[string]string{"title": "payments hang", "schedule": "primary"}), kind: tocsin.EventOpened},
	}
	for name, act := range acts {
		prepare := func(c *changer) (id string, fill *strings.Replacer) {
			id = c.opened()
			fill = strings.NewReplacer("OTHER", c.opened(), "UNTIL", time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
			if act.first != "" {
				require.NoError(c.t, c.app.engine.Act(c.t.Context(), id, tocsin.Action{Kind: tocsin.ActMerge, By: "ana", Into: c.opened()}))
			}
			return id, fill
		}
		all["POST /api/v1/incidents/{id}/"+name] = routeChange{kind: act.kind, do: func(c *changer) (string, any) {
			id, fill := prepare(c)
			return "/api/v1/incidents/" + id + "/" + name, fill.Replace(act.json)
		}}
		all["POST /incidents/{id}/"+name] = routeChange{kind: act.kind, do: func(c *changer) (string, any) {
			id, fill := prepare(c)
			f, err := url.ParseQuery(fill.Replace(act.form))
			require.NoError(c.t, err)
			return "/incidents/" + id + "/" + name, f
		}}
	}
	return all
}

// asIs asks at a path, the route's own where it is empty, with a body.
func asIs(path string, body any) func(*changer) (string, any) {
	return func(*changer) (string, any) { return path, body }
}

// aboutOne asks about something that was made for it; "%s" in the path is its ID.
func aboutOne(path string, made func(*changer) string, body any) func(*changer) (string, any) {
	return func(c *changer) (string, any) { return fmt.Sprintf(path, made(c)), body }
}

func silenceOf(c *changer) string { return c.silence().ID }
func swapOf(c *changer) string    { return c.shift(tocsin.OverrideSwap).ID }
func shiftOf(c *changer) string   { return c.shift(tocsin.OverrideReplace).ID }

func otherChanges() map[string]routeChange {
	until := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	far := time.Now().AddDate(0, 6, 0).UTC() // nobody's shift of now
	return map[string]routeChange{
		"POST /api/v1/silences": {kind: tocsin.EventSilence, before: true, after: true, do: func(c *changer) (string, any) {
			s := c.silence()
			s.Comment = "another"
			return "", s
		}},
		"DELETE /api/v1/silences/{id}": {kind: tocsin.EventSilence, before: true, after: true, do: aboutOne("/api/v1/silences/%s", silenceOf, nil)},
		"POST /api/v2/silences": {kind: tocsin.EventSilence, after: true, do: asIs("", map[string]any{
			"matchers": []map[string]any{{"name": "a", "value": "b", "isRegex": false}}, "startsAt": time.Now(), "endsAt": until, "createdBy": "x", "comment": "c",
		})},
		"DELETE /api/v2/silence/{id}":         {kind: tocsin.EventSilence, before: true, after: true, do: aboutOne("/api/v2/silence/%s", silenceOf, nil)},
		"POST /api/v1/overrides":              {kind: tocsin.EventOverride, after: true, do: asIs("", map[string]any{"schedule": "primary", "user": "bo", "from": far, "to": far.Add(time.Hour)})},
		"POST /api/v1/overrides/{id}/accept":  {kind: tocsin.EventOverride, actor: "bo", before: true, after: true, do: aboutOne("/api/v1/overrides/%s/accept", swapOf, nil)},
		"POST /api/v1/overrides/{id}/decline": {kind: tocsin.EventOverride, actor: "bo", before: true, after: true, do: aboutOne("/api/v1/overrides/%s/decline", swapOf, nil)},
		"POST /api/v1/overrides/{id}/cancel":  {kind: tocsin.EventOverride, before: true, after: true, do: aboutOne("/api/v1/overrides/%s/cancel", shiftOf, nil)},
		"POST /api/v1/remedies/stop":          {kind: tocsin.EventSwitch, before: true, after: true, do: held(false, "", map[string]string{"remedy": "cure"})},
		"POST /api/v1/remedies/resume":        {kind: tocsin.EventSwitch, before: true, after: true, do: held(true, "", map[string]string{"remedy": "cure"})},
		"POST /api/v1/remediations/{id}/deny": {kind: tocsin.EventRemediation, do: aboutOne("/api/v1/remediations/%s/deny", (*changer).proposed, nil)},
		"POST /api/v1/incidents/{id}/remediate": {kind: tocsin.EventRemediation, do: func(c *changer) (string, any) {
			return "/api/v1/incidents/" + c.withoutRun() + "/remediate", map[string]string{"remedy": "cure"}
		}},
		"POST /api/v1/remediations/{id}/approve": {kind: tocsin.EventRemediation, do: aboutOne("/api/v1/remediations/%s/approve", (*changer).proposed, nil)},
		"POST /-/reload": {kind: tocsin.EventChange, before: true, after: true, do: func(c *changer) (string, any) {
			text := append(read(c.t, c.file), "\ninhibit_rules: [{source_matchers: ['a=\"b\"'], target_matchers: ['a=\"c\"']}]\n"...)
			require.NoError(c.t, os.WriteFile(c.file, text, 0o600))
			return "", nil
		}},
	}
}

// held asks for something that wants a remedy that was stopped, and may be again.
func held(still bool, path string, body any) func(*changer) (string, any) {
	return func(c *changer) (string, any) {
		require.NoError(c.t, c.app.remedies.Stop(c.t.Context(), "cure", "ana"))
		if !still {
			require.NoError(c.t, c.app.remedies.Resume(c.t.Context(), "cure", "ana"))
		}
		return path, body
	}
}

// withoutRun is an incident whose run was denied: it can have another.
func (c *changer) withoutRun() string {
	c.t.Helper()
	id := c.opened()
	_, err := c.app.remedies.Answer(c.t.Context(), c.theRun(id, tocsin.RemediationProposed).ID, "ana", false)
	require.NoError(c.t, err)
	return id
}

func formChanges() map[string]routeChange {
	far := time.Now().AddDate(0, 6, 0).UTC() // nobody's shift of now
	const typed = "2006-01-02T15:04"
	return map[string]routeChange{
		"POST /silences":             {kind: tocsin.EventSilence, after: true, do: asIs("", url.Values{"matchers": {`a="b"`}, "for": {"2h"}, "comment": {"c"}})},
		"POST /silences/{id}/expire": {kind: tocsin.EventSilence, before: true, after: true, do: aboutOne("/silences/%s/expire", silenceOf, url.Values{})},
		"POST /silences/{id}/extend": {kind: tocsin.EventSilence, before: true, after: true, do: func(c *changer) (string, any) {
			s := c.silence()
			return "/silences/" + s.ID + "/extend", url.Values{"for": {"1h"}, "shown": {s.EndsAt.UTC().Format("2006-01-02T15:04:05")}}
		}},
		"POST /overrides":              {kind: tocsin.EventOverride, after: true, do: asIs("", url.Values{"schedule": {"primary"}, "kind": {"replace"}, "user": {"cy"}, "from": {far.Format(typed)}, "to": {far.Add(time.Hour).Format(typed)}})},
		"POST /overrides/{id}/cancel":  {kind: tocsin.EventOverride, before: true, after: true, do: aboutOne("/overrides/%s/cancel", shiftOf, url.Values{})},
		"POST /overrides/{id}/accept":  {kind: tocsin.EventOverride, actor: "bo", before: true, after: true, do: aboutOne("/overrides/%s/accept", swapOf, url.Values{})},
		"POST /overrides/{id}/decline": {kind: tocsin.EventOverride, actor: "bo", before: true, after: true, do: aboutOne("/overrides/%s/decline", swapOf, url.Values{})},
		"POST /remedies/stop":          {kind: tocsin.EventSwitch, before: true, after: true, do: held(false, "", url.Values{"remedy": {"cure"}})},
		"POST /remedies/resume":        {kind: tocsin.EventSwitch, before: true, after: true, do: held(true, "", url.Values{"remedy": {"cure"}, "sure": {"yes"}})},
		"POST /remediations/{id}/deny": {kind: tocsin.EventRemediation, do: aboutOne("/remediations/%s/deny", (*changer).proposed, url.Values{})},
		"POST /incidents/{id}/remediate": {kind: tocsin.EventRemediation, do: func(c *changer) (string, any) {
			return "/incidents/" + c.withoutRun() + "/remediate", url.Values{"remedy": {"cure"}}
		}},
		"POST /remediations/{id}/approve": {kind: tocsin.EventRemediation, do: aboutOne("/remediations/%s/approve", (*changer).proposed, url.Values{})},
		"POST /incidents/acknowledge": {kind: tocsin.EventAcknowledged, do: func(c *changer) (string, any) {
			return "", url.Values{"id": {c.opened(), c.opened()}}
		}},
	}
}

func doorChanges() map[string]routeChange {
	const key = `{"routing_key":"canary0123456789abcdef0123456789",`
	return map[string]routeChange{
		"POST /webhook/alertmanager": {kind: tocsin.EventOpened, actor: noActor, origin: "Alertmanager from 127.0.0.1", by: func(c *changer) { c.opened() }},
		"POST /webhook/json/{name}": {
			kind: tocsin.EventOpened, actor: noActor, origin: "webhook gf from 127.0.0.1", do: asIs("/webhook/json/gf", `{"title":"GrafanaSays","state":"alerting"}`),
		},
		"POST /v2/enqueue": {
			kind: tocsin.EventOpened, actor: noActor, origin: "events API from 127.0.0.1",
			do: asIs("", key+`"event_action":"trigger","dedup_key":"d","payload":{"summary":"disk full","source":"db-1","severity":"critical","class":"DiskFull"}}`),
		},
		"POST /v2/change/enqueue": {
			kind: tocsin.EventChange, actor: "legacy", origin: "events API from 127.0.0.1", do: asIs("", key+`"payload":{"summary":"deployed 1.2","source":"ci"}}`),
		},
		"POST /slack/interactions": {kind: tocsin.EventAcknowledged, actor: "bo", origin: "Slack", by: func(c *changer) {
			before := len(c.slack.Messages("#incidents"))
			c.opened()
			c.eventually(func() bool { return len(c.slack.Messages("#incidents")) > before }, "it is told")
			messages := c.slack.Messages("#incidents")
			_, err := c.slack.Click("#incidents", messages[len(messages)-1].TS, "U0BO", slack.ActionAcknowledge)
			require.NoError(c.t, err)
		}},
		"POST /slack/commands": {kind: tocsin.EventAcknowledged, actor: "bo", origin: "Slack", by: func(c *changer) {
			id := c.opened()
			c.quiet()
			_, err := c.slack.Command("U0BO", "#incidents", "ack "+id)
			require.NoError(c.t, err)
			c.eventually(func() bool { return c.incident(id).State == tocsin.Acknowledged }, "it is done")
		}},
		"POST /webhook/pagerduty": {kind: tocsin.EventAcknowledged, actor: "ana", origin: "PagerDuty", by: func(c *changer) {
			before := len(c.pagerduty.Incidents(""))
			id := c.opened()
			c.eventually(func() bool { return len(c.pagerduty.Incidents("")) > before }, "PagerDuty is told")
			for _, i := range c.pagerduty.Incidents("") {
				if i.Status == pagerdutytest.Triggered {
					c.pagerduty.Acknowledge(i.ID, pagerdutytest.Reference{ID: "PANA001", Type: "user_reference", Summary: "Ana"})
				}
			}
			c.pagerduty.Send(c.t.Context())
			c.eventually(func() bool { return c.incident(id).State == tocsin.Acknowledged }, "it is done")
		}},
	}
}

func accessChanges() map[string]routeChange {
	token := map[string]string{"name": "ci", "role": "viewer"}
	return map[string]routeChange{
		"POST /api/v1/tokens":          {kind: tocsin.EventAccess, after: true, do: asIs("", token)},
		"DELETE /api/v1/tokens/{id}":   {kind: tocsin.EventAccess, before: true, do: aboutOne("/api/v1/tokens/%s", (*changer).token, nil)},
		"POST /tokens":                 {kind: tocsin.EventAccess, after: true, do: asIs("", url.Values{"name": {"ci"}, "role": {"viewer"}, "days": {"90"}})},
		"POST /tokens/{id}/revoke":     {kind: tocsin.EventAccess, before: true, do: aboutOne("/tokens/%s/revoke", (*changer).token, url.Values{})},
		"DELETE /api/v1/sessions/{id}": {kind: tocsin.EventAccess, do: aboutOne("/api/v1/sessions/%s", sessionOf, nil)},
		"POST /sessions/{id}/end":      {kind: tocsin.EventAccess, do: aboutOne("/sessions/%s/end", sessionOf, url.Values{})},
		"POST /logout": {kind: tocsin.EventAccess, do: func(c *changer) (string, any) {
			secret, _ := c.session()
			return "", url.Values{"cookie": {secret}}
		}},
	}
}

func sessionOf(c *changer) string {
	_, id := c.session()
	return id
}
