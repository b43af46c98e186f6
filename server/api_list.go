package server

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// cursorOf names an incident that a list ended with. What it says is the server's
// own business.
func cursorOf(i *tocsin.Incident) string { return fmt.Sprintf("%d-%s", i.OpenedAt.UnixNano(), i.ID) }

func parseCursor(text string) (at time.Time, id string, err error) {
	if text == "" {
		return at, "", nil
	}
	nanos, id, ok := strings.Cut(text, "-")
	n, bad := strconv.ParseInt(nanos, 10, 64)
	if !ok || bad != nil || id == "" {
		return at, "", invalid("after", "want the next of the list before")
	}
	return time.Unix(0, n), id, validName("after", id)
}

// matchersOf reads the filters of a list, as Alertmanager's API takes them: each is
// one matcher or several.
func matchersOf(c echo.Context) ([]*matcher, error) {
	var all []*matcher
	list := c.QueryParams()["filter"]
	if err := tocsin.CheckMatchers("filter", list...); err != nil {
		return nil, err
	}
	for _, text := range list {
		ms, err := parseQuestion(text)
		if err != nil {
			return nil, invalid("filter", "%v", err)
		}
		if all = append(all, ms...); len(all) > maxMatchers {
			return nil, invalid("filter", "more than %d matchers", maxMatchers)
		}
	}
	return all, nil
}

// list returns a page of incidents, and what the next one follows; "" at the end.
// A filter is looked for until the page is full or the time is up: a page may have
// less than it could.
func (s *Server) list(ctx context.Context, r tocsin.Reader, f tocsin.Filter, ms []*matcher) (found []*tocsin.Incident, next string, err error) {
	limit, end := f.Limit, time.Now().Add(searchTime)
	if len(ms) > 0 {
		f.Limit = maxList
	}
	for {
		page, err := r.List(ctx, f)
		if err != nil {
			return nil, "", err
		}
		for n, i := range page {
			sets, err := s.labelsOf(ctx, r, i, ms)
			if err != nil {
				return nil, "", err
			}
			if matchAny(ms, sets) {
				found = append(found, i)
			}
			last := n == len(page)-1 && len(page) < f.Limit
			if !last && (len(found) == limit || time.Now().After(end)) {
				return found, cursorOf(i), nil
			}
		}
		if len(page) < f.Limit {
			return found, "", nil
		}
		f.OpenedBefore, f.BeforeID = page[len(page)-1].OpenedAt, page[len(page)-1].ID
	}
}

// labelsOf returns the labels that matchers are held against; none where there are
// no matchers.
func (s *Server) labelsOf(ctx context.Context, r tocsin.Reader, i *tocsin.Incident, ms []*matcher) ([]tocsin.Labels, error) {
	if len(ms) == 0 {
		return nil, nil
	}
	return s.found.of(ctx, r, i)
}
