package notifiers_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers"
)

// revoked answers, when it is let, that its token is revoked.
type revoked struct{ let chan struct{} }

func (r revoked) Deliver(context.Context, tocsin.Notice) (tocsin.Receipt, error) {
	<-r.let
	return tocsin.Receipt{}, tocsin.Permanent(errors.New("token_revoked"))
}

// good delivers.
type good struct{ n atomic.Int32 }

func (g *good) Deliver(_ context.Context, n tocsin.Notice) (tocsin.Receipt, error) {
	g.n.Add(1)
	return tocsin.Receipt{Ref: "x", Revision: n.Incident.Revision, State: n.Incident.State, Called: n.Delivery.Calls}, nil
}

// An attempt that began before a reload, and fails for good after it, is made once
// more with what was configured meanwhile.
func TestAFailureOfTheOldConfigurationIsNotTheNewOnes(t *testing.T) {
	t.Parallel()
	bubble(t, func(w *world) {
		const key = "webhook:page/0"
		old, now := revoked{make(chan struct{})}, &good{}
		require.NoError(w, w.d.Load().SetTargets(context.Background(), []notifiers.Target{{Key: key, Notifier: old}}))
		w.change("i1", func(i *tocsin.Incident, at time.Time) []tocsin.Event {
			i.AddTarget(key, true, at)
			return nil
		})
		synctest.Wait() // the attempt is under way
		require.NoError(w, w.d.Load().SetTargets(context.Background(), []notifiers.Target{{Key: key, Notifier: now}}))
		close(old.let)
		time.Sleep(time.Minute)
		synctest.Wait()
		inc, err := w.store.Get(context.Background(), "i1")
		require.NoError(w, err)
		assert.EqualValues(w, 1, now.n.Load())
		assert.False(w, inc.Delivery(key).Failed)
		assert.Equal(w, inc.Revision, inc.Delivery(key).Revision)
	})
}
