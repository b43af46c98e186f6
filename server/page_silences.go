package server

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// What the page of the silences shows at the most.
const (
	silenceRows     = 40
	silenceOver     = 10
	silenceMatchers = 6
)

// Bounds of what the form takes.
const (
	maxMatcherText = 8 << 10
	maxSilence     = 366 * day
)

// Codes of tellings.
const (
	doneSilence   = "silenced"
	doneSilenced  = "silence-ended"
	doneLengthens = "silence-extended"
)

// silencesView is what the page shows.
type silencesView struct {
	page
	Active, Pending, Expired []silenceRow
	// MoreActive and MoreExpired are how many are not shown.
	MoreActive, MoreExpired int
	// Least is true where not all that is held back could be counted.
	Least bool
	Form  silenceForm
	// Begun is true where the form begins with a silence that there was.
	Begun bool
	silenceRights
}

// silenceRights are what who looks may do with silences.
type silenceRights struct {
	// MayMake is true where they may make some.
	MayMake bool
	// Bounded is true where what is counted is what they may view, and not all.
	Bounded bool
}

func silenceRightsOf(who *tocsin.Principal) silenceRights {
	return silenceRights{MayMake: who.MaySilenceSome(tocsin.RightRespond), Bounded: !who.May(tocsin.RightView)}
}

// silenceRow is a silence in the list.
type silenceRow struct {
	silenceView
	// Held is how many alerts it holds back now.
	Held int
	// May is true where who looks may change it.
	May bool
}

// Shown are its first matchers, Hidden how many there are beside them.
func (r *silenceRow) Shown() []string { return r.Matchers[:min(len(r.Matchers), silenceMatchers)] }

// Hidden is how many matchers are not shown.
func (r *silenceRow) Hidden() int { return max(0, len(r.Matchers)-silenceMatchers) }

// silenceCard is what the template of one silence needs.
type silenceCard struct {
	Row            *silenceRow
	Least, Bounded bool
}

// Card is a silence with what may be done to it.
func (v *silencesView) Card(r silenceRow) silenceCard { return silenceCard{&r, v.Least, v.Bounded} }

// Again leads to a form that begins with what the silence is.
func (r *silenceRow) Again() string {
	return "/silences?" + url.Values{"matchers": {strings.Join(r.Matchers, "\n")}, "comment": {r.Comment}}.Encode() + "#new"
}

// silenceForm is what somebody typed.
type silenceForm struct {
	Matchers, For, From, Until, Comment string
	// Wrong is what is wrong with it, Field where.
	Wrong, Field string
}

func typedSilence(v url.Values) silenceForm {
	return silenceForm{
		Matchers: strings.ReplaceAll(v.Get("matchers"), "\r\n", "\n"), // as browsers end lines
		For:      cmp.Or(v.Get("for"), "2h"), From: asTyped(v.Get("from")), Until: asTyped(v.Get("until")), Comment: strings.TrimSpace(v.Get("comment")),
	}
}

// asTyped is a time with an offset as the field for a time shows it; anything else
// is left as it is.
func asTyped(text string) string {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.UTC().Format(localTime + ":05")
	}
	return text
}

// silencesPage lists the silences, and takes what a new one is to hide.
func (s *Server) silencesPage(c echo.Context, who *tocsin.Principal) error {
	ctx := c.Request().Context()
	v := silencesView{page: s.follow(s.top(c, "Silences", 0), "*"), Form: typedSilence(c.QueryParams()), silenceRights: silenceRightsOf(who)}
	if v.Begun = v.Form.Matchers != ""; !v.Begun {
		v.Form.Matchers = strings.Join(who.SilenceBegins(), "\n")
	}
	list, err := s.silencesFor(ctx, who)
	if err != nil {
		return err
	}
	h := s.held(ctx, who)
	v.Least = h.least
	v.fill(list, h)
	return s.page(c, http.StatusOK, "silences", &v)
}

