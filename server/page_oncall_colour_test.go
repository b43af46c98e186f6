package server_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// turned is a rota on whose second schedule the same people take turns the other way
// round.
type turned struct{ server.OnCall }

func (turned) Schedules() []tocsin.ScheduleInfo {
	return []tocsin.ScheduleInfo{
		{Name: "first", TimeZone: "UTC", Users: []string{"ana", "bo"}}, {Name: "second", TimeZone: "UTC", Users: []string{"bo", "ana"}},
	}
}

func (turned) Shifts(context.Context, tocsin.ShiftQuery) ([]tocsin.Shift, error) {
	var list []tocsin.Shift
	for n, user := range []string{"ana", "bo", "bo", "ana"} {
		from := now.Add(time.Duration(n%2) * 24 * time.Hour)
		list = append(list, tocsin.Shift{Schedule: []string{"first", "second"}[n/2], User: user, From: from, To: from.Add(24 * time.Hour)})
	}
	return list, nil
}

// Somebody has one colour on all schedules, whatever their place in each.
func TestColoursArePeoples(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{}, func(d *server.Deps) { d.OnCall = turned{withRota(d)} })
	page := safe(t, w.ask("GET", "/oncall", ""))
	alone := safe(t, w.ask("GET", "/oncall?schedule=second", ""))
	for _, want := range []string{`<span class="swatch p0"></span> <bdi>ana</bdi>`, `<span class="swatch p1"></span> <bdi>bo</bdi>`} {
		assert.Equal(t, 2, strings.Count(page, want), want)
		assert.Equal(t, 1, strings.Count(alone, want), "also where a schedule is shown alone: %s", want)
	}
}
