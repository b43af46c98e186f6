package server

import (
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// pathRunbookPage is where the pages of runbooks are; IDs hold slashes.
const pathRunbookPage = "/runbooks/"

// runbooksPage lists the runbooks by file.
func (s *Server) runbooksPage(c echo.Context, _ *tocsin.Principal) error {
	list := slices.Clone(s.deps.Runbooks.List())
	slices.SortFunc(list, func(a, b *tocsin.Runbook) int { return strings.Compare(a.ID, b.ID) })
	var files []runbookFile
	for _, r := range list {
		if n := len(files); n == 0 || files[n-1].File != r.File {
			files = append(files, runbookFile{File: r.File})
		}
		last := &files[len(files)-1]
		last.Runbooks = append(last.Runbooks, r)
	}
	return s.page(c, http.StatusOK, "runbooks", struct {
		page
		Files []runbookFile
		Total int
	}{s.top(c, "Runbooks", 0), files, len(list)})
}

// runbookFile is a file and the runbooks in it.
type runbookFile struct {
	File     string
	Runbooks []*tocsin.Runbook
}

// runbookPage shows a runbook as it is written.
func (s *Server) runbookPage(c echo.Context, _ *tocsin.Principal) error {
	id := strings.TrimPrefix(c.Request().URL.Path, pathRunbookPage)
	var r *tocsin.Runbook
	if id != "" {
		r = s.deps.Runbooks.Get(id)
	}
	if r == nil {
		return notFound("runbook " + clip(id))
	}
	return s.page(c, http.StatusOK, "runbook", struct {
		page
		Runbook *tocsin.Runbook
	}{s.top(c, short(rowTitle, r.Title), 0), r})
}

// runbookPath is where the page of a runbook is.
func runbookPath(id string) string {
	parts := strings.Split(id, "/")
	for i := range parts {
		parts[i] = segment(parts[i])
	}
	return pathRunbookPage + strings.Join(parts, "/")
}
