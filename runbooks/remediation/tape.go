package remediation

import (
	"fmt"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

const (
	// maxOutput bounds what is kept of the output of a remediation, in bytes: half
	// of its beginning, half of its end.
	maxOutput = 64 << 10
	half      = maxOutput / 2
	// margin is kept beyond, so that a secret of up to so many bytes that the cut
	// goes through is not shown in part.
	margin = 4 << 10
)

// tape keeps the beginning and the end of what is written to it. It is safe for
// concurrent use, and takes any amount.
type tape struct {
	redact func([]byte) []byte

	mu    sync.Mutex
	head  []byte
	tail  []byte // a ring, once it is full
	at    int
	total int64
}

// Write never fails.
func (t *tape) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.total += int64(len(p))
	n := len(p)
	take := min(len(p), half+margin-len(t.head))
	t.head, p = append(t.head, p[:take]...), p[take:]
	if len(p) > half+margin {
		p, t.at = p[len(p)-half-margin:], 0
	}
	take = min(len(p), half+margin-len(t.tail))
	t.tail, p = append(t.tail, p[:take]...), p[take:]
	for len(p) > 0 {
		k := copy(t.tail[t.at:], p)
		t.at, p = (t.at+k)%len(t.tail), p[k:]
	}
	return n, nil
}

// written is how much came in all.
func (t *tape) written() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.total
}

// text is what is kept, without secrets and without what a terminal would obey.
// While it goes on, the last line is held back until it is whole: it may be the
// beginning of a secret.
func (t *tape) text(ended bool) string {
	t.mu.Lock()
	head := string(t.head)
	tail := string(t.tail[t.at:]) + string(t.tail[:t.at])
	gap := t.total - int64(len(head)+len(tail))
	t.mu.Unlock()
	if !ended {
		if at := strings.LastIndexByte(head+tail, '\n'); at+1 < len(head) {
			head, tail = head[:at+1], ""
		} else {
			tail = tail[:at+1-len(head)]
		}
	}
	if gap == 0 {
		whole := plain(t.redact([]byte(head + tail)))
		if len(whole) <= maxOutput {
			return whole
		}
		return cutEnd(whole, half) + left(int64(len(whole)-maxOutput)) + cutStart(whole, len(whole)-half)
	}
	first, last := t.redact([]byte(head)), t.redact([]byte(tail))
	head, tail = plain(first[:max(0, len(first)-margin)]), plain(last[min(len(last), margin):])
	return cutEnd(head, half) + left(gap+2*margin) + cutStart(tail, max(0, len(tail)-half))
}

func left(n int64) string { return fmt.Sprintf("\n[… about %d bytes left out …]\n", n) }

// cutEnd is at most the first n bytes, and cutStart what follows the first n at
// least, without a broken character.
func cutEnd(s string, n int) string {
	if n >= len(s) {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func cutStart(s string, n int) string {
	for n < len(s) && !utf8.RuneStart(s[n]) {
		n++
	}
	return s[min(n, len(s)):]
}

// plain is text that nothing obeys: no control characters but tabs and newlines,
// no characters that turn the direction of writing.
func plain(b []byte) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\r':
			return -1
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
			return utf8.RuneError
		default:
			return r
		}
	}, strings.ToValidUTF8(string(b), string(utf8.RuneError)))
}
