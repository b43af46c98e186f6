package main

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tocsin-oncall/tocsin"
)

// whyWidth is how wide the trace is printed: that of a terminal that nobody has made
// wider.
const whyWidth = 80

type whyCmd struct {
	ID string `arg:"" help:"The incident."`
	outputFlag
	clientFlags
}

// Help is shown by --help.
func (whyCmd) Help() string {
	return "Every decision from what came in to what the providers said, and what was not sent.\n\n" +
		"Example: tocsin why k7f3q9"
}

// Run prints the decisions on an incident's way.
func (c *whyCmd) Run(ctx context.Context, e *env) error {
	why, err := c.client().Why(ctx, c.ID)
	if err != nil {
		return err
	}
	return c.print(e.out, why, func(w io.Writer) { printWhy(w, why) })
}

// printWhy says it to a person: the answer first.
func printWhy(w io.Writer, why *tocsin.Why) {
	folded(w, "", "", why.Answer)
	var stage tocsin.ReasonStage
	for i := range why.Reasons {
		r := &why.Reasons[i]
		if r.Stage != stage {
			stage = r.Stage
			fmt.Fprintf(w, "\n%s\n", printable(stage.Question()))
		}
		folded(w, "  - ", "    ", whyLine(r))
	}
}

// whyLine is one reason in a line, with when, by whom and by what it was decided.
func whyLine(r *tocsin.Reason) string {
	line := r.Text
	if r.End != "" {
		line = strings.ToUpper(string(r.End)) + ": " + line
	}
	if by := r.Signed(); by != "" {
		line += " (by " + by + ")"
	}
	var foot []string
	if at := r.When(); !at.IsZero() {
		foot = append(foot, stamp(at))
	}
	if r.Where != "" {
		foot = append(foot, r.Where)
	}
	if r.Now {
		foot = append(foot, "configuration of now")
	}
	if len(foot) > 0 {
		line += " [" + strings.Join(foot, ", ") + "]"
	}
	return line
}

// folded prints a text in lines of whyWidth, the first behind one margin, the others
// behind another. A word that is longer than a line is not cut: it may be copied.
func folded(w io.Writer, first, rest, text string) {
	line, width, margin := first, utf8.RuneCountInString(first), first
	for _, word := range strings.Fields(whyLocal(printable(text))) {
		n := utf8.RuneCountInString(word)
		if line != margin && width+1+n > whyWidth {
			fmt.Fprintln(w, line)
			line, width, margin = rest, utf8.RuneCountInString(rest), rest
		}
		if line != margin {
			line, width = line+" ", width+1
		}
		line, width = line+word, width+n
	}
	fmt.Fprintln(w, line)
}

// whyLocal writes the times of a trace as the rest of the terminal's output does.
func whyLocal(text string) string {
	return whyTimes.ReplaceAllStringFunc(text, func(s string) string {
		for _, layout := range []string{tocsin.TraceTime, "2006-01-02 15:04 UTC"} {
			if at, err := time.Parse(layout, s); err == nil {
				return stamp(at)
			}
		}
		return s
	})
}

var whyTimes = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)? UTC`)
