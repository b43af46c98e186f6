package slack

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	slackgo "github.com/slack-go/slack"
)

const (
	// lookupMargin allows for clocks that differ: ours gives Delivery.Since,
	// Slack's gives the messages' times.
	lookupMargin = 5 * time.Minute
	// lookupStride is how much further back than needed a scan goes, so that
	// many incidents with different starts need few scans.
	lookupStride = time.Hour
	// lookupOverlap is read again by the next scan: messages may appear a
	// little out of order.
	lookupOverlap = 2 * time.Second
	// lookupFresh is how long a scan counts for what others may have posted.
	// What this process may have posted is known more exactly.
	lookupFresh = 10 * time.Second
	// lookupPages and lookupPage bound a scan to about 50,000 messages.
	lookupPages = 50
	lookupPage  = 999
	// lookupPause is how long no look-up is tried after Slack refused one for
	// good, and how long what was found is remembered.
	lookupPause = 10 * time.Minute
)

// key is an incident in a target.
type key struct{ incident, target string }

// posted is an incident's own message that was found.
type posted struct {
	ref  string
	told uint64
	// called is how often the target was called up to then.
	called uint32
}

// digested is a digest that was found to name an incident, and the revision of
// the incident that it shows.
type digested struct {
	ref      string
	revision uint64
}

// search looks through the channel's history. All fields but turn belong to the
// goroutine that has sent to turn.
type search struct {
	turn chan struct{}
	known
	job   *scan // unfinished
	fails int
	// closed until then, for the reason why.
	closed time.Time
	why    string
}

// known is what complete scans have seen.
type known struct {
	// found holds the messages of incidents, digests the digests that name them.
	found   map[key]posted
	digests map[key]digested
	// began is when the newest complete scan began; zero: there was none.
	// Attempts up to covered had ended by then.
	began   time.Time
	covered uint64
	// lowest is the start of what was scanned without a gap, in microseconds;
	// newest the latest message seen.
	lowest, newest int64
	// bounded is true when a scan ended at lookupPages: nothing older is looked
	// at.
	bounded bool
}

// scan is one walk through the history, from the newest message to oldest. It
// survives an error, so that a rate limit does not begin it anew.
type scan struct {
	oldest, latest int64
	cursor         string
	began          time.Time
	covered        uint64
	pages          int
}

// expire forgets what is too old to be of use, which also gives its memory
// back.
func (s *search) expire(now time.Time) {
	if s.job == nil && now.Sub(s.began) > lookupPause {
		s.known = known{}
	}
	if s.found == nil {
		s.found, s.digests = map[key]posted{}, map[key]digested{}
	}
}

// next returns the scan that is needed to know all messages since oldest, as
// they were after the attempt doubted; nil: none is. attempted is how many have
// ended by now.
func (s *search) next(oldest int64, doubted, attempted uint64, now time.Time) *scan {
	switch {
	case s.job != nil:
	case s.began.IsZero():
		s.job = &scan{oldest: oldest - lookupStride.Microseconds(), began: now, covered: attempted}
	case !s.bounded && oldest < s.lowest:
		s.job = &scan{oldest: oldest - lookupStride.Microseconds(), latest: s.lowest}
	case s.covered < doubted || now.Sub(s.began) > lookupFresh:
		from := s.lowest
		if s.newest > 0 {
			from = s.newest - lookupOverlap.Microseconds()
		}
		s.job = &scan{oldest: from, began: now, covered: attempted}
	}
	return s.job
}

// run walks the history to the end of the scan.
func (s *search) run(ctx context.Context, c *Client, id string, job *scan) error {
	for {
		p, err := c.history(ctx, job.parameters(id))
		if codeOf(err) == "invalid_cursor" {
			s.job = nil // begin anew the next time
		}
		if err != nil {
			return err
		}
		for n := range p.messages {
			s.note(id, &p.messages[n])
		}
		job.pages++
		job.cursor = p.cursor
		if p.cursor == "" || job.pages >= lookupPages {
			s.finish(job, p.cursor != "")
			return nil
		}
	}
}

func (j *scan) parameters(id string) *slackgo.GetConversationHistoryParameters {
	p := &slackgo.GetConversationHistoryParameters{
		ChannelID: id, IncludeAllMetadata: true, Inclusive: true, Limit: lookupPage,
		Oldest: stamp(j.oldest), Cursor: j.cursor,
	}
	if j.latest > 0 {
		p.Latest = stamp(j.latest)
	}
	return p
}

// finish takes over what a scan has covered.
func (s *search) finish(job *scan, more bool) {
	s.job, s.fails = nil, 0
	if s.began.IsZero() || job.oldest < s.lowest {
		s.lowest = job.oldest
	}
	if !job.began.IsZero() {
		s.began, s.covered = job.began, job.covered
	}
	if more {
		s.bounded = true
	}
}

// note remembers a message of the history if it is about incidents; of two
// about the same one the newer.
func (s *search) note(channel string, m *slackgo.Message) {
	at, ref := micros(m.Timestamp), channel+"/"+m.Timestamp
	s.newest = max(s.newest, at)
	if p, ok := about(m, eventIncident); ok && p.Incident != "" {
		k := key{p.Incident, p.Target}
		if old, ok := s.found[k]; !ok || timeOf(old.ref) < at {
			s.found[k] = posted{ref, p.Told, p.Called}
		}
	}
	if p, ok := about(m, eventDigest); ok {
		for _, i := range p.Incidents {
			k := key{i.ID, p.Target}
			if old, ok := s.digests[k]; !ok || timeOf(old.ref) <= at {
				s.digests[k] = digested{ref, i.Revision}
			}
		}
	}
}

// named returns what the digest at ref tells of, where no newer one does.
func (s *search) named(ref string) []named {
	var out []named
	for k, d := range s.digests {
		if d.ref == ref {
			out = append(out, named{k.incident, d.revision})
		}
	}
	return out
}

// timeOf is a reference's part in microseconds.
func timeOf(ref string) int64 {
	_, ts, _ := strings.Cut(ref, "/")
	return micros(ts)
}

// stamp writes microseconds as Slack writes times.
func stamp(us int64) string {
	us = max(us, 0)
	return fmt.Sprintf("%d.%06d", us/1e6, us%1e6)
}

// micros reads a time of Slack's; anything else is 0.
func micros(ts string) int64 {
	whole, frac, _ := strings.Cut(ts, ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return 0
	}
	us, err := strconv.ParseInt((frac + "000000")[:6], 10, 64)
	if err != nil {
		return 0
	}
	return sec*1e6 + us
}
