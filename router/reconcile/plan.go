package reconcile

import (
	"slices"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// States of an alert at Alertmanager.
const active = "active"

// view is what all peers together say.
type view struct {
	// whole is false when a peer did not answer: nothing is absent then.
	whole bool
	// answered is false when none did.
	answered bool
	alerts   map[tocsin.Key]*seen
}

// seen is an alert that some peer has.
type seen struct {
	alert tocsin.Alert
	// pages is true where every peer that has the alert would send it to us now.
	pages bool
}

// merge joins the answers of the peers; a nil answer is one that did not come.
func merge(c *Config, answers [][]apiAlert) view {
	v := view{whole: true, alerts: map[tocsin.Key]*seen{}}
	for _, list := range answers {
		if list == nil {
			v.whole = false
			continue
		}
		v.answered = true
		for i := range list {
			v.add(c, &list[i])
		}
	}
	return v
}

func (v *view) add(c *Config, a *apiAlert) {
	alert := tocsin.Alert{
		Source: c.Source, Labels: a.Labels, Annotations: a.Annotations, Firing: true,
		StartsAt: a.StartsAt.UTC(), GeneratorURL: a.GeneratorURL,
	}
	pages := a.Status.State == active && c.ours(a)
	id := alert.ID()
	if known := v.alerts[id]; known != nil {
		known.pages = known.pages && pages
		if alert.StartsAt.Before(known.alert.StartsAt) {
			known.alert.StartsAt = alert.StartsAt
		}
		return
	}
	v.alerts[id] = &seen{alert, pages}
}

// ours reports whether the alert goes to a receiver that sends here.
func (c *Config) ours(a *apiAlert) bool {
	if len(c.Receivers) == 0 {
		return true
	}
	for _, r := range a.Receivers {
		if slices.Contains(c.Receivers, r.Name) {
			return true
		}
	}
	return false
}

// missed are the alerts that page there and do not fire here, oldest first. One
// that has only just begun is not missed: its webhook is on the way.
func (v *view) missed(c *Config, firing func(tocsin.Key) bool, now time.Time) []tocsin.Alert {
	var out []tocsin.Alert
	for id, s := range v.alerts {
		a := s.alert
		if !s.pages || firing(id) || now.Sub(a.StartsAt) < c.Settle || c.Skip != nil && c.Skip(&a) {
			continue
		}
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b tocsin.Alert) int { return a.StartsAt.Compare(b.StartsAt) })
	return out
}

// absence counts, for the alerts that fire here, the checks in a row in which no
// peer had them.
type absence map[tocsin.Key]int

// note counts one check, and returns the alerts that are gone for good. A check
// in which a peer did not answer counts nothing, but what was seen is there.
func (n absence) note(v *view, firing []tocsin.Key, checks int) []tocsin.Key {
	var gone []tocsin.Key
	here := make(map[tocsin.Key]bool, len(firing))
	for _, id := range firing {
		here[id] = true
		switch {
		case v.alerts[id] != nil:
			delete(n, id)
		case v.whole:
			if n[id]++; n[id] >= checks {
				gone = append(gone, id)
			}
		}
	}
	for id := range n {
		if !here[id] {
			delete(n, id)
		}
	}
	return gone
}
