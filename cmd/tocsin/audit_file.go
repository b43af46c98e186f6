package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-oncall/tocsin"
)

const (
	// auditEvery is how often the file is brought up to the log, and auditBatch how
	// many records are written before an fsync.
	auditEvery = 250 * time.Millisecond
	auditBatch = 500
	// auditComplain is how often a failure that lasts is logged.
	auditComplain = time.Minute
)

// auditSource is the audit log.
type auditSource interface {
	Audit(ctx context.Context, after uint64, limit int) ([]tocsin.AuditRecord, error)
	LastSeq() uint64
}

// auditFile appends the audit log to a file, one record a line. It follows the log
// and never holds it up. Where the file ends is where it goes on: nothing but the
// file itself says so. It is used by one goroutine at a time.
type auditFile struct {
	path   string
	source auditSource
	log    *slog.Logger
	now    func() time.Time
	lag    prometheus.Gauge
	failed prometheus.Counter

	file *os.File
	// size is the file's, and seq and hash are of its last record.
	size int64
	seq  uint64
	hash tocsin.AuditHash
	// complained is when a failure was logged last.
	complained time.Time
}

func newAuditFile(path string, source auditSource, log *slog.Logger, reg prometheus.Registerer) *auditFile {
	f := &auditFile{
		path: path, source: source, log: log, now: time.Now,
		lag: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tocsin_audit_lag_records", Help: "Records of the audit log that are not in audit.file yet.",
		}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tocsin_audit_failures_total", Help: "How often audit.file could not be written.",
		}),
	}
	reg.MustRegister(f.lag, f.failed)
	return f
}

// run follows the log until ctx ends.
func (f *auditFile) run(ctx context.Context) error {
	tick := time.NewTicker(auditEvery)
	defer tick.Stop()
	for {
		f.catchUp(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// catchUp brings the file up to the log, or logs why it cannot.
func (f *auditFile) catchUp(ctx context.Context) {
	err := f.write(ctx)
	last := f.source.LastSeq()
	f.lag.Set(float64(last - min(last, f.seq)))
	if err == nil || ctx.Err() != nil {
		return
	}
	f.failed.Inc()
	f.close() // what was half written is cut off when it is opened again
	if now := f.now(); now.Sub(f.complained) >= auditComplain {
		f.complained = now
		f.log.Error("the audit log could not be written to audit.file; it is tried again, and nothing is lost meanwhile", "file", f.path, "error", err)
	}
}

func (f *auditFile) close() {
	if f.file != nil {
		_ = f.file.Close() // what matters was synced
		f.file = nil
	}
}

// write appends what is new.
func (f *auditFile) write(ctx context.Context) error {
	if err := f.ready(); err != nil {
		return err
	}
	for f.seq != f.source.LastSeq() {
		records, err := f.source.Audit(ctx, f.seq, auditBatch)
		if err != nil {
			return err
		}
		if f.seq > 0 {
			if len(records) == 0 || records[0].Seq != f.seq || records[0].Hash != f.hash {
				if err := f.setAside(); err != nil {
					return err
				}
				continue
			}
			records = records[1:]
		}
		if len(records) == 0 {
			return nil
		}
		if err := f.append(records...); err != nil {
			return err
		}
	}
	return nil
}

func (f *auditFile) append(records ...tocsin.AuditRecord) error {
	var b []byte
	for i := range records {
		b = records[i].AppendLine(b)
	}
	if _, err := f.file.Write(b); err != nil {
		return err
	}
	if err := f.file.Sync(); err != nil {
		return err
	}
	last := &records[len(records)-1]
	f.size, f.seq, f.hash = f.size+int64(len(b)), last.Seq, last.Hash
	return nil
}

// ready sees to it that the file is open, and is the one that has the name: who
// rotates files renames or cuts them.
func (f *auditFile) ready() error {
	if f.file != nil {
		held, err := f.file.Stat()
		if err != nil {
			return err
		}
		named, err := os.Stat(f.path)
		if err == nil && os.SameFile(held, named) && held.Size() == f.size {
			return nil
		}
		f.close()
	}
	file, err := os.OpenFile(f.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	f.file = file
	if err := f.resume(); err != nil {
		f.close()
		return err
	}
	return nil
}

// resume finds out where the file ends. A last line that was not finished is cut
// off. A new file in the place of one that was written until now begins with a
// mark.
func (f *auditFile) resume() error {
	line, torn, size, err := lastLine(f.file)
	if err != nil {
		return err
	}
	var r tocsin.AuditRecord
	if len(line) > 0 {
		if r, err = tocsin.ParseAuditLine(line); err != nil {
			return fmt.Errorf("its last line: %w; move the file away, or name another one", err)
		}
	}
	if begins := []byte(auditLineBegins); !bytes.HasPrefix(torn, begins[:min(len(torn), len(begins))]) {
		return errors.New("it does not end as an audit log does; move the file away, or name another one")
	}
	if err := f.file.Truncate(size); err != nil {
		return err
	}
	f.size = size
	if len(line) > 0 {
		f.seq, f.hash = r.Seq, r.Hash
		return nil
	}
	if f.seq == 0 {
		return nil
	}
	return f.append(tocsin.AuditRecord{Seq: f.seq, Hash: f.hash})
}

// auditLineBegins is how every line begins.
const auditLineBegins = `{"hash":"`

// lastLine returns the last whole line of a file, what follows on it, and where it
// ends.
func lastLine(file *os.File) (line, torn []byte, end int64, err error) {
	info, err := file.Stat()
	if err != nil {
		return nil, nil, 0, err
	}
	for window := int64(1 << 16); ; window *= 4 {
		from := max(0, info.Size()-window)
		b := make([]byte, info.Size()-from)
		if _, err := file.ReadAt(b, from); err != nil && !errors.Is(err, io.EOF) {
			return nil, nil, 0, err
		}
		stop := bytes.LastIndexByte(b, '\n')
		start := bytes.LastIndexByte(b[:max(stop, 0)], '\n')
		if start >= 0 || from == 0 {
			return b[start+1 : stop+1], b[stop+1:], from + int64(stop) + 1, nil
		}
	}
}

// setAside gives the file another name where it has what the store has not: a
// backup was restored, or the file was not written for longer than events are
// kept.
func (f *auditFile) setAside() error {
	f.close()
	aside := fmt.Sprintf("%s.until-%s", f.path, f.now().UTC().Format("20060102T150405.000000000Z"))
	if err := os.Rename(f.path, aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f.log.Error("audit.file does not go on where the store's log does: a backup was restored, or it was not written for too long; it has another name now, and a new one is begun",
		"file", f.path, "now", aside, "record", f.seq, "last", f.source.LastSeq())
	f.seq, f.hash = 0, tocsin.AuditHash{}
	return f.ready()
}
