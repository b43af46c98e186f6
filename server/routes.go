package server

import (
	"net/http"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// Paths that more than the route table needs.
const (
	pathIntake    = "/webhook/alertmanager"
	pathJSON      = "/webhook/json/:name"
	pathHeartbeat = "/heartbeat/:name"
	pathHealthy   = "/-/healthy"
	pathReady     = "/-/ready"
	pathMetrics   = "/metrics"
	pathRunbook   = "/api/v1/runbooks/"
)

// routes is every route on one screen. openapi.json describes them.
func (s *Server) routes() *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = echo.ExtractIPDirect()
	e.HTTPErrorHandler = s.handleError
	e.Use(s.observe)

	e.POST(pathIntake, s.intake)
	e.POST(pathJSON, s.jsonDoor)
	e.GET(pathHeartbeat, s.heartbeatDoor)
	e.POST(pathHeartbeat, s.heartbeatDoor)
	for path, h := range s.deps.Callbacks {
		e.POST(path, s.callback(h))
	}

	api := e.Group("/api/v1")
	api.GET("/openapi.json", s.openAPI)
	api.GET("/incidents", s.viewer(s.listIncidents))
	api.POST("/incidents", s.responder(needs(s.deps.Manual != nil, "incidents by hand", s.openIncident)))
	api.GET("/incidents/:id", s.viewer(s.getIncident))
	for _, kind := range actionKinds() {
		api.POST("/incidents/:id/"+string(kind), s.responder(s.act(kind)))
	}
	api.GET("/silences", s.viewer(s.listSilences))
	api.POST("/silences", s.responder(s.putSilence))
	api.DELETE("/silences/:id", s.responder(s.expireSilence))
	onCall := func(h personal) echo.HandlerFunc {
		return s.viewer(needs(s.deps.OnCall != nil, "on-call schedules", h))
	}
	api.GET("/schedules", onCall(s.listSchedules))
	api.GET("/oncall", onCall(s.onCall))
	api.GET("/oncall/coverage", onCall(s.coverage))
	api.GET("/oncall/fairness", onCall(s.fairness))
	api.GET("/shifts", onCall(s.listShifts))
	api.GET("/schedules/:name/calendar.ics", s.calendar(ofSchedule))
	api.GET("/users/:name/calendar.ics", s.calendar(ofUser))
	overrides := func(h personal) personal { return needs(s.deps.Overrides != nil, "overrides", h) }
	api.GET("/overrides", s.viewer(overrides(s.listOverrides)))
	api.POST("/overrides", s.responder(overrides(s.putOverride)))
	api.POST("/overrides/:id/accept", s.responder(overrides(s.answerOverride(tocsin.OverrideAccept))))
	api.POST("/overrides/:id/decline", s.responder(overrides(s.answerOverride(tocsin.OverrideDecline))))
	api.POST("/overrides/:id/cancel", s.responder(overrides(s.answerOverride(tocsin.OverrideCancel))))
	api.GET("/runbooks", s.viewer(s.listRunbooks))
	api.GET("/runbooks/*", s.viewer(s.getRunbook))
	s.remediationRoutes(api)
	api.GET("/incidents/:id/beside", s.viewer(needs(s.deps.Beside != nil, "what stands beside", s.getBeside)))
	api.GET("/stats", s.viewer(s.stats))
	api.GET("/backup", s.admin(s.backup))

	e.GET(pathHealthy, s.healthy)
	e.HEAD(pathHealthy, s.healthy)
	e.GET(pathReady, s.ready)
	e.HEAD(pathReady, s.ready)
	e.POST("/-/reload", s.admin(s.reload))
	e.GET(pathMetrics, s.serveMetrics)

	if s.deps.Pages != nil {
		pages := s.viewer(func(c echo.Context, _ *tocsin.Principal) error {
			s.deps.Pages.ServeHTTP(c.Response(), c.Request())
			return nil
		})
		e.GET("/*", pages)
		e.HEAD("/*", pages)
		return e
	}
	e.GET("/", s.viewer(s.indexPage))
	e.GET("/incidents/:id", s.viewer(s.incidentPage))
	e.GET("/incidents/:id/beside", s.viewer(needs(s.deps.Beside != nil, "what stands beside", s.besidePage)))
	e.GET("/incidents/:id/graph.svg", s.viewer(needs(s.deps.Graph != nil, "graphs", s.getGraph)))
	e.GET("/oncall", s.viewer(s.onCallPage))
	return e
}

// paths lists the registered ones, for the metrics' label.
func (s *Server) paths() []string {
	seen := map[string]bool{}
	var paths []string
	for _, r := range s.echo.Routes() {
		if !seen[r.Path] {
			seen[r.Path] = true
			paths = append(paths, r.Path)
		}
	}
	return paths
}

func (s *Server) serveMetrics(c echo.Context) error {
	if s.deps.Metrics == nil {
		return notFound("metrics")
	}
	s.deps.Metrics.ServeHTTP(c.Response(), c.Request())
	return nil
}

func (s *Server) openAPI(c echo.Context) error {
	return c.Blob(http.StatusOK, "application/json", openAPIDocument)
}
