package server

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Links signs the addresses of pictures that are loaded by who cannot log in, such
// as PagerDuty's servers and the browsers of its users. A link opens the graph of
// one incident's rule until it expires, and nothing else. It is immutable.
type Links struct{ key []byte }

const (
	// LinkLife is how long a link is good for at least; it is good for up to a day
	// more, so that the link of an incident stays the same for a day.
	LinkLife = 7 * 24 * time.Hour

	linkDay    = 24 * time.Hour
	pictureEnd = ".png"
)

// NewLinks signs with a key that is made of a secret of the server.
func NewLinks(secret []byte) *Links {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("tocsin: links to graphs, 1"))
	return &Links{key: mac.Sum(nil)}
}

// Path is the address of an incident's graph, below the server's own.
func (l *Links) Path(incident string, now time.Time) string {
	expires := strconv.FormatInt(now.Add(LinkLife+linkDay).Truncate(linkDay).Unix(), 10)
	sum := base64.RawURLEncoding.EncodeToString(l.sign(incident, expires))
	return "/graph/" + url.PathEscape(incident) + pictureEnd + "?expires=" + expires + "&sig=" + sum
}

func (l *Links) sign(incident, expires string) []byte {
	mac := hmac.New(sha256.New, l.key)
	mac.Write([]byte(expires + " " + incident)) // digits alone come before the first space
	return mac.Sum(nil)
}

// verify returns the incident of a link that was signed here and is still good. It
// takes the same time for every signature.
func (l *Links) verify(file, expires, sig string, now time.Time) (incident string, ok bool) {
	incident, isPicture := strings.CutSuffix(file, pictureEnd)
	if l == nil || !isPicture {
		return "", false
	}
	given, err := base64.RawURLEncoding.Strict().DecodeString(sig)
	if err != nil || !hmac.Equal(given, l.sign(incident, expires)) {
		return "", false
	}
	until, err := strconv.ParseInt(expires, 10, 64)
	return incident, err == nil && now.Before(time.Unix(until, 0))
}
