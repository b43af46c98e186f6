package bolt_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

// BenchmarkOnce is what an Idempotency-Key costs within a transaction, where as many
// are remembered as ever are: to look for it, and to remember it.
func BenchmarkOnce(b *testing.B) {
	s, err := bolt.Open(filepath.Join(b.TempDir(), "data"), bolt.Options{MinFree: -1, Ballast: -1})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	now, n := time.Now(), uint64(0)
	send := func(tx tocsin.Tx) error {
		n++
		o := tocsin.Once{Who: fmt.Sprint("w", n%10), Body: fmt.Sprintf("%064x", n), Makes: tocsin.MadeSilence}
		binary.BigEndian.PutUint64(o.Name[:], n*0x9e3779b97f4a7c15)
		ctx := tocsin.WithOnce(context.Background(), &o)
		if err := tocsin.Again(ctx, tx, tocsin.MadeSilence, now); err != nil {
			return err
		}
		return tocsin.Done(ctx, tx, tocsin.MadeSilence, "s00001", now)
	}
	require.NoError(b, s.Update(b.Context(), func(tx tocsin.Tx) error {
		for range 20_000 {
			if err := send(tx); err != nil {
				return err
			}
		}
		return nil
	}))
	b.ReportAllocs()
	require.NoError(b, s.Update(b.Context(), func(tx tocsin.Tx) error {
		for b.Loop() {
			if err := send(tx); err != nil {
				return err
			}
		}
		docs, _ := tx.Documents("once-00")
		require.Len(b, docs, 160)
		return nil
	}))
}
