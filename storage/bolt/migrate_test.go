package bolt

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
)

// openRaw opens a new store's file, said to be of the first schema, without the
// store.
func openRaw(t *testing.T) *bbolt.DB {
	path := filepath.Join(t.TempDir(), FileName)
	require.NoError(t, create(path))
	db, err := bbolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error { return putSchema(tx, 1) }))
	return db
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	db := openRaw(t)
	step := func(name string, err error) migration {
		return func(tx *bbolt.Tx) error {
			return errors.Join(err, bucketMeta.of(tx).Put([]byte("step"), []byte(name)))
		}
	}
	require.NoError(t, migrate(db, nil))
	failed := errors.New("no")
	require.ErrorIs(t, migrate(db, []migration{step("1 to 2", nil), step("2 to 3", failed)}), failed)
	schema, err := schemaOf(db)
	require.NoError(t, err)
	assert.Equal(t, 2, schema, "the first step holds, the failed one left nothing")
	require.NoError(t, db.View(func(tx *bbolt.Tx) error {
		assert.Equal(t, "1 to 2", string(bucketMeta.of(tx).Get([]byte("step"))))
		return nil
	}))
	ran := 0
	again := func(*bbolt.Tx) error { ran++; return nil }
	require.NoError(t, migrate(db, []migration{again, again, again}))
	assert.Equal(t, 2, ran, "steps 2 to 3 and 3 to 4")
	require.NoError(t, migrate(db, []migration{again, again, again}))
	assert.Equal(t, 2, ran)
	err = migrate(db, nil)
	require.ErrorContains(t, err, "made by a newer tocsin (schema 4, this one knows 1): upgrade, or restore a backup")
}

func TestForeignFiles(t *testing.T) {
	t.Parallel()
	db := openRaw(t)
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("states")) }))
	require.ErrorContains(t, migrate(db, nil), `"states" is missing`)
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error { return bucketMeta.of(tx).Put([]byte(schemaKey), []byte("x")) }))
	require.ErrorIs(t, migrate(db, nil), errForeign)
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("meta")) }))
	require.ErrorIs(t, migrate(db, nil), errForeign)
}
