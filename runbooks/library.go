package runbooks

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/tocsin-oncall/tocsin"
)

// Library is a set of runbooks and its indexes. It never changes; a reload
// makes a new one. A nil or zero Library is empty. It is safe for concurrent
// use.
type Library struct {
	runbooks []*tocsin.Runbook
	byID     map[string]*tocsin.Runbook
	byName   map[string]*tocsin.Runbook // alert names, as written and lower case
	byURL    map[string]*tocsin.Runbook // addresses; nil marks an ambiguous one
	matchers []matched                  // most matchers first
	docs     []*document
	versions map[*tocsin.Runbook]string
	commits  map[string]string // by folder; "" where it is no git checkout
	problems []Problem
}

// matched is a runbook that is found by matchers.
type matched struct {
	matchers labels.Matchers
	runbook  *tocsin.Runbook
}

// Load reads all *.md files below the folders, in the order of dirs and then of
// paths. What is wrong with single files is told in the problems and keeps
// nothing else from loading; the error is for a folder that cannot be read at
// all.
//
// Nothing outside of a folder is read, whatever symbolic links say: a link that
// leads out is a problem. Links within are followed for files (as Kubernetes
// mounts its configuration) and not for folders; names that begin with a dot are
// passed over. Where two files yield the same ID the first stays.
func Load(dirs []string) (*Library, []Problem, error) {
	folders, err := readFolders(dirs, nil, reading{now: time.Now()})
	if err != nil {
		return nil, nil, err
	}
	lib := newLibrary(folders)
	return lib, lib.Problems(), nil
}

// newLibrary makes a library of what was read.
func newLibrary(folders []*folder) *Library {
	lib := &Library{commits: map[string]string{}}
	for _, f := range folders {
		lib.commits[f.dir] = f.commit
		lib.problems = append(lib.problems, f.problems...)
		for i := range f.files {
			lib.problems = append(lib.problems, f.files[i].problems...)
			if d := f.files[i].doc; d != nil {
				lib.docs = append(lib.docs, d)
			}
		}
	}
	lib.problems = append(lib.problems, lib.index()...)
	return lib
}

// Problems returns all that is wrong with the files, as Load does. The slice is the
// caller's.
func (l *Library) Problems() []Problem {
	if l == nil {
		return nil
	}
	return slices.Clone(l.problems)
}

// index builds the look-up tables.
func (l *Library) index() []Problem {
	l.byID = map[string]*tocsin.Runbook{}
	l.byName = map[string]*tocsin.Runbook{}
	l.byURL = map[string]*tocsin.Runbook{}
	l.versions = map[*tocsin.Runbook]string{}
	var problems []Problem
	for _, d := range l.docs {
		for i := range d.runbooks {
			rb := &d.runbooks[i]
			if first, ok := l.byID[rb.ID]; ok {
				problems = append(problems, Problem{
					filepath.Join(d.dir, rb.File), rb.Line, CodeDuplicateID,
					fmt.Sprintf("the runbook %q is already there (%s:%d): this one was skipped; rename one", rb.ID, first.File, first.Line),
				})
				continue
			}
			l.byID[rb.ID] = rb
			l.versions[rb] = versionOf(d.hashes[i], l.commits[d.dir])
			l.runbooks = append(l.runbooks, rb)
			l.addNames(rb)
			l.addMatchers(rb)
			l.addAddresses(d, rb)
		}
	}
	slices.SortStableFunc(l.matchers, func(a, b matched) int { return len(b.matchers) - len(a.matchers) })
	return problems
}

func (l *Library) addNames(rb *tocsin.Runbook) {
	for _, name := range rb.Alerts {
		for _, key := range []string{name, strings.ToLower(name)} {
			if old, ok := l.byName[key]; !ok || len(old.Matchers) > 0 && len(rb.Matchers) == 0 {
				l.byName[key] = rb
			}
		}
	}
}

func (l *Library) addMatchers(rb *tocsin.Runbook) {
	if len(rb.Matchers) == 0 {
		return
	}
	if ms, err := compileMatchers(rb.Matchers); err == nil && len(ms) > 0 {
		l.matchers = append(l.matchers, matched{ms, rb})
	}
}

// addAddresses enters what a runbook_url may name a runbook by: its URL, the
// last one and two segments of its page's path, former addresses, and the
// page's name with the heading's anchor. An address of two runbooks is nobody's.
func (l *Library) addAddresses(d *document, rb *tocsin.Runbook) {
	var keys []string
	if rb.URL != "" {
		keys = append(keys, address(rb.URL))
	}
	page := strings.ToLower(pageName(d.file))
	if slugs := d.slugs[rb.ID]; slugs != nil {
		for _, s := range slugs {
			keys = append(keys, page+"#"+s)
		}
	} else {
		keys = append(keys, page)
		if dir := path.Base(path.Dir(d.file)); dir != "." && !strings.EqualFold(dir, page) {
			keys = append(keys, strings.ToLower(dir)+"/"+page)
		}
		for _, a := range d.aliases {
			keys = append(keys, lastSegment(address(a)))
		}
	}
	slices.Sort(keys)
	for _, k := range slices.Compact(keys) {
		if other, ok := l.byURL[k]; ok && other != rb {
			l.byURL[k] = nil
			continue
		}
		l.byURL[k] = rb
	}
}

// Get returns the runbook with this ID, or nil. The runbook is shared: do not
// modify it.
func (l *Library) Get(id string) *tocsin.Runbook {
	if l == nil {
		return nil
	}
	return l.byID[id]
}

// List returns all runbooks in the order of their folders, files and lines. The
// runbooks are shared: do not modify them.
func (l *Library) List() []*tocsin.Runbook {
	if l == nil {
		return nil
	}
	return slices.Clone(l.runbooks)
}
