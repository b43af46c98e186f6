package server

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

const (
	pathAuditPage = "/system/audit"
	// auditRows is how many events the page of the audit log shows.
	auditRows = 50
	// auditAll selects what Tocsin did by itself, too.
	auditAll = "all"
)

// auditKinds are the kinds that the page filters by: first those that are about no
// incident.
var auditKinds = []tocsin.EventKind{
	tocsin.EventAccess, tocsin.EventChange, tocsin.EventLog, tocsin.EventOverride, tocsin.EventSilence, tocsin.EventSwitch, tocsin.EventSystem,
	tocsin.EventAcknowledged, tocsin.EventAlarm, tocsin.EventAlertFired, tocsin.EventAlertLate, tocsin.EventAlertResolved, tocsin.EventAlertStale,
	tocsin.EventCalled, tocsin.EventChannel, tocsin.EventDelivered, tocsin.EventDeliveryFailed, tocsin.EventEscalated, tocsin.EventFlapping,
	tocsin.EventLastResort, tocsin.EventMerged, tocsin.EventNobody, tocsin.EventNote, tocsin.EventOpened, tocsin.EventReassigned, tocsin.EventRemediation,
	tocsin.EventReminded, tocsin.EventReopened, tocsin.EventResolved, tocsin.EventResponder, tocsin.EventReturned, tocsin.EventSeverity, tocsin.EventSkipped,
	tocsin.EventSnoozed, tocsin.EventStep, tocsin.EventStopped, tocsin.EventSuppressed, tocsin.EventTruncated, tocsin.EventUnmerged, tocsin.EventUnsuppressed,
}

// auditView is what the page of the audit log shows.
type auditView struct {
	page
	// Events are the newest first.
	Events []auditRow
	// Last is the number of the last event of the log, Head the state of its chain.
	Last uint64
	Head string
	// Verified is what verifying it has found last; nil: nobody has yet.
	Verified    *verified
	Actor, Kind string
	Kinds       []tocsin.EventKind
	// Newer and Older lead to the other pages; empty: there are none.
	Newer, Older string
	// Newest is true where nothing newer is selected.
	Newest bool
}

// auditRow is an event with what it changed.
type auditRow struct {
	tocsin.Event
	Changes []auditChange
}

// auditChange is what one field was, and what it is.
type auditChange struct{ Field, Before, After string }

// toldAlready are fields that the event says anyway: which one it is, who changed it
// and when.
var toldAlready = []string{"createdAt", "createdBy", "id", "updatedAt"}

// changes says what differs. What is JSON is told field by field; in a field that is
// as it was before nobody is interested.
func changes(before, after string) (list []auditChange) {
	was, one := fieldsOf(before)
	is, other := fieldsOf(after)
	if !one || !other {
		if before+after == "" {
			return nil
		}
		return []auditChange{{"", before, after}}
	}
	names := slices.Sorted(maps.Keys(was))
	for name := range is {
		if _, both := was[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if was[name] != is[name] && !slices.Contains(toldAlready, name) {
			list = append(list, auditChange{name, was[name], is[name]})
		}
	}
	return list
}

// fieldsOf are the fields of a JSON object; "" has none.
func fieldsOf(text string) (map[string]string, bool) {
	fields := map[string]string{}
	if text == "" {
		return fields, true
	}
	var values map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &values) != nil {
		return nil, false
	}
	for name, value := range values {
		var plain string
		if json.Unmarshal(value, &plain) != nil {
			plain = string(value)
		}
		fields[name] = plain
	}
	return fields, true
}

// auditLogPage shows what was changed, by whom, and what it was before.
func (s *Server) auditLogPage(c echo.Context, _ *tocsin.Principal) error {
	v := auditView{
		page: s.top(c, "Audit log", 0), Last: s.deps.Audit.LastSeq(), Verified: s.verified.Load(),
		Actor: strings.TrimSpace(c.QueryParam("actor")), Kind: c.QueryParam("kind"), Kinds: auditKinds,
	}
	if err := validName("actor", v.Actor); err != nil {
		return err
	}
	head, err := s.deps.Audit.Audit(c.Request().Context(), v.Last-min(v.Last, 1), 2)
	if err != nil {
		return err
	}
	if n := len(head); n > 0 && head[n-1].Seq == v.Last {
		v.Head = head[n-1].Hash.String()
	}
	if err := s.turn(c.Request().Context(), s.readings, func() error { return s.fillAudit(c, &v) }); err != nil {
		return err
	}
	return s.page(c, http.StatusOK, "auditlog", &v)
}

// auditVerified verifies the log, and shows what was found. It is asked for with
// POST, so that no other site's page can keep the machine busy with it.
func (s *Server) auditVerified(c echo.Context, _ *tocsin.Principal) error {
	if _, err := s.form(c); err != nil {
		return err
	}
	if _, err := s.verify(c, tocsin.AuditHash{}); err != nil {
		return err
	}
	return done(c, pathAuditPage, doneVerified, "")
}

// fillAudit reads the events of the page, and where the ones around them are.
func (s *Server) fillAudit(c echo.Context, v *auditView) error {
	q := auditQuery{AuditFilter: tocsin.AuditFilter{Actor: v.Actor}, limit: auditRows, people: v.Kind == ""}
	if v.Kind != auditAll {
		q.Kind = tocsin.EventKind(v.Kind)
	}
	ctx := c.Request().Context()
	var records []tocsin.AuditRecord
	var older, newer uint64
	var err error
	if after, e := strconv.ParseUint(c.QueryParam("after"), 10, 64); e == nil {
		q.after = after
		records, newer, err = s.auditAfter(ctx, q)
		slices.Reverse(records)
		older = after + 1
	} else {
		before, e := strconv.ParseUint(c.QueryParam("before"), 10, 64)
		if e != nil || before == 0 || before > v.Last {
			before, v.Newest = v.Last+1, true
		}
		records, older, err = s.auditBefore(ctx, q, before)
		newer = before - 1
	}
	if err != nil {
		return err
	}
	for i := range records {
		e, err := records[i].Event()
		if err != nil {
			e = tocsin.Event{Seq: records[i].Seq, Text: "This record cannot be read. Verify the log."}
		}
		v.Events = append(v.Events, auditRow{e, changes(e.Before, e.After)})
	}
	v.Newest = v.Newest || newer == 0 || newer >= v.Last
	if !v.Newest {
		v.Newer = v.address("after", newer)
	}
	if older > 1 {
		v.Older = v.address("before", older)
	}
	return nil
}

// query is that of the filter.
func (v *auditView) query() url.Values {
	q := url.Values{}
	for name, value := range map[string]string{"actor": v.Actor, "kind": v.Kind} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

// Latest leads to the newest events that the filter selects.
func (v *auditView) Latest() string {
	if q := v.query().Encode(); q != "" {
		return pathAuditPage + "?" + q
	}
	return pathAuditPage
}

// address is that of the events before or after one.
func (v *auditView) address(side string, seq uint64) string {
	q := v.query()
	q.Set(side, strconv.FormatUint(seq, 10))
	return pathAuditPage + "?" + q.Encode()
}
