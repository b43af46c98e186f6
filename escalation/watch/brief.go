package watch

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// maxBrief is the most lines of one part of a brief.
const maxBrief = 10

// brief is what the next one on call should know: what is open, what somebody
// has taken and still fires, which snoozes end in the shift, and what is
// silenced until when. progress says how far people are with an incident's runbook.
func brief(open []*tocsin.Incident, silences []tocsin.Silence, progress func(*tocsin.Incident) string, from, to time.Time) string {
	var triggered, held, snoozed, quiet []string
	for _, inc := range open {
		line := fmt.Sprintf("%s %s %s (%s)", inc.ID, inc.Severity, inc.Title, age(from.Sub(inc.OpenedAt)))
		if inc.Runbook != "" {
			line += ", runbook " + inc.Runbook
			if far := progress(inc); far != "" {
				line += " (" + far + ")"
			}
		}
		switch e := inc.Escalation; {
		case e != nil && !e.SnoozedUntil.IsZero():
			if e.SnoozedUntil.Before(to) {
				snoozed = append(snoozed, line+", until "+e.SnoozedUntil.UTC().Format("Mon 15:04 MST"))
			}
		case inc.State == tocsin.Acknowledged && inc.Firing > 0:
			held = append(held, line+", taken by "+inc.AcknowledgedBy)
		case inc.State == tocsin.Acknowledged:
			held = append(held, line+", taken by "+inc.AcknowledgedBy+", nothing fires")
		default:
			triggered = append(triggered, line)
		}
	}
	for i := range silences {
		if s := &silences[i]; s.Active(from) {
			quiet = append(quiet, fmt.Sprintf("%s by %s until %s: %s", strings.Join(s.Matchers, " "), s.CreatedBy, s.EndsAt.UTC().Format("Mon 2 Jan 15:04 MST"), s.Comment))
		}
	}
	var b strings.Builder
	part(&b, "Open and not taken", triggered)
	part(&b, "Taken and not resolved", held)
	part(&b, "Snoozes that end in this shift", snoozed)
	part(&b, "Silences", quiet)
	if b.Len() == 0 {
		return "Nothing is open, and nothing is silenced."
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func part(b *strings.Builder, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "%s:\n", title)
	for _, l := range lines[:min(len(lines), maxBrief)] {
		fmt.Fprintf(b, "  %s\n", l)
	}
	if more := len(lines) - maxBrief; more > 0 {
		fmt.Fprintf(b, "  and %d more\n", more)
	}
}

func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("for %dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("for %dh", int(d.Hours()))
	default:
		return fmt.Sprintf("for %dd", int(d.Hours()/24))
	}
}

// openOf lists what is open, the most urgent first.
func openOf(store Store) []*tocsin.Incident {
	var out []*tocsin.Incident
	store.Live(func(inc *tocsin.Incident) bool {
		if inc.Open() && inc.Kind != tocsin.KindNotice {
			out = append(out, inc)
		}
		return true
	})
	slices.SortFunc(out, func(a, b *tocsin.Incident) int {
		return cmp.Or(cmp.Compare(b.Severity.Rank(), a.Severity.Rank()), a.OpenedAt.Compare(b.OpenedAt), cmp.Compare(a.ID, b.ID))
	})
	return out
}
