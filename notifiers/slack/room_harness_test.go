package slack_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// shelf is a store that holds incidents, their timelines and documents in memory.
type shelf struct {
	tocsin.Tx // what is not overridden is not used

	mu        sync.Mutex
	incidents map[string]*tocsin.Incident
	events    []tocsin.Event
	docs      []tocsin.Document
	writes    int
	// crash has the next update but so many fail, as if the process had ended
	// before it; negative: none.
	crash int
}

var errCrash = errors.New("killed")

func newShelf(incidents ...*tocsin.Incident) *shelf {
	s := &shelf{incidents: map[string]*tocsin.Incident{}, crash: -1}
	for _, i := range incidents {
		s.incidents[i.ID] = i
	}
	return s
}

func (s *shelf) Update(_ context.Context, fn func(tocsin.Tx) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.crash == 0 {
		s.crash--
		return tocsin.Unavailable(errCrash)
	}
	s.crash--
	s.writes++
	return fn(s)
}

func (s *shelf) Get(_ context.Context, id string) (*tocsin.Incident, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.Incident(id); i != nil {
		return i, nil
	}
	return nil, tocsin.ErrNotFound
}

func (s *shelf) all(kind string) []tocsin.Document {
	if kind != slack.ChannelDocuments {
		return nil
	}
	return slices.Clone(s.docs)
}

func (s *shelf) Incident(id string) *tocsin.Incident {
	if i := s.incidents[id]; i != nil {
		return i.Clone()
	}
	return nil
}

func (s *shelf) PutIncident(i *tocsin.Incident) { s.incidents[i.ID] = i }

func (s *shelf) Append(events ...tocsin.Event) {
	for _, e := range events {
		e.Seq = uint64(len(s.events) + 1)
		s.events = append(s.events, e)
	}
}

func (s *shelf) find(id string) (int, bool) {
	return slices.BinarySearchFunc(s.docs, id, func(d tocsin.Document, id string) int { return strings.Compare(d.ID, id) })
}

func (s *shelf) Document(_, id string) []byte {
	if at, ok := s.find(id); ok {
		return s.docs[at].Value
	}
	return nil
}

func (s *shelf) PutDocument(_, id string, value []byte) {
	at, ok := s.find(id)
	if !ok {
		s.docs = slices.Insert(slices.Clone(s.docs), at, tocsin.Document{ID: id})
	}
	s.docs[at].Value = value
}

func (s *shelf) DeleteDocument(_, id string) {
	if at, ok := s.find(id); ok {
		s.docs = slices.Delete(slices.Clone(s.docs), at, at+1)
	}
}

// reader is the shelf's other half: Tx and Reader have a method of the same name.
type reader struct{ *shelf }

func (r reader) Documents(_ context.Context, kind string) ([]tocsin.Document, uint64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all(kind), 0, nil
}

// house is an emulator with incident channels over a shelf, and one incident.
type house struct {
	testing.TB
	slack *slacktest.Server
	store *shelf
	rooms *slack.IncidentChannels
	set   slack.IncidentChannelSettings
	id    string
	// lines are what the receipts said.
	lines []string
	now   time.Time
	// unclear is what the dispatcher remembers of the last attempt.
	unclear bool
}

const (
	anaID = "U0ANA00001"
	boID  = "U0BO000001"
)

func newHouse(t testing.TB, change func(*tocsin.Incident), opts ...slacktest.Option) *house {
	t.Helper()
	i := incident()
	i.OpenedAt, i.ChangedAt = time.Now(), time.Now()
	i.Deliveries = nil
	i.AddTarget(target, true, time.Now())
	i.AddTarget(tocsin.IncidentChannel, true, time.Now())
	i.Escalation = &tocsin.Escalation{Responders: []tocsin.Responder{{User: "ana", At: time.Now(), Calls: 1}}}
	if change != nil {
		change(i)
	}
	h := &house{
		TB: t, slack: slacktest.New(opts...), store: newShelf(i), id: i.ID, now: time.Now(),
		set: slack.IncidentChannelSettings{ArchiveAfter: 24 * time.Hour},
	}
	t.Cleanup(h.slack.Close)
	h.slack.AddUser(slacktest.User{ID: anaID, Name: "ana"})
	h.slack.AddUser(slacktest.User{ID: boID, Name: "bo"})
	h.restart()
	return h
}

