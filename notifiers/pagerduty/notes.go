package pagerduty

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	pd "github.com/PagerDuty/go-pagerduty"

	"github.com/tocsin-oncall/tocsin"
)

const (
	// maxNotes is how many notes follow one call, the latest, and notesFor how
	// long they may take: pages wait behind them.
	maxNotes = 5
	notesFor = 4 * time.Second
	// maxNote is the longest note in characters. PagerDuty documents none; its
	// own pages take 25,000.
	maxNote = 20_000
)

// withNotes writes what was noted here, and not there, since the last time.
func (p *Notifier) withNotes(ctx context.Context, n *tocsin.Notice, r tocsin.Receipt) tocsin.Receipt {
	remote := n.Delivery.Heard().Remote
	if p.notes == nil || remote == "" || r.More || r.Ref != "" && r.Ref != n.Delivery.Ref {
		return r
	}
	var notes []*tocsin.Event
	for i := range n.Events {
		e := &n.Events[i]
		r.Told = max(r.Told, e.Seq)
		if e.Kind == tocsin.EventNote && e.Seq > n.Delivery.Told && e.Target != n.Delivery.Target {
			notes = append(notes, e)
		}
	}
	if len(notes) == 0 {
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, notesFor)
	defer cancel()
	said := func(format string, args ...any) {
		r.Text = strings.TrimPrefix(r.Text+"; "+fmt.Sprintf(format, args...), "; ")
	}
	if more := len(notes) - maxNotes; more > 0 {
		said("%d older notes were not written into PagerDuty: too many at once", more)
		notes = notes[more:]
	}
	for i, e := range notes {
		if err := p.notes.AddNote(ctx, remote, noteText(n.Incident.ID, e)); err != nil {
			said("%d of %d notes were not written into PagerDuty: %v", len(notes)-i, len(notes), err)
			return r
		}
	}
	said("noted in PagerDuty")
	return r
}

// noteText begins with what OwnNote knows it by.
func noteText(incident string, e *tocsin.Event) string {
	by := ""
	if e.Actor != "" {
		by = line(e.Actor) + ": "
	}
	return clip(noteMark(incident)+strconv.FormatUint(e.Seq, 10)+"] "+by+cleanText(head(e.Text, maxNote)), maxNote)
}

func noteMark(incident string) string { return "[Tocsin " + line(incident) + "#" }

// OwnNote reports whether the text of a note in PagerDuty is one that a Notifier
// wrote about the incident.
func OwnNote(incident, text string) bool {
	rest, ok := strings.CutPrefix(strings.TrimSpace(text), noteMark(incident))
	if !ok {
		return false
	}
	seq, _, ok := strings.Cut(rest, "]")
	_, err := strconv.ParseUint(seq, 10, 64)
	return ok && err == nil
}

// AddNote writes a note on an incident of PagerDuty's
// (https://developer.pagerduty.com/api-reference/a1ac30885eb7a-create-a-note-on-an-incident).
// The token needs the right to write; one of an account, not of a user, needs
// RESTConfig.From too. Doing it again writes it twice. Errors are those of
// OnCalls.
func (r *REST) AddNote(ctx context.Context, incidentID, text string) error {
	if r.token == "" {
		return tocsin.Permanent(errNoToken)
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	var a answer
	note := pd.IncidentNote{Content: text, User: pd.APIObject{Summary: r.from}}
	_, err := r.client.CreateIncidentNoteWithContext(context.WithValue(ctx, answerKey{}, &a), pathID(incidentID), note)
	switch {
	case a.err != nil:
		return tocsin.Unclear(fmt.Errorf("PagerDuty did not answer: %w", &hidden{r.redact(a.err.Error()), a.err}))
	case a.status == 0:
		return tocsin.Permanent(errAPIURL)
	case err == nil && a.status < 300:
		return nil
	}
	return r.classify(&a, err)
}

// errNoToken and errAPIURL are what every question of the REST API may meet.
var (
	errNoToken = errors.New("no PagerDuty API token: set pagerduty.api_token or pagerduty.api_token_file")
	errAPIURL  = errors.New("the call to PagerDuty could not be made: check pagerduty.api_url, it must be an http or https address")
)
