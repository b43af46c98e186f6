package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/alertmanager/matcher/parse"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// What is here keeps people to their teams' silences whose roles are in teams alone:
// those that have all of a team's silence_matchers. Another one is not there.

// silenceViewer is for routes that show silences; the handler leaves out those that
// who asks may not view.
func (s *Server) silenceViewer(h personal) echo.HandlerFunc {
	return s.letIn(tocsin.RightView, (*tocsin.Principal).MaySomewhere, someSilence(tocsin.RightView), h)
}

// silenceResponder is for routes that make silences; the handler looks whether who
// asks may make that one.
func (s *Server) silenceResponder(h personal) echo.HandlerFunc {
	return s.letIn(tocsin.RightRespond, (*tocsin.Principal).MaySomewhere, someSilence(tocsin.RightRespond), h)
}

// responderOfSilence is for routes that change the silence of their path.
func (s *Server) responderOfSilence(h personal) echo.HandlerFunc {
	here := func(c echo.Context, who *tocsin.Principal) error {
		if err := someSilence(tocsin.RightView)(c, who); err != nil {
			return err
		}
		if who.May(tocsin.RightView) && !who.MaySilenceSome(tocsin.RightRespond) {
			return s.turnAway(c, forbidden(who, tocsin.RightRespond))
		}
		return s.mayOnSilence(c, who, param(c, "id"))
	}
	return s.letIn(tocsin.RightView, (*tocsin.Principal).MaySomewhere, here, h)
}

// someSilence refuses those of whose teams no silence can be.
func someSilence(right tocsin.Right) personal {
	return func(_ echo.Context, who *tocsin.Principal) error {
		if who.MaySilenceSome(right) {
			return nil
		}
		return refuse(http.StatusForbidden, codeForbidden, "",
			"silences want the right to %s in every team, or in one whose silence_matchers say which silences are its own; you are %s; ask an administrator of Tocsin", right, sayRoles(who))
	}
}

// mayOnSilence refuses who may not change a silence.
func (s *Server) mayOnSilence(c echo.Context, who *tocsin.Principal, id string) error {
	if who.May(tocsin.RightRespond) {
		return nil
	}
	found, err := s.silence(c, id)
	if err != nil {
		return err
	}
	return mayChangeSilence(who, &found)
}

// mayChangeSilence refuses who may not change a silence that they may view.
func mayChangeSilence(who *tocsin.Principal, found *tocsin.Silence) error {
	if who.MaySilence(tocsin.RightRespond, written(found.Matchers)) {
		return nil
	}
	return forbiddenHere(who, tocsin.RightRespond)
}

// changingSilence returns the context for a change of a silence: only where it is, when
// it is changed, still theirs who ask, and as they have read it.
func changingSilence(c echo.Context, who *tocsin.Principal) context.Context {
	ctx := asRead[tocsin.Silence](c.Request().Context(), c)
	if who.May(tocsin.RightRespond) {
		return ctx
	}
	return tocsin.OnlyIf(ctx, func(was *tocsin.Silence) error {
		if !seesSilence(who, was) {
			return notFound(fmt.Sprintf("silence %q", clip(was.ID)))
		}
		return mayChangeSilence(who, was)
	})
}

// mayMakeSilence refuses a silence that could hide what is not theirs who ask for it.
func mayMakeSilence(who *tocsin.Principal, matchers []string) error {
	matchers = written(matchers)
	if who.MaySilence(tocsin.RightRespond, matchers) {
		return nil
	}
	if lacks := who.SilenceLacks(matchers); lacks != "" {
		return refuse(http.StatusForbidden, codeForbidden, "matchers", "%s", lacks)
	}
	return forbiddenHere(who, tocsin.RightRespond)
}

// written are matchers in the form in which tocsin.SilenceScope has them. Where one
// cannot be read, none is told: who may have what is read may not have it.
func written(matchers []string) []string {
	var out []string
	for _, text := range matchers {
		ms, err := parse.Matchers(text)
		if err != nil {
			return nil
		}
		for _, m := range ms {
			out = append(out, m.String())
		}
	}
	return out
}

// silencesFor are the silences that somebody may view.
func (s *Server) silencesFor(ctx context.Context, who *tocsin.Principal) ([]tocsin.Silence, error) {
	list, err := s.deps.Silencer.Silences(ctx)
	if err != nil || who.May(tocsin.RightView) {
		return list, err
	}
	return slices.DeleteFunc(slices.Clone(list), func(one tocsin.Silence) bool { return !seesSilence(who, &one) }), nil
}

// seesSilence reports whether somebody may view a silence.
func seesSilence(who *tocsin.Principal, one *tocsin.Silence) bool {
	return who.May(tocsin.RightView) || who.MaySilence(tocsin.RightView, written(one.Matchers))
}

// isTheirSilence reports whether an event is about a silence that somebody may view,
// as it was and as it is.
func isTheirSilence(who *tocsin.Principal, e *tocsin.Event) bool {
	if e.Kind != tocsin.EventSilence || !who.MaySilenceSome(tocsin.RightView) || e.Before == "" && e.After == "" {
		return false
	}
	for _, text := range []string{e.Before, e.After} {
		var one tocsin.Silence
		if text != "" && (json.Unmarshal([]byte(text), &one) != nil || !seesSilence(who, &one)) {
			return false
		}
	}
	return true
}
