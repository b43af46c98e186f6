package runbooks

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// lintLinks finds relative links to files and headings that are not there.
func lintLinks(docs []*document) []Finding {
	c := linkCheck{docs: map[string]*document{}, seen: map[string]bool{}}
	for _, d := range docs {
		c.docs[filepath.Join(d.dir, d.file)] = d
	}
	for _, d := range docs {
		for _, l := range d.links {
			if why := c.dead(d, l.url); why != "" {
				file := filepath.Join(d.dir, d.file)
				if key := fmt.Sprint(file, l.line, l.url); !c.seen[key] {
					c.seen[key] = true
					c.out = append(c.out, Finding{file, l.line, LevelError, LintDeadLink, why})
				}
			}
		}
	}
	return c.out
}

type linkCheck struct {
	docs map[string]*document // by path with the folder
	seen map[string]bool
	out  []Finding
}

// dead says why a link leads nowhere, or "". Links with a scheme or a host are
// not followed.
func (c *linkCheck) dead(d *document, link string) string {
	u, err := url.Parse(link)
	if err != nil {
		return fmt.Sprintf("the link %q is malformed", link)
	}
	if u.Scheme != "" || u.Host != "" || u.Path == "" && u.Fragment == "" {
		return ""
	}
	target := d
	if u.Path != "" {
		base := path.Dir(filepath.ToSlash(filepath.Join(d.dir, d.file)))
		if strings.HasPrefix(u.Path, "/") {
			base = filepath.ToSlash(d.dir)
		}
		found := locate(path.Join(base, u.Path))
		if found == "" {
			return fmt.Sprintf("the link leads to %s, which does not exist", u.Path)
		}
		target = c.docs[filepath.Clean(found)]
	}
	if u.Fragment == "" || target == nil {
		return ""
	}
	if !target.anchors[strings.ToLower(u.Fragment)] && !target.anchors[u.Fragment] {
		return fmt.Sprintf("the link leads to #%s, but %s has no such heading", u.Fragment, path.Base(target.file))
	}
	return ""
}

// locate returns the file that a link's path means, or "": the path itself, the
// page without its extension, or a folder's index page. It looks whether files
// exist and reads none, so that links out of the folder can be checked.
func locate(p string) string {
	info, err := os.Stat(filepath.FromSlash(p))
	if err == nil && !info.IsDir() {
		return p
	}
	for _, q := range []string{p + ".md", p + "/_index.md", p + "/index.md", p + "/README.md"} {
		if i, err := os.Stat(filepath.FromSlash(q)); err == nil && i.Mode()&fs.ModeType == 0 {
			return q
		}
	}
	if err == nil {
		return p
	}
	return ""
}
