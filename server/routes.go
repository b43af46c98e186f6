package server

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// Paths that more than the route table needs.
const (
	pathIntake  = "/webhook/alertmanager"
	pathHealthy = "/-/healthy"
	pathReady   = "/-/ready"
	pathMetrics = "/metrics"
	pathRunbook = "/api/v1/runbooks/"
)

// routes is every route on one screen. openapi.json describes them.
func (s *Server) routes() *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = echo.ExtractIPDirect()
	e.HTTPErrorHandler = s.handleError
	e.Use(s.observe)

	e.POST(pathIntake, s.intake)

	api := e.Group("/api/v1")
	api.GET("/openapi.json", s.openAPI)
	api.GET("/incidents", s.person(s.listIncidents))
	api.GET("/incidents/:id", s.person(s.getIncident))
	api.POST("/incidents/:id/acknowledge", s.person(s.act(s.deps.Actions.Acknowledge)))
	api.POST("/incidents/:id/resolve", s.person(s.act(s.deps.Actions.Resolve)))
	api.GET("/silences", s.person(s.listSilences))
	api.POST("/silences", s.person(s.putSilence))
	api.DELETE("/silences/:id", s.person(s.expireSilence))
	api.GET("/runbooks", s.person(s.listRunbooks))
	api.GET("/runbooks/*", s.person(s.getRunbook))
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
