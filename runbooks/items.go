package runbooks

import (
	"strings"

	"github.com/tocsin-oncall/tocsin"
)

// list builds a list: steps, prose or links. It returns the index of the last
// item's step, or -1.
func (b *builder) list(l block, p place) int {
	if navigation(l) {
		for _, it := range l.items {
			for _, blk := range it.blocks {
				p.section.Links = append(p.section.Links, pageLinks(blk.text.links)...)
			}
		}
		return -1
	}
	if !b.areSteps(l, p) {
		var t strings.Builder
		links := writeList(&t, l, "")
		if t.Len() > 0 {
			b.prose(p, strings.TrimRight(t.String(), "\n"), links)
		}
		return -1
	}
	return b.items(l, p, p.depth)
}

// pageLinks leaves out links to headings of the same page.
func pageLinks(links []tocsin.Link) []tocsin.Link {
	var out []tocsin.Link
	for _, l := range links {
		if !strings.HasPrefix(l.URL, "#") {
			out = append(out, l)
		}
	}
	return out
}

// navigation reports whether a list only points elsewhere: a table of contents,
// additional resources.
func navigation(l block) bool {
	for _, it := range l.items {
		if it.task {
			return false
		}
		for _, blk := range it.blocks {
			switch blk.kind {
			case blockPara:
				if len(blk.text.links) == 0 || len(strings.Trim(blk.text.bare, " .,;:-–—&()[]")) > 0 {
					return false
				}
			case blockList:
				if !navigation(blk) {
					return false
				}
			default:
				return false
			}
		}
	}
	return len(l.items) > 0
}

// areSteps decides whether a list's items are things to do.
func (b *builder) areSteps(l block, p place) bool {
	if tellsOnly(p.kind) || p.form {
		return false
	}
	for _, it := range l.items {
		if it.task {
			return true
		}
	}
	switch {
	case l.ordered, p.label >= 0:
		return true
	case p.kind == tocsin.SectionEscalation:
		return false
	case definitions(l):
		return false
	case takesAction(p.kind), b.loose:
		return true
	}
	last := p.cond[strings.LastIndex(" › "+p.cond, " › "):]
	return p.bold && conditional().MatchString(last) || holdsCommand(l)
}

func holdsCommand(l block) bool {
	for _, it := range l.items {
		for _, blk := range it.blocks {
			if blk.kind == blockCode && (!isProse(blk.lang) || blk.remediation != "") || len(inlineCommands(blk.text)) > 0 {
				return true
			}
		}
	}
	return false
}

// definitions reports whether every item is a term and what it stands for
// ("**RTO**: 4 hours"), and none tells to do something.
func definitions(l block) bool {
	for _, it := range l.items {
		if len(it.blocks) == 0 {
			continue
		}
		t := it.blocks[0].text
		lead := strings.TrimRight(t.lead, ": ")
		if t.lead == "" || !strings.HasSuffix(t.lead, ":") || len(it.blocks) > 1 ||
			imperative().MatchString(lead) || len(inlineCommands(t)) > 0 {
			return false
		}
	}
	return true
}

// items builds a list's items as steps.
func (b *builder) items(l block, p place, depth int) int {
	last := -1
	for _, it := range l.items {
		var s tocsin.Step
		var nested []block
		for _, blk := range it.blocks {
			switch blk.kind {
			case blockPara, blockHeading:
				s.Text = strings.TrimSpace(s.Text + "\n" + blk.text.flow())
				s.Links = append(s.Links, blk.text.links...)
				s.Commands = append(s.Commands, inlineCommands(blk.text)...)
			case blockCode:
				addCode(&s, blk)
			case blockTable:
				s.Text = strings.TrimSpace(s.Text + "\n" + strings.Join(tableLines(blk.rows), "\n"))
			case blockList:
				nested = append(nested, blk)
			}
		}
		hollow := strings.Trim(s.Text, "-_* ") == "" || empty().MatchString(s.Text) ||
			strings.HasSuffix(s.Text, ":") && len(it.blocks) == 1 && it.blocks[0].text.allBold()
		if hollow && len(s.Commands) == 0 && len(nested) == 0 {
			continue
		}
		last = b.add(p, depth, s)
		for _, n := range nested {
			if navigation(n) {
				var t strings.Builder
				b.steps[last].Links = append(b.steps[last].Links, writeList(&t, n, "")...)
				continue
			}
			b.items(n, p, depth+1)
		}
	}
	return last
}

