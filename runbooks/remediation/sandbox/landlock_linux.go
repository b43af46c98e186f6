package sandbox

import (
	"fmt"
	"os"

	"github.com/landlock-lsm/go-landlock/landlock"
)

// What every command may read, as far as it is there.
var (
	systemFolders = []string{
		"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64",
		"/etc/ssl/certs", "/etc/pki/tls/certs", "/etc/pki/ca-trust", "/etc/ca-certificates",
	}
	// Nothing here is secret: a program that cannot read them finds no library, no
	// host, no user and no time zone.
	systemFiles = []string{
		"/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/nsswitch.conf", "/etc/hosts", "/etc/host.conf", "/etc/resolv.conf",
		"/etc/gai.conf", "/etc/services", "/etc/protocols", "/etc/passwd", "/etc/group", "/etc/localtime", "/etc/ssl/openssl.cnf",
		"/dev/zero", "/dev/random", "/dev/urandom",
	}
)

// newestABI is the newest version of Landlock whose rights are handled. Newer
// kernels handle these too.
const newestABI = 7

// handled are the rights that are taken away, by version of Landlock
// (landlock(7)). Taking the versions one by one, and not the library's best
// effort, which gives up in silence what a kernel lacks.
func handled(abi int) (landlock.Config, error) {
	files := []landlock.AccessFSSet{0, 1<<13 - 1, 1<<14 - 1, 1<<15 - 1, 1<<15 - 1, 1<<16 - 1, 1<<16 - 1, 1<<16 - 1}
	abi = min(abi, newestABI)
	rights := []any{files[abi]}
	if abi >= 4 {
		rights = append(rights, landlock.AccessNetSet(1<<2-1))
	}
	if abi >= 6 {
		rights = append(rights, landlock.ScopedSet(1<<2-1))
	}
	c, err := landlock.NewConfig(rights...)
	if err != nil {
		return landlock.Config{}, fmt.Errorf("landlock: %w", err)
	}
	return *c, nil
}

// restrictFiles leaves the files and the ports that the command may use. All
// paths are looked at now: what is put in place of one later is not reached by
// its rule.
func restrictFiles(in instructions, h holding) error {
	config, err := handled(h.landlock)
	if err != nil {
		return err
	}
	writable := landlock.RWDirs(in.Dir)
	if h.landlock >= 2 { // moving from folder to folder within it
		writable = writable.WithRefer()
	}
	rules := []landlock.Rule{
		landlock.RODirs(systemFolders...).IgnoreIfMissing(),
		landlock.ROFiles(systemFiles...).IgnoreIfMissing(),
		landlock.RWFiles("/dev/null", "/dev/full").IgnoreIfMissing(),
		writable,
	}
	if h.ownProc {
		rules = append(rules, landlock.RODirs("/proc"))
	}
	declared, err := declaredRules(in, h)
	if err != nil {
		return err
	}
	if err := config.Restrict(append(rules, declared...)...); err != nil {
		return fmt.Errorf("landlock: %w", err)
	}
	return nil
}

// declaredRules are those that the operators have declared.
func declaredRules(in instructions, h holding) (rules []landlock.Rule, err error) {
	add := func(paths []string, dirs, files func(...string) landlock.FSRule, move bool) error {
		for _, path := range paths {
			info, err := os.Stat(path)
			if err != nil {
				return fmt.Errorf("the sandbox is to open %w", err)
			}
			rule := files(path)
			if info.IsDir() {
				if rule = dirs(path); move {
					rule = rule.WithRefer()
				}
			}
			rules = append(rules, rule)
		}
		return nil
	}
	if err := add(in.Read, landlock.RODirs, landlock.ROFiles, false); err != nil {
		return nil, err
	}
	if err := add(in.Write, landlock.RWDirs, landlock.RWFiles, h.landlock >= 2); err != nil {
		return nil, err
	}
	if h.landlock >= 4 {
		for _, port := range in.Connect {
			rules = append(rules, landlock.ConnectTCP(uint16(port)))
		}
	}
	return rules, nil
}
