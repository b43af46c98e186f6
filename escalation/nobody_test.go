package escalation_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation"
	"github.com/tocsin-oncall/tocsin/escalation/oncall"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

// Ways in which nobody would be called.

func TestSnoozedWhileMutedIsCalledForAfterwards(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		now := time.Now()
		h.change(&tocsin.Incident{
			ID: "muted", State: tocsin.Triggered, Severity: tocsin.Critical, Group: tocsin.NewKey("muted"), Receivers: []string{"page"},
			OpenedAt: now, Revision: 1, StateRevision: 1, Firing: 1, Muted: "nights",
		})
		h.act("muted", tocsin.Action{Kind: tocsin.ActSnooze, By: "ana", Until: now.Add(time.Hour)})
		h.edit("muted", func(i *tocsin.Incident) { i.Mute("", time.Now()) })
		h.pass(61 * time.Minute)
		assert.Equal(t, []string{"1h0m calling ana by Slack"}, h.calls("muted"))
	})
}

func TestAnAcknowledgementOfWhatWasMutedRunsOutToo(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		now := time.Now()
		h.change(&tocsin.Incident{
			ID: "muted", State: tocsin.Triggered, Severity: tocsin.Critical, Group: tocsin.NewKey("muted"), Receivers: []string{"page"},
			OpenedAt: now, Revision: 1, StateRevision: 1, Firing: 1, Muted: "nights",
		})
		h.ack("muted", "ana")
		h.edit("muted", func(i *tocsin.Incident) { i.Mute("", time.Now()) })
		h.pass(61 * time.Minute)
		assert.Equal(t, tocsin.Triggered, h.get("muted").State)
		assert.Contains(t, h.calls("muted"), "1h0m calling ana again (2) by Slack")
	})
}

// The steps come faster than a person's contacts: the later contacts are made
// all the same.
func TestLaterContactsAreNotPutOffForEver(t *testing.T) {
	t.Parallel()
	spec := basic(t)
	p := &spec.Policies[0]
	p.Steps, p.Repeat, p.RepeatAfter = p.Steps[:1], 50, time.Minute
	play(t, spec, func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		h.pass(5 * time.Minute)
		assert.Contains(t, h.calls(id), "2m calling ana by PagerDuty")
		assert.Contains(t, h.calls(id), "5m calling ana again (2) by PagerDuty")
	})
}

func TestLastResortIsCalledThoughAway(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		now := time.Now()
		for _, name := range []string{"ana", "bo", "cy", "dan", "boss"} {
			_, err := h.engine.PutOverride(context.Background(), tocsin.Override{Kind: tocsin.OverrideTimeOff, User: name, From: now, To: now.Add(24 * time.Hour), CreatedBy: name})
			require.NoError(t, err)
		}
		id := h.open(tocsin.Critical, "page")
		assert.Equal(t, []string{"0s calling boss by Slack", "0s calling boss by PagerDuty"}, h.calls(id))
		assert.Equal(t, []string{"0s nobody has answered: last resort of platform: boss; boss is away, and called all the same"}, h.said(id, tocsin.EventLastResort))
	})
}

// A person with contacts for low urgency alone is called in low urgency, and
// passed over, with the reason, in high: as the proof of coverage says.
func TestContactsAreThoseOfTheUrgency(t *testing.T) {
	t.Parallel()
	spec := basic(t)
	for _, name := range []string{"ana", "boss"} {
		u := spec.Users[name]
		u.High = nil
		spec.Users[name] = u
	}
	play(t, spec, func(h *tower) {
		low := h.open(tocsin.Warning, "page")
		assert.Equal(t, []string{"0s calling ana by Slack"}, h.calls(low))
		h.ack(low, "ana")
		h.pass(46 * time.Minute)
		assert.Contains(t, h.calls(low), "45m calling ana again (2) by Slack", "and reminded")
		high := h.open(tocsin.Critical, "page")
		assert.Equal(t, []string{"0s step 1 of platform: ana has no contact for high urgency; going on at once"}, h.said(high, tocsin.EventNobody))
		assert.Equal(t, []string{"0s calling bo by Slack"}, h.calls(high))
		h.pass(46 * time.Minute)
		assert.Contains(t, h.calls(high), "30m calling boss by Slack", "the last resort takes what there is")
	})
}

