//go:build !linux

package sandbox

import (
	"context"
	"errors"
	"fmt"
)

// Run refuses: this is not Linux.
func Run(_ context.Context, c Command) (Result, error) {
	if _, err := c.checked(); err != nil {
		return Result{Exit: -1}, fmt.Errorf("%w: %w", ErrNotRun, err)
	}
	return Result{Exit: -1}, fmt.Errorf("%w: %w", ErrNotRun, errElsewhere)
}

var errElsewhere = errors.New("commands are run on Linux only, where they can be held")

// Holds refuses, as Run does.
func Holds(Command) (string, error) { return "", errElsewhere }

// Main is the helper on Linux; here there is none.
func Main([]string) int { return 2 }

// Probe says that this machine offers nothing.
func Probe() Report { return Report{} }

// CleanUp has nothing to remove here.
func CleanUp() error { return nil }
