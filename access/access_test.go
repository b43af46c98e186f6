package access_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/access"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
	"github.com/tocsin-oncall/tocsin/test/leak"
)

type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// world is a Keeper over a real store.
type world struct {
	*access.Keeper
	store *bolt.Store
	clock *clock
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	leak.After(t, dir) // not even what is made here
	s, err := bolt.Open(dir+"/tocsin.db", bolt.Options{Ballast: -1, MinFree: -1})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	c := &clock{t: time.Date(2026, 11, 22, 5, 0, 0, 0, time.UTC)}
	return &world{access.New(access.Options{Store: s, Now: c.now}), s, c}
}

// everything is all that is kept, as text.
func (w *world) everything(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, kind := range []string{"access_token", "session"} {
		docs, _, err := w.store.Documents(context.Background(), kind)
		require.NoError(t, err)
		for _, d := range docs {
			b.WriteString(d.ID + " " + string(d.Value) + "\n")
		}
	}
	return b.String()
}

func TestTokens(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), context.Background()
	made, secret, err := w.CreateToken(ctx, tocsin.Token{Name: "ci", Role: tocsin.RoleResponder, CreatedBy: "ana", ExpiresAt: w.clock.now().Add(90 * 24 * time.Hour)})
	require.NoError(t, err)
	assert.Regexp(t, `^tocsin_[A-Z2-7]{59}$`, secret)
	assert.NotContains(t, w.everything(t), secret, "only a hash is kept")
	assert.NotContains(t, w.everything(t), secret[10:40])

	found, err := w.Token(ctx, secret)
	require.NoError(t, err)
	assert.Equal(t, made, found)
	assert.Equal(t, tocsin.Token{
		ID: made.ID, Name: "ci", Role: tocsin.RoleResponder, CreatedBy: "ana", CreatedAt: w.clock.now(), ExpiresAt: w.clock.now().Add(90 * 24 * time.Hour),
	}, found)

	for _, wrong := range []string{"", "tocsin_", secret[:len(secret)-1], secret + "A", strings.ToLower(secret), "tocsin_" + strings.Repeat("A", 59)} {
		_, err := w.Token(ctx, wrong)
		assert.ErrorIs(t, err, tocsin.ErrNotFound, wrong)
	}
	w.clock.add(90*24*time.Hour - time.Second)
	_, err = w.Token(ctx, secret)
	require.NoError(t, err)
	w.clock.add(time.Second)
	_, err = w.Token(ctx, secret)
	require.ErrorIs(t, err, tocsin.ErrNotFound, "it has expired")

	list, err := w.Tokens(ctx)
	require.NoError(t, err)
	assert.Len(t, list, 1, "and is listed for a while")
	w.clock.add(31 * 24 * time.Hour)
	_, forever, err := w.CreateToken(ctx, tocsin.Token{Name: "alertmanager", Role: tocsin.RoleIntake})
	require.NoError(t, err)
	list, err = w.Tokens(ctx)
	require.NoError(t, err)
	require.Len(t, list, 1)
	assert.Equal(t, "alertmanager", list[0].Name)

	require.NoError(t, w.RevokeToken(ctx, list[0].ID, "ana"))
	_, err = w.Token(ctx, forever)
	require.ErrorIs(t, err, tocsin.ErrNotFound)
	require.ErrorIs(t, w.RevokeToken(ctx, list[0].ID, "ana"), tocsin.ErrNotFound)
}

func TestTokensAreChecked(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), context.Background()
	for field, bad := range map[string]tocsin.Token{
		"name":      {Name: " ", Role: tocsin.RoleViewer},
		"role":      {Name: "ci", Role: "root"},
		"expiresAt": {Name: "ci", Role: tocsin.RoleViewer, ExpiresAt: w.clock.now()},
	} {
		_, secret, err := w.CreateToken(ctx, bad)
		require.ErrorIs(t, err, tocsin.ErrInvalid)
		assert.ErrorContains(t, err, field+": ")
		assert.Empty(t, secret)
	}
}

// The use of a token is written down, and not at every request.
func TestTokenUse(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), context.Background()
	_, secret, err := w.CreateToken(ctx, tocsin.Token{Name: "ci", Role: tocsin.RoleViewer})
	require.NoError(t, err)
	used := func() time.Time {
		_, err := w.Token(ctx, secret)
		require.NoError(t, err)
		list, err := w.Tokens(ctx)
		require.NoError(t, err)
		return list[0].UsedAt
	}
	first := w.clock.now()
	require.Equal(t, first, used())
	_, version, err := w.store.Documents(ctx, "access_token")
	require.NoError(t, err)
	w.clock.add(59 * time.Minute)
	for range 100 {
		require.Equal(t, first, used())
	}
	_, again, err := w.store.Documents(ctx, "access_token")
	require.NoError(t, err)
	assert.Equal(t, version, again, "nothing was written")
	w.clock.add(time.Minute)
	assert.Equal(t, first.Add(time.Hour), used())
}

var ana = tocsin.Identity{Issuer: "https://login.example.com", Subject: "00u1", Name: "ana@example.com", Groups: []string{"sre"}}

