package slack

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// ChannelStore is what IncidentChannels needs of the store.
type ChannelStore interface {
	tocsin.Updater
	// Get returns an incident, live or archived, or tocsin.ErrNotFound.
	Get(ctx context.Context, id string) (*tocsin.Incident, error)
	// Documents returns those of a kind, by ID.
	Documents(ctx context.Context, kind string) (docs []tocsin.Document, version uint64, err error)
}

// IncidentChannelsConfig is what IncidentChannels stand on. Store and Slack are
// required.
type IncidentChannelsConfig struct {
	Store ChannelStore
	// Slack returns the Slack ID of a user of the configuration, or "".
	Slack func(user string) (id string)
	// Logger is for what Run cannot do; nil: none.
	Logger *slog.Logger
}

// IncidentChannelSettings say what incident channels are like.
type IncidentChannelSettings struct {
	// Prefix begins their names; empty: "inc".
	Prefix string
	// Private channels are seen by those who were invited alone.
	Private bool
	// ArchiveAfter is how long after the incident is resolved they are archived; 0:
	// never.
	ArchiveAfter time.Duration
}

// IncidentChannels gives incidents Slack channels of their own, and shows each
// incident there as Channel does: it is the notifier of tocsin.IncidentChannel.
// What it knows of a channel is kept in documents of the kind ChannelDocuments,
// each written before or right after the call to Slack that it tells of, so that a
// crash leaves no channel behind. Make it with NewIncidentChannels. It is safe for
// concurrent use.
//
// It needs the scopes channels:manage (or groups:write where they are private) and
// chat:write; pins:write to pin; channels:read (groups:read) to find a channel
// that a crash has left behind.
type IncidentChannels struct {
	cfg IncidentChannelsConfig

	mu       sync.Mutex
	client   *Client
	settings IncidentChannelSettings
	channels map[string]*Channel
	// aside holds the channels that could not be archived, and until when they are
	// left alone; pruned is when documents without an incident were last dropped.
	aside  map[string]time.Time
	pruned time.Time
}

// NewIncidentChannels returns incident channels that c makes.
func NewIncidentChannels(cfg IncidentChannelsConfig, c *Client, s IncidentChannelSettings) *IncidentChannels {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	r := &IncidentChannels{cfg: cfg, aside: map[string]time.Time{}}
	r.Set(c, s)
	return r
}

// Set changes what is used from the next delivery on. Channels that exist stay as
// they are.
func (r *IncidentChannels) Set(c *Client, s IncidentChannelSettings) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Prefix = cmp.Or(s.Prefix, "inc")
	r.client, r.settings, r.channels = c, s, map[string]*Channel{}
	clear(r.aside)
}

// Deliver brings the incident's channel up to date: it makes the channel where
// there is none, posts the incident's message and keeps it and its thread current,
// and then, one at a time with Receipt.More, invites the responders, pins the
// message, has the topic follow the state, and tells the incident which channel it
// has. Receipt.Ref is the message's. A channel that was archived or deleted in
// Slack is replaced while the incident is open: a bot cannot unarchive one
// (https://docs.slack.dev/reference/methods/conversations.unarchive).
//
// What besides the message cannot be done for good is said once, in Receipt.Text,
// and not tried again. Errors are marked as those of Channel.Deliver.
func (r *IncidentChannels) Deliver(ctx context.Context, n tocsin.Notice) (tocsin.Receipt, error) {
	r.mu.Lock()
	v := &visit{rooms: r, client: r.client, settings: r.settings, n: &n}
	r.mu.Unlock()
	if err := v.load(ctx); err != nil {
		return tocsin.Receipt{}, err
	}
	receipt, err := v.deliver(ctx)
	if !channelGone(err) || !v.room.live() {
		return receipt, err
	}
	why := "#" + v.room.Name + " was archived or deleted in Slack (" + codeOf(err) + ")"
	if err := v.lose(ctx); err != nil {
		return tocsin.Receipt{}, err
	}
	receipt, err = v.deliver(ctx)
	receipt.Text = sentence(why, receipt.Text)
	return receipt, err
}

