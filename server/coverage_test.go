package server_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

func TestRunbooksCoverage(t *testing.T) {
	t.Parallel()
	var fails error
	w := newWorld(t, server.Config{}, func(d *server.Deps) {
		d.RunbookUsage = func(ctx context.Context) (tocsin.RunbookUsage, error) {
			_, bounded := ctx.Deadline()
			assert.True(t, bounded)
			return tocsin.RunbookUsage{Incidents: 2, Since: time.Unix(0, 0).UTC(), Whole: true, Runbooks: []tocsin.RunbookUse{{
				ID: "node", Title: "Node", Alerts: []string{"NodeDown"}, Times: 2, Last: time.Unix(9, 0).UTC(), Worked: 1,
				Steps: []tocsin.StepUse{{ID: "a", Number: 1, Text: "look", Uses: 1, Done: 1}},
			}, {ID: "old", Gone: true, Steps: []tocsin.StepUse{}}}}, fails
		}
	})
	const path = "/api/v1/runbooks-coverage"
	got := w.ask(http.MethodGet, path, "")
	assert.Equal(t, http.StatusOK, got.Code)
	assert.Contains(t, got.Body.String(), `"times":2`)
	assert.Contains(t, got.Body.String(), `"gone":true`)
	fails = context.DeadlineExceeded
	assert.Equal(t, http.StatusServiceUnavailable, w.ask(http.MethodGet, path, "").Code)
	fails = errors.New("secret inside")
	assert.NotContains(t, w.ask(http.MethodGet, path, "").Body.String(), "secret inside")
	assert.Equal(t, http.StatusNotFound, newWorld(t, server.Config{}).ask(http.MethodGet, path, "").Code)
}
