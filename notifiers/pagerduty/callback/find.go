package callback

import (
	"context"
	"errors"
	"strings"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty"
)

// errStranger: the event is about an incident of PagerDuty's that is none of
// ours, or that is over here.
var errStranger = errors.New("not about an incident of ours")

// place is where an event happened.
type place struct {
	incident *tocsin.Incident
	// target and ref are empty where it is not known which delivery it is.
	target, ref string
	// fresh is true where PagerDuty has what we have no receipt of yet: what
	// follows the ref of the delivery.
	fresh   bool
	follows string
	// remote is the delivery's Remote.
	remote string
	// earlier is true when it is of a turn before.
	earlier bool
}

// find returns the incident and the delivery that an event is about.
func (h *Handler) find(ctx context.Context, ev *event) (place, error) {
	key, remote := ev.Data.Key, ev.remote()
	if key == "" {
		if remote == "" {
			return place{}, errStranger
		}
		if p, ok := h.byRemote(remote); ok {
			return p, nil
		}
		var err error
		if key, err = h.ask(ctx, remote); err != nil {
			return place{}, err
		}
	}
	k, ours := pagerduty.ParseKey(key)
	if !ours {
		return place{}, errStranger
	}
	inc, err := h.deps.Incidents.Get(ctx, k.Incident)
	if errors.Is(err, tocsin.ErrNotFound) {
		return place{}, errStranger
	}
	if err != nil {
		return place{}, err
	}
	return at(inc, key, k)
}

// at finds the delivery that a key is of.
func at(inc *tocsin.Incident, key string, k pagerduty.Key) (place, error) {
	var pending []*tocsin.Delivery
	earlier := false
	for n := range inc.Deliveries {
		d := &inc.Deliveries[n]
		if !strings.HasPrefix(d.Target, "pagerduty:") {
			continue
		}
		if d.Ref == key {
			return place{incident: inc, target: d.Target, ref: d.Ref, remote: d.Heard().Remote}, nil
		}
		told, _ := pagerduty.ParseKey(d.Ref)
		earlier = earlier || told.Base == k.Base && told.Turn > k.Turn
		if d.Ref == "" || told.Base == k.Base && told.Turn < k.Turn {
			pending = append(pending, d)
		}
	}
	switch {
	case earlier:
		return place{incident: inc, earlier: true}, nil
	case len(pending) == 0:
		return place{}, errStranger // nothing that we sent
	case len(pending) > 1:
		return place{incident: inc}, nil
	}
	d := pending[0]
	return place{incident: inc, target: d.Target, ref: key, fresh: true, follows: d.Ref}, nil
}

func (h *Handler) byRemote(remote string) (place, bool) {
	if h.deps.Live == nil {
		return place{}, false
	}
	var p place
	h.deps.Live(func(inc *tocsin.Incident) bool {
		for n := range inc.Deliveries {
			if d := &inc.Deliveries[n]; d.Heard().Remote == remote {
				p = place{incident: inc, target: d.Target, ref: d.Ref, remote: remote}
				return false
			}
		}
		return true
	})
	return p, p.incident != nil
}

// ask has the REST API say which incident it is.
func (h *Handler) ask(ctx context.Context, remote string) (string, error) {
	if h.deps.Key == nil {
		return "", errStranger
	}
	key, err := h.deps.Key(ctx, remote)
	switch {
	case err == nil:
		return key, nil
	case errors.Is(err, tocsin.ErrNotFound), tocsin.IsPermanent(err):
		return "", errStranger
	default:
		return "", tocsin.Unavailable(err)
	}
}
