package server

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	jsonv1 "github.com/go-json-experiment/json/v1"
	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// StatusPage is what anybody may see, without a log-in, of how things stand. It
// shows its own texts and nothing else: no names, labels or titles of incidents.
// It is immutable.
type StatusPage struct {
	Title      string
	Components []StatusComponent
}

// StatusComponent is a part of what others use.
type StatusComponent struct {
	Name string
	// Description says what it is; empty: nothing does.
	Description string
	// Matchers of the alerts that tell of it, in Alertmanager's syntax, all of which
	// must match.
	Matchers []string
	// Degraded and Down are the severities from which on it is; empty: Warning and
	// Critical.
	Degraded, Down tocsin.Severity
}

// Condition is how a component stands.
type Condition string

// The conditions, the best first.
const (
	Operational Condition = "operational"
	Degraded    Condition = "degraded"
	Down        Condition = "down"
)

var conditions = []Condition{Operational, Degraded, Down}

const (
	pathStatus     = "/status"
	pathStatusJSON = "/status.json"
	// statusAge is how old what is shown may be.
	statusAge = 15 * time.Second
	// statusRefresh is after how many seconds a browser shows the page anew, by itself
	// and without a script, unless it is told not to.
	statusRefresh = "60"
	// statusTime is how long the reading may take; what was known is shown then.
	statusTime = 5 * time.Second
)

// statusRoutes are for everybody.
func (s *Server) statusRoutes(e *echo.Echo) {
	for path, h := range map[string]echo.HandlerFunc{
		pathStatus:     s.publicStatus("text/html; charset=utf-8", func(v *statusAnswer) []byte { return v.page }),
		pathStatusJSON: s.publicStatus("application/json", func(v *statusAnswer) []byte { return v.json }),
	} {
		e.GET(path, h)
		e.HEAD(path, h)
	}
}

// statusAnswer is made once for all who ask.
type statusAnswer struct {
	of   *StatusPage
	at   time.Time
	tag  string
	json []byte
	page []byte
}

// statusBoard keeps the answer while it is young, and of each incident what it says
// of the components, until it changes.
type statusBoard struct {
	answer atomic.Pointer[statusAnswer]
	// making is held by who makes the answer anew.
	making sync.Mutex
	// rules are the components' matchers; seen has of each incident what was read.
	rules []statusRule
	seen  map[string]statusOf
}

type statusRule struct {
	matchers       []*matcher
	degraded, down int
}

// statusOf is what an incident at a revision says of each component.
type statusOf struct {
	revision uint64
	parts    []statusPart
}

// statusPart is how bad it is, and since when at least so bad: since[Degraded] is of
// what is degraded or down.
type statusPart struct {
	level int
	since [3]time.Time
}

func (p *statusPart) add(level int, at time.Time) {
	p.level = max(p.level, level)
	for n := 1; n <= level; n++ {
		if p.since[n].IsZero() || at.Before(p.since[n]) {
			p.since[n] = at
		}
	}
}

// statusView is what is shown.
type statusView struct {
	Title      string          `json:"title"`
	Status     Condition       `json:"status"`
	Components []componentView `json:"components"`
	UpdatedAt  time.Time       `json:"updatedAt"`
}

type componentView struct {
	Name        string    `json:"name"`
	Description string    `json:"description,omitempty"`
	Status      Condition `json:"status"`
	// Since is when it was first so bad; nil: it is operational.
	Since *time.Time `json:"since,omitempty"`
}

// publicStatus answers from what is kept: asking often costs nothing, and it is the
// same for everybody.
func (s *Server) publicStatus(kind string, part func(*statusAnswer) []byte) echo.HandlerFunc {
	return func(c echo.Context) error {
		var page *StatusPage
		if s.deps.StatusPage != nil {
			page = s.deps.StatusPage()
		}
		if page == nil {
			return notFound("a public status page")
		}
		v, err := s.status(c.Request().Context(), page)
		if err != nil {
			return err
		}
		h := c.Response().Header()
		h.Set(echo.HeaderContentSecurityPolicy, pagePolicy)
		h.Set(echo.HeaderXContentTypeOptions, "nosniff")
		h.Set(echo.HeaderReferrerPolicy, "no-referrer")
		h.Set(echo.HeaderAccessControlAllowOrigin, "*")
		h.Set(echo.HeaderCacheControl, fmt.Sprintf("public, max-age=%d", int(statusAge.Seconds())))
		if c.Path() == pathStatus && c.QueryParam("refresh") != "off" {
			h.Set("Refresh", statusRefresh)
		}
		h.Set(headerETag, "W/"+v.tag) // weak: the time in it may be another one
		if match(c.Request().Header.Get(headerIfNoneMatch), v.tag) {
			return c.NoContent(http.StatusNotModified)
		}
		return c.Blob(http.StatusOK, kind, part(v))
	}
}

// status returns the answer, and makes it anew where it is too old; meanwhile the
// others get the last one. Where it cannot be made, the last one stands, with its
// time.
func (s *Server) status(ctx context.Context, page *StatusPage) (*statusAnswer, error) {
	b := &s.board
	if known := b.answer.Load(); known.stands(page, s.deps.Now()) {
		return known, nil
	} else if !b.making.TryLock() {
		if known != nil && known.of == page {
			return known, nil
		}
		b.making.Lock()
	}
	defer b.making.Unlock()
	now := s.deps.Now()
	known := b.answer.Load()
	if known.stands(page, now) {
		return known, nil
	}
	if known == nil || known.of != page {
		rules, err := statusRules(page)
		if err != nil {
			return nil, err
		}
		known, b.rules, b.seen = nil, rules, map[string]statusOf{}
	}
	// Who asked may go away; those who wait for the same want it all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), statusTime)
	defer cancel()
	fresh, err := s.newStatus(ctx, page, now)
	switch {
	case err == nil:
	case known == nil:
		return nil, unavailable(err, "how things stand is not known now; try again")
	default:
		s.deps.Logger.Warn("the public status page could not be brought up to date", "error", err)
		stale := *known
		stale.at = now // not again at once
		fresh = &stale
	}
	b.answer.Store(fresh)
	return fresh, nil
}

