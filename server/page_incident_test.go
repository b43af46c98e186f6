package server_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// That nobody is called, and by whose word, stands where somebody looks first.
func TestIncidentPageSaysWhyNobodyIsCalled(t *testing.T) {
	t.Parallel()
	held := func(i tocsin.Incident) string {
		w := newWorld(t, server.Config{})
		i.ID, i.OpenedAt = "k7f3q9", now
		w.reader.detail.incident = &i
		return safe(t, w.ask("GET", "/incidents/k7f3q9", ""))
	}
	said := &tocsin.Suppression{Reason: tocsin.Silenced, Text: "silenced by bo (silence s1: <b>moving</b>)"}
	page := held(tocsin.Incident{State: tocsin.Triggered, Firing: 1, Alerts: 1, Suppressed: 1, Suppression: said})
	assert.Contains(t, page, "Nobody is called for it: <bdi>silenced by bo (silence s1: &lt;b&gt;moving&lt;/b&gt;)</bdi>.")
	assert.Contains(t, page, "None: it is held back.")
	assert.Contains(t, held(tocsin.Incident{State: tocsin.Triggered, Firing: 1, Alerts: 1, Muted: "weekends"}), "muted by the time interval <bdi>weekends</bdi>")
	assert.Contains(t, held(tocsin.Incident{State: tocsin.Triggered, MergedInto: "abcdef"}), "another incident pages for it")
	assert.NotContains(t, held(tocsin.Incident{State: tocsin.Triggered, Firing: 2, Alerts: 2, Suppressed: 1}), "Nobody is called")
	assert.NotContains(t, held(tocsin.Incident{State: tocsin.Resolved, MergedInto: "abcdef"}), "Nobody is called")
}
