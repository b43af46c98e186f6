package notifiers

import (
	"context"
	"slices"

	"github.com/tocsin-oncall/tocsin"
)

// digestSize is the most incidents that one digest names.
const digestSize = 100

// member is an incident of a digest; item is nil for one that does not lag.
type member struct {
	item *item
	inc  *tocsin.Incident
}

// digest decides whether an item is told together with others, and with which.
// That is so when its message is a digest already, or when more incidents wait
// for a message that calls, or for their first one, than the lane's rate allows;
// a critical one that has few of its kind beside it still gets a message of its
// own, first. That holds for people as it does for channels: forty pages at one a
// second would keep the last one waiting for most of a minute.
//
// A digest that is changed calls nobody: to call again, its incidents are told
// anew. ref is the digest to change; empty: a new one.
func (d *Dispatcher) digest(l *lane, it *item, t Target, inc *tocsin.Incident, del *tocsin.Delivery) (members []member, ref string) {
	if _, ok := t.Notifier.(Digester); !ok {
		return nil, ""
	}
	if del.Digest && !calls(inc, del) {
		return d.digestOf(l, it, t, del.Ref), del.Ref
	}
	if !anew(inc, del) || l.unlimited() {
		return nil, ""
	}
	waiting := d.fresh(l, t)
	if inc.Severity == tocsin.Critical {
		waiting = slices.DeleteFunc(waiting, func(m member) bool { return m.inc.Severity != tocsin.Critical })
	}
	if d.o.DigestAfter < 0 || len(waiting) < d.o.DigestAfter {
		return nil, ""
	}
	taken := l.claim(digestSize-1, func(x *item) bool {
		return slices.ContainsFunc(waiting, func(m member) bool { return m.item == x })
	})
	out := []member{{it, inc}}
	for _, x := range taken {
		i := slices.IndexFunc(waiting, func(m member) bool { return m.item == x })
		out = append(out, waiting[i])
	}
	return out, ""
}

// anew reports whether the incident wants a new message that it may share.
func anew(inc *tocsin.Incident, del *tocsin.Delivery) bool {
	if inc.Kind == tocsin.KindNotice || del.Stopped {
		return false
	}
	return del.Ref == "" || del.Digest && calls(inc, del)
}

func (l *lane) unlimited() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.limiter == nil
}

// fresh returns the waiting items of a lane that want a new message.
func (d *Dispatcher) fresh(l *lane, t Target) []member {
	l.mu.Lock()
	var items []*item
	for _, it := range l.items {
		if !it.busy && it.wake.Target == t.Key {
			items = append(items, it)
		}
	}
	l.mu.Unlock()
	out := make([]member, 0, len(items))
	for _, it := range items {
		k := delivery{it.wake.Incident, t.Key}
		if d.lookWait(k, t) > 0 {
			continue
		}
		inc, del, err := d.current(context.Background(), k)
		if err == nil && del != nil && anew(inc, del) {
			out = append(out, member{it, inc})
		}
	}
	return out
}

// digestOf returns all live incidents that a digest names, but those that leave
// it for a new message.
func (d *Dispatcher) digestOf(l *lane, it *item, t Target, ref string) []member {
	var incs []*tocsin.Incident
	d.o.Store.Live(func(inc *tocsin.Incident) bool {
		if del := inc.Delivery(t.Key); del != nil && del.Digest && del.Ref == ref && !anew(inc, del) {
			incs = append(incs, inc)
		}
		return true
	})
	named := func(id string) bool {
		return slices.ContainsFunc(incs, func(i *tocsin.Incident) bool { return i.ID == id })
	}
	taken := l.claim(digestSize, func(x *item) bool { return x.wake.Target == t.Key && named(x.wake.Incident) })
	out := make([]member, 0, len(incs))
	for _, inc := range incs {
		m := member{inc: inc}
		for _, x := range append(taken, it) {
			if x.wake.Incident == inc.ID {
				m.item = x
			}
		}
		out = append(out, m)
	}
	return out
}

// deliverDigest tells the members in one call. The result is that of the item
// that asked; the others that waited are finished here.
func (d *Dispatcher) deliverDigest(ctx context.Context, l *lane, it *item, t Target, del *tocsin.Delivery, members []member, ref string) result {
	slices.SortStableFunc(members, func(a, b member) int { return b.inc.Severity.Rank() - a.inc.Severity.Rank() })
	n := tocsin.DigestNotice{Ref: ref, Target: t.Key, Now: d.o.Now(), Since: d.o.Now()}
	for _, m := range members {
		n.Incidents = append(n.Incidents, m.inc)
		n.MayBePosted = n.MayBePosted || d.isUnclear(delivery{m.inc.ID, t.Key})
		if del := m.inc.Delivery(t.Key); del != nil && del.Since.Before(n.Since) {
			n.Since = del.Since
		}
	}
	call, cancel := d.call(ctx)
	r, err := t.Notifier.(Digester).DeliverDigest(call, n)
	cancel()
	res := result{}
	if err != nil {
		for _, m := range members {
			if tocsin.IsUnclear(err) && m.item != nil {
				d.flag(delivery{m.inc.ID, t.Key}, true)
			}
		}
		res = d.failed(ctx, delivery{it.wake.Incident, t.Key}, t, *del, err)
	} else if err = d.commitDigest(ctx, n.Incidents, t, r); err != nil {
		// Posted, and not recorded: the next try looks for it first.
		for _, m := range members {
			d.flag(delivery{m.inc.ID, t.Key}, true)
		}
		res = result{failed: true}
	} else {
		for _, m := range members {
			d.flag(delivery{m.inc.ID, t.Key}, false)
		}
		d.metrics.outcomes.WithLabelValues(kind(t.Key), "digested").Add(float64(len(members)))
	}
	for _, m := range members {
		if m.item != nil && m.item != it {
			l.finish(m.item, result{neutral: true, again: err != nil})
		}
	}
	return res
}

// commitDigest records that every member is shown as it was rendered.
func (d *Dispatcher) commitDigest(ctx context.Context, shown []*tocsin.Incident, t Target, r tocsin.Receipt) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveFor)
	defer cancel()
	now := d.o.Now()
	return d.o.Store.Update(ctx, func(tx tocsin.Tx) error {
		for _, was := range shown {
			inc := tx.Incident(was.ID)
			if inc == nil {
				continue
			}
			del := inc.Delivery(t.Key)
			if del == nil {
				continue
			}
			mine := r
			mine.Digest, mine.Revision, mine.State, mine.Severity = true, was.Revision, was.State, was.Severity
			if del.Ref == r.Ref {
				mine.Text = "" // said when the digest was posted
			} else if shown := was.Delivery(t.Key); shown != nil && calls(was, shown) {
				mine.Called = shown.Calls
			}
			record(tx, inc, del, mine, now)
		}
		return nil
	})
}
