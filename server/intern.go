package server

import "hash/maphash"

// The interner's size, and the longest string that is worth remembering.
const (
	internSlots = 1024
	internMax   = 64
)

// interner gives the same string for the same bytes, so that label names and
// the values that every alert repeats are allocated once. It remembers one
// string a slot: hostile input makes it useless, never large. What it returns
// never refers to the bytes it was given.
type interner struct {
	seed  maphash.Seed
	slots [internSlots]string
}

func newInterner() *interner { return &interner{seed: maphash.MakeSeed()} }

// text returns b as a string. A guess that is right saves the look-up.
func (in *interner) text(b []byte, guess string) string {
	if guess == string(b) {
		return guess
	}
	if len(b) == 0 {
		return ""
	}
	if len(b) > internMax {
		return string(b)
	}
	slot := &in.slots[maphash.Bytes(in.seed, b)%internSlots]
	if *slot != string(b) {
		*slot = string(b)
	}
	return *slot
}
