package server

import (
	"crypto/rand"
	"embed"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

//go:embed pages
var pageFiles embed.FS

//go:embed openapi.yaml
var openAPIDocument []byte

// pagePolicy lets a page load what this server serves, and nothing else; what is
// written into a page is never run, and no other page may hold it.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// pages are the built-in pages. Each works without script; the one script makes
// them quicker.
type pages struct {
	templates *template.Template
	assets    assets
}

func newPages() (*pages, error) {
	files, err := newAssets(pageFiles, "pages/assets")
	if err != nil {
		return nil, err
	}
	t := template.New("").Funcs(words()).Funcs(template.FuncMap{"asset": files.path})
	if t, err = t.ParseFS(pageFiles, "pages/*.html"); err != nil {
		return nil, err
	}
	return &pages{templates: t, assets: files}, nil
}

// page is what every page has.
type page struct {
	Title string
	Now   time.Time
	// Refresh is after how many seconds a browser without script asks again; 0: never.
	Refresh int
	// Nav leads to the other pages.
	Nav []navItem
	// Who looks at it, whether they may look, and whether they may act on what it
	// shows.
	Who      *tocsin.Principal
	May, Can bool
	// Session is true where they can log out.
	Session bool
	// Told is what was just done; empty: nothing.
	Told string
	// Nonce makes what a form of this page asks for happen once.
	Nonce string
	// Live names the incident whose changes the script follows, or "*" for all;
	// empty: it follows none. Seq is the last event that the page shows.
	Live string
	Seq  uint64
	// Poll is after how many milliseconds the script looks again; 0: it does not.
	Poll int
}

// navItem is a link of the header.
type navItem struct {
	Path, Text string
	Here       bool
}

// navigation is what the header offers: the pages whose parts are there, and that
// who asks may open.
func (s *Server) navigation(path string, who *tocsin.Principal) []navItem {
	all := []struct {
		item navItem
		have bool
	}{
		{navItem{Path: "/", Text: "Incidents"}, true},
		{navItem{Path: "/oncall", Text: "On call"}, s.deps.OnCall != nil},
		{navItem{Path: "/silences", Text: "Silences"}, who.MaySilenceSome(tocsin.RightView)},
		{navItem{Path: "/runbooks", Text: "Runbooks"}, true},
		{navItem{Path: "/remediations", Text: "Remediations"}, s.deps.Remedies != nil},
		{navItem{Path: "/insights", Text: "Insights"}, s.deps.Insights != nil},
		{navItem{Path: "/system", Text: "System"}, s.deps.System != nil && who.May(tocsin.RightView)},
	}
	var list []navItem
	for _, n := range all {
		if !n.have {
			continue
		}
		n.item.Here = n.item.Path == path || n.item.Path != "/" && strings.HasPrefix(path, n.item.Path+"/") ||
			n.item.Path == "/" && strings.HasPrefix(path, "/incidents/") || n.item.Path == "/runbooks" && path == "/runbooks-coverage"
		list = append(list, n.item)
	}
	return list
}

// top is what the page for a request has. Its Seq is read before what the page
// shows is: call it first where the page is Live.
func (s *Server) top(c echo.Context, title string, refresh int) page {
	who := whoOf(c)
	p := page{
		Title: title, Now: s.deps.Now(), Refresh: refresh, Session: len(c.Request().CookiesNamed(s.gate.Load().cookieName(cookieSession))) > 0,
		Who: who, May: who.MaySomewhere(tocsin.RightView), Can: who.MaySomewhere(tocsin.RightRespond), Told: told(c), Nonce: rand.Text(),
	}
	if p.May {
		p.Nav = s.navigation(c.Request().URL.Path, who)
	}
	if s.deps.Log != nil {
		p.Seq = s.deps.Log.LastSeq()
	}
	return p
}

// follow has the page show changes of an incident, or with "*" of all.
func (s *Server) follow(p page, what string) page {
	if s.deps.Log != nil {
		p.Live = what
	}
	return p
}

func (s *Server) page(c echo.Context, status int, name string, data any) error {
	body, err := s.pages.render(name, data)
	if err != nil {
		return err
	}
	pageHeaders(c)
	return c.HTMLBlob(status, body)
}

func pageHeaders(c echo.Context) {
	h := c.Response().Header()
	h.Set(echo.HeaderContentSecurityPolicy, pagePolicy)
	h.Set(echo.HeaderXContentTypeOptions, "nosniff")
	h.Set(echo.HeaderXFrameOptions, "DENY")
	h.Set(echo.HeaderReferrerPolicy, "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set(echo.HeaderCacheControl, "no-store")
}

// wantsPage reports whether a person is to read the answer.
func wantsPage(c echo.Context) bool {
	r := c.Request()
	return r.Method != http.MethodHead && !strings.HasPrefix(r.URL.Path, "/api/") && strings.Contains(r.Header.Get(echo.HeaderAccept), echo.MIMETextHTML)
}

// forPeople answers what goes wrong with a page.
func (s *Server) forPeople(h personal) personal {
	return func(c echo.Context, who *tocsin.Principal) error {
		if err := h(c, who); err != nil {
			return s.errorPage(c, err)
		}
		return nil
	}
}

// pageRoutes are the built-in pages and what their forms ask for. Each form's
// path is that of the API below /api/v1.
func (s *Server) pageRoutes(e *echo.Echo) {
	view := func(path string, h personal) { e.GET(path, s.viewer(s.forPeople(h))) }
	act := func(path string, h personal) { e.POST(path, s.responder(s.forPeople(h))) }
	someView := func(path string, h personal) { e.GET(path, s.someViewer(s.forPeople(h))) }
	someAct := func(path string, h personal) { e.POST(path, s.someResponder(s.forPeople(h))) }
	viewIn := func(path string, h personal) { e.GET(path, s.viewerIn(s.forPeople(h))) }
	actIn := func(path string, h personal) { e.POST(path, s.responderIn(s.forPeople(h))) }

	someView("/", s.indexPage)
	someAct("/incidents/acknowledge", s.acknowledgeMany)
	viewIn("/incidents/:id", s.incidentPage)
	for _, kind := range actionKinds() {
		actIn("/incidents/:id/"+string(kind), s.actForm(kind))
	}
	e.GET("/incidents/:id/beside", s.viewerIn(needs(s.deps.Beside != nil, "what stands beside", s.besidePage)))
	view("/system", needs(s.deps.System != nil, "system", s.systemPage))
	s.accessPages(e)
	someView("/insights", needs(s.deps.Insights != nil, "insights", s.insightsPage))
	viewIn("/incidents/:id/why", needs(s.deps.Why != nil, "traces", s.whyPage))
	e.GET("/incidents/:id/postmortem.md", s.viewerIn(s.postmortemFile))
	e.GET("/incidents/:id/graph.svg", s.viewerIn(needs(s.deps.Graph != nil, "graphs", s.getGraph)))
	e.GET("/oncall", s.someViewer(s.onCallPage))
	overrides := func(h personal) personal {
		return needs(s.deps.OnCall != nil && s.deps.Overrides != nil, "overrides", h)
	}
	someAct("/overrides", overrides(s.overrideMade))
	someAct("/overrides/:id/cancel", overrides(s.overrideAnswered(tocsin.OverrideCancel, doneCancel)))
	someAct("/overrides/:id/accept", overrides(s.overrideAnswered(tocsin.OverrideAccept, doneAccept)))
	someAct("/overrides/:id/decline", overrides(s.overrideAnswered(tocsin.OverrideDecline, doneDecline)))
	e.GET("/silences", s.silenceViewer(s.forPeople(s.silencesPage)))
	e.GET("/silences/preview", s.silenceViewer(s.forPeople(s.previewSilence)))
	e.POST("/silences", s.silenceResponder(s.forPeople(s.makeSilence)))
	e.POST("/silences/:id/expire", s.responderOfSilence(s.forPeople(s.expireSilenceForm)))
	e.POST("/silences/:id/extend", s.responderOfSilence(s.forPeople(s.extendSilence)))
	someView("/runbooks", s.runbooksPage)
	someView("/runbooks-coverage", s.runbookCoveragePage)
	someView("/runbooks/*", s.runbookPage)
	remedies := func(h personal) personal { return needs(s.deps.Remedies != nil, "remedies", h) }
	someView("/remediations", remedies(s.remediationsPage))
	e.GET("/remediations/:id", s.viewerOfRun(s.forPeople(remedies(s.remediationPage))))
	viewIn("/incidents/:id/remedies/:name", remedies(s.planPage))
	remediate := func(h personal) personal { return needs(s.deps.Remediator != nil, "remedies", h) }
	actIn("/incidents/:id/remediate", remediate(s.remediateForm))
	e.POST("/remediations/:id/approve", s.responderOfRun(s.forPeople(remediate(s.answerForm(true)))))
	e.POST("/remediations/:id/deny", s.responderOfRun(s.forPeople(remediate(s.answerForm(false)))))
	act("/remedies/stop", remediate(s.holdForm(true)))
	act("/remedies/resume", remediate(s.holdForm(false)))
	e.GET("/events", s.someViewer(needs(s.deps.Log != nil, "events", s.pageEvents)))
	e.GET("/assets/:name", s.asset)
}