// visit is one delivery.
type visit struct {
	rooms    *IncidentChannels
	client   *Client
	settings IncidentChannelSettings
	n        *tocsin.Notice
	room     room
	// opened says what this delivery did to have a channel, and note what was odd
	// about it.
	opened, note string
	// bot is our own user's ID, once it is known.
	bot string
	// docs tell of all incidents' channels.
	docs []tocsin.Document
}

func (v *visit) deliver(ctx context.Context) (tocsin.Receipt, error) {
	if !v.room.live() {
		if err := v.open(ctx); err != nil {
			return tocsin.Receipt{}, err
		}
	}
	if !v.room.live() {
		r := receipt(v.n, "")
		r.Told = lastSeq(v.n.Events)
		if v.room.Number == 0 {
			r.Text = v.without()
		}
		return r, nil
	}
	v.align()
	ch, d := v.channel(), &v.n.Delivery
	if d.Ref == "" || d.Revision < v.n.Incident.Revision || !ch.untold(v.n, shown(v.n)).empty() {
		return v.show(ctx, ch)
	}
	return v.finish(ctx)
}

// align forgets what is shown in another channel than the present one.
func (v *visit) align() {
	if d := &v.n.Delivery; placeOf(d.Ref).channel != v.room.Channel {
		d.Ref, d.Revision = "", 0
	}
}

// channel returns the Channel, which remembers what is in doubt.
func (v *visit) channel() *Channel {
	r := v.rooms
	r.mu.Lock()
	defer r.mu.Unlock()
	ch := r.channels[v.room.Channel]
	if ch == nil || ch.client != v.client {
		ch = newChannel(v.client, v.room.Channel)
		ch.room = v.room.Name
		r.channels[v.room.Channel] = ch
	}
	return ch
}

// show brings the message or its thread up to date. With a channel's first message
// the responders are invited.
func (v *visit) show(ctx context.Context, ch *Channel) (tocsin.Receipt, error) {
	r, err := ch.Deliver(ctx, *v.n)
	if err != nil {
		return r, err
	}
	if r.Ref != "" {
		v.n.Delivery.Ref = r.Ref
	}
	if v.opened != "" {
		// Who cannot be invited now is invited with the next delivery.
		who, _ := v.invite(ctx)
		opened := v.opened
		if who != "" {
			opened += " and " + who
		}
		r.Text = sentence(opened, v.note, strings.TrimPrefix(strings.TrimPrefix(r.Text, "posted to "+ch.label()), "; "))
	}
	r.More = r.More || v.next() != nil
	return r, nil
}

// finish does the next chore.
func (v *visit) finish(ctx context.Context) (tocsin.Receipt, error) {
	r := receipt(v.n, "")
	c := v.next()
	if c == nil {
		r.Told = lastSeq(v.n.Events)
		return r, nil
	}
	text, err := c.do(v, ctx)
	if err == nil {
		r.Text, r.More = text, true
		return r, nil
	}
	if !refused(err) {
		return tocsin.Receipt{}, err
	}
	if serr := v.save(ctx, func(rm *room) { rm.GivenUp = append(rm.GivenUp, c.name) }); serr != nil {
		return tocsin.Receipt{}, serr
	}
	r.Text, r.More = "could not "+c.name+": "+err.Error(), true
	return r, nil
}

// lose notes that the channel is no more.
func (v *visit) lose(ctx context.Context) error {
	v.rooms.drop(v.room.Channel)
	v.opened, v.note = "", ""
	return v.save(ctx, func(rm *room) { rm.Archived = v.n.Now })
}

// drop forgets what was remembered of a channel.
func (r *IncidentChannels) drop(channel string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.channels, channel)
}

// channelGone tells that a channel cannot be used any more.
func channelGone(err error) bool {
	return slices.Contains([]string{"is_archived", "is_inactive", "channel_not_found"}, codeOf(err))
}

// refused tells that Slack has understood a chore and will not have it. It is not
// so where nothing at all can be done with the token, and while Slack is in
// trouble.
func refused(err error) bool {
	switch code := codeOf(err); code {
	case "", "ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout",
		"invalid_auth", "not_authed", "token_expired", "token_revoked", "account_inactive", "team_not_found", "accesslimited":
		return false
	default:
		return !channelGone(err)
	}
}
