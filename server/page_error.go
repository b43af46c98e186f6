package server

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"
)

// errorView is what a page says that cannot show what it was asked for.
type errorView struct {
	page
	Status, Message string
	// Hint is what it may come from, or what to do about it.
	Hint string
	// Back is the page of Tocsin that led here; empty: it is not known.
	Back string
	// Gone is true where something else may be meant, and Request is what the log
	// calls what went wrong here.
	Gone    bool
	Request string
}

// errorPage says it in a way that a person in a browser can read, with a way on.
func (s *Server) errorPage(c echo.Context, err error) error {
	r := refusalOf(err)
	s.logRefusal(c, r)
	if r.status == http.StatusServiceUnavailable {
		c.Response().Header().Set(echo.HeaderRetryAfter, retryAfter)
	}
	v := errorView{page: s.top(c, http.StatusText(r.status), 0), Status: http.StatusText(r.status), Message: clip(r.message), Hint: hint(r.status), Back: cameFrom(c.Request())}
	if r.field != "" {
		v.Message = clip(r.field) + ": " + v.Message
	}
	var he *echo.HTTPError
	if errors.As(err, &he) && he.Code == http.StatusNotFound {
		v.Message = "There is no page at this address."
	}
	v.Gone = r.status == http.StatusNotFound && v.May
	if r.status >= http.StatusInternalServerError {
		v.Request = c.Response().Header().Get(echo.HeaderXRequestID)
	}
	return s.page(c, r.status, "error", v)
}

// hint is what a status may come from, or what to do about it; "": the message says
// all there is.
func hint(status int) string {
	switch status {
	case http.StatusNotFound:
		return "It may be mistyped, over for so long that it was dropped, or not yours to look at."
	case http.StatusConflict, http.StatusPreconditionFailed:
		return "Nothing was changed. Look at it again: somebody else may have been quicker."
	case http.StatusServiceUnavailable:
		return "Try again in a moment."
	default:
		return ""
	}
}

// aPage reports whether a path is one of this server, also for a browser that takes
// two strokes for the beginning of a host.
func aPage(path string) bool {
	return strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") && !strings.Contains(path, `\`)
}

// cameFrom is the path of the page here that led to the request; "": none did.
func cameFrom(r *http.Request) string {
	u, err := url.Parse(r.Referer())
	if err != nil || u.Host == "" || u.Host != r.Host || !aPage(u.Path) || u.Path == r.URL.Path && r.Method == http.MethodGet {
		return ""
	}
	back := url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}
	return back.String()
}
