package runbooks

import (
	"bytes"
	"fmt"
	"path"
	"strings"

	"github.com/tocsin-oncall/tocsin"
)

// document is all that is known of a file: its runbooks, and what only the
// library's index and the lint ask for.
type document struct {
	file     string
	dir      string // the runbook folder; empty from Parse
	runbooks []tocsin.Runbook
	problems []Problem
	links    []linkAt
	fences   []namedFence
	// anchors are the addresses of the file's headings.
	anchors map[string]bool
	// slugs maps a runbook's ID to addresses of its heading within the page.
	slugs   map[string][]string
	aliases []string
	// openFence is the line of a code block that nothing closes, or 0.
	openFence int
	// hashes are those of the runbooks' contents, by index.
	hashes []string
}

// Parse reads a markdown file. file is its slash-separated path below its
// runbook folder; the IDs derive from it.
//
// It returns one Runbook for the file as a whole, if that says anything, and
// one for each heading that is an incident of its own; at least one unless the
// file is refused. A Runbook is for the alerts that its front matter
// ("alerts:", "matchers:"), a paragraph ("**Alert:** `NodeDown`"), its heading
// or its file's name says, and may be for none.
//
// The error joins a *Problem for each part that could not be used; what is
// returned beside it is good. Parse is deterministic and safe for concurrent
// use, and takes at most about 100 ms for each MaxUnit of source.
func Parse(file string, source []byte) ([]tocsin.Runbook, error) {
	d := parse(file, source)
	return d.runbooks, joinProblems(d.problems)
}

func parse(file string, source []byte) *document {
	d := &document{file: file, anchors: map[string]bool{}, slugs: map[string][]string{}}
	if len(source) > MaxFile {
		d.problems = append(d.problems, Problem{
			file, 0, CodeOversized,
			fmt.Sprintf("the file is larger than %d KiB and was not read: divide it", MaxFile>>10),
		})
		return d
	}
	source = normalise(source)
	text, body, line := cutFront(source)
	var f front
	if text != nil {
		var problems []Problem
		var ok bool
		if f, problems, ok = readFront(file, text); !ok {
			body, line = source, 1
		}
		d.problems = append(d.problems, problems...)
	}
	cs, problems := chunks(file, body, line)
	d.problems = append(d.problems, problems...)
	if at := unclosedFence(body); at > 0 {
		d.openFence = line + at - 1
	}
	blocks, links, fences := parseChunks(cs)
	d.links, d.fences, d.aliases = links, fences, f.aliases
	for _, f := range fences {
		if f.wrong != "" {
			d.problems = append(d.problems, Problem{file, f.line, CodeRemediation, f.wrong})
		}
	}
	d.collectAnchors(blocks, body)
	root, rest := outline(blocks)
	if rest > 0 {
		d.problems = append(d.problems, Problem{
			file, rest, CodeOversized,
			fmt.Sprintf("the file has more than %d headings: what follows was not read; divide it", maxHeadings),
		})
	}
	d.assemble(f, root)
	return d
}

// normalise makes a source valid UTF-8 with newlines only, keeps its lines, and
// rewrites Hugo's short codes for links.
func normalise(source []byte) []byte {
	source = bytes.TrimPrefix(source, []byte("\ufeff"))
	source = bytes.ReplaceAll(source, []byte("\r\n"), []byte("\n"))
	source = bytes.ReplaceAll(source, []byte("\r"), []byte("\n"))
	source = bytes.ToValidUTF8(source, []byte("\ufffd"))
	return hugoRef().ReplaceAll(source, []byte("$1"))
}

// unclosedFence is the line of a fence at the margin that nothing closes, or 0.
func unclosedFence(source []byte) int {
	fence, at, line := "", 0, 0
	for text := range bytes.Lines(source) {
		line++
		l := bytes.TrimRight(text, "\n")
		if fence == "" {
			fence, at = opensFence(l), line
		} else if closesFence(l, fence) {
			fence = ""
		}
	}
	if fence == "" {
		return 0
	}
	return at
}

func (d *document) collectAnchors(blocks []block, body []byte) {
	used := map[string]int{}
	for _, b := range blocks {
		if b.kind != blockHeading {
			continue
		}
		s := slug(b.text.flow())
		if n := used[s]; n > 0 {
			d.anchors[fmt.Sprintf("%s-%d", s, n)] = true
		} else {
			d.anchors[s] = true
		}
		used[s]++
	}
	for _, m := range htmlAnchor().FindAllSubmatch(body, 1000) {
		d.anchors[strings.ToLower(string(m[1]))] = true
	}
}

// assemble makes the runbooks of a file.
func (d *document) assemble(f front, root *node) {
	whole := divide(d.file, f, root)
	top := root.top()
	if top != root {
		top.blocks = append(root.blocks, top.blocks...)
	}
	own := tocsin.Runbook{
		ID: stemOf(d.file), Title: titleOf(d.file, f, top), File: d.file, Line: max(1, top.line),
		Alerts: whole, Matchers: f.matchers, URL: f.url, Severity: f.severity,
	}
	if own.Severity == "" {
		own.Severity = top.severity
	}
	if own.URL == "" {
		own.URL = top.url
	}
	build(&own, top)
	var units []tocsin.Runbook
	used := map[string]int{}
	root.walk(func(n *node) {
		if n.unit {
			units = append(units, d.unit(n, used))
		}
	})
	if hasContent(&own) || len(own.Alerts) > 0 || len(own.Matchers) > 0 || len(units) == 0 {
		d.runbooks = append(d.runbooks, own)
	}
	d.runbooks = append(d.runbooks, units...)
}

// unit makes the runbook of a heading.
func (d *document) unit(n *node, used map[string]int) tocsin.Runbook {
	title := plainTitle(n.title)
	s := idSlug(title)
	if s == "" {
		s = "section"
	}
	base := s
	for used[s] > 0 {
		used[base]++
		s = fmt.Sprintf("%s-%d", base, used[base])
	}
	used[s]++
	rb := tocsin.Runbook{
		ID: stemOf(d.file) + "#" + s, Title: title, File: d.file, Line: n.line,
		Alerts: n.alerts, URL: n.url, Severity: n.severity,
	}
	d.slugs[rb.ID] = []string{s, slug(n.title)}
	build(&rb, n)
	return rb
}

// pageName is what an address calls a file by: its name, or its folder's for
// an index page.
func pageName(file string) string {
	name := path.Base(stemOf(file))
	if isIndex(name) {
		if dir := path.Base(path.Dir(file)); dir != "." && dir != "/" {
			return dir
		}
	}
	return name
}
