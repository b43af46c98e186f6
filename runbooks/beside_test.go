package runbooks_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

var besideNow = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// past is a store with a past.
type past struct {
	*testing.T
	store *bolt.Store
	last  int
}

func newPast(t *testing.T) *past {
	t.Helper()
	store, err := bolt.Open(filepath.Join(t.TempDir(), "tocsin.db"), bolt.Options{MinFree: -1, Ballast: -1})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, store.Close()) })
	return &past{T: t, store: store}
}

func (p *past) update(fn func(tocsin.Tx)) {
	p.Helper()
	require.NoError(p, p.store.Update(p.Context(), func(tx tocsin.Tx) error { fn(tx); return nil }))
}

// fired is one incident: when it opened (before besideNow), and how long it took;
// 0: it is open.
type fired struct {
	ago, took time.Duration
	group     string
	groupBy   []string
	alert     string
	change    func(*tocsin.Incident)
	events    func(*tocsin.Incident) []tocsin.Event
}

func (p *past) add(f fired) *tocsin.Incident {
	p.Helper()
	p.last++
	opened := besideNow.Add(-f.ago)
	inc := &tocsin.Incident{
		ID: fmt.Sprintf("i%05d", p.last), Title: f.alert, State: tocsin.Triggered, Severity: tocsin.Critical,
		Group: tocsin.NewKey(f.group), GroupBy: f.groupBy, Receivers: []string{"r"}, OpenedAt: opened, ChangedAt: opened, Alerts: 1, Firing: 1,
	}
	alert := &tocsin.Alert{Labels: tocsin.Labels{"alertname": f.alert, "n": inc.ID}, Firing: true, StartsAt: opened}
	var events []tocsin.Event
	if f.took > 0 {
		e, _ := inc.Resolve("ana", "resolved by ana: restarted", opened.Add(f.took))
		events = append(events, e)
		inc.Firing = 0
	}
	if f.change != nil {
		f.change(inc)
	}
	if f.events != nil {
		events = append(f.events(inc), events...)
	}
	p.update(func(tx tocsin.Tx) {
		tx.PutIncident(inc)
		tx.PutAlert(tocsin.AlertState{ID: alert.ID(), Incident: inc.ID, Seq: 1, Firing: f.took == 0, StartsAt: opened, ChangedAt: opened}, alert)
		tx.Append(events...)
	})
	if f.took > 0 {
		p.update(func(tx tocsin.Tx) { tx.Archive(inc.ID) })
	}
	return inc
}

// changed writes a change event.
func (p *past) changed(ago time.Duration, text string) {
	p.Helper()
	p.update(func(tx tocsin.Tx) {
		tx.Append(tocsin.Event{Kind: tocsin.EventChange, At: besideNow.Add(-ago), Actor: "ci", Text: text})
	})
}

func (p *past) beside(inc *tocsin.Incident) runbooks.Beside {
	p.Helper()
	n := runbooks.Neighbours{Archive: p.store, Log: p.store, Timeout: time.Minute}
	return n.Beside(p.Context(), inc, besideNow)
}

const hour = time.Hour

var byName = []string{"alertname", "region"}

func texts(events []tocsin.Event) []string {
	out := []string{}
	for _, e := range events {
		out = append(out, e.Text)
	}
	return out
}

