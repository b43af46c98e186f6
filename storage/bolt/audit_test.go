package bolt_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// allRecords returns the whole audit log, read in portions.
func allRecords(t require.TestingT, s *bolt.Store, portion int) []tocsin.AuditRecord {
	var all []tocsin.AuditRecord
	for after := uint64(0); ; {
		records, err := s.Audit(context.Background(), after, portion)
		require.NoError(t, err)
		if len(all) > 0 && len(records) > 0 && records[0].IsMark() && records[0].Seq == after {
			require.Equal(t, all[len(all)-1].Hash, records[0].Hash)
			records = records[1:]
		}
		if len(records) == 0 {
			return all
		}
		all, after = append(all, records...), records[len(records)-1].Seq
	}
}

// sound asserts that the log verifies, in the store and as it is read.
func sound(t require.TestingT, s *bolt.Store) tocsin.AuditReport {
	report, err := s.VerifyAudit(context.Background(), tocsin.AuditHash{})
	require.NoError(t, err)
	require.True(t, report.OK, "%d %s", report.At, report.Problem)
	require.Equal(t, s.LastSeq(), report.Last)
	check := tocsin.AuditCheck{Whole: true}
	for _, r := range allRecords(t, s, 7) {
		require.NoError(t, check.Add(r))
	}
	require.Equal(t, report, check.Report())
	return report
}

func TestAuditOfAnEmptyStore(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), bolt.Options{})
	assert.Equal(t, tocsin.AuditReport{OK: true}, sound(t, s))
	assert.Empty(t, allRecords(t, s, 10))
}

// TestAuditOrigin: where an update comes from is in its events, unless they say
// it themselves.
func TestAuditOrigin(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), bolt.Options{})
	ctx := tocsin.WithOrigin(t.Context(), "API from 10.0.3.7")
	require.NoError(t, s.Update(ctx, func(tx tocsin.Tx) error {
		tx.Append(tocsin.Event{Kind: tocsin.EventNote, Text: "a"}, tocsin.Event{Kind: tocsin.EventNote, Text: "b", Origin: "Slack", Before: "x", After: `{"y":1}`})
		return nil
	}))
	require.NoError(t, s.Update(t.Context(), func(tx tocsin.Tx) error {
		tx.Append(tocsin.Event{Kind: tocsin.EventNote, Text: "c"})
		return nil
	}))
	var origins []string
	for _, r := range allRecords(t, s, 10) {
		e, err := r.Event()
		require.NoError(t, err)
		origins = append(origins, e.Origin)
		if e.Text == "b" {
			assert.Equal(t, []string{"x", `{"y":1}`}, []string{e.Before, e.After})
		}
	}
	assert.Equal(t, []string{"API from 10.0.3.7", "Slack", ""}, origins)
	require.ErrorIs(t, s.Update(t.Context(), func(tx tocsin.Tx) error {
		tx.Append(tocsin.Event{Kind: tocsin.EventLog, Text: "nothing was dropped, believe me"})
		return nil
	}), tocsin.ErrInvalid, "only the store speaks of the log")
	sound(t, s)
}

// TestAuditOfSchema1: the events of a file from before the chain are on it, and an
// event says so.
func TestAuditOfSchema1(t *testing.T) {
	t.Parallel()
	s := open(t, ofSchema1(t), bolt.Options{})
	report := sound(t, s)
	records := allRecords(t, s, 100)
	require.EqualValues(t, len(records), report.Records)
	e, err := records[len(records)-1].Event()
	require.NoError(t, err)
	assert.Equal(t, tocsin.EventLog, e.Kind)
	assert.Contains(t, e.Text, "were put on the chain as they were found")
	require.NoError(t, put(t.Context(), s, "next"))
	sound(t, s)
}

// history is a store with things done at random, opened again and purged now and
// then.
type history struct {
	path string
	s    *bolt.Store
	now  time.Time
	n    int
}

func (h *history) reopen(t require.TestingT) {
	if h.s != nil {
		require.NoError(t, h.s.Close())
	}
	var err error
	h.s, err = bolt.Open(h.path, bolt.Options{Ballast: -1, MinFree: -1, Retention: 10 * time.Hour, InitialMmapSize: 1 << 20})
	require.NoError(t, err)
}

