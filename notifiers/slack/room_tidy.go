package slack

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

const (
	// tidyEvery is how often Run looks for channels to archive.
	tidyEvery = 10 * time.Minute
	// asideFor is how long a channel that cannot be archived is left alone; pruneEvery
	// how often documents are dropped whose incidents are gone.
	asideFor   = 24 * time.Hour
	pruneEvery = 24 * time.Hour
)

// Run archives channels when their time has come, until ctx ends. Nil, where there
// is no Slack, has none.
func (r *IncidentChannels) Run(ctx context.Context) error {
	if r == nil {
		return nil
	}
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	for {
		if err := r.Tidy(ctx, time.Now()); err != nil && ctx.Err() == nil {
			r.cfg.Logger.Warn("incident channels in Slack could not be archived", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Tidy archives the channels of the incidents that have been resolved for
// IncidentChannelSettings.ArchiveAfter by now, each once, and forgets those of
// incidents that are not kept any more. A channel that cannot be archived for good
// is named in the error, and left alone for a day; it ends when Slack asks for
// patience.
func (r *IncidentChannels) Tidy(ctx context.Context, now time.Time) error {
	docs, _, err := r.cfg.Store.Documents(ctx, ChannelDocuments)
	if err != nil {
		return err
	}
	r.mu.Lock()
	t := tidying{rooms: r, client: r.client, after: r.settings.ArchiveAfter, now: now, prune: now.Sub(r.pruned) >= pruneEvery}
	r.mu.Unlock()
	var errs []error
	for _, doc := range docs {
		err := t.one(ctx, doc)
		if err == nil {
			continue
		}
		errs = append(errs, fmt.Errorf("the channel of incident %s: %w", doc.ID, err))
		if !refused(err) {
			return errors.Join(errs...) // Slack or the store is in trouble
		}
	}
	if t.prune {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.pruned = now
	}
	return errors.Join(errs...)
}

// tidying is one round of Tidy.
type tidying struct {
	rooms  *IncidentChannels
	client *Client
	after  time.Duration
	now    time.Time
	prune  bool
}

func (t *tidying) one(ctx context.Context, doc tocsin.Document) error {
	rm := readRoom(doc.Value)
	if !rm.live() && !t.prune || rm.live() && (t.after <= 0 && !t.prune || t.setAside(rm.Channel)) {
		return nil
	}
	inc, err := t.rooms.cfg.Store.Get(ctx, doc.ID)
	gone := errors.Is(err, tocsin.ErrNotFound)
	switch {
	case err != nil && !gone:
		return err
	case gone && (!rm.live() || t.after <= 0):
		return t.forget(ctx, doc.ID)
	case !rm.live() || t.after <= 0 || !gone && (inc.Open() || t.now.Sub(inc.ResolvedAt) < t.after):
		return nil
	}
	switch err := t.client.archive(ctx, rm.Channel); {
	case err == nil, codeOf(err) == "already_archived", channelGone(err):
	case refused(err):
		t.putAside(rm.Channel)
		return err
	default:
		return err
	}
	t.rooms.drop(rm.Channel)
	if gone {
		return t.forget(ctx, doc.ID)
	}
	return t.archived(ctx, doc.ID, rm)
}

// archived notes that a channel was. An incident that has come back meanwhile gets
// another one.
func (t *tidying) archived(ctx context.Context, incident string, was room) error {
	return t.rooms.cfg.Store.Update(ctx, func(tx tocsin.Tx) error {
		_, err := changeRoom(tx, incident, func(tx tocsin.Tx, rm *room) {
			if rm.Channel != was.Channel || !rm.Archived.IsZero() {
				return
			}
			rm.Archived = t.now
			inc := tx.Incident(incident)
			if inc == nil {
				return
			}
			if inc.Open() {
				inc.Touch(t.now)
			}
			e := inc.Event(tocsin.EventDelivered, "", "archived #"+rm.Name+": the incident has stayed resolved", t.now)
			e.Target = tocsin.IncidentChannel
			tx.PutIncident(inc)
			tx.Append(e)
		})
		return err
	})
}

// forget drops what is known of a channel.
func (t *tidying) forget(ctx context.Context, incident string) error {
	return t.rooms.cfg.Store.Update(ctx, func(tx tocsin.Tx) error {
		tx.DeleteDocument(ChannelDocuments, incident)
		return nil
	})
}

func (t *tidying) setAside(channel string) bool {
	t.rooms.mu.Lock()
	defer t.rooms.mu.Unlock()
	return t.now.Before(t.rooms.aside[channel])
}

func (t *tidying) putAside(channel string) {
	t.rooms.mu.Lock()
	defer t.rooms.mu.Unlock()
	t.rooms.aside[channel] = t.now.Add(asideFor)
}
