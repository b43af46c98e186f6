package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Of many who ask in the same instant for a change of what they have all read, one
// makes it, and the others are told that it is another by now.
func TestOneChangeForOneReading(t *testing.T) {
	t.Parallel()
	c := newChanger(t)
	edited := func(id string) string {
		b, err := json.Marshal(map[string]any{
			"id": id, "matchers": []string{`alertname="Nothing"`}, "endsAt": time.Now().Add(3 * time.Hour), "comment": "longer",
		})
		require.NoError(t, err)
		return string(b)
	}
	for change, of := range map[string]struct{ what, id, body string }{
		"POST /api/v1/silences":                 {"silences", c.silence().ID, "edit"},
		"DELETE /api/v1/silences/ID":            {"silences", c.silence().ID, ""},
		"POST /api/v1/overrides/ID/accept":      {"overrides", swapOf(c), "{}"},
		"POST /api/v1/overrides/ID/cancel":      {"overrides", shiftOf(c), "{}"},
		"POST /api/v1/remediations/ID/approve":  {"remediations", c.proposed(), "{}"},
		"POST /api/v1/remediations/ID/deny":     {"remediations", c.proposed(), "{}"},
		"POST /api/v1/incidents/ID/acknowledge": {"incidents", c.opened(), "{}"},
	} {
		if of.body == "edit" {
			of.body = edited(of.id)
		}
		method, path, _ := strings.Cut(strings.Replace(change, "ID", of.id, 1), " ")
		code, tag := c.tried("GET", "/api/v1/"+of.what+"/"+of.id, "", "")
		require.Equal(t, 200, code, change)
		require.NotEmpty(t, tag, change)
		const together = 16
		var all sync.WaitGroup
		codes := make([]int, together)
		begin := make(chan struct{})
		for n := range codes {
			all.Go(func() {
				<-begin
				codes[n], _ = c.tried(method, path, of.body, tag)
			})
		}
		close(begin)
		all.Wait()
		counted := map[int]int{}
		for _, code := range codes {
			counted[code]++
		}
		assert.Equal(t, map[int]int{200: 1, 412: together - 1}, counted, change)
	}
}

// tried asks for a change of what has the tag, and returns the answer's code and tag.
func (c *changer) tried(method, path, body, tag string) (code int, etag string) {
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, strings.NewReader(body))
	if !assert.NoError(c.t, err) {
		return 0, ""
	}
	req.Header.Set("Content-Type", "application/json")
	who := "dora"
	if strings.HasSuffix(path, "/accept") {
		who = "bo" // others have nothing to do with it
	}
	req.Header.Set("X-Tocsin-User", who)
	if tag != "" {
		req.Header.Set("If-Match", tag)
	}
	resp, err := http.DefaultClient.Do(req)
	if !assert.NoError(c.t, err) {
		return 0, ""
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	assert.NoError(c.t, err)
	return resp.StatusCode, resp.Header.Get("ETag")
}
