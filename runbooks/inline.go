package runbooks

import (
	"slices"
	"strings"

	"github.com/tocsin-oncall/tocsin"
	"github.com/yuin/goldmark/ast"
	east "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/util"
)

// inline is the text of a paragraph, heading or cell, in plain words. Lines of
// the source stay lines.
type inline struct {
	text string
	// lead is the bold text that it begins with, without a final colon; rest
	// is what follows.
	lead, rest string
	codes      []string
	links      []tocsin.Link
	// bare is the text outside of links.
	bare string
}

// maxSpans bounds the code spans and the links that one paragraph yields.
const maxSpans = 100

// writer gathers the text of inline nodes.
type writer struct {
	all, bare strings.Builder
}

// allBold reports whether the whole text is bold: a heading in disguise.
func (t inline) allBold() bool { return t.lead != "" && strings.Trim(t.rest, " :.") == "" }

// flow is the text with its hard-wrapped lines joined.
func (t inline) flow() string { return flow(t.text) }

func flow(s string) string { return strings.Join(strings.Fields(s), " ") }

// paragraphs converts a paragraph. One whose lines begin with bold labels
// ("**Alert:** …", "**Severity:** …") becomes a paragraph for each.
func (c *converter) paragraphs(n ast.Node) []block {
	var runs [][]ast.Node
	var run []ast.Node
	lineStart := true
	for k := n.FirstChild(); k != nil; k = k.NextSibling() {
		if e, ok := k.(*ast.Emphasis); ok && e.Level == 2 && lineStart && len(run) > 0 {
			runs, run = append(runs, run), nil
		}
		run = append(run, k)
		t, ok := k.(*ast.Text)
		lineStart = ok && (t.SoftLineBreak() || t.HardLineBreak())
	}
	runs = append(runs, run)
	out := make([]block, 0, len(runs))
	for _, r := range runs {
		if t := c.inlineOf(r); t.text != "" {
			out = append(out, block{kind: blockPara, line: c.line(r[0]), text: t})
		}
	}
	return out
}

func (c *converter) inline(n ast.Node) inline {
	var nodes []ast.Node
	for k := n.FirstChild(); k != nil; k = k.NextSibling() {
		nodes = append(nodes, k)
	}
	return c.inlineOf(nodes)
}

func (c *converter) inlineOf(nodes []ast.Node) inline {
	var out inline
	var w writer
	var rest strings.Builder
	leading := true
	for _, k := range nodes {
		before := w.all.Len()
		c.write(&w, &out, k, false)
		if e, ok := k.(*ast.Emphasis); ok && e.Level == 2 && leading {
			out.lead, leading = strings.TrimSpace(w.all.String()), false
			continue
		}
		part := w.all.String()[before:]
		if strings.TrimSpace(part) != "" {
			leading = false
		}
		rest.WriteString(part)
	}
	out.text = tidy(w.all.String())
	out.bare = strings.TrimSpace(w.bare.String())
	if out.lead != "" {
		out.rest = strings.TrimSpace(rest.String())
		if r, ok := strings.CutPrefix(out.rest, ":"); ok {
			out.rest = strings.TrimSpace(r)
			out.lead += ":"
		}
	}
	return out
}

// tidy trims each line.
func tidy(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

// write appends the plain text of a node. inLink is true within a link's text.
func (c *converter) write(w *writer, out *inline, n ast.Node, inLink bool) {
	put := func(s string) {
		w.all.WriteString(s)
		if !inLink {
			w.bare.WriteString(s)
		}
	}
	switch n := n.(type) {
	case *ast.Text:
		put(unescape(n.Segment.Value(c.source)))
		if n.SoftLineBreak() || n.HardLineBreak() {
			put("\n")
		}
	case *ast.String:
		put(string(n.Value))
	case *ast.CodeSpan:
		code := strings.TrimSpace(c.code(n))
		if code != "" && len(out.codes) < maxSpans && !slices.Contains(out.codes, code) {
			out.codes = append(out.codes, code)
		}
		put(code)
	case *ast.Link:
		c.writeLink(w, out, n, n.Destination)
	case *ast.Image:
		c.writeLink(w, out, n, n.Destination)
	case *ast.AutoLink:
		label := string(n.Label(c.source))
		w.all.WriteString(label)
		url := string(n.URL(c.source))
		if n.AutoLinkType == ast.AutoLinkEmail && !strings.HasPrefix(strings.ToLower(url), "mailto:") {
			url = "mailto:" + url
		}
		c.link(out, n, label, url)
	case *ast.RawHTML:
		put(c.rawHTML(n))
	case *east.TaskCheckBox:
	default:
		c.writeAll(w, out, n, inLink)
	}
}

func (c *converter) writeLink(w *writer, out *inline, n ast.Node, url []byte) {
	from := w.all.Len()
	c.writeAll(w, out, n, true)
	c.link(out, n, flow(w.all.String()[from:]), string(url))
}

func (c *converter) writeAll(w *writer, out *inline, n ast.Node, inLink bool) {
	for k := n.FirstChild(); k != nil; k = k.NextSibling() {
		c.write(w, out, k, inLink)
	}
}

func (c *converter) code(n *ast.CodeSpan) string {
	var b strings.Builder
	for k := n.FirstChild(); k != nil; k = k.NextSibling() {
		if t, ok := k.(*ast.Text); ok {
			b.Write(t.Segment.Value(c.source))
		}
	}
	return strings.ReplaceAll(b.String(), "\n", " ")
}

// rawHTML drops tags of HTML but keeps what is only in angle brackets, such as
// <pod-name>.
func (c *converter) rawHTML(n *ast.RawHTML) string {
	var b strings.Builder
	for i := range n.Segments.Len() {
		s := n.Segments.At(i)
		b.Write(s.Value(c.source))
	}
	s := htmlSilent().ReplaceAllString(b.String(), "")
	return htmlTag().ReplaceAllString(htmlBreak().ReplaceAllString(s, "\n"), "")
}

func (c *converter) link(out *inline, n ast.Node, label, url string) {
	c.links = append(c.links, linkAt{url, c.lineNear(n)})
	if !safeURL(url) {
		return
	}
	l := tocsin.Link{Text: label, URL: url}
	if len(out.links) < maxSpans && !slices.Contains(out.links, l) {
		out.links = append(out.links, l)
	}
}

// lineNear is the line of the nearest text at or before an inline node.
func (c *converter) lineNear(n ast.Node) int {
	for k := n; k != nil; k = k.FirstChild() {
		if t, ok := k.(*ast.Text); ok {
			return c.lineAt(t.Segment.Start)
		}
	}
	for k := n.PreviousSibling(); k != nil; k = k.PreviousSibling() {
		if t, ok := k.(*ast.Text); ok {
			return c.lineAt(t.Segment.Stop)
		}
	}
	for p := n.Parent(); p != nil; p = p.Parent() {
		if p.Type() == ast.TypeBlock && p.Lines() != nil && p.Lines().Len() > 0 {
			return c.lineAt(p.Lines().At(0).Start)
		}
	}
	return c.first
}

func unescape(s []byte) string {
	return string(util.UnescapePunctuations(util.ResolveEntityNames(util.ResolveNumericReferences(s))))
}

// safeURL lets relative links and harmless schemes pass: what a page or a chat
// may make clickable.
func safeURL(url string) bool {
	scheme, _, found := strings.Cut(url, ":")
	if !found || strings.ContainsAny(scheme, "/?#") {
		return true
	}
	switch strings.ToLower(strings.TrimSpace(scheme)) {
	case "http", "https", "mailto", "ftp", "ssh", "slack", "tel":
		return true
	}
	return false
}
