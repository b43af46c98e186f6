package server

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// madeOnce is what the routes make that, asked twice, would make two. What they have made
// under which key is kept with it, in one transaction: beyond this process's memory.
// What the others do is the same done twice; actions keep their keys themselves.
var madeOnce = map[string]tocsin.Made{
	"/api/v1/incidents":               tocsin.MadeIncident,
	"/api/v1/silences":                tocsin.MadeSilence,
	pathAlertmanager + "silences":     tocsin.MadeSilence,
	"/api/v1/overrides":               tocsin.MadeOverride,
	"/api/v1/tokens":                  tocsin.MadeToken,
	"/api/v1/incidents/:id/remediate": tocsin.MadeRemediation,
}

// keep has what a request makes be remembered with it, and returns a
// *tocsin.RepeatError where it is remembered already.
func (s *Server) keep(c echo.Context, who *tocsin.Principal, name, body digest) error {
	r := c.Request()
	makes, known := madeOnce[c.Path()]
	if !known || r.Method != http.MethodPost {
		return nil
	}
	o := &tocsin.Once{Name: name, Who: who.Name, Body: hex.EncodeToString(body[:]), Makes: makes}
	c.SetRequest(r.WithContext(tocsin.WithOnce(r.Context(), o)))
	// What is asked for may be refused by now: its end has passed, its user is gone.
	docs, _, err := s.deps.Reader.Documents(r.Context(), o.Kind())
	if err != nil {
		return err
	}
	return o.Before(docs, s.deps.Now())
}

// repeated answers a request that was done before with what it made, as it is now;
// any other err is returned as it is.
func (s *Server) repeated(c echo.Context, err error) error {
	var was *tocsin.RepeatError
	switch {
	case !errors.As(err, &was):
		return err
	case was.Reused:
		return errReused()
	case was.Made == tocsin.MadeToken:
		return errSecret()
	}
	h := c.Response().Header()
	h.Set(headerReplayed, "true")
	if err = s.showMade(c, was); err == nil {
		return nil
	}
	h.Del(headerReplayed)
	if refusalOf(err).status == http.StatusNotFound {
		return refuse(http.StatusConflict, codeConflict, headerIdempotency,
			"it was done before, and made the %s %s, which is not there any more, or not yours to see; to make another one, make a new key", was.Made, clip(was.ID))
	}
	return err
}

func (s *Server) showMade(c echo.Context, was *tocsin.RepeatError) error {
	ctx := c.Request().Context()
	switch was.Made {
	case tocsin.MadeIncident:
		inc, err := s.reader(c).Get(ctx, was.ID)
		if err != nil {
			return err
		}
		return s.json(c, map[string]any{"incident": inc})
	case tocsin.MadeSilence:
		found, err := s.silence(c, was.ID)
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(c.Path(), pathAlertmanager):
			return s.json(c, map[string]string{"silenceID": found.ID})
		}
		return s.json(c, viewSilence(found, s.deps.Now()))
	case tocsin.MadeOverride:
		o, err := s.findOverride(ctx, whoOf(c), was.ID)
		if err != nil {
			return err
		}
		return s.showOverride(c, o)
	case tocsin.MadeRemediation:
		r, _, err := s.deps.Remedies.Remediation(ctx, was.ID)
		if err != nil {
			return err
		}
		return s.json(c, map[string]any{"remediation": r})
	case tocsin.MadeToken:
	}
	return tocsin.ErrNotFound
}

// onceForm has what a form makes be made once, however often it is sent as it is:
// each time that the form is drawn it has another queryOnce.
func onceForm(c echo.Context, who *tocsin.Principal, f url.Values, makes tocsin.Made) context.Context {
	ctx := c.Request().Context()
	if f.Get(queryOnce) == "" {
		return ctx
	}
	name := digestOf(fmt.Sprintf("form %q %q %q", who.Name, c.Path(), f.Encode()))
	return tocsin.WithOnce(ctx, &tocsin.Once{Name: name, Who: who.Name, Makes: makes})
}

// queryOnce names a form that is sent once.
const queryOnce = "once"
