package slacktest

import (
	"slices"
	"time"
)

// Len is the number of connections in use.
func (x *Sockets) Len() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.links)
}

// Opened is the number of connections that were ever greeted.
func (x *Sockets) Opened() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.opened
}

// Violations are what the app did that Slack would not understand, as they came.
func (x *Sockets) Violations() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.wrong)
}

// Only sends everything over connections, whatever callbacks are set, as Slack does
// once Socket Mode is turned on in the app's settings.
func (x *Sockets) Only() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.only = true
}

// Off turns Socket Mode off in the app's settings: connections end, and new ones are
// told that the link is disabled. On turns it on again.
func (x *Sockets) Off() {
	x.mu.Lock()
	x.off = true
	links := slices.Clone(x.links)
	x.mu.Unlock()
	for _, l := range links {
		l.say(goodbye("link_disabled"))
		l.hangUp()
	}
}

// On lets connections be made again after Off.
func (x *Sockets) On() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.off = false
}

// Refresh tells the n-th connection (from 0, the oldest first, without those that
// were told so before; the same below) to make way, for the reason "warning" or "refresh_requested", and closes it after the grace, when what
// was sent on it has been acknowledged or is 3 s old. It returns at once; false:
// there is no such connection.
func (x *Sockets) Refresh(n int, reason string, grace time.Duration) bool {
	l := x.nth(n)
	if l == nil {
		return false
	}
	x.mu.Lock()
	l.leaving = true
	x.mu.Unlock()
	l.say(goodbye(reason))
	go func() {
		t := time.NewTimer(grace)
		defer t.Stop()
		select {
		case <-t.C:
		case <-l.gone:
			return
		}
		x.forget(l)
		for n := 0; n < 300 && x.owed(l); n++ {
			t.Reset(answerWithin / 300)
			select {
			case <-t.C:
			case <-l.gone:
				return
			}
		}
		l.hangUp()
	}()
	return true
}

// owed reports whether something that was sent on a connection is not acknowledged.
func (x *Sockets) owed(l *link) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, p := range x.pending {
		if acknowledged, sent := p.sent[l]; sent && !acknowledged {
			return true
		}
	}
	return false
}

// Drop ends the n-th connection, with a close frame or without; false: there is no
// such connection.
func (x *Sockets) Drop(n int, clean bool) bool {
	l := x.nth(n)
	switch {
	case l == nil:
		return false
	case clean:
		l.hangUp()
	default:
		l.cut()
	}
	x.forget(l)
	return true
}

// Silence lets the n-th connection stand without anything coming through, either
// way, as behind a router that has forgotten it; false: there is no such connection.
func (x *Sockets) Silence(n int) bool {
	l := x.nth(n)
	if l == nil {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	l.silent = true
	return true
}

// HoldHello lets new connections wait for their greeting until release is called.
func (x *Sockets) HoldHello() (release func()) {
	held := make(chan struct{})
	x.mu.Lock()
	defer x.mu.Unlock()
	x.held = held
	return func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		if x.held == held {
			x.held = nil
			close(held)
		}
	}
}

// LoseAcks has each of the next n acknowledgements lost together with the connection
// that it came on.
func (x *Sockets) LoseAcks(n int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.lose = n
}

// revoke ends the connections that were opened with a token. That Slack does so
// without a word is assumed.
func (x *Sockets) revoke(token string) {
	x.mu.Lock()
	links := slices.Clone(x.links)
	x.mu.Unlock()
	for _, l := range links {
		if l.token == token {
			l.cut()
			x.forget(l)
		}
	}
}

// nth is the n-th connection, from 0, of those that were not told to make way, the
// oldest first.
func (x *Sockets) nth(n int) *link {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, l := range x.links {
		if l.leaving {
			continue
		}
		if n--; n < 0 {
			return l
		}
	}
	return nil
}
