package server

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// Headers of RFC 9110, section 13.1. If-Match makes a change only where nobody
// else has made one since what it changes was read; If-None-Match asks for an
// answer only where it is another one than before.
const (
	headerETag        = "ETag"
	headerIfMatch     = "If-Match"
	headerIfNoneMatch = "If-None-Match"
)

// etagOf is the tag of a resource: of the same content it is the same.
func etagOf(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`, nil
}

// tagged answers with v under its tag, or with nothing where the asker has it.
func (s *Server) tagged(c echo.Context, tag string, v any) error {
	c.Response().Header().Set(headerETag, tag)
	if match(c.Request().Header.Get(headerIfNoneMatch), tag) {
		return c.NoContent(http.StatusNotModified)
	}
	return s.json(c, v)
}

// unchanged returns a check of If-Match; nil where the request has none.
func unchanged(c echo.Context) func(tag string) error {
	want := c.Request().Header.Get(headerIfMatch)
	if want == "" {
		return nil
	}
	return func(tag string) error {
		if match(want, tag) {
			return nil
		}
		return refuse(http.StatusPreconditionFailed, codeChanged, headerIfMatch, "somebody has changed it since; read it again, and then decide")
	}
}

// asRead returns a context under which a T is changed only where If-Match holds of it.
func asRead[T any](ctx context.Context, c echo.Context) context.Context {
	hold := unchanged(c)
	if hold == nil {
		return ctx
	}
	return tocsin.OnlyIf(ctx, func(was *T) error {
		tag, err := etagOf(was)
		if err != nil {
			return err
		}
		return hold(tag)
	})
}

// match reports whether a list of tags has this one. A weak tag counts as the
// strong one: what is compared is whole or not there.
func match(list, tag string) bool {
	for t := range strings.SplitSeq(list, ",") {
		if t = strings.TrimPrefix(strings.TrimSpace(t), "W/"); t == tag || t == "*" {
			return true
		}
	}
	return false
}

// incidentTag is the tag of an incident: it changes with whatever is worth showing,
// and not with every delivery.
func incidentTag(inc *tocsin.Incident) string { return fmt.Sprintf(`"%s-%d"`, inc.ID, inc.Revision) }
