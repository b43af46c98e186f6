package bolt

import (
	"iter"
	"math/bits"
	"slices"

	"github.com/tocsin-oncall/tocsin"
)

// index finds firing alerts by the keys in AlertState.Index. It may hold alerts
// that are dead and not yet cleared away.
type index map[tocsin.Key]bag

// bag is a set of alerts. Most keys have one alert, which needs no map.
type bag struct {
	one  *alert
	many map[*alert]struct{}
}

// indexed is the keys that a state is found by.
func indexed(s *tocsin.AlertState) []tocsin.Key {
	if !s.Firing {
		return nil
	}
	return s.Index
}

// move changes the keys of a from those of old to those of new.
func (x index) move(a *alert, old tocsin.AlertState, new *tocsin.AlertState) {
	from, to := indexed(&old), indexed(new)
	if slices.Equal(from, to) {
		return
	}
	for _, k := range from {
		x.delete(k, a)
	}
	for _, k := range to {
		x.add(k, a)
	}
}

// remove takes a, whose state is s, from all its keys.
func (x index) remove(a *alert, s tocsin.AlertState) { x.move(a, s, &tocsin.AlertState{}) }

func (x index) add(k tocsin.Key, a *alert) {
	b := x[k]
	switch {
	case b.one == a:
		return
	case b.many != nil:
		b.many[a] = struct{}{}
		return
	case b.one == nil:
		b.one = a
	default:
		b = bag{many: map[*alert]struct{}{b.one: {}, a: {}}}
	}
	x[k] = b
}

func (x index) delete(k tocsin.Key, a *alert) {
	b := x[k]
	delete(b.many, a)
	switch {
	case b.one == a, b.one == nil && len(b.many) == 0:
		delete(x, k)
	case len(b.many) == 1: // a map that was large stays slow to iterate over
		for last := range b.many {
			x[k] = bag{one: last}
		}
	}
}

// all yields the alerts under k.
func (x index) all(k tocsin.Key) iter.Seq[*alert] {
	return func(yield func(*alert) bool) {
		b := x[k]
		if b.one != nil {
			yield(b.one)
			return
		}
		for a := range b.many {
			if !yield(a) {
				return
			}
		}
	}
}

// bitmap is a set of small numbers, the first 64 of which need no allocation.
type bitmap struct {
	first uint64
	more  []uint64
}

func (b *bitmap) set(n int, v bool) {
	w := &b.first
	if n >= 64 {
		for len(b.more) < n/64 {
			b.more = append(b.more, 0)
		}
		w = &b.more[n/64-1]
	}
	if v {
		*w |= 1 << (n % 64)
	} else {
		*w &^= 1 << (n % 64)
	}
}

func (b *bitmap) has(n int) bool { return b.word(n/64)>>(n%64)&1 == 1 }

func (b *bitmap) word(n int) uint64 {
	switch {
	case n == 0:
		return b.first
	case n <= len(b.more):
		return b.more[n-1]
	default:
		return 0
	}
}

// all yields the numbers in the set in ascending order.
func (b *bitmap) all() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range len(b.more) + 1 {
			for w := b.word(i); w != 0; w &= w - 1 {
				if !yield(i*64 + bits.TrailingZeros64(w)) {
					return
				}
			}
		}
	}
}
