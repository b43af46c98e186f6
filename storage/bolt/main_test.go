package bolt_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// children are what the test binary does when a test starts it again, by the
// value of childEnv. They get the store's folder.
var children = map[string]func(dir string){
	"storm": storm,
	"fsync": fsyncFails,
}

const childEnv = "TOCSIN_BOLT_TEST_CHILD"

func TestMain(m *testing.M) {
	if child := children[os.Getenv(childEnv)]; child != nil {
		child(os.Args[len(os.Args)-1])
		return
	}
	goleak.VerifyTestMain(m)
}
