package server

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/labstack/echo/v4"
	"github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/alertmanager/pkg/labels"

	tocsin "github.com/tocsin-oncall/tocsin"
)

type amMatcher struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	IsRegex bool   `json:"isRegex"`
	// IsEqual is true where it is not said.
	IsEqual *bool `json:"isEqual,omitempty"`
}

type amSilenceBody struct {
	ID        string      `json:"id,omitempty"`
	Matchers  []amMatcher `json:"matchers"`
	StartsAt  time.Time   `json:"startsAt"`
	EndsAt    time.Time   `json:"endsAt"`
	CreatedBy string      `json:"createdBy"`
	Comment   string      `json:"comment"`
	// Annotations are not kept.
	Annotations tocsin.Labels `json:"annotations"`
}

type amSilenceView struct {
	amSilenceBody
	Status struct {
		State string `json:"state"`
	} `json:"status"`
	UpdatedAt time.Time `json:"updatedAt"`
}

// amOf is a silence in Alertmanager's form. One that was made before it was kept
// when it changed last is said to have changed when it began, or ended.
func amOf(s tocsin.Silence, now time.Time) amSilenceView {
	v := amSilenceView{amSilenceBody: amSilenceBody{
		ID: s.ID, Matchers: []amMatcher{}, StartsAt: s.StartsAt.UTC(), EndsAt: s.EndsAt.UTC(), CreatedBy: s.CreatedBy, Comment: s.Comment,
		Annotations: tocsin.Labels{},
	}, UpdatedAt: s.StartsAt.UTC()}
	for _, text := range s.Matchers {
		if m, err := parse.Matcher(text); err == nil { // they were read before they were kept
			v.Matchers = append(v.Matchers, amMatcherOf(m))
		}
	}
	v.Status.State = viewSilence(s, now).State
	switch {
	case !s.UpdatedAt.IsZero():
		v.UpdatedAt = s.UpdatedAt.UTC()
	case v.Status.State == "expired":
		v.UpdatedAt = v.EndsAt
	}
	return v
}

func amMatcherOf(m *matcher) amMatcher {
	equal := m.Type == labels.MatchEqual || m.Type == labels.MatchRegexp
	return amMatcher{
		Name: m.Name, Value: m.Value, IsEqual: &equal, IsRegex: m.Type == labels.MatchRegexp || m.Type == labels.MatchNotRegexp,
	}
}

// text is the matcher in Alertmanager's syntax.
func (m *amMatcher) text() (string, error) {
	if m.Name == "" {
		return "", invalid("matchers", "a matcher without a name")
	}
	kind := labels.MatchEqual
	switch equal := m.IsEqual == nil || *m.IsEqual; {
	case equal && m.IsRegex:
		kind = labels.MatchRegexp
	case !equal && m.IsRegex:
		kind = labels.MatchNotRegexp
	case !equal:
		kind = labels.MatchNotEqual
	}
	if err := tocsin.CheckMatchers("matchers", strconv.Quote(m.Value)); err != nil {
		return "", err
	}
	out, err := labels.NewMatcher(kind, m.Name, m.Value)
	if err != nil {
		return "", invalid("matchers", "%s: %v", clip(m.Name), err)
	}
	return out.String(), nil
}

// amSilences lists silences, the active ones first.
func (s *Server) amSilences(c echo.Context, who *tocsin.Principal) error {
	filter, err := amMatchers(c, "filter")
	if err != nil {
		return err
	}
	states := []string{"active", "pending", "expired"}
	want := map[string]bool{}
	for _, state := range states {
		if want[state], err = amWanted(c, state); err != nil {
			return err
		}
	}
	list, err := s.silencesFor(c.Request().Context(), who)
	if err != nil {
		return err
	}
	now, out := s.deps.Now(), []amSilenceView{}
	for i := range list {
		if v := amOf(list[i], now); want[v.Status.State] && v.has(filter) {
			out = append(out, v)
		}
	}
	slices.SortStableFunc(out, func(a, b amSilenceView) int {
		byState := cmp.Compare(slices.Index(states, a.Status.State), slices.Index(states, b.Status.State))
		soonest := a.EndsAt.Compare(b.EndsAt)
		switch a.Status.State {
		case "pending":
			soonest = a.StartsAt.Compare(b.StartsAt)
		case "expired":
			soonest = -soonest
		}
		return cmp.Or(byState, soonest, strings.Compare(a.ID, b.ID))
	})
	return s.json(c, out)
}

// has reports whether the silence has all of the matchers, as they are.
func (v *amSilenceView) has(filter []*matcher) bool {
	for _, m := range filter {
		is := amMatcherOf(m)
		if !slices.ContainsFunc(v.Matchers, func(o amMatcher) bool {
			return o.Name == is.Name && o.Value == is.Value && o.IsRegex == is.IsRegex && *o.IsEqual == *is.IsEqual
		}) {
			return false
		}
	}
	return true
}

func (s *Server) amSilence(c echo.Context, _ *tocsin.Principal) error {
	found, err := s.silence(c, param(c, "id"))
	if err != nil {
		return err
	}
	return s.json(c, amOf(found, s.deps.Now()))
}

// amPutSilence makes a silence, or changes one. One that has expired is left as it
// is, and a new one made: what held, and when, stays on record.
func (s *Server) amPutSilence(c echo.Context, who *tocsin.Principal) error {
	body, err := s.body(c)
	if err != nil {
		return err
	}
	var in amSilenceBody
	if err := jsonv2.Unmarshal(body, &in); err != nil { // what Alertmanager does not know, it ignores
		return bindRefusal(err)
	}
	if len(in.Annotations) > 0 {
		return invalid("annotations", "silences have no annotations here; leave them out, or write them into the comment")
	}
	if len(in.Matchers) > maxMatchers {
		return invalid("matchers", "more than %d", maxMatchers)
	}
	out := tocsin.Silence{ID: in.ID, StartsAt: in.StartsAt, EndsAt: in.EndsAt, CreatedBy: in.CreatedBy, Comment: onBehalf(in.Comment, in.CreatedBy, who.Name)}
	for i := range in.Matchers {
		text, err := in.Matchers[i].text()
		if err != nil {
			return err
		}
		out.Matchers = append(out.Matchers, text)
	}
	if out.ID != "" {
		known, err := s.silence(c, out.ID)
		if err != nil {
			return err
		}
		if !known.EndsAt.After(s.deps.Now()) {
			out.ID = ""
		}
	}
	kept, err := s.keepSilence(c, who, out)
	if err != nil {
		return err
	}
	return s.json(c, map[string]string{"silenceID": kept.ID})
}

// onBehalf has a silence's comment tell whose it is where that is another than the
// token's owner, such as one of many who look at the same karma.
func onBehalf(comment, author, owner string) string {
	if comment == "" || author == "" || owner == "" || author == owner || validName("createdBy", author) != nil {
		return comment
	}
	said := " [asked for by " + author + "]"
	return strings.TrimSuffix(comment, said) + said
}

func (s *Server) amExpireSilence(c echo.Context, who *tocsin.Principal) error {
	if err := s.endSilence(c, who); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}
