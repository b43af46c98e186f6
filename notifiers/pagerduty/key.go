package pagerduty

import (
	"crypto/sha256"
	"strconv"
	"strings"

	"github.com/tocsin-oncall/tocsin"
)

const (
	keyPrefix = "tocsin-"
	// tagLetters are 16, without vowels: a tag is no word, and no number.
	tagLetters = "bcdfghjkmnpqrstv"
	tagLength  = 4
)

// Key is a dedup key in its parts: "tocsin-k7f3q9-rbtm-2". PagerDuty repeats it
// as the incident_key of the incident that it opens.
type Key struct {
	// Incident is the ID of our incident.
	Incident string
	// Base is the key without its turn: one incident and one routing key.
	Base string
	// Turn counts the incidents that the key's base had in PagerDuty, from 1: what
	// is resolved there is never reopened by an event.
	Turn int
}

// ParseKey takes a dedup key apart, and reports whether it is one of ours.
func ParseKey(s string) (Key, bool) {
	rest, ours := strings.CutPrefix(s, keyPrefix)
	if !ours || len(s) > maxDedupKey {
		return Key{}, false
	}
	k := Key{Base: s, Turn: 1}
	k.Incident, rest, _ = strings.Cut(rest, "-")
	if last := strings.LastIndexByte(rest, '-') + 1; rest != "" {
		if n, err := strconv.ParseUint(rest[last:], 10, 31); err == nil && n > 1 {
			k.Turn = int(n)
			k.Base = strings.TrimSuffix(s[:len(s)-len(rest[last:])], "-")
		}
	}
	return k, k.Incident != ""
}

// next is the key of the incident after.
func (k Key) next() string { return k.Base + "-" + strconv.Itoa(k.Turn+1) }

// dedupKey is the key that was told before; after a resolution, the one after
// it, so that nothing that PagerDuty tells of the old incident is taken for the
// new one; or one made of the incident's ID and the routing key, since an
// incident may be told to several services.
func (p *Notifier) dedupKey(n *tocsin.Notice) string {
	if ref := n.Delivery.Ref; ref != "" {
		if k, ours := ParseKey(ref); ours && n.Delivery.State == tocsin.Resolved {
			return k.next()
		}
		return ref
	}
	id := n.Incident.ID
	if key := keyPrefix + id; len(key) > maxDedupKey-2*tagLength || key != cleanLine(key) {
		id = tocsin.NewKey(id).String()
	}
	return keyPrefix + id + "-" + p.tag
}

// tag tells routing keys apart without telling what they are.
func tag(routingKey string) string {
	sum := sha256.Sum256([]byte("dedup key\x00" + routingKey))
	var out [tagLength]byte
	for i := range out {
		out[i] = tagLetters[sum[i]%uint8(len(tagLetters))]
	}
	return string(out[:])
}
