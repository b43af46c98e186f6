package remediation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// errLost is the cause of an interruption: another engine has it now.
var errLost = errors.New("another engine has it")

// stoppedBy is the cause of an interruption by a person.
type stoppedBy struct{ who string }

func (s stoppedBy) Error() string { return "stopped by " + s.who }

// carryOn takes a remediation from where it stands to its end.
func (e *Engine) carryOn(ctx context.Context, id string, c *carriage) {
	x, err := e.committed(ctx)
	if err != nil {
		return // the sweep comes back to it
	}
	r := x.find(id)
	if r == nil {
		return
	}
	m := e.rules.Load().byName[r.Remedy]
	switch r.State {
	case tocsin.RemediationApproved:
		r = e.run(ctx, c, r)
	case tocsin.RemediationVerifying:
		r = e.claimVerifying(ctx, c, m, id)
	}
	if r != nil && r.State == tocsin.RemediationVerifying {
		r = e.verify(ctx, c, m, r)
	}
	if r != nil && r.State == tocsin.RemediationRollingBack {
		e.rollBack(ctx, c, m, r)
	}
	e.sendPage(ctx, id)
}

// run prechecks, starts and executes, and returns how it stands then; nil: there
// is nothing more to do here.
func (e *Engine) run(ctx context.Context, c *carriage, r *record) *record {
	free, ok := e.slot(ctx)
	if !ok {
		return nil
	}
	defer free()
	m := e.rules.Load().byName[r.Remedy] // it may have waited for long
	if r = e.start(ctx, c, m, r); r == nil {
		return nil
	}
	res, err := e.execute(ctx, c, m.command(m.program, r.Parameters, r.Input), r)
	return e.executed(ctx, c, m, r.ID, res, err)
}

// slot waits until one more command may be executed.
func (e *Engine) slot(ctx context.Context) (free func(), ok bool) {
	select {
	case e.slots <- struct{}{}:
		return func() { <-e.slots }, true
	case <-ctx.Done():
		return nil, false
	}
}

// start writes that a remediation is started, when its contract allows it; nil:
// it is not, or another engine was faster. Nothing has been executed before that
// is durable.
func (e *Engine) start(ctx context.Context, c *carriage, m *remedy, was *record) *record {
	before := e.lookAhead(ctx, m, was)
	if ctx.Err() != nil {
		return nil
	}
	asked := e.o.Now()
	var out *record
	err := e.insist(ctx, func(l *ledger) error {
		out = nil
		r, err := l.find(was.ID)
		now := e.rules.Load().byName[was.Remedy]
		switch {
		case err != nil:
			return err
		case r != nil && r.State == tocsin.RemediationStarted && r.Owner == c.owner:
			out = r // written by a try that was not answered
			return nil
		case r == nil || r.State != tocsin.RemediationApproved || r.Round != was.Round:
			return nil
		case l.now.Sub(asked) > fresh, m.changed(r) && !now.changed(r):
			return nil // what was asked says nothing of now: the sweep comes back to it
		}
		done, err := l.notStarted(now, r, before)
		if done || err != nil {
			return err
		}
		r.State, r.StartedAt, r.Owner, r.Until = tocsin.RemediationStarted, l.now, c.owner, l.now.Add(lease)
		r.Starts = append(r.Starts, l.now)
		out = r
		text := "started"
		if len(r.Starts) > 1 {
			text = "started once more"
		}
		if before.said != "" {
			text += "; precheck: " + before.said
		}
		return l.say(r, "", text)
	})
	if err != nil {
		if ctx.Err() == nil {
			e.o.Logger.Error("a remedy could not be started; tried again soon", "remediation", was.ID, "error", err)
		}
		return nil
	}
	if out != nil {
		e.metrics.start.WithLabelValues(string(out.Mode)).Observe(out.StartedAt.Sub(out.ProposedAt).Seconds())
	}
	return out
}

// notStarted ends a remediation that may not be started, and reports whether it
// did.
func (l *ledger) notStarted(m *remedy, r *record, before outlook) (bool, error) {
	why := cmp.Or(l.gone(r), l.suppressed(r))
	if why == "" && r.expired(l.now) {
		why = "it was approved, and not started in time"
	}
	switch {
	case why != "" && len(r.Starts) == 0:
		return true, l.end(r, tocsin.RemediationExpired, "", why)
	case why != "":
		return true, l.refuse(r, refusal{text: why})
	case m == nil:
		return true, l.refuse(r, refusal{text: "the remedy is not declared any more"})
	case m.changed(r):
		return true, l.refuse(r, refusal{text: "the remedy was changed since it was proposed"})
	case len(m.standing(r)) < r.Needs:
		return true, l.refuse(r, refusal{text: "whoever approved it may not do so any more"})
	case before.unreachable != nil:
		if len(r.Starts) == 0 {
			r.Page = &page{
				Key:   "remediation-precheck/" + r.Remedy,
				Title: "remedy " + r.Remedy + " was not run: nobody answers its precheck",
				Text:  short(before.unreachable.Error()) + "\nIt was for " + orAll(r.Target) + ", incident " + r.Incident + ".",
			}
		}
		return true, l.refuse(r, refusal{text: "not run: " + before.unreachable.Error()})
	case before.no != "":
		return true, l.refuse(r, refusal{text: "not run: the precheck says no: " + before.no})
	}
	if why, refused := l.forbidden(m, r, before.fleet); refused {
		return true, l.refuse(r, why)
	}
	return false, nil
}

