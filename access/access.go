// Package access keeps who may come in: the tokens that Tocsin has made, and the
// sessions of browsers; and it decides what somebody may do whom an identity
// provider or a proxy vouches for. Of tokens and cookies it keeps hashes only.
package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// Store is where tokens and sessions are kept, as documents.
type Store interface {
	tocsin.Updater
	// Documents returns what Tx.Documents does.
	Documents(ctx context.Context, kind string) (docs []tocsin.Document, version uint64, err error)
}

// Options are what a Keeper stands on. Store is required.
type Options struct {
	Store Store
	// Idle is how long a session lives without a request; 0: a day.
	Idle time.Duration
	// Lifetime is how long a session lives at the most; 0: a week.
	Lifetime time.Duration
	// Logger is for what went wrong in passing; nil: none.
	Logger *slog.Logger
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Keeper keeps tokens and sessions. Its methods may be called from many
// goroutines, and several Keepers may share a store.
type Keeper struct {
	store  Store
	log    *slog.Logger
	now    func() time.Time
	tokens kind[tokenRecord]
	// sessions are those that have not been seen to end.
	sessions kind[sessionRecord]
	seen     seen

	mu             sync.Mutex // guards the two below
	idle, lifetime time.Duration
}

// The kinds of the documents.
const (
	kindToken   = "access_token"
	kindSession = "session"
)

// New returns a Keeper.
func New(o Options) *Keeper {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	k := &Keeper{
		store: o.Store, log: o.Logger, now: o.Now,
		tokens:   kind[tokenRecord]{name: kindToken},
		sessions: kind[sessionRecord]{name: kindSession},
		seen:     seen{last: map[string]time.Time{}},
	}
	k.SetTimes(o.Idle, o.Lifetime)
	return k
}

// SetTimes changes how long sessions live, for a reload; 0 is Options' default.
func (k *Keeper) SetTimes(idle, lifetime time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.idle, k.lifetime = idle, lifetime
	if k.lifetime == 0 {
		k.lifetime = 7 * 24 * time.Hour
	}
	if k.idle == 0 {
		k.idle = min(24*time.Hour, k.lifetime)
	}
}

func (k *Keeper) times() (idle, lifetime time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.idle, k.lifetime
}

// hashOf is what is kept of a secret. Secrets are 260 random bits: no salt and no
// slow hash makes guessing them harder than it is.
func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// random is 260 bits in the letters A-Z and the digits 2-7.
func random() string { return rand.Text() + rand.Text() }

// hashed is a record that is found by the hash of its secret.
type hashed interface{ hash() string }

// kind is what is decoded of the documents of a kind.
type kind[T hashed] struct {
	name string

	mu      sync.Mutex
	loaded  bool
	version uint64
	all     []T
	byHash  map[string]int
}

// load reads the documents again where they have changed. What it returns is
// shared: it is not changed.
func (k *kind[T]) load(ctx context.Context, s Store) (all []T, byHash map[string]int, err error) {
	docs, version, err := s.Documents(ctx, k.name)
	if err != nil {
		return nil, nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.loaded && k.version == version {
		return k.all, k.byHash, nil
	}
	all, err = decode[T](docs)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", k.name, err)
	}
	byHash = make(map[string]int, len(all))
	for i := range all {
		byHash[all[i].hash()] = i
	}
	k.loaded, k.version, k.all, k.byHash = true, version, all, byHash
	return all, byHash, nil
}

func decode[T any](docs []tocsin.Document) ([]T, error) {
	all := make([]T, len(docs))
	for i, d := range docs {
		if err := json.Unmarshal(d.Value, &all[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", d.ID, err)
		}
	}
	return all, nil
}

// find returns what bears the secret.
func (k *kind[T]) find(ctx context.Context, s Store, secret string) (found T, err error) {
	all, byHash, err := k.load(ctx, s)
	if err != nil {
		return found, err
	}
	// A map tells by its time whether a hash is there, not what a secret is.
	i, ok := byHash[hashOf(secret)]
	if !ok {
		return found, tocsin.ErrNotFound
	}
	return all[i], nil
}

func put(tx tocsin.Tx, kind, id string, record any) error {
	b, err := json.Marshal(record)
	if err != nil {
		return err
	}
	tx.PutDocument(kind, id, b)
	return nil
}

// freeID is a short ID that no document of the kind has.
func freeID(tx tocsin.Tx, kind string, seed tocsin.Seed) string {
	for n := 0; ; n++ {
		if id := seed.ID(n); tx.Document(kind, id) == nil {
			return id
		}
	}
}

// seen remembers when a use was written down last, or tried to be, so that a
// store that takes nothing is not asked at every request.
type seen struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// due reports whether the use of id is to be written down now, and takes that for
// done.
func (s *seen) due(id string, written, now time.Time, every time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(written) < every || now.Sub(s.last[id]) < every {
		return false
	}
	const most = 10_000 // of which many have ended; what is forgotten is written once more
	if len(s.last) >= most {
		clear(s.last)
	}
	s.last[id] = now
	return true
}

// noteWithin bounds how long a request waits for its use to be written down.
const noteWithin = 500 * time.Millisecond

// note writes down a use. Where that fails, nobody is kept out for it.
func (k *Keeper) note(ctx context.Context, what, id string, change func(tocsin.Tx) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteWithin)
	defer cancel()
	if err := k.store.Update(ctx, change); err != nil {
		k.log.Debug("a use could not be written down", "of", what, "id", id, "error", err)
	}
}
