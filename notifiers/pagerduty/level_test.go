package pagerduty_test

import (
	"context"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/notifiertest"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
)

const (
	none         = tocsin.State("")
	triggered    = tocsin.Triggered
	acknowledged = tocsin.Acknowledged
	resolved     = tocsin.Resolved
)

// TestLevels: from what PagerDuty was told to what the incident is, the calls
// that are made.
func TestLevels(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		told     tocsin.State
		severity tocsin.Severity
		unsure   bool
		is       tocsin.State
		want     []string
	}{
		{"new", none, "", false, triggered, []string{"trigger"}},
		{"new, posted perhaps", none, "", true, triggered, []string{"trigger"}},
		{"acknowledged before told", none, "", false, acknowledged, []string{"trigger", "acknowledge"}},
		{"resolved before told", none, "", false, resolved, nil},
		{"resolved, told perhaps", none, "", true, resolved, []string{"resolve"}},
		{"nothing new", triggered, tocsin.Critical, false, triggered, nil},
		{"acknowledged", triggered, tocsin.Critical, false, acknowledged, []string{"acknowledge"}},
		{"resolved", triggered, tocsin.Critical, false, resolved, []string{"resolve"}},
		{"raised", triggered, tocsin.Warning, false, triggered, []string{"trigger"}},
		{"raised, then acknowledged", triggered, tocsin.Warning, false, acknowledged, []string{"trigger", "acknowledge"}},
		{"raised, then resolved", triggered, tocsin.Warning, false, resolved, []string{"resolve"}},
		{"acknowledgement ran out", acknowledged, tocsin.Critical, false, triggered, []string{"trigger"}},
		{"raised while acknowledged", acknowledged, tocsin.Info, false, triggered, []string{"trigger"}},
		{"severity raised by who acknowledged", acknowledged, tocsin.Info, false, acknowledged, []string{"trigger"}},
		{"another owner", acknowledged, tocsin.Critical, false, acknowledged, nil},
		{"acknowledged, then resolved", acknowledged, tocsin.Critical, false, resolved, []string{"resolve"}},
		{"reopened", resolved, tocsin.Critical, false, triggered, []string{"trigger"}},
		{"reopened and acknowledged", resolved, tocsin.Critical, false, acknowledged, []string{"trigger", "acknowledge"}},
		{"reopened and resolved again", resolved, tocsin.Critical, false, resolved, nil},
		{"resolve of unknown outcome, then reopened", triggered, tocsin.Critical, true, triggered, []string{"trigger"}},
		{"the same, then acknowledged", triggered, tocsin.Critical, true, acknowledged, []string{"trigger", "acknowledge"}},
		{"trigger of unknown outcome after a resolve", resolved, tocsin.Critical, true, resolved, []string{"resolve"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := pagerdutytest.New(pagerdutytest.Config{})
			p := pagerduty.New(pagerduty.Config{RoutingKey: routingKey, Transport: s.Transport()})
			n := notifiertest.Sample()
			n.Incident.State, n.Incident.Revision, n.Incident.StateRevision = c.is, 9, 7
			n.Delivery.State, n.Delivery.Severity, n.MayBePosted = c.told, c.severity, c.unsure
			if c.told != none {
				n.Delivery.Ref, n.Delivery.Revision = "tocsin-k7f3q9", 2
			}
			receipt := settle(t, p, n)
			assert.Equal(t, c.want, actions(s))
			if c.told == acknowledged && c.is == triggered {
				c.is = acknowledged // the Events API has no way back
			}
			assert.Equal(t, c.is, receipt.State)
			assert.Equal(t, uint64(9), receipt.Revision)
			for _, e := range s.Events() {
				assert.Contains(t, e.DedupKey, "tocsin-k7f3q9")
				assert.Equal(t, c.told == resolved, e.DedupKey == "tocsin-k7f3q9-2", "after a resolution, the next key")
				assert.Equal(t, http.StatusAccepted, e.Status)
			}
		})
	}
}

