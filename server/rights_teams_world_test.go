package server_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// canary is in everything that is the other team's, and nowhere else.
const canary = "zebra"

// The incidents: of the team db, of the team web, one of web that calls dora, and
// one that there is not. Their IDs are as long as each other.
const (
	ours, theirs, calling, nowhere = "dbdbdb", "webweb", "called", "nobody"
)

// twoTeams is everything behind a server for two teams.
type twoTeams struct {
	incidents []*tocsin.Incident
	overrides []tocsin.Override
	did       []string
}

func newTwoTeams() *twoTeams {
	one := func(id, title string, receivers ...string) *tocsin.Incident {
		return &tocsin.Incident{
			ID: id, Title: title, Receivers: receivers, State: tocsin.Triggered, Severity: tocsin.Critical, Alerts: 1, Firing: 1, Revision: 1, StateRevision: 1,
			OpenedAt: now.Add(-time.Hour), ChangedAt: now, Route: "tocsin.yml:1", Runbook: "db.md#down",
		}
	}
	call := one(calling, "asks dora", "web")
	call.Deliveries = []tocsin.Delivery{{Target: "email dora", User: "dora"}}
	return &twoTeams{
		incidents: []*tocsin.Incident{one(ours, "the disk of db", "db"), one(theirs, "title "+canary, "web-"+canary), call},
		overrides: []tocsin.Override{
			override("ovours", "db-primary", "di", ""), override("ovweb1", "web-"+canary, "will", canary), override("ovdora", "web", "dora", ""),
		},
	}
}

func override(id, schedule, user, comment string) tocsin.Override {
	return tocsin.Override{
		ID: id, Kind: tocsin.OverrideSwap, State: tocsin.OverrideRequested, Schedule: schedule, User: user, Comment: comment,
		CreatedBy: "will", CreatedAt: now, From: now.Add(time.Hour), To: now.Add(2 * time.Hour),
	}
}

func (w *twoTeams) Get(_ context.Context, id string) (*tocsin.Incident, error) {
	for _, i := range w.incidents {
		if i.ID == id {
			return i, nil
		}
	}
	return nil, fmt.Errorf("incident %q: %w", id, tocsin.ErrNotFound)
}

func (w *twoTeams) List(_ context.Context, f tocsin.Filter) (list []*tocsin.Incident, err error) {
	for _, i := range w.incidents {
		if f.Only == nil || f.Only(i) {
			list = append(list, i)
		}
	}
	return list, nil
}

// said is a text about an incident, with the canary where it is the other team's.
func said(id string) string {
	if id == theirs {
		return "of " + id + " " + canary
	}
	return "of " + id
}

func (w *twoTeams) AlertsOf(_ context.Context, id string, _ int) ([]tocsin.AlertRecord, error) {
	return []tocsin.AlertRecord{{
		Alert: tocsin.Alert{Labels: tocsin.Labels{"alertname": "Down", "secret": said(id)}, Annotations: tocsin.Labels{"summary": said(id)}},
		State: tocsin.AlertState{Incident: id, Firing: true, StartsAt: now},
	}}, nil
}

func (w *twoTeams) Timeline(_ context.Context, id string, _ uint64, _ int) ([]tocsin.Event, error) {
	return []tocsin.Event{{Seq: 1, Kind: tocsin.EventNote, Incident: id, At: now, Actor: "will", Text: "note " + said(id)}}, nil
}

func (w *twoTeams) Documents(context.Context, string) ([]tocsin.Document, uint64, error) {
	return nil, 0, nil
}

func (w *twoTeams) Act(ctx context.Context, id string, a tocsin.Action) error {
	inc, err := w.Get(ctx, id)
	if err != nil {
		return err
	}
	w.did = append(w.did, strings.TrimSpace(fmt.Sprint(a.Kind, " ", id, " ", a.Into)))
	if a.If != nil {
		return a.If(inc)
	}
	return nil
}

func (w *twoTeams) open(_ context.Context, m tocsin.Manual) (string, error) {
	w.did = append(w.did, fmt.Sprint("open ", m.Receivers, " ", m.Key))
	return ours, nil
}

func (w *twoTeams) Schedules() []tocsin.ScheduleInfo {
	return []tocsin.ScheduleInfo{{Name: "db-primary", TimeZone: "UTC", Users: []string{"dora", "di"}}, {Name: "web-" + canary, TimeZone: "UTC", Users: []string{"will-" + canary}}}
}

