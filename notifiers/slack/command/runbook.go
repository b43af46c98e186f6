package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
)

// runbook shows the steps for an incident, or of a runbook.
func (d *Desk) runbook(ctx context.Context, c *call) ([]string, error) {
	if d.d.Runbooks == nil || d.d.Runbook == nil {
		return nil, errMissing
	}
	if left := c.left(); len(left) == 1 || len(left) == 0 && c.Thread != "" {
		inc, err := d.incident(ctx, c)
		if err == nil && len(c.left()) == 0 {
			return d.runbookOf(ctx, c, inc)
		}
		var no *refusal
		if err != nil && !errors.As(err, &no) && len(left) == 1 {
			return nil, err
		}
	}
	if !c.person.MaySomewhere(c.cmd.right) { // what is known is for every team
		return nil, c.forbidden(c.cmd.right)
	}
	asked := c.rest()
	if p := strings.Fields(asked); len(p) == 0 || len(p) == 2 && p[0] == "page" {
		page := 0
		if len(p) == 2 {
			if n, err := strconv.Atoi(p[1]); err == nil && n > 0 && n <= maxListed {
				page = n - 1
			}
		}
		return named(d.d.Runbooks.List(), page), nil
	}
	found := match(d.d.Runbooks.List(), asked)
	switch len(found) {
	case 0:
		return nil, refuse("there is no runbook %s; all of them: %s", quote(asked), typed("runbook"))
	case 1:
		return steps(found[0], nil), nil
	}
	lines := []string{fmt.Sprintf("*%d runbooks* fit %s; say more of the title, or the ID:", len(found), quote(asked))}
	return append(lines, named(found, 0)...), nil
}

func (d *Desk) runbookOf(ctx context.Context, c *call, inc *tocsin.Incident) ([]string, error) {
	if inc.Runbook == "" {
		return []string{"There is no runbook for " + name(inc.ID) + "."}, nil
	}
	alerts, err := c.reader.AlertsOf(ctx, inc.ID, 1)
	if err != nil {
		return nil, err
	}
	var labels tocsin.Labels
	if len(alerts) > 0 {
		labels = alerts[0].Labels
	}
	rb := d.d.Runbook(inc.Runbook, labels)
	if rb == nil {
		return []string{"The runbook of " + name(inc.ID) + " is gone: " + name(inc.Runbook)}, nil
	}
	progress := inc.Progress
	if progress == nil {
		progress = &tocsin.Progress{}
	}
	lines := steps(rb, progress)
	if inc.Open() && len(rb.Steps) > 0 {
		lines = append(lines, "When a step is done: "+typed("step "+inc.ID+" 1 done"))
	}
	return lines, nil
}

// steps are those of a runbook, or its sections where it has none; progress nil:
// nobody keeps account.
func steps(rb *tocsin.Runbook, progress *tocsin.Progress) []string {
	if len(rb.Steps) > 0 {
		return slack.RunbookLines(rb, progress)
	}
	lines := []string{"📖 *Runbook*: " + slack.Escape(rb.Title, 120)}
	for n := range rb.Sections {
		lines = append(lines, "*"+slack.Escape(rb.Sections[n].Title, 120)+"*", slack.Escape(rb.Sections[n].Text, 600))
	}
	return lines
}

// named lists runbooks by title and ID.
func named(all []*tocsin.Runbook, page int) []string {
	if len(all) == 0 {
		return []string{"There are no runbooks."}
	}
	lines := make([]string, 0, len(all))
	for _, rb := range all {
		lines = append(lines, "• "+slack.Escape(rb.Title, 120)+" "+slack.Code(rb.ID, 150))
	}
	return cut(lines, page, "runbook")
}

// match finds the runbooks that are meant: by ID, by the whole title, by an alert's
// name, or by all words in any of them.
func match(all []*tocsin.Runbook, asked string) []*tocsin.Runbook {
	exactly := []func(*tocsin.Runbook) bool{
		func(rb *tocsin.Runbook) bool { return strings.EqualFold(rb.ID, asked) },
		func(rb *tocsin.Runbook) bool { return strings.EqualFold(rb.Title, asked) },
		func(rb *tocsin.Runbook) bool {
			return slices.ContainsFunc(rb.Alerts, func(a string) bool { return strings.EqualFold(a, asked) })
		},
		func(rb *tocsin.Runbook) bool {
			text := strings.ToLower(rb.ID + " " + rb.Title + " " + strings.Join(rb.Alerts, " "))
			for w := range strings.FieldsSeq(strings.ToLower(asked)) {
				if !strings.Contains(text, w) {
					return false
				}
			}
			return true
		},
	}
	for _, fits := range exactly {
		var found []*tocsin.Runbook
		for _, rb := range all {
			if fits(rb) {
				found = append(found, rb)
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

// statuses are what is said of a step.
var statuses = []struct {
	word   string
	status tocsin.StepStatus
}{
	{"done", tocsin.StepDone},
	{"start", tocsin.StepStarted},
	{"started", tocsin.StepStarted},
	{"skip", tocsin.StepSkipped},
	{"skipped", tocsin.StepSkipped},
	{"open", tocsin.StepOpen},
}

// maxStep is the highest number of a step that is read.
const maxStep = 10_000

func (d *Desk) step(ctx context.Context, c *call) ([]string, error) {
	inc, err := d.incident(ctx, c)
	if err != nil {
		return nil, err
	}
	w, _ := c.next()
	number, err := strconv.Atoi(strings.TrimPrefix(w.text, "#"))
	if err != nil || number < 1 || number > maxStep {
		return nil, wrong("which step? Write its number, as %s shows it.", typed("runbook "+inc.ID))
	}
	if w, _ = c.next(); w.text == "" {
		return nil, wrong("say where it stands: done, start, skip or open.")
	}
	for _, s := range statuses {
		if w.is(s.word) {
			return d.act(ctx, c, inc, tocsin.Action{
				Kind: tocsin.ActStep, RunbookStep: strconv.Itoa(number), Status: s.status, Text: c.rest(),
			})
		}
	}
	return nil, wrong("%s is not where a step can stand%s", quote(w.text), meant(w.text, []string{"done", "start", "skip", "open"}))
}
