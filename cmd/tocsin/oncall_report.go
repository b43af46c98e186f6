package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/client"
	"github.com/tocsin-oncall/tocsin/config"
)

type onCallVerifyCmd struct {
	Weeks  int    `default:"8" help:"How many weeks to prove."`
	From   string `placeholder:"TIME" help:"Where they start: 2026-01-05T09:00, 2026-01-05, +2h, or RFC 3339. Default: now."`
	All    bool   `help:"List every span, not the first of each cause alone."`
	Config string `name:"config.file" placeholder:"tocsin.yml" type:"path" help:"Prove it of this configuration file instead, without a server, and so without overrides."`
	zoneFlags
	outputFlag
	clientFlags
}

// Help is shown by --help.
func (onCallVerifyCmd) Help() string {
	return "Proves, by interval arithmetic and not by samples, that at every instant each policy reaches a person with a usable contact who is not away.\n\n" +
		"Example: tocsin oncall verify --weeks 8\n\nExample: tocsin oncall verify --config.file tocsin.yml --from 2026-12-21"
}

// Run proves it, or shows where it does not hold.
func (c *onCallVerifyCmd) Run(ctx context.Context, e *env) error {
	loc, from, to, err := c.span(time.Now())
	if err != nil {
		return err
	}
	answer := client.Coverage{From: from, To: to}
	if c.Config != "" {
		answer.Uncovered, err = verifyOffline(c.Config, from, to)
	} else {
		answer, err = c.client().Coverage(ctx, from, to)
	}
	if err != nil {
		return err
	}
	if answer.Uncovered == nil {
		answer.Uncovered = []tocsin.Uncovered{}
	}
	if err := c.print(e.out, answer, func(w io.Writer) { printCoverage(w, answer, loc, c.All) }); err != nil {
		return err
	}
	if n := len(answer.Uncovered); n > 0 {
		return exitError{1, fmt.Sprintf("tocsin: there is nobody to page in %s; fill it with an override (tocsin override add), "+
			"a layer, or a step that reaches somebody else", plural(n, "span"))}
	}
	return nil
}

func (c *onCallVerifyCmd) span(now time.Time) (loc *time.Location, from, to time.Time, err error) {
	if c.Weeks < 1 {
		return nil, from, to, wrongUse("--weeks %d: prove at least 1", c.Weeks)
	}
	if loc, err = c.location(); err != nil {
		return nil, from, to, err
	}
	from, err = when("--from", c.From, now, loc, now)
	return loc, from, from.In(loc).AddDate(0, 0, 7*c.Weeks), err
}

// length is how long a span is: to the second, unless it is shorter than one.
func length(u *tocsin.Uncovered) config.Duration {
	d := u.To.Sub(u.From)
	if whole := d.Round(time.Second); whole > 0 {
		d = whole
	}
	return config.Duration(d)
}

// eachCause is how many spans of one cause are listed unless all are asked for.
const eachCause = 3

func printCoverage(w io.Writer, a client.Coverage, loc *time.Location, all bool) {
	if len(a.Uncovered) == 0 {
		fmt.Fprintf(w, "covered: every policy reaches somebody at every minute from %s to %s\n", at(a.From, loc), at(a.To, loc))
		return
	}
	const utc = "2006-01-02T15:04:05Z"
	causes := map[string]int{}
	left := 0
	for i := range a.Uncovered {
		u := &a.Uncovered[i]
		cause := u.Policy + string(u.Severity) + strings.Join(u.Why, "\n")
		if causes[cause]++; causes[cause] > eachCause && !all {
			left++
			continue
		}
		fmt.Fprintf(w, "NOT COVERED from %s to %s (%s)\n", at(u.From, loc), at(u.To, loc), length(u))
		fmt.Fprintf(w, "  in UTC from %s to %s\n", u.From.UTC().Format(utc), u.To.UTC().Format(utc))
		fmt.Fprintf(w, "  policy %s, severity %s\n", printable(u.Policy), u.Severity)
		for _, why := range u.Why {
			fmt.Fprintf(w, "    %s\n", printable(why))
		}
	}
	if left > 0 {
		fmt.Fprintf(w, "and %s of the same causes; --all lists them\n", plural(left, "span"))
	}
}

