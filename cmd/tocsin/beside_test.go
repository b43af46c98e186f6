package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks/live/livetest"
)

// What was done the last time, and what the rule asks for, stand beside the steps.
func TestBesideTheSteps(t *testing.T) {
	t.Parallel()
	prom := &livetest.Server{}
	prom.Set("node_load1", livetest.Constant(9, livetest.Labels{"instance": "a"}))
	srv := httptest.NewServer(prom)
	t.Cleanup(srv.Close)
	d := newDuty(t)
	d.with(dutyPeople, dutyPrimary, dutyPolicy, "\nprometheus: {url: '"+srv.URL+"'}\n")
	alert := fires(map[string]string{"alertname": "NodeDown", "instance": "a", "severity": "critical"}, "NodeDown a")
	alert.Generator = "http://prometheus:9090/graph?g0.expr=node_load1+%3E+8&g0.tab=1"
	code, body := d.post(t, "/webhook/alertmanager", webhookBody(t, alert))
	require.Equal(t, http.StatusOK, code, body)
	id := d.incidents(t)[0].ID
	svg := d.get(t, "/incidents/"+id+"/graph.svg")
	assert.True(t, strings.HasPrefix(svg, "<svg"), svg)
	assert.Contains(t, svg, "node_load1")
	require.NotEmpty(t, prom.Asked())

	d.do(id, tocsin.ActNote, tocsin.Action{By: "ana", Text: "the vendor swapped the disk"})
	d.do(id, tocsin.ActResolve, tocsin.Action{By: "ana", Force: true, Text: "disk swapped"})
	alert.Labels = map[string]string{"alertname": "NodeDown", "instance": "b", "severity": "critical"}
	d.post(t, "/webhook/alertmanager", webhookBody(t, alert))
	d.eventually(func() bool { return len(d.incidents(t)) == 2 }, "another node is down")
	for _, inc := range d.incidents(t) {
		if inc.ID == id {
			continue
		}
		said := d.get(t, "/api/v1/incidents/"+inc.ID+"/beside")
		assert.Contains(t, said, "only this once since ")
		assert.Contains(t, d.get(t, "/incidents/"+inc.ID+"/beside"), "graph.svg")
	}
	assert.Contains(t, d.get(t, "/api/v1/incidents/"+id+"/beside"), "Fired")
}
