package runbooks

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/tocsin-oncall/tocsin"
)

// builder makes the sections and steps of one runbook from its tree of
// headings.
type builder struct {
	sections []*section
	steps    []draft
	// loose: no heading says what is what, so that bulleted lists are steps.
	loose bool
}

// section is a Section in the making.
type section struct {
	tocsin.Section
	parts []string
	// known: its heading was recognised, and it stays even without prose.
	known bool
	steps int
}

// draft is a step and the path of headings above it.
type draft struct {
	tocsin.Step
	path string
}

// place is where the builder stands.
type place struct {
	kind    tocsin.SectionKind
	section *section
	cond    string
	path    string
	depth   int
	// label is the index of the step that the heading itself is, or -1.
	label int
	bold  bool // the heading is a bold paragraph
	// form: what stands here is to be filled in and copied, not to be done.
	form bool
}

// build fills a runbook's sections and steps.
func build(rb *tocsin.Runbook, n *node) {
	b := &builder{loose: len(rb.Alerts) > 0}
	n.walk(func(k *node) {
		if k.known && k != n && !k.unit {
			b.loose = false
		}
	})
	s := b.open(tocsin.SectionMeaning, "", false)
	p := place{kind: tocsin.SectionOther, section: s, label: -1}
	b.blocks(n.blocks, p)
	b.kids(n, p)
	for _, s := range b.sections {
		s.Text = strings.TrimSpace(strings.Join(slices.DeleteFunc(s.parts, func(p string) bool { return p == "" }), "\n"))
		if s.Text != "" || len(s.Links) > 0 || s.known && s.steps > 0 {
			rb.Sections = append(rb.Sections, s.Section)
		}
	}
	rb.Steps = number(b.steps)
}

func (b *builder) open(kind tocsin.SectionKind, title string, known bool) *section {
	s := &section{Section: tocsin.Section{Kind: kind, Title: title}, known: known}
	b.sections = append(b.sections, s)
	return s
}

func (b *builder) kids(n *node, p place) {
	for _, k := range n.kids {
		if !k.unit {
			b.node(k, p)
		}
	}
}

// node builds a heading and all below it.
func (b *builder) node(n *node, p place) {
	title := plainTitle(n.title)
	kind, plain, known := n.kind, n.plain, n.known
	text, numbered, isStep := stepTitle(n.title)
	p.bold, p.label = n.level >= levelBoldSection, -1
	words := normalWords(title)
	p.path += "\x00" + words
	switch {
	case known && (!p.bold || plain):
		p.kind = kind
	case notASection().MatchString(words):
		p.kind = tocsin.SectionOther
	}
	p.form = p.form || templates().MatchString(words)
	if n.level < levelBoldLabel {
		p.section = b.open(p.kind, title, known)
	}
	before := len(b.steps)
	quiet := tellsOnly(p.kind) || p.form || p.kind == tocsin.SectionEscalation
	switch {
	case known && plain:
	case isStep && (numbered || !quiet):
		p.label = b.add(p, p.depth, tocsin.Step{Text: text})
		p.depth++
		before++
	default:
		p.cond = within(p.cond, title)
	}
	loose := b.blocks(n.blocks, p)
	b.kids(n, p)
	if len(b.steps) == before && p.label < 0 && takesAction(p.kind) {
		b.promote(p, loose)
	}
}

// within names a condition and the one around it; more would not be read.
func within(outer, inner string) string {
	if outer == "" {
		return inner
	}
	if i := strings.LastIndex(outer, " › "); i >= 0 {
		outer = outer[i+len(" › "):]
	}
	return outer + " › " + inner
}

// add appends a step and returns its index.
func (b *builder) add(p place, depth int, s tocsin.Step) int {
	s.Section, s.Condition, s.Depth = p.kind, p.cond, depth
	b.steps = append(b.steps, draft{s, p.path})
	p.section.steps++
	return len(b.steps) - 1
}

// prose adds text to the section.
func (b *builder) prose(p place, text string, links []tocsin.Link) int {
	if p.bold && p.label < 0 && p.cond != "" && p.section.Title != p.cond {
		if label := p.cond[strings.LastIndex(" › "+p.cond, " › "):] + ":"; !slices.Contains(p.section.parts, label) {
			p.section.parts = append(p.section.parts, label)
		}
	}
	p.section.parts = append(p.section.parts, text)
	for _, l := range links {
		if !slices.Contains(p.section.Links, l) {
			p.section.Links = append(p.section.Links, l)
		}
	}
	return len(p.section.parts) - 1
}

