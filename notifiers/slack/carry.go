package slack

import (
	"cmp"
	"slices"

	"github.com/tocsin-oncall/tocsin"
)

// A digest whose receipt was lost tells of incidents that the caller does not
// know to be told there. Until it does, each update of that digest carries them
// along: they must stay visible, and be found by the next look-up.

// maxCarried bounds the digests that are remembered so. Of any other an update
// tells what the caller names.
const maxCarried = 64

// carried is an incident that a found digest tells of.
type carried struct {
	incident *tocsin.Incident
	// settled ones are known to the caller.
	settled bool
}

// carry remembers what a digest that was found tells of.
func (ch *Channel) carry(ref string, list []named) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.digests[ref] != nil || len(ch.digests) >= maxCarried {
		return
	}
	all := make(map[string]carried, len(list))
	for _, i := range list {
		known := ch.doubts[i.ID].digest
		if known == nil {
			known = &tocsin.Incident{ID: i.ID, Revision: i.Revision, State: tocsin.Triggered, Title: "(told here before a restart)"}
		}
		all[i.ID] = carried{incident: known}
	}
	ch.digests[ref] = all
}

// withCarried adds what the digest at ref tells of besides the incidents.
func (ch *Channel) withCarried(ref string, incidents []*tocsin.Incident) []*tocsin.Incident {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	all := ch.digests[ref]
	if len(all) == 0 {
		return incidents
	}
	var more []*tocsin.Incident
	for id, c := range all {
		if !slices.ContainsFunc(incidents, func(i *tocsin.Incident) bool { return i.ID == id }) {
			more = append(more, c.incident)
		}
	}
	slices.SortFunc(more, func(a, b *tocsin.Incident) int { return cmp.Compare(a.ID, b.ID) })
	out := append(slices.Clone(incidents), more...)
	slices.SortStableFunc(out, func(a, b *tocsin.Incident) int { return b.Severity.Rank() - a.Severity.Rank() })
	return out
}

// settle notes that the caller learns of incidents that the digest at ref tells
// of. When it has learnt of all, nothing is to be carried any more.
func (ch *Channel) settle(ref string, incidents ...*tocsin.Incident) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	all := ch.digests[ref]
	for _, i := range incidents {
		delete(ch.doubts, i.ID)
		if all != nil {
			all[i.ID] = carried{i, true}
		}
	}
	for _, c := range all {
		if !c.settled {
			return
		}
	}
	delete(ch.digests, ref)
}
