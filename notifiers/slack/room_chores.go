package slack

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tocsin-oncall/tocsin"
)

const (
	// maxRoomTopic is Slack's limit for a topic.
	maxRoomTopic = 250
	// maxInvites bounds the people who are invited at a time.
	maxInvites = 20
)

// chore is what a channel has besides the message and its thread.
type chore struct {
	// name says it after "could not".
	name string
	due  func(*visit) bool
	// do does it with one call, or one for each person, and says what was done.
	do func(*visit, context.Context) (string, error)
}

// chores in their order: people first, since they wait.
var chores = []chore{
	{"invite anybody", func(v *visit) bool { return len(v.missing()) > 0 }, (*visit).invite},
	{"tell of the channel", func(v *visit) bool { return !v.room.Said }, (*visit).announce},
	{"pin the message", func(v *visit) bool { return v.room.Pinned != placeOf(v.n.Delivery.Ref).ts }, (*visit).pin},
	{"set the topic", func(v *visit) bool { return v.room.Topic != roomTopic(v.n.Incident) }, (*visit).setTopic},
}

// next returns the chore that is due, or nil.
func (v *visit) next() *chore {
	for n := range chores {
		if c := &chores[n]; !slices.Contains(v.room.GivenUp, c.name) && c.due(v) {
			return c
		}
	}
	return nil
}

// missing are those who belong into the channel and were not invited yet: who was
// called, who has answered, who asked for the channel.
func (v *visit) missing() []string {
	i := v.n.Incident
	if !i.Open() {
		return nil
	}
	var all, out []string
	if i.Escalation != nil {
		for n := range i.Escalation.Responders {
			all = append(all, i.Escalation.Responders[n].User)
		}
	}
	all = append(all, i.AcknowledgedBy)
	for n := range v.n.Events {
		if e := &v.n.Events[n]; e.Kind == tocsin.EventChannel {
			all = append(all, e.Actor)
		}
	}
	for _, name := range all {
		if name != "" && !slices.Contains(v.room.Invited, name) && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out[:min(len(out), maxInvites)]
}

// invite invites those who are missing. Who cannot be is said once.
func (v *visit) invite(ctx context.Context) (string, error) {
	var names, ids, without []string
	for _, name := range v.missing() {
		if id := v.rooms.cfg.Slack(name); isUser(id) {
			names, ids = append(names, name), append(ids, id)
		} else {
			without = append(without, name)
		}
	}
	asked, refusals, err := v.inviteAll(ctx, names, ids)
	done := slices.Concat(asked, without)
	for _, r := range refusals {
		done = append(done, r.name)
	}
	if len(done) > 0 {
		if serr := v.save(ctx, func(rm *room) { rm.Invited = append(rm.Invited, done...) }); serr != nil {
			return "", serr
		}
	}
	return invitedText(asked, refusals, without), err
}

// refusal is why Slack does not let somebody in.
type refusal struct{ name, code string }

// inviteAll invites everybody with one call; where Slack refuses one of them, and
// so all, each with one.
func (v *visit) inviteAll(ctx context.Context, names, ids []string) (asked []string, refusals []refusal, err error) {
	if len(ids) == 0 {
		return nil, nil, nil
	}
	if len(ids) > 1 {
		err := v.client.invite(ctx, v.room.Channel, ids...)
		if err == nil || !refused(err) || !personal(err) {
			if err == nil {
				asked = names
			}
			return asked, nil, err
		}
	}
	for n, id := range ids {
		err := v.client.invite(ctx, v.room.Channel, id)
		switch code := codeOf(err); {
		case err == nil, code == "already_in_channel":
			asked = append(asked, names[n])
		case refused(err) && personal(err):
			refusals = append(refusals, refusal{names[n], code})
		default:
			return asked, refusals, err
		}
	}
	return asked, refusals, nil
}

// personal tells a refusal that is about the people, and not about what the app
// may do.
func personal(err error) bool {
	return !slices.Contains([]string{
		"missing_scope", "restricted_action", "no_permission", "access_denied", "not_allowed_token_type", "not_in_channel",
		"method_not_supported_for_channel_type", "team_access_not_granted", "enterprise_is_restricted", "ekm_access_denied",
	}, codeOf(err))
}

func invitedText(asked []string, refusals []refusal, without []string) string {
	var parts []string
	if len(asked) > 0 {
		parts = append(parts, "invited "+strings.Join(asked, ", "))
	}
	for _, r := range refusals {
		parts = append(parts, "could not invite "+r.name+": "+r.code)
	}
	if len(without) > 0 {
		verb := " has"
		if len(without) > 1 {
			verb = " have"
		}
		parts = append(parts, "could not invite "+strings.Join(without, ", ")+", who"+verb+" no slack in users")
	}
	return strings.Join(parts, "; ")
}

// announce puts the channel's name on the incident's timeline, which brings it
// into the other targets' messages and threads.
func (v *visit) announce(ctx context.Context) (string, error) {
	return "", v.commit(ctx, func(tx tocsin.Tx, rm *room) {
		inc := tx.Incident(v.n.Incident.ID)
		if inc != nil && !rm.Said {
			inc.Touch(v.n.Now)
			e := inc.Event(tocsin.EventChannel, "", "its channel in Slack is #"+rm.Name, v.n.Now)
			e.Target = tocsin.IncidentChannel
			tx.PutIncident(inc)
			tx.Append(e)
		}
		rm.Said = true
	})
}

// pin pins the message, once. A message that is gone is posted anew when the
// incident changes, and pinned then.
func (v *visit) pin(ctx context.Context) (string, error) {
	at := placeOf(v.n.Delivery.Ref)
	err := v.client.pin(ctx, at.channel, at.ts)
	if code := codeOf(err); err != nil && code != "already_pinned" && code != "message_not_found" {
		return "", err
	}
	return "", v.save(ctx, func(rm *room) { rm.Pinned = at.ts })
}

// setTopic has the topic say the state.
func (v *visit) setTopic(ctx context.Context) (string, error) {
	topic := roomTopic(v.n.Incident)
	if err := v.client.setTopic(ctx, v.room.Channel, topic); err != nil {
		return "", err
	}
	return "", v.save(ctx, func(rm *room) { rm.Topic = topic })
}

// roomTopic says where the incident stands: state, severity, owner, title.
func roomTopic(i *tocsin.Incident) string {
	b := []byte(emoji(i) + " " + stateWord(i) + " · " + severityWord(i.Severity))
	switch {
	case i.State == tocsin.Acknowledged:
		b = appendName(append(b, " · owner "...), i.AcknowledgedBy)
	case i.State == tocsin.Resolved && i.ResolvedBy != "":
		b = appendName(append(b, " · by "...), i.ResolvedBy)
	}
	b = append(b, " · "...)
	return string(appendText(b, title(i), maxRoomTopic-utf8.RuneCount(b), prose))
}

// ownChannel names the incident's own channel, everywhere but there.
func (v *view) ownChannel() {
	if link := OwnChannel(v.Incident); link != "" && v.Delivery.Target != tocsin.IncidentChannel {
		v.b.line(append(v.line[:0], "💬 Channel: "+link...))
	}
}

// OwnChannel links the channel that is the incident's own, for a Reply; empty: it
// has none, or none yet.
func OwnChannel(i *tocsin.Incident) string {
	d := i.Delivery(tocsin.IncidentChannel)
	if d == nil {
		return ""
	}
	if id := placeOf(d.Ref).channel; isID(id) {
		return "<#" + id + ">"
	}
	return ""
}
