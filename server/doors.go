package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// callbackBody is the most bytes of a callback: far above what Slack, PagerDuty
// and SNS send, the largest of which is PagerDuty's Events API with 512 KB.
const callbackBody = 1 << 20

// callback lets in a provider, who proves who it is in its own way. The handler
// gets the whole body, so that who sends slowly holds nothing but a buffer.
func (s *Server) callback(h http.Handler) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if r.ContentLength > callbackBody {
			return s.refused(c, s.callbacks.tooLong())
		}
		b, err := s.callbacks.read(r.Body)
		if err != nil {
			return s.refused(c, s.countShed(err))
		}
		defer s.callbacks.put(b)
		ctx, cancel := context.WithTimeout(r.Context(), s.config.Limits.Wait)
		defer cancel()
		r = r.WithContext(ctx)
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(b.data)), int64(len(b.data))
		for _, name := range c.ParamNames() {
			r.SetPathValue(name, c.Param(name))
		}
		h.ServeHTTP(c.Response(), r)
		return nil
	}
}

// jsonDoor takes what a sender says in a format of its own.
func (s *Server) jsonDoor(c echo.Context) error {
	if err := s.takeJSON(c); err != nil {
		return s.refused(c, err)
	}
	return answerOK(c)
}

func (s *Server) takeJSON(c echo.Context) error {
	if s.deps.JSON == nil {
		return notFound("JSON intake")
	}
	if err := s.sender(c); err != nil {
		return err
	}
	r := c.Request()
	if err := acceptable(r); err != nil {
		return err
	}
	if r.ContentLength > int64(s.config.Limits.Body) {
		return s.buffers.tooLong()
	}
	b, err := s.buffers.read(r.Body)
	if err != nil {
		return s.countShed(err)
	}
	defer s.buffers.put(b)
	s.metrics.bytes.Observe(float64(len(b.data)))
	ctx, cancel := context.WithTimeout(comingFrom(c, "webhook "+c.Param("name")), s.config.Limits.Wait)
	defer cancel()
	n, err := s.deps.JSON(ctx, c.Param("name"), b.data)
	if errors.Is(err, tocsin.ErrNotFound) {
		return err
	} else if err != nil {
		return s.notTaken(err)
	}
	s.metrics.alerts.Add(float64(n))
	return nil
}

// heartbeatDoor takes the sign of life of something that should give one. It has no
// body that means anything.
func (s *Server) heartbeatDoor(c echo.Context) error {
	if s.deps.Heartbeat == nil {
		return s.refused(c, notFound("heartbeats"))
	}
	if err := s.sender(c); err != nil {
		return s.refused(c, err)
	}
	if fromElsewhere(c.Request()) { // a picture on any page would do, and keep quiet what is dead
		return s.refused(c, refuse(http.StatusForbidden, codeForbidden, "Sec-Fetch-Site", "a page of another site may not do this"))
	}
	ctx, cancel := context.WithTimeout(comingFrom(c, "heartbeat "+c.Param("name")), s.config.Limits.Wait)
	defer cancel()
	if err := s.deps.Heartbeat(ctx, c.Param("name")); errors.Is(err, tocsin.ErrNotFound) {
		return s.refused(c, err)
	} else if err != nil {
		return s.refused(c, s.notTaken(err))
	}
	return answerOK(c)
}

// fromElsewhere reports whether a browser says that another site's page has it ask
// (https://www.w3.org/TR/fetch-metadata/).
func fromElsewhere(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return site == "cross-site" || site == "same-site"
}

// refused counts what a sender is refused for.
func (s *Server) refused(c echo.Context, err error) error {
	r := refusalOf(err)
	s.metrics.refused.WithLabelValues(r.code).Inc()
	if r.status == http.StatusRequestEntityTooLarge || r.status == http.StatusRequestTimeout {
		// The rest of the body is not worth reading.
		c.Response().Header().Set(echo.HeaderConnection, "close")
	}
	return r
}

// notTaken is the answer for alerts that the parts behind the server did not
// take: what is not known to be wrong for ever is worth another try.
func (s *Server) notTaken(err error) *refusal {
	r := refusalOf(err)
	switch r.status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		return r
	case http.StatusServiceUnavailable:
	default:
		r = unavailable(err, "the alerts could not be stored; try again")
	}
	s.metrics.shed.WithLabelValues(shedUnavailable).Inc()
	return r
}

func answerOK(c echo.Context) error {
	h := c.Response().Header()
	h[echo.HeaderContentType] = jsonType
	c.Response().WriteHeader(http.StatusOK)
	if c.Request().Method != http.MethodHead {
		_, _ = c.Response().Write(statusOK) // a sender that has gone sends again
	}
	return nil
}
