package runbooks

import (
	"bytes"
	"sort"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	east "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

type blockKind int

const (
	blockPara blockKind = iota
	blockHeading
	blockList
	blockCode
	blockTable
)

// block is one block of a file, free of the parser's types and offsets.
type block struct {
	kind    blockKind
	line    int
	level   int    // of a heading
	text    inline // of a paragraph or heading
	ordered bool   // of a list
	items   []item // of a list
	lang    string // of code
	code    string // of code
	// remediation is the remedy that code stands for.
	remediation string
	rows        []row // of a table; the first is its header
}

type item struct {
	task   bool
	blocks []block
}

type row []inline

// markdown is the parser. It is safe for concurrent use.
var markdown = goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser()

// hugoRef is Hugo's short code for a link to another page; inside a link's
// parentheses it would keep markdown from seeing a link.
var hugoRef = lazy(`\{\{[<%]\s*(?:rel)?ref\s+"([^"\n]{1,300})"\s*[>%]\}\}`)

// reference is a link reference definition on a line of its own.
var reference = lazy(`(?m)^ {0,3}\[([^\]\n]{1,100})\]:[ \t]+<?([^\s>]{1,500})>?[ \t]*$`)

const maxReferences = 500

// converter turns the parse of one chunk into blocks.
type converter struct {
	source []byte
	lines  []int // offsets at which lines begin
	first  int   // number of the first line
	links  []linkAt
	fences []namedFence
}

// namedFence is a fence that names a remedy, or tries to.
type namedFence struct {
	line        int
	remediation string
	wrong       string
}

// linkAt is a link and the line that it stands on.
type linkAt struct {
	url  string
	line int
}

// parseChunks parses chunks into one stream of blocks. References defined in
// one chunk hold in all.
func parseChunks(cs []chunk) (blocks []block, links []linkAt, fences []namedFence) {
	var refs []parser.Reference
	if len(cs) > 1 {
		for _, c := range cs {
			for _, m := range reference().FindAllSubmatch(c.source, maxReferences-len(refs)) {
				refs = append(refs, parser.NewReference(m[1], m[2], nil))
			}
			if len(refs) >= maxReferences {
				break
			}
		}
	}
	for _, c := range cs {
		pc := parser.NewContext()
		for _, r := range refs {
			pc.AddReference(r)
		}
		cv := converter{source: c.source, first: c.line}
		cv.indexLines()
		doc := markdown.Parse(text.NewReader(c.source), parser.WithContext(pc))
		blocks = append(blocks, cv.children(doc)...)
		links = append(links, cv.links...)
		fences = append(fences, cv.fences...)
	}
	return blocks, links, fences
}

func (c *converter) indexLines() {
	c.lines = []int{0}
	for i, b := range c.source {
		if b == '\n' {
			c.lines = append(c.lines, i+1)
		}
	}
}

func (c *converter) lineAt(offset int) int {
	return c.first + sort.SearchInts(c.lines, offset+1) - 1
}

// line is where a node's text begins; for a fence, where its code begins.
func (c *converter) line(n ast.Node) int {
	for ; n != nil; n = n.FirstChild() {
		if t, ok := n.(*ast.Text); ok {
			return c.lineAt(t.Segment.Start)
		}
		if n.Type() == ast.TypeBlock && n.Lines() != nil && n.Lines().Len() > 0 {
			return c.lineAt(n.Lines().At(0).Start)
		}
	}
	return c.first
}

// children converts the blocks within a node. Quotes are seen through: a
// warning in a quote is part of the text that it stands in.
func (c *converter) children(n ast.Node) []block {
	var out []block
	for k := n.FirstChild(); k != nil; k = k.NextSibling() {
		switch k := k.(type) {
		case *ast.Heading:
			out = append(out, block{kind: blockHeading, line: c.line(k), level: k.Level, text: c.inline(k)})
		case *ast.Paragraph, *ast.TextBlock:
			out = append(out, c.paragraphs(k)...)
		case *ast.Blockquote:
			out = append(out, c.quoted(k)...)
		case *ast.List:
			out = append(out, c.list(k))
		case *ast.FencedCodeBlock:
			in := c.info(k)
			out = append(out, block{kind: blockCode, line: c.line(k), lang: in.lang, code: c.raw(k), remediation: in.remediation})
		case *ast.CodeBlock:
			out = append(out, block{kind: blockCode, line: c.line(k), code: c.raw(k)})
		case *east.Table:
			out = append(out, c.table(k))
		case *ast.HTMLBlock:
			if t := c.html(k); t.text != "" {
				out = append(out, block{kind: blockPara, line: c.line(k), text: t})
			}
		}
	}
	return out
}

// quoted converts a quote. "- >1000 pending" is one to markdown, but means
// "more than" to its author: the sign is kept before a digit.
func (c *converter) quoted(q *ast.Blockquote) []block {
	out := c.children(q)
	if len(out) == 0 || out[0].kind != blockPara {
		return out
	}
	for n := q.FirstChild(); n != nil; n = n.FirstChild() {
		t, ok := n.(*ast.Text)
		if !ok {
			continue
		}
		at := t.Segment.Start
		if at > 0 && c.source[at-1] == '>' && at < len(c.source) && c.source[at] >= '0' && c.source[at] <= '9' {
			out[0].text.text = ">" + out[0].text.text
		}
	}
	return out
}

// info reads a fence's info string, and notes what names a remedy.
func (c *converter) info(k *ast.FencedCodeBlock) info {
	if k.Info == nil {
		return info{}
	}
	in := readInfo(string(k.Info.Segment.Value(c.source)))
	if in.remediation != "" || in.wrong != "" {
		c.fences = append(c.fences, namedFence{c.lineAt(k.Info.Segment.Start), in.remediation, in.wrong})
	}
	return in
}

func (c *converter) raw(n ast.Node) string {
	var b bytes.Buffer
	for i := range n.Lines().Len() {
		s := n.Lines().At(i)
		b.Write(s.Value(c.source))
	}
	return strings.Trim(b.String(), "\n")
}

func (c *converter) list(l *ast.List) block {
	out := block{kind: blockList, line: c.line(l), ordered: l.IsOrdered()}
	for k := l.FirstChild(); k != nil; k = k.NextSibling() {
		it := item{blocks: c.children(k)}
		if first := k.FirstChild(); first != nil {
			if _, ok := first.FirstChild().(*east.TaskCheckBox); ok {
				it.task = true
			}
		}
		out.items = append(out.items, it)
	}
	return out
}

func (c *converter) table(t *east.Table) block {
	out := block{kind: blockTable, line: c.line(t)}
	for r := t.FirstChild(); r != nil; r = r.NextSibling() {
		var cells row
		for k := r.FirstChild(); k != nil; k = k.NextSibling() {
			cells = append(cells, c.inline(k))
		}
		out.rows = append(out.rows, cells)
	}
	return out
}

var (
	htmlAnchor = lazy(`<a\s[^>]{0,200}(?:name|id)="([^"]{1,200})"`)
	htmlSilent = lazy(`(?is)<!--.*?-->|<(script|style)\b.*?</(?:script|style)\s*>|<summary\b.*?</summary\s*>`)
	htmlBreak  = lazy(`(?i)<br\s*/?>|</(?:p|li|div|tr|h[1-6])\s*>`)
	htmlTag    = lazy(`(?i)</?(?:a|abbr|b|big|br|center|code|dd|del|details|div|dl|dt|em|font|h[1-6]|hr|i|img|ins|kbd|li|mark|ol|p|picture|pre|s|small|source|span|strong|style|sub|summary|sup|table|tbody|td|tfoot|th|thead|tr|tt|u|ul|var|video)(?:\s[^<>]*)?/?>`)
)

// html keeps the words of a block of HTML.
func (c *converter) html(n *ast.HTMLBlock) inline {
	s := c.raw(n)
	if n.HasClosure() {
		s += "\n" + string(n.ClosureLine.Value(c.source))
	}
	s = htmlSilent().ReplaceAllString(s, "")
	s = htmlBreak().ReplaceAllString(s, "\n")
	return inline{text: strings.TrimSpace(htmlTag().ReplaceAllString(s, ""))}
}
