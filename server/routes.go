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
	pathPicture   = "/graph/:file"
)

// routes is every route on one screen. openapi.yaml describes them.
func (s *Server) routes() *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = s.address
	e.HTTPErrorHandler = s.handleError
	e.Use(s.observe)

	e.POST(pathIntake, s.intake)
	e.POST(pathJSON, s.jsonDoor)
	e.GET(pathHeartbeat, s.heartbeatDoor)
	e.POST(pathHeartbeat, s.heartbeatDoor)
	for path, h := range s.deps.Callbacks {
		e.POST(path, s.callback(h))
	}
	e.GET(pathPicture, s.signedPicture)
	e.HEAD(pathPicture, s.signedPicture)

	api := e.Group("/api/v1")
	api.GET("/openapi.yaml", s.openAPI)
	api.GET("/incidents", s.someViewer(s.listIncidents))
	api.POST("/incidents", s.someResponder(needs(s.deps.Manual != nil, "incidents by hand", s.openIncident)))
	api.GET("/incidents/:id", s.viewerIn(s.getIncident))
	for _, kind := range actionKinds() {
		api.POST("/incidents/:id/"+string(kind), s.responderIn(s.act(kind)))
	}
	api.GET("/silences", s.silenceViewer(s.listSilences))
	api.POST("/silences", s.silenceResponder(s.putSilence))
	api.GET("/silences/preview", s.silenceViewer(needs(s.deps.Hides != nil, "what silences hide", s.hiddenBy)))
	api.GET("/silences/:id", s.silenceViewer(s.getSilence))
	api.DELETE("/silences/:id", s.responderOfSilence(s.expireSilence))
	onCall := func(h personal) echo.HandlerFunc {
		return s.someViewer(needs(s.deps.OnCall != nil, "on-call schedules", h))
	}
	api.GET("/schedules", onCall(s.listSchedules))
	api.GET("/oncall", onCall(s.onCall))
	api.GET("/oncall/coverage", onCall(s.coverage))
	api.GET("/oncall/fairness", onCall(s.fairness))
	api.GET("/shifts", onCall(s.listShifts))
	api.GET("/schedules/:name/calendar.ics", s.calendar(ofSchedule))
	api.GET("/users/:name/calendar.ics", s.calendar(ofUser))
	overrides := func(h personal) personal { return needs(s.deps.Overrides != nil, "overrides", h) }
	api.GET("/overrides", s.someViewer(overrides(s.listOverrides)))
	api.POST("/overrides", s.someResponder(overrides(s.putOverride)))
	api.GET("/overrides/:id", s.someViewer(overrides(s.getOverride)))
	api.POST("/overrides/:id/accept", s.someResponder(overrides(s.answerOverride(tocsin.OverrideAccept))))
	api.POST("/overrides/:id/decline", s.someResponder(overrides(s.answerOverride(tocsin.OverrideDecline))))
	api.POST("/overrides/:id/cancel", s.someResponder(overrides(s.answerOverride(tocsin.OverrideCancel))))
	s.runbookRoutes(api)
	s.remediationRoutes(api)
	api.GET("/incidents/:id/beside", s.viewerIn(needs(s.deps.Beside != nil, "what stands beside", s.getBeside)))
	api.GET("/incidents/:id/values", s.viewerIn(needs(s.deps.Values != nil, "values of Prometheus", s.getValues)))
	api.GET("/events", s.someViewer(needs(s.deps.Log != nil, "events", s.apiEvents)))
	s.accessRoutes(e, api)
	s.alertmanagerRoutes(e)
	s.statusRoutes(e)
	api.GET("/incidents/:id/postmortem", s.viewerIn(s.getPostmortem))
	api.GET("/incidents/:id/why", s.viewerIn(needs(s.deps.Why != nil, "traces", s.getWhy)))
	api.GET("/system", s.viewer(needs(s.deps.System != nil, "system", s.getSystem)))
	api.GET("/insights", s.someViewer(needs(s.deps.Insights != nil, "insights", s.getInsights)))
	s.storeRoutes(api)

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
	s.pageRoutes(e)
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

func (s *Server) openAPI(c echo.Context) error {
	return c.Blob(http.StatusOK, "application/yaml", openAPIDocument)
}
