package worker

import (
	"strings"
	"unicode/utf8"

	tocsin "github.com/tocsin-oncall/tocsin"
)

const maxTarget = 4096

// Kind is the part of a target before its first ":", which names the provider:
// "slack" of "slack:#incidents".
func Kind(target string) string {
	kind, _, _ := strings.Cut(target, ":")
	return kind
}

// Token reports whether s can be one token of a NATS subject and part of a
// consumer's name as it is: 1 to 64 of the characters a-z, A-Z, 0-9, "_", "-".
func Token(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// Check returns an error that satisfies errors.Is(err, tocsin.ErrInvalid) when
// w cannot be sent.
func Check(w tocsin.Wake) error {
	if !Token(w.Incident) {
		return tocsin.Invalid("wake", "incident ID %.80q: want 1 to 64 letters, digits, '_' or '-'", w.Incident)
	}
	if !Token(Kind(w.Target)) {
		return tocsin.Invalid("wake", "target %.80q: want letters, digits, '_' or '-' before the ':'", w.Target)
	}
	if len(w.Target) > maxTarget || !utf8.ValidString(w.Target) {
		return tocsin.Invalid("wake", "target %.80q: want at most %d bytes of UTF-8", w.Target, maxTarget)
	}
	return nil
}
