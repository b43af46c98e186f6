package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/client"
	"github.com/tocsin-oncall/tocsin/config"
)

type onCallCmd struct {
	Show     onCallShowCmd     `cmd:"" default:"withargs" help:"Say who is on call: now, at a time, or over a span, with a picture."`
	Verify   onCallVerifyCmd   `cmd:"" help:"Prove that every policy reaches somebody at every instant; exit 1 with the counter-examples."`
	Fairness onCallFairnessCmd `cmd:"" help:"Say how the hours, nights, weekends, holidays and pages were shared."`
}

// Help is shown by --help.
func (onCallCmd) Help() string {
	return `Without a command it is "tocsin oncall show": who is on call now.

Example: tocsin oncall

Example: tocsin oncall --at 2026-12-24T22:00 --schedule primary

Example: tocsin oncall --for 2w

Example: tocsin oncall verify --weeks 8

Example: tocsin oncall fairness --weeks 12`
}

type onCallShowCmd struct {
	List     bool            `help:"List every shift of --for, however many there are."`
	At       string          `xor:"start" placeholder:"TIME" help:"Who is on call then: 2026-01-05T09:00, 2026-01-05, 09:00, +2h, or RFC 3339. Default: now."`
	For      config.Duration `placeholder:"2w" help:"List all shifts over so long a span, and draw it."`
	From     string          `xor:"start" placeholder:"TIME" help:"Where the span starts, written as --at is; without --for it is two weeks long. Default: now."`
	Schedule string          `placeholder:"NAME" help:"This schedule only."`
	User     string          `placeholder:"NAME" help:"This person's shifts only."`
	Width    int             `placeholder:"80" help:"How wide to draw. Default: $COLUMNS, or 80."`
	ASCII    bool            `name:"ascii" help:"Draw with ASCII only. It is so anyway where the locale is not UTF-8."`
	zoneFlags
	outputFlag
	clientFlags
}

// Help is shown by --help.
func (onCallShowCmd) Help() string {
	return "Example: tocsin oncall show --at 22:00\n\nExample: tocsin oncall --for 2w --schedule primary --time-zone Europe/Madrid"
}

// Run says who is on call.
func (c *onCallShowCmd) Run(ctx context.Context, e *env) error {
	loc, err := c.location()
	if err != nil {
		return err
	}
	now := time.Now()
	start, err := when(c.startFlag(), cmp.Or(c.At, c.From), now, loc, now)
	if err != nil {
		return err
	}
	if c.For > 0 || c.From != "" {
		return c.span(ctx, e, start, start.Add(cmp.Or(c.For.Std(), 14*24*time.Hour)), loc)
	}
	answer, err := c.client().OnCall(ctx, start, c.Schedule, c.User)
	if err != nil {
		return err
	}
	return c.print(e.out, answer, func(w io.Writer) { c.instant(w, answer, loc, colourful(e.out)) })
}

func (c *onCallShowCmd) startFlag() string {
	if c.From != "" {
		return "--from"
	}
	return "--at"
}

// none says that there is nothing to show, and why.
func (c *onCallShowCmd) none(w io.Writer, then string) {
	switch {
	case c.User != "":
		fmt.Fprintf(w, "%s is not on call %s\n", c.User, then)
	case c.Schedule != "":
		fmt.Fprintf(w, "schedule %s says nothing of %s\n", c.Schedule, then)
	default:
		fmt.Fprintln(w, "no schedules; write them under schedules: in the configuration")
	}
}

func (c *onCallShowCmd) instant(w io.Writer, a client.Shifts, loc *time.Location, colour bool) {
	if len(a.Shifts) == 0 {
		c.none(w, at(a.At, loc))
		return
	}
	fmt.Fprintf(w, "On call %s\n", at(a.At, loc))
	rows := make([][]string, 0, len(a.Shifts))
	for i := range a.Shifts {
		s := &a.Shifts[i]
		rows = append(rows, []string{s.Schedule, cmp.Or(s.User, nobody), edge(s.From, loc), edge(s.To, loc), reason(s)})
	}
	table(w, []string{"SCHEDULE", "PERSON", "SINCE", "UNTIL", "WHY"}, rows, func(i int) bool { return colour && a.Shifts[i].Gap() })
}

