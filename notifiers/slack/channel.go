package slack

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// Channel shows incidents in one Slack channel. Make it with Client.Channel. It
// is safe for concurrent use; how often it is called is the caller's to limit.
type Channel struct {
	client *Client
	name   string
	search search

	mu sync.Mutex
	id string // learnt from Slack's answers
	// doubts holds the incidents of which an attempt of this process, or of
	// one before it, may have posted something that we do not know of.
	doubts map[string]doubt
}

// doubt is what is not known of an incident's posts.
type doubt struct {
	// at is when the last unclear attempt at the message ended; zero: there was
	// none here.
	at time.Time
	// thread is true until the thread was looked at.
	thread bool
}

// maxDoubts bounds the memory of unclear attempts. Above it the caller's
// MayBePosted alone counts.
const maxDoubts = 10_000

func newChannel(c *Client, name string) *Channel {
	ch := &Channel{client: c, name: name, doubts: map[string]doubt{}}
	ch.search.turn = make(chan struct{}, 1)
	if isID(name) {
		ch.id = name
	}
	return ch
}

// isID tells a conversation's ID from a name, which has no capitals.
func isID(name string) bool {
	return len(name) > 8 && strings.ContainsRune("CGD", rune(name[0])) &&
		strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}

// Deliver brings the channel up to date about one incident with one call that
// posts or updates: the message where it is older than the incident, else one
// reply in its thread that tells the events since Delivery.Told. Receipt.More
// asks for the thread after the message.
//
// Before a message is posted that may have been posted already
// (Notice.MayBePosted), the channel is searched for it when Config.Lookup is
// set; where Slack does not allow that, the message is posted all the same and
// Receipt.Text says so. A message that is gone, or that Slack does not let us
// change, is posted anew.
//
// Errors satisfy tocsin.IsPermanent, tocsin.RetryDelay or tocsin.IsUnclear
// where these apply; any other is temporary. They say what to do and hold no
// token.
func (ch *Channel) Deliver(ctx context.Context, n tocsin.Notice) (tocsin.Receipt, error) {
	if n.Delivery.Digest {
		// That message tells of other incidents too: this one gets its own.
		n.Delivery.Ref = ""
	}
	if ch.knownID() == "" {
		ch.learn(n.Delivery.Ref)
	}
	if n.MayBePosted {
		ch.doubtThread(n.Incident.ID)
	}
	if n.Delivery.Revision < n.Incident.Revision {
		return ch.deliverMessage(ctx, &n)
	}
	return ch.deliverThread(ctx, &n)
}

// deliverMessage updates the incident's message or posts it.
func (ch *Channel) deliverMessage(ctx context.Context, n *tocsin.Notice) (tocsin.Receipt, error) {
	ref, told, note := n.Delivery.Ref, n.Delivery.Told, ""
	if ref == "" && n.MayBePosted && ch.client.lookup {
		hit, why, err := ch.findMessage(ctx, n)
		if err != nil {
			return tocsin.Receipt{}, err
		}
		if note = why; hit.ref != "" {
			ref, told = hit.ref, hit.told
		}
	}
	if ref != "" {
		r, err := ch.update(ctx, n, ref, told, note)
		if err == nil || !messageGone(err) {
			return r, err
		}
		note = "the earlier message could not be updated: " + codeOf(err)
	}
	return ch.postAnew(ctx, n, note)
}

// postAnew posts a message. It tells all there is, so the thread begins after
// the newest event.
func (ch *Channel) postAnew(ctx context.Context, n *tocsin.Notice, note string) (tocsin.Receipt, error) {
	told := lastSeq(n.Events)
	at := place{channel: ch.name, told: told}
	ref, plainly, err := ch.send(ctx, methodPost, n, at)
	if err != nil {
		if tocsin.IsUnclear(err) {
			ch.doubtMessage(n.Incident.ID)
		}
		return tocsin.Receipt{}, err
	}
	ch.forget(n.Incident.ID)
	r := receipt(n, ref)
	r.Told = told
	r.Text = sentence("posted to "+ch.label(), note, plainly)
	return r, nil
}

// update changes the message at ref. The thread gets what told does not cover.
func (ch *Channel) update(ctx context.Context, n *tocsin.Notice, ref string, told uint64, note string) (tocsin.Receipt, error) {
	id, ts, _ := strings.Cut(ref, "/")
	_, plainly, err := ch.send(ctx, methodUpdate, n, place{channel: id, ts: ts, told: told})
	if err != nil {
		return tocsin.Receipt{}, err
	}
	r := receipt(n, ref)
	if r.More = len(untold(n.Events, told)) > 0; r.More {
		r.Told = told
	} else {
		r.Told = max(told, lastSeq(n.Events))
	}
	if note != "" || plainly != "" {
		r.Text = sentence("updated in "+ch.label(), note, plainly)
	}
	return r, nil
}

// place is where a message goes.
type place struct {
	channel, ts string
	told        uint64
}

// send posts or updates the incident's message. When Slack refuses its form it
// is sent once more as text alone, since an ugly page is better than none; the
// string says so.
func (ch *Channel) send(ctx context.Context, method string, n *tocsin.Notice, at place) (ref, plainly string, err error) {
	address := func(m *message) {
		m.Channel, m.TS, m.Metadata.Payload.Told = at.channel, at.ts, at.told
	}
	body, err := incidentMessage(n, address)
	if err != nil {
		return "", "", tocsin.Permanent(err)
	}
	r, err := ch.client.post(ctx, method, body)
	if blocksRefused(err) {
		plainly = "as plain text: " + err.Error()
		body, encErr := incidentMessage(n, func(m *message) {
			address(m)
			m.Blocks, m.Attachments = nil, nil
		})
		if encErr != nil {
			return "", "", err
		}
		r, err = ch.client.post(ctx, method, body)
	}
	if err != nil {
		return "", "", err
	}
	ref, err = ch.refOf(method, &r)
	return ref, plainly, err
}

