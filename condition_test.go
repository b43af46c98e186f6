package tocsin_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
)

func TestConditionsAreOfOneKindAndAddUp(t *testing.T) {
	t.Parallel()
	early, other := errors.New("early"), errors.New("of ana's only")
	ctx := tocsin.OnlyIf(context.Background(), func(s *tocsin.Silence) error {
		if s.Comment == "" {
			return early
		}
		return nil
	})
	ctx = tocsin.OnlyIf(ctx, func(s *tocsin.Silence) error {
		if s.CreatedBy != "ana" {
			return other
		}
		return nil
	})
	require.NoError(t, tocsin.Allowed(context.Background(), &tocsin.Silence{}), "nothing is asked")
	require.NoError(t, tocsin.Allowed(ctx, &tocsin.Override{}), "nothing is asked of overrides")
	assert.Equal(t, early, tocsin.Allowed(ctx, &tocsin.Silence{CreatedBy: "bo"}), "the first one first")
	assert.Equal(t, other, tocsin.Allowed(ctx, &tocsin.Silence{CreatedBy: "bo", Comment: "c"}))
	assert.NoError(t, tocsin.Allowed(ctx, &tocsin.Silence{CreatedBy: "ana", Comment: "c"}))
}
