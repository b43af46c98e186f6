package slack

import (
	"strconv"
	"strings"

	"github.com/tocsin-oncall/tocsin"
)

// The action IDs of what can be clicked about a remedy that is proposed. The value
// is the incident and the Remediation.ID; see ParseValue.
const (
	ActionApprove = "tocsin_approve"
	ActionDeny    = "tocsin_deny"
	// ActionPlan asks what would be done, and changes nothing.
	ActionPlan = "tocsin_plan"
)

// remedyPrefix begins the block ID of a remedy's buttons; the incident, the revision
// that is shown and a number follow.
const remedyPrefix = "tocsin_remedy:"

// maxRemedies is how many runs of remedies a message shows, the newest first.
const maxRemedies = 4

// ParseRemedyBlock returns the incident whose remedy the block of that ID is about.
func ParseRemedyBlock(id string) (incident string, ok bool) {
	rest, ours := strings.CutPrefix(id, remedyPrefix)
	incident, rest, cut := strings.Cut(rest, ":")
	if !ours || !cut || incident == "" || strings.Trim(rest, "0123456789:") != "" {
		return "", false
	}
	return incident, true
}

// remedies shows what is proposed and what was done, and asks.
func (v *view) remedies() {
	for n := range v.Remediations {
		if n == maxRemedies {
			v.b.line([]byte("… and " + strconv.Itoa(len(v.Remediations)-n) + " more, on the incident's timeline"))
			break
		}
		r := &v.Remediations[n]
		v.b.line(v.remedyLine(r))
		if v.clickable && r.State == tocsin.RemediationProposed && v.Incident.Open() {
			v.remedyButtons(r, n)
		}
	}
	v.b.flush()
}

func (v *view) remedyLine(r *tocsin.Remediation) []byte {
	b := append(v.line[:0], remedyMark(r.State)+" "...)
	b = appendCode(b, r.Remedy, 60)
	b = append(b, " of "...)
	b = appendCode(b, r.Target, 80)
	b = append(b, ": "+strings.ReplaceAll(string(r.State), "_", " ")...)
	if r.State == tocsin.RemediationProposed {
		if r.Needs > 1 {
			b = append(b, ", "+strconv.Itoa(len(r.Approvals))+" of "+strconv.Itoa(r.Needs)+" approvals"...)
		}
		if !r.ExpiresAt.IsZero() {
			b = appendTime(append(b, ", until "...), r.ExpiresAt)
		}
	}
	if r.Why != "" {
		b = append(b, ": "...)
		b = appendText(b, r.Why, 300, prose)
	}
	return b
}

func remedyMark(s tocsin.RemediationState) string {
	switch s {
	case tocsin.RemediationVerified:
		return "✅"
	case tocsin.RemediationNotFixed, tocsin.RemediationRolledBack, tocsin.RemediationUnknown:
		return "❌"
	case tocsin.RemediationRefused, tocsin.RemediationDenied, tocsin.RemediationExpired:
		return "⛔"
	default:
		return "🛠"
	}
}

// remedyButtons ask for an answer. The confirmation says what is about to happen,
// since a run cannot be taken back.
func (v *view) remedyButtons(r *tocsin.Remediation, n int) {
	i := v.Incident
	value := i.ID + ":" + r.ID
	word := "Approve"
	if r.Mode == tocsin.ModeSuggest {
		word = "Run"
	}
	yes := button(ActionApprove, word, value, "primary")
	yes.Confirm = &confirm{
		Title: label(word + " this remedy?"), Confirm: label(word), Deny: label("Not now"),
		Text: label(escape(r.Remedy+" of "+r.Target, 200, plain) + ". What it would do exactly: Plan."),
	}
	v.b.flush()
	v.b.blocks = append(v.b.blocks, block{
		Type: "actions", BlockID: remedyPrefix + i.ID + ":" + strconv.FormatUint(i.Revision, 10) + ":" + strconv.Itoa(n),
		Elements: []control{yes, button(ActionDeny, "Deny", value, ""), button(ActionPlan, "Plan", value, "")},
	})
}

// PlanLines say what a remedy would do, for a Reply.
func PlanLines(p *tocsin.RemedyPlan) []string {
	lines := []string{"🛠 " + Code(p.Remedy, 60) + " of " + Code(p.Target, 80) + " would run:"}
	for _, a := range p.Argv {
		lines = append(lines, "• "+Code(strconv.Quote(a), 600))
	}
	add := func(what, text string) {
		if text != "" {
			lines = append(lines, what+": "+Escape(text, 600))
		}
	}
	add("Matched", strings.Join(p.Matched, ", "))
	add("Environment", strings.Join(p.Environment, ", "))
	add("Stdin", p.Stdin)
	add("Precheck", p.Precheck)
	add("Budget", p.Budget)
	add("Sandbox", p.Sandbox)
	for _, why := range p.Refused {
		add("⛔ It would not run", why)
	}
	return lines
}