func TestSessions(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), context.Background()
	w.SetTimes(time.Hour, 10*time.Hour)
	secret, err := w.BeginSession(ctx, tocsin.Session{Identity: ana, Address: "10.0.3.7", Agent: strings.Repeat("x", 1000)}, "ana")
	require.NoError(t, err)
	assert.NotContains(t, w.everything(t), secret, "only a hash is kept")
	s, err := w.Session(ctx, secret)
	require.NoError(t, err)
	assert.Equal(t, ana, s.Identity)
	assert.Len(t, s.Agent, 200)
	assert.Equal(t, w.clock.now().Add(10*time.Hour), s.ExpiresAt)
	for _, wrong := range []string{"", secret[1:], secret + "A", strings.Repeat("A", len(secret)), s.ID} {
		_, err := w.Session(ctx, wrong)
		assert.ErrorIs(t, err, tocsin.ErrNotFound)
	}

	for range 12 { // who comes again and again stays, up to the lifetime
		w.clock.add(50 * time.Minute)
		_, err = w.Session(ctx, secret)
		if w.clock.now().Before(s.ExpiresAt) {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, tocsin.ErrNotFound)
		}
	}
	secret, err = w.BeginSession(ctx, tocsin.Session{Identity: ana}, "ana")
	require.NoError(t, err)
	list, err := w.Sessions(ctx)
	require.NoError(t, err)
	require.Len(t, list, 1, "the one that ended is dropped")
	w.clock.add(time.Hour)
	_, err = w.Session(ctx, secret)
	require.ErrorIs(t, err, tocsin.ErrNotFound, "who does not come has to log in again")
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), context.Background()
	bo := tocsin.Identity{Issuer: ana.Issuer, Subject: "00u2", Name: "ana@example.com"}
	begin := func(id tocsin.Identity) string {
		secret, err := w.BeginSession(ctx, tocsin.Session{Identity: id}, "x")
		require.NoError(t, err)
		w.clock.add(time.Second)
		return secret
	}
	works := func(secret string) bool {
		_, err := w.Session(ctx, secret)
		return err == nil
	}
	a, b, other := begin(ana), begin(ana), begin(bo)
	s, err := w.Session(ctx, a)
	require.NoError(t, err)
	require.NoError(t, w.EndSession(ctx, s.ID, "ana"))
	assert.Equal(t, []bool{false, true, true}, []bool{works(a), works(b), works(other)})
	require.ErrorIs(t, w.EndSession(ctx, s.ID, "ana"), tocsin.ErrNotFound)
	a = begin(ana)
	require.NoError(t, w.EndSessions(ctx, ana, "ana"))
	assert.Equal(t, []bool{false, false, true}, []bool{works(a), works(b), works(other)}, "of one person, not of one name")

	var all []string
	for range 25 {
		all = append(all, begin(ana))
	}
	n := 0
	for _, secret := range all {
		if works(secret) {
			n++
		}
	}
	assert.Equal(t, 20, n, "the oldest go")
	assert.True(t, works(all[24]))
}

// What may happen to documents of another version.
func TestDamage(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), context.Background()
	require.NoError(t, w.store.Update(ctx, func(tx tocsin.Tx) error {
		tx.PutDocument("access_token", "k7f3q9", []byte(`[]`))
		return nil
	}))
	_, err := w.Tokens(ctx)
	require.ErrorContains(t, err, "access_token: k7f3q9: ")
	_, err = w.Token(ctx, "tocsin_"+strings.Repeat("A", 59))
	require.ErrorIs(t, err, tocsin.ErrNotFound, "what is no token is not looked for")
}

func TestEventsTellOfAccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := tocsin.WithOrigin(context.Background(), "page from 10.0.3.7")
	made, secret, err := w.CreateToken(ctx, tocsin.Token{Name: "ci", Role: tocsin.RoleViewer, CreatedBy: "ana"})
	require.NoError(t, err)
	require.NoError(t, w.RevokeToken(ctx, made.ID, "bo"))
	_, err = w.BeginSession(ctx, tocsin.Session{Identity: ana}, "ana")
	require.NoError(t, err)
	events, err := w.store.Log(ctx, 0, 100)
	require.NoError(t, err)
	var told []string
	for _, e := range events {
		if e.Kind == tocsin.EventAccess {
			assert.Equal(t, "page from 10.0.3.7", e.Origin)
			told = append(told, e.Actor+": "+e.Text+" | "+e.Before+" | "+e.After)
		}
	}
	assert.Equal(t, []string{
		"ana: made the token " + made.ID + " (ci), viewer |  | ci, role viewer, does not expire",
		"bo: revoked the token " + made.ID + " (ci), viewer | ci, role viewer, does not expire | ",
		"ana: logged in as ana@example.com |  | ",
	}, told)
	b, err := json.Marshal(events)
	require.NoError(t, err)
	assert.NotContains(t, string(b), secret)
}

func TestWellFormed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, secret, err := w.CreateToken(context.Background(), tocsin.Token{Name: "x", Role: tocsin.RoleViewer})
	require.NoError(t, err)
	require.True(t, access.WellFormed(secret))
	rapid.Check(t, func(t *rapid.T) {
		i := rapid.IntRange(0, len(secret)-1).Draw(t, "at")
		c := rapid.SampledFrom([]byte("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")).Draw(t, "letter")
		if typo := secret[:i] + string(c) + secret[i+1:]; typo != secret && access.WellFormed(typo) {
			t.Fatalf("a slip at %d is not noticed", i)
		}
	})
}
