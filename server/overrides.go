package server

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// maxOverride is the longest override: what is for longer belongs into the
// configuration.
const maxOverride = 366 * day

func (s *Server) listOverrides(c echo.Context, _ *tocsin.Principal) error {
	list, err := s.deps.Overrides.Overrides(c.Request().Context())
	if err != nil {
		return err
	}
	return s.json(c, map[string]any{"overrides": orEmpty(list)})
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
	return s.json(c, out)
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
	if !o.MayPut(who.Name) && !who.May(tocsin.RightManage) {
		return o, refuse(http.StatusForbidden, codeForbidden, "user", "this changes other people's shifts; without the right to manage one can take over a shift, or hand over one's own (replaces)")
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
		if answer == tocsin.OverrideCancel && !who.May(tocsin.RightManage) {
			if err := s.mayCancel(ctx, id, who.Name); err != nil {
				return err
			}
		}
		out, err := s.deps.Overrides.AnswerOverride(ctx, id, by, answer)
		if err != nil {
			return missing(err, "override", id)
		}
		return s.json(c, out)
	}
}

// mayCancel refuses who cancels what others have made, and is not about them.
func (s *Server) mayCancel(ctx context.Context, id, who string) error {
	all, err := s.deps.Overrides.Overrides(ctx)
	if err != nil {
		return err
	}
	for i := range all {
		if all[i].ID == id && !all[i].MayCancel(who) {
			return refuse(http.StatusForbidden, codeForbidden, "", "it was made by %s; without the right to manage one can cancel one's own", clip(all[i].CreatedBy))
		}
	}
	return nil
}
