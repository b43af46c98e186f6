package tocsin

// Runbook is what a markdown file says to do about an alert. It is data: how it
// is parsed, matched and filled in is package runbooks' concern.
type Runbook struct {
	// ID is stable while the file and the heading keep their names:
	// "bitcell/incident-response#node-down".
	ID    string `json:"id"`
	Title string `json:"title"`
	// File is the path below its runbook folder; Line is where the unit starts.
	File string `json:"file"`
	Line int    `json:"line"`
	// Alerts are the alert names that the unit is for.
	Alerts []string `json:"alerts,omitempty"`
	// Matchers, in Alertmanager's syntax, as the front matter gives them.
	Matchers []string `json:"matchers,omitempty"`
	// URL that an alert's runbook_url may name this runbook by.
	URL      string `json:"url,omitempty"`
	Severity string `json:"severity,omitempty"`
	// Stale says why this is not what the file says now, but the last version of it
	// that could be read. Empty: it is what the file says.
	Stale    string    `json:"stale,omitempty"`
	Sections []Section `json:"sections,omitempty"`
	// Steps are all steps of all sections, in order.
	Steps []Step `json:"steps,omitempty"`
}

// SectionKind is what a section is for, whatever its heading's wording.
type SectionKind string

// The kinds of sections.
const (
	SectionMeaning    SectionKind = "meaning"
	SectionImpact     SectionKind = "impact"
	SectionDiagnosis  SectionKind = "diagnosis"
	SectionMitigation SectionKind = "mitigation"
	SectionResolution SectionKind = "resolution"
	SectionEscalation SectionKind = "escalation"
	SectionFollowUp   SectionKind = "follow-up"
	SectionOther      SectionKind = "other"
)

// Section is a part of a runbook: its heading, and its prose as plain text.
type Section struct {
	Kind  SectionKind `json:"kind"`
	Title string      `json:"title"`
	Text  string      `json:"text,omitempty"`
	Links []Link      `json:"links,omitempty"`
}

// Link is a link in a runbook.
type Link struct {
	Text string `json:"text"`
	URL  string `json:"url"`
}

// Step is one thing to do.
type Step struct {
	// ID survives edits elsewhere in the file: it is made of the step's heading
	// path and its own text.
	ID      string      `json:"id"`
	Section SectionKind `json:"section"`
	// Condition under which the step applies: "If resource constrained".
	Condition string `json:"condition,omitempty"`
	// Text in words; empty when the step is only its commands.
	Text string `json:"text,omitempty"`
	// Depth is 0 for a step, 1 and up for a step within a step.
	Depth    int       `json:"depth,omitempty"`
	Commands []Command `json:"commands,omitempty"`
	Links    []Link    `json:"links,omitempty"`
}

// Command is a fenced block, or an inline command, of a step.
type Command struct {
	// Lang is the fence's language: "bash", "promql". Empty: none was given.
	Lang string `json:"lang,omitempty"`
	Text string `json:"text"`
	// Remediation names the remedy that the fence stands for, as its info string
	// says: ```bash {remediation=restart-node}. It has a button that runs the remedy;
	// the text itself is never executed. Empty: none.
	Remediation string `json:"remediation,omitempty"`
	// Unfilled lists the placeholders, as written, that no label filled.
	Unfilled []string `json:"unfilled,omitempty"`
}