func TestBesideTellsOfThePast(t *testing.T) {
	t.Parallel()
	p := newPast(t)
	p.add(fired{ago: 40 * day, took: hour, group: "a", groupBy: byName, alert: "NodeDown"})
	p.changed(26*day, "deploy 1")
	p.add(fired{ago: 25 * day, took: hour, group: "a", groupBy: byName, alert: "NodeDown", change: func(i *tocsin.Incident) { i.Reopened = 2 }})
	p.add(fired{ago: 20 * day, took: hour, group: "b", groupBy: byName, alert: "NodeDown"})
	older := p.add(fired{
		ago: 10 * day, took: 2 * hour, group: "a", groupBy: byName, alert: "NodeDown",
		change: func(i *tocsin.Incident) {
			i.AcknowledgedBy = "bo"
			i.Progress = &tocsin.Progress{Steps: []tocsin.StepProgress{
				{Step: "s1", Number: 1, Text: "Look", Status: tocsin.StepDone, By: "bo", At: i.OpenedAt.Add(time.Minute)},
				{Step: "s2", Number: 2, Text: "Begun", Status: tocsin.StepStarted, By: "bo", At: i.OpenedAt.Add(time.Minute)},
				{Step: "s3", Number: 3, Text: "Drain", Status: tocsin.StepSkipped, By: "bo", At: i.OpenedAt.Add(time.Minute), Note: "empty"},
				{Step: "s4", Number: 4, Text: "Later", Status: tocsin.StepDone, By: "bo", At: i.ResolvedAt.Add(time.Minute)},
			}}
		},
		events: func(i *tocsin.Incident) []tocsin.Event {
			return []tocsin.Event{
				i.Event(tocsin.EventNote, "bo", "the disk was full\u202e", i.OpenedAt.Add(time.Hour)),
				i.Event(tocsin.EventNote, "", "Tocsin's own", i.OpenedAt.Add(time.Hour)),
				i.Event(tocsin.EventRemediation, "", "restart-node: verified", i.OpenedAt.Add(time.Hour)),
				i.Event(tocsin.EventNote, "bo", "after the fact", i.ResolvedAt.Add(time.Hour)),
			}
		},
	})
	p.changed(9*day, "deploy 2")
	p.changed(time.Hour, "deploy 3")
	inc := p.add(fired{ago: 30 * time.Minute, group: "a", groupBy: byName, alert: "NodeDown"})
	p.changed(time.Minute, "deploy 4")

	b := p.beside(inc)
	assert.Empty(t, b.Missing)
	assert.Equal(t, "5", b.Fired.String(), "1, 1 reopened twice, and this one")
	require.Len(t, b.Earlier, 3)
	got := b.Earlier[0]
	assert.Equal(t, older.ID, got.Incident)
	assert.Equal(t, 2*hour, got.Took())
	assert.Equal(t, []string{"bo", "ana", "resolved by ana: restarted"}, []string{got.AcknowledgedBy, got.ResolvedBy, got.Resolution})
	assert.Equal(t, []runbooks.Note{{By: "bo", At: older.OpenedAt.Add(hour), Text: "the disk was full"}}, got.Notes)
	assert.Equal(t, []runbooks.Note{{At: older.OpenedAt.Add(hour), Text: "restart-node: verified"}}, got.Remedies)
	require.Len(t, got.Steps, 2)
	assert.Equal(t, []string{"Look", "Drain"}, []string{got.Steps[0].Text, got.Steps[1].Text})
	assert.False(t, got.Cut)
	assert.Equal(t, older.ResolvedAt, b.LastFine)
	assert.Equal(t, older.ResolvedAt, b.ChangesSince)
	assert.Equal(t, []string{"deploy 4", "deploy 3", "deploy 2"}, texts(b.Changes))
	assert.Equal(t, runbooks.Count{N: 3}, b.ChangesTotal)

	// The one before is told of as it was.
	b = p.beside(older)
	assert.Len(t, b.Earlier, 2)
	assert.Equal(t, []string{"deploy 1"}, texts(p.beside(&tocsin.Incident{ID: "x", Group: inc.Group, GroupBy: byName, OpenedAt: besideNow.Add(-25 * day), ResolvedAt: besideNow.Add(-20 * day), State: tocsin.Resolved}).Changes))
}

func TestBesideOfTheFirstTime(t *testing.T) {
	t.Parallel()
	p := newPast(t)
	p.changed(2*day, "long ago")
	p.changed(20*hour, "the day before")
	inc := p.add(fired{ago: hour, group: "a", groupBy: byName, alert: "NodeDown"})
	b := p.beside(inc)
	assert.Equal(t, "1", b.Fired.String())
	assert.Empty(t, b.Earlier)
	assert.NotNil(t, b.Earlier, "a list in JSON")
	assert.Zero(t, b.LastFine)
	assert.Equal(t, besideNow.Add(-25*hour), b.ChangesSince)
	assert.Equal(t, []string{"the day before"}, texts(b.Changes))
}

