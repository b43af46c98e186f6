package callback

import (
	"context"
	"errors"
	"slices"
	"time"

	matcher "github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/alertmanager/pkg/labels"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
)

const (
	// recently is how far back is counted what a silence would have hidden.
	recently = 30 * 24 * time.Hour
	// What is counted before a silence is confirmed is bounded: the window must
	// open within 3 s of the click. What fires now comes first, and leaves some of
	// the time to the rest.
	countWithin    = 1200 * time.Millisecond
	countNowWithin = 500 * time.Millisecond
	// countAlerts bounds the alerts of one incident that are looked at.
	countAlerts = 50_000
	// latestHidden are the incidents that are named.
	latestHidden = 5
	firstHidden  = 20
)

// lists are how many incidents are asked for, until they reach back far enough: a
// reader gives the newest first.
var lists = []int{1000, 10_000, 100_000}

// impact says what a silence of the matchers would hide now, and what it would have
// hidden, of what who asks may view. What could not be counted in time is said to be at least so much.
func (h *Handler) impact(ctx context.Context, who *tocsin.Principal, matchers []string) []string {
	hidden, err := Hides(ctx, who.Reader(h.d.Reader), matchers, h.cfg.Now())
	if err != nil {
		return []string{"What it would hide could not be counted: " + slack.Escape(err.Error(), 200) + "."}
	}
	lines := []string{hidden.Now("*"), hidden.Since("*")}
	for i, inc := range hidden.Latest {
		if i == 0 {
			lines = append(lines, "The latest of them:")
		}
		lines = append(lines, "• "+slack.Time(inc.OpenedAt)+" "+slack.Code(inc.ID, 40)+" "+slack.Escape(inc.Title, 150))
	}
	return lines
}

// compile reads matchers as the router does.
func compile(texts []string) (labels.Matchers, error) {
	var all labels.Matchers
	for _, text := range texts {
		ms, err := matcher.Matchers(text)
		if err != nil {
			return nil, err
		}
		all = append(all, ms...)
	}
	return all, nil
}

// counter counts what matchers match.
type counter struct {
	reader   tocsin.Reader
	matchers labels.Matchers
}

// matches reports whether all matchers match; a label that is absent has the empty
// value.
func (n *counter) matches(l tocsin.Labels) bool {
	return !slices.ContainsFunc(n.matchers, func(m *labels.Matcher) bool { return !m.Matches(l[m.Name]) })
}

// verdict is what one alert of an incident tells of the others.
type verdict int

const (
	someMatch verdict = iota // each must be looked at
	allMatch
	noneMatch
)

// judge decides by one alert where it can: the labels of GroupBy are the same in all
// alerts of an incident.
func (n *counter) judge(inc *tocsin.Incident, l tocsin.Labels) verdict {
	v := allMatch
	for _, m := range n.matchers {
		switch shared := slices.Contains(inc.GroupBy, m.Name); {
		case shared && !m.Matches(l[m.Name]):
			return noneMatch
		case !shared:
			v = someMatch
		}
	}
	return v
}

// hiddenNow is what fires now and matches.
type hiddenNow struct {
	// held are those of the alerts that page nobody already.
	alerts, held, incidents int
	// least is true when not all could be looked at.
	least bool
	// first are the newest of the incidents.
	first []*tocsin.Incident
}

// now counts over the open incidents.
func (n *counter) now(ctx context.Context) (out hiddenNow) {
	ctx, cancel := context.WithTimeout(ctx, countNowWithin)
	defer cancel()
	var list []*tocsin.Incident
	for _, limit := range lists {
		some, err := n.reader.List(ctx, tocsin.Filter{States: open, Limit: limit})
		if err != nil {
			out.least = true
			break
		}
		list, out.least = some, len(some) == limit
		if !out.least {
			break
		}
	}
	for _, inc := range list {
		if ctx.Err() != nil {
			out.least = true
			break
		}
		if inc.Firing > 0 {
			out.add(inc, n.firing(ctx, inc))
		}
	}
	return out
}

func (o *hiddenNow) add(inc *tocsin.Incident, one hiddenNow) {
	o.alerts, o.held, o.least = o.alerts+one.alerts, o.held+one.held, o.least || one.least
	if one.alerts == 0 {
		return
	}
	if o.incidents++; len(o.first) < firstHidden {
		o.first = append(o.first, inc)
	}
}