// stands reports whether the answer is that of the page and young.
func (a *statusAnswer) stands(page *StatusPage, now time.Time) bool {
	return a != nil && a.of == page && now.Sub(a.at) < statusAge && !now.Before(a.at)
}

func statusRules(page *StatusPage) ([]statusRule, error) {
	rules := make([]statusRule, len(page.Components))
	for i, c := range page.Components {
		for _, text := range c.Matchers {
			ms, err := parseQuestion(text)
			if err != nil {
				return nil, fmt.Errorf("status page: component %q: %w", c.Name, err)
			}
			rules[i].matchers = append(rules[i].matchers, ms...)
		}
		rules[i].degraded = cmp.Or(c.Degraded, tocsin.Warning).Rank()
		rules[i].down = cmp.Or(c.Down, tocsin.Critical).Rank()
	}
	return rules, nil
}

func (s *Server) newStatus(ctx context.Context, page *StatusPage, now time.Time) (*statusAnswer, error) {
	parts, err := s.readStatus(ctx)
	if err != nil {
		return nil, err
	}
	v := &statusView{Title: page.Title, UpdatedAt: now.UTC(), Components: []componentView{}}
	worst := 0
	for i, c := range page.Components {
		p := &parts[i]
		worst = max(worst, p.level)
		view := componentView{Name: c.Name, Description: c.Description, Status: conditions[p.level]}
		if p.level > 0 {
			since := p.since[p.level].UTC().Truncate(time.Second)
			view.Since = &since
		}
		v.Components = append(v.Components, view)
	}
	v.Status = conditions[worst]
	return s.drawStatus(page, v)
}

// drawStatus writes it. The tag is that of what is said, not of when it was said.
func (s *Server) drawStatus(page *StatusPage, v *statusView) (*statusAnswer, error) {
	a := &statusAnswer{of: page, at: v.UpdatedAt}
	var err error
	if a.json, err = jsonv1.Marshal(v); err != nil {
		return nil, err
	}
	a.json = append(a.json, '\n')
	var out bytes.Buffer
	if err := s.pages.templates.ExecuteTemplate(&out, "status", v); err != nil {
		return nil, err
	}
	a.page = out.Bytes()
	said := *v
	said.UpdatedAt = time.Time{}
	a.tag, err = etagOf(said)
	return a, err
}

// readStatus returns how each component stands.
func (s *Server) readStatus(ctx context.Context) ([]statusPart, error) {
	open, err := s.deps.Reader.List(ctx, tocsin.Filter{States: []tocsin.State{tocsin.Triggered, tocsin.Acknowledged}, Limit: listOpen})
	if err != nil {
		return nil, err
	}
	b := &s.board
	seen := make(map[string]statusOf, len(open))
	all := make([]statusPart, len(b.rules))
	for _, inc := range open {
		one, ok := b.seen[inc.ID]
		if !ok || one.revision != inc.Revision {
			if one, err = s.statusOf(ctx, inc); err != nil {
				return nil, err
			}
			b.seen[inc.ID] = one // kept though the others cannot be read in time
		}
		seen[inc.ID] = one
		for i := range one.parts {
			for level := 1; level <= one.parts[i].level; level++ {
				all[i].add(level, one.parts[i].since[level])
			}
		}
	}
	b.seen = seen
	return all, nil
}

// statusOf says what one incident tells of the components. Alerts that are silenced
// tell nothing: that is how one says that they are planned, or wrong. What is
// inhibited, or muted at night, is broken all the same.
func (s *Server) statusOf(ctx context.Context, inc *tocsin.Incident) (statusOf, error) {
	one := statusOf{revision: inc.Revision}
	if inc.Firing == 0 {
		return one, nil
	}
	records, err := s.deps.Reader.AlertsOf(ctx, inc.ID, int(inc.Firing))
	if err != nil {
		return one, err
	}
	parts, told := make([]statusPart, len(s.board.rules)), false
	for n := range records {
		r := &records[n]
		if !r.State.Firing || r.State.Suppression != nil && r.State.Suppression.Reason == tocsin.Silenced {
			continue
		}
		// Somebody may have lowered the incident's severity, and knows better.
		rank := min(cmp.Or(r.State.Severity, r.Severity()).Rank(), inc.Severity.Rank())
		for i := range s.board.rules {
			if level := s.board.rules[i].level(rank, r.Labels); level > 0 {
				parts[i].add(level, r.State.ChangedAt)
				told = true
			}
		}
	}
	if told {
		one.parts = parts
	}
	return one, nil
}

// level is the index of the condition that an alert of such a severity tells of.
func (r *statusRule) level(rank int, l tocsin.Labels) int {
	if rank < min(r.degraded, r.down) || !matchAll(r.matchers, l) {
		return 0
	}
	if rank >= r.down {
		return slices.Index(conditions, Down)
	}
	return slices.Index(conditions, Degraded)
}

// Say is how all of it stands, in a sentence.
func (v *statusView) Say() string {
	switch v.Status {
	case Down:
		return "Some of it is down"
	case Degraded:
		return "Some of it does not work as it should"
	default:
		return "Everything works"
	}
}