func (w *twoTeams) Shifts(_ context.Context, q tocsin.ShiftQuery) ([]tocsin.Shift, error) {
	all := []tocsin.Shift{
		{Schedule: "db-primary", User: "di", From: now.Add(-time.Hour), To: now.Add(24 * time.Hour)},
		{Schedule: "web-" + canary, User: "will-" + canary, From: now.Add(-time.Hour), To: now.Add(24 * time.Hour)},
		{Schedule: "web", User: "dora", From: now.Add(-time.Hour), To: now.Add(24 * time.Hour)},
	}
	all = slices.DeleteFunc(all, func(s tocsin.Shift) bool { return q.Schedule != "" && s.Schedule != q.Schedule })
	if len(all) == 0 {
		return nil, fmt.Errorf("schedule %q: %w", q.Schedule, tocsin.ErrNotFound)
	}
	return all, nil
}

func (w *twoTeams) Coverage(_ context.Context, from, to time.Time) ([]tocsin.Uncovered, error) {
	gap := func(policy string, schedules ...string) tocsin.Uncovered {
		return tocsin.Uncovered{Policy: policy, Severity: tocsin.Critical, From: from, To: to, Why: []string{policy}, Schedules: schedules}
	}
	return []tocsin.Uncovered{gap("of-db", "db-primary"), gap("web-"+canary, "web-"+canary), gap("both "+canary, "db-primary", "web-"+canary), gap("people " + canary)}, nil
}

func (w *twoTeams) Fairness(context.Context, time.Time, time.Time) ([]tocsin.Share, error) {
	return []tocsin.Share{{User: "di", Hours: 7}, {User: "will-" + canary, Hours: 8}}, nil
}

func (w *twoTeams) Overrides(context.Context) ([]tocsin.Override, error) { return w.overrides, nil }

func (w *twoTeams) PutOverride(_ context.Context, o tocsin.Override) (tocsin.Override, error) {
	w.did = append(w.did, "put "+o.Schedule)
	o.ID, o.State, o.CreatedAt = "ovnew1", tocsin.OverrideActive, now
	return o, nil
}

func (w *twoTeams) AnswerOverride(ctx context.Context, id, by string, answer tocsin.OverrideAnswer) (tocsin.Override, error) {
	for _, o := range w.overrides {
		if o.ID == id {
			if err := tocsin.Allowed(ctx, &o); err != nil {
				return o, err
			}
			w.did = append(w.did, fmt.Sprint(answer, " ", id))
			o.EndedBy = by
			return o, nil
		}
	}
	return tocsin.Override{}, tocsin.ErrNotFound
}

// Silences are one of the team db, and one that is not, whose matchers look much like
// the team's.
func (w *twoTeams) Silences(context.Context) ([]tocsin.Silence, error) {
	one := func(id, comment string, matchers ...string) tocsin.Silence {
		return tocsin.Silence{ID: id, Matchers: matchers, StartsAt: now, EndsAt: now.Add(time.Hour), CreatedBy: "will", Comment: comment}
	}
	return []tocsin.Silence{
		one("sildbs", "of db", "alertname=Down", "team=db"),
		one("silweb", canary, `team=~"db|`+canary+`"`, `team="web"`),
	}, nil
}

func (w *twoTeams) allowed(ctx context.Context, id string) error {
	all, err := w.Silences(ctx)
	for n := range all {
		if all[n].ID == id {
			return tocsin.Allowed(ctx, &all[n])
		}
	}
	return err
}

func (w *twoTeams) PutSilence(ctx context.Context, s tocsin.Silence) (tocsin.Silence, error) {
	if err := w.allowed(ctx, s.ID); err != nil {
		return s, err
	}
	w.did = append(w.did, strings.TrimSpace(fmt.Sprint("silence ", s.Matchers, " ", s.ID)))
	s.ID = "silnew"
	return s, nil
}

func (w *twoTeams) ExpireSilence(ctx context.Context, id, _ string) error {
	if err := w.allowed(ctx, id); err != nil {
		return err
	}
	w.did = append(w.did, "expire "+id)
	return nil
}