func TestAReopenedIncidentWasFineBeforeIt(t *testing.T) {
	t.Parallel()
	p := newPast(t)
	inc := p.add(fired{
		ago: 5 * hour, group: "a", groupBy: byName, alert: "NodeDown",
		change: func(i *tocsin.Incident) { i.Reopened = 2 },
		events: func(i *tocsin.Incident) []tocsin.Event {
			return []tocsin.Event{
				i.Event(tocsin.EventResolved, "", "", besideNow.Add(-4*hour)), i.Event(tocsin.EventReopened, "", "", besideNow.Add(-3*hour)),
				i.Event(tocsin.EventResolved, "", "", besideNow.Add(-2*hour)), i.Event(tocsin.EventReopened, "", "", besideNow.Add(-hour)),
			}
		},
	})
	p.changed(3*hour, "too early")
	p.changed(90*time.Minute, "may be it")
	b := p.beside(inc)
	assert.Equal(t, "3", b.Fired.String())
	assert.Equal(t, besideNow.Add(-2*hour), b.LastFine)
	assert.Equal(t, []string{"may be it"}, texts(b.Changes))
}

// TestTheSameAlertIsItsNameAndItsGroup: where the group does not tell the name, the
// alerts are asked.
func TestTheSameAlertIsItsNameAndItsGroup(t *testing.T) {
	t.Parallel()
	p := newPast(t)
	region := []string{"region"}
	p.add(fired{ago: 3 * day, took: hour, group: "eu", groupBy: region, alert: "DiskFull"})
	same := p.add(fired{ago: 2 * day, took: hour, group: "eu", groupBy: region, alert: "NodeDown"})
	p.add(fired{ago: day, took: hour, group: "us", groupBy: region, alert: "NodeDown"})
	inc := p.add(fired{ago: hour, group: "eu", groupBy: region, alert: "NodeDown"})
	b := p.beside(inc)
	assert.Equal(t, "2", b.Fired.String())
	require.Len(t, b.Earlier, 1)
	assert.Equal(t, same.ID, b.Earlier[0].Incident)

	// One that no alert made has its group alone, or nothing.
	assert.Equal(t, "1", p.beside(&tocsin.Incident{ID: inc.ID, OpenedAt: besideNow}).Fired.String())
}

func TestBesideFindsSimilarIncidents(t *testing.T) {
	t.Parallel()
	p := newPast(t)
	runbook := func(id string) func(*tocsin.Incident) {
		return func(i *tocsin.Incident) { i.Runbook = id }
	}
	p.add(fired{ago: 4 * hour, took: hour, group: "g0", groupBy: byName, alert: "NodeDown"}) // not open
	book := p.add(fired{ago: time.Minute, group: "g1", groupBy: byName, alert: "NodeSlow", change: runbook("node")})
	name := p.add(fired{ago: 3 * hour, group: "g2", groupBy: byName, alert: "NodeDown", change: runbook("other")})
	p.add(fired{ago: hour, group: "g3", groupBy: byName, alert: "DiskFull", change: runbook("disk")})
	p.add(fired{ago: hour, group: "g4", groupBy: byName, alert: "Unknown"})
	both := p.add(fired{ago: 2 * hour, group: "g5", alert: "NodeDown", change: func(i *tocsin.Incident) {
		i.Runbook, i.State, i.MergedInto = "node", tocsin.Acknowledged, name.ID
	}})
	inc := p.add(fired{ago: hour, group: "g6", groupBy: byName, alert: "NodeDown", change: runbook("node")})

	b := p.beside(inc)
	assert.Equal(t, []runbooks.Similar{
		{Incident: both.ID, Title: "NodeDown", State: tocsin.Acknowledged, Severity: tocsin.Critical, OpenedAt: both.OpenedAt, SameAlert: true, SameRunbook: true, MergedInto: name.ID},
		{Incident: name.ID, Title: "NodeDown", State: tocsin.Triggered, Severity: tocsin.Critical, OpenedAt: name.OpenedAt, SameAlert: true},
		{Incident: book.ID, Title: "NodeSlow", State: tocsin.Triggered, Severity: tocsin.Critical, OpenedAt: book.OpenedAt, SameRunbook: true},
	}, b.Similar)
	assert.Equal(t, "3", b.SimilarTotal.String())
}

