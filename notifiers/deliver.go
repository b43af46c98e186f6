package notifiers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

const (
	// alertsShown and eventsShown bound what a notice bears.
	alertsShown = 10
	eventsShown = 100
	// saveFor is how long a receipt is tried to be saved before its item goes
	// back to the lane; the receipt is kept meanwhile.
	saveFor = 5 * time.Second
	// stopGrace is how long a call may still take when Run is told to stop.
	stopGrace = 4 * time.Second
)

// process brings one item up to date with at most one call.
func (d *Dispatcher) process(ctx context.Context, l *lane, it *item) result {
	k := delivery{it.wake.Incident, it.wake.Target}
	if r, ok := d.takeUnsaved(k); ok {
		return d.save(ctx, k, r)
	}
	inc, del, err := d.current(ctx, k)
	if err != nil {
		return result{again: true, neutral: true}
	}
	if del == nil || del.Next.After(d.o.Now()) {
		return result{neutral: true}
	}
	d.mu.Lock()
	t, ok := d.targets[k.target]
	set := d.sets.Load()
	d.mu.Unlock()
	if !ok {
		_ = d.fail(ctx, k, errNotConfigured, set)
		return result{neutral: true}
	}
	if wait := d.lookWait(k, t); wait > 0 {
		return result{again: true, neutral: true, wait: wait}
	}
	if members, ref := d.digest(l, it, t, inc, del); members != nil {
		return d.deliverDigest(ctx, l, it, t, del, members, ref)
	}
	return d.deliver(ctx, k, t, inc, *del)
}

// current returns the incident and its delivery when there is something to do:
// when the target lags, or when somebody answered while it was not known whether
// its message was posted. That message is looked for, and not posted.
func (d *Dispatcher) current(ctx context.Context, k delivery) (*tocsin.Incident, *tocsin.Delivery, error) {
	inc, err := d.o.Store.Get(ctx, k.incident)
	if errors.Is(err, tocsin.ErrNotFound) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	del := inc.Delivery(k.target)
	if del == nil || !due(inc, del) && !(stray(del) && d.isUnclear(k)) {
		return inc, nil, nil
	}
	return inc, del, nil
}

// due is Lags without the calls that wait for the end of a quiet time.
func due(inc *tocsin.Incident, del *tocsin.Delivery) bool {
	return del.Lags(inc) && (!inc.Quiet() || del.Revision < del.Want(inc) || del.More)
}

// stray tells a delivery that was stopped before anything was known to be
// posted, and of which nothing has been said since.
func stray(del *tocsin.Delivery) bool { return del.Stopped && del.Ref == "" && del.Revision == 0 }

// calls reports whether the target is to be called, not only shown.
func calls(inc *tocsin.Incident, del *tocsin.Delivery) bool {
	return del.Calls > del.Called && !del.Stopped && !inc.Quiet()
}

func (d *Dispatcher) deliver(ctx context.Context, k delivery, t Target, inc *tocsin.Incident, del tocsin.Delivery) result {
	n, err := d.notice(ctx, t, inc, del)
	if err != nil {
		d.o.Logger.Warn("a notice could not be made", "incident", inc.ID, "target", t.Key, "error", err)
		return result{failed: true}
	}
	n.MayBePosted = d.isUnclear(k)
	start := time.Now()
	call, cancel := d.call(ctx)
	r, err := tell(call, t.Notifier, n)
	cancel()
	d.metrics.seconds.WithLabelValues(kind(t.Key)).Observe(time.Since(start).Seconds())
	if err != nil {
		return d.failed(ctx, k, t, del, err)
	}
	d.flag(k, false)
	d.metrics.delivered(t.Key, del.Since, d.o.Now())
	if n.Call && !r.More {
		r.Called = del.Calls
	}
	return d.save(ctx, k, r)
}

