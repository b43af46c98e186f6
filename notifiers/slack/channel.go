package slack

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// Channel shows incidents in one Slack channel, or in the direct messages with
// one person. Make it with Client.Channel or Client.Person. It is safe for
// concurrent use; how often it is called is the caller's to limit.
type Channel struct {
	client *Client
	name   string
	search search
	// room is the channel's name where it is an incident's own.
	room string

	mu sync.Mutex
	id string // learnt from Slack's answers
	// reached is when Slack last said that the person has an account.
	reached time.Time
	// doubts holds the incidents of which an attempt of this process, or of
	// one before it, may have posted something that we do not know of.
	doubts map[string]doubt
	// attempts counts the unclear ones.
	attempts uint64
	// digests holds what found digests tell of, by their reference.
	digests map[string]map[string]carried
}

func newChannel(c *Client, name string) *Channel {
	ch := &Channel{client: c, name: name, doubts: map[string]doubt{}, digests: map[string]map[string]carried{}}
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
// Receipt.Text says so. Where a digest is found that tells of the incident,
// nothing is posted: the receipt names the digest and the revision that it
// shows. A message that is gone, or that Slack does not let us change, is posted
// anew.
//
// To call (Notice.Call), a new message is enough; where the message is there
// already, a reply that is broadcast calls, once. Both mention Delivery.Mention.
// Of a stopped delivery nothing is posted: what an earlier attempt left is
// looked for and brought up to date.
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
	if n.Delivery.Ref == "" || n.Delivery.Revision < n.Incident.Revision {
		r, err := ch.deliverMessage(ctx, &n)
		if err == nil && !r.Digest {
			ch.client.tell(&n, r.Ref)
		}
		return r, err
	}
	return ch.deliverThread(ctx, &n)
}

// DeliverStopped is Deliver, which posts nothing of a stopped delivery.
func (ch *Channel) DeliverStopped(ctx context.Context, n tocsin.Notice) (tocsin.Receipt, error) {
	return ch.Deliver(ctx, n)
}

// deliverMessage updates the incident's message or posts it.
func (ch *Channel) deliverMessage(ctx context.Context, n *tocsin.Notice) (tocsin.Receipt, error) {
	at, note := shown(n), ""
	if at.ref == "" && n.MayBePosted && ch.client.lookup {
		own, in, why, err := ch.findMessage(ctx, n)
		switch {
		case err != nil:
			return tocsin.Receipt{}, err
		case own.ref != "":
			at = own
		case in.ref != "":
			return ch.inDigest(n, in), nil
		}
		note = why
	}
	if at.ref != "" {
		r, err := ch.update(ctx, n, at, note)
		if err == nil || !messageGone(err) {
			return r, err
		}
		note = "the earlier message could not be updated: " + codeOf(err)
	}
	if n.Delivery.Stopped && n.Delivery.Ref == "" {
		r := receipt(n, "")
		r.Text = sentence("not posted to "+ch.label()+": somebody has answered", note)
		return r, nil
	}
	return ch.postAnew(ctx, n, note)
}

// shown is what the target is known to show.
func shown(n *tocsin.Notice) posted {
	d := &n.Delivery
	return posted{d.Ref, d.Told, d.Called}
}

// inDigest is the receipt of an incident that a digest was found to tell of.
func (ch *Channel) inDigest(n *tocsin.Notice, in digested) tocsin.Receipt {
	r := receipt(n, in.ref)
	r.Digest = true
	if in.revision < r.Revision {
		// What it showed of the state then is not known; the digest lags.
		r.Revision, r.State, r.Severity = in.revision, n.Delivery.State, n.Delivery.Severity
	}
	r.More = n.Call && calledSince(&n.Delivery)
	r.Text = "found in a digest in " + ch.label()
	ch.settle(in.ref, n.Incident)
	return r
}

// calledSince reports whether a call was asked for since the one whose outcome
// is not known: a digest, which does not say how often it called, stands for that
// one alone.
func calledSince(d *tocsin.Delivery) bool { return d.Calls > d.Called+1 }

