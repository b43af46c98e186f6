package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// auditLog is an audit log in memory, of which the records below kept are gone.
type auditLog struct {
	records []tocsin.AuditRecord
	kept    uint64
	err     error
}

// newAuditLog returns one with n records: every third is ana's, every 50th is a
// silence.
func newAuditLog(t *testing.T, n int) *auditLog {
	t.Helper()
	l := &auditLog{kept: 1}
	var hash tocsin.AuditHash
	for seq := range n {
		e := tocsin.Event{Seq: uint64(seq + 1), Kind: tocsin.EventNote, At: time.Date(2026, 1, 1, 0, 0, seq, 0, time.UTC), Text: "<b> & note"}
		if seq%3 == 0 {
			e.Actor = "ana"
		}
		if seq%50 == 0 {
			e.Kind = tocsin.EventSilence
		}
		raw, err := json.Marshal(e)
		require.NoError(t, err)
		hash = hash.Next(raw)
		l.records = append(l.records, tocsin.AuditRecord{Seq: e.Seq, Hash: hash, Raw: raw})
	}
	return l
}

func (l *auditLog) Audit(_ context.Context, after uint64, limit int) (out []tocsin.AuditRecord, err error) {
	if l.err != nil {
		return nil, l.err
	}
	if first := max(after, l.kept-1); first > 0 && first <= uint64(len(l.records)) {
		out = append(out, tocsin.AuditRecord{Seq: first, Hash: l.records[first-1].Hash})
	}
	for _, r := range l.records {
		if r.Seq > after && r.Seq >= l.kept && len(out) <= limit {
			out = append(out, r)
		}
	}
	return out, nil
}

func (l *auditLog) LastSeq() uint64 { return uint64(len(l.records)) }

func (l *auditLog) VerifyAudit(_ context.Context, sought tocsin.AuditHash) (tocsin.AuditReport, error) {
	check := tocsin.AuditCheck{Sought: sought}
	for _, r := range l.records {
		_ = check.Add(r) // the report says it
	}
	return check.Report(), l.err
}

type auditPage struct {
	Records []struct {
		Hash  string
		Event tocsin.Event
	}
	Next uint64
}

func askAudit(t *testing.T, w *world, query string) (p auditPage) {
	t.Helper()
	rec := w.ask("GET", "/api/v1/audit?"+query, "")
	require.Equal(t, http.StatusOK, rec.Code, rec.Body)
	require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &p))
	return p
}

func TestAuditPages(t *testing.T) {
	t.Parallel()
	log := newAuditLog(t, 2500)
	w := newWorld(t, server.Config{}, func(d *server.Deps) { d.Audit = log })
	p := askAudit(t, w, "")
	assert.Len(t, p.Records, 100)
	assert.EqualValues(t, 100, p.Next)
	assert.Equal(t, "<b> & note", p.Records[0].Event.Text)
	assert.Equal(t, log.records[0].Hash.String(), p.Records[0].Hash)

	seen := 0
	for after := uint64(0); ; {
		p := askAudit(t, w, fmt.Sprintf("limit=1000&actor=ana&kind=silence&after=%d", after))
		seen += len(p.Records)
		if after = p.Next; after == 0 {
			break
		}
	}
	assert.Equal(t, 17, seen, "every 150th of 2500")
	assert.Len(t, askAudit(t, w, "since=2026-01-01T00:00:10Z&until=2026-01-01T00:00:20Z").Records, 10)

	p = askAudit(t, w, "last=3")
	require.Len(t, p.Records, 3)
	assert.EqualValues(t, 2498, p.Records[0].Event.Seq)
	p = askAudit(t, w, "last=20&kind=silence&actor=ana")
	require.Len(t, p.Records, 17, "found from the end, however far")
	assert.EqualValues(t, 1, p.Records[0].Event.Seq)
	assert.Empty(t, askAudit(t, w, "after=2500").Records)

	for _, bad := range []string{"limit=0", "after=x", "last=2000", "since=yesterday"} {
		assert.Equal(t, http.StatusBadRequest, w.ask("GET", "/api/v1/audit?"+bad, "").Code, bad)
	}
	log.err = tocsin.Unavailable(errors.New("the store is closed"))
	assert.Equal(t, http.StatusServiceUnavailable, w.ask("GET", "/api/v1/audit", "").Code)
	assert.Equal(t, http.StatusNotFound, newWorld(t, server.Config{}).ask("GET", "/api/v1/audit", "").Code)
}

