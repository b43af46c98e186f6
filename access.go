package tocsin

import (
	"context"
	"time"
)

type originKey struct{}

// WithOrigin returns a context whose updates are written down as coming from
// there: the store puts it into Event.Origin of every event that an update under
// this context appends.
func WithOrigin(ctx context.Context, origin string) context.Context {
	return context.WithValue(ctx, originKey{}, origin)
}

// OriginOf returns what WithOrigin has put there; "": Tocsin itself.
func OriginOf(ctx context.Context) string {
	origin, _ := ctx.Value(originKey{}).(string)
	return origin
}

// Token is what is known of a bearer token that Tocsin has made. The token itself
// is shown once and kept nowhere.
type Token struct {
	// ID is short, like an incident's.
	ID string `json:"id"`
	// Name is the actor on timelines of what is done with it.
	Name string `json:"name"`
	// Role is what it is good for.
	Role Role `json:"role"`
	// Team is the one for whose things alone it is good; empty: for everything.
	Team string `json:"team,omitempty"`
	// CreatedBy is who had it made.
	CreatedBy string    `json:"createdBy,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
	// ExpiresAt is when it stops working; zero: never.
	ExpiresAt time.Time `json:"expiresAt,omitzero"`
	// UsedAt is when it was used last, to the hour; zero: never.
	UsedAt time.Time `json:"usedAt,omitzero"`
}

// Expired reports whether the token does not work any more.
func (t *Token) Expired(now time.Time) bool { return !t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt) }

// Identity is what somebody who is trusted with it, an identity provider or a
// proxy, says of a person.
type Identity struct {
	// Issuer is who says so: the provider's URL; "proxy".
	Issuer string `json:"issuer"`
	// Subject is the provider's own name for the person, which never changes; with
	// a proxy it is Name.
	Subject string `json:"subject"`
	// Name is what the person is known by: an e-mail address, or a login.
	Name string `json:"name"`
	// Groups that the person is in.
	Groups []string `json:"groups,omitempty"`
}

// Session is somebody's log-in in one browser. The cookie that proves it is kept
// nowhere. What they may do is not part of it: that is asked for each time.
type Session struct {
	// ID is short, like an incident's.
	ID       string   `json:"id"`
	Identity Identity `json:"identity"`
	// CreatedAt is when they logged in, SeenAt when they were last here, to a few
	// minutes.
	CreatedAt time.Time `json:"createdAt"`
	SeenAt    time.Time `json:"seenAt"`
	// ExpiresAt is when they have to log in again, whatever happens.
	ExpiresAt time.Time `json:"expiresAt"`
	// Address and Agent are where from and what with.
	Address string `json:"address,omitempty"`
	Agent   string `json:"agent,omitempty"`
}
