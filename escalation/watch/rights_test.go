package watch_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
)

// TestBriefOfATeam: whoever takes over, or asks, is told of what they may view.
func TestBriefOfATeam(t *testing.T) {
	t.Parallel()
	play(t, nil, func(h *bridge) {
		now := time.Now()
		synctest.Wait()
		in := func(receiver string) *tocsin.Principal {
			of := map[string]tocsin.Role{receiver: tocsin.RoleViewer}
			return &tocsin.Principal{Name: "bo", Role: tocsin.RoleNone, Teams: of, Receivers: of, Schedules: map[string]tocsin.Role{"primary": tocsin.RoleViewer}}
		}
		h.person = func(string) tocsin.Principal { return *in("web") }
		require.NoError(t, h.store.Update(context.Background(), func(tx tocsin.Tx) error {
			for id, receiver := range map[string]string{"k7f3q2": "web", "k7f3q3": "db"} {
				tx.PutIncident(&tocsin.Incident{
					ID: id, State: tocsin.Triggered, Severity: tocsin.Critical, Title: receiver + " burns", Receivers: []string{receiver},
					OpenedAt: now, Revision: 1, StateRevision: 1, Kind: tocsin.KindManual,
				})
			}
			tx.PutSilence(tocsin.Silence{ID: "sssss2", Matchers: []string{`customer="secret"`}, StartsAt: now, EndsAt: now.Add(100 * time.Hour), CreatedBy: "ana", Comment: "moving"})
			return nil
		}))
		h.until(3, 9, 1)
		told := h.notice("You are on call")
		assert.Equal(t, "Open and not taken:\n  k7f3q2 critical web burns (for 2d)", told.Text)
		nobody := &tocsin.Principal{Name: "cy", Role: tocsin.RoleNone}
		assert.True(t, in("db").MayIn(tocsin.RightRespond, told), "whom it is for may answer")
		assert.False(t, nobody.MayIn(tocsin.RightView, told))

		ask := func(who *tocsin.Principal, schedule string) (string, error) {
			return h.watch.Brief(context.Background(), who, schedule)
		}
		text, err := ask(in("web"), "primary")
		require.NoError(t, err)
		assert.Equal(t, "bo is on call on primary until Mon 10 Jan 09:00 UTC\nOpen and not taken:\n  k7f3q2 critical web burns (for 2d)", text)
		text, err = ask(in("mail"), "")
		require.NoError(t, err)
		assert.Equal(t, "bo is on call on primary until Mon 10 Jan 09:00 UTC\nNothing of yours is open.", text)
		stranger := &tocsin.Principal{Role: tocsin.RoleNone}
		_, unknown := ask(stranger, "nothing")
		_, err = ask(stranger, "primary")
		require.ErrorIs(t, err, tocsin.ErrInvalid)
		assert.Equal(t, `schedule: schedule "primary" is not defined`, err.Error())
		assert.Equal(t, `schedule: schedule "nothing" is not defined`, unknown.Error())
		text, err = ask(&tocsin.Principal{Role: tocsin.RoleViewer}, "")
		require.NoError(t, err)
		assert.Contains(t, text, "db burns")
		assert.Contains(t, text, "secret")
	})
}
