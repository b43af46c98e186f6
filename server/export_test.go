package server

import "github.com/labstack/echo/v4"

// WebhookBody is what Alertmanager sends for n alerts.
var WebhookBody = webhookBody

// Routes lists the registered routes.
func (s *Server) Routes() []*echo.Route { return s.echo.Routes() }

// Held is how many bytes alert requests hold now.
func (s *Server) Held() int64 { return s.budget.used.Load() }
