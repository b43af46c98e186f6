package remediation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// ledger is a transaction over the remediations.
type ledger struct {
	tx      tocsin.Tx
	decoder *decoder
	now     time.Time
	// ended are those that have come to their end in it.
	ended []tocsin.Remediation
}

// write runs a decision in a transaction.
func (e *Engine) write(ctx context.Context, fn func(*ledger) error) error {
	now := e.o.Now()
	var l *ledger
	err := e.o.Store.Update(ctx, func(tx tocsin.Tx) error {
		l = &ledger{tx: tx, decoder: &e.decoder, now: now}
		return fn(l)
	})
	if err == nil {
		e.metrics.ended(l.ended)
		for _, r := range l.ended {
			e.o.Ended(r)
		}
	}
	return err
}

// insist writes what has happened already, and tries again for as long as the
// store cannot.
func (e *Engine) insist(ctx context.Context, fn func(*ledger) error) error {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := e.write(ctx, fn)
		if err == nil || ctx.Err() != nil || !errors.Is(err, tocsin.ErrUnavailable) {
			return err
		}
		e.o.Logger.Warn("what a remedy did could not be written; tried again", "error", err)
		if !sleep(ctx, wait) {
			return err
		}
	}
}

// sleep reports whether it was not interrupted.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func (l *ledger) all() *index { return l.decoder.index(l.tx.Documents(KindRecord)) }

// find returns a copy to change, or nil.
func (l *ledger) find(id string) (*record, error) {
	value := l.tx.Document(KindRecord, id)
	if value == nil {
		return nil, nil
	}
	r := new(record)
	if err := json.Unmarshal(value, r); err != nil {
		return nil, fmt.Errorf("remediation %s cannot be read; restore it, or upgrade: %w", id, err)
	}
	return r, nil
}

// must is find, where what does not exist is tocsin.ErrNotFound.
func (l *ledger) must(id string) (*record, error) {
	r, err := l.find(id)
	if err == nil && r == nil {
		err = tocsin.ErrNotFound
	}
	return r, err
}

// mayChange is must, where tocsin.OnlyIf allows the change of that run.
func (l *ledger) mayChange(ctx context.Context, id string) (*record, error) {
	r, err := l.must(id)
	if err == nil {
		err = tocsin.Allowed(ctx, &r.Remediation)
	}
	return r, err
}

func (l *ledger) stops() stops { return readStops(l.tx.Documents(KindSwitch)) }

func readStops(docs []tocsin.Document, _ uint64) stops {
	out := make(stops, len(docs))
	for _, d := range docs {
		var s stop
		if err := json.Unmarshal(d.Value, &s); err != nil {
			s = stop{Stopped: true, By: "a switch that cannot be read"}
		}
		out[d.ID] = s
	}
	return out
}

// put writes a record without a word.
func (l *ledger) put(r *record) error {
	value, err := json.Marshal(r)
	if err != nil {
		return err
	}
	l.tx.PutDocument(KindRecord, r.ID, value)
	return nil
}

// say writes a record, and says what happened to it: in its own log, and on the
// incident's timeline.
func (l *ledger) say(r *record, by, text string) error {
	text = short(text)
	r.note(by, text, l.now)
	if inc := l.tx.Incident(r.Incident); inc != nil {
		inc.Touch(l.now)
		l.tx.PutIncident(inc)
		l.tx.Append(inc.Event(tocsin.EventRemediation, by, r.title()+": "+text, l.now))
	}
	return l.put(r)
}

// end writes that a remediation has come to its end, and why.
func (l *ledger) end(r *record, to tocsin.RemediationState, by, why string) error {
	r.State, r.Why, r.EndedAt = to, short(why), l.now
	r.Input, r.Owner, r.Until, r.VerifyUntil, r.ExpiresAt = "", "", time.Time{}, time.Time{}, time.Time{}
	err := l.say(r, by, why)
	l.ended = append(l.ended, r.clone().Remediation)
	return err
}

// maxWhy bounds what is said at once, in bytes.
const maxWhy = 1000

func short(s string) string {
	s = plain([]byte(s))
	if len(s) > maxWhy {
		return cutEnd(s, maxWhy) + "…"
	}
	return s
}

// gone says why there is nothing to be mended any more; "": there is.
func (l *ledger) gone(r *record) string {
	inc := l.tx.Incident(r.Incident)
	switch {
	case inc == nil:
		return "the incident is gone"
	case !inc.Open():
		return "the incident is resolved"
	case inc.Reopened != r.Reopened:
		return "the incident was resolved, and has come back"
	}
	a, ok := l.tx.Alert(r.Alert)
	if !ok || !a.Firing || a.Incident != r.Incident {
		return "the alert has ended"
	}
	return ""
}

// suppressed says what suppresses the alert of a remediation that nobody has
// asked for; "": nothing does.
func (l *ledger) suppressed(r *record) string {
	a, ok := l.tx.Alert(r.Alert)
	if !ok || a.Suppression == nil || len(r.Approvals) > 0 || r.ProposedBy != "" {
		return ""
	}
	return "the alert is suppressed: " + a.Suppression.Text
}

// forbidden is why a remediation may not be started now; none: it may. A breaker
// that is open comes first: it is paged about.
func (l *ledger) forbidden(m *remedy, r *record, size fleet) (refusal, bool) {
	q := question{remedy: m, id: r.ID, target: r.Target, others: l.all(), stops: l.stops(), fleet: size, now: l.now}
	all := q.refusals()
	for _, why := range all {
		if why.gaveUp {
			return why, true
		}
	}
	if len(all) > 0 {
		return all[0], true
	}
	return refusal{}, false
}

// refuse ends what was not run. What has run before, and was to run once more, is
// unknown and stays so.
func (l *ledger) refuse(r *record, why refusal) error {
	if len(r.Starts) > 0 {
		r.owe("it was lost, and is not run again: " + why.text)
		return l.end(r, tocsin.RemediationUnknown, "", "it was lost, and is not run again: "+why.text)
	}
	if why.gaveUp {
		r.Page = &page{
			Key:   "remediation-breaker/" + r.Remedy,
			Title: "remedy " + r.Remedy + " is given up: it does not help",
			Text:  why.text + "\nIt was for " + orAll(r.Target) + ", incident " + r.Incident + ". Somebody has to look.",
		}
	}
	return l.end(r, tocsin.RemediationRefused, "", why.text)
}

// owe notes that a person has to be told of a remediation itself.
func (r *record) owe(why string) {
	text := "Incident " + r.Incident + ", remediation " + r.ID + ": " + short(why)
	for _, e := range r.Log[max(0, len(r.Log)-10):] {
		text += "\n" + stamp(e.At) + " " + e.Text
	}
	r.Page = &page{Key: "remediation/" + r.ID, Title: "remedy " + r.title() + " needs somebody: " + why, Text: text}
}
