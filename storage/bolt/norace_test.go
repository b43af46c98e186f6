//go:build !race

package bolt_test

const checked = false
