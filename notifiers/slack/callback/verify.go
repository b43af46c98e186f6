package callback

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const macSize = sha256.Size

// refusal is why a request is not taken. Cause is one of few words.
type refusal struct {
	status      int
	cause, text string
}

func forged(cause, text string) *refusal { return &refusal{http.StatusUnauthorized, cause, text} }

func malformed(cause, text string) *refusal { return &refusal{http.StatusBadRequest, cause, text} }

// verified reads the body of a request that Slack has signed, the first time that
// it comes, and returns it with its signature.
func (h *Handler) verified(w http.ResponseWriter, r *http.Request, contentType string) ([]byte, [macSize]byte, *refusal) {
	var none [macSize]byte
	if bad := h.outside(r, contentType); bad != nil {
		return nil, none, bad
	}
	stamp, mac, bad := h.signature(r.Header)
	if bad != nil {
		return nil, none, bad
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, none, &refusal{http.StatusRequestEntityTooLarge, "oversized", "its body is larger than 1 MiB"}
	case err != nil:
		return nil, none, malformed("truncated", "its body ended early")
	case !hmac.Equal(h.sign(stamp, body), mac[:]):
		return nil, none, forged("signature", "the signature does not fit; check slack.signing_secret")
	}
	switch h.replays.add(mac, h.cfg.Now()) {
	case seenBefore:
		return nil, none, forged("replayed", "the same request has come before")
	case noRoom:
		return nil, none, &refusal{http.StatusServiceUnavailable, "overload", "too many requests within 10 minutes"}
	case firstSeen:
	}
	return body, mac, nil
}

// outside checks what is not signed.
func (h *Handler) outside(r *http.Request, contentType string) *refusal {
	got, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case len(h.secret) == 0:
		return forged("secret", "slack.signing_secret is not set")
	case r.Method != http.MethodPost:
		return &refusal{http.StatusMethodNotAllowed, "method", "want POST"}
	case err != nil || got != contentType:
		return &refusal{http.StatusUnsupportedMediaType, "content type", "want " + contentType}
	case r.URL.RawQuery != "":
		// The query is not signed; libraries have read payloads from it
		// (slack-go before 0.35.0).
		return malformed("query", "it has a query, which nobody has signed")
	}
	return nil
}

// signature reads the time and the signature of a request, and checks the time.
func (h *Handler) signature(header http.Header) (stamp string, mac [macSize]byte, bad *refusal) {
	stamps, signatures := header["X-Slack-Request-Timestamp"], header["X-Slack-Signature"]
	if len(stamps) != 1 || len(signatures) != 1 {
		return "", mac, forged("unsigned", "it is not signed")
	}
	stamp = stamps[0]
	digits, versioned := strings.CutPrefix(signatures[0], "v0=")
	if !versioned || len(digits) != hex.EncodedLen(macSize) {
		return "", mac, forged("unsigned", "the signature is not of the form v0=…")
	}
	if _, err := hex.Decode(mac[:], []byte(digits)); err != nil {
		return "", mac, forged("unsigned", "the signature is not of the form v0=…")
	}
	// Twelve digits last for 30,000 years, and do not overflow.
	secs, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || len(stamp) > 12 || strings.Trim(stamp, "0123456789") != "" {
		return "", mac, forged("unsigned", "its time is not a number of seconds")
	}
	switch late := h.cfg.Now().Sub(time.Unix(secs, 0)); {
	case late > skew:
		return "", mac, forged("stale", "it is older than 5 minutes, or this machine's clock is fast")
	case late < -skew:
		return "", mac, forged("future", "it is of a time to come, or this machine's clock is slow")
	}
	return stamp, mac, nil
}

func (h *Handler) sign(stamp string, body []byte) []byte {
	m := hmac.New(sha256.New, h.secret)
	m.Write([]byte("v0:" + stamp + ":"))
	m.Write(body)
	return m.Sum(nil)
}

// seen is what a memory says of a key.
type seen int

const (
	firstSeen seen = iota
	seenBefore
	noRoom
)

// memory knows keys again for a while, up to a number of them. When it is full it
// takes no more: forgetting early would let what was seen pass again.
type memory[K comparable] struct {
	keep time.Duration
	most int

	mu    sync.Mutex
	until map[K]time.Time
	// order holds the keys as they came; those that were forgotten too.
	order []timed[K]
}

type timed[K comparable] struct {
	key   K
	until time.Time
}

func newMemory[K comparable](keep time.Duration, most int) *memory[K] {
	return &memory[K]{keep: keep, most: most, until: map[K]time.Time{}}
}

// add notes a key and says whether it was known.
func (m *memory[K]) add(key K, now time.Time) seen {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for n < len(m.order) && !now.Before(m.order[n].until) {
		if old := m.order[n]; m.until[old.key].Equal(old.until) {
			delete(m.until, old.key)
		}
		n++
	}
	if m.order = m.order[n:]; len(m.order) == 0 {
		m.order = nil // lets go of the array
	}
	if until, known := m.until[key]; known && now.Before(until) {
		return seenBefore
	}
	if len(m.order) >= m.most {
		return noRoom
	}
	until := now.Add(m.keep)
	m.until[key] = until
	m.order = append(m.order, timed[K]{key, until})
	return firstSeen
}

// forget lets a key come again.
func (m *memory[K]) forget(key K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.until, key)
}