func TestStepsThatTellNobodySaySo(t *testing.T) {
	t.Parallel()
	spec := basic(t)
	spec.Teams["empty"] = nil
	spec.Policies[0].Steps[0] = escalation.Step{To: []escalation.Recipient{{Team: "empty"}, {Name: "receiver bare"}}}
	play(t, spec, func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		assert.Equal(t, []string{"0s step 1 of platform: team empty has no members; receiver bare has no targets; going on at once"}, h.said(id, tocsin.EventNobody))
		assert.Equal(t, []string{"0s calling bo by Slack"}, h.calls(id))
	})
}

func TestWhoIsAskedForWhileQuietIsRefused(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id, other := h.open(tocsin.Critical, "page"), h.open(tocsin.Critical, "page")
		h.edit(id, func(i *tocsin.Incident) { i.Mute("nights", time.Now()) })
		h.act(other, tocsin.Action{Kind: tocsin.ActMerge, By: "ana", Into: h.open(tocsin.Critical, "page")})
		for _, id := range []string{id, other} {
			for _, a := range []tocsin.Action{
				{Kind: tocsin.ActEscalate}, {Kind: tocsin.ActEscalate, User: "cy"}, {Kind: tocsin.ActReassign, User: "cy"}, {Kind: tocsin.ActAddResponder, User: "cy"},
			} {
				a.By = "ana"
				require.ErrorIs(t, h.errorOf(id, a), tocsin.ErrConflict, "%s: nobody would be called", a.Kind)
			}
		}
	})
}

func TestNoticesTakeNoEscalation(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		h.change(&tocsin.Incident{ID: "shift", Kind: tocsin.KindNotice, State: tocsin.Triggered, Severity: tocsin.Info, OpenedAt: time.Now(), Revision: 1, StateRevision: 1})
		for _, a := range []tocsin.Action{
			{Kind: tocsin.ActSnooze, Until: time.Now().Add(time.Hour)}, {Kind: tocsin.ActReassign, User: "cy"}, {Kind: tocsin.ActAddResponder, User: "cy"},
		} {
			a.By = "ana"
			require.ErrorIs(t, h.errorOf("shift", a), tocsin.ErrConflict, "%s", a.Kind)
		}
		require.ErrorIs(t, h.errorOf(id, tocsin.Action{Kind: tocsin.ActMerge, By: "ana", Into: "shift"}), tocsin.ErrInvalid, "a notice pages nobody")
		h.ack("shift", "ana")
		assert.Equal(t, tocsin.Acknowledged, h.get("shift").State)
	})
}

func TestMergedIntoWhatPagesNobody(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		a, b := h.open(tocsin.Critical, "page"), h.open(tocsin.Critical, "page")
		h.edit(a, func(i *tocsin.Incident) { i.Mute("nights", time.Now()) })
		require.ErrorIs(t, h.errorOf(b, tocsin.Action{Kind: tocsin.ActMerge, By: "ana", Into: a}), tocsin.ErrConflict)
		h.edit(a, func(i *tocsin.Incident) { i.Mute("", time.Now()) })
		h.act(b, tocsin.Action{Kind: tocsin.ActMerge, By: "ana", Into: a})
		h.edit(a, func(i *tocsin.Incident) { i.Mute("nights", time.Now()) })
		h.pass(time.Minute)
		assert.Empty(t, h.get(b).MergedInto, "what pages for it is muted")
		assert.Contains(t, h.said(b, tocsin.EventUnmerged)[0], a+" pages nobody now: this one pages for itself again")
		assert.Len(t, h.calls(b), 2)
	})
}

func TestMergeChains(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		a, b, c := h.open(tocsin.Warning, "page"), h.open(tocsin.Critical, "page"), h.open(tocsin.Warning, "page")
		h.act(b, tocsin.Action{Kind: tocsin.ActMerge, By: "ana", Into: a})
		assert.Equal(t, tocsin.Critical, h.get(a).Severity, "it pages for a critical one")
		h.act(a, tocsin.Action{Kind: tocsin.ActMerge, By: "ana", Into: c})
		assert.Equal(t, tocsin.Critical, h.get(c).Severity)
		calls := len(h.calls(b))
		h.pass(time.Minute)
		assert.Equal(t, a, h.get(b).MergedInto, "the last of the chain pages for all")
		assert.Len(t, h.calls(b), calls)
		h.act(c, tocsin.Action{Kind: tocsin.ActResolve, By: "ana", Force: true})
		h.pass(time.Minute)
		assert.Empty(t, h.get(a).MergedInto)
		assert.Equal(t, a, h.get(b).MergedInto)
	})
}

