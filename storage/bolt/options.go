package bolt

import (
	"cmp"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-oncall/tocsin"
)

// Defaults of Options.
const (
	DefaultMinFree         = 256 << 20
	DefaultBallast         = 16 << 20
	DefaultQueue           = 1024
	DefaultWait            = 3 * time.Second
	DefaultInitialMmapSize = 1 << 30
	DefaultTimeout         = 2 * time.Second
)

// Options of a Store. The zero value is fit for use.
type Options struct {
	// MaxSize caps the bbolt file, in bytes: an update that would make it larger
	// is ErrUnavailable. 0: no cap. bbolt grows its file in steps, so the cap is
	// met up to a sixteenth early.
	MaxSize int64
	// MinFree is the disk floor: while the file system has less than this many
	// bytes left, updates are ErrUnavailable. 0: DefaultMinFree; negative: none.
	// It is looked at once a second.
	MinFree int64
	// Ballast is the size in bytes of the file that FreeBallast deletes.
	// 0: DefaultBallast; negative: none.
	Ballast int64
	// Retention is how long archived incidents are kept after they were
	// resolved; see Purge. 0: for ever.
	Retention time.Duration
	// Queue is how many updates may wait for the committer. 0: DefaultQueue.
	Queue int
	// Wait is how long an update waits for its turn before it is ErrUnavailable.
	// 0: DefaultWait.
	Wait time.Duration
	// Now is the clock. nil: time.Now.
	Now func() time.Time
	// Committed, where not nil, is called after every commit with the targets
	// that lag now among the incidents that the commit wrote; there may be none.
	// It is called by the committer, before the updates are answered: it must be
	// quick, and must not call Update, Purge, Check or Close. The slice is its
	// to keep.
	Committed func([]tocsin.Wake)
	// Logger; nil: nothing is logged.
	Logger *slog.Logger
	// Registerer for the metrics; nil: a private one.
	Registerer prometheus.Registerer
	// InitialMmapSize is how much of the file is mapped from the start, in
	// bytes, or twice the file's size where that is more. Growing beyond it
	// makes commits wait for readers, such as a backup. It costs address space
	// only. 0: DefaultInitialMmapSize.
	InitialMmapSize int
	// Timeout is how long Open waits for the file's lock. 0: DefaultTimeout.
	Timeout time.Duration
}

func (o Options) withDefaults() Options {
	o.MinFree = max(0, cmp.Or(o.MinFree, DefaultMinFree))
	o.Ballast = max(0, cmp.Or(o.Ballast, DefaultBallast))
	o.Queue = cmp.Or(o.Queue, DefaultQueue)
	o.Wait = cmp.Or(o.Wait, DefaultWait)
	o.InitialMmapSize = cmp.Or(o.InitialMmapSize, DefaultInitialMmapSize)
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Committed == nil {
		o.Committed = func([]tocsin.Wake) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	return o
}
