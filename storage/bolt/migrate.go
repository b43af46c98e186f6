package bolt

import (
	"errors"
	"fmt"
	"strconv"

	"go.etcd.io/bbolt"
)

// migration lifts a file by one schema, in the transaction that also notes it.
type migration func(*bbolt.Tx) error

// migrations returns the steps from the first schema on: the n-th, counted from
// 0, lifts a file of schema n+1 to n+2. The present schema is one more than
// their number. A step must work on files as that schema wrote them: it uses
// bucket names and records of its own, not those of the present code.
func migrations() []migration { return []migration{addDocuments, addChain} }

// addDocuments makes the bucket of documents.
func addDocuments(tx *bbolt.Tx) error {
	_, err := tx.CreateBucket([]byte("documents"))
	return err
}

const schemaKey = "schema"

var errForeign = errors.New("this is a bbolt file, but not a tocsin store")

// migrate lifts db to the schema that the steps lead to, or refuses it.
func migrate(db *bbolt.DB, steps []migration) error {
	have, err := schemaOf(db)
	if err != nil {
		return err
	}
	if err := known(have, len(steps)+1); err != nil {
		return err
	}
	for ; have <= len(steps); have++ {
		err := db.Update(func(tx *bbolt.Tx) error {
			if err := steps[have-1](tx); err != nil {
				return err
			}
			return putSchema(tx, have+1)
		})
		if err != nil {
			return fmt.Errorf("migrate from schema %d to %d (nothing was changed): %w", have, have+1, err)
		}
	}
	return db.View(complete)
}

// known refuses a schema of a later version than this one.
func known(have, know int) error {
	if have > know {
		return fmt.Errorf("made by a newer tocsin (schema %d, this one knows %d): upgrade, or restore a backup", have, know)
	}
	return nil
}

func schemaOf(db *bbolt.DB) (schema int, err error) {
	err = db.View(func(tx *bbolt.Tx) error {
		meta := tx.Bucket([]byte(bucketMeta.String()))
		if meta == nil {
			return errForeign
		}
		schema, err = strconv.Atoi(string(meta.Get([]byte(schemaKey))))
		if err != nil || schema < 1 {
			return errForeign
		}
		return nil
	})
	return schema, err
}

func putSchema(tx *bbolt.Tx, schema int) error {
	return tx.Bucket([]byte(bucketMeta.String())).Put([]byte(schemaKey), []byte(strconv.Itoa(schema)))
}

// complete checks that every bucket is there.
func complete(tx *bbolt.Tx) error {
	for b := range bucketCount {
		if tx.Bucket([]byte(b.String())) == nil {
			return fmt.Errorf("the bucket %q is missing: restore a backup", b)
		}
	}
	return nil
}
