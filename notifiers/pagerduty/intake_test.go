package pagerduty_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	pd "github.com/PagerDuty/go-pagerduty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/router"
	"github.com/tocsin-oncall/tocsin/router/doors/eventsv2"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
	"github.com/tocsin-oncall/tocsin/test/leak"
)

// unacknowledged acts on nothing.
type unacknowledged struct{ acts []string }

func (u *unacknowledged) Act(_ context.Context, _ string, a tocsin.Action) error {
	u.acts = append(u.acts, string(a.Kind))
	return nil
}

// The official client speaks to our door as it does to PagerDuty.
func TestTheOfficialClientAtOurDoor(t *testing.T) {
	t.Parallel()
	const key = "canary0123456789abcdef0123456789"
	dir := t.TempDir()
	leak.After(t, dir)
	store, err := bolt.Open(filepath.Join(dir, "tocsin.db"), bolt.Options{MinFree: -1, Ballast: -1})
	require.NoError(t, err)
	defer store.Close()
	rules, err := router.NewRules(router.Spec{Route: router.RouteSpec{Receiver: "chat", GroupBy: []string{"alertname"}, Pos: "t.yml:1"}, Targets: map[string][]router.Target{"chat": nil}})
	require.NoError(t, err)
	r, err := router.New(rules, router.Options{Store: store})
	require.NoError(t, err)
	people := &unacknowledged{}
	door, err := eventsv2.New([]eventsv2.Source{{RoutingKey: key, Name: "legacy"}}, eventsv2.Options{Receiver: r, Actions: people, Store: store})
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.Handle("POST /v2/enqueue", door.Events())
	mux.Handle("POST /v2/change/enqueue", door.Changes())
	srv := httptest.NewServer(mux)
	defer srv.Close()
	client := pd.NewClient("", pd.WithV2EventsAPIEndpoint(srv.URL))
	ctx := context.Background()

	a, err := client.ManageEventWithContext(ctx, &pd.V2Event{
		RoutingKey: key, Action: "trigger", Client: "nagios", ClientURL: "https://nagios.example.com",
		Payload: &pd.V2Payload{Summary: "disk full", Source: "db-1", Severity: "critical", Class: "DiskFull", Details: map[string]any{"free": 3}},
	})
	require.NoError(t, err)
	assert.Equal(t, "success", a.Status)
	require.NotEmpty(t, a.DedupKey)
	list, err := store.List(ctx, tocsin.Filter{})
	require.NoError(t, err)
	require.Len(t, list, 1)
	assert.Equal(t, "disk full", list[0].Title)

	_, err = client.ManageEventWithContext(ctx, &pd.V2Event{RoutingKey: key, Action: "acknowledge", DedupKey: a.DedupKey})
	require.NoError(t, err)
	assert.Equal(t, []string{"acknowledge"}, people.acts)
	_, err = client.ManageEventWithContext(ctx, &pd.V2Event{RoutingKey: key, Action: "resolve", DedupKey: a.DedupKey})
	require.NoError(t, err)
	inc, err := store.Get(ctx, list[0].ID)
	require.NoError(t, err)
	assert.Equal(t, tocsin.Resolved, inc.State)

	change, err := client.CreateChangeEventWithContext(ctx, pd.ChangeEvent{RoutingKey: key, Payload: pd.ChangeEventPayload{Summary: "deployed", Source: "ci"}})
	require.NoError(t, err)
	assert.Equal(t, "success", change.Status)

	_, err = client.ManageEventWithContext(ctx, &pd.V2Event{RoutingKey: key, Action: "trigger", Payload: &pd.V2Payload{Source: "x", Severity: "error"}})
	var refused pd.APIError // the client looks for the REST API's errors here, and finds none, as with PagerDuty
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, http.StatusBadRequest, refused.StatusCode)
}
