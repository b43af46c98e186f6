package pagerduty_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/notifiertest"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
)

// noted is a notice of an incident that PagerDuty has, with notes.
func noted(t *testing.T, s *pagerdutytest.Server, p *pagerduty.Notifier, notes ...string) tocsin.Notice {
	t.Helper()
	n := notifiertest.Sample()
	r, err := p.Deliver(t.Context(), n)
	require.NoError(t, err)
	apply(&n.Delivery, r)
	n.Delivery.Back = &tocsin.Back{Remote: s.Incidents(routingKey)[0].ID}
	for i, text := range notes {
		n.Events = append(n.Events, tocsin.Event{Seq: uint64(10 + i), Kind: tocsin.EventNote, Actor: "ana", Text: text})
	}
	return n
}

func TestNotes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config pagerdutytest.Config
		from   string
		fault  *pagerdutytest.Fault
		notes  []string
		want   int
		text   string
	}{
		"written":             {notes: []string{"a", "b\nc"}, want: 2, text: "noted in PagerDuty"},
		"in somebody's name":  {config: pagerdutytest.Config{WantFrom: true}, from: "t@example.com", notes: []string{"a"}, want: 1, text: "noted"},
		"in nobody's name":    {config: pagerdutytest.Config{WantFrom: true}, notes: []string{"a"}, text: "1 of 1 notes were not written into PagerDuty"},
		"the token is wrong":  {config: pagerdutytest.Config{APIToken: "other"}, notes: []string{"a", "b"}, text: "2 of 2 notes were not written into PagerDuty: PagerDuty refused access"},
		"the API is away":     {fault: &pagerdutytest.Fault{Action: pagerdutytest.NotesAction, Status: 503}, notes: []string{"a"}, text: "not written"},
		"too many":            {notes: strings.Split("abcdefgh", ""), want: 5, text: "3 older notes were not written"},
		"nothing to be noted": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := pagerdutytest.New(c.config)
			rest := pagerduty.NewREST(pagerduty.RESTConfig{Token: apiToken, From: c.from, Transport: s.Transport()})
			p := pagerduty.New(pagerduty.Config{RoutingKey: routingKey, Transport: s.Transport(), Notes: rest})
			n := noted(t, s, p, c.notes...)
			if c.fault != nil {
				s.Fail(*c.fault)
			}
			r, err := p.Deliver(t.Context(), n)
			require.NoError(t, err, "a note never holds up a page")
			assert.False(t, r.More)
			assert.Contains(t, r.Text, c.text)
			assert.NotContains(t, r.Text, apiToken)
			notes := s.Incidents(routingKey)[0].Notes
			require.Len(t, notes, c.want)
			for _, note := range notes {
				assert.True(t, pagerduty.OwnNote("k7f3q9", note.Content), note.Content)
				assert.False(t, pagerduty.OwnNote("other1", note.Content))
			}
			n.Delivery.Told = r.Told
			_, err = p.Deliver(t.Context(), n)
			require.NoError(t, err)
			assert.Len(t, s.Incidents(routingKey)[0].Notes, c.want, "once")
		})
	}
}

func TestNotesFromThereAndWithoutAToken(t *testing.T) {
	t.Parallel()
	s := pagerdutytest.New(pagerdutytest.Config{})
	p := pagerduty.New(pagerduty.Config{
		RoutingKey: routingKey, Transport: s.Transport(),
		Notes: pagerduty.NewREST(pagerduty.RESTConfig{Token: apiToken, Transport: s.Transport()}),
	})
	n := noted(t, s, p, "from there")
	n.Events[len(n.Events)-1].Target = n.Delivery.Target
	_, err := p.Deliver(t.Context(), n)
	require.NoError(t, err)
	n = noted(t, s, pagerduty.New(pagerduty.Config{RoutingKey: routingKey, Transport: s.Transport()}), "a")
	_, err = pagerduty.New(pagerduty.Config{RoutingKey: routingKey, Transport: s.Transport()}).Deliver(t.Context(), n)
	require.NoError(t, err)
	assert.Empty(t, s.Incidents(routingKey)[0].Notes)
}

