package bolt

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"

	"github.com/tocsin-oncall/tocsin"
)

const (
	// maxBatch is how many updates share a commit at most, maxArena how many
	// encoded bytes.
	maxBatch = 1024
	maxArena = 8 << 20
	// reapStep is how many alerts of archived incidents are cleared away at once.
	reapStep = 2048
	// healInterval is how often a write is tried while there was no room.
	healInterval = time.Second
)

// committer is the goroutine that writes. It owns the memory, the layers and
// bbolt's write transactions.
type committer struct {
	s     *Store
	batch *layer
	tx    *tx
	enc   *encoder
	// members are the updates of the present batch.
	members []*request
	// orderly is true when run came to its end.
	orderly bool
}

func newCommitter(s *Store) *committer {
	c := &committer{s: s, batch: newLayer(), enc: newEncoder()}
	c.tx = &tx{mem: s.mem, batch: c.batch, own: newLayer(), enc: c.enc, fetch: s.archivedRecord, version: s.mem.version}
	return c
}

func (c *committer) run() {
	debug.SetPanicOnFault(true)
	defer c.ended()
	for r := c.next(); r != nil; r = c.next() {
		c.commit(r)
	}
	c.s.closeErr = c.flush()
	c.orderly = true
}

// ended answers whoever waits when the goroutine was ended by a decision that
// called runtime.Goexit, as t.FailNow does in a test.
func (c *committer) ended() {
	if !c.orderly {
		err := errors.New("a decision ended the committer's goroutine (runtime.Goexit)")
		c.s.raise(err)
		c.answer(err)
	}
	close(c.s.stopped)
}

// next waits for a request; nil: the store is closing and there is none left.
func (c *committer) next() *request {
	for {
		if r := c.poll(); r != nil {
			return r
		}
		if c.reap() {
			continue
		}
		select {
		case r := <-c.s.queue:
			return r
		case <-c.s.quit:
			return c.poll()
		case <-c.heal():
			c.probe()
		}
	}
}

func (c *committer) poll() *request {
	select {
	case r := <-c.s.queue:
		return r
	default:
		return nil
	}
}

