package server_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tocsin-oncall/tocsin/server"
)

func TestSystemPage(t *testing.T) {
	t.Parallel()
	const evil = "<script>alert(1)</script>\u202e"
	w := newWorld(t, server.Config{}, func(d *server.Deps) {
		d.System = func(context.Context) (server.System, error) {
			return server.System{
				Version: "1.2.3", StartedAt: now, Problem: "the disk is full" + evil, Open: 3, Size: 3 << 19, Lagging: 2, OldestLag: now,
				Providers: []server.Provider{{Kind: "slack", Lagging: 2, Error: "429" + evil}, {Kind: "pagerduty", Failed: 1}}, Runbooks: 7, Stale: 1,
				Configuration: server.ConfigurationInForce{File: "/etc/tocsin.yml", Hash: "abc", LoadedAt: now, Warnings: []string{"tocsin.yml:3: x" + evil}},
				Sandbox:       []server.SandboxOffer{{What: "Landlock", Offered: true, Means: "files"}, {What: "PID namespace", Means: "children"}}, Events: 42,
			}, nil
		}
	})
	page := safe(t, w.ask("GET", "/system", ""))
	for _, want := range []string{
		"Alerts are not taken now", "the disk is full&lt;script&gt;", "1.5 MiB", "2 on their way", "1 failed", "tocsin.yml:3", "✓ yes", "✗ no", "42 events",
		"1 of them an earlier version", `<a href="/system" aria-current="page">System</a>`,
	} {
		assert.Contains(t, page, want)
	}
	assert.Equal(t, 200, w.ask("GET", "/api/v1/system", "").Code)
	assert.Equal(t, 404, newWorld(t, server.Config{}).ask("GET", "/api/v1/system", "").Code)
	assert.Equal(t, 404, newWorld(t, server.Config{}).ask("GET", "/system", "").Code)
}