// addCode adds a code block to a step that it belongs to. Its comments stay
// with its commands.
func addCode(s *tocsin.Step, blk block) {
	if blk.remediation != "" {
		s.Commands = append(s.Commands, remedy(blk))
		return
	}
	if isProse(blk.lang) {
		s.Text = strings.TrimSpace(s.Text + "\n" + blk.code)
		return
	}
	for _, g := range splitCode(blk.lang, blk.code) {
		text := g.text
		if g.comment != "" {
			mark := "# "
			if strings.HasSuffix(blk.lang, "sql") {
				mark = "-- "
			}
			text = strings.TrimSpace(mark + strings.ReplaceAll(g.comment, "\n", "\n"+mark) + "\n" + g.text)
		}
		s.Commands = append(s.Commands, tocsin.Command{Lang: blk.lang, Text: text})
	}
}

func (b *builder) attach(i int, blk block) { addCode(&b.steps[i].Step, blk) }

// runs reports whether a code block is something to run or apply, rather than
// something to look at. lead is the text before it.
func (b *builder) runs(blk block, p place, lead string) bool {
	if blk.remediation != "" {
		return true
	}
	if blk.code == "" || tellsOnly(p.kind) || p.form || isProse(blk.lang) {
		return false
	}
	if blk.lang != "" {
		return true
	}
	if looksShell(blk.code) {
		return true
	}
	return takesAction(p.kind) && !exampleWords().MatchString(lead) && !exampleWords().MatchString(p.cond)
}

// fence builds a code block that stands under a heading: a step, or one for
// each commented part. The paragraph before it is its text.
func (b *builder) fence(blk block, lead *inline, p place) {
	depth := p.depth
	if blk.remediation != "" {
		b.remedy(blk, lead, p)
		return
	}
	groups := splitCode(blk.lang, blk.code)
	if lead == nil && p.label >= 0 && len(b.steps[p.label].Commands) == 0 && p.label == len(b.steps)-1 &&
		(p.bold || len(groups) == 1 && groups[0].comment == "") {
		b.attach(p.label, blk)
		return
	}
	if p.label >= 0 && p.bold && p.label == len(b.steps)-1 {
		if lead != nil {
			b.extend(p.label, *lead)
		}
		b.attach(p.label, blk)
		return
	}
	if lead != nil {
		s := tocsin.Step{Text: lead.flow(), Links: lead.links}
		if len(groups) == 1 {
			s.Text = strings.TrimSpace(s.Text + "\n" + groups[0].comment)
			s.Commands = command(blk.lang, groups[0].text)
		}
		b.add(p, depth, s)
		if len(groups) <= 1 {
			return
		}
		depth++
	}
	for _, g := range groups {
		b.add(p, depth, tocsin.Step{Text: g.comment, Commands: command(blk.lang, g.text)})
	}
}

// remedy builds a fence that names a remedy: one step, whatever its comments say,
// since it has one button.
func (b *builder) remedy(blk block, lead *inline, p place) {
	if lead == nil && p.label >= 0 && p.label == len(b.steps)-1 {
		b.attach(p.label, blk)
		return
	}
	s := tocsin.Step{Commands: []tocsin.Command{remedy(blk)}}
	switch {
	case lead != nil:
		s.Text, s.Links = lead.flow(), lead.links
	case blk.code == "":
		s.Text = "Run the remedy " + blk.remediation
	}
	b.add(p, p.depth, s)
}