// firing counts the alerts of an incident that fire and match.
func (n *counter) firing(ctx context.Context, inc *tocsin.Incident) (out hiddenNow) {
	first, err := n.reader.AlertsOf(ctx, inc.ID, 1)
	if err != nil || len(first) == 0 {
		return hiddenNow{least: true}
	}
	switch n.judge(inc, first[0].Labels) {
	case noneMatch:
		return out
	case allMatch:
		return hiddenNow{alerts: int(inc.Firing), held: int(inc.Suppressed)}
	case someMatch:
	}
	most := min(int(inc.Firing), countAlerts) // firing ones come first
	all, err := n.reader.AlertsOf(ctx, inc.ID, most)
	if err != nil {
		return hiddenNow{least: true}
	}
	out.least = int(inc.Firing) > most
	for i := range all {
		if s := &all[i].State; s.Firing && n.matches(all[i].Labels) {
			out.alerts++
			if s.Suppression != nil {
				out.held++
			}
		}
	}
	return out
}

// hiddenSince are the incidents that were opened since a time and of whose alerts
// some match.
type hiddenSince struct {
	incidents int
	// of is how many were opened, looked how many of them could be looked at.
	of, looked int
	// gone are those of them whose alerts are not kept any more.
	gone int
	// least is true when not all could be looked at, more when not even all are
	// known.
	least, more bool
	latest      []*tocsin.Incident
}

// since counts over the incidents of all states, those that were archived too: the
// newest first, and as far back as there is time for.
func (n *counter) since(ctx context.Context, since time.Time) hiddenSince {
	out := hiddenSince{least: true, more: true}
	seen := map[string]bool{}
	for _, limit := range lists {
		list, err := n.reader.List(ctx, tocsin.Filter{Archived: true, Limit: limit})
		if err != nil {
			return out
		}
		whole := len(list) < limit
		if at := slices.IndexFunc(list, func(i *tocsin.Incident) bool { return i.OpenedAt.Before(since) }); at >= 0 {
			list, whole = list[:at], true
		}
		out.of, out.more = len(list), !whole
		missed := false
		for _, inc := range list {
			if seen[inc.ID] {
				continue
			}
			seen[inc.ID] = true
			missed = !out.look(ctx, n, inc) || missed
			if ctx.Err() != nil {
				return out
			}
		}
		if whole {
			out.least = missed
			return out
		}
	}
	return out
}

// look counts one incident, and reports whether it could.
func (o *hiddenSince) look(ctx context.Context, n *counter, inc *tocsin.Incident) bool {
	hit, kept, err := n.hits(ctx, inc)
	if err != nil {
		return false
	}
	o.looked++
	switch {
	case hit:
		if o.incidents++; len(o.latest) < latestHidden {
			o.latest = append(o.latest, inc)
		}
	case !kept:
		o.gone++
	}
	return true
}

var errManyAlerts = errors.New("the incident has more alerts than are looked at")

// hits reports whether an alert of the incident matches; kept is false where its
// alerts are not kept any more.
func (n *counter) hits(ctx context.Context, inc *tocsin.Incident) (hit, kept bool, err error) {
	if inc.Alerts == 0 {
		return false, true, ctx.Err()
	}
	first, err := n.reader.AlertsOf(ctx, inc.ID, 1)
	switch {
	case err != nil:
		return false, false, err
	case len(first) == 0 || len(first[0].Labels) == 0:
		return false, false, nil
	case n.matches(first[0].Labels):
		return true, true, nil
	case n.judge(inc, first[0].Labels) == noneMatch || inc.Alerts == 1:
		return false, true, nil
	}
	all, err := n.reader.AlertsOf(ctx, inc.ID, min(int(inc.Alerts), countAlerts))
	if err != nil {
		return false, false, err
	}
	hit = slices.ContainsFunc(all, func(a tocsin.AlertRecord) bool { return len(a.Labels) > 0 && n.matches(a.Labels) })
	if !hit && int(inc.Alerts) > countAlerts {
		return false, true, errManyAlerts
	}
	return hit, true, nil
}
