package bolt_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/storage"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
	"github.com/tocsin-oncall/tocsin/storage/storagetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	storagetest.Conformance(t, func(t *testing.T, dir string) storage.Store {
		s, err := bolt.Open(dir, bolt.Options{Ballast: -1})
		require.NoError(t, err)
		return s
	})
}