// remedy is the command of a fence that names a remedy.
func remedy(blk block) tocsin.Command {
	return tocsin.Command{Lang: blk.lang, Text: blk.code, Remediation: blk.remediation}
}

func command(lang, text string) []tocsin.Command {
	if text == "" {
		return nil
	}
	return []tocsin.Command{{Lang: lang, Text: text}}
}

// writeList writes a list as plain text and returns its links.
func writeList(t *strings.Builder, l block, indent string) []tocsin.Link {
	var links []tocsin.Link
	for _, it := range l.items {
		first := true
		for _, blk := range it.blocks {
			switch blk.kind {
			case blockPara, blockHeading:
				mark := "- "
				if !first {
					mark = "  "
				}
				t.WriteString(indent + mark + blk.text.flow() + "\n")
				links = append(links, pageLinks(blk.text.links)...)
				first = false
			case blockCode:
				t.WriteString(indent + "  " + strings.ReplaceAll(blk.code, "\n", "\n  "+indent) + "\n")
			case blockList:
				links = append(links, writeList(t, blk, indent+"  ")...)
			}
		}
	}
	return links
}

var (
	columnCommand   = lazy(`(?i)^(?:commands?|cmd|run|query|queries|example command|how)$`)
	columnCondition = lazy(`(?i)^(?:if|when|condition|symptoms?|scenario|cause|possible cause|situation|error|problem|issue|observation)$`)
	columnAction    = lazy(`(?i)^(?:actions?|steps?|what to do|fix|solution|resolution|mitigation|remedy|response|do)$`)
	digits          = lazy(`^\d*\.?$`)
)

// table builds a table: each row a step where its columns say what to do or
// what to run, prose otherwise.
func (b *builder) table(t block, p place) {
	if len(t.rows) < 2 {
		return
	}
	header := t.rows[0]
	act := false
	for _, h := range header {
		act = act || columnCommand().MatchString(h.text) || columnAction().MatchString(h.text)
	}
	if !act || tellsOnly(p.kind) {
		var links []tocsin.Link
		for _, r := range t.rows {
			for _, c := range r {
				links = append(links, c.links...)
			}
		}
		b.prose(p, strings.Join(tableLines(t.rows), "\n"), links)
		return
	}
	for _, r := range t.rows[1:] {
		s, cond := tableStep(header, r)
		if s.Text == "" && len(s.Commands) == 0 {
			continue
		}
		q := p
		if cond != "" {
			q.cond = within(p.cond, cond)
		}
		b.add(q, p.depth, s)
	}
}

// tableStep reads a row of a table as a step and its condition.
func tableStep(header, r row) (s tocsin.Step, cond string) {
	var texts []string
	for i, c := range r {
		text := c.flow()
		if i >= len(header) || text == "" {
			continue
		}
		s.Links = append(s.Links, c.links...)
		switch h := header[i].text; {
		case columnCommand().MatchString(h):
			if len(c.codes) == 0 && text != "-" && text != "—" {
				s.Commands = append(s.Commands, tocsin.Command{Text: text})
			}
			for _, code := range c.codes {
				s.Commands = append(s.Commands, tocsin.Command{Text: strings.TrimPrefix(code, "$ ")})
			}
		case columnCondition().MatchString(h):
			cond = text
		case !digits().MatchString(text):
			texts = append(texts, text)
			s.Commands = append(s.Commands, inlineCommands(c)...)
		}
	}
	s.Text = strings.Join(texts, " — ")
	return s, cond
}

func tableLines(rows []row) []string {
	var out []string
	for _, r := range rows {
		cells := make([]string, 0, len(r))
		for _, c := range r {
			cells = append(cells, c.flow())
		}
		out = append(out, strings.Join(cells, " | "))
	}
	return out
}
