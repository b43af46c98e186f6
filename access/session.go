package access

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// sessionRecord is what is kept of a session.
type sessionRecord struct {
	tocsin.Session
	Hash string `json:"hash"`
}

func (r sessionRecord) hash() string { return r.Hash }

// Bounds of sessions. When one more comes, the one that was seen longest ago ends.
const (
	maxSessions    = 5000
	maxSessionsOf  = 20 // of one person
	maxAgent       = 200
	seenEveryParts = 20 // of Idle: how exactly SeenAt is kept
)

// ended reports whether the session is over.
func ended(s *tocsin.Session, idle time.Duration, now time.Time) bool {
	return !now.Before(s.ExpiresAt) || now.Sub(s.SeenAt) >= idle
}

// same reports whether two identities are the same person's.
func same(a, b tocsin.Identity) bool { return a.Issuer == b.Issuer && a.Subject == b.Subject }

// Sessions returns those that have not ended, by name.
func (k *Keeper) Sessions(ctx context.Context) ([]tocsin.Session, error) {
	all, _, err := k.sessions.load(ctx, k.store)
	if err != nil {
		return nil, err
	}
	idle, _ := k.times()
	now := k.now()
	list := make([]tocsin.Session, 0, len(all))
	for i := range all {
		if !ended(&all[i].Session, idle, now) {
			list = append(list, all[i].Session)
		}
	}
	slices.SortFunc(list, func(a, b tocsin.Session) int {
		return cmp.Or(cmp.Compare(a.Identity.Name, b.Identity.Name), a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

// Session returns the session that secret proves, and writes down now and then
// that it was seen. It returns tocsin.ErrNotFound for one that is unknown or has
// ended.
func (k *Keeper) Session(ctx context.Context, secret string) (tocsin.Session, error) {
	if len(secret) != tokenRandom {
		return tocsin.Session{}, tocsin.ErrNotFound
	}
	found, err := k.sessions.find(ctx, k.store, secret)
	if err != nil {
		return tocsin.Session{}, err
	}
	now := k.now().UTC()
	idle, _ := k.times()
	if ended(&found.Session, idle, now) {
		return tocsin.Session{}, tocsin.ErrNotFound
	}
	if k.seen.due(kindSession+found.ID, found.SeenAt, now, idle/seenEveryParts) {
		k.note(ctx, kindSession, found.ID, func(tx tocsin.Tx) error {
			doc := tx.Document(kindSession, found.ID)
			if doc == nil {
				return nil
			}
			var r sessionRecord
			if err := json.Unmarshal(doc, &r); err != nil {
				return err
			}
			r.SeenAt = now
			return put(tx, kindSession, r.ID, r)
		})
	}
	return found.Session, nil
}

// BeginSession begins a session with s's Identity, Address and Agent, as name, and
// returns what proves it: the value of a cookie.
func (k *Keeper) BeginSession(ctx context.Context, s tocsin.Session, name string) (secret string, err error) {
	now := k.now().UTC()
	idle, lifetime := k.times()
	seed := tocsin.NewSeed()
	secret = random()
	if len(s.Agent) > maxAgent {
		s.Agent = s.Agent[:maxAgent]
	}
	err = k.store.Update(ctx, func(tx tocsin.Tx) error {
		if err := makeRoom(tx, s.Identity, idle, now); err != nil {
			return err
		}
		r := sessionRecord{Hash: hashOf(secret), Session: tocsin.Session{
			ID: freeID(tx, kindSession, seed), Identity: s.Identity, CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(lifetime),
			Address: s.Address, Agent: s.Agent,
		}}
		tx.Append(tocsin.Event{Kind: tocsin.EventAccess, At: now, Actor: name, Text: fmt.Sprintf("logged in as %s", s.Identity.Name)})
		return put(tx, kindSession, r.ID, r)
	})
	if err != nil {
		return "", err
	}
	return secret, nil
}

// makeRoom drops the sessions that have ended, and where there are too many, those
// that were seen longest ago.
func makeRoom(tx tocsin.Tx, who tocsin.Identity, idle time.Duration, now time.Time) error {
	docs, _ := tx.Documents(kindSession)
	all, err := decode[sessionRecord](docs)
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b sessionRecord) int { return b.SeenAt.Compare(a.SeenAt) })
	kept, of := 0, 0
	for i := range all {
		mine := same(all[i].Identity, who)
		if ended(&all[i].Session, idle, now) || kept+1 >= maxSessions || mine && of+1 >= maxSessionsOf {
			tx.DeleteDocument(kindSession, all[i].ID)
			continue
		}
		kept++
		if mine {
			of++
		}
	}
	return nil
}

// EndSession ends a session. It returns tocsin.ErrNotFound for one that is not
// kept.
func (k *Keeper) EndSession(ctx context.Context, id, by string) error {
	now := k.now().UTC()
	return k.store.Update(ctx, func(tx tocsin.Tx) error {
		doc := tx.Document(kindSession, id)
		if doc == nil {
			return tocsin.ErrNotFound
		}
		var r sessionRecord
		if err := json.Unmarshal(doc, &r); err != nil {
			return err
		}
		tx.DeleteDocument(kindSession, id)
		tx.Append(tocsin.Event{Kind: tocsin.EventAccess, At: now, Actor: by, Text: fmt.Sprintf("ended a session of %s", r.Identity.Name)})
		return nil
	})
}

// EndSessions ends all sessions of a person: logs them out everywhere.
func (k *Keeper) EndSessions(ctx context.Context, who tocsin.Identity, by string) error {
	now := k.now().UTC()
	return k.store.Update(ctx, func(tx tocsin.Tx) error {
		docs, _ := tx.Documents(kindSession)
		all, err := decode[sessionRecord](docs)
		if err != nil {
			return err
		}
		n := 0
		for i := range all {
			if same(all[i].Identity, who) {
				tx.DeleteDocument(kindSession, all[i].ID)
				n++
			}
		}
		if n > 0 {
			tx.Append(tocsin.Event{Kind: tocsin.EventAccess, At: now, Actor: by, Text: fmt.Sprintf("ended all sessions of %s (%d)", who.Name, n)})
		}
		return nil
	})
}
