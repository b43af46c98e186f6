package server

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// headerIdempotency names an action, where its body does not, so that it
// happens once however often it is sent
// (https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/).
const headerIdempotency = "Idempotency-Key"

// Limits of an action.
const (
	maxText   = 4 << 10
	maxSnooze = 30 * 24 * time.Hour
	maxStep   = 100
)

// actionKinds is every kind that has a path.
func actionKinds() []tocsin.ActionKind {
	return []tocsin.ActionKind{
		tocsin.ActAcknowledge, tocsin.ActResolve, tocsin.ActSnooze, tocsin.ActEscalate, tocsin.ActReassign,
		tocsin.ActAddResponder, tocsin.ActNote, tocsin.ActMerge, tocsin.ActUnmerge, tocsin.ActSeverity, tocsin.ActStep, tocsin.ActChannel,
	}
}

// actor is who acts: the token's owner, else who the request names in field,
// else "api".
func (s *Server) actor(who *tocsin.Principal, field, named string) (string, error) {
	if err := validName(field, named); err != nil {
		return "", err
	}
	return cmp.Or(who.Name, named, apiUser), nil
}

// act does one kind of action, and answers with the incident as it is then.
// Doing it again is fine, and answered the same.
func (s *Server) act(kind tocsin.ActionKind) personal {
	return func(c echo.Context, who *tocsin.Principal) error {
		a, err := s.action(c, kind, who)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(c.Request().Context(), s.config.Limits.Wait)
		defer cancel()
		id := param(c, "id")
		if err := s.mayMerge(ctx, who, &a); err != nil {
			return err
		}
		if hold := unchanged(c); hold != nil {
			a.If = func(inc *tocsin.Incident) error { return hold(incidentTag(inc)) }
		}
		if err := s.deps.Actions.Act(ctx, id, a); err != nil {
			return missing(err, "incident", id)
		}
		inc, err := s.deps.Reader.Get(ctx, id)
		if err != nil {
			return fmt.Errorf("it is done, but cannot be shown: %w", err)
		}
		c.Response().Header().Set(headerETag, incidentTag(inc))
		return s.json(c, map[string]any{"incident": inc})
	}
}

// action reads what the request asks for.
func (s *Server) action(c echo.Context, kind tocsin.ActionKind, who *tocsin.Principal) (tocsin.Action, error) {
	var a tocsin.Action
	if err := s.bind(c, &a, true); err != nil {
		return a, err
	}
	a.Kind = kind
	idField := "id"
	if a.ID == "" {
		a.ID, idField = c.Request().Header.Get(headerIdempotency), headerIdempotency
	}
	if err := validName(idField, a.ID); err != nil {
		return a, err
	}
	var err error
	if a.By, err = s.actor(who, "by", a.By); err != nil {
		return a, err
	}
	if err := checkAction(&a); err != nil {
		return a, err
	}
	return a, checkKind(&a, param(c, "id"), s.deps.Now())
}

// checkAction holds what every kind must, so that what a kind does not use does
// no harm either.
func checkAction(a *tocsin.Action) error {
	for _, name := range []struct{ field, value string }{
		{"user", a.User},
		{"schedule", a.Schedule},
		{"policy", a.Policy},
		{"into", a.Into},
		{"runbookStep", a.RunbookStep},
		{"via", a.Via},
	} {
		if err := validName(name.field, name.value); err != nil {
			return err
		}
	}
	switch {
	case len(a.Text) > maxText:
		return invalid("text", "longer than %d bytes", maxText)
	case a.Severity != "" && !slices.Contains(severities(), a.Severity):
		return invalid("severity", "%q; want critical, error, warning or info", clip(string(a.Severity)))
	}
	return nil
}

func severities() []tocsin.Severity {
	return []tocsin.Severity{tocsin.Critical, tocsin.Error, tocsin.Warning, tocsin.Info}
}

// checkKind holds what the kind of the action needs.
func checkKind(a *tocsin.Action, id string, now time.Time) error {
	switch a.Kind {
	case tocsin.ActSnooze:
		return checkSnooze(a.Until, now)
	case tocsin.ActEscalate:
		return checkEscalate(a)
	case tocsin.ActReassign, tocsin.ActAddResponder:
		if named(a) != 1 {
			return invalid("user", "name one user, schedule or policy")
		}
	case tocsin.ActNote:
		if strings.TrimSpace(a.Text) == "" {
			return invalid("text", "missing; a note says something")
		}
	case tocsin.ActMerge:
		switch a.Into {
		case "":
			return invalid("into", "missing; name the incident to merge into")
		case id:
			return invalid("into", "an incident cannot be merged into itself")
		}
	case tocsin.ActSeverity:
		if a.Severity == "" {
			return invalid("severity", "missing; want critical, error, warning or info")
		}
	case tocsin.ActStep:
		switch {
		case a.RunbookStep == "":
			return invalid("runbookStep", "missing; name the step by its number")
		case !a.Status.Known():
			return invalid("status", "%q; want open, started, done or skipped", clip(string(a.Status)))
		}
	case tocsin.ActAcknowledge, tocsin.ActResolve, tocsin.ActUnmerge, tocsin.ActChannel:
	}
	return nil
}

func checkSnooze(until, now time.Time) error {
	switch {
	case until.IsZero():
		return invalid("until", "missing; say when the incident comes back, like 2026-11-22T09:00:00Z")
	case !until.After(now):
		return invalid("until", "want a time in the future")
	case until.Sub(now) > maxSnooze:
		return invalid("until", "want a time in the next %d days", maxSnooze/(24*time.Hour))
	}
	return nil
}

// checkEscalate: to a step, of one policy or of all, or to somebody.
func checkEscalate(a *tocsin.Action) error {
	switch {
	case a.Step < 0 || a.Step > maxStep:
		return invalid("step", "want a number from 1 to %d, or none for the next step", maxStep)
	case named(a) > 1:
		return invalid("user", "name one user, schedule or policy, or none for the next step")
	case a.Step > 0 && a.User+a.Schedule != "":
		return invalid("step", "escalate to a step, or to a user or schedule, not to both")
	}
	return nil
}

// named counts those whom the action names.
func named(a *tocsin.Action) int {
	n := 0
	for _, name := range []string{a.User, a.Schedule, a.Policy} {
		if name != "" {
			n++
		}
	}
	return n
}