// fill puts the silences in their order: those that end first come first, and of
// those that are over the latest.
func (v *silencesView) fill(list []tocsin.Silence, h holds) {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b tocsin.Silence) int { return a.EndsAt.Compare(b.EndsAt) })
	for _, one := range list {
		row := silenceRow{silenceView: viewSilence(one, v.Now), Held: h.by[one.ID], May: v.Who.MaySilence(tocsin.RightRespond, written(one.Matchers))}
		switch row.State {
		case "active":
			v.Active = append(v.Active, row)
		case "pending":
			v.Pending = append(v.Pending, row)
		default:
			v.Expired = append(v.Expired, row)
		}
	}
	slices.Reverse(v.Expired)
	v.MoreExpired = max(0, len(v.Expired)-silenceOver)
	v.Expired = v.Expired[:min(len(v.Expired), silenceOver)]
	v.MoreActive = max(0, len(v.Active)-silenceRows) + max(0, len(v.Pending)-silenceRows)
	v.Active, v.Pending = v.Active[:min(len(v.Active), silenceRows)], v.Pending[:min(len(v.Pending), silenceRows)]
}

// silence is what the form asks for, in the way that the API takes it.
func (f *silenceForm) silence(now time.Time) (out tocsin.Silence, err error) {
	if len(f.Matchers) > maxMatcherText {
		return out, invalid("matchers", "longer than %d bytes", maxMatcherText)
	}
	for field, text := range map[string]string{"matchers": f.Matchers, "comment": f.Comment} {
		if strings.ContainsFunc(text, odd) {
			return out, invalid(field, "it has characters that are not seen on a page, and what you confirm is what you see; the API takes them")
		}
	}
	if err := tocsin.CheckMatchers("matchers", f.Matchers); err != nil {
		return out, err
	}
	for line := range strings.Lines(f.Matchers) {
		ms, err := parseQuestion(strings.TrimSpace(line))
		if err != nil {
			return out, invalid("matchers", "%v", err)
		}
		for _, m := range ms {
			out.Matchers = append(out.Matchers, m.String())
		}
	}
	out.Comment, out.StartsAt = f.Comment, now.UTC()
	if f.From != "" {
		if out.StartsAt, err = fieldTime("from", f.From, time.UTC); err != nil {
			return out, err
		}
	}
	if f.Until != "" {
		out.EndsAt, err = fieldTime("until", f.Until, time.UTC)
		return out, err
	}
	d, err := time.ParseDuration(f.For)
	if err != nil || d <= 0 || d > maxSilence {
		return out, invalid("for", "%q; want a duration such as 30m or 2h, of at most 366 days", clip(f.For))
	}
	out.EndsAt = out.StartsAt.Add(d).UTC()
	return out, nil
}

// silencePreview says what a silence would hide, before anybody makes it.
type silencePreview struct {
	page
	Form    silenceForm
	Silence tocsin.Silence
	// Hidden is nil where it is not known, and Unknown says why. Firing is how many
	// alerts fire at all; 0: it is not known.
	Hidden  *tocsin.Hidden
	Unknown string
	Firing  int
	silenceRights
}

// What is much for one silence to hide: so many alerts, or half of what fires where
// that is a few at least.
const (
	muchAlerts = 10
	fewAlerts  = 3
)

// Much reports whether it would hide so much that nobody may do it by the way.
func (v *silencePreview) Much() bool {
	return v.Hidden != nil && (v.Hidden.Alerts >= muchAlerts || v.Hidden.Alerts >= fewAlerts && 2*v.Hidden.Alerts >= v.Firing)
}

// Lines are the matchers for the form that makes it.
func (v *silencePreview) Lines() string { return strings.Join(v.Silence.Matchers, "\n") }

func (s *Server) previewSilence(c echo.Context, _ *tocsin.Principal) error {
	return s.showPreview(c, http.StatusOK, typedSilence(c.QueryParams()), nil)
}

// showPreview shows what a silence would hide, or what is wrong with it.
func (s *Server) showPreview(c echo.Context, status int, f silenceForm, wrong error) error {
	v := silencePreview{page: s.top(c, "Silence: preview", 0), Form: f, silenceRights: silenceRightsOf(whoOf(c))}
	var err error
	if v.Silence, err = v.Form.silence(v.Now); err == nil {
		v.Silence.CreatedBy = pageActor(v.Who)
		err = checkSilence(v.Silence, v.Now)
	}
	if err == nil && v.MayMake {
		err = mayMakeSilence(v.Who, v.Silence.Matchers)
	}
	if err = cmp.Or(wrong, err); err != nil {
		r := refusalOf(err)
		if r.status >= http.StatusInternalServerError {
			return err
		}
		status, v.Form.Wrong, v.Form.Field = max(status, r.status), clip(r.message), r.field
		return s.page(c, status, "silencepreview", &v)
	}
	if err := s.count(c.Request().Context(), &v); err != nil {
		return err
	}
	return s.page(c, status, "silencepreview", &v)
}

