package remediation

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// outlook is what was asked before a start.
type outlook struct {
	// no is what the precheck says, where it says no; said where it says yes.
	no, said string
	fleet    fleet
	// unreachable is why there was no answer; nil: there was.
	unreachable error
}

// lookAhead asks the precheck and the size of the fleet at once.
func (e *Engine) lookAhead(ctx context.Context, m *remedy, r *record) outlook {
	var out outlook
	if m == nil {
		return out
	}
	if err := m.sound(r.Parameters); err != nil {
		out.no = err.Error()
		return out
	}
	var asking sync.WaitGroup
	var fleetErr error
	if b := m.spec.Contract.Budget.Fleet; b.Percent > 0 {
		asking.Go(func() { out.fleet, fleetErr = e.fleetSize(ctx, b.Of) })
	}
	if m.precheck.asked() {
		yes, said, err := e.ask(ctx, m, &m.precheck, r)
		switch {
		case err != nil:
			out.unreachable = fmt.Errorf("the precheck has no answer: %w", err)
		case !yes:
			out.no = said
		default:
			out.said = said
		}
	}
	if asking.Wait(); fleetErr != nil && out.unreachable == nil {
		out.unreachable = fleetErr
	}
	return out
}

func (e *Engine) fleetSize(ctx context.Context, expr string) (fleet, error) {
	values, err := e.query(ctx, expr)
	if err != nil {
		return fleet{}, fmt.Errorf("the size of the fleet is not known: %w", err)
	}
	return fleetSize(values)
}

func (e *Engine) query(ctx context.Context, expr string) ([]float64, error) {
	if e.o.Prober == nil {
		return nil, errors.New("prometheus.url is not set")
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	values, err := e.o.Prober.Query(ctx, expr)
	if err != nil {
		err = errors.New(short(string(e.o.Redact([]byte(err.Error())))))
	}
	return values, err
}

// ask asks a check. The error says that there was no answer.
func (e *Engine) ask(ctx context.Context, m *remedy, c *check, r *record) (yes bool, said string, err error) {
	if c.query != nil {
		expr := c.query.fill(r.Parameters)
		values, err := e.query(ctx, expr)
		if err != nil || len(values) == 0 {
			return false, "no result for " + expr, err
		}
		return true, fmt.Sprintf("%v for %s", firstFew(values), expr), nil
	}
	if err := e.held(ctx, m.spec.Name); err != nil {
		return false, "", err
	}
	out := &tape{redact: e.o.Redact}
	ctx, leave := e.enter(ctx, execution{id: r.ID, remedy: m.spec.Name})
	defer leave()
	res, err := e.o.Runner.Run(ctx, m.command(c.program, r.Parameters, r.Input), out)
	switch {
	case err != nil:
		return false, "", err
	case res.Killed != "" && ctx.Err() != nil:
		return false, "", context.Cause(ctx)
	case res.Killed != "":
		return false, "", errors.New(res.Killed)
	}
	first, _, _ := strings.Cut(strings.TrimSpace(out.text(true)), "\n")
	return res.Exit == 0, strings.TrimSuffix(fmt.Sprintf("exit code %d: %s", res.Exit, cutEnd(first, 200)), ": "), nil
}

// claimVerifying takes over what another engine was looking at; nil: it still is.
func (e *Engine) claimVerifying(ctx context.Context, c *carriage, m *remedy, id string) *record {
	var out *record
	err := e.write(ctx, func(l *ledger) error {
		out = nil
		r, err := l.find(id)
		if err != nil || r == nil || r.State != tocsin.RemediationVerifying || !r.loose(l.now) {
			return err
		}
		if m == nil || m.digest != r.Digest || !m.verify.asked() { // whom it is for does not matter any more
			return l.lose(r, "the remedy was changed before anybody could see whether it has helped")
		}
		r.Owner, r.Until = c.owner, l.now.Add(lease)
		if most := l.now.Add(m.spec.Contract.Verify.Within); r.VerifyUntil.After(most) {
			r.VerifyUntil = most // the clock was put back
		}
		out = r
		return l.put(r)
	})
	if err != nil {
		return nil
	}
	if text, err := e.text(ctx, id); err == nil && text != "" {
		_, _ = c.tape.Write([]byte(text))
	}
	return out
}

// verify asks whether it has helped until the answer is yes or the time is over,
// and returns how the remediation stands then; nil: it is out of our hands.
func (e *Engine) verify(ctx context.Context, c *carriage, m *remedy, r *record) *record {
	var yes bool
	var said string
	var err error
	for {
		yes, said, err = e.askSlotted(ctx, m, &m.verify, r)
		left := r.VerifyUntil.Sub(e.o.Now())
		if err == nil && yes || left <= 0 && ctx.Err() == nil {
			break
		}
		if !sleep(ctx, min(left, m.spec.Contract.Verify.Every)) {
			e.handOver(ctx, c, r.ID)
			return nil
		}
	}
	var out *record
	werr := e.finish(ctx, func(l *ledger) error {
		out = nil
		r, ferr := l.find(r.ID)
		if ferr != nil || r == nil || r.State != tocsin.RemediationVerifying || r.Owner != c.owner {
			return ferr
		}
		out = r
		switch {
		case err != nil:
			return l.lose(r, "nobody can tell whether it has helped: "+err.Error())
		case !yes:
			return l.unhelped(m, r, "verify says no: "+said)
		case r.Exit != 0:
			return l.end(r, tocsin.RemediationVerified, "", "it has failed, and what it was for is well all the same: "+said)
		default:
			return l.end(r, tocsin.RemediationVerified, "", "it has helped: "+said)
		}
	})
	if werr != nil {
		e.handOver(ctx, c, r.ID)
		return nil
	}
	return out
}

// askSlotted asks, and counts a command among those that may be executed at once.
func (e *Engine) askSlotted(ctx context.Context, m *remedy, c *check, r *record) (bool, string, error) {
	if c.program != nil {
		free, ok := e.slot(ctx)
		if !ok {
			return false, "", context.Cause(ctx)
		}
		defer free()
	}
	return e.ask(ctx, m, c, r)
}

// handOver lets another engine, or the next one here, go on at once.
func (e *Engine) handOver(ctx context.Context, c *carriage, id string) {
	ctx, cancel := last(ctx)
	defer cancel()
	err := e.write(ctx, func(l *ledger) error {
		r, err := l.find(id)
		if err != nil || r == nil || r.Owner != c.owner {
			return err
		}
		r.Until = l.now.Add(-time.Nanosecond)
		return l.put(r)
	})
	if err != nil {
		e.o.Logger.Warn("a remediation could not be handed over; its lease runs out", "remediation", id, "error", err)
	}
}