func runOf(incident string) tocsin.Remediation {
	return tocsin.Remediation{
		ID: incident + "-r", Remedy: "restart", Incident: incident, Target: said(incident), Mode: tocsin.ModeApprove, State: tocsin.RemediationProposed, ProposedAt: now,
	}
}

func (w *twoTeams) Remedies(context.Context) ([]tocsin.Remedy, []string, error) {
	return []tocsin.Remedy{{Name: "restart", Mode: tocsin.ModeApprove, Matchers: []string{`alertname="Down"`}}}, nil, nil
}

func (w *twoTeams) Remediations(_ context.Context, incident string) (list []tocsin.Remediation, _ error) {
	for _, i := range w.incidents {
		if incident == "" || incident == i.ID {
			list = append(list, runOf(i.ID))
		}
	}
	return list, nil
}

func (w *twoTeams) Remediation(_ context.Context, id string) (tocsin.Remediation, string, error) {
	for _, i := range w.incidents {
		if r := runOf(i.ID); r.ID == id {
			return r, "output " + said(i.ID), nil
		}
	}
	return tocsin.Remediation{}, "", tocsin.ErrNotFound
}

func (w *twoTeams) Plan(_ context.Context, incident, remedy, _ string) ([]tocsin.RemedyPlan, error) {
	return []tocsin.RemedyPlan{{Remedy: remedy, Incident: incident, Target: said(incident)}}, nil
}

func (w *twoTeams) Remediate(_ context.Context, incident, remedy, _, _ string) (tocsin.Remediation, error) {
	w.did = append(w.did, remedy+" "+incident)
	return runOf(incident), nil
}

func (w *twoTeams) Answer(_ context.Context, id, _ string, approve bool) (tocsin.Remediation, error) {
	w.did = append(w.did, fmt.Sprint("answer ", id, " ", approve))
	return runOf(strings.TrimSuffix(id, "-r")), nil
}

func (w *twoTeams) Stop(context.Context, string, string) error   { return nil }
func (w *twoTeams) Resume(context.Context, string, string) error { return nil }

