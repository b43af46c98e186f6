package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// refusal is every answer that is not a success. Its message goes to the
// caller, its cause to the log alone.
type refusal struct {
	status  int
	code    string
	message string
	field   string
	cause   error
}

func (r *refusal) Error() string {
	if r.field != "" {
		return r.field + ": " + r.message
	}
	return r.message
}

func (r *refusal) Unwrap() error { return r.cause }

// The codes of the API's errors. They are part of the contract: added, never
// renamed.
const (
	codeInvalid     = "invalid"
	codeTooLarge    = "too_large"
	codeTimeout     = "timeout"
	codeMediaType   = "unsupported_media_type"
	codeUnknownUser = "unauthorized"
	codeForbidden   = "forbidden"
	codeNotFound    = "not_found"
	codeMethod      = "method_not_allowed"
	codeConflict    = "conflict"
	codeChanged     = "changed"
	codeUnavailable = "unavailable"
	codeInternal    = "internal"
)

// maxMessage bounds what is repeated of a request in an answer and in the log.
const maxMessage = 512

func refuse(status int, code, field, format string, args ...any) *refusal {
	return &refusal{status: status, code: code, field: field, message: fmt.Sprintf(format, args...)}
}

func invalid(field, format string, args ...any) *refusal {
	return refuse(http.StatusBadRequest, codeInvalid, field, format, args...)
}

func tooLarge(field, format string, args ...any) *refusal {
	return refuse(http.StatusRequestEntityTooLarge, codeTooLarge, field, format, args...)
}

func notFound(what string) *refusal {
	return refuse(http.StatusNotFound, codeNotFound, "", "%s: not found", what)
}

// missing names what was not found, where err says only that something was not.
func missing(err error, what, id string) error {
	if errors.Is(err, tocsin.ErrNotFound) {
		return notFound(fmt.Sprintf("%s %q", what, clip(id)))
	}
	return err
}

func unavailable(cause error, format string, args ...any) *refusal {
	r := refuse(http.StatusServiceUnavailable, codeUnavailable, "", format, args...)
	r.cause = cause
	return r
}

// refusalOf maps an error of the parts behind the server, or of echo, to the
// answer that it deserves.
func refusalOf(err error) *refusal {
	var r *refusal
	var he *echo.HTTPError
	switch {
	case errors.As(err, &r):
		return r
	case errors.Is(err, tocsin.ErrInvalid):
		field, message := splitField(err.Error())
		r = invalid(field, "%s", message)
	case errors.Is(err, tocsin.ErrNotFound):
		r = refuse(http.StatusNotFound, codeNotFound, "", "%s", err)
	case errors.Is(err, tocsin.ErrConflict):
		r = refuse(http.StatusConflict, codeConflict, "", "%s", strings.TrimPrefix(err.Error(), tocsin.ErrConflict.Error()+": "))
	case errors.Is(err, tocsin.ErrUnavailable):
		r = unavailable(err, "%s", err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, os.ErrDeadlineExceeded):
		r = unavailable(err, "it took too long; try again")
	case errors.As(err, &he):
		r = ofEcho(he)
	default:
		r = refuse(http.StatusInternalServerError, codeInternal, "", "something went wrong; the log says what, under this request's X-Request-Id")
	}
	r.cause = err
	return r
}

func ofEcho(he *echo.HTTPError) *refusal {
	code := codeInternal
	switch {
	case he.Code == http.StatusNotFound:
		return refuse(he.Code, codeNotFound, "", "there is nothing here; GET /api/v1/openapi.yaml lists what there is")
	case he.Code == http.StatusMethodNotAllowed:
		return refuse(he.Code, codeMethod, "", "this path does not take that method; the Allow header lists those it does")
	case he.Code < http.StatusInternalServerError:
		code = codeInvalid
	}
	return refuse(he.Code, code, "", "%v", he.Message)
}

// splitField takes apart what tocsin.Invalid wrote.
func splitField(text string) (field, message string) {
	field, message, ok := strings.Cut(text, ": ")
	if !ok || strings.ContainsAny(field, " \n") {
		return "", text
	}
	return field, message
}

// clip makes text that may repeat parts of a request fit to be shown: short,
// on one line, and without control or direction-changing characters.
func clip(text string) string {
	if len(text) > maxMessage {
		cut := maxMessage
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut] + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return '\uFFFD'
		}
		return r
	}, text)
}

// problem is the body of every refusal: problem details as of RFC 9457.
type problem struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail"`
	Instance string `json:"instance,omitempty"`
	Code     string `json:"code"`
	Field    string `json:"field,omitempty"`
}

// retryAfter is what a client is told to wait, in seconds. Alertmanager has its
// own back-off and ignores it.
const retryAfter = "2"

// handleError answers with what err deserves, and logs what is worth it.
func (s *Server) handleError(err error, c echo.Context) {
	if !c.Response().Committed && wantsPage(c) && s.errorPage(c, err) == nil {
		return
	}
	r := refusalOf(err)
	s.logRefusal(c, r)
	if c.Response().Committed {
		return
	}
	if strings.HasPrefix(c.Request().URL.Path, pathAlertmanager) {
		_ = amRefuse(c, r, false) // the client has gone: nobody to tell
		return
	}
	h := c.Response().Header()
	if r.status == http.StatusServiceUnavailable {
		h.Set(echo.HeaderRetryAfter, retryAfter)
	}
	h.Set(echo.HeaderContentType, "application/problem+json")
	h.Set(echo.HeaderXContentTypeOptions, "nosniff")
	c.Response().WriteHeader(r.status)
	if c.Request().Method == http.MethodHead {
		return
	}
	body := problem{
		Type: "about:blank", Title: http.StatusText(r.status), Status: r.status, Detail: clip(r.message),
		Instance: h.Get(echo.HeaderXRequestID), Code: r.code, Field: clip(r.field),
	}
	_ = json.NewEncoder(c.Response()).Encode(body) // the client has gone: nobody to tell
}