// restart is a new process: nothing is remembered but the store and Slack.
func (h *house) restart() {
	h.rooms = slack.NewIncidentChannels(slack.IncidentChannelsConfig{
		Store: reader{h.store},
		Slack: func(user string) string {
			return map[string]string{"ana": anaID, "bo": boID, "gone": "U0GONE0001", "self": slacktest.BotUserID}[user]
		},
	}, h.client(), h.set)
	h.unclear = true
}

func (h *house) client() *slack.Client {
	return slack.New(slack.Config{Token: "xoxb-canary", APIURL: slacktest.URL, HTTPClient: h.slack.Client(), Lookup: true})
}

func (h *house) incident() *tocsin.Incident {
	i, err := h.store.Get(h.Context(), h.id)
	require.NoError(h, err)
	return i
}

// change changes the incident and appends the event.
func (h *house) change(fn func(*tocsin.Incident) tocsin.Event) {
	h.Helper()
	require.NoError(h, h.store.Update(h.Context(), func(tx tocsin.Tx) error {
		i := tx.Incident(h.id)
		e := fn(i)
		tx.PutIncident(i)
		tx.Append(e)
		return nil
	}))
}

func (h *house) notice() tocsin.Notice {
	i := h.incident()
	n := notice(i)
	n.Incident, n.Delivery, n.Now, n.MayBePosted = i, *i.Delivery(tocsin.IncidentChannel), h.now, h.unclear
	n.Events = nil
	for _, e := range h.store.events {
		if e.Incident == i.ID && e.Seq > n.Delivery.Told {
			n.Events = append(n.Events, e)
		}
	}
	return n
}

// once makes one delivery and records it, as the dispatcher does; done is true
// when the target does not lag any more.
func (h *house) once() (done bool, err error) {
	h.Helper()
	n := h.notice()
	r, err := h.rooms.Deliver(h.Context(), n)
	if err != nil {
		h.unclear = h.unclear || tocsin.IsUnclear(err)
		return false, err
	}
	h.unclear = false
	err = h.store.Update(h.Context(), func(tx tocsin.Tx) error {
		i := tx.Incident(h.id)
		d := i.Delivery(tocsin.IncidentChannel)
		d.Record(r, h.now)
		tx.PutIncident(i)
		if r.Text != "" {
			tx.Append(i.Event(tocsin.EventDelivered, "", r.Text, h.now))
		}
		done = !d.Lags(i)
		return nil
	})
	if err != nil {
		h.restart() // the dispatcher keeps a receipt; only a process that ends loses it
	} else if r.Text != "" {
		h.lines = append(h.lines, r.Text)
	}
	return done, err
}

// settle delivers until nothing lags, and returns what failed meanwhile. A
// permanent error ends it.
func (h *house) settle() []error {
	h.Helper()
	var errs []error
	for range 40 {
		done, err := h.once()
		switch {
		case tocsin.IsPermanent(err):
			return append(errs, err)
		case err != nil:
			errs = append(errs, err)
			if errors.Is(err, errCrash) {
				h.restart()
			}
		case done:
			return errs
		}
	}
	require.Fail(h, "it does not settle", "%v", errs)
	return errs
}

// room is the one channel of the incident that is not archived.
func (h *house) room() slacktest.Room {
	h.Helper()
	var live []slacktest.Room
	for _, r := range h.slack.Rooms("inc-") {
		if !r.Archived {
			live = append(live, r)
		}
	}
	require.Len(h, live, 1)
	return live[0]
}

// shown is the incident's one message in its channel.
func (h *house) shown() slacktest.Message {
	h.Helper()
	var own []slacktest.Message
	for _, m := range h.slack.Messages(h.room().ID) {
		if m.EventType == "tocsin_incident" {
			own = append(own, m)
		}
	}
	require.Len(h, own, 1)
	return own[0]
}

// count is how many messages of the channel contain the text.
func (h *house) count(text string) int {
	n := 0
	for _, m := range h.slack.Messages(h.room().ID) {
		if strings.Contains(m.Text, text) {
			n++
		}
	}
	return n
}
