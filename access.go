package tocsin

import "context"

// Principal is somebody, or something, that asks for things: a person who has
// logged in, a token, a click in Slack.
type Principal struct {
	// Name is the actor on timelines; empty: nobody said who it is.
	Name string
	// Role is what they may do.
	Role Role
	// Via is where they ask from: "page", "API", "terminal", "Slack", "PagerDuty".
	Via string
	// Address is where the request came from, as far as it is known: "10.0.3.7".
	Address string
}

// May reports whether the principal has the right.
func (p *Principal) May(right Right) bool { return p.Role.May(right) }

// Origin is where the principal asks from, in words: "API from 10.0.3.7".
func (p *Principal) Origin() string {
	switch {
	case p.Address == "":
		return p.Via
	case p.Via == "":
		return p.Address
	}
	return p.Via + " from " + p.Address
}

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
