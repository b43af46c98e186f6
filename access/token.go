package access

import (
	"cmp"
	"context"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// tokenRecord is what is kept of a token.
type tokenRecord struct {
	tocsin.Token
	Hash string `json:"hash"`
}

func (r tokenRecord) hash() string { return r.Hash }

// Prefix is what every token that Tocsin makes begins with, for scanners that look
// for secrets where there should be none. What follows are 59 of the letters A-Z
// and the digits 2-7, the last 7 a checksum: `tocsin_[A-Z2-7]{59}`.
const Prefix = "tocsin_"

const (
	tokenRandom = 52
	tokenSum    = 7 // base32 of the CRC-32 (IEEE) of the random part
)

func newToken() string {
	text := random()
	return Prefix + text + checksum(text)
}

func checksum(text string) string {
	sum := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(text)))
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum)
}

// WellFormed reports whether text could be a token that Tocsin has made: what is
// mistyped or cut off is not.
func WellFormed(text string) bool {
	rest, ok := strings.CutPrefix(text, Prefix)
	return ok && len(rest) == tokenRandom+tokenSum && checksum(rest[:tokenRandom]) == rest[tokenRandom:]
}

// Bounds of tokens.
const (
	// maxTokens is the most that are kept.
	maxTokens = 1000
	// usedEvery is how exactly UsedAt is kept.
	usedEvery = time.Hour
	// expiredStay is how long a token is listed after it has expired.
	expiredStay = 30 * 24 * time.Hour
)

// Tokens returns all that are kept, expired ones too, by name.
func (k *Keeper) Tokens(ctx context.Context) ([]tocsin.Token, error) {
	all, _, err := k.tokens.load(ctx, k.store)
	if err != nil {
		return nil, err
	}
	list := make([]tocsin.Token, len(all))
	for i := range all {
		list[i] = all[i].Token
	}
	slices.SortFunc(list, func(a, b tocsin.Token) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

// Token returns the token whose text secret is, and writes down that it was used.
// It returns tocsin.ErrNotFound for one that is unknown, revoked or expired.
func (k *Keeper) Token(ctx context.Context, secret string) (tocsin.Token, error) {
	if !WellFormed(secret) {
		return tocsin.Token{}, tocsin.ErrNotFound
	}
	found, err := k.tokens.find(ctx, k.store, secret)
	if err != nil {
		return tocsin.Token{}, err
	}
	now := k.now().UTC()
	if found.Expired(now) {
		return tocsin.Token{}, tocsin.ErrNotFound
	}
	if k.seen.due(kindToken+found.ID, found.UsedAt, now, usedEvery) {
		k.note(ctx, kindToken, found.ID, func(tx tocsin.Tx) error {
			var r tokenRecord
			doc := tx.Document(kindToken, found.ID)
			if doc == nil {
				return nil
			}
			if err := json.Unmarshal(doc, &r); err != nil {
				return err
			}
			r.UsedAt = now
			return put(tx, kindToken, r.ID, r)
		})
	}
	return found.Token, nil
}

// CreateToken makes a token with t's Name, Role, Team, CreatedBy and ExpiresAt, and
// returns it with its text, which is not to be had again. It returns
// tocsin.Invalid for what t lacks.
func (k *Keeper) CreateToken(ctx context.Context, t tocsin.Token) (made tocsin.Token, secret string, err error) {
	now := k.now().UTC()
	if err := checkToken(t, now); err != nil {
		return made, "", err
	}
	seed := tocsin.NewSeed()
	secret = newToken()
	err = k.store.Update(ctx, func(tx tocsin.Tx) error {
		if err := tocsin.Again(ctx, tx, tocsin.MadeToken, now); err != nil {
			return err
		}
		docs, _ := tx.Documents(kindToken)
		kept, err := dropExpired(tx, docs, now)
		if err != nil {
			return err
		}
		if kept >= maxTokens {
			return fmt.Errorf("%w: there are %d tokens; revoke those that nobody uses (tocsin token list)", tocsin.ErrConflict, kept)
		}
		made = tocsin.Token{
			ID: freeID(tx, kindToken, seed), Name: t.Name, Role: t.Role, Team: t.Team, CreatedBy: t.CreatedBy,
			CreatedAt: now, ExpiresAt: t.ExpiresAt.UTC(),
		}
		tx.Append(tocsin.Event{Kind: tocsin.EventAccess, At: now, Actor: t.CreatedBy, Text: fmt.Sprintf("made the token %s (%s), %s", made.ID, made.Name, made.Role), After: lifeOf(made)})
		if err := put(tx, kindToken, made.ID, tokenRecord{Token: made, Hash: hashOf(secret)}); err != nil {
			return err
		}
		return tocsin.Done(ctx, tx, tocsin.MadeToken, made.ID, now)
	})
	if err != nil {
		return tocsin.Token{}, "", err
	}
	return made, secret, nil
}

func lifeOf(t tocsin.Token) string {
	role := string(t.Role)
	if t.Team != "" {
		role += " in team " + t.Team
	}
	if t.ExpiresAt.IsZero() {
		return fmt.Sprintf("%s, role %s, does not expire", t.Name, role)
	}
	return fmt.Sprintf("%s, role %s, expires %s", t.Name, role, t.ExpiresAt.Format(time.RFC3339))
}

func checkToken(t tocsin.Token, now time.Time) error {
	switch {
	case strings.TrimSpace(t.Name) == "":
		return tocsin.Invalid("name", "missing; it is the actor on timelines")
	case t.Role != tocsin.RoleIntake && !slices.Contains(tocsin.Roles(), t.Role):
		return tocsin.Invalid("role", "%q; want viewer, responder, manager, admin or intake", t.Role)
	case t.Team != "" && !slices.Contains([]tocsin.Role{tocsin.RoleViewer, tocsin.RoleResponder, tocsin.RoleManager}, t.Role):
		return tocsin.Invalid("role", "%q; within a team want viewer, responder or manager", t.Role)
	case t.Expired(now):
		return tocsin.Invalid("expiresAt", "want a time in the future")
	}
	return nil
}

// dropExpired drops the tokens that expired long ago and counts the others.
func dropExpired(tx tocsin.Tx, docs []tocsin.Document, now time.Time) (kept int, err error) {
	for _, d := range docs {
		var r tokenRecord
		if err := json.Unmarshal(d.Value, &r); err != nil {
			return 0, fmt.Errorf("%s %s: %w", kindToken, d.ID, err)
		}
		if r.Expired(now.Add(-expiredStay)) {
			tx.DeleteDocument(kindToken, d.ID)
			continue
		}
		kept++
	}
	return kept, nil
}

// RevokeToken ends a token. It returns tocsin.ErrNotFound for one that is not
// kept.
func (k *Keeper) RevokeToken(ctx context.Context, id, by string) error {
	now := k.now().UTC()
	return k.store.Update(ctx, func(tx tocsin.Tx) error {
		doc := tx.Document(kindToken, id)
		if doc == nil {
			return tocsin.ErrNotFound
		}
		var r tokenRecord
		if err := json.Unmarshal(doc, &r); err != nil {
			return err
		}
		tx.DeleteDocument(kindToken, id)
		tx.Append(tocsin.Event{
			Kind: tocsin.EventAccess, At: now, Actor: by, Text: fmt.Sprintf("revoked the token %s (%s), %s", r.ID, r.Name, r.Role), Before: lifeOf(r.Token),
		})
		return nil
	})
}
