package main

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// commands are all commands that do something, by their path.
func commands(t *testing.T) map[string]*kong.Node {
	t.Helper()
	parser, err := newParser(&cli{}, io.Discard, io.Discard, func(int) {})
	require.NoError(t, err)
	out := map[string]*kong.Node{}
	for _, n := range parser.Model.Leaves(true) {
		out[strings.TrimPrefix(n.FullPath(), "tocsin ")] = n
	}
	require.NotEmpty(t, out)
	return out
}

// TestEveryCommandIsPleasant: each prints JSON where it is asked to, and its help
// has an example.
func TestEveryCommandIsPleasant(t *testing.T) {
	t.Parallel()
	for path, n := range commands(t) {
		assert.Contains(t, n.Detail, "Example: tocsin "+path, "tocsin %s --help has an example", path)
		if slices.Contains([]string{"demo", "serve", "completion"}, path) {
			continue // they run, or write a script
		}
		i := slices.IndexFunc(n.Flags, func(f *kong.Flag) bool { return f.Name == "output" })
		if assert.GreaterOrEqual(t, i, 0, "tocsin %s has --output", path) {
			assert.Equal(t, "table,json", n.Flags[i].Enum, path)
		}
	}
}