type onCallFairnessCmd struct {
	Weeks int    `default:"12" help:"How many weeks to look at."`
	From  string `placeholder:"TIME" help:"Where they start: 2026-01-05, or RFC 3339. Default: so that they end now."`
	zoneFlags
	outputFlag
	clientFlags
}

// Help is shown by --help.
func (onCallFairnessCmd) Help() string {
	return "Nights are 22:00 to 07:00 of the person's own clock. An hour may count in several columns. " +
		"Who was paged and never on call counts in neither the mean nor the spread.\n\nExample: tocsin oncall fairness --weeks 12"
}

// Run says how the duty was shared.
func (c *onCallFairnessCmd) Run(ctx context.Context, e *env) error {
	if c.Weeks < 1 {
		return wrongUse("--weeks %d: look at 1 at least", c.Weeks)
	}
	loc, err := c.location()
	if err != nil {
		return err
	}
	now := time.Now()
	from, err := when("--from", c.From, now, loc, now.In(loc).AddDate(0, 0, -7*c.Weeks))
	if err != nil {
		return err
	}
	answer, err := c.client().Fairness(ctx, from, from.In(loc).AddDate(0, 0, 7*c.Weeks))
	if err != nil {
		return err
	}
	return c.print(e.out, answer, func(w io.Writer) { printShares(w, answer, loc) })
}

// burdens are the columns of the table of shares.
func burdens(s *tocsin.Share) []float64 {
	return []float64{
		s.Hours, s.NightHours, s.WeekendHours, s.HolidayHours,
		float64(s.Shifts), float64(s.Pages), float64(s.NightPages),
	}
}

func printShares(w io.Writer, a client.Fairness, loc *time.Location) {
	fmt.Fprintf(w, "On call from %s to %s\n", at(a.From, loc), at(a.To, loc))
	if len(a.Shares) == 0 {
		fmt.Fprintln(w, "nobody was on call")
		return
	}
	var rows [][]string
	var sum, least, most []float64
	onCall := 0
	for i := range a.Shares {
		values := burdens(&a.Shares[i])
		rows = append(rows, append([]string{a.Shares[i].User}, decimals(values)...))
		if a.Shares[i].Shifts == 0 && a.Shares[i].Hours == 0 {
			continue // paged, as the last resort is, and on no rota: no part of what is shared
		}
		if onCall++; onCall == 1 {
			sum, least, most = make([]float64, len(values)), burdens(&a.Shares[i]), burdens(&a.Shares[i])
		}
		for n, v := range values {
			sum[n] += v
			least[n], most[n] = min(least[n], v), max(most[n], v)
		}
	}
	header := []string{"PERSON", "HOURS", "NIGHT", "WEEKEND", "HOLIDAY", "SHIFTS", "PAGES", "AT NIGHT"}
	if onCall == 0 {
		table(w, header, rows, func(int) bool { return false })
		return
	}
	spread := make([]float64, len(sum))
	for n := range sum {
		sum[n] /= float64(onCall)
		spread[n] = most[n] - least[n]
	}
	rows = append(rows, append([]string{"(mean)"}, decimals(sum)...), append([]string{"(spread)"}, decimals(spread)...))
	table(w, header, rows, func(int) bool { return false })
	fmt.Fprintf(w, "The hours spread over %s, from %s to %s; the mean is %s.\n",
		share(spread[0], sum[0]), decimal(least[0]), decimal(most[0]), decimal(sum[0]))
}

// share is a spread in hours, and in percent of the mean.
func share(spread, mean float64) string {
	return fmt.Sprintf("%s h (%.0f %%)", decimal(spread), 100*spread/cmp.Or(mean, 1))
}

func decimals(values []float64) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = decimal(v)
	}
	return out
}

// decimal writes hours to a tenth, and whole ones without it.
func decimal(v float64) string {
	v = float64(int64(v*10+0.5)) / 10
	return strconv.FormatFloat(v, 'f', -1, 64)
}
