package server

import (
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// observe is the one middleware: it numbers, counts, times and logs requests,
// refuses those that may not come in now, and catches panics. One closure
// instead of seven keeps the intake's path short.
func (s *Server) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		c.Response().Header().Set(echo.HeaderXRequestID, s.requestID(c.Request()))
		harden(c.Response().Header(), s.gate.Load().ownsHost)
		s.flight.enter()
		s.metrics.inFlight.Inc()
		defer func() {
			s.metrics.inFlight.Dec()
			s.flight.leave()
			took := time.Since(start)
			s.metrics.done(c.Path(), c.Response().Status, took)
			s.logRequest(c, took)
		}()
		s.guard(next, c)
		hurry(c)
		return nil
	}
}

// bodyRest is how long what is left of a refused request's body may take.
const bodyRest = time.Second

// hurry has a refused request go quickly: net/http reads on for a while, so that the
// connection can be used again, and who sends slowly would hold it all that time.
func hurry(c echo.Context) {
	if c.Response().Status >= http.StatusBadRequest && c.Request().ContentLength != 0 {
		_ = http.NewResponseController(c.Response()).SetReadDeadline(time.Now().Add(bodyRest)) // not every ResponseWriter can
	}
}

// What every answer tells browsers. Pages say more about what they load.
var (
	noSniffing = []string{"nosniff"}
	noFraming  = []string{"DENY"}
	noLoading  = []string{"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}
	// Not no-referrer: a browser then says of a form that it comes from nowhere.
	ownReferrer = []string{"same-origin"}
	onlyTLS     = []string{"max-age=31536000"}
	// What one person is answered is not for the next at the same proxy, or computer.
	noSharing = []string{"private, no-cache"}
)

func harden(h http.Header, ownsHost bool) {
	h[echo.HeaderXContentTypeOptions] = noSniffing
	h[echo.HeaderXFrameOptions] = noFraming
	h[echo.HeaderContentSecurityPolicy] = noLoading
	h[echo.HeaderReferrerPolicy] = ownReferrer
	h[echo.HeaderCacheControl] = noSharing
	if ownsHost {
		h[echo.HeaderStrictTransportSecurity] = onlyTLS
	}
}

// guard runs the handler and turns its error, or its panic, into an answer.
func (s *Server) guard(next echo.HandlerFunc, c echo.Context) {
	defer func() {
		switch v := recover(); v {
		case nil:
		case http.ErrAbortHandler:
			panic(v)
		default:
			s.panicked(c, v)
		}
	}()
	err := s.admit(c)
	if err == nil {
		err = next(c)
	}
	if err != nil {
		s.handleError(err, c)
	}
}

func (s *Server) panicked(c echo.Context, v any) {
	s.metrics.panics.Inc()
	s.deps.Logger.Error("a request panicked; this is a bug, please report it",
		"panic", v, "route", c.Path(), "request", c.Response().Header().Get(echo.HeaderXRequestID), "stack", string(debug.Stack()))
	if c.Response().Committed {
		panic(http.ErrAbortHandler) // the client must not take half an answer for a whole one
	}
	s.handleError(unavailable(nil, "something went wrong; try again"), c)
}

// onceHeaders say who asks, and what for: they stand in a request once.
var onceHeaders = []string{echo.HeaderAuthorization, headerIdempotency, headerLastEvent, headerUser}

// admit refuses every request while the server stops, but for those that tell
// so, and what a page of another site makes a browser send.
func (s *Server) admit(c echo.Context) error {
	if s.stopping.Load() {
		switch c.Path() {
		case pathHealthy, pathReady, pathMetrics:
		default:
			s.metrics.shed.WithLabelValues(shedStopping).Inc()
			c.Response().Header().Set(echo.HeaderConnection, "close")
			return unavailable(nil, "shutting down; try again, or another replica")
		}
	}
	// Two of a kind are nobody's word: what stands in front may have believed the other.
	for _, name := range onceHeaders {
		if len(c.Request().Header.Values(name)) > 1 {
			return invalid(name, "it stands there more than once")
		}
	}
	// A browser sends a bearer token only for a page that this server allowed to, and it
	// allows none: such a request is a program's. karma's has its browser's Origin.
	if token, ok := bearer(c.Request()); ok && strings.TrimSpace(token) != "" {
		return nil
	}
	if err := s.gate.Load().crossOrigin.Check(c.Request()); err != nil {
		return refuse(http.StatusForbidden, codeForbidden, "Origin", "a page of another site may not do this")
	}
	return nil
}

// maxRequestID is the longest request ID that is taken over from the client.
const maxRequestID = 64

// requestID is the client's, when it is harmless, or a new one.
func (s *Server) requestID(r *http.Request) string {
	if id := r.Header.Get(echo.HeaderXRequestID); len(id) <= maxRequestID && validSource(id) {
		return id
	}
	return s.idPrefix + strconv.FormatUint(s.requests.Add(1), 36)
}

// logRequest leaves out the query, which may hold secrets.
func (s *Server) logRequest(c echo.Context, took time.Duration) {
	if !s.debug() {
		return
	}
	r := c.Request()
	s.deps.Logger.Debug("request", "method", r.Method, "path", clip(r.URL.Path), "status", c.Response().Status,
		"took", took, "remote", c.RealIP(), "request", c.Response().Header().Get(echo.HeaderXRequestID))
}

// logRefusal logs what somebody should look at, at most one line of each kind
// a second: a storm of refusals must not become a storm of writes.
func (s *Server) logRefusal(c echo.Context, r *refusal) {
	about := func() []any {
		args := []any{
			"status", r.status, "reason", clip(r.Error()), "route", c.Path(), "remote", c.RealIP(),
			"request", c.Response().Header().Get(echo.HeaderXRequestID),
		}
		if r.cause != nil && r.cause.Error() != r.Error() {
			args = append(args, "cause", r.cause)
		}
		return args
	}
	switch {
	case r.status >= http.StatusInternalServerError:
		s.troubleLog.Do(func() { s.deps.Logger.Warn("request failed", about()...) })
	case s.ofSender(c.Path()) || r.status == http.StatusUnauthorized:
		s.refusalLog.Do(func() { s.deps.Logger.Warn("request refused", about()...) })
	}
}

// ofSender reports whether a program posts there that nobody watches, so that
// what it is refused for must be found in the log.
func (s *Server) ofSender(path string) bool {
	_, callback := s.deps.Callbacks[path]
	return callback || path == pathIntake || path == pathJSON || path == pathHeartbeat
}
