package tocsin_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
)

// chain returns the records of n events, of which those in gone are dropped, and an
// event behind them that claims the claimed.
func chain(t require.TestingT, n uint64, gone, claimed tocsin.SeqRanges) []tocsin.AuditRecord {
	var out []tocsin.AuditRecord
	var hash tocsin.AuditHash
	var left []byte
	add := func(e tocsin.Event) {
		raw, err := json.Marshal(e)
		require.NoError(t, err)
		next := hash.Next(raw)
		if gone.Missing(tocsin.SeqRange{First: e.Seq, Last: e.Seq}) == 0 {
			digest := sha256.Sum256(raw)
			left = append(left, digest[:]...)
			hash = next
			return
		}
		if left != nil {
			mark := tocsin.AuditRecord{Seq: e.Seq - 1, Hash: hash, Digests: left}
			if len(out) == 0 {
				mark.Digests = nil
			}
			out, left = append(out, mark), nil
		}
		hash = next
		out = append(out, tocsin.AuditRecord{Seq: e.Seq, Hash: hash, Raw: raw})
	}
	for seq := range n {
		add(tocsin.Event{Seq: seq + 1, Kind: tocsin.EventNote, Text: fmt.Sprint("<note> ", seq)})
	}
	after, err := json.Marshal(tocsin.AuditClaim{Dropped: claimed.String(), Head: hash})
	require.NoError(t, err)
	add(tocsin.Event{Seq: n + 1, Kind: tocsin.EventLog, After: string(after)})
	return out
}

func check(records []tocsin.AuditRecord) tocsin.AuditReport {
	c := tocsin.AuditCheck{Whole: true}
	for _, r := range records {
		_ = c.Add(r) // the report says it
	}
	return c.Report()
}

func drawRanges(t *rapid.T, name string, most uint64) tocsin.SeqRanges {
	var out tocsin.SeqRanges
	for range rapid.IntRange(0, 4).Draw(t, name) {
		first := rapid.Uint64Range(1, most).Draw(t, "first")
		out = out.Union(tocsin.SeqRanges{{First: first, Last: rapid.Uint64Range(first, most).Draw(t, "last")}})
	}
	return out
}

// TestAuditCheck: a log verifies when what is missing is claimed; no line of it can
// be changed, left out or doubled.
func TestAuditCheck(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(2, 30).Draw(t, "events")
		gone, claimed := drawRanges(t, "gone", n), drawRanges(t, "claimed", n)
		records := chain(t, n, gone, claimed)
		missing := slices.ContainsFunc(gone, func(r tocsin.SeqRange) bool { return claimed.Missing(r) != 0 })
		report := check(records)
		require.Equal(t, !missing, report.OK, "%+v", report)
		if missing {
			return
		}
		var again []tocsin.AuditRecord
		for _, r := range records {
			parsed, err := tocsin.ParseAuditLine(r.AppendLine(nil))
			require.NoError(t, err)
			again = append(again, parsed)
		}
		require.Equal(t, records, again)

		at := rapid.IntRange(0, len(again)-1).Draw(t, "at")
		switch rapid.SampledFrom([]string{"flip", "leave out", "double", "swap"}).Draw(t, "how") {
		case "flip":
			if again[at].IsMark() {
				return
			}
			again[at].Raw = slices.Clone(again[at].Raw)
			again[at].Raw[rapid.IntRange(0, len(again[at].Raw)-1).Draw(t, "byte")] ^= 1
		case "leave out":
			if at == len(again)-1 || claimed.Missing(tocsin.SeqRange{First: again[at].Seq, Last: again[at].Seq}) == 0 {
				return // nothing tells of the end but the head; and what is said to be dropped may be missing
			}
			again = slices.Delete(again, at, at+1)
		case "double":
			if again[at].IsMark() {
				return
			}
			again = slices.Insert(again, at, again[at])
		case "swap":
			if at == 0 {
				return
			}
			again[at-1], again[at] = again[at], again[at-1]
		}
		require.False(t, check(again).OK)
	})
}

func TestSeqRanges(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawRanges(t, "a", 40), drawRanges(t, "b", 40)
		parsed, err := tocsin.ParseSeqRanges(a.String())
		require.NoError(t, err)
		require.Equal(t, a, parsed)
		both := a.Union(b)
		for seq := uint64(1); seq <= 40; seq++ {
			one := tocsin.SeqRange{First: seq, Last: seq}
			require.Equal(t, a.Missing(one) == 0 || b.Missing(one) == 0, both.Missing(one) == 0)
		}
	})
	assert.Equal(t, "1-17,21", tocsin.SeqRanges{{First: 1, Last: 17}, {First: 21, Last: 21}}.String())
	assert.Equal(t, tocsin.SeqRanges{{First: 1, Last: math.MaxUint64}}, tocsin.SeqRanges{{First: 1, Last: math.MaxUint64}}.Union(tocsin.SeqRanges{{First: 5, Last: 6}}))
	assert.EqualValues(t, 18, tocsin.SeqRanges{{First: 1, Last: 17}}.Missing(tocsin.SeqRange{First: 3, Last: 19}))
	for _, bad := range []string{",", "1-", "-2", "0", "3-2", "a", "1,,2"} {
		_, err := tocsin.ParseSeqRanges(bad)
		assert.Error(t, err, bad)
	}
}

// FuzzParseAuditLine: what can be read is written as it was read.
func FuzzParseAuditLine(f *testing.F) {
	for _, r := range chain(f, 5, tocsin.SeqRanges{{First: 2, Last: 3}}, nil) {
		f.Add(r.AppendLine(nil))
	}
	f.Add([]byte(`{"hash":"","seq":1}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := tocsin.ParseAuditLine(line)
		if err != nil {
			return
		}
		again, err := tocsin.ParseAuditLine(r.AppendLine(nil))
		require.NoError(t, err)
		require.Equal(t, r, again)
	})
}
