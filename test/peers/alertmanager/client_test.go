package alertmanager_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/prometheus/alertmanager/api/v2/client"
	"github.com/prometheus/alertmanager/api/v2/client/alert"
	"github.com/prometheus/alertmanager/api/v2/client/alertgroup"
	"github.com/prometheus/alertmanager/api/v2/client/general"
	"github.com/prometheus/alertmanager/api/v2/client/receiver"
	"github.com/prometheus/alertmanager/api/v2/client/silence"
	"github.com/prometheus/alertmanager/api/v2/models"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// theAlerts are of all kinds: one of two receivers, one that is silenced, one that
// is inhibited, one of another grouping, one without what is grouped by.
func theAlerts() []models.LabelSet {
	return []models.LabelSet{
		{"alertname": "NodeDown", "instance": "a", "cluster": "eu", "severity": "critical"},
		{"alertname": "NodeDown", "instance": "b", "cluster": "eu", "severity": "critical"},
		{"alertname": "NodeDown", "instance": "c", "cluster": "us", "severity": "warning"},
		{"alertname": "RegionDown", "cluster": "us", "severity": "critical"},
		{"alertname": "DiskFull", "instance": "b", "cluster": "eu", "severity": "info", "team": "storage", "mount": `/with "quotes" and \ and ünï`},
		{"alertname": "Watchdog"},
	}
}

// alertSeen is an alert as both must show it. When it was heard of last, and until
// when it is said to fire on, is each's own.
type alertSeen struct {
	Labels, Annotations  models.LabelSet
	Fingerprint, URL     string
	Receivers            []string
	Began                time.Time
	State                string
	Silenced             []string // the silences' comments: their IDs are each's own
	InhibitedBy, MutedBy []string
	HeardOf, FiresYet    bool
}

func seen(t *testing.T, c *client.AlertmanagerAPI, list []*models.GettableAlert) []alertSeen {
	t.Helper()
	out := []alertSeen{}
	for _, a := range list {
		require.NoError(t, a.Validate(strfmt.Default), "the client's own check")
		s := alertSeen{
			Labels: a.Labels, Annotations: a.Annotations, Fingerprint: *a.Fingerprint, URL: string(a.GeneratorURL),
			Began: time.Time(*a.StartsAt).UTC(), State: *a.Status.State, InhibitedBy: slices.Sorted(slices.Values(a.Status.InhibitedBy)),
			MutedBy: a.Status.MutedBy, HeardOf: !time.Time(*a.UpdatedAt).IsZero(), FiresYet: time.Time(*a.EndsAt).After(time.Now()),
		}
		for _, r := range a.Receivers {
			s.Receivers = append(s.Receivers, *r.Name)
		}
		slices.Sort(s.Receivers)
		s.Receivers = slices.Compact(s.Receivers)
		for _, id := range a.Status.SilencedBy {
			s.Silenced = append(s.Silenced, *oneSilence(t, c, id).Comment)
		}
		out = append(out, s)
	}
	return out
}

func oneSilence(t *testing.T, c *client.AlertmanagerAPI, id string) *models.GettableSilence {
	t.Helper()
	got, err := c.Silence.GetSilence(silence.NewGetSilenceParams().WithContext(t.Context()).WithSilenceID(strfmt.UUID(id)))
	require.NoError(t, err)
	require.NoError(t, got.Payload.Validate(strfmt.Default))
	return got.Payload
}

// groupSeen is a group: the order of groups, and of alerts in them, is each's own.
type groupSeen struct {
	Receiver string
	Labels   models.LabelSet
	Alerts   []alertSeen
}

func (g *groupSeen) key() string { return g.Receiver + fmt.Sprint(g.Labels) }

