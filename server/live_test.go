package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// journal is a log of events that tells of each commit.
type journal struct {
	mu      sync.Mutex
	events  []tocsin.Event
	changed chan struct{}
	err     error
	reads   int
}

func newJournal() *journal { return &journal{changed: make(chan struct{}, 1)} }

func (j *journal) add(incidents ...string) {
	j.mu.Lock()
	for _, id := range incidents {
		seq := uint64(len(j.events) + 1)
		j.events = append(j.events, tocsin.Event{Seq: seq, Kind: tocsin.EventNote, Incident: id, Revision: seq, At: now, Text: "line\nbreak </script>"})
	}
	j.mu.Unlock()
	select {
	case j.changed <- struct{}{}:
	default:
	}
}

func (j *journal) Log(_ context.Context, after uint64, limit int) ([]tocsin.Event, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.reads++
	if j.err != nil {
		return nil, j.err
	}
	rest := j.events[min(int(after), len(j.events)):]
	return append([]tocsin.Event(nil), rest[:min(len(rest), limit)]...), nil
}

func (j *journal) LastSeq() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return uint64(len(j.events))
}

// tap is a client that reads a stream, or does not while it is closed.
type tap struct {
	header http.Header
	code   int
	mu     sync.Mutex
	got    strings.Builder
	shut   chan struct{} // nil: open
	done   chan struct{}
	leave  context.CancelFunc
}

func (s *tap) Header() http.Header  { return s.header }
func (s *tap) WriteHeader(code int) { s.code = code }
func (s *tap) Flush()               {}
func (s *tap) Write(b []byte) (int, error) {
	if s.shut != nil && strings.Contains(string(b), "event:") {
		<-s.shut
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.Write(b)
}

// take returns what came since it was last asked.
func (s *tap) take() string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	text := s.got.String()
	s.got.Reset()
	return text
}

func (w *world) follow(path string, header ...string) *tap {
	ctx, cancel := context.WithCancel(context.Background())
	s := &tap{header: http.Header{}, code: 200, done: make(chan struct{}), leave: cancel}
	w.followWith(ctx, s, path, header...)
	return s
}

func (w *world) followWith(ctx context.Context, s *tap, path string, header ...string) {
	r := httptest.NewRequest("GET", path, nil).WithContext(ctx)
	r.RemoteAddr, r.Host = "127.0.0.1:4711", "localhost:9911"
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	go func() {
		defer close(s.done)
		w.Handler().ServeHTTP(s, r)
	}()
}

func withJournal(t testing.TB, limits server.Limits) (*world, *journal) {
	t.Helper()
	j := newJournal()
	return newWorld(t, server.Config{Limits: limits}, func(d *server.Deps) { d.Log, d.Changed = j, j.changed }), j
}

func TestPagesAreToldWhatChanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, j := withJournal(t, server.Limits{})
		j.add("old")
		<-j.changed
		s := w.follow("/events?after=1")
		assert.Equal(t, "retry: 2000\n\n", s.take())
		assert.Equal(t, "text/event-stream", s.header.Get("Content-Type"))
		assert.Equal(t, "no-store", s.header.Get("Cache-Control"))

		j.add("aaaaaa", "bbbbbb", "aaaaaa")
		j.add("") // about no incident
		assert.Equal(t, "id: 5\nevent: incidents\ndata: {\"incidents\":[{\"id\":\"aaaaaa\",\"revision\":4},{\"id\":\"bbbbbb\",\"revision\":3}],\"wait\":202}\n\n", s.take())
		j.add("cccccc")
		assert.Empty(t, s.take(), "not before a rest")
		time.Sleep(time.Second)
		assert.Contains(t, s.take(), "cccccc")
		time.Sleep(16 * time.Second)
		assert.Equal(t, "event: beat\ndata: {}\n\n", s.take(), "a quiet stream lives, and the page can see that")

		late := w.follow("/events?after=3")
		assert.Contains(t, late.take(), "event: reload", "the page shows an older state")
		none := w.follow("/events", "Last-Event-ID", "6")
		assert.NotContains(t, none.take(), "reload")

		j.mu.Lock()
		j.err = errors.New("disk")
		j.mu.Unlock()
		j.add("dddddd")
		assert.Empty(t, s.take())
		j.mu.Lock()
		j.err = nil
		j.mu.Unlock()
		time.Sleep(6 * time.Second)
		assert.Contains(t, s.take(), "dddddd", "what could not be read is told later")

		time.Sleep(20 * time.Minute)
		<-s.done
		<-late.done
		<-none.done
		reads := j.reads
		j.add("eeeeee")
		time.Sleep(time.Minute)
		assert.Equal(t, reads, j.reads, "nobody looks on: nothing is read")
	})
}

