package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// pageUser is who acts on a page when nobody said so.
const pageUser = "page"

// queryDone names, in the address that a form leads back to, what was done: one of
// the codes of tellings, so that no address can put words on a page.
const queryDone = "done"

// tellings are what a page says after a form has done something.
var tellings = map[string]string{
	string(tocsin.ActAcknowledge):  "Acknowledged: it is yours.",
	string(tocsin.ActResolve):      "Resolved.",
	string(tocsin.ActSnooze):       "Snoozed.",
	string(tocsin.ActEscalate):     "Escalated.",
	string(tocsin.ActReassign):     "Reassigned.",
	string(tocsin.ActAddResponder): "Asked to help.",
	string(tocsin.ActNote):         "Noted.",
	string(tocsin.ActMerge):        "Merged.",
	string(tocsin.ActUnmerge):      "It pages for itself again.",
	string(tocsin.ActSeverity):     "The severity is changed.",
	string(tocsin.ActStep):         "The step is marked.",
	string(tocsin.ActChannel):      "A Slack channel is being opened.",
	doneMany:                       "Acknowledged the ones selected.",
	doneSome:                       "Acknowledged some of the ones selected; the others are resolved, somebody else's, or could not be changed.",
	doneNone:                       "Nothing was selected that is still to be acknowledged.",
	doneRemediate:                  "The remedy is asked for.",
	doneAnswer + approved:          "Approved.",
	doneAnswer + denied:            "Denied: it is not run.",
	doneHold + stopped:             "Stopped: nothing of it runs until it is resumed.",
	doneHold + resumed:             "Resumed.",
	doneSilence:                    "Silenced.",
	doneSilenced:                   "Expired: what it held back and still fires pages.",
	doneLengthens:                  "Extended; it is yours now.",
	doneOverride:                   "The override is made.",
	doneCancel:                     "The override is cancelled.",
	doneTimeOff:                    "The time off is entered, for all schedules.",
	doneSwap:                       "The swap is asked for; it holds once it is accepted.",
	doneAccept:                     "Accepted: the shift is yours.",
	doneDecline:                    "Declined.",
	doneVerified:                   "The audit log was verified: what was found stands below.",
	doneRevoked:                    "The token is revoked.",
	doneEnded:                      "The log-in is ended.",
}

// Codes of tellings that are no kind of action.
const (
	doneMany      = "acknowledged-many"
	doneSome      = "acknowledged-some"
	doneNone      = "acknowledged-none"
	doneRemediate = "remediate"
	doneAnswer    = "answer-"
	approved      = "approved"
	denied        = "denied"
	doneHold      = "remedies-"
	stopped       = "stopped"
	resumed       = "resumed"
)

// told is what the address says was done.
func told(c echo.Context) string { return tellings[c.QueryParam(queryDone)] }

// done leads back to a page after a form, which then says what was done.
func done(c echo.Context, path, code, fragment string) error {
	to := url.URL{Path: path, Fragment: fragment}
	base, query, _ := strings.Cut(path, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		values = url.Values{}
	}
	values.Set(queryDone, code)
	to.Path, to.RawQuery = "", values.Encode()
	pageHeaders(c)
	return c.Redirect(http.StatusSeeOther, base+to.String())
}

// form reads what a form of a page sends.
func (s *Server) form(c echo.Context) (url.Values, error) {
	r := c.Request()
	if kind, _, err := mime.ParseMediaType(r.Header.Get(echo.HeaderContentType)); err != nil || kind != echo.MIMEApplicationForm {
		return nil, refuse(http.StatusUnsupportedMediaType, codeMediaType, echo.HeaderContentType, "want what a form sends: %s", echo.MIMEApplicationForm)
	}
	limit := s.config.Limits.APIBody
	r.Body = http.MaxBytesReader(c.Response(), r.Body, int64(limit))
	if err := r.ParseForm(); err != nil {
		if _, big := err.(*http.MaxBytesError); big { //nolint:errorlint // ParseForm returns it as it is
			return nil, tooLarge("", "the form is longer than %d bytes", limit)
		}
		return nil, invalid("", "the form cannot be read: %v", err)
	}
	return r.PostForm, nil
}

