package slack

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/tocsin-oncall/tocsin"
)

const methodPublish = "views.publish"

// Limits of a Home tab. Slack's own are 100 blocks and 250 kB
// (https://docs.slack.dev/reference/methods/views.publish).
const (
	maxHomeIncidents = 15
	maxHomeShifts    = 8
	maxHomeLine      = 600
)

// ErrHomeChanged is the error of Publish when the Home tab is not any more what
// the hash stands for: somebody has published meanwhile.
var ErrHomeChanged = errors.New("the Home tab has changed meanwhile")

// Home is what one person sees in the app's Home tab. Its zero value is the page
// of somebody who has nothing to do.
type Home struct {
	// Now is the time that the rest was gathered at.
	Now time.Time
	// Stranger is the Slack ID of somebody who is no user of the configuration;
	// all else is not shown then.
	Stranger string
	// Lines are said on top, mrkdwn as those of a Reply: what became of a click.
	Lines []string
	// Shifts are the person's from Now to Until, by their start.
	Shifts []tocsin.Shift
	Until  time.Time
	// OnCall are the shifts of everybody who is on call now on the schedules of
	// Shifts, gaps too.
	OnCall []tocsin.Shift
	// Incidents are the person's open ones, the most urgent first; what goes
	// beyond 15 is counted.
	Incidents []*tocsin.Incident
	// Who is the person's name in the configuration.
	Who string
}

// Publish shows v in the Home tab of the person of a Slack ID, in the place of
// what was there. With a hash, of what Slack last told was shown, an
// ErrHomeChanged says that it is not any more and that nothing was done. It needs
// no scope. Other errors are marked as those of Channel.Deliver.
func (c *Client) Publish(ctx context.Context, userID, hash string, v Home) error {
	req := slackgo.PublishViewContextRequest{UserID: userID, View: slackgo.HomeTabViewRequest{
		Type: slackgo.VTHomeTab, PrivateMetadata: userID,
	}}
	if hash != "" {
		req.Hash = &hash
	}
	for _, b := range v.blocks() {
		req.View.Blocks.BlockSet = append(req.View.Blocks.BlockSet, readyBlock{b})
	}
	err := c.call(ctx, methodPublish, func(ctx context.Context) error {
		_, err := c.api.PublishViewContext(ctx, req)
		return err
	})
	if codeOf(err) == "hash_conflict" {
		return fmt.Errorf("%w: %w", ErrHomeChanged, err)
	}
	return err
}

// readyBlock hands slack-go a block that is made here.
type readyBlock struct{ block }

// BlockType is for slack-go.
func (b readyBlock) BlockType() slackgo.MessageBlockType { return slackgo.MessageBlockType(b.Type) }

// ID is for slack-go.
func (b readyBlock) ID() string { return b.BlockID }

// blocks renders the tab.
func (v *Home) blocks() []block {
	var b builder
	if v.Stranger != "" {
		v.welcome(&b)
		return b.blocks
	}
	for _, line := range v.Lines {
		b.line(appendCut(nil, line))
	}
	v.shifts(&b)
	v.incidents(&b)
	b.flush()
	b.blocks = append(b.blocks, block{Type: "context", Elements: []textObject{*mrkdwn([]byte(
		"`/tocsin help` lists what you can do from any channel: `list`, `show ID`, `page`, `oncall`, `override`, `silence`, …\n" +
			"As of " + string(appendTime(nil, v.Now)) + ". Open this tab anew to see what has changed.",
	))}})
	return b.blocks
}

// appendCut appends a line of mrkdwn, or the word that it is too long: cut
// anywhere it might not be what it was.
func appendCut(b []byte, line string) []byte {
	if len(line) > maxSection {
		return append(b, "(an answer that does not fit here)"...)
	}
	return append(b, line...)
}

// welcome tells a stranger what to do.
func (v *Home) welcome(b *builder) {
	b.header("Welcome to Tocsin")
	b.line([]byte("Tocsin calls people when alerts fire. It does not know yet which of its users you are, so there is nothing to show here."))
	b.line([]byte("Ask whoever keeps its configuration to add your Slack ID to your entry in `users`:"))
	b.line(append(append([]byte("```users:\n  - name: …\n    slack: "), escape(v.Stranger, 40, fenced)...), "```"...))
	b.line([]byte("Then open this tab again: your shifts and your incidents are here."))
	b.flush()
}

