package story

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
)

// unanswered is what happens in the first 56 minutes if nobody does anything.
var unanswered = []string{
	"0s ana by Slack", "2m ana by PagerDuty", "5m ana by email",
	"15m bo by Slack", "17m bo by PagerDuty", "20m bo by email",
	"30m cy by Slack", "30m dan by Slack", "32m cy by PagerDuty", "32m dan by PagerDuty", "35m cy by email", "35m dan by email",
	"45m boss by email", "45m boss by Slack", "45m boss by PagerDuty",
	"55m boss by email again", "55m boss by Slack again", "55m boss by PagerDuty again",
}

// A restart inside any wait changes nothing.
func TestRestartInEveryWait(t *testing.T) {
	t.Parallel()
	waits := map[string][]time.Duration{
		"before PagerDuty": {30 * time.Second}, "before email": {3 * time.Minute}, "before the secondary": {6 * time.Minute},
		"secondary": {16 * time.Minute, 18 * time.Minute, 21 * time.Minute}, "leads": {31 * time.Minute, 33 * time.Minute, 36 * time.Minute},
		"last resort": {46 * time.Minute}, "at the step": {15 * time.Minute, 30 * time.Minute, 45 * time.Minute},
	}
	for m := range 56 {
		waits["every minute"] = append(waits["every minute"], time.Duration(m)*time.Minute+10*time.Second)
	}
	for name, at := range waits {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			play(t, watched(nil), func(t *testing.T, s *service) {
				id := s.opens("NodeDown", "critical")
				for _, after := range at {
					s.until(after)
					s.restart()
				}
				s.until(56 * time.Minute)
				assert.Equal(t, unanswered, s.calls(id))
			})
		})
	}
}

// The process is away while steps are due: they are taken at once when it is
// back, in order, and nobody is called more than once by any way.
func TestLateStepsAreTakenAtOnce(t *testing.T) {
	t.Parallel()
	away := map[string]func(s *service){
		"stopped": func(s *service) {
			s.halt()
			s.pass(time.Hour)
			s.start()
		},
		"frozen": func(s *service) {
			thaw := make(chan struct{})
			s.frozen.Store(&thaw)
			s.pass(time.Hour)
			s.frozen.Store(nil)
			close(thaw)
		},
	}
	for name, leave := range away {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			play(t, watched(nil), func(t *testing.T, s *service) {
				id := s.opens("NodeDown", "critical")
				s.until(10 * time.Minute)
				leave(s)
				s.until(70*time.Minute + 10*time.Second)
				onceEach(t, s.calls(id))
				late := s.calls(id)[3:]
				for _, who := range []string{"bo by Slack", "cy by Slack", "dan by Slack", "boss by Slack", "boss by PagerDuty"} {
					assert.True(t, slices.ContainsFunc(late, func(c string) bool { return afterTime(c) == who }), "%s: %v", who, late)
				}
				steps := s.said(id, tocsin.EventEscalated, tocsin.EventLastResort)
				require.Len(t, steps, 4)
				assert.Contains(t, steps[1], "step 2")
				assert.Contains(t, steps[2], "step 3")
				assert.Contains(t, steps[3], "last resort")
				before := len(s.calls(id))
				s.acknowledges(id, "bo")
				s.until(3 * time.Hour)
				assert.Len(t, s.calls(id), before)
			})
		})
	}
}

// onceEach requires that nobody was called twice by any way.
func onceEach(t *testing.T, calls []string) {
	t.Helper()
	seen := map[string]bool{}
	for _, c := range calls {
		assert.False(t, seen[afterTime(c)], "%s, in %v", c, calls)
		assert.NotContains(t, c, "again")
		seen[afterTime(c)] = true
	}
}

// The machine's clock jumps ahead: what is due by it is done within seconds.
func TestClockStepsForward(t *testing.T) {
	t.Parallel()
	play(t, watched(nil), func(t *testing.T, s *service) {
		id := s.opens("NodeDown", "critical")
		s.until(10 * time.Minute)
		s.ahead.Store(int64(time.Hour))
		s.until(10*time.Minute + 8*time.Second)
		onceEach(t, s.calls(id))
		for _, who := range []string{"bo by Slack", "cy by Slack", "dan by Slack", "boss by Slack", "boss by PagerDuty", "boss by email"} {
			assert.True(t, slices.ContainsFunc(s.calls(id), func(c string) bool { return afterTime(c) == who }), "%s: %v", who, s.calls(id))
		}
		s.until(19 * time.Minute)
		assert.NotContains(t, s.calls(id)[len(s.calls(id))-1], "again", "and then the waits are as long as ever")
		s.until(21 * time.Minute)
		assert.Contains(t, s.calls(id)[len(s.calls(id))-1], "boss")
	})
}

// The machine's clock jumps back: the next step gets the wait that the policy
// gives it, from when that was seen. Nobody waits for an hour, and nothing is done
// early or twice.
func TestClockStepsBack(t *testing.T) {
	t.Parallel()
	play(t, watched(nil), func(t *testing.T, s *service) {
		id := s.opens("NodeDown", "critical")
		s.until(16 * time.Minute)
		s.ahead.Store(int64(-time.Hour))
		steps := func() []string { return s.said(id, tocsin.EventEscalated, tocsin.EventLastResort) }
		s.until(30 * time.Minute)
		assert.Len(t, steps(), 2)
		s.until(31*time.Minute + 10*time.Second)
		assert.Len(t, steps(), 3, "at 03:16 another 15 minutes")
		s.until(46 * time.Minute)
		assert.Len(t, steps(), 3)
		s.until(46*time.Minute + 15*time.Second)
		assert.Len(t, steps(), 4)
		s.until(82 * time.Minute)
		for _, who := range []string{"bo by PagerDuty", "bo by email", "cy by PagerDuty", "dan by email"} {
			assert.True(t, slices.ContainsFunc(s.calls(id), func(c string) bool { return afterTime(c) == who }), "%s: %v", who, s.calls(id))
		}
		onceEach(t, slices.DeleteFunc(s.calls(id), func(c string) bool { return strings.Contains(c, "boss") }))
	})
}

// A little ahead for a minute changes nothing. Back for a minute is a jump ahead
// in the end: what is due by then is done at once, and nobody called twice.
func TestClockIsWrongForAMinute(t *testing.T) {
	t.Parallel()
	for name, step := range map[string]time.Duration{"back": -time.Hour, "a little ahead": 3 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			play(t, watched(nil), func(t *testing.T, s *service) {
				id := s.opens("NodeDown", "critical")
				s.until(10 * time.Minute)
				s.ahead.Store(int64(step))
				s.until(11 * time.Minute)
				s.ahead.Store(0)
				s.until(20 * time.Minute)
				onceEach(t, s.calls(id))
				assert.Contains(t, s.said(id, tocsin.EventEscalated)[1], "step 2")
				if step < 0 {
					return
				}
				s.until(56 * time.Minute)
				assert.Equal(t, unanswered, s.calls(id))
			})
		})
	}
}
