package stream

import (
	"context"
	"time"
)

const (
	// patience is how long NATS may be unwell before something is done: long
	// enough to come back by itself.
	patience = 3 * time.Second
	// firstRestart and maxRestart bound the pause between two restarts of the
	// embedded server.
	firstRestart = time.Second
	maxRestart   = 2 * time.Minute
)

// supervise brings NATS back. A cluster's streams are made again when they are
// missing; an embedded server that does not start, whose JetStream is off, or
// that confirms nothing is replaced: a write error of its file store (a full
// disk) does not go away otherwise.
func (s *Stream) supervise() {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	sup := supervisor{Stream: s, well: time.Now()}
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
			sup.look()
		}
	}
}

type supervisor struct {
	*Stream
	// well is when NATS was last seen well, or an attempt to mend it ended.
	well time.Time
	// pause after the last restart, and when the next may be made.
	pause time.Duration
	next  time.Time
	// told: the log knows that NATS is unwell.
	told bool
}

func (p *supervisor) look() {
	err := p.Err()
	stuck := p.eventsStuck.Load()
	if err == nil && !stuck {
		p.seenWell()
		return
	}
	if err != nil && !p.told {
		p.told = true
		p.log.Warn("NATS is unwell; wake-ups stay in-process", "error", err)
	}
	sess := p.sess.Load()
	if sess != nil && sess.connected.Load() && !sess.ready.Load() || p.refused(sess) {
		p.makeStreams(sess)
	}
	down := sess == nil || !sess.connected.Load() // an embedded server does not come back by itself
	if p.cfg.URL == "" && (stuck || down || time.Since(p.well) > patience) && !time.Now().Before(p.next) {
		p.restart(sess, stuck)
	}
}

func (p *supervisor) seenWell() {
	if p.told {
		p.told = false
		p.log.Info("NATS is well again")
	}
	p.well = time.Now()
	if p.well.Sub(p.next) > maxRestart {
		p.pause = 0
	}
}

func (p *supervisor) refused(sess *session) bool {
	return sess != nil && sess.connected.Load() && sess.track.refused.Load() != nil
}

func (p *supervisor) makeStreams(sess *session) {
	if err := p.ready(p.ctx, sess); err != nil {
		p.log.Debug("NATS' streams are not there yet", "error", err)
	}
}

// restart replaces the embedded server, unless the disk has no room for it.
func (p *supervisor) restart(sess *session, stuck bool) {
	if err := writable(p.cfg.Dir); err != nil {
		// Looking costs little, and the first look that finds room should not
		// have to wait: only restarts make the pause grow.
		p.next = time.Now().Add(firstRestart)
		p.log.Error("the embedded NATS server waits for room on the disk", "dir", p.cfg.Dir, "error", err)
		return
	}
	p.pause = min(max(2*p.pause, firstRestart), maxRestart)
	p.next = time.Now().Add(p.pause)
	p.log.Warn("restarting the embedded NATS server", "events_stuck", stuck)
	if sess != nil {
		p.sess.Store(nil)
		sess.close()
	}
	p.eventsStuck.Store(false)
	ctx, cancel := context.WithTimeout(p.ctx, serverReady)
	defer cancel()
	if err := p.open(ctx); err != nil {
		p.log.Error("the embedded NATS server did not start; trying again", "after", p.pause, "error", err)
	}
	p.well = time.Now()
}
