package runbooks

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/tocsin-oncall/tocsin"
)

// Version names a runbook as it is: a hash of what it says and, where its folder
// is a git checkout, "@" and the commit that was checked out when it was read:
// "3f9a01c2b4d5@1a2b3c4d5e". The hash is of the runbook as it is written, before
// anything is filled in, and does not depend on the line that it begins at, so
// that edits elsewhere in the file leave it alone. The runbook is one that Find or
// Get returned; of another one the version has no commit.
//
// It is made when the folder is read, and costs one look into a table.
func (l *Library) Version(rb *tocsin.Runbook) string {
	if l != nil {
		if v, ok := l.versions[rb]; ok {
			return v
		}
	}
	return contentHash(rb)
}

// Version is Library.Version of the present Library.
func (s *Shelf) Version(rb *tocsin.Runbook) string { return s.Library().Version(rb) }

// hashLength is the hexadecimal digits of a version's hash, and commitLength
// those of its commit.
const hashLength, commitLength = 12, 10

func contentHash(rb *tocsin.Runbook) string {
	if rb == nil {
		return ""
	}
	c := *rb
	c.Line, c.Stale = 0, ""
	b, err := json.Marshal(c)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])[:hashLength]
}

// versionOf makes a version of a hash and a commit.
func versionOf(hash, commit string) string {
	if hash == "" || commit == "" {
		return hash
	}
	return hash + "@" + commit[:commitLength]
}

// content is the hash of a version.
func content(version string) string {
	hash, _, _ := strings.Cut(version, "@")
	return hash
}

// Bounds on what is read of a git repository: its small files, its packed
// references, the folders above a runbook folder, references to references.
const (
	maxGitFile    = 4 << 10
	maxPackedRefs = 8 << 20
	maxAbove      = 64
	maxSymbolic   = 5
)

// An object's name in hexadecimal digits: SHA-1, or SHA-256
// (https://git-scm.com/docs/hash-function-transition).
var objectName = lazy(`^(?:[0-9a-f]{40}|[0-9a-f]{64})$`)

// checkedOut is the commit that is checked out where a folder is, or "" where it is
// in no git checkout or the commit cannot be told. It reads a few small files and
// runs nothing (https://git-scm.com/docs/gitrepository-layout). It is a name to
// show, no proof: the files may have been edited since.
func checkedOut(dir string) string {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return ""
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return ""
	}
	for range maxAbove {
		if git := gitDir(dir); git != "" {
			return headOf(git)
		}
		above := filepath.Dir(dir)
		if above == dir {
			return ""
		}
		dir = above
	}
	return ""
}

// gitDir is where the repository of a checkout is, if there is one at the folder:
// its .git folder, or what a file of that name leads to, as in worktrees and
// submodules.
func gitDir(dir string) string {
	git := filepath.Join(dir, ".git")
	info, err := os.Stat(git)
	if err != nil {
		return ""
	}
	if info.IsDir() {
		return git
	}
	to, ok := strings.CutPrefix(firstLine(git), "gitdir: ")
	if !ok {
		return ""
	}
	return below(dir, to)
}

// below is a path that a file in dir names.
func below(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}

// headOf is the commit that HEAD names.
func headOf(git string) string {
	common := git
	if to := firstLine(filepath.Join(git, "commondir")); to != "" {
		common = below(git, to)
	}
	line := firstLine(filepath.Join(git, "HEAD"))
	for range maxSymbolic {
		if objectName().MatchString(line) {
			return line
		}
		ref, ok := strings.CutPrefix(line, "ref: ")
		if !ok || !strings.HasPrefix(ref, "refs/") || !filepath.IsLocal(ref) {
			return ""
		}
		for _, dir := range []string{git, common} {
			if line = firstLine(filepath.Join(dir, ref)); line != "" {
				break
			}
		}
		if line == "" {
			line = packed(filepath.Join(common, "packed-refs"), ref)
		}
	}
	return ""
}

// packed finds a reference among those that git has put into one file.
func packed(path, ref string) string {
	f, err := openRegular(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, maxPackedRefs))
	for lines.Scan() {
		if name, of, ok := strings.Cut(lines.Text(), " "); ok && of == ref {
			return name
		}
	}
	return ""
}

// firstLine is the first line of a small file, or "".
func firstLine(path string) string {
	f, err := openRegular(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxGitFile))
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(line)
}

// openRegular opens a file that is one, and does not wait for a pipe.
func openRegular(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, errors.New("not a regular file"), f.Close())
	}
	return f, nil
}