func groupsSeen(t *testing.T, c *client.AlertmanagerAPI, list models.AlertGroups) []groupSeen {
	t.Helper()
	out := []groupSeen{}
	for _, g := range list {
		if g.RouteLabels == nil {
			g.RouteLabels = models.LabelSet{} // Alertmanager 0.31 did not have them yet
		}
		require.NoError(t, g.Validate(strfmt.Default))
		s := groupSeen{*g.Receiver.Name, g.Labels, seen(t, c, g.Alerts)}
		slices.SortFunc(s.Alerts, func(a, b alertSeen) int { return strings.Compare(a.Fingerprint, b.Fingerprint) })
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b groupSeen) int { return cmp.Compare(a.key(), b.key()) })
	return out
}

// question is what a list of alerts is asked for by.
type question struct {
	active, silenced, inhibited, unprocessed *bool
	receiver                                 *string
	filter                                   []string
}

func (q question) alerts(t *testing.T, c *client.AlertmanagerAPI) ([]alertSeen, error) {
	p := alert.NewGetAlertsParams().WithContext(t.Context()).WithActive(q.active).WithSilenced(q.silenced).WithInhibited(q.inhibited).
		WithUnprocessed(q.unprocessed).WithReceiver(q.receiver).WithFilter(q.filter)
	got, err := c.Alert.GetAlerts(p)
	if err != nil {
		return nil, err
	}
	return seen(t, c, got.Payload), nil
}

func (q question) groups(t *testing.T, c *client.AlertmanagerAPI) ([]groupSeen, error) {
	p := alertgroup.NewGetAlertGroupsParams().WithContext(t.Context()).WithActive(q.active).WithSilenced(q.silenced).WithInhibited(q.inhibited).
		WithReceiver(q.receiver).WithFilter(q.filter)
	got, err := c.Alertgroup.GetAlertGroups(p)
	if err != nil {
		return nil, err
	}
	return groupsSeen(t, c, got.Payload), nil
}

// same waits until Tocsin answers as Alertmanager does, and says how it differs.
func same[T any](t *testing.T, w *world, what string, of func(*client.AlertmanagerAPI) (T, error)) T {
	t.Helper()
	var want T
	require.EventuallyWithT(t, func(col *assert.CollectT) {
		both := w.both()
		var err error
		want, err = of(both["alertmanager"])
		if !assert.NoError(col, err) {
			return
		}
		got, err := of(both["tocsin"])
		if assert.NoError(col, err) {
			assert.Equal(col, want, got, what)
		}
	}, patience, 50*time.Millisecond, what)
	return want
}

// scene has theAlerts fire, two silenced, and waits until both know.
func scene(t *testing.T) *world {
	t.Helper()
	w := startWorld(t)
	w.fire(t, theAlerts()...)
	same(t, w, "what fires", func(c *client.AlertmanagerAPI) (int, error) {
		list, err := question{}.alerts(t, c)
		if len(list) < len(theAlerts()) {
			err = fmt.Errorf("%d alerts yet", len(list))
		}
		return len(list), err
	})
	for _, c := range w.both() {
		silenced(t, c, "", "b is being moved", time.Hour, matcher("instance", "b", false, true), matcher("severity", "info|critical", true, true))
		silenced(t, c, "", "it barks", time.Hour, matcher("alertname", "Watchdog", false, true))
	}
	return w
}

func ptr[T any](v T) *T { return &v }

