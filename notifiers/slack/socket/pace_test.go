package socket

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
)

func TestPace(t *testing.T) {
	t.Parallel()
	var p pace
	broke := errors.New("broke")
	lived := func(d time.Duration) ending { return ending{lived: d, err: broke} }
	assert.Zero(t, p.next(lived(time.Hour), 1), "the first is made at once")
	assert.Equal(t, time.Second, p.next(lived(time.Second), 1))
	assert.Equal(t, 2*time.Second, p.next(lived(time.Second), 1))
	assert.Equal(t, 8*time.Second, p.next(ending{err: broke}, 1))
	assert.Zero(t, p.next(lived(steady), 1), "one that lived ends the bad time")
	assert.Equal(t, 90*time.Second, p.next(ending{err: tocsin.RetryAfter(broke, 90*time.Second)}, 0))
	assert.Equal(t, slow, p.next(ending{err: tocsin.Permanent(broke)}, 0))
	assert.Zero(t, new(pace).next(ending{lived: 1}, 1))
	assert.Equal(t, time.Second, new(pace).next(ending{err: broke}, 1))
}

// TestPaceIsNeverInAHurryNorAsleep: whatever happens, nothing spins, and nothing is
// given up.
func TestPaceIsNeverInAHurryNorAsleep(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var p pace
		hurry := 0
		for range rapid.IntRange(1, 60).Draw(t, "endings") {
			e := ending{lived: time.Duration(rapid.Int64Range(0, int64(2*steady)).Draw(t, "lived"))}
			after := time.Duration(0)
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				e.err = errors.New("broke")
			case 1:
				e.err = tocsin.Permanent(errors.New("revoked"))
			case 2:
				after = time.Duration(rapid.Int64Range(0, int64(10*time.Minute)).Draw(t, "after"))
				e.err = tocsin.RetryAfter(errors.New("limited"), after)
			default:
			}
			wait := p.next(e, rapid.Float64Range(0, 1).Draw(t, "jitter"))
			if wait < after || wait > max(after, slow+slow/5) {
				t.Fatalf("waits %s, asked for %s", wait, after)
			}
			if hurry++; e.lived >= steady || wait >= first/2 {
				hurry = 0
			}
			if hurry > 1 {
				t.Fatalf("two connections in a row that did not live, without a pause")
			}
		}
	})
}
