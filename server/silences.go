package server

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/alertmanager/matcher/parse"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// silenceView is a silence and where it stands.
type silenceView struct {
	tocsin.Silence
	// State is pending, active or expired.
	State string `json:"state"`
	// ETag is what If-Match takes; empty where the silence cannot be told from others.
	ETag string `json:"etag"`
}

func viewSilence(s tocsin.Silence, now time.Time) silenceView {
	v := silenceView{Silence: s, State: "active"}
	v.ETag, _ = etagOf(s) // a time beyond the year 9999 is refused before it is kept
	switch {
	case !now.Before(s.EndsAt):
		v.State = "expired"
	case now.Before(s.StartsAt):
		v.State = "pending"
	}
	return v
}

func (s *Server) listSilences(c echo.Context, who *tocsin.Principal) error {
	list, err := s.silencesFor(c.Request().Context(), who)
	if err != nil {
		return err
	}
	list, next, err := paged(c, list, func(s *tocsin.Silence) string { return s.ID })
	if err != nil {
		return err
	}
	now := s.deps.Now()
	views := make([]silenceView, len(list))
	for i := range list {
		views[i] = viewSilence(list[i], now)
	}
	return s.listed(c, "silences", views, next)
}

func (s *Server) putSilence(c echo.Context, who *tocsin.Principal) error {
	var in tocsin.Silence
	if err := s.bind(c, &in, false); err != nil {
		return err
	}
	out, err := s.keepSilence(c, who, in)
	if err != nil {
		return err
	}
	return s.json(c, viewSilence(out, s.deps.Now()))
}

// keepSilence makes or changes a silence.
func (s *Server) keepSilence(c echo.Context, who *tocsin.Principal, in tocsin.Silence) (tocsin.Silence, error) {
	now := s.deps.Now().UTC()
	// A silence is somebody's: the token's owner cannot put another's name to it.
	in.CreatedBy = cmp.Or(who.Name, in.CreatedBy)
	if in.StartsAt.IsZero() {
		in.StartsAt = now
	}
	if err := checkSilence(in, now); err != nil {
		return in, err
	}
	switch {
	case in.ID != "":
		if err := s.mayOnSilence(c, who, in.ID); err != nil {
			return in, err
		}
	case c.Request().Header.Get(headerIfMatch) != "":
		return in, invalid(headerIfMatch, "there is nothing to be changed: id is missing")
	}
	if err := mayMakeSilence(who, in.Matchers); err != nil {
		return in, err
	}
	ctx, cancel := context.WithTimeout(changingSilence(c, who), s.config.Limits.Wait)
	defer cancel()
	return s.deps.Silencer.PutSilence(ctx, in)
}

// Limits of a silence.
const (
	maxMatchers = 64
	maxComment  = 4 << 10
)

func checkSilence(s tocsin.Silence, now time.Time) error {
	if err := checkMatchers(s.Matchers); err != nil {
		return err
	}
	switch {
	case !s.EndsAt.After(now):
		return invalid("endsAt", "want a time in the future")
	case !s.EndsAt.After(s.StartsAt):
		return invalid("endsAt", "want a time after startsAt")
	case s.CreatedBy == "":
		return invalid("createdBy", "missing; say who silences")
	case s.Comment == "":
		return invalid("comment", "missing; say why")
	case len(s.Comment) > maxComment:
		return invalid("comment", "longer than %d bytes", maxComment)
	}
	return validName("createdBy", s.CreatedBy)
}

func checkMatchers(list []string) error {
	if len(list) == 0 || len(list) > maxMatchers {
		return invalid("matchers", `want 1 to %d, like severity="critical"`, maxMatchers)
	}
	if err := tocsin.CheckMatchers("matchers", list...); err != nil {
		return err
	}
	specific := false
	for i, text := range list {
		m, err := parse.Matcher(text)
		if err != nil {
			return invalid(fmt.Sprintf("matchers/%d", i), "%v", err)
		}
		specific = specific || !m.Matches("")
	}
	if !specific {
		return invalid("matchers", "at least one must not match the empty string: this would silence everything")
	}
	return nil
}

// getSilence returns one.
func (s *Server) getSilence(c echo.Context, _ *tocsin.Principal) error {
	found, err := s.silence(c, param(c, "id"))
	if err != nil {
		return err
	}
	tag, err := etagOf(found)
	if err != nil {
		return err
	}
	return s.tagged(c, tag, viewSilence(found, s.deps.Now()))
}

// silence is one that who asks may view.
func (s *Server) silence(c echo.Context, id string) (tocsin.Silence, error) {
	list, err := s.deps.Silencer.Silences(c.Request().Context())
	if err != nil {
		return tocsin.Silence{}, err
	}
	i := slices.IndexFunc(list, func(s tocsin.Silence) bool { return s.ID == id })
	if i < 0 || !seesSilence(whoOf(c), &list[i]) {
		return tocsin.Silence{}, notFound(fmt.Sprintf("silence %q", clip(id)))
	}
	return list[i], nil
}

func (s *Server) expireSilence(c echo.Context, who *tocsin.Principal) error {
	if err := s.endSilence(c, who); err != nil {
		return err
	}
	return s.json(c, map[string]string{"status": "ok"})
}

func (s *Server) endSilence(c echo.Context, who *tocsin.Principal) error {
	by, err := s.actor(who, "by", "")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(changingSilence(c, who), s.config.Limits.Wait)
	defer cancel()
	return missing(s.deps.Silencer.ExpireSilence(ctx, param(c, "id"), by), "silence", param(c, "id"))
}
