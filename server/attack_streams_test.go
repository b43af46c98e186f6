package server_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// apiTokens are two viewers' and an admin's.
func apiTokens() []server.Token {
	return []server.Token{
		{Name: "greedy", Token: "greedy-secret", Role: tocsin.RoleViewer},
		{Name: "modest", Token: "modest-secret", Role: tocsin.RoleViewer},
		{Name: "adm", Token: "admin-secret"},
	}
}

func bearing(secret string) []string { return []string{"Authorization", "Bearer " + secret} }

// ended reports whether a stream is at its end.
func (s *tap) ended() bool {
	synctest.Wait()
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// One token that opens all the streams that there may be keeps nobody else out.
func TestStreamsAreShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		w := newWorld(t, server.Config{API: apiTokens(), Limits: server.Limits{Viewers: 6}}, func(d *server.Deps) { d.Log, d.Changed = j, j.changed })
		var greedy, modest []*tap
		for range 6 {
			greedy = append(greedy, w.follow("/api/v1/events", bearing("greedy-secret")...))
			synctest.Wait()
		}
		assert.Equal(t, 503, w.ask("GET", "/api/v1/events", "", bearing("greedy-secret")...).Code, "no more than all")
		for n := range 3 {
			modest = append(modest, w.follow("/events", bearing("modest-secret")...))
			assert.Contains(t, modest[n].take(), "retry:", "there is room for somebody else")
			assert.True(t, greedy[n].ended(), "the greedy one's first makes it")
			assert.False(t, greedy[n+1].ended())
		}
		assert.Equal(t, 503, w.ask("GET", "/events", "", bearing("modest-secret")...).Code, "as many each")
		for _, s := range append(greedy, modest...) {
			s.leave()
			<-s.done
		}
	})
}

// slowLog takes a while to be read, and tells how many read it at a time.
type slowLog struct {
	*journal
	reading, most, total atomic.Int64
}

func (l *slowLog) Log(ctx context.Context, after uint64, limit int) ([]tocsin.Event, error) {
	l.total.Add(1)
	if n := l.reading.Add(1); n > l.most.Load() {
		l.most.Store(n)
	}
	defer l.reading.Add(-1)
	time.Sleep(10 * time.Millisecond)
	return l.journal.Log(ctx, after, limit)
}

// However many want the whole log from the beginning, few read it at a time, and with
// pauses, so that alerts are taken meanwhile.
func TestHistoryIsReadInTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &slowLog{journal: newJournal()}
		w := newWorld(t, server.Config{}, func(d *server.Deps) { d.Log, d.Changed = l, l.changed })
		l.add(strings.Fields(strings.Repeat("aaaaaa ", 1000))...)
		<-l.changed
		began := time.Now()
		var all []*tap
		for range 40 {
			all = append(all, w.follow("/api/v1/events?after=0"))
		}
		for l.total.Load() < 80 {
			time.Sleep(10 * time.Millisecond)
		}
		assert.LessOrEqual(t, l.most.Load(), int64(2))
		assert.GreaterOrEqual(t, time.Since(began), 80*10*time.Millisecond*9/10, "two read, and rest for as long")
		time.Sleep(time.Second)
		for _, s := range all {
			assert.Equal(t, 1000, strings.Count(s.take(), "data: "), "each gets all of it")
			s.leave()
			<-s.done
		}
	})
}

// Who reads the past slowly is told no more of it once the right to it is gone.
func TestHistoryEndsWithTheRight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		c := server.Config{API: apiTokens()}
		w := newWorld(t, c, func(d *server.Deps) { d.Log, d.Changed = j, j.changed })
		j.add(strings.Fields(strings.Repeat("aaaaaa ", 5000))...)
		<-j.changed
		slow := &tap{header: http.Header{}, code: 200, shut: make(chan struct{}), done: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w.followWith(ctx, slow, "/api/v1/events?after=0", bearing("greedy-secret")...)
		synctest.Wait()
		c.API = c.API[1:]
		assert.NoError(t, w.SetAuth(c))
		time.Sleep(10 * time.Second)
		close(slow.shut)
		assert.Equal(t, 500, strings.Count(slow.take(), "data: "), "what was under way, and nothing more")
		assert.True(t, slow.ended())
		assert.NotContains(t, w.log.String(), "could not go on")
	})
}

// Who makes room while reading the past does so at the next part of it.
func TestHistoryMakesRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &slowLog{journal: newJournal()}
		w := newWorld(t, server.Config{API: apiTokens(), Limits: server.Limits{Viewers: 50}}, func(d *server.Deps) { d.Log, d.Changed = l, l.changed })
		l.add(strings.Fields(strings.Repeat("aaaaaa ", 1000))...)
		<-l.changed
		var all []*tap
		for range 50 {
			all = append(all, w.follow("/api/v1/events?after=0", bearing("greedy-secret")...))
		}
		synctest.Wait()
		other := w.follow("/api/v1/events", bearing("modest-secret")...)
		time.Sleep(50 * time.Millisecond)
		waits := 0
		for _, s := range all {
			if !s.ended() {
				waits++
			}
		}
		assert.Equal(t, 49, waits)
		for _, s := range append(all, other) {
			s.leave()
			<-s.done
		}
	})
}

// Metrics, which need no token, are gathered one at a time; who reads them slowly
// holds up nobody.
func TestMetricsAreGatheredInTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var gathering, most atomic.Int64
		w := newWorld(t, server.Config{}, func(d *server.Deps) {
			d.Metrics = http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				if n := gathering.Add(1); n > most.Load() {
					most.Store(n)
				}
				time.Sleep(5 * time.Millisecond)
				gathering.Add(-1)
				rw.Header().Set("Content-Type", "text/plain; version=0.0.4")
				fmt.Fprint(rw, "up 1\n")
			})
		})
		codes := make(chan int, 40)
		for range 40 {
			go func() { codes <- w.ask("GET", "/metrics", "").Code }()
		}
		count := map[int]int{}
		for range 40 {
			count[<-codes]++
		}
		assert.Equal(t, map[int]int{200: 16, 503: 24}, count)
		assert.Equal(t, int64(1), most.Load())
		again := w.ask("GET", "/metrics", "")
		assert.Equal(t, "up 1\n", again.Body.String())
		assert.Equal(t, "text/plain; version=0.0.4", again.Header().Get("Content-Type"))
		time.Sleep(time.Minute) // what rests has rested
	})
}
