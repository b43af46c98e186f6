package webhook

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
)

// The least lengths that are taken for secrets: shorter ones ("api", "v1") are
// words that errors need.
const (
	minSegment = 8
	minValue   = 4
)

func (c *Config) authorization() string {
	switch {
	case c.BearerToken != "":
		return "Bearer " + strings.TrimSpace(c.BearerToken)
	case c.Username != "" || c.Password != "":
		return "Basic " + c.basic()
	default:
		return ""
	}
}

func (c *Config) basic() string {
	return base64.StdEncoding.EncodeToString([]byte(c.Username + ":" + c.Password))
}

// secrets replaces everything in c that may grant access, wherever an endpoint
// repeats it.
func (c *Config) secrets() *strings.Replacer {
	found := []string{strings.TrimSpace(c.BearerToken), c.Password}
	if c.Username != "" || c.Password != "" {
		found = append(found, c.basic())
	}
	for _, v := range c.Headers {
		if v = strings.TrimSpace(v); len(v) >= minValue {
			found = append(found, v)
		}
	}
	found = append(found, urlSecrets(c.URL)...)
	// The longest first, so that a secret within another does not leave the
	// other's ends.
	slices.SortFunc(found, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, s := range slices.Compact(found) {
		if s != "" {
			pairs = append(pairs, s, "<secret>")
		}
	}
	return strings.NewReplacer(pairs...)
}

func urlSecrets(raw string) []string {
	raw = strings.TrimSpace(raw)
	u, err := url.Parse(raw)
	if err != nil {
		return []string{raw}
	}
	var found []string
	if p, ok := u.User.Password(); ok {
		basic := base64.StdEncoding.EncodeToString([]byte(u.User.Username() + ":" + p))
		found = append(found, p, url.QueryEscape(p), basic)
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if len(segment) >= minSegment {
			found = append(found, segment, url.PathEscape(segment))
		}
	}
	for _, values := range u.Query() {
		for _, v := range values {
			if len(v) >= minValue {
				found = append(found, v, url.QueryEscape(v))
			}
		}
	}
	return found
}

// hidden is an error whose text was cleaned of secrets, and which is still
// known by its cause.
type hidden struct {
	text  string
	cause error
}

func (h *hidden) Error() string { return oneLine(h.text) }
func (h *hidden) Unwrap() error { return h.cause }
