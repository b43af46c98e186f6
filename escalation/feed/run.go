package feed

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// Run asks the sources until ctx ends: each when it begins, one a little after
// the other, and then as often as the source says.
func (f *Feeds) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		f.forget(ctx)
		f.round(ctx)
	}
	return nil
}

// round asks the sources of now until they are replaced, or ctx ends.
func (f *Feeds) round(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	f.mu.Lock()
	sources := slices.Clone(f.sources)
	f.mu.Unlock()
	for i := range sources {
		asking.Go(func() { f.poll(ctx, &sources[i], time.Duration(i)*spacing) })
	}
	select {
	case <-ctx.Done():
	case <-f.reload:
	}
}

// poll asks one source again and again.
func (f *Feeds) poll(ctx context.Context, s *Source, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		err := f.ask(ctx, s)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			timer.Reset(s.every())
			continue
		}
		timer.Reset(f.failed(s, err))
	}
}

// ask asks a source once and takes its answer.
func (f *Feeds) ask(ctx context.Context, s *Source) error {
	from, to := window(f.o.Now())
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	spans, err := s.Fetch(limited, from, to)
	if err != nil {
		return err
	}
	if spans, err = tidy(spans); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	changed, unsaved := f.take(s, answer{spans: spans, fetchedAt: f.o.Now(), from: from, to: to})
	if unsaved != nil {
		f.save(ctx, s.ID, unsaved)
	}
	if changed && f.o.Changed != nil {
		f.changing.Lock()
		defer f.changing.Unlock()
		f.o.Changed()
	}
	return nil
}

// take puts an answer into force. It returns it where it is to be written.
func (f *Feeds) take(s *Source, a answer) (changed bool, unsaved *answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	st := f.states[s.ID]
	if st == nil {
		return false, nil // the source has gone
	}
	if st.failures > 0 {
		f.o.Logger.Info("a feed answers again", "feed", s.ID, "away", st.age(a.fetchedAt).Round(time.Second), "failures", st.failures)
	}
	changed = !slices.EqualFunc(st.spans, a.spans, same)
	if !changed && st.stored && st.from.Equal(a.from) && st.to.Equal(a.to) {
		st.fetchedAt, st.failures = a.fetchedAt, 0
		return false, nil
	}
	*st = state{answer: a, asked: st.asked}
	return changed, &a
}

// save writes an answer. Where the store does not take it, the answer holds all
// the same, and is written with the next one.
func (f *Feeds) save(ctx context.Context, id string, a *answer) {
	value, err := a.encode()
	if err == nil {
		err = f.store.Update(ctx, func(tx tocsin.Tx) error {
			tx.PutDocument(Kind, id, value)
			return nil
		})
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		if ctx.Err() == nil {
			f.o.Logger.Warn("what a feed said could not be stored; it holds, but would be lost by a restart", "feed", id, "error", err)
		}
		return
	}
	if st := f.states[id]; st != nil && st.fetchedAt.Equal(a.fetchedAt) {
		st.stored = true
	}
}

// failed notes that a source did not answer, says so once, and returns when to
// ask again.
func (f *Feeds) failed(s *Source, err error) time.Duration {
	f.metrics.errors.WithLabelValues(s.ID).Inc()
	f.mu.Lock()
	defer f.mu.Unlock()
	st := f.states[s.ID]
	if st == nil {
		return s.every()
	}
	if st.failures++; st.failures == 1 {
		age := st.age(f.o.Now()).Round(time.Second)
		if st.fetchedAt.IsZero() {
			f.o.Logger.Warn("a feed does not answer, and never did: nobody is on call, or away, by it", "feed", s.ID, "error", err)
		} else {
			f.o.Logger.Warn("a feed does not answer: what it last said holds", "feed", s.ID, "age", age, "error", err)
		}
	}
	wait := min(firstRetry<<min(st.failures-1, 20), s.every())
	if pause, ok := tocsin.RetryDelay(err); ok {
		wait = max(wait, pause)
	}
	return wait
}

// forget drops what sources said that are no longer asked, once all of it is
// past.
func (f *Feeds) forget(ctx context.Context) {
	f.mu.Lock()
	now := f.o.Now()
	var gone []string
	for id, st := range f.states {
		asked := slices.ContainsFunc(f.sources, func(s Source) bool { return s.ID == id })
		if !asked && st.to.Before(now) {
			gone = append(gone, id)
			delete(f.states, id)
		}
	}
	f.mu.Unlock()
	if len(gone) == 0 {
		return
	}
	slices.Sort(gone)
	err := f.store.Update(ctx, func(tx tocsin.Tx) error {
		for _, id := range gone {
			tx.DeleteDocument(Kind, id)
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		f.o.Logger.Warn("what former feeds said could not be dropped; tried again after the next start", "error", err)
	}
}
