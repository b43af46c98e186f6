package stream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/router/stream/internal/worker"
)

const (
	// eventBatch is the number of events published before their confirmations
	// are waited for.
	eventBatch = 256
	// ackWithin is how long NATS may take to confirm an event.
	ackWithin = 3 * time.Second
	// eventSweep is the longest pause between two looks at the log.
	eventSweep = 3 * time.Second
	// eventLinger lets events gather, so that a storm is published in batches.
	eventLinger = 25 * time.Millisecond
	// maxEventText keeps an event below NATS' message limit (1 MiB unless
	// configured otherwise), so that none blocks those behind it.
	maxEventText = 64 << 10
	// stuckAfter unconfirmed batches in a row the embedded server is restarted.
	stuckAfter = 2

	maxEventPause = 15 * time.Second
)

// Log reads the committed events of all incidents: those with a Seq above after,
// in ascending order, at most limit.
type Log interface {
	// Log returns the events after a Seq.
	Log(ctx context.Context, after uint64, limit int) ([]tocsin.Event, error)
}

// PublishEvents copies the log to the stream TOCSIN_EVENTS, in order, each event
// once, until ctx ends; it then returns nil. It looks at the log when notified and
// every few seconds; notify may be nil, and need hold one element only. It goes on
// where the stream's last message says that it was, so that nothing is lost or
// doubled by a crash of either side; what is older than Config.EventsMaxAge is
// not published any more. Several processes may publish the same log.
//
// A message is the event as JSON (see docs/events.md), with the headers
// Tocsin-Seq and Nats-Msg-Id holding its Seq.
func (s *Stream) PublishEvents(ctx context.Context, log Log, notify <-chan struct{}) error {
	p := &eventPublisher{Stream: s, source: log}
	var pause time.Duration
	for ctx.Err() == nil && s.ctx.Err() == nil {
		more, err := p.step(ctx)
		switch {
		case err == nil && more:
			pause = 0
			continue
		case err == nil:
			pause = 0
			p.idle(ctx, notify)
		default:
			pause = min(max(2*pause, firstRetry), maxEventPause)
			if ctx.Err() == nil {
				s.log.Warn("events wait for NATS", "after_seq", p.last, "retry_in", pause, "error", err)
			}
			p.rest(ctx, pause)
		}
	}
	return nil
}

// eventPublisher copies one log.
type eventPublisher struct {
	*Stream
	source Log
	// sess is the session on which last was read; nil: read it again.
	sess *session
	// last is the Seq of the last event that is known to be in the stream, or too
	// old for it; chained says that the stream's last message is that event, so
	// that the next one can name it.
	last    uint64
	chained bool
	// unconfirmed counts the failed batches in a row.
	unconfirmed int
}

// idle waits for news.
func (p *eventPublisher) idle(ctx context.Context, notify <-chan struct{}) {
	p.rest(ctx, eventLinger)
	select {
	case <-notify:
	case <-time.After(eventSweep):
	case <-ctx.Done():
	case <-p.ctx.Done():
	}
}

func (p *eventPublisher) rest(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	case <-p.ctx.Done():
	}
}

// step publishes one batch and reports whether there may be more.
func (p *eventPublisher) step(ctx context.Context) (more bool, err error) {
	sess := p.Stream.sess.Load()
	if sess == nil || !sess.connected.Load() || !sess.ready.Load() {
		p.sess = nil
		return false, errUnready
	}
	if p.sess != sess {
		if err := p.resume(ctx, sess); err != nil {
			return false, err
		}
	}
	events, err := p.source.Log(ctx, p.last, eventBatch)
	if err != nil {
		return false, fmt.Errorf("read the log of events after %d: %w", p.last, err)
	}
	more = len(events) == eventBatch
	events = p.recent(events)
	p.metrics.behind.Set(float64(len(events)))
	if len(events) == 0 {
		return more, nil
	}
	if err := p.publishBatch(ctx, sess, events); err != nil {
		p.sess = nil
		return false, err
	}
	p.metrics.behind.Set(0)
	return more, nil
}

