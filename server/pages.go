package server

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

//go:embed pages
var pageFiles embed.FS

//go:embed openapi.json
var openAPIDocument []byte

// pages are the built-in pages: what is open, one incident, and who is on call. They need no
// script and load nothing, and their policy lets them do neither.
type pages struct {
	templates *template.Template
	policy    string
}

func newPages() (*pages, error) {
	css, err := pageFiles.ReadFile("pages/style.css")
	if err != nil {
		return nil, err
	}
	t := template.New("").Funcs(template.FuncMap{"show": show, "when": when, "age": age, "href": href, "segment": segment, "tick": tick})
	if t, err = t.ParseFS(pageFiles, "pages/*.html"); err != nil {
		return nil, err
	}
	if t, err = t.New("style").Parse(string(css)); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(css)
	policy := fmt.Sprintf("default-src 'none'; img-src 'self'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		base64.StdEncoding.EncodeToString(sum[:]))
	return &pages{templates: t, policy: policy}, nil
}

// show makes text from outside safe to look at: control characters, and those
// that turn the direction of what follows, are written out. html/template
// escapes the rest.
func show(v any) string {
	var b strings.Builder
	for _, r := range fmt.Sprint(v) {
		switch {
		case r == '\n' || r == '\t':
			b.WriteRune(r)
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029':
			fmt.Fprintf(&b, "⟨U+%04X⟩", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// tick is the mark in front of a step.
func tick(s tocsin.StepStatus) string {
	switch s {
	case tocsin.StepDone:
		return "☑"
	case tocsin.StepSkipped:
		return "☒"
	case tocsin.StepStarted:
		return "◩"
	default:
		return "☐"
	}
}

func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

func age(since, now time.Time) string {
	d := now.Sub(since)
	switch {
	case d < time.Minute:
		return "less than 1m"
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh %dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd", int(d.Hours())/24)
	}
}

// href returns the URL if it leads to the web, else "".
func href(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	return text
}

// page is what every page has.
type page struct {
	Title string
	Now   time.Time
	// Refresh is after how many seconds the browser asks again; 0: never.
	Refresh int
	// OnCall is true where there is a page of the schedules.
	OnCall bool
	// Who looks at it.
	Who *tocsin.Principal
}

func (s *Server) top(c echo.Context, title string, refresh int) page {
	return page{Title: title, Now: s.deps.Now(), Refresh: refresh, OnCall: s.deps.OnCall != nil, Who: whoOf(c)}
}

func (s *Server) page(c echo.Context, status int, name string, data any) error {
	var b bytes.Buffer
	if err := s.pages.templates.ExecuteTemplate(&b, name, data); err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set(echo.HeaderContentSecurityPolicy, s.pages.policy)
	h.Set(echo.HeaderXContentTypeOptions, "nosniff")
	h.Set(echo.HeaderXFrameOptions, "DENY")
	h.Set(echo.HeaderReferrerPolicy, "no-referrer")
	h.Set(echo.HeaderCacheControl, "no-store")
	return c.HTMLBlob(status, b.Bytes())
}

func (s *Server) indexPage(c echo.Context, _ *tocsin.Principal) error {
	const most = 200
	list, err := s.deps.Reader.List(c.Request().Context(), tocsin.Filter{
		States: []tocsin.State{tocsin.Triggered, tocsin.Acknowledged}, Limit: most,
	})
	if err != nil {
		return s.errorPage(c, err)
	}
	return s.page(c, http.StatusOK, "index", struct {
		page
		Incidents []*tocsin.Incident
		More      bool
	}{s.top(c, "Open incidents", 15), list, len(list) == most})
}

func (s *Server) incidentPage(c echo.Context, _ *tocsin.Principal) error {
	d, err := s.detail(c, param(c, "id"), window{alerts: listDefault, events: eventDefault})
	if err != nil {
		return s.errorPage(c, err)
	}
	return s.page(c, http.StatusOK, "incident", struct {
		page
		detail
		MoreAlerts, HasBeside bool
	}{s.top(c, d.Incident.Title, 30), d, int(d.Incident.Alerts) > len(d.Alerts), s.deps.Beside != nil})
}

// errorPage says it in a way that a person in a browser can read.
func (s *Server) errorPage(c echo.Context, err error) error {
	r := refusalOf(err)
	s.logRefusal(c, r)
	return s.page(c, r.status, "error", struct {
		page
		Status, Message string
	}{s.top(c, http.StatusText(r.status), 0), http.StatusText(r.status), clip(r.message)})
}
