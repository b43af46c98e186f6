package callback

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
)

const (
	// homeAhead is how far ahead a person's shifts are looked for.
	homeAhead = 4 * 7 * 24 * time.Hour
	// homeScan bounds the open incidents among which a person's are looked for.
	homeScan = 10_000
	// homeWithin bounds the tries to publish one: whoever opens the tab later has
	// it made anew.
	homeWithin = 5 * time.Minute
)

// homeOpened has the Home tab made for whoever opens it
// (https://docs.slack.dev/reference/events/app_home_opened).
func (h *Handler) homeOpened(_ context.Context, e *envelope) answer {
	var opened struct {
		User string `json:"user"`
		Tab  string `json:"tab"`
		View struct {
			Hash string `json:"hash"`
		} `json:"view"`
	}
	if err := json.Unmarshal(e.Event, &opened, lenient); err != nil || opened.User == "" {
		return answer{refusal: malformed("payload", "its event is not the JSON that Slack documents")}
	}
	if opened.Tab != "home" || h.d.Publish == nil {
		return ok("ignored")
	}
	return answer{outcome: "done", after: h.showHome(opened.User, opened.View.Hash)}
}

// atHome reports whether the click was on a Home tab that we published for the
// very person who clicked.
func (p *interaction) atHome() bool {
	return p.Message == nil && p.View.Type == "home" && p.View.ID != "" && p.View.Private == p.User.ID
}

// homes are the Home tabs that are being published.
type homes struct {
	mu    sync.Mutex
	turns map[string]*homeTurn
}

// homeTurn is what is still to be shown to one person.
type homeTurn struct {
	due   bool
	hash  string
	lines []string
}

// ask notes that a person's tab is due, and reports whether the caller is to
// publish it: one does at a time, so that the last one that is published is made
// of what was committed last.
func (s *homes) ask(user, hash string, lines []string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.turns[user]
	first := t == nil
	if first {
		t = &homeTurn{}
		s.turns[user] = t
	}
	t.due, t.hash = true, hash
	if len(lines) > 0 {
		t.lines = lines
	}
	return first
}

// next takes what is due, or ends the caller's turn.
func (s *homes) next(user string) (homeTurn, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.turns[user]
	if !t.due {
		delete(s.turns, user)
		return homeTurn{}, false
	}
	now := *t
	*t = homeTurn{}
	return now, true
}

// showHome publishes a person's Home tab, with lines on top. The hash is that of
// the tab that they last saw; empty: not known.
func (h *Handler) showHome(user, hash string, lines ...string) func(context.Context) {
	return func(ctx context.Context) {
		if h.d.Publish == nil || !h.homes.ask(user, hash, lines) {
			return
		}
		for {
			t, due := h.homes.next(user)
			if !due {
				return
			}
			h.publish(ctx, user, t)
		}
	}
}

// publish tries until the tab shows how things stand, each time anew.
func (h *Handler) publish(ctx context.Context, user string, t homeTurn) {
	ctx, cancel := context.WithTimeout(ctx, homeWithin)
	defer cancel()
	pause := firstPause
	for use := 1; ; use++ {
		v, err := h.home(ctx, user)
		if err == nil {
			v.Lines = t.lines
			err = h.behind.call(ctx, func(ctx context.Context) error { return h.d.Publish(ctx, user, t.hash, v) })
		}
		switch {
		case err == nil:
			h.metrics.replies.WithLabelValues("said").Inc()
			return
		case errors.Is(err, slack.ErrHomeChanged) && t.hash != "":
			t.hash = "" // what is made after this is newer than what is there
			continue
		case tocsin.IsPermanent(err), use >= maxUses, ctx.Err() != nil:
			h.metrics.replies.WithLabelValues("failed").Inc()
			h.log.once(h.cfg.Now(), "home").Warn("a Home tab in Slack could not be shown; it is made anew when it is opened again", "error", err)
			return
		}
		wait := pause
		if after, ok := tocsin.RetryDelay(err); ok {
			wait = max(wait, after)
		}
		sleep(ctx, wait)
		pause *= 2
	}
}

// home gathers what a person sees.
func (h *Handler) home(ctx context.Context, user string) (slack.Home, error) {
	v := slack.Home{Now: h.cfg.Now()}
	var known bool
	if v.Who, known = h.d.Who(user); !known {
		v.Stranger = user
		return v, nil
	}
	who := h.d.Person(v.Who)
	list, err := who.Reader(h.d.Reader).List(ctx, tocsin.Filter{States: open, Limit: homeScan})
	if err != nil {
		return v, err
	}
	v.Incidents = theirs(list, v.Who)
	if h.d.Shifts == nil {
		return v, nil
	}
	return v, h.homeShifts(ctx, &who, &v)
}

// homeShifts adds the person's shifts, and, where they may view the schedule, who is
// on call beside them.
func (h *Handler) homeShifts(ctx context.Context, who *tocsin.Principal, v *slack.Home) error {
	v.Until = v.Now.Add(homeAhead)
	running, err := h.shifts(ctx, tocsin.ShiftQuery{User: v.Who, From: v.Now, To: v.Now})
	if err != nil {
		return err
	}
	ahead, err := h.shifts(ctx, tocsin.ShiftQuery{User: v.Who, From: v.Now, To: v.Until})
	if err != nil {
		return err
	}
	v.Shifts = append(running, slices.DeleteFunc(ahead, func(s tocsin.Shift) bool { return !s.From.After(v.Now) })...)
	slices.SortStableFunc(v.Shifts, func(a, b tocsin.Shift) int { return a.From.Compare(b.From) })
	seen := map[string]bool{}
	for n := range v.Shifts {
		name := v.Shifts[n].Schedule
		if seen[name] || !who.MayOn(tocsin.RightView, name) {
			continue
		}
		seen[name] = true
		now, err := h.shifts(ctx, tocsin.ShiftQuery{Schedule: name, From: v.Now, To: v.Now})
		if err != nil {
			return err
		}
		v.OnCall = append(v.OnCall, now...)
	}
	return nil
}

// shifts asks for shifts; what is not configured any more has none.
func (h *Handler) shifts(ctx context.Context, q tocsin.ShiftQuery) ([]tocsin.Shift, error) {
	list, err := h.d.Shifts(ctx, q)
	if errors.Is(err, tocsin.ErrNotFound) {
		return nil, nil
	}
	return slices.Clone(list), err
}

// theirs are the incidents that called a person, or that they have taken, the
// most urgent first.
func theirs(list []*tocsin.Incident, who string) []*tocsin.Incident {
	var out []*tocsin.Incident
	for _, i := range list {
		if i.Open() && (i.AcknowledgedBy == who || i.Escalation != nil && i.Escalation.Responder(who) != nil) {
			out = append(out, i)
		}
	}
	slices.SortStableFunc(out, func(a, b *tocsin.Incident) int {
		return cmp.Or(
			cmp.Compare(settled(a), settled(b)), cmp.Compare(b.Severity.Rank(), a.Severity.Rank()),
			a.OpenedAt.Compare(b.OpenedAt), cmp.Compare(a.ID, b.ID),
		)
	})
	return out
}

// settled incidents wait for nobody.
func settled(i *tocsin.Incident) int {
	if i.State == tocsin.Acknowledged || i.Quiet() {
		return 1
	}
	return 0
}