// recent skips the events at the front that the stream would age out at once.
func (p *eventPublisher) recent(events []tocsin.Event) []tocsin.Event {
	oldest := time.Now().Add(-p.cfg.EventsMaxAge)
	for len(events) > 0 && events[0].At.Before(oldest) {
		p.last, p.chained = events[0].Seq, false
		events = events[1:]
	}
	return events
}

// resume reads from the stream where to go on.
func (p *eventPublisher) resume(ctx context.Context, sess *session) error {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	stream, err := sess.js.Stream(ctx, EventStream)
	if err != nil {
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			sess.ready.Store(false)
		}
		return fmt.Errorf("open %s: %w", EventStream, err)
	}
	msg, err := stream.GetLastMsgForSubject(ctx, EventSubjects)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		// Empty because all was aged out: last, where it is known, stands. Empty
		// because it is new, somebody having deleted the one before: all again.
		if stream.CachedInfo().State.LastSeq == 0 {
			p.last = 0
		}
		p.sess, p.chained = sess, false
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the last message of %s: %w", EventStream, err)
	}
	seq, err := strconv.ParseUint(msg.Header.Get(SeqHeader), 10, 64)
	if err != nil {
		return fmt.Errorf("the last message of %s has no header %s: somebody else publishes to %s; "+
			"remove it with 'nats stream rmm %s %d': %w", EventStream, SeqHeader, EventSubjects, EventStream, msg.Sequence, err)
	}
	p.sess, p.last, p.chained = sess, seq, true
	return nil
}

// publishBatch publishes events and waits until all are confirmed. Each names its
// predecessor (Nats-Expected-Last-Msg-Id), so that one that fails takes those
// behind it with it, and of two processes that publish the same, one wins.
func (p *eventPublisher) publishBatch(ctx context.Context, sess *session, events []tocsin.Event) error {
	futures := make([]jetstream.PubAckFuture, 0, len(events))
	last, chained := p.last, p.chained
	var failed error
	for n := range events {
		msg, err := eventMsg(&events[n])
		if err != nil {
			return err
		}
		opts := []jetstream.PublishOpt{jetstream.WithRetryAttempts(0)}
		if chained {
			opts = append(opts, jetstream.WithExpectLastMsgID(strconv.FormatUint(last, 10)))
		}
		future, err := sess.js.PublishMsgAsync(msg, opts...)
		if err != nil {
			failed = fmt.Errorf("publish event %d: %w", events[n].Seq, err)
			break
		}
		futures = append(futures, future)
		last, chained = events[n].Seq, true
	}
	if err := errors.Join(p.confirm(ctx, futures), failed); err != nil {
		return err
	}
	p.last, p.chained = last, chained
	return nil
}

func (p *eventPublisher) confirm(ctx context.Context, futures []jetstream.PubAckFuture) error {
	for _, f := range futures {
		select {
		case <-f.Ok():
			p.unconfirmed = 0
			p.metrics.events.Inc()
		case err := <-f.Err():
			p.noteStuck(err)
			return fmt.Errorf("event was not taken: %w", err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// noteStuck asks for a restart of the embedded server when it neither takes nor
// refuses events any more: its file store does that after a write error, for
// ever.
func (p *eventPublisher) noteStuck(err error) {
	if !errors.Is(err, jetstream.ErrAsyncPublishTimeout) {
		return
	}
	if p.unconfirmed++; p.unconfirmed >= stuckAfter {
		p.unconfirmed = 0
		p.eventsStuck.Store(p.cfg.URL == "")
	}
}

func eventMsg(e *tocsin.Event) (*nats.Msg, error) {
	event := *e
	event.Text = truncate(event.Text, maxEventText)
	data, err := json.Marshal(&event, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, fmt.Errorf("encode event %d: %w", e.Seq, err)
	}
	seq := strconv.FormatUint(e.Seq, 10)
	return &nats.Msg{
		Subject: eventPrefix + token(string(e.Kind)),
		Header:  nats.Header{SeqHeader: {seq}, jetstream.MsgIDHeader: {seq}},
		Data:    data,
	}, nil
}

// token is s, or a stand-in where s is no token of a subject: "-" for the empty
// string, a hash for others.
func token(s string) string {
	switch {
	case s == "":
		return "-"
	case worker.Token(s):
		return s
	default:
		return tocsin.NewKey(s).String()
	}
}

// truncate cuts s to at most n bytes, between characters.
func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
