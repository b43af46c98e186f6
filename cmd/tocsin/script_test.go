package main

import (
	"os"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	if code, ours := sandboxHelper(os.Args); ours {
		syscall.Exit(code) // os.Exit takes a second under the race detector
	}
	testscript.Main(m, map[string]func(){"tocsin": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script"})
}
