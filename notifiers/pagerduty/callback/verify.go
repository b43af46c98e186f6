package callback

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// maxSignatures is how many of a header's are looked at: PagerDuty sends one for
// each secret, two in a rotation.
const maxSignatures = 10

// verified reports whether one of the signatures in the header is that of the
// body by one of the secrets. All are compared, in constant time
// (https://developer.pagerduty.com/docs/verifying-webhook-signatures).
func verified(secrets []string, header string, body []byte) bool {
	var given [][]byte
	for entry := range strings.SplitSeq(header, ",") {
		digest, ok := strings.CutPrefix(strings.TrimSpace(entry), "v1=")
		if !ok || len(given) == maxSignatures {
			continue
		}
		if sum, err := hex.DecodeString(digest); err == nil && len(sum) == sha256.Size {
			given = append(given, sum)
		}
	}
	found := false
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body)
		sum := mac.Sum(nil)
		for _, g := range given {
			if hmac.Equal(g, sum) {
				found = true
			}
		}
	}
	return found
}