func (v *Home) shifts(b *builder) {
	b.header("My shifts")
	var shown, next int
	for n := range v.Shifts {
		s := &v.Shifts[n]
		running := !s.From.After(v.Now)
		if shown == maxHomeShifts || !running && next == 3 {
			break
		}
		if !running {
			next++
		}
		b.line(v.shift(s, running))
		shown++
	}
	if shown == 0 {
		b.line([]byte("You have none in sight."))
	}
	b.flush()
	for n := range v.OnCall {
		if n == maxHomeShifts {
			b.line([]byte("…"))
			break
		}
		b.line(onCallNow(&v.OnCall[n], v.Who))
	}
	b.flush()
}

func (v *Home) shift(s *tocsin.Shift, running bool) []byte {
	line := []byte("Next: ")
	if running {
		line = []byte("🔔 *On call now*: ")
	}
	line = appendCode(line, s.Schedule, 80)
	switch {
	case running:
	case s.From.Before(v.Now.Add(24 * time.Hour)):
		line = appendTime(append(line, " *from* "...), s.From)
	default:
		line = appendTime(append(line, " from "...), s.From)
	}
	if !v.Until.IsZero() && !s.To.Before(v.Until) {
		line = append(line, ", with no end in sight"...)
	} else {
		line = appendTime(append(line, " until "...), s.To)
	}
	if s.Shadow {
		line = append(line, " (shadow: you get copies only)"...)
	}
	return line
}

func onCallNow(s *tocsin.Shift, who string) []byte {
	line := appendCode([]byte("On call now on "), s.Schedule, 80)
	switch {
	case s.Gap():
		return append(line, ": ⚠️ *nobody*"...)
	case s.User == who:
		line = append(line, ": you"...)
	default:
		line = appendName(append(line, ": "...), s.User)
	}
	if s.Shadow {
		return append(line, " (shadow)"...)
	}
	return line
}

func (v *Home) incidents(b *builder) {
	if len(v.Incidents) == 0 {
		b.header("My incidents")
		b.line([]byte("Nothing is open that called you, or that you have taken. 🎉"))
		return
	}
	b.header("My incidents (" + strconv.Itoa(len(v.Incidents)) + ")")
	for n, i := range v.Incidents {
		if n == maxHomeIncidents {
			b.line(fmt.Appendf(nil, "… and %d more: `/tocsin list` names them.", len(v.Incidents)-n))
			break
		}
		b.line(v.incident(i))
		b.flush()
		if row := v.buttons(i); len(row) > 0 {
			b.blocks = append(b.blocks, block{Type: "actions", BlockID: blockID(i), Elements: row})
		}
	}
}

// incident is what the tab tells of one.
func (v *Home) incident(i *tocsin.Incident) []byte {
	line := append([]byte(emoji(i)+" *"+stateWord(i)+"*: "), escape(title(i), maxHomeLine/2, prose)...)
	line = appendCode(append(line, '\n'), i.ID, 40)
	line = append(line, " · "+severityWord(i.Severity)...)
	if counts(i) {
		line = appendCount(append(line, " · "...), i)
	}
	line = appendTime(append(line, " · since "...), i.OpenedAt)
	switch e := i.Escalation; {
	case i.State == tocsin.Acknowledged && i.AcknowledgedBy == v.Who:
		line = append(line, " · yours"...)
		if e != nil && !e.SnoozedUntil.IsZero() {
			line = appendTime(append(line, ", snoozed until "...), e.SnoozedUntil)
		}
	case i.State == tocsin.Acknowledged:
		line = appendName(append(line, " · taken by "...), i.AcknowledgedBy)
	case e != nil:
		if r := e.Responder(v.Who); r != nil {
			line = appendTime(append(line, " · called you "...), r.At)
		}
	}
	return line
}

// buttons are the few of the incident's message that make sense out of its sight.
func (v *Home) buttons(i *tocsin.Incident) []control {
	if i.State == tocsin.Triggered {
		return []control{button(ActionAcknowledge, "Acknowledge", i.ID, "primary"), resolveButton(i)}
	}
	return []control{resolveButton(i)}
}

// HomeActions are the action IDs that the Home tab offers.
func HomeActions() []string {
	return []string{ActionAcknowledge, ActionResolve, ActionResolveFiring}
}
