package slack

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tocsin-oncall/tocsin"
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
	// lookupScans bounds the scans for one message: the past, then what has
	// come meanwhile, and again when Slack is slow.
	lookupScans = 4
	// lookupPause is how long no look-up is tried after Slack refused one for
	// good.
	lookupPause = 10 * time.Minute
	// lookupTries is how often a look-up may fail for now before the message is
	// posted without: twice is better than not at all.
	lookupTries = 3
)

// posted is a message that was found.
type posted struct {
	ref  string
	told uint64
}

// search is what is known of the channel's history. All fields but turn belong
// to the goroutine that has sent to turn.
type search struct {
	turn chan struct{}
	// found holds our messages by incident and target.
	found map[string]posted
	// began is when the newest complete scan began; zero: there was none.
	began time.Time
	// lowest is the start of what was scanned without a gap, in microseconds;
	// newest the latest message seen.
	lowest, newest int64
	// bounded is true when a scan ended at lookupPages: nothing older is looked
	// at.
	bounded bool
	job     *scan // unfinished
	fails   int
	// closed until then, for the reason why.
	closed time.Time
	why    string
}

// scan is one walk through the history, from the newest message to oldest. It
// survives an error, so that a rate limit does not begin it anew.
type scan struct {
	oldest, latest int64
	cursor         string
	began          time.Time
	pages          int
}

// findMessage looks for the incident's message. The string says why it may be
// there although it was not found. An error is temporary: try again later.
func (ch *Channel) findMessage(ctx context.Context, n *tocsin.Notice) (posted, string, error) {
	s := &ch.search
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return posted{}, "", fmt.Errorf("slack: waiting to look the message up: %w", ctx.Err())
	}
	if time.Now().Before(s.closed) {
		return posted{}, s.why, nil
	}
	hit, err := ch.find(ctx, n)
	switch {
	case err == nil && hit.ref == "" && s.bounded:
		return hit, "an earlier attempt is not among the channel's newest messages", nil
	case err == nil:
		return hit, "", nil
	case ctx.Err() != nil:
		return posted{}, "", err
	}
	if s.fails++; !tocsin.IsPermanent(err) && s.fails < lookupTries {
		return posted{}, "", err
	}
	s.fails = 0
	s.why = "not looked up first: " + err.Error()
	if tocsin.IsPermanent(err) {
		s.closed = time.Now().Add(lookupPause)
	}
	return posted{}, s.why, nil
}

// find scans as much as is needed to tell whether the message is there.
func (ch *Channel) find(ctx context.Context, n *tocsin.Notice) (posted, error) {
	s := &ch.search
	id, err := ch.resolve(ctx)
	if err != nil {
		return posted{}, err
	}
	since := n.Delivery.Since
	if since.IsZero() {
		since = n.Now
	}
	key, oldest := n.Incident.ID+"\x00"+n.Delivery.Target, since.Add(-lookupMargin).UnixMicro()
	s.expire(time.Now())
	for range lookupScans {
		if hit, ok := s.found[key]; ok {
			return hit, nil
		}
		job := s.next(oldest, ch.doubted(n.Incident.ID), time.Now())
		if job == nil {
			return posted{}, nil
		}
		if err := ch.run(ctx, id, job); err != nil {
			return posted{}, err
		}
	}
	return posted{}, nil
}

// expire forgets what is too old to be of use, which also gives its memory
// back.
func (s *search) expire(now time.Time) {
	if s.job == nil && now.Sub(s.began) > lookupPause {
		*s = search{turn: s.turn, fails: s.fails, closed: s.closed, why: s.why}
	}
	if s.found == nil {
		s.found = map[string]posted{}
	}
}

// next returns the scan that is needed to know all messages since oldest, as
// they were after doubted; nil: none is.
func (s *search) next(oldest int64, doubted, now time.Time) *scan {
	switch {
	case s.job != nil:
	case s.began.IsZero():
		s.job = &scan{oldest: oldest - lookupStride.Microseconds(), began: now}
	case !s.bounded && oldest < s.lowest:
		s.job = &scan{oldest: oldest - lookupStride.Microseconds(), latest: s.lowest}
	case s.began.Before(doubted) || now.Sub(s.began) > lookupFresh:
		from := s.lowest
		if s.newest > 0 {
			from = s.newest - lookupOverlap.Microseconds()
		}
		s.job = &scan{oldest: from, began: now}
	}
	return s.job
}

// run walks the history to the end of the scan.
func (ch *Channel) run(ctx context.Context, id string, job *scan) error {
	s := &ch.search
	for {
		r, err := ch.client.read(ctx, methodHistory, job.form(id))
		if codeOf(err) == "invalid_cursor" {
			s.job = nil // begin anew the next time
		}
		if err != nil {
			return err
		}
		for n := range r.Messages {
			s.note(id, &r.Messages[n])
		}
		job.pages++
		job.cursor = r.Metadata.NextCursor
		if !r.HasMore || job.cursor == "" || job.pages >= lookupPages {
			s.finish(job, r.HasMore)
			return nil
		}
	}
}

