package tocsin

import (
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
)

// Well-known label and annotation names, as Prometheus and its community use
// them.
const (
	LabelAlertName = "alertname"
	LabelSeverity  = "severity"

	AnnotationSummary     = "summary"
	AnnotationDescription = "description"
	AnnotationRunbookURL  = "runbook_url"
)

// Labels is a set of label (or annotation) names and values. A nil Labels is
// empty. Names and values are arbitrary UTF-8: escape them at every output.
type Labels map[string]string

// Names returns the label names in ascending order.
func (l Labels) Names() []string {
	names := make([]string, 0, len(l))
	for n := range l {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// String writes the labels as Prometheus does: {a="x", b="y"}, in ascending
// order of names, values quoted.
func (l Labels) String() string {
	var b strings.Builder
	b.WriteByte('{')
	for i, n := range l.Names() {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(n)
		b.WriteByte('=')
		b.WriteString(strconv.Quote(l[n]))
	}
	b.WriteByte('}')
	return b.String()
}

// Pick returns the named labels that are present.
func (l Labels) Pick(names []string) Labels {
	out := make(Labels, len(names))
	for _, n := range names {
		if v, ok := l[n]; ok {
			out[n] = v
		}
	}
	return out
}

// Fingerprint is Prometheus' 64-bit FNV-1a hash of the label set, the same that
// Alertmanager writes as "fingerprint"
// (github.com/prometheus/common/model, LabelSet.Fingerprint).
func (l Labels) Fingerprint() uint64 {
	h := fnv.New64a()
	sep := []byte{0xff}
	for _, n := range l.Names() {
		h.Write([]byte(n))
		h.Write(sep)
		h.Write([]byte(l[n]))
		h.Write(sep)
	}
	return h.Sum64()
}

// Severity orders alerts and incidents by how urgent they are. Its values are
// those of PagerDuty's Events API v2. The zero value is the empty severity,
// which ranks below info.
type Severity string

// The severities, most urgent first.
const (
	Critical Severity = "critical"
	Error    Severity = "error"
	Warning  Severity = "warning"
	Info     Severity = "info"
)

// ParseSeverity maps the common spellings of a severity label to a Severity.
// An unknown or missing one is an Error: something fires and nobody said that
// it may wait.
func ParseSeverity(s string) Severity {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "critical", "crit", "page", "emergency", "fatal", "disaster", "p0", "p1", "sev1":
		return Critical
	case "warning", "warn", "medium", "minor", "ticket", "p3", "sev3":
		return Warning
	case "info", "informational", "information", "low", "none", "notice", "debug", "p4", "p5", "sev4":
		return Info
	default:
		return Error
	}
}

// Rank is higher for the more urgent: Critical 4, Error 3, Warning 2, Info 1,
// anything else 0.
func (s Severity) Rank() int {
	switch s {
	case Critical:
		return 4
	case Error:
		return 3
	case Warning:
		return 2
	case Info:
		return 1
	default:
		return 0
	}
}