// count asks what it would hide, a bounded number at a time.
func (s *Server) count(ctx context.Context, v *silencePreview) error {
	if s.deps.Hides == nil {
		v.Unknown = "Nothing here can count it."
		return nil
	}
	return s.plan(ctx, func(ctx context.Context) error {
		h, err := s.deps.Hides(ctx, v.Who, v.Silence.Matchers)
		if err != nil {
			v.Unknown = "It could not be counted now."
			s.deps.Logger.Warn("what a silence would hide could not be counted for its preview", "error", err)
			return nil
		}
		v.Hidden = &h
		if s.deps.Stats != nil && !v.Bounded {
			v.Firing = s.deps.Stats().Firing
		}
		return nil
	})
}

// makeSilence makes what was looked at. What is sent twice is made once: a silence
// of the same person that hides the same until the same instant is the same.
func (s *Server) makeSilence(c echo.Context, who *tocsin.Principal) error {
	f, err := s.form(c)
	if err != nil {
		return err
	}
	typed := typedSilence(f)
	in, err := typed.silence(s.deps.Now())
	if err != nil {
		return s.showPreview(c, http.StatusBadRequest, typed, err)
	}
	if f.Get("much") != "" && f.Get("sure") != "yes" {
		return s.showPreview(c, http.StatusConflict, typed, nil)
	}
	in.CreatedBy = pageActor(who)
	s.silencing.Lock()
	defer s.silencing.Unlock()
	list, err := s.deps.Silencer.Silences(c.Request().Context())
	if err != nil {
		return err
	}
	if slices.ContainsFunc(list, func(o tocsin.Silence) bool {
		return o.EndsAt.Equal(in.EndsAt) && o.CreatedBy == in.CreatedBy && o.Comment == in.Comment && slices.Equal(o.Matchers, in.Matchers)
	}) {
		return done(c, "/silences", doneSilence, "")
	}
	if _, err := s.keepSilence(c, who, in); err != nil {
		return s.showPreview(c, http.StatusBadRequest, typed, err)
	}
	return done(c, "/silences", doneSilence, "")
}

// expireSilenceForm ends a silence.
func (s *Server) expireSilenceForm(c echo.Context, who *tocsin.Principal) error {
	if _, err := s.form(c); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(changingSilence(c, who), s.config.Limits.Wait)
	defer cancel()
	id := param(c, "id")
	if err := s.deps.Silencer.ExpireSilence(ctx, id, pageActor(who)); err != nil {
		return missing(err, "silence", id)
	}
	return done(c, "/silences", doneSilenced, "")
}

// extendSilence has a silence end later than its page showed.
func (s *Server) extendSilence(c echo.Context, who *tocsin.Principal) error {
	f, err := s.form(c)
	if err != nil {
		return err
	}
	d, err := time.ParseDuration(f.Get("for"))
	if err != nil || d <= 0 || d > maxSilence {
		return invalid("for", "%q; want a duration such as 30m or 2h", clip(f.Get("for")))
	}
	shown, err := fieldTime("shown", f.Get("shown"), time.UTC)
	if err != nil {
		return err
	}
	s.silencing.Lock()
	defer s.silencing.Unlock()
	found, err := s.silence(c, param(c, "id"))
	if err != nil {
		return err
	}
	ends := found.EndsAt.Truncate(time.Second)
	switch {
	case ends.Equal(shown.Add(d)): // it was this form
		return done(c, "/silences", doneLengthens, "")
	case !found.EndsAt.After(s.deps.Now()):
		return refuse(http.StatusConflict, codeConflict, "", "it ended at %s; make another one", when(found.EndsAt))
	case !ends.Equal(shown):
		return refuse(http.StatusConflict, codeConflict, "", "somebody changed it while you were looking: it ends at %s; nothing was done", when(found.EndsAt))
	}
	was := found.EndsAt
	c.SetRequest(c.Request().WithContext(tocsin.OnlyIf(c.Request().Context(), func(now *tocsin.Silence) error {
		if now.EndsAt.Equal(was) {
			return nil
		}
		return refuse(http.StatusConflict, codeConflict, "", "somebody changed it in this moment: it ends at %s; nothing was done", when(now.EndsAt))
	})))
	found.EndsAt = ends.Add(d)
	found.CreatedBy = pageActor(who)
	if _, err := s.keepSilence(c, who, found); err != nil {
		return err
	}
	return done(c, "/silences", doneLengthens, "")
}
