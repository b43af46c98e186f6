package runbooks

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// folder is a runbook folder as it was read. It never changes.
type folder struct {
	dir    string
	commit string
	files  []file // as they were walked
	// problems are those of no single file.
	problems []Problem
	// gone says why the folder cannot be read: the files are those of before.
	gone string
}

// file is a file of a folder as it was read. It never changes.
type file struct {
	name  string
	stamp stamp // zero: it is read again to know
	sum   [sha256.Size]byte
	// doc is what is in force, and good the last one without a grave problem. They
	// differ while doc is stale.
	doc, good *document
	problems  []Problem
}

// stamp tells without reading whether a file may have changed. Change times are
// beyond what programs can set; where the system does not tell them they are zero.
type stamp struct {
	device, inode uint64
	size          int64
	// modified and changed are in nanoseconds since 1970.
	modified, changed int64
}

// racy is how much younger than its last look a file is for its times to be
// trusted: times of files are as coarse as two seconds.
const racy = 2 * time.Second

// settled is the stamp, or nothing where the file may yet change without it.
func (s stamp) settled(now time.Time) stamp {
	if max(s.modified, s.changed) > now.Add(-racy).UnixNano() {
		return stamp{}
	}
	return s
}

// reading is how folders are read.
type reading struct {
	now time.Time
	// all reads every file, whatever its stamp says.
	all bool
	// keep keeps what was there of folders that are gone, or empty now.
	keep bool
	// room is how many files may be read; it is counted down.
	room int
}

// readFolders reads folders. before, which may be nil, is what was read last: what
// has not changed is taken from there, and so is the last good version of a file
// that cannot be used any more.
func readFolders(dirs []string, before []*folder, r reading) ([]*folder, error) {
	r.room = MaxFiles
	out := make([]*folder, 0, len(dirs))
	for _, dir := range dirs {
		var old *folder
		if i := slices.IndexFunc(before, func(f *folder) bool { return f.dir == dir }); i >= 0 {
			old = before[i]
		}
		f, err := r.folder(dir, old)
		if err != nil {
			return nil, fmt.Errorf("runbooks: %w: create the folder, or correct runbooks.dirs", err)
		}
		out = append(out, f)
	}
	return out, nil
}

// folder reads one.
func (r *reading) folder(dir string, before *folder) (*folder, error) {
	f := &folder{dir: dir, commit: checkedOut(dir)}
	err := r.walk(f, before)
	empty := err == nil && before != nil && len(before.files) > 0 && len(f.files) == 0
	switch {
	case before == nil || !r.keep || err == nil && !empty:
		return f, err
	case empty:
		err = errors.New("there is no runbook in it any more")
	}
	return before.kept(reason(err)), nil
}

// kept is a folder that is gone, with the files of before.
func (f *folder) kept(why string) *folder {
	if f.gone == why {
		return f
	}
	out := &folder{dir: f.dir, commit: f.commit, gone: why, problems: []Problem{{
		f.dir, 0, CodeUnreadable, fmt.Sprintf("the folder cannot be used: %s; what it held before stays in use (a reload takes it as it is)", why),
	}}}
	for _, old := range f.files {
		old.stamp = stamp{}
		old.problems = nil
		old.doc = old.good.stale("its folder cannot be read now: " + why)
		out.files = append(out.files, old)
	}
	return out
}

// walk reads all files below the folder.
func (r *reading) walk(f, before *folder) error {
	root, err := os.OpenRoot(f.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	known := map[string]*file{}
	if before != nil {
		for i := range before.files {
			known[before.files[i].name] = &before.files[i]
		}
	}
	return fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil && name == ".":
			return err
		case err != nil:
			f.problems = append(f.problems, unreadable(f.dir, name, err))
			f.keepBelow(name, before, reason(err))
			return nil
		case name != "." && strings.HasPrefix(path.Base(name), "."):
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		case e.IsDir() || !strings.EqualFold(path.Ext(name), ".md"):
			return nil
		case r.room == 0:
			f.problems = append(f.problems, Problem{
				filepath.Join(f.dir, name), 0, CodeTooMany,
				fmt.Sprintf("there are more than %d runbook files: this one and those after it were not read", MaxFiles),
			})
			return fs.SkipAll
		}
		read := r.file(root, f.dir, name, known[name])
		if read.doc != nil {
			r.room--
		}
		f.files = append(f.files, read)
		return nil
	})
}