// postAnew posts a message. It tells all there is, so the thread begins after
// the newest event.
func (ch *Channel) postAnew(ctx context.Context, n *tocsin.Notice, note string) (tocsin.Receipt, error) {
	if err := ch.reach(ctx); err != nil {
		return tocsin.Receipt{}, err
	}
	told, called := lastSeq(n.Events), n.Delivery.Called
	if n.Call {
		called = n.Delivery.Calls
	}
	ref, plainly, err := ch.send(ctx, methodPost, n, place{channel: ch.name}, posted{told: told, called: called})
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

// update changes the message. The thread gets what it does not cover.
func (ch *Channel) update(ctx context.Context, n *tocsin.Notice, at posted, note string) (tocsin.Receipt, error) {
	_, plainly, err := ch.send(ctx, methodUpdate, n, placeOf(at.ref), at)
	if err != nil {
		return tocsin.Receipt{}, err
	}
	r := receipt(n, at.ref)
	r.Called = at.called
	if r.More = !ch.untold(n, at).empty(); r.More {
		r.Told = at.told
	} else {
		r.Told = max(at.told, lastSeq(n.Events))
	}
	if note != "" || plainly != "" {
		r.Text = sentence("updated in "+ch.label(), note, plainly)
	}
	return r, nil
}

// placeOf is where the message of a reference is.
func placeOf(ref string) place {
	id, ts, _ := strings.Cut(ref, "/")
	return place{id, ts}
}

// send posts or updates the incident's message. When Slack refuses its form it
// is sent once more as text alone, since an ugly page is better than none; the
// string says so.
func (ch *Channel) send(ctx context.Context, method string, n *tocsin.Notice, at place, covers posted) (ref, plainly string, err error) {
	address := func(m *message) {
		m.place, m.metadata.Payload.Told, m.metadata.Payload.Called = at, covers.told, covers.called
	}
	f, err := incidentMessage(n, ch.client.buttons, address)
	if err != nil {
		return "", "", tocsin.Permanent(err)
	}
	ref, err = ch.call(ctx, method, &f)
	if blocksRefused(err) {
		plainly = "as plain text: " + err.Error()
		f.blocks, f.attachments = "[]", "[]"
		ref, err = ch.call(ctx, method, &f)
	}
	return ref, plainly, err
}

// call posts or updates and returns the reference of the message. A post whose
// answer names no message may have succeeded.
func (ch *Channel) call(ctx context.Context, method string, f *form) (string, error) {
	id, ts, err := ch.client.send(ctx, method, f)
	switch {
	case err != nil:
		return "", err
	case method != methodPost:
		return f.channel + "/" + f.ts, nil
	case id == "" || ts == "":
		return "", tocsin.Unclear(errors.New("slack " + method + ": the answer names no message"))
	}
	ref := id + "/" + ts
	ch.learn(ref)
	return ref, nil
}

// deliverThread tells the events since the last time in one reply, and calls
// with it where that is wanted.
func (ch *Channel) deliverThread(ctx context.Context, n *tocsin.Notice) (tocsin.Receipt, error) {
	r := receipt(n, "")
	r.Told = lastSeq(n.Events)
	news := ch.untold(n, shown(n))
	if news.empty() {
		return r, nil
	}
	at := placeOf(n.Delivery.Ref)
	if ch.client.lookup && (n.MayBePosted || ch.threadDoubted(n.Incident.ID)) {
		found, why, err := ch.threadTold(ctx, n, at)
		if err != nil {
			return tocsin.Receipt{}, err
		}
		r.Text = why
		found.told, found.called = max(found.told, n.Delivery.Told), max(found.called, n.Delivery.Called)
		if news = ch.untold(n, found); news.empty() {
			return r, nil
		}
	}
	m := news.message(n, r.Told)
	m.channel, m.threadTS = at.channel, at.ts
	f, err := m.encode()
	if err != nil {
		return tocsin.Receipt{}, tocsin.Permanent(err)
	}
	_, _, err = ch.client.send(ctx, methodPost, &f)
	switch {
	case messageGone(err):
		return ch.postAnew(ctx, n, "the thread was gone: "+codeOf(err))
	case err != nil:
		if tocsin.IsUnclear(err) {
			ch.doubtThread(n.Incident.ID)
		}
		return tocsin.Receipt{}, err
	}
	if news.call {
		r.Text = sentence("called again in "+ch.label(), r.Text)
	}
	return r, nil
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
	if isUser(ch.name) {
		return "the direct messages of " + ch.name
	}
	if ch.room != "" {
		return "#" + ch.room
	}
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