func tell(ctx context.Context, to Notifier, n tocsin.Notice) (tocsin.Receipt, error) {
	if !stray(&n.Delivery) {
		return to.Deliver(ctx, n)
	}
	if s, ok := to.(Stopper); ok {
		return s.DeliverStopped(ctx, n)
	}
	i := n.Incident
	return tocsin.Receipt{Revision: i.Revision, State: i.State, Severity: i.Severity, Text: "not sent: somebody has answered"}, nil
}

// call bounds one call to a provider. A call that is under way when ctx ends
// gets stopGrace to return, so that a stop leaves nothing unclear behind.
func (d *Dispatcher) call(ctx context.Context) (context.Context, func()) {
	call, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.o.Timeout)
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(stopGrace, cancel) })
	return call, func() { stop(); cancel() }
}

// notice gathers what stands beside the incident. Nothing that is missing
// delays the page: what cannot be read is left out.
func (d *Dispatcher) notice(ctx context.Context, t Target, inc *tocsin.Incident, del tocsin.Delivery) (tocsin.Notice, error) {
	n := tocsin.Notice{Incident: inc, Delivery: del, Call: calls(inc, &del), Now: d.o.Now()}
	var err error
	if n.Alerts, err = d.o.Store.AlertsOf(ctx, inc.ID, alertsShown); err != nil {
		d.o.Logger.Warn("alerts could not be read; paging without them", "incident", inc.ID, "error", err)
	}
	if t.Thread {
		if n.Events, err = d.o.Store.Timeline(ctx, inc.ID, del.Told, eventsShown); err != nil {
			return n, err // without its last event a thread would be told twice
		}
	}
	var labels tocsin.Labels
	if len(n.Alerts) > 0 {
		labels = n.Alerts[0].Labels
		n.GroupLabels = labels.Pick(inc.GroupBy)
	}
	if d.o.Runbook != nil && inc.Runbook != "" {
		n.Runbook = d.o.Runbook(inc.Runbook, labels)
	}
	if d.o.Steps != nil && inc.Runbook != "" {
		n.Steps = d.o.Steps(ctx, inc)
	}
	if d.o.URL != nil {
		n.URL = d.o.URL(inc.ID)
	}
	if d.o.Ahead != nil {
		n.Ahead = d.o.Ahead(inc)
	}
	if d.o.Remediations != nil {
		n.Remediations = d.o.Remediations(inc.ID)
	}
	return n, nil
}

// failed records a failure and says what becomes of the item.
func (d *Dispatcher) failed(ctx context.Context, k delivery, t Target, del tocsin.Delivery, err error) result {
	if ctx.Err() != nil {
		return result{failed: true} // we are shutting down; the provider did nothing wrong
	}
	if tocsin.IsUnclear(err) {
		d.flag(k, true)
	}
	if tocsin.IsPermanent(err) {
		d.metrics.outcomes.WithLabelValues(kind(t.Key), "failed").Inc()
		if ferr := d.fail(ctx, k, err, t.set); ferr != nil {
			return result{failed: true}
		}
		return result{}
	}
	d.metrics.outcomes.WithLabelValues(kind(t.Key), "retried").Inc()
	if del.Error != err.Error() {
		d.o.Logger.Warn("a delivery failed and is tried again", "incident", k.incident, "target", k.target, "error", err)
		d.note(ctx, k, err)
	}
	if pause, ok := tocsin.RetryDelay(err); ok {
		return result{pause: max(pause, time.Millisecond)}
	}
	return result{failed: true}
}

// revive has a delivery tried again that failed for good with a target that is
// another one by now.
func (d *Dispatcher) revive(ctx context.Context, k delivery) {
	err := d.o.Store.Update(ctx, func(tx tocsin.Tx) error {
		inc := tx.Incident(k.incident)
		if inc == nil {
			return nil
		}
		if del := inc.Delivery(k.target); del != nil && del.Failed {
			del.Failed = false
			tx.PutIncident(inc)
		}
		return nil
	})
	if err != nil {
		d.o.Logger.Warn("a delivery that failed during a reload is not tried again by itself", "incident", k.incident, "target", k.target, "error", err)
	}
}

