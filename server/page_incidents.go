package server

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

const (
	// listRows is the most incidents on one page.
	listRows = 100
	// listOpen is the most open incidents that are looked through, and listEnded the
	// most of those that are read from the archive.
	listOpen  = 20_000
	listEnded = 1000
	// rowTitle and rowNames bound what a row shows, so that a page stays small.
	rowTitle = 160
	rowNames = 3
)

// What the list may show, as its address says it.
const (
	showOpen     = "open"
	showResolved = "resolved"
	showAll      = "all"
)

// listQuery are the parameters of the list's address, less the page.
func listQuery() []string { return []string{"q", "state", "severity", "team", "mine", "sort"} }

// listFilter is what the list is to show.
type listFilter struct {
	Q        string
	State    string
	Severity string
	Team     string
	Mine     bool
	Sort     string
	Page     int
	// Wrong says what is wrong with Q; empty: nothing.
	Wrong    string
	matchers []*matcher
}

func readFilter(c echo.Context) listFilter {
	f := listFilter{
		Q: c.QueryParam("q"), State: cmp.Or(c.QueryParam("state"), showOpen), Severity: c.QueryParam("severity"), Team: c.QueryParam("team"),
		Mine: c.QueryParam("mine") != "", Sort: c.QueryParam("sort"), Page: pageNumber(c),
	}
	var err error
	if f.matchers, err = parseQuestion(f.Q); err != nil {
		f.Wrong = clip(err.Error() + `; write it like severity="critical", or several with commas`)
	}
	return f
}

// Query is the list's address without the page.
func (f *listFilter) Query() string {
	v := url.Values{}
	for _, p := range [][2]string{{"q", f.Q}, {"severity", f.Severity}, {"team", f.Team}, {"sort", f.Sort}} {
		if p[1] != "" {
			v.Set(p[0], p[1])
		}
	}
	if f.State != showOpen {
		v.Set("state", f.State)
	}
	if f.Mine {
		v.Set("mine", "yes")
	}
	return v.Encode()
}

// Filtered reports whether anything is left out on purpose.
func (f *listFilter) Filtered() bool { return f.Query() != "" }

// states are those to ask the store for.
func (f *listFilter) states() []tocsin.State {
	switch f.State {
	case string(tocsin.Triggered), string(tocsin.Acknowledged), string(tocsin.Resolved):
		return []tocsin.State{tocsin.State(f.State)}
	case showAll:
		return nil
	default:
		return []tocsin.State{tocsin.Triggered, tocsin.Acknowledged}
	}
}

// fits reports whether the list shows the incident, as far as that can be seen of
// the incident alone.
func (f *listFilter) fits(i *tocsin.Incident, me string) bool {
	if f.Severity != "" && i.Severity.Rank() < tocsin.Severity(f.Severity).Rank() {
		return false
	}
	return !f.Mine || mine(i, me)
}

// mine reports whether the incident is somebody's: they own it, or were called.
func mine(i *tocsin.Incident, me string) bool {
	if me == "" {
		return false
	}
	return i.AcknowledgedBy == me || i.Escalation != nil && i.Escalation.Responder(me) != nil
}

// sortIncidents puts the list into the order that it is to have.
func (f *listFilter) sortIncidents(list []*tocsin.Incident) {
	switch f.Sort {
	case "severity":
		slices.SortStableFunc(list, func(a, b *tocsin.Incident) int { return cmp.Compare(b.Severity.Rank(), a.Severity.Rank()) })
	case "oldest":
		slices.Reverse(list)
	}
}

// listView is what the page of the incidents shows.
type listView struct {
	page
	Filter    listFilter
	Teams     []string
	Incidents []*tocsin.Incident
	// Total counts what fits; Waiting those of them that nobody has acknowledged.
	// Searched is set where not all could be looked through.
	Total, Waiting, Searched int
	First, Last              int
	Prev, Next               string
}

// Say is the list in a sentence, for those who hear it.
func (v *listView) Say() string {
	if v.Total == 0 {
		return "Nothing is on fire."
	}
	return plural(v.Total, "incident") + ", " + strconv.Itoa(v.Waiting) + " not acknowledged"
}

