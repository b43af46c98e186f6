package router_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/router"
)

// FuzzParseMatchers: any text is compiled or refused as invalid input, and what
// was compiled says the same when it is written and read again.
func FuzzParseMatchers(f *testing.F) {
	for _, s := range []string{`a="b"`, `{a=~"b.*", c!="d"}`, `"ünïcode.label"!~"x|y"`, `a=`, `{`, `a="\x00"`, `a=~"("`, "a=\"\xff\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ms, err := router.ParseMatchers([]string{text})
		if err != nil {
			require.ErrorIs(t, err, tocsin.ErrInvalid)
			return
		}
		again, err := router.ParseMatchers([]string{ms.String()})
		require.NoError(t, err, "%q was written as %q", text, ms.String())
		assert.Equal(t, ms.String(), again.String())
	})
}
