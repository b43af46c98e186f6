package server

import (
	"bytes"
	"maps"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

const (
	// scrapesMost is how many may be read at a time, and scrapeTime how long one may
	// take to be read: whoever reads slowly holds what it was answered.
	scrapesMost = 16
	scrapeTime  = 5 * time.Second
)

// serveMetrics lets one after the other gather, which costs some milliseconds each
// and needs no token.
func (s *Server) serveMetrics(c echo.Context) error {
	if s.deps.Metrics == nil {
		return notFound("metrics")
	}
	select {
	case s.scrapes <- struct{}{}:
		defer func() { <-s.scrapes }()
	default:
		s.metrics.shed.WithLabelValues(shedOverload).Inc()
		return unavailable(nil, "too many ask for metrics at a time; try again")
	}
	r := c.Request()
	kept := &heldAnswer{header: http.Header{}, status: http.StatusOK}
	err := s.turn(r.Context(), s.gathering, func() error {
		s.deps.Metrics.ServeHTTP(kept, r)
		return nil
	})
	if err != nil {
		return err
	}
	maps.Copy(c.Response().Header(), kept.header)
	_ = http.NewResponseController(c.Response()).SetWriteDeadline(time.Now().Add(scrapeTime)) // not every ResponseWriter can
	c.Response().WriteHeader(kept.status)
	_, _ = c.Response().Write(kept.text.Bytes()) // the client has gone: nobody to tell
	return nil
}

// heldAnswer is an answer before it is sent.
type heldAnswer struct {
	header http.Header
	status int
	text   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (h *heldAnswer) Header() http.Header { return h.header }

// WriteHeader implements http.ResponseWriter.
func (h *heldAnswer) WriteHeader(status int) { h.status = status }

// Write implements http.ResponseWriter.
func (h *heldAnswer) Write(b []byte) (int, error) { return h.text.Write(b) }