// span lists the shifts of each schedule, and draws them all on one time line.
// mostListed is how many shifts are listed beside the picture unless they are
// asked for.
const mostListed = 1000

func (c *onCallShowCmd) span(ctx context.Context, e *env, from, to time.Time, loc *time.Location) error {
	defer debug.SetGCPercent(debug.SetGCPercent(800)) // a year of shifts is megabytes, and then it is over
	answer, err := c.client().Shifts(ctx, from, to, c.Schedule, c.User)
	if err != nil {
		return err
	}
	return c.print(e.out, answer, func(w io.Writer) {
		if len(answer.Shifts) == 0 {
			c.none(w, "from "+at(from, loc)+" to "+at(to, loc))
			return
		}
		colour := colourful(e.out)
		if names, of := bySchedule(answer.Shifts); c.List || len(answer.Shifts) <= mostListed {
			for _, name := range names {
				fmt.Fprintln(w, printable(name))
				listShifts(w, of[name], loc, colour)
				fmt.Fprintln(w)
			}
		} else {
			fmt.Fprintf(w, "%s on %s; --list lists them\n\n", plural(len(answer.Shifts), "shift"), plural(len(names), "schedule"))
		}
		p := picture{from: from, to: to, width: width(c.Width, os.Getenv), loc: loc, colour: colour, ascii: c.ASCII || !unicodeLocale(os.Getenv)}
		fmt.Fprint(w, p.draw(answer.Shifts))
	})
}

func listShifts(w io.Writer, shifts []tocsin.Shift, loc *time.Location, colour bool) {
	rows := make([][]string, 0, len(shifts))
	for i := range shifts {
		s := &shifts[i]
		rows = append(rows, []string{"  " + edge(s.From, loc), edge(s.To, loc), cmp.Or(s.User, nobody), reason(s)})
	}
	table(w, []string{"  FROM", "TO", "PERSON", "WHY"}, rows, func(i int) bool { return colour && shifts[i].Gap() })
}

// edge is the start or the end of a shift; one without either is always.
func edge(t time.Time, loc *time.Location) string {
	if t.IsZero() {
		return "-"
	}
	return at(t, loc)
}

// reason says why it is this person.
func reason(s *tocsin.Shift) string {
	words := []string{}
	switch {
	case s.Gap():
		words = append(words, "gap")
	case s.Shadow:
		words = append(words, "shadow: gets copies only")
	case s.Extra:
		words = append(words, "beside the others")
	}
	if s.Source != "" {
		words = append(words, s.Source)
	}
	return strings.Join(words, ", ")
}

// table prints rows in columns; those that are loud are red.
func table(w io.Writer, header []string, rows [][]string, loud func(i int) bool) {
	widths := make([]int, len(header))
	all := append([][]string{header}, rows...)
	for _, r := range all {
		for n := range r {
			r[n] = printable(r[n])
			widths[n] = max(widths[n], utf8.RuneCountInString(r[n]))
		}
	}
	var b strings.Builder
	for i, r := range all {
		b.Reset()
		for n := range r {
			b.WriteString(r[n])
			b.WriteString(strings.Repeat(" ", widths[n]+2-utf8.RuneCountInString(r[n])))
		}
		line := strings.TrimRight(b.String(), " ")
		if i > 0 && loud(i-1) {
			line = "\x1b[" + styleGap + "m" + line + "\x1b[0m"
		}
		fmt.Fprintln(w, line)
	}
}

// colourful reports whether w is a terminal that wants colour; see no-color.org.
func colourful(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// unicodeLocale reports whether the locale writes UTF-8, by POSIX' order of its
// variables.
func unicodeLocale(getenv func(string) string) bool {
	name := strings.ToLower(cmp.Or(getenv("LC_ALL"), getenv("LC_CTYPE"), getenv("LANG")))
	return strings.Contains(name, "utf-8") || strings.Contains(name, "utf8")
}

// width is how wide to draw: what was asked for, or the terminal's, or 80; and
// never so narrow that nothing can be seen.
func width(asked int, getenv func(string) string) int {
	if asked > 0 {
		return max(asked, 30)
	}
	if n, err := strconv.Atoi(getenv("COLUMNS")); err == nil && n > 0 {
		return max(n, 30)
	}
	return 80
}
