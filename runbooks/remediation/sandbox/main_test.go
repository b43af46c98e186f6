//go:build linux

package sandbox_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/tocsin-oncall/tocsin/runbooks/remediation/sandbox"
)

// TestMain is also the helper, and some of the commands: the test binary starts
// itself. They end without os.Exit, which takes a second under the race detector.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.Arg {
		syscall.Exit(sandbox.Main(os.Args[2:]))
	}
	if len(os.Args) > 2 && os.Args[1] == "payload" {
		syscall.Exit(payload(os.Args[2], os.Args[3:]))
	}
	goleak.VerifyTestMain(m)
}

// payload is what the test binary does as a command.
func payload(what string, args []string) int {
	var err error
	switch what {
	case "connect":
		var c net.Conn
		if c, err = (&net.Dialer{Timeout: time.Minute}).Dial("tcp", args[0]); err == nil {
			err = c.Close()
		}
	case "listen":
		var l net.Listener
		if l, err = (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0"); err == nil {
			err = l.Close()
		}
	case "sockets":
		for name, kind := range map[string][3]int{
			"MPTCP": {unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP}, "vsock": {unix.AF_VSOCK, unix.SOCK_STREAM, 0},
			"SCTP": {unix.AF_INET6, unix.SOCK_STREAM, unix.IPPROTO_SCTP}, "packet": {unix.AF_PACKET, unix.SOCK_RAW, 0},
		} {
			if _, e := unix.Socket(kind[0], kind[1], kind[2]); e == nil {
				err = errors.Join(err, errors.New(name+" is to be had"))
			}
		}
		for _, kind := range []int{unix.AF_INET, unix.AF_INET6, unix.AF_UNIX, unix.AF_NETLINK} {
			_, e := unix.Socket(kind, unix.SOCK_DGRAM, 0)
			err = errors.Join(err, e)
		}
		if _, _, e := unix.Syscall(unix.SYS_IO_URING_SETUP, 0, 0, 0); e != unix.ENOSYS {
			err = errors.Join(err, fmt.Errorf("io_uring: %w", e))
		}
	case "tocsin": // a Tocsin that runs a command, to be killed
		var sum string
		if sum, err = hashOf(args[0]); err == nil {
			_, err = sandbox.Run(context.Background(), sandbox.Command{
				Path: args[0], SHA256: sum, Env: []string{args[1]}, Timeout: time.Hour, Require: sandbox.RequireNone,
				Output: func(p []byte) { fmt.Print(string(p)) },
			})
		}
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func hashOf(path string) (string, error) {
	text, err := os.ReadFile(path)
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), err
}

// program is the command of a file that there is.
func program(t testing.TB, path string, args ...string) sandbox.Command {
	t.Helper()
	sum, err := hashOf(path)
	require.NoError(t, err)
	return sandbox.Command{Path: path, SHA256: sum, Args: args, Timeout: time.Minute, Require: sandbox.RequireNone}
}

// script is the command of a new sh script.
func script(t testing.TB, text string, args ...string) sandbox.Command {
	t.Helper()
	path := filepath.Join(t.TempDir(), "remedy")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700))
	return program(t, path, args...)
}

// ourselves is the test binary as a command. Go, and its race detector even
// more, want much address space.
func ourselves(t testing.TB, what string, args ...string) sandbox.Command {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	c := program(t, self, append([]string{"payload", what}, args...)...)
	c.Limits.Memory = 1 << 47
	return c
}

func run(t testing.TB, c sandbox.Command) sandbox.Result {
	t.Helper()
	r, err := sandbox.Run(context.Background(), c)
	require.NoError(t, err, string(r.Output))
	return r
}

// mark gives all processes of the command a sign by which they are found, and
// returns it.
func mark(t testing.TB, c *sandbox.Command) string {
	t.Helper()
	sign := fmt.Sprintf("TOCSIN_MARK=%s-%d-%d", t.Name(), os.Getpid(), time.Now().UnixNano())
	c.Env = append(c.Env, sign, "PATH=/usr/bin:/bin")
	return sign
}

// marked counts the processes that have the sign in their environment.
func marked(sign string) (n int) {
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range environs {
		if env, err := os.ReadFile(path); err == nil && strings.Contains(string(env), sign+"\x00") {
			n++
		}
	}
	return n
}

// nothingLeft waits until none of the marked processes is there.
func nothingLeft(t testing.TB, sign string) {
	t.Helper()
	require.Eventually(t, func() bool { return marked(sign) == 0 }, 20*time.Second, 20*time.Millisecond, "processes are left")
}

// ownTemp sends temporary folders to one of the test's own.
func ownTemp(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o711))
	t.Setenv("TMPDIR", dir)
	return dir
}

func empty(t testing.TB, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, entries, "the working folder is left")
}

func needLandlock(t testing.TB, abi int) {
	t.Helper()
	if got := sandbox.Probe().Landlock; got < abi {
		t.Skipf("this kernel has Landlock %d, not %d", got, abi)
	}
}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("not root")
	}
}

func number(t testing.TB, text []byte) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	return n
}
