package runbooks

import (
	"regexp"
	"sync"
)

// lazy returns a regular expression that is compiled when it is first asked for.
// There are sixty here, and compiling them all takes 15 ms: each start of the
// program would pay for them, and each remedy is one.
func lazy(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}
