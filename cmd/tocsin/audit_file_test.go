package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

// followed is a store and the file that its audit log is written to.
type followed struct {
	t        *testing.T
	store    *bolt.Store
	dir      string
	path     string
	registry *prometheus.Registry
	*auditFile
}

func newFollowed(t *testing.T) *followed {
	t.Helper()
	f := &followed{t: t, dir: t.TempDir()}
	f.path = filepath.Join(f.dir, "audit.jsonl")
	f.open()
	t.Cleanup(func() {
		f.close()
		assert.NoError(t, f.store.Close())
	})
	return f
}

func (f *followed) open() {
	var err error
	f.store, err = bolt.Open(f.dir, bolt.Options{Ballast: -1, MinFree: -1, Retention: time.Hour})
	require.NoError(f.t, err)
	f.anew()
}

// anew begins to follow as a program does that has just been started.
func (f *followed) anew() {
	if f.auditFile != nil {
		f.close()
	}
	f.registry = prometheus.NewRegistry()
	f.auditFile = newAuditFile(f.path, f.store, newTestLogger(f.t), f.registry)
}

// add appends n events, at a time.
func (f *followed) add(n int, at time.Time) {
	f.t.Helper()
	require.NoError(f.t, f.store.Update(f.t.Context(), func(tx tocsin.Tx) error {
		for i := range n {
			tx.Append(tocsin.Event{Kind: tocsin.EventChange, At: at, Text: fmt.Sprint("change ", i)})
		}
		return nil
	}))
}

// verified asserts that the files, one behind the other, verify and end where the
// store does.
func (f *followed) verified(paths ...string) tocsin.AuditReport {
	f.t.Helper()
	report, err := verifyLines(append(paths, f.path), tocsin.AuditHash{})
	require.NoError(f.t, err)
	require.True(f.t, report.OK, "%+v", report)
	require.Equal(f.t, f.store.LastSeq(), report.Last)
	return report
}

