package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tocsin-oncall/tocsin/test/leak"
)

func TestMain(m *testing.M) {
	if code, ours := sandboxHelper(os.Args); ours {
		syscall.Exit(code) // os.Exit takes a second under the race detector
	}
	answers := &leak.Answers{}
	http.DefaultClient.Transport = answers // what people and the emulators ask of the program
	testscript.Main(leak.Suite{Tests: m, Answers: answers}, map[string]func(){"tocsin": program})
}

// program is main, with what it says searched for secrets.
func program() {
	said := leak.ShownTokens()
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], io.MultiWriter(os.Stdout, said), io.MultiWriter(os.Stderr, said))
	if err := said.Err(); err != nil {
		fmt.Fprintln(os.Stderr, "what the program has said:", err)
		code = 99
	}
	os.Exit(code)
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script"})
}