func TestSendChange(t *testing.T) {
	t.Parallel()
	s := pagerdutytest.New(pagerdutytest.Config{KeepBodies: true})
	p := pagerduty.New(pagerduty.Config{RoutingKey: routingKey, Transport: s.Transport()})
	require.NoError(t, p.SendChange(t.Context(), pagerduty.Change{
		Summary: "configuration\nreloaded " + strings.Repeat("é", 2000), Source: "host-1", At: time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC),
		URL: "https://tocsin.example.com/", Details: map[string]string{"file": "tocsin.yml"},
	}))
	events := s.Events()
	require.Len(t, events, 1)
	assert.True(t, events[0].Change)
	assert.Contains(t, string(events[0].Body), `"custom_details":{"file":"tocsin.yml"}`)
	assert.Contains(t, string(events[0].Body), `"source":"host-1","timestamp":"2026-11-22T04:00:00.000Z"`)
	assert.Contains(t, string(events[0].Body), `"links":[{"href":"https://tocsin.example.com/","text":"Tocsin"}]`)
	assert.Empty(t, s.Violations())

	require.ErrorContains(t, p.SendChange(t.Context(), pagerduty.Change{Summary: " "}), "summary")
	x := pagerduty.Change{Summary: "x", URL: "javascript:alert(1)"}
	require.NoError(t, p.SendChange(t.Context(), x))
	assert.NotContains(t, string(s.Events()[1].Body), "javascript")
	err := pagerduty.New(pagerduty.Config{RoutingKey: "short", Transport: s.Transport()}).SendChange(t.Context(), x)
	require.ErrorContains(t, err, "check the routing key")
	assert.True(t, tocsin.IsPermanent(err))
	s.Fail(pagerdutytest.Fault{Status: http.StatusTooManyRequests, Times: 1})
	_, limited := tocsin.RetryDelay(p.SendChange(t.Context(), x))
	assert.True(t, limited)
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]pagerduty.Key{
		"tocsin-k7f3q9":         {Incident: "k7f3q9", Base: "tocsin-k7f3q9", Turn: 1},
		"tocsin-k7f3q9-2":       {Incident: "k7f3q9", Base: "tocsin-k7f3q9", Turn: 2},
		"tocsin-k7f3q9-rbtn":    {Incident: "k7f3q9", Base: "tocsin-k7f3q9-rbtn", Turn: 1},
		"tocsin-k7f3q9-rbtn-12": {Incident: "k7f3q9", Base: "tocsin-k7f3q9-rbtn", Turn: 12},
		"tocsin-k7f3q9-rbtn--1": {Incident: "k7f3q9", Base: "tocsin-k7f3q9-rbtn--1", Turn: 1},
	} {
		k, ours := pagerduty.ParseKey(in)
		assert.True(t, ours)
		assert.Equal(t, want, k)
	}
	for _, in := range []string{"", "tocsin-", "d3640fbd41094207a1c11e58e46b1662", "tocsin-" + strings.Repeat("x", 300)} {
		_, ours := pagerduty.ParseKey(in)
		assert.False(t, ours, in)
	}
}

func TestAccount(t *testing.T) {
	t.Parallel()
	s := pagerdutytest.New(pagerdutytest.Config{APIToken: apiToken})
	rest := pagerduty.NewREST(pagerduty.RESTConfig{Token: apiToken, Transport: s.Transport()})
	require.NoError(t, rest.Ping(t.Context()))
	s.Subscribe(pagerdutytest.Subscription{URL: "https://tocsin.example.com/webhook/pagerduty"})
	subs, err := rest.Subscriptions(t.Context())
	require.NoError(t, err)
	require.Len(t, subs, 1)
	assert.Empty(t, subs[0].Events, "all")
	subs[0].Events = nil
	assert.Equal(t, []pagerduty.Subscription{{
		ID: "PSUB001", URL: "https://tocsin.example.com/webhook/pagerduty", Active: true, Filter: "account_reference",
	}}, subs)
	_, err = rest.IncidentKey(t.Context(), "../oncalls")
	require.ErrorIs(t, err, tocsin.ErrNotFound)
	err = pagerduty.NewREST(pagerduty.RESTConfig{Token: "wrong", Transport: s.Transport()}).Ping(t.Context())
	require.ErrorContains(t, err, "check pagerduty.api_token")
	require.ErrorContains(t, pagerduty.NewREST(pagerduty.RESTConfig{}).Ping(t.Context()), "no PagerDuty API token")
}
