package slack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

const (
	// maxRoomName is Slack's limit for a channel's name.
	maxRoomName = 80
	// maxRooms bounds the channels of one incident: what archives each as it comes
	// would have them made for ever.
	maxRooms = 9
	// maxNames bounds the names that are tried at a time.
	maxNames = 3
	// maxCrowd bounds the channels that are opened within crowdWithin without
	// anybody asking: where hundreds of incidents open at once, hundreds of channels
	// are what nobody can read, and what Slack has everybody invited to.
	maxCrowd    = 10
	crowdWithin = time.Hour
)

// createHints say what to do where Slack makes no channel.
var createHints = adviceByCode(map[string]string{
	"allow apps to create channels (Settings, Permissions, Channel Management), or take slack.incident_channels out": "restricted_action no_permission cannot_create_channel not_allowed_token_type",
	"correct slack.incident_channels.prefix": "invalid_name invalid_name_specials invalid_name_punctuation invalid_name_maxlength invalid_name_required no_channel",
	"add the scope channels:manage (groups:write where slack.incident_channels.private is set) to the Slack app and install it again": "missing_scope",
})

// open has the incident have a channel, if it is to have one: one that an earlier
// attempt has left, or a new one. For an incident that is resolved none is made.
func (v *visit) open(ctx context.Context) error {
	resolved, asked := !v.n.Incident.Open(), v.room.Number > 0 && v.room.Channel == ""
	switch {
	case resolved && !(asked && v.n.MayBePosted):
		return nil
	case resolved:
		found, _, err := v.left(ctx)
		if err != nil || found == "" {
			return err
		}
		return v.enter(ctx, found, "took over #"+v.room.Name+", which an attempt that was cut off has left")
	case v.crowded():
		return nil
	case !asked:
		if err := v.rename(ctx); err != nil {
			return err
		}
	}
	return v.create(ctx)
}

// crowded reports whether so many incidents have got a channel just now that this
// one, for which nobody has asked, is held back.
func (v *visit) crowded() bool {
	if v.room.Number > 0 || slices.ContainsFunc(v.n.Events, func(e tocsin.Event) bool { return e.Kind == tocsin.EventChannel && e.Actor != "" }) {
		return false
	}
	recent := 0
	for _, d := range v.docs {
		if rm := readRoom(d.Value); v.n.Now.Sub(rm.Since) < crowdWithin {
			recent++
		}
	}
	return recent >= maxCrowd
}

// without says why the incident has had no channel, once while it is open.
func (v *visit) without() string {
	switch {
	case !v.n.Incident.Open():
		return "no channel was opened: the incident is resolved"
	case v.n.Delivery.Revision == 0:
		return fmt.Sprintf("no channel was opened: %d other incidents have got one within the last hour; /tocsin channel %s opens one all the same", maxCrowd, v.n.Incident.ID)
	default:
		return ""
	}
}

// create makes the channel. A name that is taken is our own, from an attempt that
// was cut off, or somebody else's: then the next one is tried.
func (v *visit) create(ctx context.Context) error {
	for range maxNames {
		id, err := v.client.createChannel(ctx, v.room.Name, v.settings.Private)
		if err == nil {
			v.n.MayBePosted = false // nothing can be there
			return v.enter(ctx, id, "opened #"+v.room.Name)
		}
		if codeOf(err) != "name_taken" {
			return createError(err)
		}
		id, why, err := v.left(ctx)
		if err != nil {
			return err
		}
		if id != "" {
			return v.enter(ctx, id, "took over #"+v.room.Name+", which an attempt that was cut off has left")
		}
		v.note = sentence("#"+v.room.Name+" is taken", why)
		if err := v.rename(ctx); err != nil {
			return err
		}
	}
	return errors.New("slack " + methodCreate + ": the names for the incident's channel are taken; the next one is tried")
}

// createError says what to do about a channel that was not made.
func createError(err error) error {
	if hint, ok := createHints[codeOf(err)]; ok {
		var e *apiError
		if errors.As(err, &e) {
			return tocsin.Permanent(fmt.Errorf("%w: %s", e, hint))
		}
	}
	return err
}

// enter notes the channel that there is now.
func (v *visit) enter(ctx context.Context, id, opened string) error {
	v.opened = opened
	return v.save(ctx, func(rm *room) { *rm = room{Name: v.room.Name, Number: rm.Number, Channel: id, Since: rm.Since} })
}

// rename decides on the next name.
func (v *visit) rename(ctx context.Context) error {
	if v.room.Number >= maxRooms {
		return tocsin.Permanent(fmt.Errorf("the incident has had %d Slack channels, and something archives them or takes their names: no more are made; see what does in Slack's audit log", v.room.Number))
	}
	number := v.room.Number + 1
	name := roomName(v.settings.Prefix, v.n.Incident, number)
	return v.save(ctx, func(rm *room) { *rm = room{Name: name, Number: number, Since: v.n.Now} })
}

// left looks for a channel of the wanted name that is ours. The string says why
// there may be one although none was found.
func (v *visit) left(ctx context.Context) (id, why string, err error) {
	if v.bot == "" {
		if v.bot, err = v.client.bot(ctx); err != nil {
			return "", "", err
		}
	}
	found, err := v.client.channelNamed(ctx, v.room.Name, v.settings.Private)
	switch {
	case tocsin.IsPermanent(err):
		return "", "an attempt that was cut off may have left it: " + err.Error(), nil
	case err != nil:
		return "", "", err
	case found.Creator != v.bot:
		return "", "", nil
	default:
		return found.ID, "", nil
	}
}

// roomName is the name of an incident's channel: the prefix, the incident's ID and
// what of its title Slack allows in one, and from the second channel on a number.
func roomName(prefix string, i *tocsin.Incident, number int) string {
	name := prefix + "-" + slug(i.ID)
	suffix := ""
	if number > 1 {
		suffix = "-" + strconv.Itoa(number)
	}
	if title := slug(i.Title); title != "" {
		name += "-" + title
	}
	if room := maxRoomName - len(suffix); len(name) > room {
		name = strings.ToValidUTF8(name[:room], "")
	}
	return strings.TrimRight(name, "-") + suffix
}

// slug leaves small letters and digits of a text, in words with a - between.
func slug(s string) string {
	b := make([]byte, 0, min(len(s), maxRoomName))
	for _, c := range []byte(strings.ToLower(s[:min(len(s), 4*maxRoomName)])) {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			b = append(b, c)
		case len(b) > 0 && b[len(b)-1] != '-':
			b = append(b, '-')
		}
	}
	return strings.Trim(string(b), "-")
}