func TestWhatIsCutIsSaid(t *testing.T) {
	t.Parallel()
	p := newPast(t)
	p.add(fired{
		ago: day, took: hour, group: "a", groupBy: byName, alert: "NodeDown",
		events: func(i *tocsin.Incident) (out []tocsin.Event) {
			for n := range 320 {
				out = append(out, i.Event(tocsin.EventNote, "bo", fmt.Sprint(n, strings.Repeat("é", 600)), i.OpenedAt))
			}
			return out
		},
	})
	inc := p.add(fired{ago: hour, group: "a", groupBy: byName, alert: "NodeDown"})
	for n := range 25 {
		p.changed(time.Minute, fmt.Sprint("deploy ", n))
	}
	p.update(func(tx tocsin.Tx) {
		for n := range 25_000 {
			tx.Append(tocsin.Event{Kind: tocsin.EventNote, Incident: inc.ID, At: besideNow, Text: fmt.Sprint(n)})
		}
	})
	for n := range 3 {
		p.changed(time.Minute, fmt.Sprint("latest ", n))
	}
	for n := range 305 {
		p.add(fired{ago: time.Minute, group: fmt.Sprint("g", n), groupBy: byName, alert: "NodeDown"})
	}
	b := p.beside(inc)
	assert.Empty(t, b.Missing)
	require.Len(t, b.Earlier[0].Notes, 10)
	assert.True(t, b.Earlier[0].Cut)
	assert.True(t, strings.HasPrefix(b.Earlier[0].Notes[9].Text, "319é"))
	assert.Len(t, []rune(b.Earlier[0].Notes[9].Text), 500)
	assert.Equal(t, "at least 3", b.ChangesTotal.String(), "the others lie behind more events than are read")
	assert.Len(t, b.Similar, 10)
	assert.Equal(t, "at least 300", b.SimilarTotal.String())
	assert.Equal(t, "2", b.Fired.String())
}

func TestManyChangesAreCounted(t *testing.T) {
	t.Parallel()
	p := newPast(t)
	inc := p.add(fired{ago: hour, group: "a", groupBy: byName, alert: "NodeDown"})
	p.update(func(tx tocsin.Tx) {
		for n := range 2500 {
			tx.Append(tocsin.Event{Kind: tocsin.EventChange, At: besideNow.Add(-time.Minute), Text: fmt.Sprint(n)})
		}
	})
	b := p.beside(inc)
	assert.Equal(t, "2500", b.ChangesTotal.String(), "each once, over three pages")
	assert.Equal(t, "2499", b.Changes[0].Text)
	assert.Equal(t, "2480", b.Changes[19].Text)
	assert.Len(t, b.Changes, 20)
}

// faulty is a store whose methods do what the tests say.
type faulty struct {
	runbooks.Archive
	list     func(context.Context, tocsin.Filter) ([]*tocsin.Incident, error)
	alerts   func(context.Context) ([]tocsin.AlertRecord, error)
	timeline func(context.Context) ([]tocsin.Event, error)
	log      func(context.Context, uint64) ([]tocsin.Event, error)
}

func (f *faulty) List(ctx context.Context, filter tocsin.Filter) ([]*tocsin.Incident, error) {
	return f.list(ctx, filter)
}

func (f *faulty) AlertsOf(ctx context.Context, _ string, _ int) ([]tocsin.AlertRecord, error) {
	return f.alerts(ctx)
}

func (f *faulty) Timeline(ctx context.Context, _ string, _ uint64, _ int) ([]tocsin.Event, error) {
	return f.timeline(ctx)
}

func (f *faulty) Log(ctx context.Context, after uint64, _ int) ([]tocsin.Event, error) {
	return f.log(ctx, after)
}

func (f *faulty) LastSeq() uint64 { return 5000 }

func working(inc *tocsin.Incident) *faulty {
	return &faulty{
		list:     func(context.Context, tocsin.Filter) ([]*tocsin.Incident, error) { return []*tocsin.Incident{inc}, nil },
		alerts:   func(context.Context) ([]tocsin.AlertRecord, error) { return nil, nil },
		timeline: func(context.Context) ([]tocsin.Event, error) { return nil, nil },
		log:      func(context.Context, uint64) ([]tocsin.Event, error) { return nil, nil },
	}
}

