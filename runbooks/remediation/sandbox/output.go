package sandbox

import "fmt"

// kept is the first and the last half of what was written to it. Not safe for
// concurrent use.
type kept struct {
	head, tail []byte // the tail is a ring once it is full
	next       int    // where the ring goes on
	max        int    // of head and of tail together
	total      int64
}

func (k *kept) write(p []byte) {
	k.total += int64(len(p))
	if room := k.max/2 - len(k.head); room > 0 {
		n := min(room, len(p))
		k.head = append(k.head, p[:n]...)
		p = p[n:]
	}
	size := k.max - k.max/2
	if len(p) > size {
		p = p[len(p)-size:]
	}
	if room := size - len(k.tail); room > 0 {
		n := min(room, len(p))
		k.tail = append(k.tail, p[:n]...)
		p = p[n:]
	}
	for len(p) > 0 {
		n := copy(k.tail[k.next:], p)
		k.next = (k.next + n) % size
		p = p[n:]
	}
}

// bytes is what was kept. The line in the middle comes on top of max.
func (k *kept) bytes() []byte {
	out := append([]byte(nil), k.head...)
	if left := k.total - int64(len(k.head)+len(k.tail)); left > 0 {
		out = fmt.Appendf(out, "\n[… %d bytes left out …]\n", left)
	}
	out = append(out, k.tail[k.next:]...)
	return append(out, k.tail[:k.next]...)
}