// step does one thing at random.
func (h *history) step(t *rapid.T) {
	h.now = h.now.Add(time.Duration(rapid.IntRange(0, 5).Draw(t, "hours")) * time.Hour)
	ids := []string{"a", "b", "c"}
	id := rapid.SampledFrom(ids).Draw(t, "incident")
	switch rapid.SampledFrom([]string{"update", "update", "update", "batch", "end", "end", "purge", "reopen"}).Draw(t, "step") {
	case "update":
		require.NoError(t, h.s.Update(context.Background(), h.opening(id)))
	case "batch":
		answers := make(chan error)
		for range 5 {
			fn := h.opening(id)
			go func() { answers <- h.s.Update(context.Background(), fn) }()
		}
		for range 5 {
			require.NoError(t, <-answers)
		}
	case "end":
		now := h.now
		require.NoError(t, h.s.Update(context.Background(), func(tx tocsin.Tx) error {
			if i := tx.Incident(id); i != nil && i.Open() {
				e, _ := i.Resolve("ana", "resolved", now)
				tx.PutIncident(i)
				tx.Append(e)
				tx.Archive(id)
			}
			return nil
		}))
	case "purge":
		_, err := h.s.Purge(context.Background(), h.now)
		require.NoError(t, err)
	case "reopen":
		h.reopen(t)
	}
}

// opening opens an incident unless it is there, and notes something.
func (h *history) opening(id string) func(tocsin.Tx) error {
	now, n := h.now, h.n
	h.n++
	return func(tx tocsin.Tx) error {
		if tx.Incident(id) == nil {
			tx.PutIncident(&tocsin.Incident{ID: id, State: tocsin.Triggered, Group: tocsin.NewKey(id), OpenedAt: now})
		}
		tx.Append(
			tocsin.Event{Kind: tocsin.EventNote, Incident: id, At: now, Text: fmt.Sprint("note ", n)},
			tocsin.Event{Kind: tocsin.EventChange, At: now, Text: fmt.Sprint("change ", n)})
		return nil
	}
}

// TestAuditSurvives does things at random, purges and restarts among them: the log
// verifies always, and any tampering with the file is found.
func TestAuditSurvives(t *testing.T) {
	t.Parallel()
	dir, n := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		h := &history{path: filepath.Join(dir, fmt.Sprint(n, ".db")), now: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}
		h.reopen(t)
		defer func() { _ = h.s.Close() }()
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			h.step(t)
		}
		sound(t, h.s)
		require.NoError(t, h.s.Check(context.Background()))
		require.NoError(t, h.s.Close())
		tampered(t, h.path)
	})
}

// tampered changes the file in one way at random and asserts that it is found.
func tampered(t *rapid.T, path string) {
	db, err := bbolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	how := ""
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
		events := tx.Bucket([]byte("events"))
		keys, _ := keysOf(events)
		if len(keys) == 0 {
			return nil
		}
		k := rapid.SampledFrom(keys).Draw(t, "event")
		v := bytes.Clone(events.Get(k))
		how = rapid.SampledFrom([]string{"flip", "rewrite", "drop", "swap", "insert", "flip the chain", "drop of the chain", "cut"}).Draw(t, "how")
		how = tamper(t, how, events, k, v)
		return nil
	}))
	require.NoError(t, db.Close())
	report, err := bolt.VerifyFile(context.Background(), path, tocsin.AuditHash{})
	require.NoError(t, err)
	require.Equal(t, how == "", report.OK, "%s: %+v", how, report)
	if how != "" {
		require.NotEmpty(t, report.Problem)
	}
}

// keysOf returns the keys of events, and of the records of the chain.
func keysOf(b *bbolt.Bucket) (events, chain [][]byte) {
	_ = b.ForEach(func(k, _ []byte) error {
		if len(k) == 8 {
			events = append(events, bytes.Clone(k))
		} else {
			chain = append(chain, bytes.Clone(k))
		}
		return nil
	})
	return events, chain
}