// actionID names what a form asks for, so that sending the same form of the same
// page again does nothing more; another text, or another page, is another action.
func actionID(kind, about string, f url.Values) string {
	if f.Get("nonce") == "" {
		return rand.Text()
	}
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q", kind, about, f.Encode())
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// pageActor is who acts on a page.
func pageActor(who *tocsin.Principal) string { return cmp.Or(who.Name, pageUser) }

// formAction is what a form on an incident's page asks for.
func formAction(kind tocsin.ActionKind, id string, f url.Values, who *tocsin.Principal, now time.Time) (tocsin.Action, error) {
	a := tocsin.Action{
		Kind: kind, ID: actionID(string(kind), id, f), By: pageActor(who), Via: viaPage, Text: strings.TrimSpace(f.Get("text")),
		Severity: tocsin.Severity(f.Get("severity")), Into: strings.ToLower(strings.TrimSpace(f.Get("into"))), Force: f.Get("force") == "yes",
		RunbookStep: f.Get("step"), Status: tocsin.StepStatus(f.Get("status")),
	}
	if err := nameWhom(&a, strings.TrimSpace(f.Get("whom"))); err != nil {
		return a, err
	}
	if text := f.Get("for"); text != "" && kind == tocsin.ActSnooze {
		d, err := time.ParseDuration(text)
		if err != nil {
			return a, invalid("for", "%q; want a duration such as 30m or 2h", clip(text))
		}
		a.Until = now.Add(d).UTC()
	}
	if err := checkAction(&a); err != nil {
		return a, err
	}
	return a, checkKind(&a, id, now)
}

// nameWhom reads "ana", "user:ana", "schedule:platform" or "policy:platform".
func nameWhom(a *tocsin.Action, whom string) error {
	if whom == "" {
		return nil
	}
	kind, name, ok := strings.Cut(whom, ":")
	if !ok {
		kind, name = "user", whom
	}
	name = strings.TrimSpace(name)
	switch kind {
	case "user":
		a.User = name
	case "schedule":
		a.Schedule = name
	case "policy":
		a.Policy = name
	default:
		return invalid("whom", "%q; name a user, or schedule:name, or policy:name", clip(whom))
	}
	return nil
}

// actForm does what a form on an incident's page asks for, and leads back there.
func (s *Server) actForm(kind tocsin.ActionKind) personal {
	return func(c echo.Context, who *tocsin.Principal) error {
		id := param(c, "id")
		f, err := s.form(c)
		if err != nil {
			return err
		}
		a, err := formAction(kind, id, f, who, s.deps.Now())
		if err != nil {
			return s.formRefused(c, who, id, f, err)
		}
		ctx, cancel := context.WithTimeout(c.Request().Context(), s.config.Limits.Wait)
		defer cancel()
		if err := s.mayMerge(ctx, who, &a); err != nil {
			return s.formRefused(c, who, id, f, err)
		}
		a.If = func(inc *tocsin.Incident) error { return stale(inc, &a, f) }
		if err := s.deps.Actions.Act(ctx, id, a); err != nil {
			return s.formRefused(c, who, id, f, err)
		}
		fragment := ""
		if kind == tocsin.ActStep {
			fragment = "step" + anchor(a.RunbookStep)
		}
		return done(c, "/incidents/"+segment(id), string(kind), fragment)
	}
}

// stale is why what the form asks for is not done: the incident is not what its
// page showed.
func stale(inc *tocsin.Incident, a *tocsin.Action, f url.Values) error {
	shown := tocsin.State(f.Get("shown"))
	switch a.Kind {
	case tocsin.ActNote, tocsin.ActStep, tocsin.ActUnmerge, tocsin.ActChannel:
		return nil
	default:
	}
	if slices.Contains(inc.Actions, a.ID) {
		return nil // it was this form
	}
	if !inc.Open() {
		by := ""
		if inc.ResolvedBy != "" {
			by = " by " + inc.ResolvedBy
		}
		return refuse(http.StatusConflict, codeConflict, "", "it was resolved%s at %s; nothing was done", by, when(inc.ResolvedAt))
	}
	if a.Kind == tocsin.ActAcknowledge && shown == tocsin.Triggered && inc.State == tocsin.Acknowledged && inc.AcknowledgedBy != a.By {
		return refuse(http.StatusConflict, codeConflict, "",
			"%s acknowledged it at %s, while you were looking; nothing was done: take it over if you mean to", inc.AcknowledgedBy, when(inc.AcknowledgedAt))
	}
	return nil
}

// formRefused shows the incident again, with what is wrong and what was typed.
func (s *Server) formRefused(c echo.Context, who *tocsin.Principal, id string, f url.Values, err error) error {
	r := refusalOf(err)
	if r.status == http.StatusNotFound || r.status >= http.StatusInternalServerError {
		return missing(err, "incident", id)
	}
	kind := tocsin.ActionKind(c.Path()[strings.LastIndexByte(c.Path(), '/')+1:])
	if r.status == http.StatusConflict && kind == tocsin.ActResolve && f.Get("force") == "" {
		if inc, err := s.reader(c).Get(c.Request().Context(), id); err == nil && inc.Open() {
			return s.confirmPage(c, inc, f, r)
		}
	}
	message := clip(r.message)
	if r.field != "" {
		message = clip(r.field) + ": " + message
	}
	return s.showIncident(c, id, r.status, complaint{Text: message, Kind: kind, Step: f.Get("step"), Typed: f.Get("text")})
}

// complaint is why a form was refused.
type complaint struct {
	Text string
	// Kind and Step say which form; Typed is what was in it.
	Kind        tocsin.ActionKind
	Step, Typed string
}

// confirmPage asks whether an incident is to be resolved although something
// speaks against it.
func (s *Server) confirmPage(c echo.Context, inc *tocsin.Incident, f url.Values, r *refusal) error {
	return s.page(c, http.StatusConflict, "confirm", struct {
		page
		Incident     *tocsin.Incident
		Reason, Text string
	}{s.top(c, "Resolve anyway?", 0), inc, clip(r.message), f.Get("text")})
}

// bulkMost is the most incidents that are acknowledged at once: those of a page.
const bulkMost = listRows

// acknowledgeMany acknowledges the incidents that are selected in the list. What
// somebody else has taken, or what is resolved, is left alone.
func (s *Server) acknowledgeMany(c echo.Context, who *tocsin.Principal) error {
	f, err := s.form(c)
	if err != nil {
		return err
	}
	ids := f["id"]
	if len(ids) > bulkMost {
		return invalid("id", "select up to %d", bulkMost)
	}
	taken, err := s.takeAll(c.Request().Context(), ids, f, who)
	if err != nil {
		return err
	}
	code := doneMany
	switch {
	case taken == 0:
		code = doneNone
	case taken < len(ids):
		code = doneSome
	}
	return done(c, "/?"+backQuery(f.Get("back")), code, "")
}

// takeAll acknowledges one after the other, as far as time allows, and returns how
// many are now the principal's.
func (s *Server) takeAll(ctx context.Context, ids []string, f url.Values, who *tocsin.Principal) (taken int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*s.config.Limits.Wait)
	defer cancel()
	for _, id := range ids {
		if err := validName("id", id); err != nil {
			return taken, err
		}
		inc, err := who.Reader(s.deps.Reader).Get(ctx, id)
		if err == nil && !who.MayIn(tocsin.RightRespond, inc) {
			continue
		}
		if err != nil || inc.State != tocsin.Triggered {
			if err == nil && inc.State == tocsin.Acknowledged && inc.AcknowledgedBy == pageActor(who) {
				taken++
			}
			continue
		}
		a := tocsin.Action{Kind: tocsin.ActAcknowledge, ID: actionID("many", id, f), By: pageActor(who), Via: viaPage}
		a.If = func(inc *tocsin.Incident) error {
			return stale(inc, &a, url.Values{"shown": {string(tocsin.Triggered)}})
		}
		if err := s.deps.Actions.Act(ctx, id, a); err != nil {
			s.deps.Logger.Warn("one of several incidents was not acknowledged", "incident", id, "error", err)
			continue
		}
		taken++
	}
	return taken, nil
}

// backQuery is the list's own query, out of what a form says of it.
func backQuery(text string) string {
	given, err := url.ParseQuery(text)
	if err != nil {
		return ""
	}
	out := url.Values{}
	for _, name := range listQuery() {
		if v := given.Get(name); v != "" {
			out.Set(name, v)
		}
	}
	return out.Encode()
}

// pageNumber reads ?page=, from 1.
func pageNumber(c echo.Context) int {
	n, err := strconv.Atoi(c.QueryParam("page"))
	if err != nil || n < 1 {
		return 1
	}
	return n
}
