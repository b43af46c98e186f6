package tocsin

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/fnv"
)

// Key is a 128-bit identity: of an alert, of an incident's group, of an entry
// in the store's index. It is written as 32 hex digits. The zero Key names
// nothing.
type Key [16]byte

// NewKey hashes parts into a Key. Parts are length-prefixed, so ("ab", "c")
// and ("a", "bc") differ. The Key is the first 128 bits of their SHA-256: two
// label sets that collide under Alertmanager's 64-bit fingerprint do not
// collide here.
func NewKey(parts ...string) Key {
	h := sha256.New()
	for _, p := range parts {
		writePart(h, p)
	}
	return sumKey(h)
}

func writePart(h hash.Hash, p string) {
	var n [4]byte
	binary.BigEndian.PutUint32(n[:], uint32(len(p)))
	h.Write(n[:])
	h.Write([]byte(p))
}

func sumKey(h hash.Hash) Key {
	var sum [sha256.Size]byte
	return Key(h.Sum(sum[:0])[:16])
}

// IsZero reports whether k names nothing.
func (k Key) IsZero() bool { return k == Key{} }

// String returns the 32 hex digits.
func (k Key) String() string { return hex.EncodeToString(k[:]) }

// MarshalText writes the 32 hex digits.
func (k Key) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, k[:]), nil }

// UnmarshalText reads 32 hex digits; anything else is an error.
func (k *Key) UnmarshalText(text []byte) error {
	if len(text) != 2*len(k) {
		return fmt.Errorf("key %q: want %d hex digits", text, 2*len(k))
	}
	_, err := hex.Decode(k[:], text)
	return err
}

// idAlphabet has no vowels and no look-alikes, so that an ID reads well aloud
// and never spells a word.
const idAlphabet = "23456789bcdfghjkmnpqrstvwxyz"

// IDLength is the number of characters of an incident's ID.
const IDLength = 6

// Seed is the randomness that a pure decision draws its IDs from. It is made
// once per input, outside the decision, so that running the decision again
// yields the same IDs.
type Seed [16]byte

// NewSeed returns fresh randomness.
func NewSeed() Seed {
	var s Seed
	_, _ = rand.Read(s[:]) // crypto/rand.Read never returns an error since Go 1.24
	return s
}

// ID returns the n-th short ID drawn from the seed, for people to type:
// "k7f3q9". 28^6 is about 480 million; the caller asks for the next one when an
// ID is taken.
func (s Seed) ID(n int) string {
	h := fnv.New64a()
	h.Write(s[:])
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n))
	sum := sha256.Sum256(h.Sum(append(s[:], b[:]...)))
	v := binary.BigEndian.Uint64(sum[:8])
	var id [IDLength]byte
	for i := range id {
		id[i] = idAlphabet[v%uint64(len(idAlphabet))]
		v /= uint64(len(idAlphabet))
	}
	return string(id[:])
}
