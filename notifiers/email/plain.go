package email

import (
	"fmt"
	"strings"
)

// plain writes the mail's text/plain form.
func (v *view) plain() string {
	var b strings.Builder
	v.plainTop(&b)
	v.plainAlerts(&b)
	v.plainRunbook(&b)
	v.plainEntries(&b, v.NewsTitle, v.News)
	b.WriteString("\n-- \n" + v.Foot + "\n")
	return b.String()
}

func (v *view) plainTop(b *strings.Builder) {
	if v.Headline != "" {
		b.WriteString(v.Headline + "\n\n")
	}
	b.WriteString(v.Title + "\n")
	if v.State != "" {
		b.WriteString("\n" + v.State)
		for _, more := range []string{v.Severity, v.Since} {
			if more != "" {
				b.WriteString(", " + more)
			}
		}
		b.WriteString("\n")
	}
	if len(v.Counts) > 0 {
		b.WriteString(strings.Join(v.Counts, ", ") + "\n")
	}
	if v.Text != "" {
		b.WriteString("\n" + v.Text + "\n")
	}
	v.plainEntries(b, v.AheadTitle, v.Ahead)
	if v.URL != "" {
		b.WriteString("\nOpen: " + v.URL + "\n")
	}
	switch {
	case v.Ack != "" && v.URL != "":
		b.WriteString("Acknowledge: there, or with the command: " + v.Ack + "\n")
	case v.Ack != "":
		b.WriteString("\nAcknowledge with the command: " + v.Ack + "\n")
	}
}

func (v *view) plainEntries(b *strings.Builder, title string, entries []entry) {
	if len(entries) == 0 {
		return
	}
	b.WriteString("\n" + title + ":\n")
	for _, e := range entries {
		b.WriteString("  " + e.At + "  " + e.Text + "\n")
	}
}

func (v *view) plainAlerts(b *strings.Builder) {
	if len(v.Alerts) == 0 {
		return
	}
	b.WriteString("\nAlerts:\n")
	if v.Common != "" {
		b.WriteString("  All: " + v.Common + "\n")
	}
	for _, a := range v.Alerts {
		fmt.Fprintf(b, "  * %s (%s)\n", a.Title, a.State)
		for _, more := range []string{a.Text, a.Labels, a.Graph, a.Runbook} {
			if more != "" {
				b.WriteString("    " + more + "\n")
			}
		}
	}
	if v.MoreAlerts != "" {
		b.WriteString("  " + v.MoreAlerts + "\n")
	}
}

func (v *view) plainRunbook(b *strings.Builder) {
	r := v.Runbook
	if r == nil {
		return
	}
	b.WriteString("\nRunbook: " + r.Title + "\n")
	if r.URL != "" {
		b.WriteString("  " + r.URL + "\n")
	}
	for _, s := range r.Steps {
		indent := strings.Repeat("   ", s.Depth) + "  "
		b.WriteString(strings.TrimRight(indent+s.Number+" "+s.Text, " ") + "\n")
		for _, c := range s.Commands {
			b.WriteString(indent + "     " + strings.ReplaceAll(c, "\n", "\n"+indent+"     ") + "\n")
		}
		if s.Unfilled != "" {
			b.WriteString(indent + "   " + s.Unfilled + "\n")
		}
	}
	if r.More != "" {
		b.WriteString("  " + r.More + "\n")
	}
}