// Takes reports whether any incident of the page can be acknowledged.
func (v *listView) Takes() bool { return slices.ContainsFunc(v.Incidents, takes) }

// takes reports whether an incident can be acknowledged with others.
func takes(i *tocsin.Incident) bool { return i.State == tocsin.Triggered }

// indexPage lists the incidents. With ?part=list it is the list alone, which the
// script puts in the place of the old one.
func (s *Server) indexPage(c echo.Context, who *tocsin.Principal) error {
	f := readFilter(c)
	if c.QueryParam("part") != "" {
		return s.listPart(c, f, who)
	}
	v := listView{page: s.follow(s.top(c, "Incidents", 15), "*"), Filter: f, Teams: s.teamsFor(who)}
	if err := s.fillList(c.Request().Context(), &v, who); err != nil {
		return err
	}
	status := http.StatusOK
	if f.Wrong != "" {
		status = http.StatusBadRequest
	}
	return s.page(c, status, "index", &v)
}

// fillList finds what the list shows.
func (s *Server) fillList(ctx context.Context, v *listView, who *tocsin.Principal) error {
	f := &v.Filter
	if f.Wrong != "" {
		return nil
	}
	ask := tocsin.Filter{States: f.states(), Limit: listOpen}
	if f.State == showResolved || f.State == showAll {
		ask.Archived, ask.Limit = true, listEnded
	}
	var err error
	if f.Team != "" {
		if ask.Only, err = s.ofTeam(who, f.Team); err != nil {
			return err
		}
	}
	r := who.Reader(s.deps.Reader)
	list, err := r.List(ctx, ask)
	if err != nil {
		return err
	}
	fit := make([]*tocsin.Incident, 0, len(list))
	for _, i := range list {
		if f.fits(i, who.Name) {
			fit = append(fit, i)
		}
	}
	if len(f.matchers) > 0 {
		if fit, v.Searched, err = s.search(ctx, r, fit, f.matchers); err != nil {
			return err
		}
	}
	f.sortIncidents(fit)
	v.cut(fit)
	return nil
}

// cut takes the page out of all that fits.
func (v *listView) cut(fit []*tocsin.Incident) {
	v.Total = len(fit)
	for _, i := range fit {
		if i.State == tocsin.Triggered && !i.Quiet() {
			v.Waiting++
		}
	}
	pages := max(1, (len(fit)+listRows-1)/listRows)
	at := min(v.Filter.Page, pages)
	from, to := (at-1)*listRows, min(at*listRows, len(fit))
	v.Incidents, v.First, v.Last = fit[from:to], from+1, to
	link := func(n int) string {
		q := v.Filter.Query()
		if q != "" {
			q += "&"
		}
		return "/?" + q + "page=" + strconv.Itoa(n)
	}
	if at > 1 {
		v.Prev = link(at - 1)
	}
	if at < pages {
		v.Next = link(at + 1)
	}
}

// listPart answers with the list alone. Those who look on at the same list at the
// same time share one answer: nothing has happened in between.
func (s *Server) listPart(c echo.Context, f listFilter, who *tocsin.Principal) error {
	seq, known := uint64(0), false
	if s.live != nil {
		seq, known = s.live.told()
	}
	key := f.Query() + "&page=" + strconv.Itoa(f.Page)
	if f.Mine {
		key += "&me=" + url.QueryEscape(who.Name)
	}
	if !who.MaySomewhere(tocsin.RightRespond) {
		key += "&look"
	}
	if !who.May(tocsin.RightView) { // they see what nobody else does
		key += fmt.Sprintf("&as=%q %q", who.Name, who.Receivers)
	}
	body, err := s.parts.get(key, seq, known, func() ([]byte, error) {
		v := listView{page: s.top(c, "Incidents", 0), Filter: f}
		if err := s.fillList(c.Request().Context(), &v, who); err != nil {
			return nil, err
		}
		return s.pages.render("list", &v)
	})
	if err != nil {
		return err
	}
	pageHeaders(c)
	return c.HTMLBlob(http.StatusOK, body)
}