func TestAuditFileFollows(t *testing.T) {
	t.Parallel()
	f := newFollowed(t)
	f.add(1200, time.Now())
	f.catchUp(t.Context())
	assert.EqualValues(t, 1200, f.verified().Records)
	info, err := os.Stat(f.path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	f.add(1, time.Now())
	assert.Zero(t, f.value("tocsin_audit_lag_records"))
	f.anew()
	f.catchUp(t.Context())
	assert.EqualValues(t, 1201, f.verified().Records, "it goes on where the file ends")
}

// TestAuditFileTorn cuts the file anywhere in its last lines, as a crash may.
func TestAuditFileTorn(t *testing.T) {
	t.Parallel()
	f := newFollowed(t)
	f.add(3, time.Now())
	f.catchUp(t.Context())
	whole := read(t, f.path)
	second := bytes.IndexByte(whole, '\n') + 1
	for cut := len(whole) - 1; cut >= 0; cut -= 1 + cut%3 {
		f.anew()
		require.NoError(t, os.Truncate(f.path, int64(cut)))
		f.catchUp(t.Context())
		require.Equal(t, whole, read(t, f.path), "cut at %d of %d, %d", cut, len(whole), second)
	}
}

// TestAuditFileRotated renames and cuts the file under the program.
func TestAuditFileRotated(t *testing.T) {
	t.Parallel()
	f := newFollowed(t)
	f.add(5, time.Now())
	f.catchUp(t.Context())
	require.NoError(t, os.Rename(f.path, f.path+".1"))
	f.add(5, time.Now())
	f.catchUp(t.Context())
	assert.EqualValues(t, 10, f.verified(f.path+".1").Records)
	assert.EqualValues(t, 5, f.verified().Records, "alone, too")

	copied := read(t, f.path)
	require.NoError(t, os.WriteFile(f.path+".2", copied, 0o600))
	require.NoError(t, os.Truncate(f.path, 0))
	f.catchUp(t.Context())
	f.anew() // a restart knows where it was although there is no event in the file
	f.add(2, time.Now())
	f.catchUp(t.Context())
	assert.EqualValues(t, 12, f.verified(f.path+".1", f.path+".2").Records)
}

// TestAuditFileOfAnotherTime: a file that has what the store has not is kept, under
// another name.
func TestAuditFileOfAnotherTime(t *testing.T) {
	t.Parallel()
	f := newFollowed(t)
	f.add(5, time.Now())
	var backup bytes.Buffer
	_, err := f.store.Backup(&backup)
	require.NoError(t, err)
	f.add(5, time.Now())
	f.catchUp(t.Context())
	require.NoError(t, f.store.Close())
	saved := filepath.Join(t.TempDir(), "backup")
	require.NoError(t, os.WriteFile(saved, backup.Bytes(), 0o600))
	require.NoError(t, bolt.Restore(saved, f.dir, true))
	f.open()
	f.catchUp(t.Context())
	assert.EqualValues(t, 5, f.verified().Records)
	aside, err := filepath.Glob(f.path + ".until-*")
	require.NoError(t, err)
	require.Len(t, aside, 1)
	report, err := verifyLines(aside, tocsin.AuditHash{})
	require.NoError(t, err)
	assert.EqualValues(t, 10, report.Records)
}

// TestAuditFileBehindTheRetention: what was dropped before it was written is a
// mark, and verifies; what the chain has lost begins a new file.
func TestAuditFileBehindTheRetention(t *testing.T) {
	t.Parallel()
	f := newFollowed(t)
	old := time.Now().Add(-3 * time.Hour)
	require.NoError(t, f.store.Update(t.Context(), func(tx tocsin.Tx) error {
		tx.PutIncident(&tocsin.Incident{ID: "kept", State: tocsin.Triggered, OpenedAt: old})
		tx.Append(tocsin.Event{Kind: tocsin.EventOpened, Incident: "kept", At: old})
		return nil
	}))
	f.catchUp(t.Context())
	f.add(1500, old)
	_, err := f.store.Purge(t.Context(), time.Now())
	require.NoError(t, err)
	f.add(1, time.Now())
	f.catchUp(t.Context())
	report := f.verified()
	assert.EqualValues(t, 1500, report.Dropped)
	assert.EqualValues(t, 3, report.Records, "the incident's, what the log says of the retention, and the new one")
	out, err := documentedScript(t, f.path)
	require.NoError(t, err, out)
	aside, err := filepath.Glob(f.path + ".until-*")
	require.NoError(t, err)
	assert.Empty(t, aside)
}

// TestAuditFileFails: a file that cannot be written is tried again, counted, and
// told; one that is no audit log is left alone.
func TestAuditFileFails(t *testing.T) {
	t.Parallel()
	f := newFollowed(t)
	f.add(4, time.Now())
	require.NoError(t, os.Mkdir(f.path, 0o700))
	f.catchUp(t.Context())
	assert.EqualValues(t, 1, f.value("tocsin_audit_failures_total"))
	assert.EqualValues(t, 4, f.value("tocsin_audit_lag_records"))
	require.NoError(t, os.Remove(f.path))
	for _, text := range []string{"somebody's notes", "somebody's notes\n", "{\"hash\":\"x\"}\n"} {
		require.NoError(t, os.WriteFile(f.path, []byte(text), 0o600))
		f.catchUp(t.Context())
		assert.Equal(t, text, string(read(t, f.path)))
	}
	require.NoError(t, os.Remove(f.path))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.run(ctx) }()
	require.Eventually(t, func() bool { return f.value("tocsin_audit_lag_records") == 0 }, 20*time.Second, 5*time.Millisecond)
	cancel()
	require.NoError(t, <-done)
	f.verified()
}

// value is what a metric shows.
func (f *followed) value(name string) float64 {
	f.t.Helper()
	families, err := f.registry.Gather()
	require.NoError(f.t, err)
	for _, m := range families {
		if m.GetName() == name {
			return m.Metric[0].GetGauge().GetValue() + m.Metric[0].GetCounter().GetValue()
		}
	}
	require.Fail(f.t, "no such metric", name)
	return 0
}