// reap clears some away of what archived incidents left, and reports whether
// there is more.
func (c *committer) reap() bool {
	m := c.s.mem
	if m.graves == nil {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reap(reapStep)
}

// heal ticks while the last commit found no room.
func (c *committer) heal() <-chan time.Time {
	if c.s.trouble.Load() == nil || c.s.fence.Load() != nil {
		return nil
	}
	return time.After(healInterval)
}

// probe writes a little, so that a store that nobody sends updates to, because
// it says that it is not ready, finds out that there is room again.
func (c *committer) probe() {
	c.batch.reset(c.s.mem.seq)
	c.batch.writes = append(c.batch.writes, write{bucketMeta, []byte("probe"), []byte("1")})
	_ = c.persist()
}

// commit makes r and what waits behind it durable, and answers.
func (c *committer) commit(r *request) {
	c.batch.reset(c.s.mem.seq)
	c.enc.reset()
	refusal := c.s.refusal()
	yielded := false
	for r != nil && r.op == nil {
		c.decide(r, refusal)
		r = nil
		if len(c.members) >= maxBatch || c.enc.mark() >= maxArena {
			break
		}
		if r = c.poll(); r == nil && !yielded {
			// Whoever is about to send gets the chance to share this commit.
			yielded = true
			runtime.Gosched()
			r = c.poll()
		}
	}
	c.answer(c.finish())
	if r != nil {
		c.operate(r)
	}
}

// finish makes the batch durable, then visible.
func (c *committer) finish() error {
	if !c.batch.changed() {
		return nil
	}
	wrote := len(c.batch.writes) > 0
	if wrote {
		c.chainEvents()
		if err := c.persist(); err != nil {
			return err
		}
	}
	m := c.s.mem
	m.mu.Lock()
	m.apply(c.batch)
	m.reap(reapStep)
	m.mu.Unlock()
	if wrote {
		c.tell()
	}
	return nil
}

// tell calls the Committed hook.
func (c *committer) tell() {
	defer func() {
		if p := recover(); p != nil {
			c.s.opts.Logger.Error("the Committed hook panicked", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	c.s.opts.Committed(c.batch.wakes(c.s.opts.Now()))
}

// answer gives the batch's members their outcome; err is the commit's.
func (c *committer) answer(err error) {
	if err != nil {
		err = tocsin.Unavailable(err)
	}
	ok, refused, unavailable := 0, 0, 0
	for _, r := range c.members {
		e := r.err
		if err != nil && !r.refused {
			e = err
		}
		switch {
		case e == nil:
			ok++
		case r.refused || err != nil:
			unavailable++
		default:
			refused++
		}
		r.done <- e
	}
	c.s.met.ok.Add(float64(ok))
	c.s.met.refused.Add(float64(refused))
	c.s.met.unavailable.Add(float64(unavailable))
	clear(c.members)
	c.members = c.members[:0]
}

// decide runs one update's function above the batch.
func (c *committer) decide(r *request, refusal error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cancelled {
		return
	}
	c.members = append(c.members, r)
	r.started, r.refused = true, true
	switch {
	case r.ctx.Err() != nil:
		r.err = notRun(r.ctx)
	case refusal != nil:
		r.err = tocsin.Unavailable(refusal)
	default:
		r.refused = false
		r.err = c.try(r)
	}
}

// try runs r's function and, if it succeeds, adds what it did to the batch.
func (c *committer) try(r *request) error {
	mark := c.enc.mark()
	c.tx.begin(r.ctx)
	err := c.guard(func() error { return r.fn(c.tx) })
	if err == nil {
		err = c.guard(c.tx.finish)
	}
	if err != nil {
		c.enc.truncate(mark)
		return err
	}
	c.batch.absorb(c.tx.own)
	return nil
}

// guard turns a panic into an error.
func (c *committer) guard(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.s.opts.Logger.Error("a decision panicked", "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("the decision panicked, nothing was changed: %v", p)
		}
	}()
	return fn()
}

// operate runs an operation that needs the committer for itself.
func (c *committer) operate(r *request) {
	r.mu.Lock()
	r.started = !r.cancelled
	run := r.started
	r.mu.Unlock()
	if run {
		r.done <- c.guard(r.op)
	}
}

// flush writes what was only observed, before the store closes.
func (c *committer) flush() error {
	if c.s.fence.Load() != nil {
		return nil
	}
	c.batch.reset(c.s.mem.seq)
	c.enc.reset()
	for _, a := range c.s.mem.alerts {
		if !a.pending || a.dead() {
			continue
		}
		if err := c.rewrite(a); err != nil {
			return err
		}
		if len(c.batch.writes) >= maxKept {
			if err := c.persist(); err != nil {
				return err
			}
			c.batch.reset(c.s.mem.seq)
			c.enc.reset()
		}
	}
	if len(c.batch.writes) == 0 {
		return nil
	}
	return c.persist()
}

// rewrite adds an alert's present state to the batch.
func (c *committer) rewrite(a *alert) error {
	value, err := c.enc.state(&a.state)
	if err != nil {
		return fmt.Errorf("alert %s: %w", a.state.ID, err)
	}
	w := write{bucketOrphans, a.state.ID[:], value}
	if e := a.entry; e != nil {
		w.bucket, w.key = bucketStates, c.enc.alertKey(e.opened, e.inc.ID, a.state.Seq)
	}
	c.batch.writes = append(c.batch.writes, w)
	return nil
}

// persist writes the batch to the file. An error that may pass leaves things as
// they were; any other fences the store.
func (c *committer) persist() error {
	began := time.Now()
	err := c.s.transact(func(tx *bbolt.Tx) error { return c.batch.writeTo(tx) })
	if err != nil {
		return err
	}
	c.s.met.commitSeconds.Observe(time.Since(began).Seconds())
	c.s.met.commits.Inc()
	if n := len(c.members); n > 0 {
		c.s.met.batch.Observe(float64(n))
	}
	return nil
}
