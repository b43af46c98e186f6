//go:build !linux

package bolt

import "os"

// reserve gives f size bytes of the disk.
func reserve(f *os.File, size int64) error { return writeZeros(f, size) }

func prefetch(*os.File, int64) {}
