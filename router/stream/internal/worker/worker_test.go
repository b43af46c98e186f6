package worker_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/router/stream/internal/worker"
)

type bm struct{ w tocsin.Wake }

func (m *bm) Wake() (tocsin.Wake, error)   { return m.w, nil }
func (m *bm) Delivered() uint64            { return 1 }
func (m *bm) Ack()                         {}
func (m *bm) Nak(time.Duration)            {}
func (m *bm) Term(string)                  {}
func (m *bm) Extend(context.Context) error { return nil }

func BenchmarkPool(b *testing.B) {
	p := worker.New(b.Context(), func(context.Context, tocsin.Wake) error { return nil },
		worker.Options{Limit: 1024, Lease: 30 * time.Second, Logger: slog.Default()})
	b.ReportAllocs()
	for b.Loop() {
		p.Take(&bm{})
	}
	p.Drain()
}