// TestAuditLines: what is asked for as lines can be verified, byte for byte.
func TestAuditLines(t *testing.T) {
	t.Parallel()
	log := newAuditLog(t, 2500)
	w := newWorld(t, server.Config{}, func(d *server.Deps) { d.Audit = log })
	for _, query := range []string{"", "after=1200", "limit=1100"} {
		rec := w.ask("GET", "/api/v1/audit?"+query, "", "Accept", "application/x-ndjson")
		require.Equal(t, http.StatusOK, rec.Code)
		assert.Equal(t, "application/x-ndjson", rec.Header().Get("Content-Type"))
		var check tocsin.AuditCheck
		for line := range strings.Lines(rec.Body.String()) {
			r, err := tocsin.ParseAuditLine([]byte(line))
			require.NoError(t, err)
			require.NoError(t, check.Add(r))
		}
		assert.True(t, check.Report().OK)
		want := map[string]uint64{"": 2500, "after=1200": 1300, "limit=1100": 1100}[query]
		assert.Equal(t, want, check.Report().Records, query)
	}
	rec := w.ask("GET", "/api/v1/audit?kind=silence", "", "Accept", "application/x-ndjson")
	assert.Equal(t, 50, strings.Count(rec.Body.String(), "\n"), "no marks where most is left out")
	log.kept = 1700
	rec = w.ask("GET", "/api/v1/audit?after=5", "", "Accept", "application/x-ndjson")
	assert.True(t, strings.HasPrefix(rec.Body.String(), `{"hash":"`+log.records[1698].Hash.String()+`","seq":1699}`), "a mark where the log begins")
}

func TestAuditVerify(t *testing.T) {
	t.Parallel()
	log := newAuditLog(t, 10)
	w := newWorld(t, server.Config{}, func(d *server.Deps) { d.Audit = log })
	assert.Contains(t, w.ask("GET", "/api/v1/audit/verify", "").Body.String(), `"ok":true`)
	assert.Contains(t, w.ask("GET", "/api/v1/audit/verify?head="+log.records[3].Hash.String(), "").Body.String(), `"soughtAt":4`)
	assert.Equal(t, http.StatusBadRequest, w.ask("GET", "/api/v1/audit/verify?head=abc", "").Code)
	log.records[6].Raw[20] ^= 1
	assert.Contains(t, w.ask("GET", "/api/v1/audit/verify", "").Body.String(), `"at":7`)
}

// TestSendersAreWrittenDown: what a sender's request changes is written down as
// coming from it.
func TestSendersAreWrittenDown(t *testing.T) {
	t.Parallel()
	var origin string
	w := newWorld(t, server.Config{}, func(d *server.Deps) {
		d.JSON = func(ctx context.Context, _ string, _ []byte) (int, error) {
			origin = tocsin.OriginOf(ctx)
			return 1, nil
		}
		d.Heartbeat = func(ctx context.Context, _ string) error { origin = tocsin.OriginOf(ctx); return nil }
		d.Backup = nil
	})
	require.Equal(t, http.StatusOK, w.ask("POST", "/webhook/json/grafana", "{}").Code)
	assert.Equal(t, "webhook grafana from 127.0.0.1", origin)
	require.Equal(t, http.StatusOK, w.ask("POST", "/heartbeat/nightly", "").Code)
	assert.Equal(t, "heartbeat nightly from 127.0.0.1", origin)
}
