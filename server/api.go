package server

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	jsonv1 "github.com/go-json-experiment/json/v1"
	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// json answers with v. It is encoded before the status is written, so that a
// failure is an error and not half an answer.
func (s *Server) json(c echo.Context, v any) error {
	b, err := jsonv1.Marshal(v) // twice as fast as encoding/json: a year of shifts is megabytes
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderXContentTypeOptions, "nosniff")
	return c.Blob(http.StatusOK, "application/json", append(b, '\n'))
}

// bind reads a request's JSON into v. Names that v does not have are errors, so
// that a misspelt field is not silently ignored. An empty body is fine when
// optional.
func (s *Server) bind(c echo.Context, v any, optional bool) error {
	body, err := s.body(c)
	if err != nil || len(body) == 0 && optional {
		return err
	}
	if err := jsonv2.Unmarshal(body, v, jsonv2.RejectUnknownMembers(true)); err != nil {
		return bindRefusal(err)
	}
	return nil
}

// body reads a request's JSON.
func (s *Server) body(c echo.Context) ([]byte, error) {
	r := c.Request()
	if t := r.Header.Get(echo.HeaderContentType); !isJSON(t) {
		return nil, refuse(http.StatusUnsupportedMediaType, codeMediaType, echo.HeaderContentType, "want application/json")
	}
	limit := s.config.Limits.APIBody
	body, err := io.ReadAll(io.LimitReader(r.Body, int64(limit)+1))
	switch {
	case err != nil:
		return nil, readRefusal(err)
	case len(body) > limit:
		c.Response().Header().Set(echo.HeaderConnection, "close")
		return nil, tooLarge("", "the body is longer than %d bytes", limit)
	}
	return body, nil
}

func bindRefusal(err error) error {
	var e *jsonv2.SemanticError
	if !errors.As(err, &e) {
		return syntax(err)
	}
	field := strings.TrimPrefix(string(e.JSONPointer), "/")
	var wrongTime *time.ParseError
	switch {
	case errors.As(err, &wrongTime):
		return invalid(clip(field), wantTime)
	case errors.Is(err, jsonv2.ErrUnknownName):
		return invalid(clip(field), "unknown field")
	case e.Err != nil:
		return invalid(clip(field), "%v", e.Err)
	default:
		return invalid(clip(field), "a JSON %s does not fit here", e.JSONKind)
	}
}

// number reads a query parameter from 1 to most.
func number(c echo.Context, name string, otherwise, most int) (int, error) {
	text := c.QueryParam(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, invalid(name, "want a number from 1 to %d", most)
	}
	return n, nil
}

// truth reads a query parameter that is true or false.
func truth(c echo.Context, name string) (bool, error) {
	text := c.QueryParam(name)
	if text == "" {
		return false, nil
	}
	yes, err := strconv.ParseBool(text)
	if err != nil {
		return false, invalid(name, "want true or false")
	}
	return yes, nil
}

// param is a decoded part of the path: echo leaves it as it is written where
// it was written in another way than Go would have.
func param(c echo.Context, name string) string {
	text := c.Param(name)
	if c.Request().URL.RawPath == "" {
		return text
	}
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}

// The most that one answer lists, and what it lists unless told otherwise.
const (
	maxList      = 1000
	listDefault  = 100
	eventDefault = 200
)

func (s *Server) listIncidents(c echo.Context, who *tocsin.Principal) error {
	f := tocsin.Filter{}
	for _, list := range c.QueryParams()["state"] {
		for state := range strings.SplitSeq(list, ",") {
			if !slices.Contains([]tocsin.State{tocsin.Triggered, tocsin.Acknowledged, tocsin.Resolved}, tocsin.State(state)) {
				return invalid("state", "%q; want triggered, acknowledged or resolved", clip(state))
			}
			f.States = append(f.States, tocsin.State(state))
		}
	}
	var err error
	if f.Archived, err = truth(c, "archived"); err != nil {
		return err
	}
	if f.Notices, err = truth(c, "notices"); err != nil {
		return err
	}
	if f.Limit, err = number(c, "limit", listDefault, maxList); err != nil {
		return err
	}
	if f.Only, err = s.narrowed(c, who); err != nil {
		return err
	}
	ms, err := matchersOf(c)
	if err != nil {
		return err
	}
	if f.OpenedBefore, f.BeforeID, err = parseCursor(c.QueryParam("after")); err != nil {
		return err
	}
	list, next, err := s.list(c.Request().Context(), s.reader(c), f, ms)
	if err != nil {
		return err
	}
	answer := map[string]any{"incidents": orEmpty(list)}
	if next != "" {
		answer["next"] = next
	}
	return s.json(c, answer)
}

// orEmpty makes an empty list [] in JSON, not null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// detail is everything about one incident.
type detail struct {
	Incident *tocsin.Incident     `json:"incident"`
	Alerts   []tocsin.AlertRecord `json:"alerts"`
	Timeline []tocsin.Event       `json:"timeline"`
	// Runbook as it is now; where it is gone, as it was when the incident opened.
	Runbook *tocsin.Runbook `json:"runbook"`
	// Progress is how each of its steps stands.
	Progress []tocsin.StepView `json:"progress"`
	// Ahead is what happens if nobody answers, the next first.
	Ahead []tocsin.Ahead `json:"ahead"`
}

// window says how much of an incident to show.
type window struct {
	alerts, events int
	after          uint64
}

func (s *Server) detail(c echo.Context, id string, w window) (detail, error) {
	ctx, r := c.Request().Context(), s.reader(c)
	inc, err := r.Get(ctx, id)
	if err != nil {
		return detail{}, err
	}
	d := detail{Incident: inc}
	if d.Alerts, err = r.AlertsOf(ctx, id, w.alerts); err != nil {
		return detail{}, err
	}
	if d.Timeline, err = r.Timeline(ctx, id, w.after, w.events); err != nil {
		return detail{}, err
	}
	d.Alerts, d.Timeline = orEmpty(d.Alerts), orEmpty(shownTo(whoOf(c), d.Timeline))
	if d.Runbook, d.Progress, err = s.progress(ctx, inc); err != nil {
		return detail{}, err
	}
	d.Runbook = s.filled(d.Runbook, d.Alerts)
	if s.deps.Ahead != nil {
		d.Ahead = s.deps.Ahead(inc)
	}
	d.Ahead = orEmpty(d.Ahead)
	return d, nil
}

func (s *Server) filled(rb *tocsin.Runbook, alerts []tocsin.AlertRecord) *tocsin.Runbook {
	if rb == nil || s.deps.FillRunbook == nil || len(alerts) == 0 {
		return rb
	}
	return s.deps.FillRunbook(rb, alerts[0].Labels)
}

func (s *Server) getIncident(c echo.Context, _ *tocsin.Principal) error {
	var w window
	var err error
	if w.alerts, err = number(c, "alerts", listDefault, maxList); err != nil {
		return err
	}
	if w.events, err = number(c, "events", eventDefault, maxList); err != nil {
		return err
	}
	if text := c.QueryParam("after"); text != "" {
		if w.after, err = strconv.ParseUint(text, 10, 64); err != nil {
			return invalid("after", "want the seq of an event")
		}
	}
	d, err := s.detail(c, param(c, "id"), w)
	if err != nil {
		return err
	}
	c.Response().Header().Set(headerETag, incidentTag(d.Incident))
	return s.json(c, d)
}
