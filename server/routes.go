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
	api.GET("/incidents", s.person(s.listIncidents))
	api.POST("/incidents", s.person(needs(s.deps.Manual != nil, "incidents by hand", s.openIncident)))
	api.GET("/incidents/:id", s.person(s.getIncident))
	for _, kind := range actionKinds() {
		api.POST("/incidents/:id/"+string(kind), s.person(s.act(kind)))
	}
	api.GET("/silences", s.person(s.listSilences))
	api.POST("/silences", s.person(s.putSilence))
	api.DELETE("/silences/:id", s.person(s.expireSilence))
	onCall := func(h personal) echo.HandlerFunc {
		return s.person(needs(s.deps.OnCall != nil, "on-call schedules", h))
	}
	api.GET("/schedules", onCall(s.listSchedules))
	api.GET("/oncall", onCall(s.onCall))
	api.GET("/oncall/coverage", onCall(s.coverage))
	api.GET("/oncall/fairness", onCall(s.fairness))
	api.GET("/shifts", onCall(s.listShifts))
	api.GET("/schedules/:name/calendar.ics", s.calendar(ofSchedule))
	api.GET("/users/:name/calendar.ics", s.calendar(ofUser))
	overrides := func(h personal) echo.HandlerFunc { return s.person(needs(s.deps.Overrides != nil, "overrides", h)) }
	api.GET("/overrides", overrides(s.listOverrides))
	api.POST("/overrides", overrides(s.putOverride))
	api.POST("/overrides/:id/accept", overrides(s.answerOverride(tocsin.OverrideAccept)))
	api.POST("/overrides/:id/decline", overrides(s.answerOverride(tocsin.OverrideDecline)))
	api.POST("/overrides/:id/cancel", overrides(s.answerOverride(tocsin.OverrideCancel)))
	api.GET("/runbooks", s.person(s.listRunbooks))
	api.GET("/runbooks/*", s.person(s.getRunbook))
	s.remediationRoutes(api)
	api.GET("/incidents/:id/beside", s.person(needs(s.deps.Beside != nil, "what stands beside", s.getBeside)))
	api.GET("/stats", s.person(s.stats))
	api.GET("/backup", s.person(s.backup))

	e.GET(pathHealthy, s.healthy)
	e.HEAD(pathHealthy, s.healthy)
	e.GET(pathReady, s.ready)
	e.HEAD(pathReady, s.ready)
	e.POST("/-/reload", s.person(s.reload))
	e.GET(pathMetrics, s.serveMetrics)

	if s.deps.Pages != nil {
		pages := s.person(func(c echo.Context, _ string) error {
			s.deps.Pages.ServeHTTP(c.Response(), c.Request())
			return nil
		})
		e.GET("/*", pages)
		e.HEAD("/*", pages)
		return e
	}
	e.GET("/", s.person(s.indexPage))
	e.GET("/incidents/:id", s.person(s.incidentPage))
	e.GET("/incidents/:id/beside", s.person(needs(s.deps.Beside != nil, "what stands beside", s.besidePage)))
	e.GET("/incidents/:id/graph.svg", s.person(needs(s.deps.Graph != nil, "graphs", s.getGraph)))
	e.GET("/oncall", s.person(s.onCallPage))
	return e
}

// personal handles a request of somebody who may use the API; who is "" where
// nobody said so.
type personal func(c echo.Context, who string) error

// person lets in only who may use the API.
func (s *Server) person(h personal) echo.HandlerFunc {
	return func(c echo.Context) error {
		who, err := s.gate.Load().person(c)
		if err != nil {
			return err
		}
		return h(c, who)
	}
}

// needs answers that there is nothing where the part that h stands on is
// missing.
func needs(have bool, what string, h personal) personal {
	if have {
		return h
	}
	return func(echo.Context, string) error { return notFound(what) }
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
