package tocsin

import "context"

type onlyIf[T any] struct{}

// OnlyIf returns a context under which a T is changed only where ok accepts it as it
// then is, within the transaction: nobody changes it in between. What ok returns else
// is what the change returns. Silences, overrides and remediations are changed so. ok
// may run more than once, and depends on nothing but the T; conditions add up.
func OnlyIf[T any](ctx context.Context, ok func(was *T) error) context.Context {
	return context.WithValue(ctx, onlyIf[T]{}, func(was *T) error {
		if err := Allowed(ctx, was); err != nil {
			return err
		}
		return ok(was)
	})
}

// Allowed is what OnlyIf says of a T that is about to be changed: nil where nothing
// is asked of it. Whoever changes one calls it within the transaction.
func Allowed[T any](ctx context.Context, was *T) error {
	if ok, asked := ctx.Value(onlyIf[T]{}).(func(*T) error); asked {
		return ok(was)
	}
	return nil
}
