package server

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

const (
	// streamBeat is how often a quiet stream shows that it lives: proxies close what
	// is silent for a minute.
	streamBeat = 15 * time.Second
	// streamLife is how long a stream lasts at the most. Whoever looks on comes back
	// by itself, and is asked again who it is.
	streamLife = 15 * time.Minute
	// streamCheck is how often it is asked whether who looks on still may. It is
	// asked at once when somebody's rights may have changed.
	streamCheck = 5 * time.Second
	// streamStart has who was cut off come back after 2 s.
	streamStart = "retry: 2000\n\n"
	streamAlive = ": \n\n"
	// pageAlive is what a page sees of it, so that it can say when nothing comes.
	pageAlive = "event: beat\ndata: {}\n\n"
	// streamReload tells a page that it may show what is not so any more.
	streamReload = "event: reload\ndata: {\"wait\":0}\n\n"
)

// headerLastEvent is where a browser, or a program, says where it was cut off.
const headerLastEvent = "Last-Event-ID"

// stream is one answer that does not end.
type stream struct {
	w    *patientWriter
	rc   *http.ResponseController
	live *live
	// cursor is the Seq of the last event that was told.
	cursor uint64
	reader tocsin.Reader
	// who looks on, as of the last time it was asked, and how it is asked: nil is
	// nobody who may any more.
	who *tocsin.Principal
	ask func() *tocsin.Principal
	// asked is when.
	asked time.Time
	// alive is what a quiet stream shows that it lives by.
	alive string
}

func (s *Server) openStream(c echo.Context, who *tocsin.Principal, cursor uint64) *stream {
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, "text/event-stream")
	h.Set(echo.HeaderCacheControl, "no-store")
	h.Set(echo.HeaderXContentTypeOptions, "nosniff")
	h.Set("X-Accel-Buffering", "no") // nginx keeps it back otherwise
	rc := http.NewResponseController(c.Response())
	_ = rc.SetReadDeadline(time.Time{}) // what is over with the request's body would end the stream
	c.Response().WriteHeader(http.StatusOK)
	w := &patientWriter{w: c.Response(), rc: rc, wait: s.config.Timeouts.Write}
	return &stream{w: w, rc: rc, live: s.live, cursor: cursor, reader: s.deps.Reader, who: who, alive: streamAlive, asked: time.Now(), ask: func() *tocsin.Principal { return s.still(c, who) }}
}

// still returns who looks on as they are now, or nil where they may not any more: a
// token was revoked, a session has ended, a role was taken away. Where that cannot
// be looked up now, nothing has changed.
func (s *Server) still(c echo.Context, was *tocsin.Principal) *tocsin.Principal {
	now, err := s.who(c)
	switch {
	case err != nil && refusalOf(err).status == http.StatusServiceUnavailable:
		return was
	case err != nil || !now.MaySomewhere(tocsin.RightView) || now.Name != was.Name:
		return nil
	}
	return now.Principal
}

func (st *stream) write(b []byte) error {
	if _, err := st.w.Write(b); err != nil {
		return err
	}
	return st.rc.Flush()
}

// may asks again who looks on, and reports whether they still may.
func (st *stream) may() bool {
	st.who, st.asked = st.ask(), time.Now()
	return st.who != nil
}

// follow goes on until the client, the server, the stream's time or the right to
// look on is at its end.
func (st *stream) follow(ctx context.Context, v *viewer, put func(*chunk) error) error {
	ctx, cancel := context.WithTimeout(ctx, streamLife)
	defer cancel()
	beat := time.NewTicker(streamBeat)
	defer beat.Stop()
	check := time.NewTicker(streamCheck)
	defer check.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-beat.C:
			err = st.write([]byte(st.alive))
		case <-check.C:
			if !st.may() {
				return nil
			}
		case c, ok := <-v.chunks:
			if !ok || c.rights && !st.may() {
				return nil
			}
			err = put(c)
		}
		if err != nil {
			return nil //nolint:nilerr // the client has gone: nobody to tell
		}
	}
}

