package tocsin_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tocsin-oncall/tocsin"
)

func TestRolesMayMoreAndMore(t *testing.T) {
	t.Parallel()
	rights := []tocsin.Right{tocsin.RightView, tocsin.RightRespond, tocsin.RightManage, tocsin.RightAdmin}
	for n, role := range tocsin.Roles() {
		for k, right := range rights {
			assert.Equal(t, k <= n, role.May(right), "%s may %s", role, right)
		}
		assert.False(t, role.May("fly"), role)
	}
	assert.True(t, tocsin.Role("").May(tocsin.RightRespond), "whoever can be called can answer")
	assert.False(t, tocsin.Role("").May(tocsin.RightManage))
	for _, right := range rights {
		assert.False(t, tocsin.Role("root").May(right), "an unknown role may nothing")
	}
}
