package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	shipped "github.com/tocsin-oncall/tocsin/deploy/remedies"
	"github.com/tocsin-oncall/tocsin/runbooks/remediation/sandbox"
)

// The shipped scripts are run for real, in the sandbox, with stand-ins for what
// restarts and scales elsewhere: they keep a state, and note how they were called.

// box is a place for one script.
type box struct {
	t           *testing.T
	bin, state  string
	connect     []int
	environment []string
}

// newBox has the programs of this machine that are named, and no others.
func newBox(t *testing.T, tools ...string) *box {
	t.Helper()
	b := &box{t: t, bin: t.TempDir(), state: t.TempDir()}
	for _, name := range append(tools, "cat", "sed", "tr", "grep", "sleep") {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Skipf("there is no %s here", name)
		}
		path, err = filepath.EvalSymlinks(path)
		require.NoError(t, err)
		require.NoError(t, os.Symlink(path, filepath.Join(b.bin, name)))
	}
	return b
}

// standIn puts a program in place that notes its arguments, one in a line, and then
// does what body says; $STATE is its folder.
func (b *box) standIn(name, body string) {
	b.t.Helper()
	text := "#!/bin/sh\nSTATE='" + b.state + "'\n{ printf '%s' " + name + "; printf ' [%s]' \"$@\"; printf '\\n'; } >>\"$STATE/calls\"\n" + body + "\n"
	require.NoError(b.t, os.WriteFile(filepath.Join(b.bin, name), []byte(text), 0o755))
}

// calls are how the stand-ins were called.
func (b *box) calls() string {
	text, err := os.ReadFile(filepath.Join(b.state, "calls"))
	if !errors.Is(err, os.ErrNotExist) {
		require.NoError(b.t, err)
	}
	return string(text)
}

func (b *box) set(name, value string) {
	b.t.Helper()
	require.NoError(b.t, os.WriteFile(filepath.Join(b.state, name), []byte(value), 0o600))
}

func (b *box) get(name string) string {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join(b.state, name))
	require.NoError(b.t, err)
	return strings.TrimSpace(string(text))
}

// script installs a shipped script and returns its path and its pin.
func installed(t *testing.T, name string) (path, sum string) {
	t.Helper()
	text, err := shipped.Files.ReadFile(name)
	require.NoError(t, err)
	path = filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, text, 0o755))
	h := sha256.Sum256(text)
	return path, hex.EncodeToString(h[:])
}

// run runs a shipped script in the sandbox.
func (b *box) run(code int, name string, args ...string) string {
	b.t.Helper()
	if sandbox.Probe().Kernel == "" {
		b.t.Skip("remedies run on Linux only")
	}
	path, sum := installed(b.t, name)
	r, err := sandbox.Run(b.t.Context(), sandbox.Command{
		Path: path, SHA256: sum, Args: args, Env: append([]string{"PATH=" + b.bin}, b.environment...), Timeout: time.Minute,
		Read: []string{b.bin}, Write: []string{b.state}, Connect: b.connect, Require: sandbox.RequireNone,
		Limits: sandbox.Limits{Memory: 8 << 30, CPU: 30 * time.Second},
	})
	require.NoError(b.t, err)
	require.Equal(b.t, code, r.Exit, "%s %q\n%s%s", name, args, r.Output, r.Killed)
	return string(r.Output)
}

