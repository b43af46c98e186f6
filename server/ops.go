package server

import (
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// healthy says that the process lives. It depends on nothing else: a restart
// mends nothing that is outside.
func (s *Server) healthy(c echo.Context) error {
	return c.String(http.StatusOK, "Tocsin is healthy.\n")
}

// ready says whether an alert would be taken now, with one line for each reason
// why not.
func (s *Server) ready(c echo.Context) error {
	var reasons []string
	if s.stopping.Load() {
		reasons = append(reasons, "shutting down")
	}
	if err := s.deps.Health.Ready(); err != nil {
		for line := range strings.Lines(err.Error()) {
			reasons = append(reasons, clip(strings.TrimRight(line, "\r\n")))
		}
	}
	if len(reasons) == 0 {
		return c.String(http.StatusOK, "Tocsin is ready.\n")
	}
	return c.String(http.StatusServiceUnavailable, strings.Join(reasons, "\n")+"\n")
}

// reload answers in plain text, as Prometheus does: people run it with curl.
func (s *Server) reload(c echo.Context, who *tocsin.Principal) error {
	if s.deps.Reload == nil {
		return notFound("reload")
	}
	if !s.reloading.TryLock() {
		return unavailable(nil, "a reload is under way; try again")
	}
	defer s.reloading.Unlock()
	if err := s.deps.Reload(c.Request().Context(), who.Name); err != nil {
		s.deps.Logger.Error("reload failed; the old configuration stays", "error", err, "by", who.Name)
		return c.String(http.StatusInternalServerError, "the old configuration stays:\n"+err.Error()+"\n")
	}
	s.deps.Logger.Info("configuration reloaded", "by", who.Name)
	return c.String(http.StatusOK, "ok\n")
}

// backup streams a hot backup. A failure in the middle cuts the connection, so
// that half a backup is never taken for a whole one.
func (s *Server) backup(c echo.Context, who *tocsin.Principal) error {
	if s.deps.Backup == nil {
		return notFound("backup")
	}
	if !s.backingUp.TryLock() {
		return unavailable(nil, "a backup is under way; try again")
	}
	defer s.backingUp.Unlock()
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, echo.MIMEOctetStream)
	h.Set(echo.HeaderContentDisposition, `attachment; filename="tocsin-`+s.deps.Now().UTC().Format("20060102T150405Z")+`.backup"`)
	_, err := s.deps.Backup(c.Request().Context(), who.Name, &patientWriter{w: c.Response(), rc: http.NewResponseController(c.Response()), wait: s.config.Timeouts.Write})
	if err == nil {
		return nil
	}
	if c.Response().Committed {
		s.deps.Logger.Error("backup failed half-way", "error", err)
		panic(http.ErrAbortHandler)
	}
	h.Del(echo.HeaderContentDisposition)
	return err
}

// patientWriter gives each write its own time instead of one for all.
type patientWriter struct {
	w    io.Writer
	rc   *http.ResponseController
	wait time.Duration
}

func (p *patientWriter) Write(b []byte) (int, error) {
	_ = p.rc.SetWriteDeadline(time.Now().Add(p.wait)) // not every ResponseWriter can: then there is none to extend
	return p.w.Write(b)
}

// statsView is tocsin.Stats as the API shows it.
type statsView struct {
	Live      int        `json:"live"`
	Open      int        `json:"open"`
	Alerts    int        `json:"alerts"`
	Firing    int        `json:"firing"`
	Lagging   int        `json:"lagging"`
	OldestLag *time.Time `json:"oldestLag,omitempty"`
	Queue     int        `json:"queue"`
	Size      int64      `json:"size"`
	Error     string     `json:"error,omitempty"`
}

func viewStats(t tocsin.Stats) statsView {
	v := statsView{
		Live: t.Live, Open: t.Open, Alerts: t.Alerts, Firing: t.Firing,
		Lagging: t.Lagging, Queue: t.Queue, Size: t.Size,
	}
	if !t.OldestLag.IsZero() {
		v.OldestLag = &t.OldestLag
	}
	if t.Err != nil {
		v.Error = t.Err.Error()
	}
	return v
}

func (s *Server) stats(c echo.Context, _ *tocsin.Principal) error {
	if s.deps.Stats == nil {
		return notFound("stats")
	}
	return s.json(c, viewStats(s.deps.Stats()))
}