// settle delivers until no more is wanted, and returns the last receipt.
func settle(t require.TestingT, p *pagerduty.Notifier, n tocsin.Notice) tocsin.Receipt {
	for range 5 {
		r, err := p.Deliver(context.Background(), n)
		require.NoError(t, err)
		if !r.More {
			return r
		}
		require.Less(t, r.Revision, n.Incident.StateRevision, "the target must lag until the last call")
		apply(&n.Delivery, r)
		n.MayBePosted = false
	}
	require.Fail(t, "the calls do not end")
	return tocsin.Receipt{}
}

func apply(d *tocsin.Delivery, r tocsin.Receipt) {
	d.Revision, d.State, d.Severity, d.Attempts = r.Revision, r.State, r.Severity, 0
	if r.Ref != "" {
		d.Ref = r.Ref
	}
}

func actions(s *pagerdutytest.Server) []string {
	var out []string
	for _, e := range s.Events() {
		out = append(out, e.Action)
	}
	return out
}

func TestReceiptTellsWhatWasDone(t *testing.T) {
	t.Parallel()
	s := pagerdutytest.New(pagerdutytest.Config{})
	p := pagerduty.New(pagerduty.Config{RoutingKey: routingKey, Transport: s.Transport()})
	n := notifiertest.Sample()
	r, err := p.Deliver(t.Context(), n)
	require.NoError(t, err)
	assert.Equal(t, tocsin.Receipt{
		Ref: "tocsin-k7f3q9-rbtn", Sent: n.Now, Revision: 3, State: triggered, Severity: tocsin.Critical, Text: "triggered in PagerDuty",
	}, r)

	n.Incident.State = resolved
	r, err = p.Deliver(t.Context(), n)
	require.NoError(t, err)
	assert.Equal(t, tocsin.Receipt{
		Revision: 3, State: resolved, Severity: tocsin.Critical, Text: "resolved before PagerDuty could be told: not sent",
	}, r)
	assert.Equal(t, 1, s.Stats().Calls)
}

// TestPagerDutyFollowsTheIncident: whatever happens to an incident and to the
// calls about it, PagerDuty ends in the incident's state, and each of its
// incidents is one episode.
func TestPagerDutyFollowsTheIncident(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
		s := pagerdutytest.New(pagerdutytest.Config{Keys: []string{routingKey}})
		p := pagerduty.New(pagerduty.Config{RoutingKey: routingKey, Transport: s.Transport()})
		n := notifiertest.Sample()
		i := n.Incident
		i.Severity = tocsin.Info
		i.Deliveries[0] = tocsin.Delivery{Target: "pagerduty:a", Detail: rapid.Bool().Draw(t, "detail")}
		episodes := 1
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"ack", "resolve", "reopen", "raise", "touch", "deliver", "deliver"}).Draw(t, "step") {
			case "ack":
				i.Acknowledge("ana", now)
			case "resolve":
				i.Resolve("", "", now)
			case "reopen":
				if !i.Open() {
					i.Reopen("", now)
					episodes++
				}
			case "raise":
				i.Raise(rapid.SampledFrom([]tocsin.Severity{tocsin.Warning, tocsin.Error, tocsin.Critical}).Draw(t, "to"), now)
			case "touch":
				i.Touch(now)
			case "deliver":
				s.Clear()
				fault(t, s)
				attempt(p, &n)
			}
		}
		s.Clear()
		for attempt(p, &n) {
		}
		assertFollows(t, s, &n, episodes)
	})
}

func fault(t *rapid.T, s *pagerdutytest.Server) {
	switch rapid.SampledFrom([]string{"fine", "drop", "500", "429", "fine"}).Draw(t, "fault") {
	case "drop":
		s.Fail(pagerdutytest.Fault{Drop: true})
	case "500":
		s.Fail(pagerdutytest.Fault{Status: http.StatusInternalServerError})
	case "429":
		s.Fail(pagerdutytest.Fault{Status: http.StatusTooManyRequests})
	}
}

// attempt does what a dispatcher does once, and tells whether it did anything.
func attempt(p *pagerduty.Notifier, n *tocsin.Notice) bool {
	d := &n.Incident.Deliveries[0]
	if !d.Lags(n.Incident) {
		return false
	}
	n.Delivery = *d
	r, err := p.Deliver(context.Background(), *n)
	if err != nil {
		d.Attempts++
		n.MayBePosted = n.MayBePosted || tocsin.IsUnclear(err)
		return true
	}
	apply(d, r)
	n.MayBePosted = false
	return true
}