// everything wires as much as a server can have.
func (w *twoTeams) everything(d *server.Deps) {
	d.Reader, d.Actions, d.Manual, d.OnCall, d.Overrides, d.Remedies, d.Remediator = w, w, w.open, w, w, w, w
	d.Silencer = w
	d.Hides = func(ctx context.Context, who *tocsin.Principal, _ []string) (h tocsin.Hidden, err error) {
		h.First, err = who.Reader(w).List(ctx, tocsin.Filter{})
		h.Alerts, h.Incidents, h.Latest = len(h.First), len(h.First), h.First
		return h, err
	}
	d.Runbooks = library{"db.md#down": {ID: "db.md#down", Title: "The database is down", File: "db.md", Alerts: []string{"Down"}, Steps: []tocsin.Step{{ID: "1", Text: "look"}}}}
	d.Beside = func(ctx context.Context, who *tocsin.Principal, id string) (facts []server.Fact, err error) {
		list, err := who.Reader(w).List(ctx, tocsin.Filter{})
		for _, i := range list {
			facts = append(facts, server.Fact{Heading: "Similar", Text: i.Title, Incident: i.ID})
		}
		return facts, err
	}
	d.Values = func(_ context.Context, id string) ([]server.LiveValue, error) {
		return []server.LiveValue{{Expr: said(id), Series: []server.LiveSeries{}}}, nil
	}
	d.Graph = func(_ context.Context, id string, _, _ int) ([]byte, error) {
		return []byte("<svg>" + said(id) + "</svg>"), nil
	}
	d.Why = func(_ context.Context, _ *tocsin.Principal, id string) (*tocsin.Why, error) {
		return &tocsin.Why{Incident: id, Answer: said(id), Reasons: []tocsin.Reason{{Stage: tocsin.StagePayload, Text: said(id)}}}, nil
	}
	d.Insights = func(ctx context.Context, who *tocsin.Principal, from, to time.Time) (tocsin.Insights, error) {
		list, err := who.Reader(w).List(ctx, tocsin.Filter{})
		in := tocsin.Insights{From: from, To: to, Incidents: len(list)}
		for _, i := range list {
			in.Brief.Incidents = append(in.Brief.Incidents, i.ID)
			in.Rules = append(in.Rules, tocsin.Tally{Name: i.Title, Count: 1, Incidents: []string{i.ID}})
		}
		return in, err
	}
	d.ChangesBefore = func(context.Context, *tocsin.Incident) ([]tocsin.Event, error) {
		return []tocsin.Event{{Kind: tocsin.EventChange, At: now, Text: "change of " + canary}}, nil
	}
	d.RunbookUsage = func(context.Context) (tocsin.RunbookUsage, error) {
		return tocsin.RunbookUsage{Runbooks: []tocsin.RunbookUse{}}, nil
	}
	d.RunbookGaps = func(context.Context) (server.RunbookGaps, error) {
		return server.RunbookGaps{Alerts: []server.AlertWithout{{Name: canary, Times: 1}}}, nil
	}
	d.LoadedRules = func(context.Context) tocsin.LoadedRules {
		return tocsin.LoadedRules{Problem: canary, Coverage: tocsin.Coverage{Rules: []tocsin.RuleCoverage{{Alert: canary}}, Unmatched: []tocsin.Unmatched{}}}
	}
	d.Calendar = func(_ context.Context, schedule, user string) ([]byte, error) {
		return []byte("BEGIN:VCALENDAR " + schedule + user), nil
	}
	d.System = func(context.Context) (server.System, error) {
		return server.System{Problem: canary, Providers: []server.Provider{}, Sandbox: []server.SandboxOffer{}}, nil
	}
	d.Stats = func() tocsin.Stats { return tocsin.Stats{Firing: 4711} }
	d.Backup = func(_ context.Context, _ string, out io.Writer) (int64, error) { return 0, nil }
	d.Reload = func(context.Context, string) error { return nil }
	d.Receivers = func() []string { return []string{"db", "web-" + canary, "web"} }
	j := newJournal()
	for _, id := range []string{ours, theirs, calling} {
		j.put(tocsin.Event{Kind: tocsin.EventNote, Incident: id, Text: "event " + said(id)})
	}
	j.put(tocsin.Event{Kind: tocsin.EventSilence, Text: canary})
	j.put(tocsin.Event{Kind: tocsin.EventChange, Text: canary})
	d.Log, d.Changed = j, j.changed
	d.Teams = func() []string { return []string{"db", "web"} }
	d.TeamReceivers = func(team string) []string { return []string{team} }
	d.Who, d.Bearer = ofTeams, func(t tocsin.Token) tocsin.Principal { return inTeam(t.Name, t.Role) }
}

// inTeam is somebody of the team db alone; admin is of no team.
func inTeam(name string, role tocsin.Role) tocsin.Principal {
	if name == "admin" {
		return tocsin.Principal{Name: name, Role: tocsin.RoleAdmin}
	}
	return tocsin.Principal{
		Name: "dora", Role: tocsin.RoleNone, Teams: map[string]tocsin.Role{"db": role},
		Receivers: map[string]tocsin.Role{"db": role}, Schedules: map[string]tocsin.Role{"db-primary": role},
		Silences: []tocsin.SilenceScope{{Matchers: []string{`team="db"`}, Role: role}},
	}
}

// ofTeams reads the role in the team out of a group: "db-manager".
func ofTeams(id tocsin.Identity) (tocsin.Principal, error) {
	for _, g := range id.Groups {
		if role, ok := strings.CutPrefix(g, "db-"); ok {
			return inTeam("dora", tocsin.Role(role)), nil
		}
	}
	return who(id)
}

// teamWorld is a server with everything, and people of one team with each role, by
// token and by log-in.
func teamWorld(t *testing.T) (*world, *twoTeams) {
	t.Helper()
	all := newTwoTeams()
	w, k, _ := guarded(t, server.Config{ExternalURL: secure, NoLocal: true, Limits: server.Limits{Requests: 1_000_000}}, all.everything)
	k.frozen = true
	for _, role := range []string{"viewer", "responder", "manager"} {
		k.tokens["tocsin_db_"+role] = tocsin.Token{ID: "t-db-" + role, Name: "db-" + role, Role: tocsin.Role(role), Team: "db", CreatedAt: now}
		k.sessions["session-db-"+role] = tocsin.Session{ID: "s-db-" + role, Identity: tocsin.Identity{Name: "db-" + role, Subject: "db-" + role, Groups: []string{"db-" + role}}}
	}
	return w, all
}