// refOf makes the reference of an answer.
func (ch *Channel) refOf(method string, r *response) (string, error) {
	if method != methodPost {
		return "", nil
	}
	if r.Channel == "" || r.TS == "" {
		return "", tocsin.Unclear(errors.New("slack " + method + ": the answer names no message"))
	}
	ref := r.Channel + "/" + r.TS
	ch.learn(ref)
	return ref, nil
}

// deliverThread tells the events since the last time in one reply.
func (ch *Channel) deliverThread(ctx context.Context, n *tocsin.Notice) (tocsin.Receipt, error) {
	r := receipt(n, "")
	r.Told = lastSeq(n.Events)
	events := untold(n.Events, n.Delivery.Told)
	if n.Delivery.Ref == "" || len(events) == 0 {
		return r, nil
	}
	id, ts, _ := strings.Cut(n.Delivery.Ref, "/")
	if ch.client.lookup && (n.MayBePosted || ch.threadDoubted(n.Incident.ID)) {
		told, why, err := ch.threadTold(ctx, n, id, ts)
		if err != nil {
			return tocsin.Receipt{}, err
		}
		r.Text = why
		if events = untold(n.Events, max(told, n.Delivery.Told)); len(events) == 0 {
			return r, nil
		}
	}
	m := threadMessage(n.Incident.ID, events, r.Told)
	m.Channel, m.ThreadTS = id, ts
	body, err := m.encode()
	if err != nil {
		return tocsin.Receipt{}, tocsin.Permanent(err)
	}
	_, err = ch.client.post(ctx, methodPost, body)
	switch {
	case messageGone(err):
		return ch.postAnew(ctx, n, "the thread was gone: "+codeOf(err))
	case err != nil:
		if tocsin.IsUnclear(err) {
			ch.doubtThread(n.Incident.ID)
		}
		return tocsin.Receipt{}, err
	}
	return r, nil
}

// DeliverDigest shows many incidents in one message: it updates the one at
// Ref, or posts one where Ref is empty or its message is gone. Errors are those
// of Deliver. It is one call that posts or updates.
func (ch *Channel) DeliverDigest(ctx context.Context, n tocsin.DigestNotice) (tocsin.Receipt, error) {
	note := ""
	if n.Ref != "" {
		id, ts, _ := strings.Cut(n.Ref, "/")
		err := ch.sendDigest(ctx, methodUpdate, &n, place{channel: id, ts: ts}, nil)
		if err == nil {
			return tocsin.Receipt{Ref: n.Ref}, nil
		}
		if !messageGone(err) {
			return tocsin.Receipt{}, err
		}
		note = "the earlier digest could not be updated: " + codeOf(err)
	}
	var ref string
	if err := ch.sendDigest(ctx, methodPost, &n, place{channel: ch.name}, &ref); err != nil {
		return tocsin.Receipt{}, err
	}
	return tocsin.Receipt{Ref: ref, Text: sentence("told in a digest in "+ch.label(), note, "")}, nil
}

func (ch *Channel) sendDigest(ctx context.Context, method string, n *tocsin.DigestNotice, at place, ref *string) error {
	body, err := digestMessage(n, func(m *message) { m.Channel, m.TS = at.channel, at.ts })
	if err != nil {
		return tocsin.Permanent(err)
	}
	r, err := ch.client.post(ctx, method, body)
	if err == nil && ref != nil {
		*ref, err = ch.refOf(method, &r)
	}
	return err
}

// receipt says that the target shows the incident as it is.
func receipt(n *tocsin.Notice, ref string) tocsin.Receipt {
	i := n.Incident
	return tocsin.Receipt{Ref: ref, Revision: i.Revision, State: i.State, Severity: i.Severity}
}

// sentence joins what was done with what is remarkable about it.
func sentence(parts ...string) string {
	out := parts[:0]
	for _, p := range parts {
		if p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, "; ")
}

// label is the channel as people know it.
func (ch *Channel) label() string {
	if isID(ch.name) || strings.HasPrefix(ch.name, "#") {
		return ch.name
	}
	return "#" + ch.name
}

// learn takes the channel's ID from a reference, for looking up: Slack finds
// messages by ID alone. Posts go by the configured name all the same, since a
// name may be given to another channel.
func (ch *Channel) learn(ref string) {
	id, _, ok := strings.Cut(ref, "/")
	if !ok || isID(ch.name) {
		return
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.id = id
}

// knownID is the channel's ID, or "".
func (ch *Channel) knownID() string {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.id
}

func (ch *Channel) doubtMessage(incident string) {
	ch.changeDoubt(incident, func(d *doubt) { d.at = time.Now() })
}

func (ch *Channel) doubtThread(incident string) {
	if ch.client.lookup {
		ch.changeDoubt(incident, func(d *doubt) { d.thread = true })
	}
}

func (ch *Channel) changeDoubt(incident string, fn func(*doubt)) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	d, ok := ch.doubts[incident]
	if !ok && len(ch.doubts) >= maxDoubts {
		return
	}
	fn(&d)
	ch.doubts[incident] = d
}

func (ch *Channel) threadDoubted(incident string) bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.doubts[incident].thread
}

// doubted is when the last unclear attempt at the message ended.
func (ch *Channel) doubted(incident string) time.Time {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.doubts[incident].at
}

// forget ends all doubts: what is shown now was posted by us, with an answer.
func (ch *Channel) forget(incident string) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	delete(ch.doubts, incident)
}