// brittle makes every transaction that touches one incident panic.
type brittle struct {
	*bolt.Store
	id string
}

type brittleTx struct {
	tocsin.Tx
	id string
}

func (s brittle) Update(ctx context.Context, fn func(tocsin.Tx) error) error {
	return s.Store.Update(ctx, func(tx tocsin.Tx) error { return fn(brittleTx{tx, s.id}) })
}

func (tx brittleTx) PutIncident(inc *tocsin.Incident) {
	if inc.ID == tx.id {
		panic("poison")
	}
	tx.Tx.PutIncident(inc)
}

func TestOneBadIncidentStopsNoOther(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/tocsin.db"
	synctest.Test(t, func(t *testing.T) {
		store, err := bolt.Open(path, bolt.Options{MinFree: -1, Ballast: -1})
		require.NoError(t, err)
		rules, err := escalation.NewRules(basic(t))
		require.NoError(t, err)
		good, err := escalation.NewEngine(rules, escalation.Options{Store: store})
		require.NoError(t, err)
		fill(t, store, good, 150, time.Now())
		e, err := escalation.NewEngine(rules, escalation.Options{Store: brittle{store, "inc00007"}})
		require.NoError(t, err)
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- e.Run(ctx) }()
		time.Sleep(16 * time.Minute)
		synctest.Wait()
		left, _ := store.Deadlines(time.Now(), 0)
		assert.Equal(t, []string{"inc00007"}, left)
		for i := range 150 {
			inc, err := store.Get(ctx, fmt.Sprintf("inc%05d", i))
			require.NoError(t, err)
			assert.Equal(t, i != 7, inc.Delivery("slack:@bo") != nil, "%s", inc.ID)
		}
		stop()
		require.NoError(t, <-done)
		require.NoError(t, store.Close())
	})
}

func TestAPolicyThatIsGoneIsLoudNowAndThen(t *testing.T) {
	t.Parallel()
	spec := basic(t)
	spec.Alarm = escalation.Alarm{Targets: []escalation.Target{{Key: "slack:#alarms"}}}
	play(t, spec, func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		h.lose("policy")
		spec.Policies, spec.Receivers = nil, nil
		rules, err := escalation.NewRules(spec)
		require.NoError(t, err)
		h.engine.SetRules(rules)
		h.engine.Forget()
		h.pass(65 * time.Minute)
		assert.Len(t, h.said(id, tocsin.EventAlarm), 4, "every fifteen minutes, and not every five seconds")
		assert.Equal(t, uint32(4), h.get(id).Delivery("slack:#alarms").Calls)
	})
}

// lose drops all documents of a kind.
func (h *tower) lose(kind string) {
	h.Helper()
	require.NoError(h, h.store.Update(context.Background(), func(tx tocsin.Tx) error {
		docs, _ := tx.Documents(kind)
		for _, d := range docs {
			tx.DeleteDocument(kind, d.ID)
		}
		return nil
	}))
}

func TestALostPolicyThatIsStillConfiguredHoldsOn(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		h.lose("policy")
		h.engine.Forget()
		h.pass(16 * time.Minute)
		assert.Contains(t, h.calls(id), "15m calling bo by Slack", "it is the same as the configured one")
	})
}

func TestPoliciesThatNothingFollowsAreDropped(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		for n := range 5 {
			spec := basic(t)
			spec.Policies[0].Pos = fmt.Sprint(n)
			rules, err := escalation.NewRules(spec)
			require.NoError(t, err)
			h.engine.SetRules(rules)
			other := h.open(tocsin.Critical, "page")
			h.act(other, tocsin.Action{Kind: tocsin.ActResolve, By: "ana", Force: true})
			require.NoError(t, h.store.Update(context.Background(), func(tx tocsin.Tx) error { tx.Archive(other); return nil }))
		}
		docs, _, err := h.store.Documents(context.Background(), "policy")
		require.NoError(t, err)
		require.Len(t, docs, 6)
		h.ack(id, "ana")
		h.act(id, tocsin.Action{Kind: tocsin.ActSnooze, By: "ana", Until: time.Now().Add(50 * time.Hour)})
		h.pass(49 * time.Hour)
		docs, _, err = h.store.Documents(context.Background(), "policy")
		require.NoError(t, err)
		assert.Len(t, docs, 2, "that of the open incident, and the one in force")
		h.pass(76 * time.Minute)
		assert.Contains(t, strings.Join(h.calls(id), "\n"), "50h15m calling bo by Slack")
	})
}

