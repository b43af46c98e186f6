package runbooks

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/tocsin-oncall/tocsin"
)

// What is looked at for what stands beside the steps, and what is kept of it.
const (
	// BesideWindow is how far back an alert's firings are counted.
	BesideWindow = 30 * 24 * time.Hour
	// BesideTimeout is how long it is waited for: a page does not wait for it
	// longer.
	BesideTimeout = 2 * time.Second
)

const (
	// changesBefore is how far before an incident changes are looked for where its
	// alert was never seen to resolve.
	changesBefore = 24 * time.Hour

	maxEarlier = 3   // earlier times that are told of
	maxNotes   = 10  // notes, and remedies, of one of them: the newest
	maxNote    = 500 // characters of a note
	maxSimilar = 10
	maxChanges = 20
)

// Beside is what stands beside the steps of an incident's runbook: what is known of
// the same alert, of others like it, and of what was changed. Texts in it are from
// outside: escape them at every output.
type Beside struct {
	// Incident is its ID.
	Incident string `json:"incident"`
	// Since is the beginning of the time over which Fired counts.
	Since time.Time `json:"since"`
	// Fired is how often incidents of the same alert (its name and its group) were
	// opened and reopened since then, this one included.
	Fired Count `json:"fired"`
	// Earlier are the last three times that it was resolved before this incident was
	// opened, the newest first, however long ago.
	Earlier []Earlier `json:"earlier"`
	// Similar are other open incidents with the same alert or the same runbook: the
	// same alert first, then the newest; at most ten of SimilarTotal.
	Similar      []Similar `json:"similar"`
	SimilarTotal Count     `json:"similarTotal"`
	// LastFine is when the alert was last resolved before the incident, or before it
	// reopened; zero: not known.
	LastFine time.Time `json:"lastFine,omitzero"`
	// ChangesSince is LastFine, or a day before the incident where that is not known,
	// and never before Since.
	ChangesSince time.Time `json:"changesSince,omitzero"`
	// Changes since then, the newest first: at most twenty of ChangesTotal.
	Changes      []tocsin.Event `json:"changes"`
	ChangesTotal Count          `json:"changesTotal"`
	// Missing says in words what could not be read, and why.
	Missing []string `json:"missing,omitempty"`
}

// Count is a number of things, or what is known of it.
type Count struct {
	N int `json:"n"`
	// AtLeast tells that not everything was looked at.
	AtLeast bool `json:"atLeast,omitempty"`
}

// String writes "7" or "at least 7".
func (c Count) String() string {
	if c.AtLeast {
		return "at least " + strconv.Itoa(c.N)
	}
	return strconv.Itoa(c.N)
}

// Earlier is one time that an alert fired, and what was done about it until it was
// resolved.
type Earlier struct {
	// Incident is its ID.
	Incident       string    `json:"incident"`
	Title          string    `json:"title"`
	OpenedAt       time.Time `json:"openedAt"`
	ResolvedAt     time.Time `json:"resolvedAt"`
	AcknowledgedBy string    `json:"acknowledgedBy,omitempty"`
	ResolvedBy     string    `json:"resolvedBy,omitempty"`
	// Resolution is what was said when it was resolved.
	Resolution string `json:"resolution,omitempty"`
	// Notes of people, and what remedies did, the oldest first.
	Notes    []Note `json:"notes"`
	Remedies []Note `json:"remedies,omitempty"`
	// Steps of the runbook that were done or skipped, in the order of their first
	// touch.
	Steps []tocsin.StepProgress `json:"steps"`
	// Cut tells that there may be more notes, remedies or steps than these.
	Cut bool `json:"cut,omitempty"`
}

// Took is how long it took from the first alert until it was resolved.
func (t *Earlier) Took() time.Duration { return t.ResolvedAt.Sub(t.OpenedAt) }

