package slack

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tocsin-oncall/tocsin"
)

// ChannelDocuments is the kind of the documents that keep what is known of the
// incidents' channels, by the incident's ID.
const ChannelDocuments = "slack-channel"

// room is what is known of an incident's channel.
type room struct {
	// Name is the channel's. It is written before Slack is asked for the channel:
	// one that a crash leaves behind is found by it.
	Name string `json:"name"`
	// Number counts the incident's channels; 0: there was none.
	Number int `json:"number"`
	// Channel is its ID; empty: Slack has not said yet.
	Channel string `json:"channel,omitzero"`
	// Since is when Slack was first asked for it.
	Since time.Time `json:"since,omitzero"`
	// Said is true when the incident's timeline tells of it.
	Said bool `json:"said,omitzero"`
	// Pinned is the ts of the message that was pinned, Topic the one that was set.
	Pinned string `json:"pinned,omitzero"`
	Topic  string `json:"topic,omitzero"`
	// Invited are the users who were invited, or cannot be.
	Invited []string `json:"invited,omitzero"`
	// GivenUp are the chores that Slack refuses.
	GivenUp []string `json:"givenUp,omitzero"`
	// Archived is when it was, by whomever; zero: it is not known to be.
	Archived time.Time `json:"archived,omitzero"`
}

func (rm *room) live() bool { return rm.Channel != "" && rm.Archived.IsZero() }

// readRoom reads a document; what is no room counts as none.
func readRoom(value []byte) room {
	var rm room
	if len(value) == 0 || json.Unmarshal(value, &rm) != nil {
		return room{}
	}
	return rm
}

// ChannelIncident returns the incident whose own channel has that ID, from the
// documents of the kind ChannelDocuments.
func ChannelIncident(docs []tocsin.Document, channel string) (incident string, ok bool) {
	for _, d := range docs {
		if rm := readRoom(d.Value); channel != "" && rm.Channel == channel {
			return d.ID, true
		}
	}
	return "", false
}

// load reads what is known of the incident's channel.
func (v *visit) load(ctx context.Context) error {
	docs, _, err := v.rooms.cfg.Store.Documents(ctx, ChannelDocuments)
	if err != nil {
		return err
	}
	id := v.n.Incident.ID
	if at, found := slices.BinarySearchFunc(docs, id, func(d tocsin.Document, id string) int { return strings.Compare(d.ID, id) }); found {
		v.room = readRoom(docs[at].Value)
	}
	v.docs = docs
	return nil
}

// save changes what is known of the channel, durably. fn may run more than once.
func (v *visit) save(ctx context.Context, fn func(*room)) error {
	return v.commit(ctx, func(_ tocsin.Tx, rm *room) { fn(rm) })
}

// commit changes what is known of the channel in one transaction with what else fn
// changes.
func (v *visit) commit(ctx context.Context, fn func(tocsin.Tx, *room)) error {
	var saved room
	err := v.rooms.cfg.Store.Update(ctx, func(tx tocsin.Tx) error {
		rm, err := changeRoom(tx, v.n.Incident.ID, fn)
		saved = rm
		return err
	})
	if err == nil {
		v.room = saved
	}
	return err
}

// changeRoom changes the document of an incident's channel.
func changeRoom(tx tocsin.Tx, incident string, fn func(tocsin.Tx, *room)) (room, error) {
	rm := readRoom(tx.Document(ChannelDocuments, incident))
	fn(tx, &rm)
	value, err := json.Marshal(&rm, json.Deterministic(true))
	if err != nil {
		return rm, err
	}
	tx.PutDocument(ChannelDocuments, incident, value)
	return rm, nil
}
