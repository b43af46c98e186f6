package server_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// zoned has the schedules of the two teams in two time zones, and what was put.
type zoned struct {
	*twoTeams
	put []tocsin.Override
}

func (z *zoned) Schedules() []tocsin.ScheduleInfo {
	list := z.twoTeams.Schedules()
	list[0].TimeZone, list[1].TimeZone = "Europe/Berlin", "America/New_York"
	return list
}

func (z *zoned) PutOverride(_ context.Context, o tocsin.Override) (tocsin.Override, error) {
	o.ID, o.State, o.CreatedAt = "ovnew1", tocsin.OverrideActive, now
	z.put = append(z.put, o)
	return o, nil
}

func zonedWorld(t *testing.T) (*world, *zoned) {
	t.Helper()
	z := &zoned{twoTeams: newTwoTeams()}
	w, k, _ := guarded(t, server.Config{ExternalURL: secure, NoLocal: true}, func(d *server.Deps) {
		z.everything(d)
		d.OnCall, d.Overrides = z, z
	})
	k.sessions["session-db-responder"] = tocsin.Session{ID: "s-db-responder", Identity: tocsin.Identity{Name: "db-responder", Subject: "db-responder", Groups: []string{"db-responder"}}}
	return w, z
}

// Time off is on the clock that the page says, which is that of the schedules that
// somebody may view, and not of those that they may not.
func TestTimeOffIsOnTheClockThatItsFormNames(t *testing.T) {
	t.Parallel()
	w, z := zonedWorld(t)
	page := askIn(w, "responder", "session", http.MethodGet, "/oncall", "").Body.String()
	require.Contains(t, page, "The times are in Europe/Berlin.")
	rec := askIn(w, "responder", "session", http.MethodPost, "/overrides", url.Values{
		"kind": {"time_off"}, "user": {"dora"}, "from": {"2026-11-24T09:00"}, "to": {"2026-11-24T17:00"}, "comment": {"dentist"},
	}.Encode())
	require.Equal(t, http.StatusSeeOther, rec.Code, rec.Body)
	require.Len(t, z.put, 1)
	assert.Equal(t, time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC), z.put[0].From)
	assert.Equal(t, time.Date(2026, 11, 24, 16, 0, 0, 0, time.UTC), z.put[0].To)
}

// Whatever else is wrong with the form, another team's schedule is answered like one
// that there is not.
func TestTheOverrideFormTellsOfNoOtherTeamsSchedule(t *testing.T) {
	t.Parallel()
	w, z := zonedWorld(t)
	for what, times := range map[string][2]string{"no end": {"", ""}, "no time": {"", "soon"}, "in the past": {"2020-01-01T09:00", "2020-01-01T10:00"}} {
		ask := func(schedule string) string {
			rec := askIn(w, "responder", "session", http.MethodPost, "/overrides", url.Values{
				"kind": {"replace"}, "schedule": {schedule}, "user": {"dora"}, "from": {times[0]}, "to": {times[1]},
			}.Encode())
			return whole(rec, schedule)
		}
		there, nowhere := ask("web-"+canary), ask("web-nobody")
		assert.Equal(t, nowhere, there, what)
		assert.Contains(t, nowhere, "there is no schedule", what)
	}
	assert.Empty(t, z.put)
}

// Who may cancel an override is offered that on the page: time off is from all
// schedules, and on none of the team's.
func TestOnesOwnTimeOffCanBeCancelledOnThePage(t *testing.T) {
	t.Parallel()
	w, z := zonedWorld(t)
	z.overrides = append(z.overrides, tocsin.Override{
		ID: "ovaway", Kind: tocsin.OverrideTimeOff, State: tocsin.OverrideActive, User: "dora", CreatedBy: "dora", CreatedAt: now, From: now.Add(time.Hour), To: now.Add(2 * time.Hour),
	})
	page := askIn(w, "responder", "session", http.MethodGet, "/oncall", "").Body.String()
	assert.Contains(t, page, `action="/overrides/ovaway/cancel"`, "the API lets them")
	assert.NotContains(t, page, `action="/overrides/ovdora/cancel"`, "somebody else made it")
	assert.Equal(t, http.StatusSeeOther, askIn(w, "responder", "session", http.MethodPost, "/overrides/ovaway/cancel", "x=").Code)
}
