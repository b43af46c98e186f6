package server

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// maxOverride is the longest override: what is for longer belongs into the
// configuration.
const maxOverride = 366 * day

// keptOverride is an override as the API shows it.
type keptOverride struct {
	tocsin.Override
	// ETag is what If-Match takes.
	ETag string `json:"etag"`
}

func taggedOverride(o tocsin.Override) (keptOverride, error) {
	tag, err := etagOf(o)
	return keptOverride{o, tag}, err
}

// showOverride answers with an override under its tag.
func (s *Server) showOverride(c echo.Context, o tocsin.Override) error {
	v, err := taggedOverride(o)
	if err != nil {
		return err
	}
	c.Response().Header().Set(headerETag, v.ETag)
	return s.json(c, v)
}

func (s *Server) listOverrides(c echo.Context, who *tocsin.Principal) error {
	list, err := s.overridesFor(c.Request().Context(), who)
	if err != nil {
		return err
	}
	part, next, err := paged(c, list, func(o *tocsin.Override) string { return o.ID })
	if err != nil {
		return err
	}
	views := make([]keptOverride, len(part))
	for i := range part {
		if views[i], err = taggedOverride(part[i]); err != nil {
			return err
		}
	}
	return s.listed(c, "overrides", views, next)
}

func (s *Server) getOverride(c echo.Context, who *tocsin.Principal) error {
	o, err := s.findOverride(c.Request().Context(), who, param(c, "id"))
	if err != nil {
		return err
	}
	v, err := taggedOverride(o)
	if err != nil {
		return err
	}
	return s.tagged(c, v.ETag, v)
}

// findOverride returns an override that who may view.
func (s *Server) findOverride(ctx context.Context, who *tocsin.Principal, id string) (tocsin.Override, error) {
	list, err := s.overridesFor(ctx, who)
	if err != nil {
		return tocsin.Override{}, err
	}
	i := slices.IndexFunc(list, func(o tocsin.Override) bool { return o.ID == id })
	if i < 0 {
		return tocsin.Override{}, notFound(fmt.Sprintf("override %q", clip(id)))
	}
	return list[i], nil
}

func (s *Server) putOverride(c echo.Context, who *tocsin.Principal) error {
	var in tocsin.Override
	if err := s.bind(c, &in, false); err != nil {
		return err
	}
	if in.ID != "" {
		return invalid("id", "an override is not changed: cancel it, and make another one")
	}
	by, err := s.actor(who, "createdBy", in.CreatedBy)
	if err != nil {
		return err
	}
	out, err := s.keepOverride(c.Request().Context(), who, &in, by)
	if err != nil {
		return err
	}
	return s.showOverride(c, out)
}

// keepOverride makes an override, where who may.
func (s *Server) keepOverride(ctx context.Context, who *tocsin.Principal, in *tocsin.Override, by string) (tocsin.Override, error) {
	now := s.deps.Now().UTC()
	o := tocsin.Override{
		Kind: cmp.Or(in.Kind, tocsin.OverrideReplace), Schedule: in.Schedule, User: in.User, Replaces: in.Replaces,
		From: in.From.UTC(), To: in.To.UTC(), Comment: in.Comment, CreatedBy: by,
	}
	if o.From.IsZero() {
		o.From = now
	}
	if err := checkOverride(&o, now); err != nil {
		return o, err
	}
	if err := mayPut(who, &o); err != nil {
		return o, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.config.Limits.Wait)
	defer cancel()
	return s.deps.Overrides.PutOverride(ctx, o)
}

func checkOverride(o *tocsin.Override, now time.Time) error {
	for _, name := range []struct{ field, value string }{
		{"schedule", o.Schedule}, {"user", o.User}, {"replaces", o.Replaces},
	} {
		if err := validName(name.field, name.value); err != nil {
			return err
		}
	}
	if err := checkOverrideKind(o); err != nil {
		return err
	}
	if len(o.Comment) > maxComment {
		return invalid("comment", "longer than %d bytes", maxComment)
	}
	if o.To.IsZero() {
		return invalid("to", "missing; say when it ends")
	}
	if err := checkYear("from", o.From); err != nil {
		return err
	}
	if err := checkYear("to", o.To); err != nil {
		return err
	}
	if !o.To.After(now) {
		return invalid("to", "want a time in the future: what has been cannot be changed")
	}
	return checkSpan(o.From, o.To, maxOverride)
}

// checkOverrideKind holds who, and which schedule, the kind needs.
func checkOverrideKind(o *tocsin.Override) error {
	kinds := []tocsin.OverrideKind{tocsin.OverrideReplace, tocsin.OverrideAdd, tocsin.OverrideTimeOff, tocsin.OverrideSwap}
	switch {
	case !slices.Contains(kinds, o.Kind):
		return invalid("kind", "%q; want replace, add, time_off or swap", clip(string(o.Kind)))
	case o.Schedule == "" && o.Kind != tocsin.OverrideTimeOff:
		return invalid("schedule", "missing; only time off is for all schedules")
	case o.User == "" && o.Kind != tocsin.OverrideSwap:
		return invalid("user", "missing; only a swap may be left for anybody to accept")
	case o.Replaces != "" && (o.Kind == tocsin.OverrideAdd || o.Kind == tocsin.OverrideTimeOff):
		return invalid("replaces", "nobody is replaced by %s", o.Kind)
	case o.Replaces != "" && o.Replaces == o.User:
		return invalid("replaces", "nobody takes over from themselves")
	}
	return nil
}

// answerOverride cancels an override, or answers a swap, and shows it as it is
// then. Doing it again is fine, and answered the same.
func (s *Server) answerOverride(answer tocsin.OverrideAnswer) personal {
	return func(c echo.Context, who *tocsin.Principal) error {
		var body struct {
			By string `json:"by"`
		}
		if err := s.bind(c, &body, true); err != nil {
			return err
		}
		by, err := s.actor(who, "by", body.By)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(c.Request().Context(), s.config.Limits.Wait)
		defer cancel()
		id := param(c, "id")
		if err := s.mayChange(ctx, who, id, answer); err != nil {
			return err
		}
		out, err := s.deps.Overrides.AnswerOverride(asRead[tocsin.Override](ctx, c), id, by, answer)
		if err != nil {
			return missing(err, "override", id)
		}
		return s.showOverride(c, out)
	}
}