// A program that was cut off misses nothing, and gets nothing twice.
func TestProgramsFollowTheLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, j := withJournal(t, server.Limits{})
		var ids []string
		for range 1200 {
			ids = append(ids, "aaaaaa")
		}
		j.add(ids...)
		seqs := func(text string) (list []string) {
			for line := range strings.Lines(text) {
				if id, ok := strings.CutPrefix(line, "id: "); ok {
					list = append(list, strings.TrimSpace(id))
				}
			}
			return list
		}
		fresh, back := w.follow("/api/v1/events"), w.follow("/api/v1/events", "Last-Event-ID", "100")
		beyond := w.follow("/api/v1/events?after=99999")
		assert.Empty(t, seqs(fresh.take()), "without a word of before, from now on")
		assert.Empty(t, seqs(beyond.take()), "an id of another store is none")
		before := seqs(back.take())
		assert.Len(t, before, 1100)
		assert.Equal(t, "101", before[0])
		j.add("bbbbbb", "cccccc")
		time.Sleep(time.Second)
		for _, s := range []*tap{fresh, back, beyond} {
			text := s.take()
			assert.Equal(t, []string{"1201", "1202"}, seqs(text))
			assert.Contains(t, text, "event: note\ndata: {\"seq\":1201,\"kind\":\"note\",\"incident\":\"bbbbbb\"")
			assert.Equal(t, 2, strings.Count(text, "data: "), "a line break in a text is none in the stream")
		}
		page := w.follow("/events")
		page.take()
		j.add(ids...)
		time.Sleep(time.Second)
		assert.Equal(t, "id: 2402\nevent: reload\ndata: {\"wait\":208}\n\n", page.take(), "a storm is one word to a page")
		for _, s := range []*tap{fresh, back, beyond} {
			assert.Len(t, seqs(s.take()), 1200, "and every event to a program")
		}
		page.leave()
		<-page.done
		for _, s := range []*tap{fresh, back, beyond} {
			s.leave()
			<-s.done
		}
		assert.Equal(t, 400, w.ask("GET", "/api/v1/events?after=x", "").Code)
		assert.Equal(t, 400, w.ask("GET", "/events", "", "Last-Event-ID", "-1").Code)
	})
}

// Who does not read is sent away, and holds up nobody.
func TestSlowViewersAreSentAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, j := withJournal(t, server.Limits{Viewers: 3})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		slow := &tap{header: http.Header{}, shut: make(chan struct{}), done: make(chan struct{})}
		w.followWith(ctx, slow, "/events")
		quick := w.follow("/events")
		synctest.Wait()
		for n := range 40 {
			j.add(fmt.Sprintf("i%05d", n))
			time.Sleep(time.Second)
			assert.Contains(t, quick.take(), fmt.Sprintf("i%05d", n))
		}
		others := []*tap{w.follow("/events"), w.follow("/api/v1/events")}
		synctest.Wait()
		full := w.ask("GET", "/events", "")
		assert.Equal(t, 503, full.Code, "the slow one made room, for as many as there may be")
		close(slow.shut)
		<-slow.done
		for _, s := range append(others, quick) {
			s.leave()
			<-s.done
		}
	})
}

// A stop does not wait for those who look on.
func TestViewersDoNotHoldUpAStop(t *testing.T) {
	t.Parallel()
	w, j := withJournal(t, server.Limits{})
	stop, done := w.run(t)
	resp, err := http.Get(w.url("/events"))
	require.NoError(t, err)
	defer resp.Body.Close()
	line := make([]byte, 5)
	_, err = resp.Body.Read(line)
	require.NoError(t, err)
	j.add("aaaaaa")
	stop()
	select {
	case err := <-done:
		assert.NoError(t, err)
	case <-time.After(5 * time.Second):
		t.Fatal("the stop waits for a viewer")
	}
	assert.Equal(t, 503, w.ask("GET", "/events", "").Code)
	assert.Equal(t, 404, newWorld(t, server.Config{}).ask("GET", "/api/v1/events", "").Code)
}

// The list that many look at is made once for all of them, and anew when anything
// happens.
func TestViewersShareTheList(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j, c := newJournal(), newCrowd(10)
		w := newWorld(t, server.Config{}, func(d *server.Deps) { d.Log, d.Changed, d.Reader = j, j.changed, c })
		part := func() []string { return rowsOf(w.ask("GET", "/?part=list", "").Body.String()) }
		assert.Len(t, part(), 10)
		c.list = c.list[:9]
		assert.Len(t, part(), 9, "nobody looks on: nothing is known to be as it was")
		s := w.follow("/events")
		s.take()
		assert.Len(t, part(), 9)
		c.list = c.list[:8]
		assert.Len(t, part(), 9, "nothing has happened, as far as anybody was told")
		assert.Len(t, rowsOf(w.ask("GET", "/", "").Body.String()), 8, "a page is always new")
		j.add("i00009")
		s.take()
		assert.Len(t, part(), 8)
		s.leave()
		<-s.done
	})
}

// BenchmarkIntakeWithViewers is the intake with and without 500 who look on while
// something happens all the time. The viewers themselves cost nothing here: what is
// measured is what they cost the server.
func BenchmarkIntakeWithViewers(b *testing.B) {
	for _, viewers := range []int{0, 500} {
		b.Run(fmt.Sprint(viewers), func(b *testing.B) {
			w, j := withJournal(b, server.Limits{})
			w.router.receive = func(context.Context, tocsin.Batch) error {
				j.add("aaaaaa", "bbbbbb")
				return nil
			}
			ctx, cancel := context.WithCancel(context.Background())
			var all []*tap
			for range viewers {
				s := &tap{header: http.Header{}, done: make(chan struct{})}
				w.followWith(ctx, s, "/events?after=0")
				all = append(all, s)
			}
			defer func() {
				cancel()
				for _, s := range all {
					<-s.done
				}
			}()
			body := string(server.WebhookBody(1))
			b.ResetTimer()
			for b.Loop() {
				r := httptest.NewRequest("POST", "/webhook/alertmanager", strings.NewReader(body))
				r.Header.Set("Content-Type", "application/json")
				rec := httptest.NewRecorder()
				if w.Handler().ServeHTTP(rec, r); rec.Code != 200 {
					b.Fatal(rec.Body)
				}
			}
		})
	}
}
