package server

import (
	"context"
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
	// streamStart has who was cut off come back after 2 s.
	streamStart = "retry: 2000\n\n"
	streamAlive = ": \n\n"
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
}

func (s *Server) openStream(c echo.Context, cursor uint64) *stream {
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, "text/event-stream")
	h.Set(echo.HeaderCacheControl, "no-store")
	h.Set(echo.HeaderXContentTypeOptions, "nosniff")
	h.Set("X-Accel-Buffering", "no") // nginx keeps it back otherwise
	rc := http.NewResponseController(c.Response())
	_ = rc.SetReadDeadline(time.Time{}) // what is over with the request's body would end the stream
	c.Response().WriteHeader(http.StatusOK)
	w := &patientWriter{w: c.Response(), rc: rc, wait: s.config.Timeouts.Write}
	return &stream{w: w, rc: rc, live: s.live, cursor: cursor}
}

func (st *stream) write(b []byte) error {
	if _, err := st.w.Write(b); err != nil {
		return err
	}
	return st.rc.Flush()
}

// follow goes on until the client, the server or the stream's time is at its end.
func (st *stream) follow(ctx context.Context, v *viewer, put func(*chunk) error) error {
	ctx, cancel := context.WithTimeout(ctx, streamLife)
	defer cancel()
	beat := time.NewTicker(streamBeat)
	defer beat.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-beat.C:
			err = st.write([]byte(streamAlive))
		case c, ok := <-v.chunks:
			if !ok {
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
func (s *Server) pageEvents(c echo.Context, _ *tocsin.Principal) error {
	seq, said, err := since(c)
	if err != nil {
		return err
	}
	v, from, err := s.live.join()
	if err != nil {
		return err
	}
	defer s.live.leave(v)
	st := s.openStream(c, from)
	start := streamStart
	if said && seq != from {
		start += streamReload
	}
	if err := st.write([]byte(start)); err != nil {
		return nil //nolint:nilerr // the client has gone: nobody to tell
	}
	return st.follow(c.Request().Context(), v, func(c *chunk) error { return st.write(c.pages) })
}

// apiEvents is the event stream for programs. It goes on where the client was.
func (s *Server) apiEvents(c echo.Context, _ *tocsin.Principal) error {
	seq, said, err := since(c)
	if err != nil {
		return err
	}
	v, from, err := s.live.join()
	if err != nil {
		return err
	}
	defer s.live.leave(v)
	ctx := c.Request().Context()
	st := s.openStream(c, from)
	if said {
		st.cursor = min(seq, from)
	}
	if err := st.write([]byte(streamStart)); err != nil {
		return nil //nolint:nilerr // the client has gone: nobody to tell
	}
	if err := st.catchUp(ctx, from); err != nil {
		s.deps.Logger.Warn("an event stream could not go on where it was", "after", seq, "error", err)
		return nil
	}
	return st.follow(ctx, v, func(c *chunk) error { return st.tell(ctx, c) })
}

// tell writes a chunk, and before it what lies in between.
func (st *stream) tell(ctx context.Context, c *chunk) error {
	if c.last <= st.cursor {
		return nil
	}
	if c.after != st.cursor || c.programs == nil {
		return st.catchUp(ctx, c.last)
	}
	st.cursor = c.last
	return st.write(c.programs())
}

// catchUp reads what happened up to an event.
func (st *stream) catchUp(ctx context.Context, to uint64) error {
	for st.cursor < to {
		events, err := st.live.log.Log(ctx, st.cursor, liveBatch)
		if err != nil || len(events) == 0 {
			return err
		}
		st.cursor = events[len(events)-1].Seq
		if err := st.write(encodeEvents(events)); err != nil {
			return err
		}
	}
	return nil
}
