package runbooks

import (
	"bytes"
	"fmt"
	"strings"
)

// Bounds of the pre-scan, per run of lines without a blank one. Measured with
// goldmark 1.8.7 at 32 KiB: 16,000 emphasis marks take 0.3 s, 6,500 of "[a]("
// 0.6 s, a table of 2,000 columns and 12,000 rows 7.5 s, 16,000 nested quotes
// 0.3 s. Each bound keeps its pattern near 20 ms.
const (
	maxEmphasis = 4000
	maxBrackets = 1200
	maxCells    = 100_000
	maxMarkers  = 32
)

// maxHeadings bounds the headings of a file, bold ones included.
const maxHeadings = 5000

// chunk is a part of a file that is parsed in one go.
type chunk struct {
	line   int // of its first line, from 1
	source []byte
	// start and end are its place in the file; both 0 where it has none.
	start, end int
}

var (
	atxHeading   = lazy(`^ {0,3}#{1,6}(?:[ \t]|$)`)
	setextLine   = lazy(`^ {0,3}(?:=+|-+)[ \t]*$`)
	fenceLine    = lazy("^[ \t]*(?:[-*+>][ \t]+|[0-9]+[.)][ \t]+)*(`{3,}|~{3,})([^\n]*)$")
	tableDelim   = lazy(`^[-:| \t>]*-[-:| \t>]*$`)
	blockMarkers = lazy(`^(?:[ \t]*(?:>|[-*+][ \t]|[0-9]{1,9}[.)][ \t]))+`)
	oneMarker    = lazy(`>|[-*+][ \t]|[0-9]+[.)][ \t]`)
	headingText  = lazy(`^ {0,3}#{1,6}[ \t].{0,200}`)
)

// chunks splits a file into parts that are safe to parse. A file that is small
// and tame stays whole; otherwise it is cut at its headings. Of a section that
// is still too large or hostile only the heading stays.
func chunks(file string, source []byte, firstLine int) ([]chunk, []Problem) {
	whole := chunk{firstLine, source, 0, len(source)}
	if len(source) <= MaxUnit && hostile(source) == nil {
		return []chunk{whole}, nil
	}
	var out []chunk
	var problems []Problem
	for _, s := range sections(whole) {
		code, reason := refusal(s.source)
		if reason != "" {
			problems = append(problems, Problem{file, s.line, code, reason})
			if h := headingText().Find(s.source); h != nil && hostile(h) == nil {
				out = append(out, chunk{line: s.line, source: append(bytes.Clone(h), '\n')})
			}
			continue
		}
		out = append(out, s)
	}
	return packChunks(out, source), problems
}

// refusal says why a section is not parsed, or "".
func refusal(source []byte) (code, reason string) {
	if len(source) > MaxUnit {
		return CodeOversized, fmt.Sprintf("this section is %d KiB and was skipped: divide it with headings into parts of at most %d KiB",
			(len(source)+1023)>>10, MaxUnit>>10)
	}
	if h := hostile(source); h != nil {
		return CodeHostile, h.Error()
	}
	return "", ""
}

// packChunks joins neighbours while they fit, so that a large file costs few
// parses.
func packChunks(in []chunk, source []byte) []chunk {
	var out []chunk
	for _, c := range in {
		if n := len(out); n > 0 {
			last := &out[n-1]
			if last.end > 0 && last.end == c.start && c.end-last.start <= MaxUnit/2 {
				last.end = c.end
				last.source = source[last.start:c.end]
				continue
			}
		}
		out = append(out, c)
	}
	return out
}

// sections cuts a source before each of its headings.
func sections(whole chunk) []chunk {
	var out []chunk
	start, startLine, offset, line := 0, whole.line, 0, whole.line
	fence, prevBlank, prevOffset := "", true, 0
	cut := func(at, atLine int) {
		if at > start {
			out = append(out, chunk{startLine, whole.source[start:at], start, at})
			start, startLine = at, atLine
		}
	}
	for text := range bytes.Lines(whole.source) {
		l := bytes.TrimRight(text, "\n")
		switch {
		case fence != "":
			if closesFence(l, fence) {
				fence = ""
			}
		case opensFence(l) != "":
			fence = opensFence(l)
		case atxHeading().Match(l):
			cut(offset, line)
		case setextLine().Match(l) && prevOffset < offset && !prevBlank:
			cut(prevOffset, line-1)
		}
		if len(bytes.TrimSpace(l)) == 0 {
			prevBlank, prevOffset = true, offset+len(text)
		} else if prevBlank {
			prevBlank, prevOffset = false, offset
		} else {
			prevOffset = offset + len(text) // a paragraph of several lines is no cut
		}
		offset += len(text)
		line++
	}
	cut(len(whole.source), line)
	return out
}

// opensFence returns the marks of a fence that a line opens, or "". After
// backticks no further one may follow.
func opensFence(line []byte) string {
	if !bytes.Contains(line, []byte("```")) && !bytes.Contains(line, []byte("~~~")) {
		return ""
	}
	m := fenceLine().FindSubmatch(line)
	if m == nil || m[1][0] == '`' && bytes.IndexByte(m[2], '`') >= 0 {
		return ""
	}
	return string(m[1])
}

func closesFence(line []byte, fence string) bool {
	t := strings.TrimSpace(string(line))
	return len(t) >= len(fence) && strings.Trim(t, fence[:1]) == ""
}

// hostile says what of a source would take the parser too long. It counts
// inside code blocks too: telling those apart is the parser's business.
func hostile(source []byte) error {
	var emphasis, brackets, columns, cells int
	line := 0
	for text := range bytes.Lines(source) {
		line++
		l := bytes.TrimRight(text, "\n")
		if len(bytes.TrimSpace(l)) == 0 {
			emphasis, brackets, columns = 0, 0, 0
			continue
		}
		if markers(l) > maxMarkers {
			return fmt.Errorf("line %d of this section nests more than %d lists or quotes: simplify it", line, maxMarkers)
		}
		if bytes.IndexByte(l, '|') >= 0 && tableDelim().Match(l) {
			columns = max(columns, bytes.Count(l, []byte("|"))+1)
		}
		cells += columns
		emphasis += emphasisRuns(l)
		brackets += bytes.Count(l, []byte("[")) + bytes.Count(l, []byte("<"))
		switch {
		case cells > maxCells:
			return fmt.Errorf("the table at line %d of this section is too large: divide it", line)
		case emphasis > maxEmphasis:
			return fmt.Errorf("line %d of this section has too many *, _ or ~: divide the paragraph, or put it in a code block with blank lines", line)
		case brackets > maxBrackets:
			return fmt.Errorf("line %d of this section has too many [ or <: divide the paragraph", line)
		}
	}
	return nil
}

// markers counts the marks of quotes and lists that a line begins with.
func markers(l []byte) int {
	if len(l) <= maxMarkers {
		return 0
	}
	return len(oneMarker().FindAllIndex(blockMarkers().Find(l), maxMarkers+1))
}

func emphasisRuns(l []byte) int {
	n := 0
	var prev byte
	for _, c := range l {
		if (c == '*' || c == '_' || c == '~') && c != prev {
			n++
		}
		prev = c
	}
	return n
}