// TestAlerts compares every list that the parameters can ask for.
func TestAlerts(t *testing.T) {
	t.Parallel()
	w := scene(t)
	list := same(t, w, "all alerts", func(c *client.AlertmanagerAPI) ([]alertSeen, error) { return question{}.alerts(t, c) })
	require.Len(t, list, 6)
	count := map[string]int{}
	for _, a := range list {
		count[a.State]++
		count["silenced"] += len(a.Silenced)
		count["inhibited"] += len(a.InhibitedBy)
	}
	require.Equal(t, map[string]int{"active": 2, "suppressed": 4, "silenced": 3, "inhibited": 1}, count, "all kinds are there to be compared")
	groups := same(t, w, "all groups", func(c *client.AlertmanagerAPI) ([]groupSeen, error) { return question{}.groups(t, c) })
	require.Greater(t, len(groups), 5)

	questions := map[string]question{}
	for n := range 1 << 3 {
		q := question{active: ptr(n&1 == 0), silenced: ptr(n&2 == 0), inhibited: ptr(n&4 == 0)}
		questions[fmt.Sprintf("active=%t silenced=%t inhibited=%t", *q.active, *q.silenced, *q.inhibited)] = q
	}
	for _, filter := range [][]string{
		{`alertname="NodeDown"`},
		{`alertname=~"Node.*|Watch.*"`},
		{`alertname!="NodeDown"`},
		{`instance!~"a|b"`},
		{`instance=""`},
		{`instance!=""`},
		{`alertname="NodeDown"`, `instance="a"`},
		{`severity=critical`},
		{`nosuch="x"`},
		{`nosuch!="x"`},
		{`nosuch=~".*"`},
		{`nosuch=~".+"`},
		{`mount="/with \"quotes\" and \\ and ünï"`},
		{`"alertname"="DiskFull"`},
		{`team=~"sto.*"`, `cluster="eu"`},
	} {
		questions["filter "+strings.Join(filter, " and ")] = question{filter: filter}
	}
	for _, name := range []string{"page", "chat", "pa.*", "p", "page|chat", "nobody", ""} {
		questions["receiver "+name] = question{receiver: &name}
		questions["receiver "+name+" active"] = question{receiver: &name, silenced: ptr(false), inhibited: ptr(false)}
	}
	questions["unprocessed"] = question{unprocessed: ptr(false)}
	questions["of everything"] = question{ptr(true), ptr(false), ptr(true), ptr(false), ptr("page|chat"), []string{`cluster=~"eu|us"`}}
	for _, name := range slices.Sorted(maps.Keys(questions)) {
		q := questions[name]
		same(t, w, "alerts: "+name, func(c *client.AlertmanagerAPI) ([]alertSeen, error) { return q.alerts(t, c) })
		same(t, w, "groups: "+name, func(c *client.AlertmanagerAPI) ([]groupSeen, error) { return q.groups(t, c) })
	}
	for _, bad := range []question{{filter: []string{"{"}}, {filter: []string{`a=~"("`}}, {receiver: ptr("(")}} {
		for name, c := range w.both() {
			_, err := bad.alerts(t, c)
			var refused *alert.GetAlertsBadRequest
			require.ErrorAs(t, err, &refused, name)
			assert.NotEmpty(t, refused.Payload)
			_, err = bad.groups(t, c)
			var group *alertgroup.GetAlertGroupsBadRequest
			require.ErrorAs(t, err, &group, name)
			assert.NotEmpty(t, group.Payload)
		}
	}
}

// TestStatusAndReceivers: neither is a member of a cluster, and both have the same
// receivers.
func TestStatusAndReceivers(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	same(t, w, "receivers", func(c *client.AlertmanagerAPI) ([]string, error) {
		got, err := c.Receiver.GetReceivers(receiver.NewGetReceiversParams().WithContext(t.Context()))
		if err != nil {
			return nil, err
		}
		names := []string{}
		for _, r := range got.Payload {
			require.NoError(t, r.Validate(strfmt.Default))
			names = append(names, *r.Name)
		}
		return names, nil
	})
	for name, c := range w.both() {
		got, err := c.General.GetStatus(general.NewGetStatusParams().WithContext(t.Context()))
		require.NoError(t, err)
		s := got.Payload
		require.NoError(t, s.Validate(strfmt.Default), name)
		assert.Equal(t, "disabled", *s.Cluster.Status, name)
		assert.Empty(t, s.Cluster.Peers, name)
		assert.WithinDuration(t, time.Now(), time.Time(*s.Uptime), patience, name)
		assert.Contains(t, *s.Config.Original, "chat", name)
		if name == "tocsin" {
			assert.True(t, strings.HasPrefix(*s.VersionInfo.Version, "tocsin "), *s.VersionInfo.Version)
		}
	}
}