func openNow() *tocsin.Incident {
	return &tocsin.Incident{ID: "a", State: tocsin.Triggered, Group: tocsin.NewKey("a"), GroupBy: byName, OpenedAt: besideNow}
}

func TestBesideSaysWhatFailed(t *testing.T) {
	t.Parallel()
	inc := openNow()
	broken := errors.New("the disk is gone")
	f := working(inc)
	f.log = func(context.Context, uint64) ([]tocsin.Event, error) { return nil, broken }
	b := (&runbooks.Neighbours{Archive: f, Log: f}).Beside(t.Context(), inc, besideNow)
	assert.Equal(t, []string{"changes: the disk is gone"}, b.Missing)
	assert.Equal(t, "at least 0", b.ChangesTotal.String())
	assert.Equal(t, "1", b.Fired.String())

	b = (&runbooks.Neighbours{Archive: f}).Beside(t.Context(), inc, besideNow)
	assert.Equal(t, []string{"changes: this store does not tell of them"}, b.Missing)

	f = working(inc)
	f.list = func(context.Context, tocsin.Filter) ([]*tocsin.Incident, error) { return nil, broken }
	f.timeline = func(context.Context) ([]tocsin.Event, error) { return nil, broken }
	b = (&runbooks.Neighbours{Archive: f, Log: f}).Beside(t.Context(), inc, besideNow)
	assert.Len(t, b.Missing, 4)
	assert.Equal(t, []string{"at least 1", "at least 0"}, []string{b.Fired.String(), b.SimilarTotal.String()})
}

// TestALongArchiveIsCountedAsFarAsItWasRead: the first, short look stays when the
// long one fails.
func TestALongArchiveIsCountedAsFarAsItWasRead(t *testing.T) {
	t.Parallel()
	inc := openNow()
	f := working(inc)
	f.list = func(_ context.Context, filter tocsin.Filter) ([]*tocsin.Incident, error) {
		switch {
		case !filter.Archived:
			return nil, nil
		case filter.Limit > 500:
			return nil, context.DeadlineExceeded
		}
		out := make([]*tocsin.Incident, filter.Limit)
		for n := range out {
			out[n] = &tocsin.Incident{ID: fmt.Sprint(n), State: tocsin.Resolved, Group: inc.Group, GroupBy: byName, OpenedAt: besideNow.Add(-hour), ResolvedAt: besideNow.Add(-time.Minute)}
		}
		return out, nil
	}
	b := (&runbooks.Neighbours{Archive: f, Log: f}).Beside(t.Context(), inc, besideNow)
	assert.Equal(t, "at least 500", b.Fired.String())
	assert.Len(t, b.Earlier, 3)
	assert.Contains(t, b.Missing, "how often it fired: not all was read within 2s")
}

// TestAPageDoesNotWait: even for a store that does not heed its context.
func TestAPageDoesNotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		inc := openNow()
		f := working(inc)
		free := make(chan struct{})
		f.timeline = func(context.Context) ([]tocsin.Event, error) { <-free; return nil, nil }
		f.alerts = func(ctx context.Context) ([]tocsin.AlertRecord, error) { <-ctx.Done(); return nil, ctx.Err() }
		start := time.Now()
		b := (&runbooks.Neighbours{Archive: f, Log: f}).Beside(t.Context(), inc, besideNow)
		assert.LessOrEqual(t, time.Since(start), runbooks.BesideTimeout)
		assert.Equal(t, "1", b.Fired.String(), "what was read is told")
		assert.Contains(t, b.Missing, "changes: not all was read within 2s")
		assert.Contains(t, b.Missing, "similar incidents: not all was read within 2s")
		assert.Equal(t, "at least 0", b.ChangesTotal.String())
		close(free)
	})
	synctest.Test(t, func(t *testing.T) {
		inc := openNow()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		f := working(inc)
		f.list = func(ctx context.Context, _ tocsin.Filter) ([]*tocsin.Incident, error) { return nil, ctx.Err() }
		b := (&runbooks.Neighbours{Archive: f, Log: f}).Beside(ctx, inc, besideNow)
		assert.NotEmpty(t, b.Missing)
		assert.Equal(t, "a", b.Incident)
	})
}