// The machine's clock was an hour ahead, and is set back.
func TestAClockThatIsSetBackHoldsNothingUp(t *testing.T) {
	t.Parallel()
	store := openStore(t)
	rules, err := escalation.NewRules(basic(t))
	require.NoError(t, err)
	now := time.Date(2026, 3, 2, 3, 0, 0, 0, time.UTC)
	e, err := escalation.NewEngine(rules, escalation.Options{Store: store, Now: func() time.Time { return now }})
	require.NoError(t, err)
	fill(t, store, e, 1, now.Add(time.Hour))
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	defer func() { stop(); require.NoError(t, <-done) }()
	require.Eventually(t, func() bool {
		inc, err := store.Get(ctx, "inc00000")
		return err == nil && !inc.Escalation.Runs[0].Due.After(now.Add(15*time.Minute))
	}, 10*time.Second, time.Millisecond)
}

func TestLongOverridesOfHandoffsLeaveRoom(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 3, 0, 0, 0, time.UTC)
	var all []tocsin.Override
	for n := range 10_000 {
		from := now.Add(-time.Duration(10_000-n) * time.Hour)
		by := "ana"
		if n%2 == 0 {
			by = "tocsin"
		}
		all = append(all, tocsin.Override{ID: fmt.Sprint(n), CreatedBy: by, From: from, To: from.Add(time.Hour)})
	}
	gone := escalation.Retired(all, now)
	assert.NotEmpty(t, gone)
	for _, o := range gone {
		assert.Equal(t, "tocsin", o.CreatedBy, "what people made is kept for two years")
	}
	for i := range all {
		all[i].CreatedBy = "ana"
	}
	assert.Equal(t, []tocsin.Override{all[0]}, escalation.Retired(all, now), "the one that was over first makes room")
	for i := range all {
		all[i].To = now.Add(time.Hour)
	}
	assert.Empty(t, escalation.Retired(all, now))
}

// A gap that a place fills is no reason to wait, and hours of nobody neither.
func TestStepsOfNobodyDoNotWait(t *testing.T) {
	t.Parallel()
	spec := basic(t)
	spec.Policies[0].Steps[0] = escalation.Step{
		To:   []escalation.Recipient{{User: "ana"}, {Name: "#incidents", Targets: []escalation.Target{{Key: "slack:#incidents"}}}},
		When: escalation.Condition{Hours: []oncall.Window{quiet(9, 17)}},
	}
	play(t, spec, func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		assert.Equal(t, []string{"0s calling #incidents", "0s calling bo by Slack"}, h.calls(id))
	})
}

// The last resort is loud wherever it is reached: here in the transaction that
// opens the incident, since nobody else can be called.
func TestTheLastResortIsCountedAndLogged(t *testing.T) {
	t.Parallel()
	spec := basic(t)
	spec.Policies[0].Steps = []escalation.Step{{To: []escalation.Recipient{{User: "nobody"}}}}
	rules, err := escalation.NewRules(spec)
	require.NoError(t, err)
	var log bytes.Buffer
	reg := prometheus.NewRegistry()
	store := openStore(t)
	e, err := escalation.NewEngine(rules, escalation.Options{Store: store, Logger: slog.New(slog.NewTextHandler(&log, nil)), Registerer: reg})
	require.NoError(t, err)
	fill(t, store, e, 1, time.Now())
	assert.Contains(t, log.String(), `level=ERROR msg="last resort" incident=inc00000`)
	families, err := reg.Gather()
	require.NoError(t, err)
	total := 0.0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if len(m.GetLabel()) > 0 && m.GetLabel()[0].GetValue() == string(tocsin.EventLastResort) {
				total += m.GetCounter().GetValue()
			}
		}
	}
	assert.InDelta(t, 1, total, 0)
}
