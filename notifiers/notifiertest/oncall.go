package notifiertest

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
)

// follow delivers until the notifier wants no more, as the dispatcher does, and
// returns the last receipt.
func (p *Provider) follow(t *testing.T, n Notifier, notice *tocsin.Notice) tocsin.Receipt {
	t.Helper()
	for range 5 {
		r, err := p.deliver(t.Context(), t, n, *notice)
		require.NoError(t, err)
		if notice.Call && !r.More {
			r.Called = notice.Delivery.Calls
		}
		notice.Delivery.Record(r, notice.Now)
		notice.Call, notice.MayBePosted = notice.Delivery.Calls > notice.Delivery.Called, false
		if !r.More {
			return r
		}
	}
	require.Fail(t, "the calls do not end")
	return tocsin.Receipt{}
}

// called marks the notice as one that calls for the n-th time.
func called(notice *tocsin.Notice, n uint32) {
	i := notice.Incident
	notice.Delivery.Calls, notice.Call = n, true
	i.Touch(notice.Now)
	e := i.Event(tocsin.EventCalled, "", "calling again", notice.Now)
	e.Seq, e.Target = uint64(10+n), notice.Delivery.Target
	notice.Events = append(notice.Events, e)
}

// callsAgain: to call again reaches the provider; and the same call, when its
// receipt was lost, is no second one.
func callsAgain(t *testing.T, p *Provider) {
	h, things := p.Emulator(t)
	var reached atomic.Int32
	n := p.New(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		h.ServeHTTP(w, r)
	})).URL, nil)
	notice := p.notice()
	called(&notice, 1)
	p.follow(t, n, &notice)
	require.Equal(t, 1, things(), "the first call is the message itself")

	called(&notice, 2)
	lost, before := notice, reached.Load()
	p.follow(t, n, &notice)
	assert.Greater(t, reached.Load(), before, "nothing was called")
	assert.Equal(t, uint32(2), notice.Delivery.Called)
	count := things()

	lost.MayBePosted = true
	p.follow(t, n, &lost)
	assert.Equal(t, count, things(), "called twice for one call")
}

// stop has somebody answer before the target is known to show anything.
func stop(notice *tocsin.Notice) {
	i := notice.Incident
	i.Acknowledge("ana", notice.Now)
	d := i.Delivery(notice.Delivery.Target)
	d.Calls = 1
	i.StopCalls()
	notice.Delivery, notice.MayBePosted = *d, true
}

func stoppedIsNotPosted(t *testing.T, p *Provider) {
	h, things := p.Emulator(t)
	notice := p.notice()
	stop(&notice)
	r := p.follow(t, p.New(t, serve(t, h).URL, nil), &notice)
	assert.Zero(t, things(), "somebody has answered: nobody is to be called")
	assert.GreaterOrEqual(t, r.Revision, notice.Incident.StateRevision, "it would be looked for for ever")
}

func stoppedFollows(t *testing.T, p *Provider) {
	h, things := p.Emulator(t)
	n := p.New(t, serve(t, h).URL, nil)
	notice := p.notice()
	_, err := p.deliver(t.Context(), t, n, notice) // its receipt is lost
	require.NoError(t, err)
	stop(&notice)
	p.follow(t, n, &notice)
	assert.Equal(t, 1, things())
	assert.NotEmpty(t, notice.Delivery.Ref, "what may be there must go on following the incident")
}

// withoutAlerts makes the notice one of an incident that no alert made.
func withoutAlerts(notice *tocsin.Notice, kind tocsin.Kind) {
	i := notice.Incident
	i.Kind, i.Title, i.Text = kind, "The coolant pump is loud", "First line.\nSecond <line>."
	i.Alerts, i.Firing, i.GroupBy, i.Runbook = 0, 0, nil, ""
	notice.Alerts, notice.GroupLabels, notice.Runbook = nil, nil, nil
}

func tellsManual(t *testing.T, p *Provider) {
	h, things := p.Emulator(t)
	notice := p.notice()
	withoutAlerts(&notice, tocsin.KindManual)
	r := p.follow(t, p.New(t, serve(t, h).URL, nil), &notice)
	assert.Equal(t, 1, things())
	assert.NotEmpty(t, r.Text)
}

// tellsNotice: a notice is told, or it is said that it is not. Its end adds
// nothing.
func tellsNotice(t *testing.T, p *Provider) {
	h, things := p.Emulator(t)
	n := p.New(t, serve(t, h).URL, nil)
	notice := p.notice()
	withoutAlerts(&notice, tocsin.KindNotice)
	r := p.follow(t, n, &notice)
	assert.NotEmpty(t, r.Text)
	assert.GreaterOrEqual(t, r.Revision, notice.Incident.StateRevision, "it would be told for ever")
	count := things()
	assert.LessOrEqual(t, count, 1)

	notice.Incident.Resolve("", "told", notice.Now.Add(time.Hour))
	p.follow(t, n, &notice)
	assert.Equal(t, count, things())
}
