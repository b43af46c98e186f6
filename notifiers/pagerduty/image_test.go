package pagerduty_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/notifiertest"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
)

func TestImages(t *testing.T) {
	t.Parallel()
	images := func(n tocsin.Notice, src string) []map[string]string {
		s := pagerdutytest.New(pagerdutytest.Config{KeepBodies: true})
		p := pagerduty.New(pagerduty.Config{RoutingKey: routingKey, Transport: s.Transport()})
		p.ShowImages(func(i *tocsin.Incident) string { return strings.ReplaceAll(src, "ID", i.ID) })
		_, err := p.Deliver(t.Context(), n)
		require.NoError(t, err)
		require.Len(t, s.Events(), 1)
		assert.Empty(t, s.Violations())
		var body struct {
			Images []map[string]string `json:"images"`
		}
		require.NoError(t, json.Unmarshal(s.Events()[0].Body, &body))
		return body.Images
	}
	n := notifiertest.Sample()
	n.Alerts[0].GeneratorURL = "http://prometheus:9090/graph?g0.expr=up"
	list := images(n, "https://tocsin.example.com/graph/ID.png?expires=1&sig=x")
	require.Len(t, list, 1)
	assert.Equal(t, "https://tocsin.example.com/graph/"+n.Incident.ID+".png?expires=1&sig=x", list[0]["src"])
	assert.Equal(t, n.URL, list[0]["href"])
	assert.NotEmpty(t, list[0]["alt"])
	for _, none := range []string{"", "http://tocsin.example.com/a.png", "javascript:alert(1)", "https://" + strings.Repeat("x", 3000)} {
		assert.Empty(t, images(n, none), none)
	}
	n.Alerts[0].GeneratorURL = ""
	assert.Empty(t, images(n, "https://tocsin.example.com/a.png"), "there is no rule")
}