// since is the Seq that the client was told of last; false: it does not say.
func since(c echo.Context) (seq uint64, said bool, err error) {
	field, text := headerLastEvent, c.Request().Header.Get(headerLastEvent)
	if text == "" {
		field, text = "after", c.QueryParam("after")
	}
	if text == "" {
		return 0, false, nil
	}
	if seq, err = strconv.ParseUint(text, 10, 64); err != nil {
		return 0, false, invalid(field, "want the seq of an event")
	}
	return seq, true, nil
}

// pageEvents tells pages which incidents have changed. A page that shows an older
// state is told to look again.
func (s *Server) pageEvents(c echo.Context, who *tocsin.Principal) error {
	seq, said, err := since(c)
	if err != nil {
		return err
	}
	v, from, err := s.live.join(who.Name)
	if err != nil {
		return err
	}
	defer s.live.leave(v)
	st := s.openStream(c, who, from)
	st.alive = pageAlive
	start := streamStart
	if said && seq != from {
		start += streamReload
	}
	if err := st.write([]byte(start)); err != nil {
		return nil //nolint:nilerr // the client has gone: nobody to tell
	}
	ctx := c.Request().Context()
	return st.follow(ctx, v, func(c *chunk) error { return st.write(st.changes(ctx, c)) })
}

// changes is a chunk as a page may be told it.
func (st *stream) changes(ctx context.Context, c *chunk) []byte {
	if st.who.May(tocsin.RightView) || c.events == nil {
		return c.pages
	}
	heard := heardBy(ctx, st.reader, st.who, c.events)
	if len(heard) == 0 {
		return nil
	}
	return encodeChanges(c.last, heard, c.pause)
}

// apiEvents is the event stream for programs. It goes on where the client was.
func (s *Server) apiEvents(c echo.Context, who *tocsin.Principal) error {
	seq, said, err := since(c)
	if err != nil {
		return err
	}
	v, from, err := s.live.join(who.Name)
	if err != nil {
		return err
	}
	defer s.live.leave(v)
	ctx, cancel := context.WithTimeout(c.Request().Context(), streamLife)
	defer cancel()
	st := s.openStream(c, who, from)
	if said {
		st.cursor = min(seq, from)
	}
	if err := st.write([]byte(streamStart)); err != nil {
		return nil //nolint:nilerr // the client has gone: nobody to tell
	}
	if err := st.catchUp(ctx, v, from); errors.Is(err, errGone) || ctx.Err() != nil {
		return nil
	} else if err != nil {
		s.deps.Logger.Warn("an event stream could not go on where it was", "after", seq, "error", err)
		return nil
	}
	return st.follow(ctx, v, func(c *chunk) error { return st.tell(ctx, v, c) })
}

// tell writes a chunk, and before it what lies in between.
func (st *stream) tell(ctx context.Context, v *viewer, c *chunk) error {
	if c.last <= st.cursor {
		return nil
	}
	if c.after != st.cursor || c.events == nil {
		return st.catchUp(ctx, v, c.last)
	}
	st.cursor = c.last
	if st.who.May(tocsin.RightView) {
		return st.write(c.programs(st.who))
	}
	return st.write(encodeEvents(heardBy(ctx, st.reader, st.who, c.events)))
}

// errGone ends a stream that may not go on.
var errGone = errors.New("the stream may not go on")

// catchUp reads what happened up to an event, taking turns with the others who do: to
// read a long log over and over costs a machine more than to take alerts.
func (st *stream) catchUp(ctx context.Context, v *viewer, to uint64) error {
	for st.cursor < to {
		if time.Since(st.asked) >= streamCheck && !st.may() {
			return errGone
		}
		text, more, err := st.before(ctx, v)
		if err != nil || !more {
			return err
		}
		if err := st.write(text); err != nil {
			return err
		}
	}
	return nil
}

// before is the next part of what happened, at its turn; without more there is none.
func (st *stream) before(ctx context.Context, v *viewer) (text []byte, more bool, err error) {
	done, err := st.live.history.take(ctx, v.gone)
	if err != nil {
		return nil, false, err
	}
	defer done()
	events, err := st.live.log.Log(ctx, st.cursor, liveBatch)
	if err != nil || len(events) == 0 {
		return nil, false, err
	}
	st.cursor = events[len(events)-1].Seq
	return encodeEvents(heardBy(ctx, st.reader, st.who, events)), true, nil
}