// Note is what somebody wrote, or what a remedy did.
type Note struct {
	By   string    `json:"by,omitempty"`
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// Similar is another open incident, and what makes it similar.
type Similar struct {
	// Incident is its ID.
	Incident    string          `json:"incident"`
	Title       string          `json:"title"`
	State       tocsin.State    `json:"state"`
	Severity    tocsin.Severity `json:"severity"`
	OpenedAt    time.Time       `json:"openedAt"`
	SameAlert   bool            `json:"sameAlert,omitempty"`
	SameRunbook bool            `json:"sameRunbook,omitempty"`
	// MergedInto is the incident that it pages through.
	MergedInto string `json:"mergedInto,omitempty"`
}

// namedByGroup reports whether all alerts of the incident have one name, and all
// incidents of its group too.
func namedByGroup(inc *tocsin.Incident) bool {
	return slices.Contains(inc.GroupBy, tocsin.LabelAlertName)
}

// countFired counts how often the incidents fired since a time.
func countFired(same []*tocsin.Incident, since time.Time) (n int) {
	for _, inc := range same {
		if !inc.OpenedAt.Before(since) {
			n += 1 + int(inc.Reopened)
		}
	}
	return n
}

// before are the newest of the same incidents that were resolved before inc was
// opened.
func before(same []*tocsin.Incident, inc *tocsin.Incident) []*tocsin.Incident {
	out := slices.DeleteFunc(slices.Clone(same), func(i *tocsin.Incident) bool {
		return i.ID == inc.ID || i.Open() || i.ResolvedAt.IsZero() || i.ResolvedAt.After(inc.OpenedAt)
	})
	slices.SortStableFunc(out, func(a, b *tocsin.Incident) int { return b.ResolvedAt.Compare(a.ResolvedAt) })
	return out[:min(len(out), maxEarlier)]
}

// newEarlier tells of an incident that was resolved, from its timeline. Whole is
// whether that is all of it.
func newEarlier(inc *tocsin.Incident, events []tocsin.Event, whole bool) Earlier {
	t := Earlier{
		Incident: inc.ID, Title: inc.Title, OpenedAt: inc.OpenedAt, ResolvedAt: inc.ResolvedAt,
		AcknowledgedBy: inc.AcknowledgedBy, ResolvedBy: inc.ResolvedBy, Cut: !whole,
		Notes: []Note{}, Steps: []tocsin.StepProgress{},
	}
	for _, e := range events {
		note := Note{By: e.Actor, At: e.At, Text: short(e.Text)}
		switch {
		case e.Kind == tocsin.EventResolved:
			t.Resolution = note.Text
		case e.At.After(inc.ResolvedAt):
		case e.Kind == tocsin.EventNote && e.Actor != "":
			t.Notes = append(t.Notes, note)
		case e.Kind == tocsin.EventRemediation:
			t.Remedies = append(t.Remedies, note)
		}
	}
	t.Notes, t.Remedies = t.newest(t.Notes), t.newest(t.Remedies)
	if inc.Progress == nil {
		return t
	}
	for _, s := range inc.Progress.Steps {
		if (s.Status == tocsin.StepDone || s.Status == tocsin.StepSkipped) && !s.At.After(inc.ResolvedAt) {
			t.Steps = append(t.Steps, s)
		}
	}
	return t
}

func (t *Earlier) newest(notes []Note) []Note {
	n := len(notes) - maxNotes
	if n <= 0 {
		return notes
	}
	t.Cut = true
	return notes[n:]
}

// lastFine is when the alert last was fine before it fired as it does, or did, in
// inc: before inc reopened, or else when the time before was resolved.
func lastFine(inc *tocsin.Incident, timeline []tocsin.Event, earlier []*tocsin.Incident) time.Time {
	reopened := false
	for _, e := range slices.Backward(timeline) {
		switch {
		case e.Kind == tocsin.EventReopened:
			reopened = true
		case e.Kind == tocsin.EventResolved && reopened:
			return e.At
		}
	}
	if reopened || inc.Reopened > 0 || len(earlier) == 0 {
		return time.Time{} // it lies before what was read, or there is none
	}
	return earlier[0].ResolvedAt
}

// changesSpan is the span of time in which a change may have made the alert fire.
func changesSpan(inc *tocsin.Incident, fine, now time.Time) (from, to time.Time) {
	from, to = fine, now
	if fine.IsZero() {
		from = inc.OpenedAt.Add(-changesBefore)
	}
	if !inc.Open() {
		to = inc.ResolvedAt
	}
	if first := now.Add(-BesideWindow); from.Before(first) {
		from = first
	}
	return from, to
}

// similarity tells what makes other similar to inc; false: nothing does.
func similarity(inc, other *tocsin.Incident, mine, theirs []string) (Similar, bool) {
	s := Similar{
		Incident: other.ID, Title: other.Title, State: other.State, Severity: other.Severity, OpenedAt: other.OpenedAt, MergedInto: other.MergedInto,
		SameRunbook: inc.Runbook != "" && inc.Runbook == other.Runbook, SameAlert: overlap(mine, theirs),
	}
	return s, other.ID != inc.ID && other.Open() && (s.SameAlert || s.SameRunbook)
}

// bySimilarity orders the most similar first, then the newest.
func bySimilarity(a, b Similar) int {
	switch {
	case a.SameAlert != b.SameAlert && a.SameAlert:
		return -1
	case a.SameAlert != b.SameAlert:
		return 1
	case !a.OpenedAt.Equal(b.OpenedAt):
		return b.OpenedAt.Compare(a.OpenedAt)
	default:
		return strings.Compare(a.Incident, b.Incident)
	}
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(name string) bool { return slices.Contains(b, name) })
}

// short cuts a text, and drops what cannot be shown.
func short(s string) string {
	s = strings.Map(func(r rune) rune {
		if r != '\n' && !unicode.IsGraphic(r) {
			return -1
		}
		return r
	}, s[:min(len(s), 8*maxNote)])
	if r := []rune(s); len(r) > maxNote {
		return string(r[:maxNote-1]) + "…"
	}
	return s
}
