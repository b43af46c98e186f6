package server

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// Audit is the audit log.
type Audit interface {
	// Audit returns up to limit records with a Seq above after, oldest first, those
	// of the log's marks among them. No record at all, or only a mark, is the end.
	Audit(ctx context.Context, after uint64, limit int) ([]tocsin.AuditRecord, error)
	// LastSeq returns the Seq of the last record.
	LastSeq() uint64
	// VerifyAudit verifies all of it. sought, unless zero, is a head that was written
	// down before. What does not fit is in the report.
	VerifyAudit(ctx context.Context, sought tocsin.AuditHash) (tocsin.AuditReport, error)
}

const (
	// auditPage is how many records are read at a time, and auditScan how many an
	// answer goes through at most to find what a filter selects.
	auditPage = 1000
	auditScan = 100_000
	// verifyTime is how long verifying may take; it is some 500,000 records a second.
	verifyTime = 10 * time.Minute
)

const typeLines = "application/x-ndjson"

// comingFrom is the request's context for what a sender has decided: it is written
// down as coming from there.
func comingFrom(c echo.Context, what string) context.Context {
	who := tocsin.Principal{Via: what, Address: c.RealIP()}
	return tocsin.WithOrigin(c.Request().Context(), who.Origin())
}

// storeRoutes are about the store as a whole.
func (s *Server) storeRoutes(api *echo.Group) {
	audited := func(h personal) echo.HandlerFunc {
		return s.manager(needs(s.deps.Audit != nil, "audit log", h))
	}
	api.GET("/audit", audited(s.listAudit))
	api.GET("/audit/verify", audited(s.verifyAudit))
	api.GET("/stats", s.viewer(s.stats))
	api.GET("/backup", s.admin(s.backup))
}

// auditQuery is what GET /api/v1/audit is asked for.
type auditQuery struct {
	tocsin.AuditFilter
	after uint64
	// limit 0: no limit.
	limit int
	// last: the newest, instead of the oldest after one.
	last bool
	// people: what people did alone, not what Tocsin did by itself.
	people bool
}

func readAuditQuery(c echo.Context, now time.Time) (q auditQuery, err error) {
	if q.after, _, err = since(c); err != nil {
		return q, err
	}
	if q.limit, err = number(c, "limit", 0, 1<<30); err != nil {
		return q, err
	}
	newest, err := number(c, "last", 0, maxList)
	if err != nil {
		return q, err
	}
	if newest > 0 {
		q.last, q.limit = true, newest
	}
	q.Actor, q.Kind = c.QueryParam("actor"), tocsin.EventKind(c.QueryParam("kind"))
	for name, to := range map[string]*time.Time{"since": &q.Since, "until": &q.Until} {
		if c.QueryParam(name) == "" {
			continue
		}
		if *to, err = instant(c, name, now); err != nil {
			return q, err
		}
	}
	return q, nil
}

func (s *Server) listAudit(c echo.Context, _ *tocsin.Principal) error {
	q, err := readAuditQuery(c, s.deps.Now())
	if err != nil {
		return err
	}
	if strings.Contains(c.Request().Header.Get(echo.HeaderAccept), typeLines) {
		return s.streamAudit(c, q)
	}
	if q.limit == 0 {
		q.limit = listDefault
	}
	q.limit = min(q.limit, maxList)
	list := s.auditAfter
	if q.last {
		list = s.auditLast
	}
	var records []tocsin.AuditRecord
	var next uint64
	err = s.turn(c.Request().Context(), s.readings, func() (err error) {
		records, next, err = list(c.Request().Context(), q)
		return err
	})
	if err != nil {
		return err
	}
	return s.showAudit(c, records, next)
}

// auditRecord is a record as the JSON API shows it. The hash is over the bytes
// that application/x-ndjson has.
type auditRecord struct {
	Hash  tocsin.AuditHash `json:"hash"`
	Event tocsin.Event     `json:"event"`
}

func (s *Server) showAudit(c echo.Context, records []tocsin.AuditRecord, next uint64) error {
	shown := make([]auditRecord, 0, len(records))
	for i := range records {
		e, err := records[i].Event()
		if err != nil {
			// Somebody changed it: that it is there, and does not verify, is what matters.
			e = tocsin.Event{Seq: records[i].Seq, Text: "this record cannot be read; run tocsin audit --verify"}
		}
		shown = append(shown, auditRecord{records[i].Hash, e})
	}
	answer := map[string]any{"records": shown}
	if next > 0 {
		answer["next"] = next
	}
	return s.json(c, answer)
}

// auditAfter returns the oldest records that are selected. next is where to go on;
// 0: that is all.
func (s *Server) auditAfter(ctx context.Context, q auditQuery) (found []tocsin.AuditRecord, next uint64, err error) {
	last := s.deps.Audit.LastSeq()
	for scanned := 0; q.after < last; {
		if scanned >= auditScan || len(found) >= q.limit {
			return found, q.after, nil
		}
		records, err := s.deps.Audit.Audit(ctx, q.after, auditPage)
		if err != nil {
			return nil, 0, err
		}
		if len(records) == 0 || records[len(records)-1].Seq <= q.after {
			break
		}
		for _, r := range records {
			if len(found) == q.limit {
				break
			}
			q.after = r.Seq
			if q.selects(&r) {
				found = append(found, r)
			}
		}
		scanned += len(records)
	}
	return found, 0, nil
}

