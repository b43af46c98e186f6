package slack

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/tocsin-oncall/tocsin"
)

const (
	// lookupScans bounds the scans for one message: the past, then what has
	// come meanwhile, and again when Slack is slow.
	lookupScans = 4
	// lookupTries is how often a look-up may fail for now before the message is
	// posted without: twice is better than not at all.
	lookupTries = 3
)

// query is what is looked up.
type query struct {
	// since is when the message may have been posted at the earliest.
	since time.Time
	// doubted is the number of the last unclear attempt of this process that may
	// have posted it; 0: none.
	doubted uint64
	// match takes over what was found; false: nothing yet.
	match func(*search) bool
}

// lookUp searches the history until the query matches. The string says why the
// message may be there although it was not found. An error is temporary: try
// again later.
func (ch *Channel) lookUp(ctx context.Context, q query) (string, error) {
	s := &ch.search
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return "", fmt.Errorf("slack: waiting to look the message up: %w", ctx.Err())
	}
	if time.Now().Before(s.closed) {
		return s.why, nil
	}
	hit, err := ch.find(ctx, q)
	switch {
	case err == nil && !hit && s.bounded:
		return "an earlier attempt is not among the channel's newest messages", nil
	case err == nil:
		return "", nil
	case ctx.Err() != nil:
		return "", err
	}
	if s.fails++; !tocsin.IsPermanent(err) && s.fails < lookupTries {
		return "", err
	}
	s.fails = 0
	s.why = "not looked up first: " + err.Error()
	if tocsin.IsPermanent(err) {
		s.closed = time.Now().Add(lookupPause)
	}
	return s.why, nil
}

// find scans as much as is needed to tell whether the query matches.
func (ch *Channel) find(ctx context.Context, q query) (bool, error) {
	s := &ch.search
	id, err := ch.resolve(ctx)
	if err != nil {
		return false, err
	}
	oldest := q.since.Add(-lookupMargin).UnixMicro()
	s.expire(time.Now())
	for range lookupScans {
		if q.match(s) {
			return true, nil
		}
		job := s.next(oldest, q.doubted, ch.attempted(), time.Now())
		if job == nil {
			return false, nil
		}
		if err := s.run(ctx, ch.client, id, job); err != nil {
			return false, err
		}
	}
	return q.match(s), nil
}

// findMessage looks for the incident's message, or the digest that tells of it.
func (ch *Channel) findMessage(ctx context.Context, n *tocsin.Notice) (own posted, in digested, why string, err error) {
	since := n.Delivery.Since
	if since.IsZero() {
		since = n.Now
	}
	k := key{n.Incident.ID, n.Delivery.Target}
	why, err = ch.lookUp(ctx, query{since: since, doubted: ch.doubted(k.incident), match: func(s *search) bool {
		if own = s.found[k]; own.ref != "" {
			return true
		}
		if n.Delivery.Digest {
			return false // the message that is wanted is its own
		}
		if in = s.digests[k]; in.ref != "" {
			ch.carry(in.ref, s.named(in.ref))
		}
		return in.ref != ""
	}})
	return own, in, why, err
}

// findDigest looks for a digest that names any of the incidents: the one that
// names most of them. One that would become too long with the rest of them does
// not count, nor does one that the caller knows of: it wants another.
func (ch *Channel) findDigest(ctx context.Context, n *tocsin.DigestNotice) (ref, why string, err error) {
	q := query{since: n.Since}
	if q.since.IsZero() {
		q.since = n.Now
	}
	for _, i := range n.Incidents {
		q.doubted = max(q.doubted, ch.doubted(i.ID))
	}
	q.match = func(s *search) bool {
		ref = s.digestOf(n)
		if ref != "" {
			ch.carry(ref, s.named(ref))
		}
		return ref != ""
	}
	why, err = ch.lookUp(ctx, q)
	return ref, why, err
}

// digestOf chooses among the digests that name incidents of the notice.
func (s *search) digestOf(n *tocsin.DigestNotice) string {
	hits := map[string]int{}
	for _, i := range n.Incidents {
		d, ok := s.digests[key{i.ID, n.Target}]
		if known := i.Delivery(n.Target); ok && (known == nil || known.Ref != d.ref && !calledSince(known)) {
			hits[d.ref]++
		}
	}
	best := ""
	for ref, count := range hits {
		if len(s.named(ref))-count+len(n.Incidents) > maxNamed {
			continue
		}
		if best == "" || count > hits[best] || count == hits[best] && timeOf(ref) > timeOf(best) {
			best = ref
		}
	}
	return best
}

// threadTold looks for the replies of an earlier attempt and returns the last
// event that they tell, and how often they called. The string says why the
// outcome is not certain.
func (ch *Channel) threadTold(ctx context.Context, n *tocsin.Notice, at place) (posted, string, error) {
	since := n.Delivery.Since
	if at := n.Delivery.DeliveredAt; !at.IsZero() && at.Before(since) {
		since = at
	}
	params := &slackgo.GetConversationRepliesParameters{
		ChannelID: at.channel, Timestamp: at.ts, IncludeAllMetadata: true, Limit: lookupPage,
		Oldest: stamp(since.Add(-lookupMargin).UnixMicro()),
	}
	found := posted{ref: n.Delivery.Ref}
	for range lookupPages {
		p, err := ch.client.replies(ctx, params)
		switch {
		case tocsin.IsPermanent(err), isRetry(err):
			// A line told twice does less harm than a pause of all pages.
			ch.settleThread(n.Incident.ID)
			return posted{}, "the thread was not looked up first: " + err.Error(), nil
		case err != nil:
			return posted{}, "", err
		}
		for k := range p.messages {
			if p, ok := about(&p.messages[k], eventThread); ok && p.Incident == n.Incident.ID {
				found.told, found.called = max(found.told, p.Told), max(found.called, p.Called)
			}
		}
		if params.Cursor = p.cursor; p.cursor == "" {
			break
		}
	}
	ch.settleThread(n.Incident.ID)
	return found, "", nil
}

func isRetry(err error) bool {
	_, ok := tocsin.RetryDelay(err)
	return ok
}

// resolve returns the channel's ID, which reading needs.
func (ch *Channel) resolve(ctx context.Context) (string, error) {
	if id := ch.knownID(); id != "" {
		return id, nil
	}
	if isUser(ch.name) {
		return ch.open(ctx)
	}
	id, err := ch.list(ctx, "public_channel", "private_channel")
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
func (ch *Channel) list(ctx context.Context, types ...string) (string, error) {
	name := strings.TrimPrefix(ch.name, "#")
	params := &slackgo.GetConversationsParameters{Types: types, Limit: lookupPage, ExcludeArchived: true}
	for range lookupPages {
		channels, cursor, err := ch.client.list(ctx, params)
		if err != nil {
			return "", err
		}
		for n := range channels {
			if channels[n].Name == name {
				return channels[n].ID, nil
			}
		}
		if params.Cursor = cursor; cursor == "" {
			return "", nil
		}
	}
	return "", nil
}
