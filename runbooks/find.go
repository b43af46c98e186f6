package runbooks

import (
	"strings"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/tocsin-oncall/tocsin"
)

// Find returns the runbook for an alert, or nil: the one whose front matter's
// matchers all match the alert's labels (of several the one with the most
// matchers, then the first), else the one that the runbook_url annotation names,
// else the one that is for the alert's name, in any case; of several for one name
// the first without matchers.
//
// It allocates little and takes less than 2 µs when no runbook has matchers:
// it runs while an alert is taken in. The runbook is shared: do not modify it.
func (l *Library) Find(a *tocsin.Alert) *tocsin.Runbook {
	if l == nil || a == nil {
		return nil
	}
	for _, m := range l.matchers {
		if matches(m.matchers, a.Labels) {
			return m.runbook
		}
	}
	if url := a.Annotations[tocsin.AnnotationRunbookURL]; url != "" && len(url) <= maxURL {
		if rb := l.byAddress(url); rb != nil {
			return rb
		}
	}
	return l.named(a.Name())
}

// maxURL bounds what is looked at of a runbook_url, in bytes.
const maxURL = 2048

func (l *Library) named(name string) *tocsin.Runbook {
	if rb, ok := l.byName[name]; ok {
		return rb
	}
	return l.byName[strings.ToLower(name)]
}

// matches reports whether all matchers match. A label that is absent is empty,
// as it is to Alertmanager.
func matches(ms labels.Matchers, ls tocsin.Labels) bool {
	for _, m := range ms {
		if !m.Matches(ls[m.Name]) {
			return false
		}
	}
	return true
}

// byAddress finds the runbook that a URL names: exactly, by page and anchor, by
// the anchor as an alert's name, by the last two segments of its path, by the
// last one.
func (l *Library) byAddress(url string) *tocsin.Runbook {
	full := address(url)
	if rb := l.byURL[full]; rb != nil {
		return rb
	}
	pagePath, anchor, _ := strings.Cut(full, "#")
	if rb := l.byURL[pagePath]; rb != nil && anchor == "" {
		return rb
	}
	page := lastSegment(pagePath)
	if anchor != "" {
		if rb := l.byURL[page+"#"+anchor]; rb != nil {
			return rb
		}
		// kubernetes-mixin writes runbook.md#alert-name-kubeletdown.
		if rb := l.byName[strings.TrimPrefix(anchor, "alert-name-")]; rb != nil {
			return rb
		}
	}
	if i := strings.LastIndexByte(pagePath, '/'); i > 0 {
		if rb := l.byURL[lastSegment(pagePath[:i])+"/"+page]; rb != nil {
			return rb
		}
	}
	if rb := l.byURL[page]; rb != nil {
		return rb
	}
	return l.byName[page]
}

// address is a URL in the form that the index has: lower case, without query,
// final slash and the file's extension.
func address(url string) string {
	url = strings.ToLower(strings.TrimSpace(url))
	url, anchor, hasAnchor := strings.Cut(url, "#")
	url, _, _ = strings.Cut(url, "?")
	url = strings.TrimRight(url, "/")
	for _, ext := range []string{".md", ".html", ".htm"} {
		if s, ok := strings.CutSuffix(url, ext); ok {
			url = s
			break
		}
	}
	if hasAnchor && anchor != "" {
		return url + "#" + anchor
	}
	return url
}

func lastSegment(p string) string { return p[strings.LastIndexByte(p, '/')+1:] }
