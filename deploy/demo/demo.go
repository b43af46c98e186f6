// Package demo holds what `tocsin demo` runs on: an example configuration and
// example runbooks.
package demo

import "embed"

// Files holds tocsin.yml and the folder runbooks.
//
//go:embed tocsin.yml runbooks
var Files embed.FS