func assertFollows(t *rapid.T, s *pagerdutytest.Server, n *tocsin.Notice, episodes int) {
	incidents := s.Incidents(routingKey)
	require.LessOrEqual(t, len(incidents), episodes, "more PagerDuty incidents than episodes")
	open := slices.IndexFunc(incidents, func(i pagerdutytest.Incident) bool { return i.Status != pagerdutytest.Resolved })
	if !n.Incident.Open() {
		require.Equal(t, -1, open, "an orphan is open in PagerDuty")
		return
	}
	require.Equal(t, len(incidents)-1, open, "the last one is open, and no other")
	last := incidents[open]
	require.Equal(t, string(n.Incident.Severity), last.Severity)
	if n.Incident.State == acknowledged {
		require.Equal(t, pagerdutytest.Acknowledged, last.Status)
	}
	require.Empty(t, s.Violations())
}

func TestTransportErrorKeepsItsCause(t *testing.T) {
	t.Parallel()
	p := pagerduty.New(pagerduty.Config{RoutingKey: routingKey, Transport: failing{}})
	_, err := p.Deliver(t.Context(), notifiertest.Sample())
	require.ErrorIs(t, err, io.ErrUnexpectedEOF, "the client library hides causes")
	assert.True(t, tocsin.IsUnclear(err))
}

type failing struct{}

func (failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }

func TestMissingRoutingKeyIsPermanent(t *testing.T) {
	t.Parallel()
	_, err := pagerduty.New(pagerduty.Config{}).Deliver(t.Context(), notifiertest.Sample())
	require.ErrorContains(t, err, "routing_key_file")
	assert.True(t, tocsin.IsPermanent(err))
}

func TestWrongEventsURLIsPermanent(t *testing.T) {
	t.Parallel()
	p := pagerduty.New(pagerduty.Config{RoutingKey: routingKey, EventsURL: "http://a b"})
	_, err := p.Deliver(t.Context(), notifiertest.Sample())
	require.ErrorContains(t, err, "events_url")
	assert.True(t, tocsin.IsPermanent(err))
}

func TestErrorsRepeatPagerDutysWords(t *testing.T) {
	t.Parallel()
	s := pagerdutytest.New(pagerdutytest.Config{})
	p := pagerduty.New(pagerduty.Config{RoutingKey: "short", Transport: s.Transport()})
	_, err := p.Deliver(t.Context(), notifiertest.Sample())
	assert.EqualError(t, err, "PagerDuty refused the event; check the routing key of this receiver: status 400: "+
		"Event object is invalid: Length of 'routing_key' is incorrect (should be 32 characters)")
	assert.True(t, tocsin.IsPermanent(err))
}

func TestPauses(t *testing.T) {
	t.Parallel()
	now := notifiertest.Sample().Now
	for _, c := range []struct {
		name   string
		status int
		header http.Header
		want   time.Duration
	}{
		{"seconds", 429, http.Header{"Retry-After": {"90"}}, 90 * time.Second},
		{"date", 429, http.Header{"Retry-After": {now.Add(42 * time.Second).Format(http.TimeFormat)}}, 41 * time.Second},
		{"date by the server's clock", 429, http.Header{
			"Date": {"Mon, 01 Jan 2024 00:00:00 GMT"}, "Retry-After": {"Mon, 01 Jan 2024 00:00:20 GMT"},
		}, 20 * time.Second},
		{"reset", 429, http.Header{"Ratelimit-Reset": {"11"}}, 11 * time.Second},
		{"none", 429, nil, time.Minute},
		{"too long", 429, http.Header{"Retry-After": {"86400"}}, 15 * time.Minute},
		{"unavailable", 503, http.Header{"Retry-After": {"5"}}, 5 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := pagerdutytest.New(pagerdutytest.Config{})
			s.Fail(pagerdutytest.Fault{Status: c.status, Header: c.header})
			p := pagerduty.New(pagerduty.Config{RoutingKey: routingKey, Transport: s.Transport()})
			_, err := p.Deliver(t.Context(), notifiertest.Sample())
			d, ok := tocsin.RetryDelay(err)
			require.True(t, ok, "%v", err)
			assert.InDelta(t, c.want.Seconds(), d.Seconds(), 1)
		})
	}
}