func (j *scan) form(id string) url.Values {
	form := url.Values{
		"channel": {id}, "include_all_metadata": {"true"}, "inclusive": {"true"},
		"limit": {strconv.Itoa(lookupPage)}, "oldest": {stamp(j.oldest)},
	}
	if j.latest > 0 {
		form.Set("latest", stamp(j.latest))
	}
	if j.cursor != "" {
		form.Set("cursor", j.cursor)
	}
	return form
}

// finish takes over what a scan has covered.
func (s *search) finish(job *scan, more bool) {
	s.job, s.fails = nil, 0
	if s.began.IsZero() || job.oldest < s.lowest {
		s.lowest = job.oldest
	}
	if !job.began.IsZero() {
		s.began = job.began
	}
	if more {
		s.bounded = true
	}
}

// note remembers a message of the history if it is about an incident; of two
// about the same one the newer.
func (s *search) note(channel string, m *historyMessage) {
	at := micros(m.TS)
	s.newest = max(s.newest, at)
	p, ok := m.about(eventIncident)
	if !ok || p.Incident == "" {
		return
	}
	key := p.Incident + "\x00" + p.Target
	if old, ok := s.found[key]; ok {
		if _, ts, _ := strings.Cut(old.ref, "/"); micros(ts) >= at {
			return
		}
	}
	s.found[key] = posted{ref: channel + "/" + m.TS, told: p.Told}
}

// about reads our metadata of the given type.
func (m *historyMessage) about(eventType string) (payload, bool) {
	if m.Metadata.EventType != eventType {
		return payload{}, false
	}
	var p payload
	err := json.Unmarshal(m.Metadata.Payload, &p, lenient)
	return p, err == nil
}

// threadTold looks for the replies of an earlier attempt and returns the last
// event that they tell. The string says why the outcome is not certain.
func (ch *Channel) threadTold(ctx context.Context, n *tocsin.Notice, id, ts string) (uint64, string, error) {
	since := n.Delivery.Since
	if at := n.Delivery.DeliveredAt; !at.IsZero() && at.Before(since) {
		since = at
	}
	form := url.Values{
		"channel": {id}, "ts": {ts}, "include_all_metadata": {"true"}, "limit": {strconv.Itoa(lookupPage)},
		"oldest": {stamp(since.Add(-lookupMargin).UnixMicro())},
	}
	var told uint64
	for range lookupPages {
		r, err := ch.client.read(ctx, methodReplies, form)
		switch {
		case tocsin.IsPermanent(err), isRetry(err):
			// A line told twice does less harm than a pause of all pages.
			ch.settleThread(n.Incident.ID)
			return 0, "the thread was not looked up first: " + err.Error(), nil
		case err != nil:
			return 0, "", err
		}
		for k := range r.Messages {
			if p, ok := r.Messages[k].about(eventThread); ok && p.Incident == n.Incident.ID {
				told = max(told, p.Told)
			}
		}
		if !r.HasMore || r.Metadata.NextCursor == "" {
			break
		}
		form.Set("cursor", r.Metadata.NextCursor)
	}
	ch.settleThread(n.Incident.ID)
	return told, "", nil
}

func isRetry(err error) bool {
	_, ok := tocsin.RetryDelay(err)
	return ok
}

// settleThread ends the doubt about a thread.
func (ch *Channel) settleThread(incident string) {
	ch.changeDoubt(incident, func(d *doubt) { d.thread = false })
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.doubts[incident] == (doubt{}) {
		delete(ch.doubts, incident)
	}
}

// resolve returns the channel's ID, which reading needs.
func (ch *Channel) resolve(ctx context.Context) (string, error) {
	if id := ch.knownID(); id != "" {
		return id, nil
	}
	id, err := ch.list(ctx, "public_channel,private_channel")
	if codeOf(err) == "missing_scope" {
		id, err = ch.list(ctx, "public_channel")
	}
	if err != nil {
		return "", err
	}
	if id == "" {
		return "", tocsin.Permanent(errors.New("slack " + methodList + ": no channel of the name " + ch.label() + " that the bot can see"))
	}
	ch.learn(id + "/")
	return id, nil
}

// list walks the workspace's channels until it meets this one's name.
func (ch *Channel) list(ctx context.Context, types string) (string, error) {
	name := strings.TrimPrefix(ch.name, "#")
	form := url.Values{"types": {types}, "limit": {strconv.Itoa(lookupPage)}, "exclude_archived": {"true"}}
	for range lookupPages {
		r, err := ch.client.read(ctx, methodList, form)
		if err != nil {
			return "", err
		}
		for _, c := range r.Channels {
			if c.Name == name {
				return c.ID, nil
			}
		}
		if r.Metadata.NextCursor == "" {
			return "", nil
		}
		form.Set("cursor", r.Metadata.NextCursor)
	}
	return "", nil
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
