package postmortem

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// Markdown writes the report as CommonMark (https://spec.commonmark.org/0.31.2/).
// Texts from outside stay texts: they become no heading, link, image, table or
// HTML. Times are UTC.
func (r *Report) Markdown() string {
	p := &paper{}
	p.line("# Postmortem: %s", inline(orNothing(r.Title)))
	r.facts(p)
	r.people(p)
	p.section("Summary", func() {
		p.line("*To be written: what happened, what it meant for whom, why it could happen, and what is done so that it does not again.*")
	})
	enumerate(p, "Timeline", r.Timeline, func(e tocsin.Event) string { return event(&e) }, "Nothing is on the timeline.")
	if r.TimelineCut {
		p.line("")
		p.line("What was before that is left out here.")
	}
	r.work(p)
	enumerate(p, "Notes", r.Notes, func(e tocsin.Event) string {
		return fmt.Sprintf("%s %s: %s", when(e.At), inline(e.Actor), inline(e.Text))
	}, "Nobody wrote a note.")
	enumerate(p, "Alerts", r.Alerts, alert, "There were none.")
	if more := int(r.AlertsTotal) - len(r.Alerts); more > 0 {
		p.line("- and %d more", more)
	}
	enumerate(p, "Silences that held", r.Silences, silence, "There were none.")
	enumerate(p, "Changes before it", r.Changes, func(e tocsin.Event) string {
		return fmt.Sprintf("%s %s%s", when(e.At), by(e.Actor, ": "), inline(e.Text))
	}, "None are known.")
	if len(r.Missing) > 0 {
		enumerate(p, "Not known", r.Missing, inline, "")
	}
	return p.String()
}

func (r *Report) facts(p *paper) {
	p.line("")
	fact := func(name, format string, args ...any) { p.line("- %s: "+format, append([]any{name}, args...)...) }
	fact("Incident", "%s", code(r.Incident))
	if r.URL != "" {
		fact("Page", "%s", code(r.URL))
	}
	fact("Severity", "%s", inline(cmp.Or(string(r.Severity), "none")))
	fact("State", "%s", inline(string(r.State)))
	fact("Opened", "%s", when(r.OpenedAt))
	if r.SecondsToAcknowledge != nil {
		fact("Acknowledged", "%s%s, after %s (time to acknowledge)", when(r.AcknowledgedAt), by(r.AcknowledgedBy, "", " by "), took(*r.SecondsToAcknowledge))
	} else {
		fact("Acknowledged", "by nobody")
	}
	if r.SecondsToResolve != nil {
		fact("Resolved", "%s%s, after %s (time to resolve)", when(r.ResolvedAt), by(r.ResolvedBy, "", " by "), took(*r.SecondsToResolve))
	} else {
		fact("Resolved", "not yet")
	}
	if r.Reopened > 0 {
		fact("Reopened", "%s", map[bool]string{true: "once", false: fmt.Sprintf("%d times", r.Reopened)}[r.Reopened == 1])
	}
}

func (r *Report) people(p *paper) {
	enumerate(p, "Responders", r.Responders, func(x tocsin.Responder) string {
		text := inline(x.User) + ": called " + when(x.At)
		if x.Calls > 1 {
			text += fmt.Sprintf(" (the last of %d times)", x.Calls)
		}
		switch {
		case !x.Acknowledged.IsZero():
			return text + ", answered " + when(x.Acknowledged)
		case x.Unreachable:
			return text + ", could not be reached"
		default:
			return text + ", did not answer"
		}
	}, "Nobody was called.")
}

// work is what was done with the runbook and the remedies.
func (r *Report) work(p *paper) {
	empty := "There was no runbook."
	if r.Runbook != "" {
		empty = "The runbook has no steps: " + inline(r.Runbook)
	}
	enumerate(p, "Runbook", r.Steps, step, empty)
	enumerate(p, "Remedies", r.Remedies, func(x Remedy) string {
		text := fmt.Sprintf("%s %s on %s: %s", when(x.ProposedAt), code(x.Remedy), code(x.Target), inline(strings.ReplaceAll(string(x.State), "_", " ")))
		if x.Why != "" {
			text += " (" + inline(x.Why) + ")"
		}
		if x.ProposedBy != "" {
			text += ", asked for by " + inline(x.ProposedBy)
		}
		for n, name := range x.ApprovedBy {
			text += map[bool]string{true: ", approved by ", false: " and "}[n == 0] + inline(name)
		}
		if !x.StartedAt.IsZero() {
			text += ", started " + when(x.StartedAt)
		}
		if !x.EndedAt.IsZero() {
			text += ", ended " + when(x.EndedAt)
		}
		return text
	}, "None was run.")
}

func step(v tocsin.StepView) string {
	mark := "[ ]"
	if v.Status == tocsin.StepDone {
		mark = "[x]"
	}
	text := fmt.Sprintf("%s %d\\. %s", mark, v.Number, inline(v.Text))
	if v.Status == tocsin.StepOpen || v.Status == "" {
		return text
	}
	text += " (" + inline(string(v.Status)) + by(v.By, "", " by ")
	if !v.At.IsZero() {
		text += " " + when(v.At)
	}
	if v.Note != "" {
		text += ": " + inline(v.Note)
	}
	if v.Gone {
		text += "; not in the runbook any more"
	}
	return text + ")"
}

func alert(a Alert) string {
	text := inline(a.Summary) + ", fired " + when(a.StartsAt)
	if a.EndsAt.IsZero() {
		text += ", fires"
	} else {
		text += " to " + when(a.EndsAt)
	}
	if a.Suppressed != "" {
		text += ", " + inline(a.Suppressed)
	}
	return text + ": " + code(a.Labels.String())
}

func silence(s tocsin.Silence) string {
	return fmt.Sprintf("%s from %s to %s%s: %s, %s", code(s.ID), when(s.StartsAt), when(s.EndsAt), by(s.CreatedBy, "", " by "), inline(s.Comment), code(strings.Join(s.Matchers, ", ")))
}

// event is a line of the timeline; of a note also who wrote it.
func event(e *tocsin.Event) string {
	if e.Kind == tocsin.EventNote {
		return when(e.At) + " " + by(e.Actor, ": ") + inline(e.Text)
	}
	return when(e.At) + " " + inline(orNothing(e.Text))
}

// by is a name with what goes behind and before it; of nobody it is empty.
func by(name, behind string, before ...string) string {
	if name == "" {
		return ""
	}
	return strings.Join(before, "") + inline(name) + behind
}

func orNothing(text string) string {
	if strings.TrimSpace(text) == "" {
		return "without a text"
	}
	return text
}

func when(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// took is a duration as people say it, to the second below an hour.
func took(seconds int64) string {
	switch {
	case seconds < 60:
		return fmt.Sprintf("%ds", seconds)
	case seconds < 3600:
		return fmt.Sprintf("%dm %02ds", seconds/60, seconds%60)
	default:
		return fmt.Sprintf("%dh %02dm", seconds/3600, seconds/60%60)
	}
}

// paper is what is written on.
type paper struct{ strings.Builder }

func (p *paper) line(format string, args ...any) {
	fmt.Fprintf(p, format, args...)
	p.WriteByte('\n')
}

func (p *paper) section(title string, write func()) {
	p.line("\n## %s\n", title)
	write()
}

// enumerate writes a section with an item for each.
func enumerate[T any](p *paper, title string, items []T, line func(T) string, empty string) {
	p.section(title, func() {
		for _, item := range items {
			p.line("- %s", line(item))
		}
		if len(items) == 0 {
			p.line("%s", empty)
		}
	})
}
