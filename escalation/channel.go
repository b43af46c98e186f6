package escalation

import (
	"fmt"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// channel gives the incident a Slack channel of its own, because a person asks.
func (d *desk) channel(a tocsin.Action) error {
	if !d.rules.spec.Channels.Ready {
		return fmt.Errorf("%w: there is no Slack to open a channel in; set slack.bot_token_file", tocsin.ErrConflict)
	}
	if d.inc.Quiet() {
		return fmt.Errorf("%w: incident %s is silenced, inhibited, muted or merged into another one, and gets no channel while it is", tocsin.ErrConflict, d.inc.ID)
	}
	d.openChannel(a.By)
	return nil
}

// openChannel adds the channel to the incident's targets; package slack makes it.
// Where there is none yet although it was to be opened, a person can ask for it
// all the same: then it was held back, or could not be made.
func (d *desk) openChannel(by string) {
	if !d.rules.spec.Channels.Ready {
		return
	}
	added := d.inc.AddTarget(tocsin.IncidentChannel, true, d.now)
	del := d.inc.Delivery(tocsin.IncidentChannel)
	if !added && (by == "" || del.Ref != "" && !del.Failed) {
		return
	}
	if del.Failed { // what forbade it may be mended
		del.Failed, del.Alarmed, del.Since, del.Next = false, false, d.now, time.Time{}
	}
	d.inc.Touch(d.now)
	text := "a channel of its own is opened in Slack"
	if by != "" {
		text += ": " + by + " asked for it"
	}
	d.line(tocsin.EventChannel, by, "%s", text).Target = tocsin.IncidentChannel
}