// para is a paragraph that became prose and may yet become steps.
type para struct {
	text inline
	part int
}

// blocks builds what stands directly below a heading. It returns the
// paragraphs that became prose.
func (b *builder) blocks(blocks []block, p place) []para {
	var paras []para
	var lead *inline
	last := -1
	for i, blk := range blocks {
		prev := last
		last = -1
		switch blk.kind {
		case blockPara:
			if empty().MatchString(blk.text.flow()) {
				continue
			}
			if i+1 < len(blocks) && blocks[i+1].kind == blockCode && b.runs(blocks[i+1], p, blk.text.text) {
				lead = &blocks[i].text
				continue
			}
			if p.label >= 0 && p.bold {
				b.extend(p.label, blk.text)
				continue
			}
			paras = append(paras, para{blk.text, b.prose(p, blk.text.flow(), blk.text.links)})
		case blockList:
			last = b.list(blk, p)
		case blockCode:
			switch {
			case prev >= 0:
				b.attach(prev, blk)
			case !b.runs(blk, p, ""):
				b.prose(p, blk.code, nil)
			default:
				b.fence(blk, lead, p)
			}
			lead = nil
		case blockTable:
			b.table(blk, p)
		}
	}
	return paras
}

// promote makes steps of the paragraphs of a section that has nothing else to
// do: each paragraph is one, or each of its lines where every line is a
// sentence. Pointers to other pages stay prose.
func (b *builder) promote(p place, paras []para) {
	for _, q := range paras {
		if seeAlso(q.text) {
			continue
		}
		texts := []string{q.text.flow()}
		if lines := strings.Split(q.text.text, "\n"); len(lines) > 1 && allSentences(lines) {
			texts = lines
		}
		for i, t := range texts {
			s := tocsin.Step{Text: t}
			if i == 0 {
				s.Links = q.text.links
			}
			for _, c := range inlineCommands(q.text) {
				if strings.Contains(t, c.Text) {
					s.Commands = append(s.Commands, c)
				}
			}
			b.add(p, p.depth, s)
		}
		p.section.parts[q.part] = ""
	}
}

func seeAlso(t inline) bool {
	w := strings.ToLower(flow(t.text))
	return len(t.links) > 0 && len(t.bare) < 60 &&
		(strings.HasPrefix(w, "see ") || strings.HasPrefix(w, "further ") || strings.HasPrefix(w, "more ") || t.bare == "")
}

func allSentences(lines []string) bool {
	for _, l := range lines {
		if !strings.HasSuffix(strings.TrimRight(l, ")\"'"), ".") || len(l) < 8 || l[0] >= 'a' && l[0] <= 'z' {
			return false
		}
	}
	return true
}

// extend adds a paragraph to a step.
func (b *builder) extend(i int, t inline) {
	s := &b.steps[i].Step
	s.Text = strings.TrimSpace(s.Text + "\n" + t.flow())
	s.Commands = append(s.Commands, inlineCommands(t)...)
	s.Links = append(s.Links, t.links...)
}

// number gives each step its ID: a hash of the headings above it, its own text,
// and how many equal ones came before. Nothing else in the file changes it.
func number(drafts []draft) []tocsin.Step {
	seen := map[string]int{}
	taken := map[string]bool{}
	out := make([]tocsin.Step, 0, len(drafts))
	for _, d := range drafts {
		if d.Text == "" && len(d.Commands) == 0 {
			continue // "Step 3", and nothing said
		}
		var own strings.Builder
		own.WriteString(d.path + "\x01" + flow(d.Text))
		for _, c := range d.Commands {
			own.WriteString("\x02" + c.Text)
		}
		key := own.String()
		for n := seen[key]; ; n++ {
			seen[key] = n + 1
			sum := sha256.Sum256([]byte(key + "\x03" + strconv.Itoa(n)))
			d.ID = hex.EncodeToString(sum[:5])
			if !taken[d.ID] {
				break
			}
		}
		taken[d.ID] = true
		out = append(out, d.Step)
	}
	return out
}
