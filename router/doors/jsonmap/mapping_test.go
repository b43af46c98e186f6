package jsonmap_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/router/doors/jsonmap"
)

var now = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func grafana() jsonmap.Mapping {
	return jsonmap.Mapping{
		Name: "grafana", Source: "gf", Alerts: "data.alerts", Status: "state", Resolved: []string{"OK"},
		Labels: []jsonmap.Field{
			{Name: "alertname", Path: "rule.name", Must: true},
			{Name: "severity", Path: "/labels/level~1of~0x", Value: "warning"},
			{Name: "team", Value: "db"},
			{Name: "shard", Path: "shards.1"},
			{Name: "up", Path: "up"},
			{Name: "none", Path: "nothing"},
		},
		Annotations: []jsonmap.Field{{Name: "summary", Path: "message"}, {Name: "raw", Path: "labels"}},
		StartsAt:    "began", EndsAt: "ended", GeneratorURL: "link",
	}
}

func TestAlertsAreRead(t *testing.T) {
	t.Parallel()
	m := grafana()
	got, err := m.Read([]byte(`{"data":{"alerts":[
		{"rule":{"name":"DiskFull"},"state":"alerting","labels":{"level/of~x":"critical"},"shards":[1,2.50],"up":false,"message":"full","began":"2026-03-02T10:00:00+02:00","link":"https://g"},
		{"rule":{"name":"DiskFull"},"state":"ok","began":1772438400,"ended":1772438400500}
	]}}`), jsonmap.Limits{}, now)
	require.NoError(t, err)
	assert.Equal(t, []tocsin.Alert{
		{
			Source: "gf", Firing: true, StartsAt: now.Add(-time.Hour), GeneratorURL: "https://g",
			Labels:      tocsin.Labels{"alertname": "DiskFull", "severity": "critical", "team": "db", "shard": "2.50", "up": "false"},
			Annotations: tocsin.Labels{"summary": "full", "raw": `{"level/of~x":"critical"}`},
		},
		{
			Source: "gf", StartsAt: time.Unix(1772438400, 0).UTC(), EndsAt: time.UnixMilli(1772438400500).UTC(),
			Labels:      tocsin.Labels{"alertname": "DiskFull", "severity": "warning", "team": "db"},
			Annotations: tocsin.Labels{},
		},
	}, got)
}

func TestABodyIsOneAlertOrAList(t *testing.T) {
	t.Parallel()
	m := jsonmap.Mapping{Source: "x", Status: "status", Labels: []jsonmap.Field{{Name: "alertname", Path: "name"}}}
	for body, firing := range map[string][]bool{
		`{"name":"a"}`:                                    {true},
		`{"name":"a","status":"Resolved"}`:                {false},
		`{"name":"a","status":false}`:                     {false},
		`{"name":"a","status":null}`:                      {true},
		`[{"name":"a"},{"name":"b","status":"inactive"}]`: {true, false},
		`[]`: {},
		" {\"name\":\"a\",\"status\":\"something else\"}\n ": {true},
	} {
		got, err := m.Read([]byte(body), jsonmap.Limits{}, now)
		require.NoError(t, err, body)
		require.Len(t, got, len(firing), body)
		for i := range got {
			assert.Equal(t, firing[i], got[i].Firing, body)
			assert.Equal(t, now, got[i].StartsAt)
		}
	}
}

func TestErrorsNameThePath(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{`:                     "not valid JSON",
		`{} {}`:                 "more follows the end",
		"{\"a\":\"\xff\"}":      "not UTF-8",
		`{"data":1}`:            "data.alerts: there is nothing",
		`{"data":{"alerts":1}}`: "data.alerts: want an object",
		`{"data":{"alerts":[{"rule":{"name":"a"}},{}]}}`:                                "data.alerts[1].rule.name: there is nothing; alertname must be there",
		`{"data":{"alerts":[{"rule":{"name":"a"},"began":"soon"}]}}`:                    "data.alerts[0].began: is not a time",
		`{"data":{"alerts":[{"rule":{"name":"` + strings.Repeat("x", 17<<10) + `"}}]}}`: "data.alerts[0].rule.name: longer than",
		`{"data":{"alerts":[` + strings.Repeat(`{},`, 10_000) + `{}]}}`:                 "data.alerts: more than 10000",
	} {
		m := grafana()
		_, err := m.Read([]byte(body), jsonmap.Limits{}, now)
		require.ErrorIs(t, err, tocsin.ErrInvalid, "%.80s", body)
		assert.Contains(t, err.Error(), want)
		assert.Less(t, len(err.Error()), 300)
	}
	m := jsonmap.Mapping{Labels: []jsonmap.Field{{Name: "a", Path: "a"}}}
	_, err := m.Read([]byte(`{"b":1}`), jsonmap.Limits{}, now)
	assert.ErrorContains(t, err, "none of the labels is there")
}

func TestALongAnnotationIsCut(t *testing.T) {
	t.Parallel()
	m := grafana()
	got, err := m.Read(fmt.Appendf(nil, `{"data":{"alerts":[{"rule":{"name":"a"},"message":%q}]}}`, strings.Repeat("ä", 9000)), jsonmap.Limits{Value: 99}, now)
	require.NoError(t, err)
	assert.Equal(t, strings.Repeat("ä", 49), got[0].Annotations["summary"])
}

// sink keeps what it receives.
type sink struct {
	batches []tocsin.Batch
	err     error
}

func (s *sink) Receive(_ context.Context, b tocsin.Batch) (tocsin.Outcome, error) {
	s.batches = append(s.batches, b)
	return tocsin.Outcome{}, s.err
}

func TestDoor(t *testing.T) {
	t.Parallel()
	s := &sink{}
	d, err := jsonmap.New([]jsonmap.Mapping{grafana()}, s, jsonmap.Limits{}, nil)
	require.NoError(t, err)
	ctx := context.Background()
	body := []byte(`{"data":{"alerts":[{"rule":{"name":"a"}}]}}`)
	n, err := d.Take(ctx, "grafana", body)
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	assert.Equal(t, "gf", s.batches[0].Source)
	_, err = d.Take(ctx, "other", body)
	assert.ErrorIs(t, err, tocsin.ErrNotFound)
	_, err = d.Take(ctx, "grafana", []byte(`x`))
	assert.ErrorIs(t, err, tocsin.ErrInvalid)
	s.err = tocsin.Unavailable(errors.New("full"))
	_, err = d.Take(ctx, "grafana", body)
	assert.ErrorIs(t, err, tocsin.ErrUnavailable)
	n, err = d.Take(ctx, "grafana", []byte(`{"data":{"alerts":[]}}`))
	require.NoError(t, err)
	assert.Zero(t, n)
	d.SetMappings(nil)
	_, err = d.Take(ctx, "grafana", body)
	assert.ErrorIs(t, err, tocsin.ErrNotFound)
}

func FuzzRead(f *testing.F) {
	f.Add(`{"data":{"alerts":[{"rule":{"name":"a"},"state":"ok","began":1772438400}]}}`)
	f.Fuzz(func(t *testing.T, body string) {
		m := grafana()
		got, err := m.Read([]byte(body), jsonmap.Limits{}, now)
		if err != nil {
			require.ErrorIs(t, err, tocsin.ErrInvalid)
			return
		}
		for _, a := range got {
			assert.NotEmpty(t, a.Labels["alertname"])
		}
	})
}
