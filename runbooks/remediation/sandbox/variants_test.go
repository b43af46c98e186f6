//go:build linux

package sandbox_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// variant is set where a test runs the others under other circumstances.
const variant = "TOCSIN_SANDBOX_VARIANT"

// TestAsNobody runs all tests again without any privilege.
func TestAsNobody(t *testing.T) {
	t.Parallel()
	again(t, "as nobody", &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}})
}

// TestWithoutNamespaces runs all tests again as a root who has used up his
// namespaces, as in a container without CAP_SYS_ADMIN.
func TestWithoutNamespaces(t *testing.T) {
	t.Parallel()
	everybody := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 65536}}
	again(t, "without namespaces", &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER, UidMappings: everybody, GidMappings: everybody, GidMappingsEnableSetgroups: true,
	}, "/bin/sh", "-c", `echo 0 >/proc/sys/user/max_pid_namespaces && exec "$@"`, "sh")
}

// again runs the tests in another process, behind a prefix of its command line.
func again(t *testing.T, name string, attr *syscall.SysProcAttr, prefix ...string) {
	t.Helper()
	needRoot(t)
	if os.Getenv(variant) != "" {
		t.Skip("this is the other process")
	}
	dir, err := os.MkdirTemp("/var/tmp", "tocsin-test-")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o777|os.ModeSticky))
	binary := filepath.Join(dir, "sandbox.test")
	copyFile(t, binary)
	args := append(prefix, binary, "-test.run", "^(TestRun|FuzzRun)", "-test.short", "-test.v", "-test.timeout", "5m")
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = []string{variant + "=" + name, "TMPDIR=" + dir, "PATH=/usr/bin:/bin"}
	cmd.Dir, cmd.SysProcAttr = dir, attr
	out, err := cmd.CombinedOutput()
	if err != nil && strings.Contains(err.Error(), "fork/exec") {
		t.Skipf("this kernel does not allow it: %v", err)
	}
	require.NoError(t, err, string(out))
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "landlock") || strings.Contains(line, "SKIP") || strings.Contains(line, "not held") {
			t.Log(strings.TrimSpace(line))
		}
	}
	assert.Contains(t, string(out), "\nPASS\n")
}

func copyFile(t *testing.T, to string) {
	t.Helper()
	self, err := os.Open("/proc/self/exe")
	require.NoError(t, err)
	defer self.Close()
	w, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	require.NoError(t, err)
	_, err = io.Copy(w, self)
	require.NoError(t, err)
	require.NoError(t, w.Close())
}
