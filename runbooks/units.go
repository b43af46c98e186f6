package runbooks

import (
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tocsin-oncall/tocsin"
)

// isIndex reports whether a file's name says that it lists others or describes
// its folder; such a file is for no alert.
func isIndex(stem string) bool {
	switch strings.ToLower(stem) {
	case "readme", "index", "_index", "contributing", "changelog", "license", "glossary", "template",
		"summary", "overview", "alerts", "runbook", "runbooks", "playbook", "playbooks", "oncall", "faq",
		"operations", "incidents", "troubleshooting", "escalation", "contacts":
		return true
	}
	return false
}

// divide decides which headings of a file are runbooks of their own, and which
// alerts the file as a whole is for.
func divide(file string, f front, root *node) (whole []string) {
	top := root.top()
	whole = append(slices.Clone(f.alerts), root.alerts...)
	if top != root {
		whole = append(whole, top.alerts...)
	}
	declared := false
	root.walk(func(n *node) {
		if len(n.alerts) > 0 && n != root && n != top {
			n.unit, declared = true, true
		}
	})
	if declared {
		markSiblings(root)
	}
	if declared || len(whole) > 0 || len(f.matchers) > 0 {
		return whole
	}
	if whole = fileAlerts(file, top); len(whole) > 0 {
		return whole
	}
	if markNamed(root, top) || markIncidents(root, top) {
		return nil
	}
	return wordAlerts(file, top)
}

// markSiblings makes runbooks of the headings beside those that name alerts:
// "7. Database Issues" stands between incidents and is one.
func markSiblings(root *node) {
	var found []*node
	root.walk(func(n *node) {
		for _, k := range n.kids {
			if !k.unit || len(k.alerts) == 0 {
				continue
			}
			for _, s := range n.kids {
				if s.level == k.level && len(s.kinds()) > 0 {
					found = append(found, s)
				}
			}
			return
		}
	})
	for _, n := range found {
		n.unit = true
	}
}

// fileAlerts is the alert that a file is for by its name or its first heading,
// as prometheus-operator's runbooks have it. Of two names that differ the
// file's counts: the heading is more often a copy of another page's.
func fileAlerts(file string, top *node) []string {
	stem := path.Base(stemOf(file))
	if isIndex(stem) {
		return nil
	}
	if camelCase().MatchString(stem) {
		return []string{stem}
	}
	return top.nameFromTitle()
}

// wordAlerts is the alert that file and first heading both say in plain words:
// Watchdog.md and "Watchdog", node-down.md and "Node down".
func wordAlerts(file string, top *node) []string {
	stem, title := path.Base(stemOf(file)), plainTitle(top.title)
	words := normalWords(title)
	switch {
	case words == "" || words != normalWords(stem) || isIndex(stem) || len(top.kinds()) == 0:
		return nil
	case identifier().MatchString(title):
		return []string{title}
	}
	return []string{joinCamel(title)}
}

// joinCamel writes "Node down" as NodeDown.
func joinCamel(title string) string {
	var b strings.Builder
	for _, w := range strings.FieldsFunc(title, func(r rune) bool { return r == ' ' || r == '-' || r == '_' }) {
		first, size := utf8.DecodeRuneInString(w)
		b.WriteRune(unicode.ToUpper(first))
		b.WriteString(w[size:])
	}
	return b.String()
}

// markNamed makes runbooks of headings that are alert names with sections
// below, and reports whether there are any.
func markNamed(root, top *node) bool {
	any := false
	root.walk(func(n *node) {
		if n == root || n == top || n.level >= levelBoldSection || len(n.kinds()) == 0 {
			return
		}
		if names := n.nameFromTitle(); len(names) > 0 {
			n.alerts, n.unit, any = names, true, true
		}
	})
	return any
}

// markIncidents makes runbooks of two or more headings of a file that have an
// incident's shape, so that each can be read, and linked to, by itself. It
// reports whether it did.
func markIncidents(root, top *node) bool {
	var found []*node
	root.walk(func(n *node) {
		if n != root && n != top && n.level < levelBoldSection && n.incident() {
			found = append(found, n)
		}
	})
	if len(found) < 2 {
		return false
	}
	for _, n := range found {
		n.unit = true
	}
	return true
}

// stemOf is a file's path without its extension: the ID of the runbook that the
// file as a whole is.
func stemOf(file string) string {
	if ext := path.Ext(file); strings.EqualFold(ext, ".md") {
		return file[:len(file)-len(ext)]
	}
	return file
}

// titleOf is what to call a file's own runbook.
func titleOf(file string, f front, top *node) string {
	if f.title != "" {
		return f.title
	}
	if t := plainTitle(top.title); t != "" {
		return t
	}
	stem := path.Base(stemOf(file))
	if dir := path.Base(path.Dir(file)); isIndex(stem) && dir != "." && dir != "/" {
		return dir
	}
	return stem
}

// hasContent reports whether a runbook says anything.
func hasContent(rb *tocsin.Runbook) bool { return len(rb.Sections) > 0 || len(rb.Steps) > 0 }