// tamper returns what it did, "" for nothing.
func tamper(t *rapid.T, how string, events *bbolt.Bucket, k, v []byte) string {
	keys, links := keysOf(events)
	flip := func(b []byte) []byte {
		at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
		b[at] ^= byte(1) << rapid.IntRange(0, 7).Draw(t, "bit")
		return b
	}
	switch how {
	case "flip":
		require.NoError(t, events.Put(k, flip(v)))
	case "rewrite": // the event, and what the chain says of it
		if bytes.Compare(k, links[len(links)-1]) > 0 { // only a hash that is kept elsewhere tells of the last ones
			return ""
		}
		require.NoError(t, events.Put(k, flip(v)))
		seq, digest := binary.BigEndian.Uint64(k), sha256.Sum256(v)
		for _, l := range slices.Backward(links) {
			if first := binary.BigEndian.Uint64(l) + 1; first <= seq {
				value := bytes.Clone(events.Get(l))
				copy(value[32*(1+seq-first):], digest[:])
				require.NoError(t, events.Put(l, value))
				break
			}
		}
	case "drop":
		require.NoError(t, events.Delete(k))
	case "swap":
		other := rapid.SampledFrom(keys).Draw(t, "other")
		if bytes.Equal(k, other) {
			return ""
		}
		theirs := bytes.Clone(events.Get(other))
		require.NoError(t, events.Put(k, theirs))
		require.NoError(t, events.Put(other, v))
	case "insert":
		at := binary.BigEndian.Uint64(keys[len(keys)-1]) + 1
		if rapid.Bool().Draw(t, "into a gap") {
			at = binary.BigEndian.Uint64(keys[0]) - 1
		}
		require.NoError(t, events.Put(binary.BigEndian.AppendUint64(nil, at), v))
	case "flip the chain", "drop of the chain":
		at := rapid.SampledFrom(links).Draw(t, "link")
		if how == "drop of the chain" {
			require.NoError(t, events.Delete(at))
		} else {
			require.NoError(t, events.Put(at, flip(bytes.Clone(events.Get(at)))))
		}
	case "cut":
		from := links[len(links)-1]
		for _, k := range keys {
			if bytes.Compare(k, from) >= 0 {
				require.NoError(t, events.Delete(k))
			}
		}
		require.NoError(t, events.Delete(from))
	}
	return how
}

// TestPurgesAreClaimedAnew: what old events of the log claim is claimed again when
// they are dropped themselves, so that the log does not grow for ever.
func TestPurgesAreClaimedAnew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, bolt.Options{Retention: time.Hour})
	now := time.Now()
	require.NoError(t, put(t.Context(), s, "kept"))
	for n := range 100 {
		at := now.Add(time.Duration(n) * time.Hour)
		for range 10 {
			require.NoError(t, s.Update(t.Context(), func(tx tocsin.Tx) error {
				tx.Append(tocsin.Event{Kind: tocsin.EventChange, At: at, Text: "change"})
				return nil
			}))
		}
		_, err := s.Purge(t.Context(), at)
		require.NoError(t, err)
		sound(t, s)
	}
	events, err := s.Log(t.Context(), 0, 1000)
	require.NoError(t, err)
	assert.Less(t, len(events), 40, "those of the last hour, and a few of the log")
	db := s.Stats().Size
	assert.Less(t, db, int64(1<<20))
}

// TestTamperedStoreOpens: paging goes on over a log that was tampered with, and
// the log's own tampering is not covered up by what is written after it.
func TestTamperedStoreOpens(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := bolt.Open(dir, bolt.Options{Ballast: -1})
	require.NoError(t, err)
	for n := range 5 {
		require.NoError(t, s.Update(t.Context(), stormy(n)))
	}
	require.NoError(t, s.Close())
	db, err := bbolt.Open(filepath.Join(dir, bolt.FileName), 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
		events := tx.Bucket([]byte("events"))
		_, links := keysOf(events)
		return events.Delete(links[len(links)-1])
	}))
	require.NoError(t, db.Close())
	s = open(t, dir, bolt.Options{})
	require.NoError(t, put(t.Context(), s, "more"))
	report, err := s.VerifyAudit(t.Context(), tocsin.AuditHash{})
	require.NoError(t, err)
	assert.False(t, report.OK)
	assert.NotZero(t, report.At)
	records, err := s.Audit(t.Context(), 0, 1000)
	require.NoError(t, err, "it can be read")
	assert.NotEmpty(t, records)

	var b bytes.Buffer
	_, err = s.Backup(&b)
	require.NoError(t, err)
	backup := filepath.Join(t.TempDir(), "backup")
	require.NoError(t, os.WriteFile(backup, b.Bytes(), 0o600))
	require.ErrorContains(t, bolt.Restore(backup, t.TempDir(), false), "tampered with")
}
