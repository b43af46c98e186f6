package server

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// intake takes what Alertmanager's webhook sends. It answers 200 only after the
// Receiver has made it durable.
func (s *Server) intake(c echo.Context) error {
	if err := s.receive(c); err != nil {
		return s.refused(c, err)
	}
	return answerOK(c)
}

var (
	jsonType = []string{"application/json"}
	statusOK = []byte(`{"status":"ok"}` + "\n")
)

func (s *Server) receive(c echo.Context) error {
	if err := s.sender(c); err != nil {
		return err
	}
	source, err := s.source(c)
	if err != nil {
		return err
	}
	if err := acceptable(c.Request()); err != nil {
		return err
	}
	p, err := s.readAlerts(c.Request(), source)
	if err != nil {
		return err
	}
	defer s.budget.give(p.size)
	if len(p.alerts) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(comingFrom(c, "Alertmanager"), s.config.Limits.Wait)
	defer cancel()
	_, err = s.deps.Receiver.Receive(ctx, tocsin.Batch{Source: source, Alerts: p.alerts, Truncated: p.truncated})
	if err != nil {
		return s.notTaken(err)
	}
	s.metrics.alerts.Add(float64(len(p.alerts)))
	return nil
}

// source is who sends: it is part of every alert's identity.
func (s *Server) source(c echo.Context) (string, error) {
	if c.Request().URL.RawQuery == "" {
		return s.config.Source, nil
	}
	names, given := c.QueryParams()["source"]
	if !given {
		return s.config.Source, nil
	}
	if len(names) != 1 || !validSource(names[0]) {
		return "", invalid("source", "want one name of 1 to %d of the letters a-z, A-Z, 0-9 and . _ -", maxSource)
	}
	return names[0], nil
}

// acceptable refuses what cannot be JSON as it is. A missing Content-Type is
// let through: only browsers need to be told apart, and those say where they
// come from.
func acceptable(r *http.Request) error {
	if e := r.Header.Get(echo.HeaderContentEncoding); e != "" && !strings.EqualFold(e, "identity") {
		return refuse(http.StatusUnsupportedMediaType, codeMediaType, echo.HeaderContentEncoding, "%s: send the body as it is, uncompressed", clip(e))
	}
	t := r.Header.Get(echo.HeaderContentType)
	if t == "" || isJSON(t) {
		return nil
	}
	return refuse(http.StatusUnsupportedMediaType, codeMediaType, echo.HeaderContentType, "%s: want application/json", clip(t))
}

func isJSON(contentType string) bool {
	if contentType == "application/json" {
		return true
	}
	t, _, err := mime.ParseMediaType(contentType)
	return err == nil && (t == "application/json" || strings.HasPrefix(t, "application/") && strings.HasSuffix(t, "+json"))
}

// readAlerts reads and decodes the body. What it returns is counted in the
// budget.
func (s *Server) readAlerts(r *http.Request, source string) (payload, error) {
	if r.ContentLength > int64(s.config.Limits.Body) {
		return payload{}, s.buffers.tooLong()
	}
	b, err := s.buffers.read(r.Body)
	if err != nil {
		return payload{}, s.countShed(err)
	}
	defer s.buffers.put(b)
	s.metrics.bytes.Observe(float64(len(b.data)))
	d, _ := s.decoders.Get().(*decoder)
	defer s.decoders.Put(d)
	p, err := d.decode(b.data, source, s.deps.Now().UTC())
	if err != nil {
		return payload{}, err
	}
	if !s.budget.take(p.size) {
		return payload{}, s.countShed(unavailable(errOverload, "overloaded; try again"))
	}
	return p, nil
}

func (s *Server) countShed(err error) error {
	if errors.Is(err, errOverload) {
		s.metrics.shed.WithLabelValues(shedOverload).Inc()
	}
	return err
}

// maxSource is the longest name of a source.
const maxSource = 64

func validSource(s string) bool {
	if s == "" || len(s) > maxSource {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
