package server

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"slices"
	"time"

	"github.com/labstack/echo/v4"
)

// paged returns the part of a list that limit and after ask for, and the after of
// the next part; "" at the end. key says where an item stands: no two have the
// same, and the list is in their order, so that what comes and goes between two
// answers neither hides nor repeats anything else.
func paged[T any](c echo.Context, list []T, key func(*T) string) (part []T, next string, err error) {
	limit, err := number(c, "limit", maxList, maxList)
	if err != nil {
		return nil, "", err
	}
	after, err := base64.RawURLEncoding.DecodeString(c.QueryParam("after"))
	if err != nil {
		return nil, "", invalid("after", "want the next of the list before")
	}
	part = slices.DeleteFunc(slices.Clone(list), func(v T) bool { return len(after) > 0 && key(&v) <= string(after) })
	slices.SortFunc(part, func(a, b T) int { return cmp.Compare(key(&a), key(&b)) })
	if len(part) > limit {
		part = part[:limit]
		next = base64.RawURLEncoding.EncodeToString([]byte(key(&part[limit-1])))
	}
	return orEmpty(part), next, nil
}

// byName is where something with a name stands in a list by names.
func byName(name string, made time.Time, id string) string {
	return fmt.Sprintf("%s\x00%020d\x00%s", name, made.UnixNano(), id)
}

// listed answers with a part of a list under its name.
func (s *Server) listed(c echo.Context, name string, part any, next string) error {
	answer := map[string]any{name: part}
	if next != "" {
		answer["next"] = next
	}
	return s.json(c, answer)
}
