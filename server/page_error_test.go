package server_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// A page that cannot show what it was asked for says why, and leads on.
func TestErrorPagesLeadOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{})
	html := []string{"Accept", "text/html"}
	rec := w.ask("GET", "/nowhere", "", html...)
	require.Equal(t, 404, rec.Code)
	page := safe(t, rec)
	assert.Contains(t, page, "There is no page at this address.")
	assert.NotContains(t, page, "openapi")
	assert.Contains(t, page, `href="/">Incidents</a>`)
	assert.NotContains(t, page, ">Back</a>")

	from := func(referer string) string {
		return safe(t, w.ask("GET", "/incidents/nobody", "", append(html, "Referer", referer)...))
	}
	assert.Contains(t, from("http://localhost:9911/insights?weeks=4"), `href="/insights?weeks=4">Back</a>`)
	assert.Contains(t, from("http://localhost:9911/insights"), `incident &#34;nobody&#34;: not found`)
	assert.Contains(t, from(""), `href="/?state=all"`)
	for _, other := range []string{"http://evil.example/insights", "javascript:alert(1)", "http://localhost:9911/incidents/nobody", "http://localhost:9911//evil.example/", ":"} {
		assert.NotContains(t, from(other), ">Back</a>", other)
	}

	w.reader.err = errors.New("the disk is gone")
	rec = w.ask("GET", "/", "", html...)
	require.Equal(t, 500, rec.Code)
	id := rec.Header().Get("X-Request-Id")
	require.NotEmpty(t, id)
	page = safe(t, rec)
	assert.Contains(t, page, "the log calls it <code>"+id+"</code>")
	assert.NotContains(t, page, "the disk is gone")

	w.reader.err = tocsin.ErrUnavailable
	assert.Contains(t, safe(t, w.ask("GET", "/", "", html...)), "Try again in a moment.")
}