// What a script could be called with where somebody has left out the pattern.
var hostile = []string{
	"", "-rf", "--help", "--dry-run", "$(reboot)", "`reboot`", "a;reboot", "a|b", "a&b", "a b", " a", "a\nb", "a\n", "a\tb", "a\x01",
	"..", ".", "/", "../../etc/passwd", "a/b", "a..b:x", "A", "ä", "node‐1", "a\u202eb", "*", "?", "[a]", "~root", "a=b", "%s%n", "a%b", "{a,b}",
	"'", `"`, `\`, "#", "!", "a-", "-", "node:port", "node:99999999", "node:", ":9090", strings.Repeat("a", 64), strings.Repeat("a", 100_000),
}

// Nothing is done for a name that is none: not by a single stand-in.
func TestShippedScriptsRefuseWhatIsNoName(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	for _, name := range []string{"curl", "wget", "perl", "docker", "docker-compose", "systemctl", "kubectl", "reboot"} {
		b.standIn(name, "exit 0")
	}
	for name, before := range map[string][][]string{
		"restart-node":        {{"--supervisor", "http://127.0.0.1:1"}, {"--compose", "/c.yml"}, {"--systemd", "n@%.service"}},
		"reconnect-peers":     {{"--rpc-port", "1", "--compose", "/c.yml"}},
		"prune-database":      {{}, {"--keep", "5000"}},
		"scale-deployment":    {{"--by", "1", "space"}},
		"rollback-deployment": {{"space"}},
	} {
		path, _ := installed(t, name)
		for _, args := range before {
			for _, value := range hostile {
				if strings.HasSuffix(name, "deployment") && value == "" {
					value = "x.y" // no namespace or deployment has a dot
				}
				refused(t, b, path, append(append([]string{}, args...), value)...)
				if name == "rollback-deployment" {
					refused(t, b, path, value, "deployment")
				}
			}
			refused(t, b, path, append([]string{"--surprise"}, append(args, "node")...)...)
		}
		refused(t, b, path)
	}
	for _, c := range [][]string{
		{"restart-node", "--supervisor", "file:///etc/passwd", "a"},
		{"restart-node", "--supervisor", "http://a b", "a"},
		{"restart-node", "--supervisor", "-x", "a"},
		{"restart-node", "--compose", "-f", "a"},
		{"restart-node", "--compose", "c.yml", "a"},
		{"restart-node", "--systemd", "reboot.target", "a"},
		{"restart-node", "--systemd", "-%", "a"},
		{"restart-node", "--systemd", "%a%", "a"},
		{"restart-node", "--compose", "/c", "--systemd", "%", "a"},
		{"restart-node", "a"},
		{"prune-database", "--keep", "10", "a"},
		{"prune-database", "--keep", "010000", "a"},
		{"prune-database", "--keep", "1e9", "a"},
		{"prune-database", "--keep", "9999999999", "a"},
		{"scale-deployment", "--by", "0", "a", "b"},
		{"scale-deployment", "--by", "1;2", "a", "b"},
		{"scale-deployment", "--by", "--", "a", "b"},
		{"scale-deployment", "--min", "5", "--max", "4", "a", "b"},
		{"scale-deployment", "--max", "08", "a", "b"},
		{"scale-deployment", "--min", "-1", "a", "b"},
		{"reconnect-peers", "--rpc-port", "70000", "--compose", "/c", "a"},
		{"reconnect-peers", "--rpc-below", "9999", "--compose", "/c", "a:9090"},
		{"reconnect-peers", "--rpc-port", "1", "a"},
		{"reconnect-peers", "--rpc-port", "1", "--peer", `a","b`, "a"},
		{"reconnect-peers", "--rpc-port", "1", "--rpc-path", "/a b", "--compose", "/c", "a"},
	} {
		path, _ := installed(t, c[0])
		refused(t, b, path, c[1:]...)
	}
}

func refused(t *testing.T, b *box, path string, args ...string) {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Env, cmd.Dir = []string{"PATH=" + b.bin}, t.TempDir()
	out, err := cmd.CombinedOutput()
	var exited *exec.ExitError
	require.ErrorAs(t, err, &exited, "%.200q: %s", args, out)
	assert.Equal(t, 64, exited.ExitCode(), "%.200q: %s", args, out)
	assert.Contains(t, string(out), "usage: "+filepath.Base(path))
	assert.Empty(t, b.calls(), "%.200q", args)
}

func TestShippedScriptsAreClean(t *testing.T) {
	t.Parallel()
	check, err := exec.LookPath("shellcheck")
	if err != nil {
		t.Skip("shellcheck is not installed")
	}
	files, err := shipped.Files.ReadDir(".")
	require.NoError(t, err)
	require.Len(t, files, 5)
	for _, f := range files {
		out, err := exec.Command(check, "--shell=sh", "../../deploy/remedies/"+f.Name()).CombinedOutput()
		assert.NoError(t, err, "%s", out)
	}
}

func TestRestartNodeScript(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"curl", "wget", "perl"} {
		t.Run(tool, func(t *testing.T) {
			t.Parallel()
			c := newChain()
			t.Cleanup(c.stop)
			srv := httptest.NewServer(c.supervisor())
			t.Cleanup(srv.Close)
			b := newBox(t, tool)
			b.connect = []int{portOf(t, srv.URL)}
			assert.Contains(t, b.run(0, "restart-node", "--dry-run", "--supervisor", srv.URL, "node-us-east-2:9090"), "would run: "+tool)
			_, starts := c.node("node-us-east-2").where()
			assert.Zero(t, starts, "a dry run does nothing")
			out := b.run(0, "restart-node", "--supervisor", srv.URL+"/", "node-us-east-2:9090")
			addr, _ := c.node("node-us-east-2").where()
			assert.Contains(t, out, addr, "it says what the supervisor says")
			assert.Equal(t, "ok\n", string(fetchText(t, "http://"+addr+"/health")))
			b.run(70, "restart-node", "--supervisor", srv.URL, "no-such-node")
		})
	}
	b := newBox(t)
	b.run(69, "restart-node", "--supervisor", "http://127.0.0.1:1", "a")
	b.run(69, "restart-node", "--systemd", "bitcell-node@%.service", "a")
	b.standIn("systemctl", `[ "$3" != bitcell-node@broken.service ]`)
	b.standIn("docker-compose", "exit 0")
	b.run(0, "restart-node", "--systemd", "bitcell-node@%.service", "us-east-1")
	b.run(70, "restart-node", "--systemd", "bitcell-node@%.service", "broken")
	b.run(0, "restart-node", "--compose", "/srv/c.yml", "node-us-east-1:9090")
	assert.Equal(t, "systemctl [--no-ask-password] [restart] [bitcell-node@us-east-1.service]\n"+
		"systemctl [--no-ask-password] [restart] [bitcell-node@broken.service]\n"+
		"docker-compose [-f] [/srv/c.yml] [restart] [node-us-east-1]\n", b.calls())
}

func TestPruneDatabaseScript(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.run(69, "prune-database", "a")
	b.standIn("docker", `[ "$2" != bitcell-broken ]`)
	assert.Contains(t, b.run(0, "prune-database", "--dry-run", "node-us-east-1:9100"), "would run: docker exec bitcell-node-us-east-1")
	assert.Empty(t, b.calls())
	b.run(0, "prune-database", "--keep", "20000", "node-us-east-1:9100")
	b.run(70, "prune-database", "broken")
	assert.Equal(t, "docker [exec] [bitcell-node-us-east-1] [bitcell-node] [prune] [--keep-recent] [20000]\n"+
		"docker [exec] [bitcell-broken] [bitcell-node] [prune] [--keep-recent] [10000]\n", b.calls())
}

// lonely is a node's JSON-RPC: it has peers once they were added, or once it was
// restarted.
type lonely struct {
	admin     bool // it knows admin_addPeer
	restarted string
	added     []string
	peers     int
}

func (n *lonely) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Method string
		Params []string
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil || r.Method != http.MethodPost {
		http.Error(w, "no", http.StatusBadRequest)
		return
	}
	if _, err := os.Stat(n.restarted); err == nil {
		n.peers = 3
	}
	switch {
	case q.Method == "bitcell_getPeerCount":
		fmt.Fprintf(w, `{"jsonrpc": "2.0", "result": %d, "error": null, "id": 1}`, n.peers)
	case q.Method == "admin_addPeer" && n.admin:
		n.added = append(n.added, q.Params...)
		n.peers++
		fmt.Fprint(w, `{"jsonrpc":"2.0","result":true,"id":1}`)
	default:
		fmt.Fprint(w, `{"jsonrpc":"2.0","result":null,"error":{"code":-32601,"message":"Method not found"},"id":1}`)
	}
}

func TestReconnectPeersScript(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"curl", "wget"} {
		t.Run(tool, func(t *testing.T) {
			t.Parallel()
			b := newBox(t, tool)
			b.standIn("docker-compose", `: >"$STATE/restarted"`)
			node := &lonely{admin: true, restarted: filepath.Join(b.state, "restarted")}
			srv := httptest.NewServer(node)
			t.Cleanup(srv.Close)
			port := portOf(t, srv.URL)
			b.connect = []int{port}
			rpc, instance := strconv.Itoa(port), "127.0.0.1:"+strconv.Itoa(port+545)
			below := func(args ...string) []string {
				return append(append([]string{"--rpc-below", "545"}, args...), instance)
			}
			if port+545 > 65535 {
				below = func(args ...string) []string {
					return append(append([]string{"--rpc-port", rpc}, args...), "127.0.0.1")
				}
			}

			assert.Contains(t, b.run(0, "reconnect-peers", below("--dry-run", "--peer", "10.0.0.1:9000")...), "would add the peer 10.0.0.1:9000")
			assert.Empty(t, node.added)
			assert.Contains(t, b.run(0, "reconnect-peers", below("--peer", "10.0.0.1:9000", "--peer", "10.0.0.2:9000", "--compose", "/c.yml")...), "has 2 peers")
			assert.Equal(t, []string{"10.0.0.1:9000", "10.0.0.2:9000"}, node.added)
			assert.Contains(t, b.run(0, "reconnect-peers", below("--compose", "/c.yml")...), "there is nothing to do")
			assert.Empty(t, b.calls())

			node.peers, node.admin = 0, false
			assert.Contains(t, b.run(0, "reconnect-peers", below("--compose", "/c.yml")...), "has 3 peers")
			assert.Equal(t, "docker-compose [-f] [/c.yml] [restart] [127.0.0.1]\n", b.calls())
			srv.Close()
			b.run(69, "reconnect-peers", "--rpc-port", rpc, "--peer", "10.0.0.1:9000", "127.0.0.1")
		})
	}
}

func portOf(t *testing.T, url string) int {
	t.Helper()
	_, text, err := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	require.NoError(t, err)
	port, err := strconv.Atoi(text)
	require.NoError(t, err)
	return port
}

// The sandbox holds the scripts to what is declared: a supervisor on another port is
// not reached.
func TestShippedScriptsReachWhatIsDeclared(t *testing.T) {
	t.Parallel()
	b := newBox(t, "perl")
	srv := httptest.NewServer(newChain().supervisor())
	t.Cleanup(srv.Close)
	b.connect = []int{1}
	path, sum := installed(t, "restart-node")
	held, err := sandbox.Holds(sandbox.Command{Path: path, SHA256: sum, Connect: b.connect, Require: sandbox.RequireNone})
	require.NoError(t, err)
	if !strings.Contains(held, "tcp ports: 1") {
		t.Skip("this machine cannot hold it to ports: " + held)
	}
	b.run(70, "restart-node", "--supervisor", srv.URL, "node-us-east-2")
}
