package server_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/server"
)

// raw sends bytes as they are and returns the answer's status; 0: the
// connection was closed without one. What write does after the answer, and how
// it fails, does not matter.
func raw(t testing.TB, w *world, write func(io.Writer)) int {
	t.Helper()
	conn, err := net.Dial("tcp", w.Addr())
	require.NoError(t, err)
	written := make(chan struct{})
	t.Cleanup(func() {
		conn.Close()
		<-written
	})
	require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	go func() {
		defer close(written)
		write(conn)
	}()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

func post(header string, body ...string) func(io.Writer) {
	return func(w io.Writer) {
		fmt.Fprintf(w, "POST /webhook/alertmanager HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n%s\r\n\r\n%s",
			header, strings.Join(body, ""))
	}
}

// pour writes one chunk again and again until the server has enough.
func pour(w io.Writer, chunk []byte, times int) {
	for range times {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

func TestHostileRequests(t *testing.T) {
	w := newWorld(t, server.Config{
		Timeouts: server.Timeouts{ReadHeader: 300 * time.Millisecond, Read: 600 * time.Millisecond},
	})
	w.run(t)
	fine := string(server.WebhookBody(1))
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	pour(z, make([]byte, 1<<20), 50)
	require.NoError(t, z.Close())

	for name, tc := range map[string]struct {
		write func(io.Writer)
		want  []int
	}{
		"fine": {post(fmt.Sprintf("Content-Length: %d", len(fine)), fine), []int{200}},
		"100 MB announced": {func(w io.Writer) {
			post("Content-Length: 104857600")(w)
			pour(w, bytes.Repeat([]byte("x"), 1<<20), 100)
		}, []int{413}},
		"100 MB announced, the client waits": {post("Content-Length: 104857600\r\nExpect: 100-continue"), []int{413}},
		"endless chunks": {func(w io.Writer) {
			post("Transfer-Encoding: chunked")(w)
			pour(w, []byte("10000\r\n"+strings.Repeat("x", 0x10000)+"\r\n"), 1<<20)
		}, []int{413}},
		"endless chunks of JSON": {func(w io.Writer) {
			post("Transfer-Encoding: chunked", "1b\r\n{\"version\":\"4\",\"alerts\":[1,\r\n")(w)
			pour(w, []byte("10000\r\n"+strings.Repeat("1,", 0x8000)+"\r\n"), 1<<20)
		}, []int{413}},
		"slow body": {func(w io.Writer) {
			post("Content-Length: 1000")(w)
			slowly(w)
		}, []int{408}},
		"slow chunks": {func(w io.Writer) {
			post("Transfer-Encoding: chunked")(w)
			for range 100 {
				if _, err := w.Write([]byte("1\r\n{\r\n")); err != nil {
					return
				}
				<-time.After(50 * time.Millisecond)
			}
		}, []int{408}},
		"slow header": {func(w io.Writer) {
			_, _ = io.WriteString(w, "POST /webhook/alertmanager HTTP/1.1\r\nX-Slow: ")
			slowly(w)
		}, []int{0, 408}}, // net/http closes without a word
		"body ends early": {func(w io.Writer) {
			post("Content-Length: 1000", `{"version"`)(w)
			if c, ok := w.(*net.TCPConn); ok {
				_ = c.CloseWrite()
			}
		}, []int{400, 0}}, // a sender that has half gone may not get an answer
		"gzip bomb":        {post(fmt.Sprintf("Content-Encoding: gzip\r\nContent-Length: %d", bomb.Len()), bomb.String()), []int{415}},
		"1 MB of headers":  {post("X-Big: "+strings.Repeat("x", 1<<20), ""), []int{431}},
		"17 KiB of header": {post("X-Big: "+strings.Repeat("x", 17<<10), ""), []int{431}},
		"15 KiB of header": {post(fmt.Sprintf("X-Big: %s\r\nContent-Length: %d", strings.Repeat("x", 15<<10), len(fine)), fine), []int{200}},
		"not HTTP":         {func(w io.Writer) { _, _ = io.WriteString(w, "\x16\x03\x01\x00\xff\r\n\r\n") }, []int{400}},
		"two lengths":      {post("Content-Length: 5\r\nContent-Length: 6", "{}"), []int{400}},
	} {
		t.Run(name, func(t *testing.T) {
			stopped := bystander(t, w)
			got := raw(t, w, tc.write)
			stopped()
			assert.Contains(t, tc.want, got)
		})
	}
	require.Eventually(t, func() bool { return w.Held() == 0 }, 10*time.Second, 5*time.Millisecond, "all memory is given back")
}

// What people do, and what calendar programs ask, is as bounded as the intake.
func TestHostileCallers(t *testing.T) {
	w := newWorld(t, server.Config{
		CalendarToken: "calendar-s3cret",
		Timeouts:      server.Timeouts{ReadHeader: 300 * time.Millisecond, Read: 600 * time.Millisecond},
	})
	w.run(t)
	act := func(header string, body ...string) func(io.Writer) {
		return func(w io.Writer) {
			fmt.Fprintf(w, "POST /api/v1/incidents/x/note HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n%s\r\n\r\n%s", header, strings.Join(body, ""))
		}
	}
	get := func(path string) func(io.Writer) {
		return func(w io.Writer) { fmt.Fprintf(w, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path) }
	}
	deep := strings.Repeat(`{"text":`, 8000)
	for name, tc := range map[string]struct {
		write func(io.Writer)
		want  int
	}{
		"100 MB announced": {func(w io.Writer) {
			act("Content-Length: 104857600")(w)
			pour(w, bytes.Repeat([]byte("x"), 1<<20), 100)
		}, 413},
		"endless chunks": {func(w io.Writer) {
			act("Transfer-Encoding: chunked")(w)
			pour(w, []byte("10000\r\n"+strings.Repeat("x", 0x10000)+"\r\n"), 1<<20)
		}, 413},
		"slow body": {func(w io.Writer) {
			act("Content-Length: 1000")(w)
			slowly(w)
		}, 408},
		"a deep body":           {act(fmt.Sprintf("Content-Length: %d", len(deep)), deep), 400},
		"a key of 15 KiB":       {act("Content-Length: 12\r\nIdempotency-Key: "+strings.Repeat("k", 15<<10), `{"text":"x"}`), 400},
		"a token of 15 KiB":     {get("/api/v1/users/ana/calendar.ics?token=" + strings.Repeat("x", 15<<10)), 401},
		"a token of 17 KiB":     {get("/api/v1/users/ana/calendar.ics?token=" + strings.Repeat("x", 17<<10)), 431},
		"thousands of tokens":   {get("/api/v1/users/ana/calendar.ics?" + strings.Repeat("token=calendar-s3cret&", 700)), 401},
		"a name of 15 KiB":      {get("/api/v1/users/" + strings.Repeat("x", 15<<10) + "/calendar.ics?token=calendar-s3cret"), 404},
		"a query that is none":  {get("/api/v1/users/ana/calendar.ics?token=%zz"), 404}, // what cannot be read is no token
		"a path that is broken": {get("/api/v1/users/%zz/calendar.ics"), 400},
	} {
		t.Run(name, func(t *testing.T) {
			stopped := bystander(t, w)
			got := raw(t, w, tc.write)
			stopped()
			assert.Equal(t, tc.want, got)
		})
	}
	assert.Empty(t, w.router.did)
	assert.NotContains(t, w.log.String(), "s3cret")
}

// slowly writes a byte now and then for five seconds.
func slowly(w io.Writer) {
	for range 100 {
		if _, err := w.Write([]byte("x")); err != nil {
			return
		}
		<-time.After(50 * time.Millisecond)
	}
}

// bystander posts good alerts meanwhile; each must be taken.
func bystander(t testing.TB, w *world) (stop func()) {
	t.Helper()
	quit, done := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		defer func() { done <- n }()
		for {
			if !assert.Equal(t, 200, postAlerts(t, w, bytes.NewReader(server.WebhookBody(1)))) {
				return
			}
			n++
			select {
			case <-quit:
				return
			default:
			}
		}
	}()
	return func() {
		t.Helper()
		close(quit)
		assert.Positive(t, <-done)
	}
}

// Many senders of endless bodies together hold no more than the budget, and
// those who send little are still heard.
func TestHostileMemoryIsBounded(t *testing.T) {
	const budget = 4 << 20
	w := newWorld(t, server.Config{Limits: server.Limits{Body: 1 << 20, Buffered: budget}})
	w.run(t)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	chunk := []byte("80000\r\n" + strings.Repeat("x", 0x80000) + "\r\n")
	for range 32 { // each sends half a megabyte, and then holds on
		conn, err := net.Dial("tcp", w.Addr())
		require.NoError(t, err)
		defer conn.Close()
		post("Transfer-Encoding: chunked")(conn)
		_, _ = conn.Write(chunk)
	}
	require.Eventually(t, func() bool { return w.metric(t, `tocsin_http_shed_total{reason="overload"}`) > 0 },
		10*time.Second, 10*time.Millisecond)
	assert.LessOrEqual(t, w.Held(), int64(budget))
	runtime.GC()
	runtime.ReadMemStats(&after)
	assert.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(4*budget))
}

// A thousand announced megabytes are not a thousand megabytes.
func TestAnnouncedBytesHoldNothing(t *testing.T) {
	w := newWorld(t, server.Config{Limits: server.Limits{Buffered: 4 << 20}})
	w.run(t)
	for range 100 {
		conn, err := net.Dial("tcp", w.Addr())
		require.NoError(t, err)
		defer conn.Close()
		post("Content-Length: 4000000", "{")(conn)
	}
	require.Eventually(t, func() bool { return w.metric(t, "tocsin_http_requests_in_flight") == 100 },
		10*time.Second, 5*time.Millisecond)
	assert.LessOrEqual(t, w.Held(), int64(1<<20))
	assert.Equal(t, 200, postAlerts(t, w, bytes.NewReader(server.WebhookBody(1))))
}

// Connections that only idle make room for one that has something to say.
func TestIdleConnectionsKeepNobodyOut(t *testing.T) {
	w := newWorld(t, server.Config{Connections: 8})
	w.run(t)
	for range 64 {
		conn, err := net.Dial("tcp", w.Addr())
		require.NoError(t, err)
		defer conn.Close()
	}
	assert.Equal(t, 200, postAlerts(t, w, bytes.NewReader(server.WebhookBody(1))))
	assert.LessOrEqual(t, w.metric(t, "tocsin_http_connections"), 8.0)
	assert.Positive(t, w.metric(t, `tocsin_http_shed_total{reason="connections"}`))
	http.DefaultClient.CloseIdleConnections()
}

// When all connections are busy, one more is closed at once, so that its sender
// tries again instead of waiting.
func TestBusyConnectionsAreNotThrownOut(t *testing.T) {
	w := newWorld(t, server.Config{Connections: 2})
	w.run(t)
	var busy []net.Conn
	for range 2 {
		conn, err := net.Dial("tcp", w.Addr())
		require.NoError(t, err)
		defer conn.Close()
		fine := string(server.WebhookBody(1))
		post(fmt.Sprintf("Content-Length: %d", len(fine)), fine[:10])(conn)
		busy = append(busy, conn)
	}
	require.Eventually(t, func() bool { return w.metric(t, "tocsin_http_requests_in_flight") == 2 },
		10*time.Second, 5*time.Millisecond)
	assert.Zero(t, raw(t, w, post("Content-Length: 2", "{}")))
	for _, conn := range busy {
		_, err := conn.Write(server.WebhookBody(1)[10:])
		require.NoError(t, err)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		resp.Body.Close()
		assert.Equal(t, 200, resp.StatusCode)
	}
}
