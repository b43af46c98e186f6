package slack

import (
	"math"

	slackgo "github.com/slack-go/slack"

	"github.com/tocsin-oncall/tocsin"
)

// metadata tells a later process what a message is about.
type metadata struct {
	EventType string  `json:"event_type"`
	Payload   payload `json:"event_payload"`
}

// The event types of our metadata, part of the contract with messages that are
// already posted.
const (
	eventPrefix   = "tocsin_"
	eventIncident = eventPrefix + "incident"
	eventThread   = eventPrefix + "thread"
	eventDigest   = eventPrefix + "digest"
)

// IsIncident reports whether metadata of the type are those of an incident's
// message.
func IsIncident(eventType string) bool { return eventType == eventIncident }

type payload struct {
	Incident string `json:"incident,omitzero"`
	Target   string `json:"target,omitzero"`
	// Told is the last event that the message tells.
	Told uint64 `json:"told,omitzero"`
	// Called is how often the target was called, with the message itself.
	Called uint32 `json:"called,omitzero"`
	// Digest names a digest, Incidents what it tells of.
	Digest    string  `json:"digest,omitzero"`
	Incidents []named `json:"incidents,omitzero"`
}

// named is an incident of a digest and the revision that is shown. It is an
// object since Slack documents arrays of objects alone (MessageMetadata of
// @slack/types 3.2.0).
type named struct {
	ID       string `json:"id"`
	Revision uint64 `json:"revision"`
}

// namedOf lists incidents, as many as a digest names.
func namedOf(incidents []*tocsin.Incident) []named {
	out := make([]named, 0, min(len(incidents), maxNamed))
	for n, i := range incidents {
		if n == maxNamed {
			break
		}
		out = append(out, named{i.ID, i.Revision})
	}
	return out
}

// about reads our metadata of the given type. Anybody may have written it: what
// has the wrong shape counts as absent.
func about(m *slackgo.Message, eventType string) (payload, bool) {
	if m.Metadata.EventType != eventType {
		return payload{}, false
	}
	fields := m.Metadata.EventPayload
	p := payload{
		Incident: stringOf(fields, "incident"), Target: stringOf(fields, "target"), Told: countOf(fields, "told"),
		Called: uint32(min(countOf(fields, "called"), math.MaxUint32)), Digest: stringOf(fields, "digest"),
	}
	list, _ := fields["incidents"].([]any)
	for _, v := range list {
		if o, ok := v.(map[string]any); ok && len(p.Incidents) < maxNamed {
			p.Incidents = append(p.Incidents, named{stringOf(o, "id"), countOf(o, "revision")})
		}
	}
	return p, true
}

func stringOf(fields map[string]any, name string) string {
	s, _ := fields[name].(string)
	return s
}

// countOf reads a count; JSON numbers hold them exactly below 2^53.
func countOf(fields map[string]any, name string) uint64 {
	f, _ := fields[name].(float64)
	if f < 0 || f >= 1<<53 {
		return 0
	}
	return uint64(f)
}