// keepBelow keeps the files of a folder within that cannot be listed.
func (f *folder) keepBelow(name string, before *folder, why string) {
	if before == nil {
		return
	}
	for _, old := range before.files {
		if strings.HasPrefix(old.name, name+"/") && old.good != nil {
			old.stamp, old.problems = stamp{}, nil
			old.doc = old.good.stale("its folder cannot be read now: " + why)
			f.files = append(f.files, old)
		}
	}
}

// file reads one file, or takes it from before.
func (r *reading) file(root *os.Root, dir, name string, before *file) file {
	var s stamp
	if info, err := root.Stat(name); err == nil {
		s = stampOf(info)
	}
	if before != nil && !r.all && s != (stamp{}) && s == before.stamp {
		return *before
	}
	out := file{name: name, stamp: s.settled(r.now)}
	source, err := readFile(root, name)
	if err != nil {
		p := unreadable(dir, name, err)
		return out.fail(before, p.Text, p)
	}
	out.sum = sha256.Sum256(source)
	if before != nil && out.sum == before.sum && before.unchanged() {
		out.doc, out.good, out.problems = before.doc, before.good, before.problems
		return out
	}
	if len(bytes.TrimSpace(source)) == 0 && before != nil && before.good != nil {
		// A disk that is full, or an editor in the middle of writing.
		why := "the file is empty"
		return out.fail(before, why, Problem{filepath.Join(dir, name), 0, CodeUnreadable, why})
	}
	d := parse(name, source)
	d.dir = dir
	for i := range d.runbooks {
		d.hashes = append(d.hashes, contentHash(&d.runbooks[i]))
	}
	for _, p := range d.problems {
		p.File = filepath.Join(dir, p.File)
		out.problems = append(out.problems, p)
	}
	if i := slices.IndexFunc(out.problems, grave); i >= 0 {
		if before != nil && before.good != nil {
			return out.fail(before, out.problems[i].Text, out.problems...)
		}
		out.doc = d
		return out
	}
	out.doc, out.good = d, d
	return out
}

// unchanged reports whether what was made of the content still holds: not while a
// folder was gone.
func (f *file) unchanged() bool {
	return f.doc == f.good || slices.ContainsFunc(f.problems, grave)
}

// grave reports whether a problem costs a part of the file, so that its version of
// before is of more use.
func grave(p Problem) bool {
	switch p.Code {
	case CodeUnreadable, CodeOversized, CodeHostile, CodeFrontMatter:
		return true
	}
	return false
}

// fail makes f a file that cannot be used now: its last good version, if there was
// one, stays.
func (f file) fail(before *file, why string, problems ...Problem) file {
	f.problems = problems
	if before == nil || before.good == nil {
		return f
	}
	f.good = before.good
	f.doc = before.good.stale(why)
	if before.doc != nil && len(before.doc.runbooks) > 0 && len(f.doc.runbooks) > 0 && before.doc.runbooks[0].Stale == f.doc.runbooks[0].Stale {
		f.doc = before.doc
	}
	for i := range f.problems {
		if grave(f.problems[i]) {
			f.problems[i].Text += "; its version of before stays in use"
			break
		}
	}
	return f
}

// stale is the document with the mark that it is not what the file says.
func (d *document) stale(why string) *document {
	if d == nil {
		return nil
	}
	out := *d
	out.runbooks = make([]tocsin.Runbook, len(d.runbooks))
	for i, rb := range d.runbooks {
		rb.Stale = why
		out.runbooks[i] = rb
	}
	return &out
}

// same reports whether two readings of folders came to the same.
func same(a, b []*folder) bool {
	return slices.EqualFunc(a, b, func(x, y *folder) bool {
		return x.dir == y.dir && x.commit == y.commit && x.gone == y.gone && slices.Equal(x.problems, y.problems) &&
			slices.EqualFunc(x.files, y.files, func(f, g file) bool {
				return f.name == g.name && f.sum == g.sum && slices.Equal(f.problems, g.problems)
			})
	})
}

func reason(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return err.Error()
}

func unreadable(dir, name string, err error) Problem {
	return Problem{filepath.Join(dir, name), 0, CodeUnreadable, "cannot be read: " + reason(err)}
}

// readFile reads a regular file of at most MaxFile bytes; of a larger one it
// returns one byte more, for parse to refuse. Opening does not block on pipes.
func readFile(root *os.Root, name string) ([]byte, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	return io.ReadAll(io.LimitReader(f, MaxFile+1))
}
