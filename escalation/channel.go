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
	if del := d.inc.Delivery(tocsin.IncidentChannel); del != nil && del.Failed {
		del.Failed, del.Next, del.Since = false, time.Time{}, d.now // what forbade it may be mended
		return nil
	}
	d.openChannel(a.By)
	return nil
}

// openChannel adds the channel to the incident's targets, once; package slack
// makes it.
func (d *desk) openChannel(by string) {
	if !d.rules.spec.Channels.Ready || !d.inc.AddTarget(tocsin.IncidentChannel, true, d.now) {
		return
	}
	d.inc.Touch(d.now)
	text := "a channel of its own is opened in Slack"
	if by != "" {
		text += ": " + by + " asked for it"
	}
	d.line(tocsin.EventChannel, by, "%s", text).Target = tocsin.IncidentChannel
}