// note writes a temporary failure on the delivery, for people to see. That it
// could not be written is no reason to do anything else.
func (d *Dispatcher) note(ctx context.Context, k delivery, cause error) {
	err := d.o.Store.Update(ctx, func(tx tocsin.Tx) error {
		inc := tx.Incident(k.incident)
		if inc == nil {
			return nil
		}
		if del := inc.Delivery(k.target); del != nil {
			del.Attempts++
			del.Error = cause.Error()
			tx.PutIncident(inc)
		}
		return nil
	})
	if err != nil {
		d.o.Logger.Warn("a failure could not be recorded", "incident", k.incident, "target", k.target, "error", err)
	}
}

// fail writes a permanent failure on the incident. It is one of the targets of a
// configuration: where another one is in force by now, SetTargets may have been too
// early to see it.
func (d *Dispatcher) fail(ctx context.Context, k delivery, cause error, set uint64) error {
	d.o.Logger.Error("a delivery failed for good", "incident", k.incident, "target", k.target, "error", cause)
	now := d.o.Now()
	err := d.o.Store.Update(ctx, func(tx tocsin.Tx) error {
		inc := tx.Incident(k.incident)
		if inc == nil {
			return nil
		}
		del := inc.Delivery(k.target)
		if del == nil || del.Failed && del.FailedRevision == inc.StateRevision {
			return nil
		}
		del.Failed, del.FailedRevision = true, inc.StateRevision
		del.Attempts++
		del.Error = cause.Error()
		e := inc.Event(tocsin.EventDeliveryFailed, "", fmt.Sprintf("could not be delivered: %v", cause), now)
		e.Target = k.target
		tx.PutIncident(inc)
		tx.Append(e)
		return nil
	})
	if err == nil && set != d.sets.Load() {
		d.revive(ctx, k)
	}
	return err
}

func (d *Dispatcher) takeUnsaved(k delivery) (tocsin.Receipt, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r, ok := d.unsaved[k]
	delete(d.unsaved, k)
	return r, ok
}

// save commits a receipt. One that the store does not take now is kept, so that
// nothing is sent a second time because of it.
func (d *Dispatcher) save(ctx context.Context, k delivery, r tocsin.Receipt) result {
	again, err := d.commit(ctx, k, r)
	if err != nil {
		d.mu.Lock()
		d.unsaved[k] = r
		d.mu.Unlock()
		d.o.Logger.Warn("a receipt could not be saved yet", "incident", k.incident, "target", k.target, "error", err)
		return result{failed: true}
	}
	return result{again: again}
}

// commit records what a target shows now, and reports whether it lags already.
func (d *Dispatcher) commit(ctx context.Context, k delivery, r tocsin.Receipt) (lags bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveFor)
	defer cancel()
	now := d.o.Now()
	err = d.o.Store.Update(ctx, func(tx tocsin.Tx) error {
		inc := tx.Incident(k.incident)
		if inc == nil {
			return nil
		}
		del := inc.Delivery(k.target)
		if del == nil {
			return nil
		}
		record(tx, inc, del, r, now)
		lags = due(inc, del)
		return nil
	})
	return lags, err
}

// record notes one receipt on one incident.
func record(tx tocsin.Tx, inc *tocsin.Incident, del *tocsin.Delivery, r tocsin.Receipt, now time.Time) {
	text, failure := r.Text, del.Error
	del.Record(r, now)
	tx.PutIncident(inc)
	if failure != "" { // the delivery forgets it, the timeline does not
		text = cmp.Or(text, "delivered") + ", after it had failed: " + failure
	}
	if text != "" {
		e := inc.Event(tocsin.EventDelivered, "", text, now)
		e.Target = del.Target
		tx.Append(e)
	}
}
