//go:build !race

package runbooks_test

const raceEnabled = false
