package runbooks

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tocsin-oncall/tocsin"
)

// Level is how grave a finding is.
type Level string

// The levels of findings. An error makes a check fail.
const (
	LevelError   Level = "error"
	LevelWarning Level = "warning"
)

// Codes of findings beyond those of problems.
const (
	LintUnusable       = "unparsable"
	LintNoSteps        = "no-steps"
	LintDeadLink       = "dead-link"
	LintDuplicateAlert = "duplicate-alert"
	LintUncovered      = "rule-without-runbook"
	LintElsewhere      = "runbook-elsewhere"
	LintUnused         = "runbook-without-rule"
	LintOpenFence      = "unclosed-fence"
	LintBadRules       = "bad-rule-file"
)

// Finding is one thing that Lint has to say.
type Finding struct {
	File string `json:"file"`
	// Line counts from 1; 0 means the file as a whole.
	Line     int    `json:"line,omitempty"`
	Severity Level  `json:"severity"`
	Code     string `json:"code"`
	Text     string `json:"text"`
}

// String writes "file:line: severity: text (code)".
func (f Finding) String() string {
	where := f.File
	if f.Line > 0 {
		where = fmt.Sprintf("%s:%d", f.File, f.Line)
	}
	return fmt.Sprintf("%s: %s: %s (%s)", where, f.Severity, f.Text, f.Code)
}

// Report is what Lint found. Its JSON is stable.
type Report struct {
	// Runbooks, Steps and Rules count what was checked.
	Runbooks int `json:"runbooks"`
	Steps    int `json:"steps"`
	Rules    int `json:"rules"`
	// Findings are in the order of files and lines; never nil.
	Findings []Finding `json:"findings"`
}

// Failed reports whether a finding is an error.
func (r Report) Failed() bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Severity == LevelError })
}

// Lint checks folders of runbooks, and, where rules names files or folders of
// Prometheus alerting rules, that each rule has a runbook and each runbook a
// rule; and, where remedies is not nil, that each remedy that a fence names is one
// of them. It reads files only, and never fails: what cannot be read is a finding.
//
// Errors are: files and parts that cannot be used, dead relative links, alerts
// and IDs that two runbooks claim, remedies that are not declared, and rules
// without any runbook. Warnings are:
// runbooks of alerts without steps, alerts that no rule has, rules whose
// runbook_url leads outside of the folders, and code blocks left open.
func Lint(dirs, rules, remedies []string) Report {
	lib, problems, err := Load(dirs)
	r := Report{Findings: []Finding{}}
	for _, p := range problems {
		r.Findings = append(r.Findings, Finding{p.File, p.Line, LevelError, p.Code, p.Text})
	}
	if err != nil {
		r.Findings = append(r.Findings, Finding{strings.Join(dirs, ","), 0, LevelError, LintUnusable, err.Error()})
		lib = &Library{}
	}
	r.Runbooks = len(lib.runbooks)
	for _, rb := range lib.runbooks {
		r.Steps += len(rb.Steps)
	}
	dirOf := lib.folders()
	r.Findings = append(r.Findings, lib.lintFiles()...)
	r.Findings = append(r.Findings, lib.lintRunbooks(dirOf)...)
	r.Findings = append(r.Findings, lintLinks(lib.docs)...)
	if remedies != nil {
		r.Findings = append(r.Findings, lib.LintRemedies(remedies)...)
	}
	if len(rules) > 0 {
		found, bad := readRules(rules)
		r.Rules = len(found)
		r.Findings = append(r.Findings, bad...)
		r.Findings = append(r.Findings, lib.lintRules(found)...)
		r.Findings = append(r.Findings, lib.lintUnused(found, dirOf)...)
	}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Text, b.Text))
	})
	return r
}

// folders maps runbooks to the folders they were read from.
func (l *Library) folders() map[*tocsin.Runbook]string {
	out := map[*tocsin.Runbook]string{}
	for _, d := range l.docs {
		for i := range d.runbooks {
			out[&d.runbooks[i]] = d.dir
		}
	}
	return out
}

func (l *Library) lintFiles() []Finding {
	var out []Finding
	for _, d := range l.docs {
		if d.openFence > 0 {
			out = append(out, Finding{
				filepath.Join(d.dir, d.file), d.openFence, LevelWarning, LintOpenFence,
				"this code block is not closed: all that follows is taken for code",
			})
		}
	}
	return out
}

func (l *Library) lintRunbooks(dirOf map[*tocsin.Runbook]string) []Finding {
	var out []Finding
	first := map[string]*tocsin.Runbook{}
	for _, rb := range l.runbooks {
		file := filepath.Join(dirOf[rb], rb.File)
		if len(rb.Steps) == 0 && (len(rb.Alerts) > 0 || len(rb.Matchers) > 0) {
			out = append(out, Finding{
				file, rb.Line, LevelWarning, LintNoSteps,
				fmt.Sprintf("the runbook %q has no steps: say what to do in a list or code block under a heading such as Diagnosis or Mitigation", rb.Title),
			})
		}
		if len(rb.Matchers) > 0 {
			continue
		}
		for _, a := range rb.Alerts {
			key := strings.ToLower(a)
			if f, ok := first[key]; ok && f != rb {
				out = append(out, Finding{
					file, rb.Line, LevelError, LintDuplicateAlert,
					fmt.Sprintf("%s is for the alert %s as well: that one is used; take the alert out of one of them, or tell them apart with matchers",
						filepath.Join(dirOf[f], f.File)+fmt.Sprintf(":%d", f.Line), a),
				})
				continue
			}
			first[key] = rb
		}
	}
	return out
}

// lintRules finds rules that no runbook is for.
func (l *Library) lintRules(rules []Rule) []Finding {
	var out []Finding
	for i := range rules {
		r := &rules[i]
		if found, _ := l.find(r); found.Runbook != "" {
			continue
		}
		f := Finding{
			r.File, r.Line, LevelError, LintUncovered,
			fmt.Sprintf("no runbook is for the alert %s: add one, or name the alert in one that is", r.Name),
		}
		if url := r.Annotations[tocsin.AnnotationRunbookURL]; url != "" {
			f.Severity, f.Code = LevelWarning, LintElsewhere
			f.Text = fmt.Sprintf("the runbook of the alert %s (%s) is in none of the folders: its steps will not stand beside the incident", r.Name, url)
		}
		out = append(out, f)
	}
	return out
}

// lintUnused finds alerts of runbooks that no rule fires.
func (l *Library) lintUnused(rules []Rule, dirOf map[*tocsin.Runbook]string) []Finding {
	known := map[string]bool{}
	for _, r := range rules {
		known[strings.ToLower(r.Name)] = true
	}
	var out []Finding
	for _, rb := range l.runbooks {
		for _, a := range rb.Alerts {
			if !known[strings.ToLower(a)] {
				out = append(out, Finding{
					filepath.Join(dirOf[rb], rb.File), rb.Line, LevelWarning, LintUnused,
					fmt.Sprintf("no rule fires the alert %s: correct its name, or check that its rules were given", a),
				})
			}
		}
	}
	return out
}
