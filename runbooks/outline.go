package runbooks

import (
	"slices"
	"strings"

	"github.com/tocsin-oncall/tocsin"
)

// Levels of bold paragraphs that act as headings, below those of markdown.
const (
	levelBoldSection = 7
	levelBoldLabel   = 8
)

// node is a heading (or a bold paragraph that acts as one) with what stands
// below it.
type node struct {
	title  string
	codes  []string // code spans of the title
	level  int
	line   int
	blocks []block
	kids   []*node
	parent *node

	alerts   []string
	severity string
	url      string
	unit     bool // a runbook of its own

	// What classify says of the title.
	kind         tocsin.SectionKind
	plain, known bool
}

// outline builds the tree of headings. Its root stands for the file. rest is
// the line after which there were too many, or 0.
func outline(blocks []block) (root *node, rest int) {
	root = &node{line: 1}
	at, count := root, 0
	open := func(n *node) {
		count++
		n.kind, n.plain, n.known = classify(n.title)
		for at.level >= n.level && at.parent != nil {
			at = at.parent
		}
		n.parent = at
		at.kids = append(at.kids, n)
		at = n
	}
	for i, b := range blocks {
		if count >= maxHeadings && b.kind == blockHeading {
			return root, b.line
		}
		switch b.kind {
		case blockHeading:
			open(&node{title: b.text.flow(), codes: b.text.codes, level: b.level, line: b.line})
			continue
		case blockPara:
			if meta(at, b.text) {
				continue
			}
			if level := labelLevel(b.text, blocks[i+1:]); level > 0 {
				open(&node{title: flow(b.text.lead), level: level, line: b.line})
				b.text.text, b.text.lead, b.text.rest = strings.Trim(b.text.rest, " "), "", ""
				if strings.Trim(b.text.text, ":. ") == "" {
					continue
				}
			}
		case blockList:
			b.items = slices.DeleteFunc(b.items, func(it item) bool { return metaItem(at, it) })
		case blockTable:
			b.rows = tableMeta(at, b.rows)
		}
		at.blocks = append(at.blocks, b)
	}
	return root, 0
}

// labelLevel says whether a paragraph that begins in bold acts as a heading of
// the blocks that follow, and at which level. 0: it is prose.
func labelLevel(t inline, following []block) int {
	lead := strings.TrimSpace(t.lead)
	if lead == "" || len(lead) > 120 {
		return 0
	}
	_, numbered, step := stepTitle(lead)
	if numbered {
		return levelBoldLabel
	}
	_, plain, ok := classify(lead)
	switch {
	case ok && plain && (t.allBold() || strings.HasSuffix(lead, ":")):
		return levelBoldSection
	case !t.allBold():
		if conditional().MatchString(lead) && strings.HasSuffix(lead, ":") {
			return levelBoldLabel
		}
		return 0
	case len(following) == 0 || following[0].kind == blockHeading:
		return 0
	case strings.HasSuffix(lead, ":") || step || following[0].kind == blockList || following[0].kind == blockCode:
		return levelBoldLabel
	}
	return 0
}

// meta takes up a paragraph that says which alerts a heading is for, how severe
// or where it is published, and reports whether it did.
func meta(n *node, t inline) bool {
	label, value := t.lead, t.rest
	if label == "" {
		var found bool
		if label, value, found = strings.Cut(t.text, ":"); !found || len(label) > 30 {
			return false
		}
	}
	return n.take(label, value, t)
}

// metaItem is meta for an item of a list. "Alerts: PagerDuty" in a list says
// where alerts go; there, alerts are named in code spans or under "Alert".
func metaItem(n *node, it item) bool {
	if len(it.blocks) != 1 || it.blocks[0].kind != blockPara {
		return false
	}
	t := it.blocks[0].text
	return (len(t.codes) > 0 || !strings.HasPrefix(strings.ToLower(t.text), "alerts")) && meta(n, t)
}

func (n *node) take(label, value string, t inline) bool {
	label = strings.TrimSpace(strings.TrimRight(label, ": "))
	value = strings.TrimSpace(value)
	if len(label) > 30 || !metaLabel().MatchString(label) {
		return false
	}
	n = n.owner()
	switch {
	case alertLabel().MatchString(label):
		if len(t.codes) == 0 && len(t.links) > 0 {
			return false // where alerts are seen, not which
		}
		names := alertNames(value, t.codes)
		for _, a := range names {
			if !slices.Contains(n.alerts, a) {
				n.alerts = append(n.alerts, a)
			}
		}
		return len(names) > 0
	case sevLabel().MatchString(label):
		if v := strings.Trim(value, " ."); v != "" && len(v) <= 40 && !strings.Contains(v, "\n") {
			n.severity = v
			return true
		}
	case urlLabel().MatchString(label):
		if len(t.links) > 0 {
			n.url = t.links[0].URL
			return true
		}
	}
	return false
}

// owner is the heading that metadata speaks of: not a section such as
// "Overview" or "Alert", but what it belongs to.
func (n *node) owner() *node {
	for n.parent != nil {
		named := alertLabel().MatchString(plainTitle(n.title))
		if n.level < levelBoldSection && !(n.known && n.plain) && !named {
			return n
		}
		n = n.parent
	}
	return n
}

// tableMeta takes up rows such as "| Alert | NodeDown |", and a table that has
// an Alert column and one row. It returns the rows that remain.
func tableMeta(n *node, rows []row) []row {
	if len(rows) == 2 && len(rows[0]) > 1 {
		took := false
		for i, h := range rows[0] {
			if i < len(rows[1]) {
				took = n.take(h.text, rows[1][i].text, rows[1][i]) || took
			}
		}
		if took {
			return nil
		}
	}
	if len(rows) == 0 || len(rows[0]) != 2 {
		return rows
	}
	return slices.DeleteFunc(rows, func(r row) bool {
		return len(r) == 2 && n.take(r[0].text, r[1].text, r[1])
	})
}

// nameFromTitle returns the alerts that a heading itself names: "Alert:
// NodeDown", "`NodeDown`", "NodeDown".
func (n *node) nameFromTitle() []string {
	t := plainTitle(n.title)
	if label, value, ok := strings.Cut(t, ":"); ok && alertLabel().MatchString(strings.TrimSpace(label)) {
		return alertNames(value, n.codes)
	}
	if rest, ok := strings.CutPrefix(t, "Alert "); ok {
		return alertNames(rest, n.codes)
	}
	if len(n.codes) == 1 && n.codes[0] == t {
		return alertNames(t, n.codes)
	}
	if camelCase().MatchString(t) {
		return []string{t}
	}
	return nil
}

// kinds are the kinds of sections that stand directly below a heading.
func (n *node) kinds() map[tocsin.SectionKind]bool {
	out := map[tocsin.SectionKind]bool{}
	for _, k := range n.kids {
		if k.known {
			out[k.kind] = true
		}
	}
	return out
}

// incident reports whether a heading has the shape of an incident: what is
// seen, and what to do.
func (n *node) incident() bool {
	ks := n.kinds()
	return (ks[tocsin.SectionMeaning] || ks[tocsin.SectionImpact]) &&
		(ks[tocsin.SectionDiagnosis] || ks[tocsin.SectionMitigation] || ks[tocsin.SectionResolution])
}

func (n *node) walk(f func(*node)) {
	f(n)
	for _, k := range n.kids {
		k.walk(f)
	}
}

// top is the heading that titles the whole file: the only one of the highest
// level, if it comes first. Otherwise it is the root.
func (n *node) top() *node {
	if len(n.kids) == 1 && n.kids[0].level < levelBoldSection {
		return n.kids[0]
	}
	return n
}