// execute runs a command, shows what it writes while it does, and can be
// interrupted.
func (e *Engine) execute(ctx context.Context, c *carriage, cmd Command, r *record) (Result, error) {
	running, leave := e.enter(ctx, execution{id: r.ID, remedy: r.Remedy, owner: c.owner})
	defer leave()
	e.metrics.running.Inc()
	defer e.metrics.running.Dec()
	shown, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		e.show(running, c, r.ID, shown)
	}()
	res, err := e.o.Runner.Run(running, cmd, c.tape)
	close(shown)
	<-over
	if cause := context.Cause(running); cause != nil && (err == nil && res.Killed != "" || err != nil && !errors.Is(err, ErrNotStarted)) {
		err = &interrupted{cause}
	}
	return res, err
}

// interrupted is how a command ended that was ended from here.
type interrupted struct{ cause error }

func (i *interrupted) Error() string { return i.cause.Error() }
func (i *interrupted) Unwrap() error { return i.cause }

// enter makes what is executed one that can be interrupted.
func (e *Engine) enter(ctx context.Context, x execution) (_ context.Context, leave func()) {
	ctx, x.stop = context.WithCancelCause(ctx)
	e.mu.Lock()
	e.running[&x] = true
	e.mu.Unlock()
	select {
	case e.busy <- struct{}{}:
	default:
	}
	return ctx, func() {
		e.mu.Lock()
		delete(e.running, &x)
		e.mu.Unlock()
		x.stop(nil)
	}
}

