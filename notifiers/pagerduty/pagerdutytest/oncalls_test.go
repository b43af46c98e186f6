package pagerdutytest_test

import (
	"net/http"
	"testing"
	"time"

	pd "github.com/PagerDuty/go-pagerduty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
)

// The official client understands the emulator's pages, filters and refusals.
func TestOnCallsForTheOfficialClient(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
	s := pagerdutytest.New(pagerdutytest.Config{APIToken: "token", Now: func() time.Time { return now }})
	var list []pagerdutytest.OnCall
	for i := range 60 {
		list = append(list, pagerdutytest.OnCall{
			User: pagerdutytest.Reference{ID: "PANA", Summary: "Ana Lopez"}, Schedule: pagerdutytest.Reference{ID: "P1"},
			Start: now.AddDate(0, 0, i), End: now.AddDate(0, 0, i+1),
		})
	}
	s.SetOnCalls(append(list, pagerdutytest.OnCall{User: pagerdutytest.Reference{ID: "PBO", Summary: "Bo"}})...)
	client := pd.NewClient("token")
	client.HTTPClient = &http.Client{Transport: s.Transport()}
	list2, err := client.ListOnCallsWithContext(t.Context(), pd.ListOnCallOptions{
		ScheduleIDs: []string{"P1"}, Since: now.Format(time.RFC3339), Until: now.AddDate(0, 0, 60).Format(time.RFC3339), Offset: 25,
	})
	require.NoError(t, err)
	assert.Len(t, list2.OnCalls, 25)
	assert.True(t, list2.More)
	assert.Equal(t, "2026-01-30T12:00:00Z", list2.OnCalls[0].Start)
	assert.Equal(t, "Ana Lopez", list2.OnCalls[0].User.Summary)
	assert.Empty(t, list2.OnCalls[0].User.Email)

	forever, err := client.ListOnCallsWithContext(t.Context(), pd.ListOnCallOptions{UserIDs: []string{"PANA", "PBO"}, Includes: []string{"users"}})
	require.NoError(t, err)
	require.Len(t, forever.OnCalls, 2, "now, by default")
	assert.Equal(t, "ana.lopez@example.com", forever.OnCalls[0].User.Email)
	assert.Empty(t, forever.OnCalls[1].Start+forever.OnCalls[1].End+forever.OnCalls[1].Schedule.ID)

	for _, o := range []pd.ListOnCallOptions{
		{Since: now.Format(time.RFC3339), Until: now.AddDate(0, 4, 0).Format(time.RFC3339)},
		{Since: now.Format(time.RFC3339), Until: now.AddDate(0, 0, -1).Format(time.RFC3339)},
		{Since: "soon"},
		{Offset: 9990},
	} {
		_, err := client.ListOnCallsWithContext(t.Context(), o)
		var refused pd.APIError
		require.ErrorAs(t, err, &refused)
		assert.Equal(t, 2001, refused.APIError.ErrorObject.Code)
	}
	s.Fail(pagerdutytest.Fault{Action: pagerdutytest.OnCallsAction, Status: http.StatusTooManyRequests, Times: 1})
	_, err = client.ListOnCallsWithContext(t.Context(), pd.ListOnCallOptions{})
	var limited pd.APIError
	require.ErrorAs(t, err, &limited)
	assert.True(t, limited.RateLimited())
	stranger := pd.NewClient("another")
	stranger.HTTPClient = client.HTTPClient
	_, err = stranger.ListOnCallsWithContext(t.Context(), pd.ListOnCallOptions{})
	require.ErrorAs(t, err, &limited)
	assert.Equal(t, http.StatusUnauthorized, limited.StatusCode)
	_, err = client.ListIncidentsWithContext(t.Context(), pd.ListIncidentsOptions{})
	assert.NoError(t, err, "the rest of the API is there too")
}
