package server

import (
	"context"
	"fmt"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// maxReceivers bounds whom one incident by hand names.
const maxReceivers = 100

// openIncident opens an incident by hand and answers with it. While one with the
// same key is open, that one is the answer.
func (s *Server) openIncident(c echo.Context, who *tocsin.Principal) error {
	var m tocsin.Manual
	if err := s.bind(c, &m, false); err != nil {
		return err
	}
	keyField := "key"
	if m.Key == "" {
		m.Key, keyField = c.Request().Header.Get(headerIdempotency), headerIdempotency
	}
	if err := checkManual(&m, keyField); err != nil {
		return err
	}
	var err error
	if m.By, err = s.actor(who, "by", m.By); err != nil {
		return err
	}
	if err := who.Opens(&m); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), s.config.Limits.Wait)
	defer cancel()
	id, err := s.deps.Manual(ctx, m)
	if err != nil {
		return err
	}
	inc, err := s.reader(c).Get(ctx, id)
	if err != nil {
		return fmt.Errorf("it is open as %s, but cannot be shown: %w", id, err)
	}
	return s.json(c, map[string]any{"incident": inc})
}

func checkManual(m *tocsin.Manual, keyField string) error {
	for _, name := range []struct{ field, value string }{
		{keyField, m.Key}, {"user", m.User}, {"schedule", m.Schedule}, {"policy", m.Policy},
	} {
		if err := validName(name.field, name.value); err != nil {
			return err
		}
	}
	if named(&tocsin.Action{User: m.User, Schedule: m.Schedule, Policy: m.Policy}) > 1 {
		return invalid("user", "name one user, schedule or policy, or none")
	}
	if len(m.Receivers) > maxReceivers {
		return invalid("receivers", "more than %d", maxReceivers)
	}
	return nil
}