// show writes what a command has written so far, every second while it does.
func (e *Engine) show(ctx context.Context, c *carriage, id string, ended <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for shown := int64(0); ; {
		select {
		case <-ended:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if n := c.tape.written(); n != shown {
			shown = n
			err := e.write(ctx, func(l *ledger) error { return l.output(id, c.tape, false) })
			if err != nil && ctx.Err() == nil {
				e.o.Logger.Warn("output could not be written; it is again in a second", "remediation", id, "error", err)
			}
		}
	}
}

// last is a context for the last word about what was interrupted.
func last(ctx context.Context) (context.Context, context.CancelFunc) {
	if ctx.Err() == nil {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(context.WithoutCancel(ctx), parting)
}

// finish writes what is known of a remediation, even when ctx ends meanwhile.
func (e *Engine) finish(ctx context.Context, fn func(*ledger) error) error {
	err := e.insist(ctx, fn)
	if err == nil || ctx.Err() == nil {
		return err
	}
	ctx, cancel := last(ctx)
	defer cancel()
	return e.insist(ctx, fn)
}

// executed writes how the command ended, and returns how the remediation stands.
func (e *Engine) executed(ctx context.Context, c *carriage, m *remedy, id string, res Result, runErr error) *record {
	var out *record
	err := e.finish(ctx, func(l *ledger) error {
		out = nil
		r, err := l.find(id)
		if err != nil || r == nil {
			return err
		}
		if r.State != tocsin.RemediationStarted || r.Owner != c.owner {
			return l.lateNews(r, res, runErr)
		}
		out = r
		r.Exit, r.OutputBytes, r.Sandbox = res.Exit, c.tape.written(), res.Sandbox
		if err := l.output(id, c.tape, true); err != nil {
			return err
		}
		return l.ran(m, r, res, runErr)
	})
	if err != nil {
		e.o.Logger.Error("how a remedy ended could not be written; it will be unknown", "remediation", id, "error", err)
		return nil
	}
	return out
}

// ran decides what follows from how the command ended.
func (l *ledger) ran(m *remedy, r *record, res Result, err error) error {
	var by stoppedBy
	var cut *interrupted
	switch {
	case errors.Is(err, ErrNotStarted):
		r.Exit, r.Starts = 0, r.Starts[:len(r.Starts)-1]
		if len(r.Starts) == 0 {
			r.StartedAt = time.Time{}
			r.owe("not run: " + err.Error())
		}
		return l.refuse(r, refusal{text: "not run: " + err.Error()})
	case errors.As(err, &by):
		r.Exit = -1
		return l.end(r, tocsin.RemediationUnknown, by.who, "ended in the middle: "+by.Error())
	case errors.As(err, &cut):
		r.Exit = -1
		if m.spec.Idempotent && len(r.Starts) < 2 {
			r.Until = l.now // whoever comes next runs it once more
			return l.say(r, "", "ended in the middle: Tocsin was stopped; it is run once more")
		}
		return l.lose(r, "ended in the middle: Tocsin was stopped")
	case err != nil:
		r.Exit = -1
		return l.lose(r, "nobody knows how it ended: "+err.Error())
	}
	r.Killed = ""
	text := fmt.Sprintf("exited with %d", res.Exit)
	if res.Killed != "" {
		r.Exit, text = -1, "ended in the middle: "+res.Killed
	}
	state, until := m.judge(r.Exit, l.now)
	switch state {
	case tocsin.RemediationVerifying:
		r.State, r.VerifyUntil, r.Until = state, until, l.now.Add(lease)
		return l.say(r, "", text+"; has it helped?")
	case tocsin.RemediationVerified:
		return l.end(r, state, "", text)
	default:
		return l.unhelped(m, r, text)
	}
}

// lose ends what nobody knows the outcome of, and has a person told.
func (l *ledger) lose(r *record, why string) error {
	r.owe("its outcome is unknown")
	r.Page.Text = short(why) + "\n" + r.Page.Text
	return l.end(r, tocsin.RemediationUnknown, "", why)
}

// lateNews notes how a command ended that was given up as unknown.
func (l *ledger) lateNews(r *record, res Result, err error) error {
	if r.State != tocsin.RemediationUnknown || err != nil || res.Killed != "" {
		return nil
	}
	return l.say(r, "", fmt.Sprintf("after all, it exited with %d", res.Exit))
}

// unhelped has a remediation that has not helped rolled back, once, or ends it.
func (l *ledger) unhelped(m *remedy, r *record, why string) error {
	if m.unhelped() == tocsin.RemediationRollingBack {
		held := l.stops().held(r.Remedy)
		if held == "" {
			r.State, r.Until = tocsin.RemediationRollingBack, l.now.Add(lease)
			return l.say(r, "", why+"; it has not helped, and is rolled back")
		}
		why += "; it is not rolled back: " + held
	}
	r.owe("it has not helped")
	return l.end(r, tocsin.RemediationNotFixed, "", why+"; it has not helped")
}

// rollBack executes the rollback of what is written as rolling back.
func (e *Engine) rollBack(ctx context.Context, c *carriage, m *remedy, r *record) {
	free, ok := e.slot(ctx)
	if !ok {
		return // the lease runs out
	}
	defer free()
	_, _ = c.tape.Write([]byte("\n--- rollback ---\n"))
	var res Result
	runErr := e.held(ctx, r.Remedy) // it may have been stopped while this waited
	if runErr == nil {
		res, runErr = e.execute(ctx, c, m.command(m.rollback, r.Parameters, r.Input), r)
	}
	err := e.finish(ctx, func(l *ledger) error {
		r, err := l.find(r.ID)
		if err != nil || r == nil || r.State != tocsin.RemediationRollingBack || r.Owner != c.owner {
			return err
		}
		r.OutputBytes = c.tape.written()
		if err := l.output(r.ID, c.tape, true); err != nil {
			return err
		}
		return l.rolledBack(r, res, runErr)
	})
	if err != nil {
		e.o.Logger.Error("how a rollback ended could not be written; it will be unknown", "remediation", r.ID, "error", err)
	}
}

func (l *ledger) rolledBack(r *record, res Result, err error) error {
	var cut *interrupted
	state, why := tocsin.RemediationNotFixed, ""
	switch {
	case errors.As(err, &cut):
		state, why = tocsin.RemediationUnknown, "the rollback was ended in the middle: "+cut.Error()
	case errors.Is(err, ErrNotStarted):
		why = "the rollback was not run: " + err.Error()
	case errors.As(err, new(heldBack)):
		why = "it is not rolled back: " + err.Error()
	case err != nil:
		state, why = tocsin.RemediationUnknown, "nobody knows how the rollback ended: "+err.Error()
	case res.Killed != "":
		why = "the rollback was ended in the middle: " + res.Killed
	case res.Exit != 0:
		why = fmt.Sprintf("the rollback failed: it exited with %d", res.Exit)
	default:
		state, why = tocsin.RemediationRolledBack, "rolled back"
	}
	r.owe("it has not helped; " + why)
	return l.end(r, state, "", why)
}