// auditLast returns the newest records that are selected, oldest first. next is
// always 0: what comes next has not happened yet.
func (s *Server) auditLast(ctx context.Context, q auditQuery) (found []tocsin.AuditRecord, next uint64, err error) {
	found, _, err = s.auditBefore(ctx, q, s.deps.Audit.LastSeq()+1)
	slices.Reverse(found)
	return found, 0, err
}

// auditBefore returns the records before an event that are selected, the newest
// first. older is the event before which to go on; 0: that is all.
func (s *Server) auditBefore(ctx context.Context, q auditQuery, before uint64) (found []tocsin.AuditRecord, older uint64, err error) {
	to := min(max(before, 1)-1, s.deps.Audit.LastSeq())
	for scanned := uint64(0); to > q.after; scanned += auditPage {
		if scanned >= auditScan {
			return found, to + 1, nil
		}
		from := max(q.after, to-min(to, auditPage))
		records, err := s.deps.Audit.Audit(ctx, from, auditPage)
		if err != nil {
			return nil, 0, err
		}
		for _, r := range slices.Backward(records) {
			if r.Seq > to || !q.selects(&r) {
				continue
			}
			if len(found) == q.limit {
				return found, found[q.limit-1].Seq, nil
			}
			found = append(found, r)
		}
		to = from
	}
	return found, 0, nil
}

// selects reports whether a record is an event that the filter selects. One that
// cannot be read is always.
func (q *auditQuery) selects(r *tocsin.AuditRecord) bool {
	if r.IsMark() {
		return false
	}
	if q.IsZero() && !q.people {
		return true
	}
	e, err := r.Event()
	return err != nil || q.Selects(&e) && (e.Actor != "" || !q.people)
}

// streamAudit answers with one record a line, byte for byte as they are hashed,
// until the end of the log. Without a filter the marks are among them, so that it
// can be verified.
func (s *Server) streamAudit(c echo.Context, q auditQuery) error {
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, typeLines)
	h.Set(echo.HeaderCacheControl, "no-store")
	h.Set(echo.HeaderXContentTypeOptions, "nosniff")
	w := &patientWriter{w: c.Response(), rc: http.NewResponseController(c.Response()), wait: s.config.Timeouts.Write}
	ctx, last, sent := c.Request().Context(), s.deps.Audit.LastSeq(), 0
	if q.last {
		found, _, err := s.auditLast(ctx, q)
		if err != nil {
			return err
		}
		_, err = w.Write(auditLines(found))
		return err
	}
	for q.after < last {
		records, err := s.deps.Audit.Audit(ctx, q.after, auditPage)
		if err != nil {
			return s.cutOff(c, "audit log", err)
		}
		if len(records) == 0 {
			break
		}
		before := q.after
		q.after = records[len(records)-1].Seq
		records = slices.DeleteFunc(records, func(r tocsin.AuditRecord) bool {
			if r.IsMark() { // that of a page's beginning is for the first page alone
				return !q.IsZero() || r.Seq == before && sent > 0
			}
			return !q.selects(&r)
		})
		if q.limit > 0 && sent+len(records) >= q.limit {
			records, last = records[:q.limit-sent], q.after
		}
		sent += len(records)
		if _, err := w.Write(auditLines(records)); err != nil {
			return nil //nolint:nilerr // the client has gone: nobody to tell
		}
		if q.after == before {
			break
		}
	}
	return nil
}

func auditLines(records []tocsin.AuditRecord) []byte {
	var b []byte
	for i := range records {
		b = records[i].AppendLine(b)
	}
	return b
}

// cutOff ends an answer in the middle, so that half of it is not taken for the
// whole.
func (s *Server) cutOff(c echo.Context, what string, err error) error {
	if !c.Response().Committed {
		return err
	}
	s.deps.Logger.Error("an answer failed half-way", "what", what, "error", err)
	panic(http.ErrAbortHandler)
}

func (s *Server) verifyAudit(c echo.Context, _ *tocsin.Principal) error {
	var sought tocsin.AuditHash
	if text := c.QueryParam("head"); text != "" {
		if err := sought.UnmarshalText([]byte(text)); err != nil {
			return invalid("head", "%v", err)
		}
	}
	report, err := s.verify(c, sought)
	if err != nil {
		return err
	}
	return s.json(c, report)
}

// verified is what verifying the audit log found, and when.
type verified struct {
	tocsin.AuditReport
	On time.Time
}

// verify verifies the audit log, one at a time, and remembers what was found.
func (s *Server) verify(c echo.Context, sought tocsin.AuditHash) (report tocsin.AuditReport, err error) {
	if !s.verifying.TryLock() {
		return report, unavailable(nil, "the audit log is being verified already; try again")
	}
	defer s.verifying.Unlock()
	_ = http.NewResponseController(c.Response()).SetWriteDeadline(time.Now().Add(verifyTime)) // not every ResponseWriter can
	ctx, cancel := context.WithTimeout(c.Request().Context(), verifyTime)
	defer cancel()
	if report, err = s.deps.Audit.VerifyAudit(ctx, sought); err == nil && sought == (tocsin.AuditHash{}) {
		s.verified.Store(&verified{report, s.deps.Now()})
	}
	return report, err
}
