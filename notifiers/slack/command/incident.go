package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
)

const (
	// pageSize is how many a list shows; maxListed is how many are counted.
	pageSize  = 20
	maxListed = 1000
	// maxAhead, maxAlerts, maxEvents and maxResponders are what show shows.
	maxAhead      = 5
	maxAlerts     = 5
	maxEvents     = 8
	maxResponders = 10
)

// incident reads which incident is meant: by its ID, or, in the thread of its
// message, without.
func (d *Desk) incident(ctx context.Context, c *call) (*tocsin.Incident, error) {
	w, given := c.peek()
	id := strings.ToLower(strings.Trim(w.text, "#:,.`"))
	if given && id != "" {
		inc, err := c.reader.Get(ctx, id)
		if err == nil {
			c.at++
			return c.their(inc)
		}
		if !errors.Is(err, tocsin.ErrNotFound) {
			return nil, err
		}
	}
	if c.Thread != "" && !likeID(id) {
		if inc, err := c.shownIn(ctx); err != nil {
			return nil, err
		} else if inc != nil {
			return c.their(inc)
		}
	}
	if !given {
		return nil, wrong("say which incident: its ID is in its message, and in %s.", typed("list"))
	}
	return nil, c.noIncident(ctx, w.text)
}

// their is an incident that the person may view, and about which they may do what
// the command does.
func (c *call) their(inc *tocsin.Incident) (*tocsin.Incident, error) {
	if !c.person.MayIn(c.cmd.right, inc) {
		return nil, c.forbidden(c.cmd.right)
	}
	return inc, nil
}

// likeID tells what is typed as an ID from prose: IDs have no vowels.
func likeID(s string) bool {
	return len(s) == tocsin.IDLength && !strings.ContainsAny(s, "aeiou01l") && strings.Trim(s, "23456789bcdfghjkmnpqrstvwxyz") == ""
}

func (c *call) noIncident(ctx context.Context, id string) error {
	live, err := c.reader.List(ctx, tocsin.Filter{Limit: maxListed})
	if err != nil {
		return err
	}
	ids := make([]string, 0, len(live))
	for _, inc := range live {
		ids = append(ids, inc.ID)
	}
	said := "there is no incident " + quote(id)
	if near := nearest(id, ids); near != "" {
		for _, inc := range live {
			if inc.ID == near {
				return refuse("%s. Did you mean this one? %s", said, slack.State(inc))
			}
		}
	}
	return refuse("%s; the open ones: %s", said, typed("list"))
}

// shownIn is the incident that the message of the thread shows, or nil. Digests
// show several.
func (c *call) shownIn(ctx context.Context) (*tocsin.Incident, error) {
	live, err := c.reader.List(ctx, tocsin.Filter{Limit: maxListed})
	if err != nil {
		return nil, err
	}
	var found *tocsin.Incident
	for _, inc := range live {
		if slices.ContainsFunc(inc.Deliveries, func(del tocsin.Delivery) bool {
			return del.Ref == c.Channel+"/"+c.Thread && strings.HasPrefix(del.Target, "slack:")
		}) {
			if found != nil {
				return nil, nil //nolint:nilnil // no one incident is meant
			}
			found = inc
		}
	}
	return found, nil
}

// paged reads which part of a list is asked for, from 0.
func (c *call) paged() (int, error) {
	if !c.take("page") {
		return 0, nil
	}
	w, _ := c.next()
	n, err := strconv.Atoi(w.text)
	if err != nil || n < 1 || n > maxListed {
		return 0, wrong("which page? Write a number, from 1.")
	}
	return n - 1, nil
}

// cut returns one page of lines, and says how to see the next. list is the command
// that shows them.
func cut(lines []string, page int, list string) []string {
	from := min(page*pageSize, len(lines))
	to := min(from+pageSize, len(lines))
	out := slices.Clone(lines[from:to])
	switch more := len(lines) - to; {
	case from == to && page > 0:
		out = append(out, fmt.Sprintf("There is no page %d: there are %d in all.", page+1, len(lines)))
	case more > 0:
		out = append(out, fmt.Sprintf("… and %d more: %s", more, typed(fmt.Sprintf("%s page %d", list, page+2))))
	}
	return out
}

// kinds are the lists of incidents.
var kinds = []string{"mine", "open", "triggered", "acknowledged", "resolved", "all"}

func (d *Desk) list(ctx context.Context, c *call) ([]string, error) {
	kind := "open"
	if w, ok := c.peek(); ok && !w.is("page") {
		if kind, ok = among(kinds, w.text); !ok {
			return nil, wrong("there is no list %s%s", quote(w.text), meant(w.text, kinds))
		}
		c.at++
	}
	page, err := c.paged()
	if err == nil {
		err = c.end()
	}
	if err != nil {
		return nil, err
	}
	f := tocsin.Filter{Limit: maxListed, States: []tocsin.State{tocsin.Triggered, tocsin.Acknowledged}}
	switch kind {
	case "triggered", "acknowledged":
		f.States = []tocsin.State{tocsin.State(kind)}
	case "resolved":
		f.States, f.Archived = []tocsin.State{tocsin.Resolved}, true
	case "all":
		f.States, f.Archived = nil, true
	}
	found, err := c.reader.List(ctx, f)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, inc := range found {
		if kind != "mine" || mine(inc, c.Who) {
			lines = append(lines, entry(inc))
		}
	}
	if len(lines) == 0 {
		return []string{map[string]string{"mine": "No open incident is yours.", "open": "No incident is open.", "all": "There are no incidents."}[kind] +
			map[bool]string{true: "No incident is " + kind + "."}[f.States != nil && kind != "mine" && kind != "open"]}, nil
	}
	count := plural(len(lines), "incident")
	if len(found) == maxListed {
		count = "At least " + count
	}
	return append([]string{"*" + count + "* (" + kind + "), the newest first:"}, cut(lines, page, "list "+kind)...), nil
}

// mine are the incidents that a person has, or was called about.
func mine(inc *tocsin.Incident, who string) bool {
	return inc.AcknowledgedBy == who || inc.Escalation != nil && inc.Escalation.Responder(who) != nil
}

// entry is an incident in a list.
func entry(inc *tocsin.Incident) string {
	return "• " + slack.State(inc) + " (" + facts(inc) + ")"
}

func facts(inc *tocsin.Incident) string {
	s := slack.Escape(string(inc.Severity), 20)
	if inc.Alerts > 0 {
		s += fmt.Sprintf(", %d of %s firing", inc.Firing, plural(int(inc.Alerts), "alert"))
	}
	if inc.Open() && inc.Quiet() {
		s += ", quiet"
	}
	if inc.MergedInto != "" {
		s += ", merged into " + name(inc.MergedInto)
	}
	return s
}

func (d *Desk) show(ctx context.Context, c *call) ([]string, error) {
	inc, err := d.incident(ctx, c)
	if err == nil {
		err = c.end()
	}
	if err != nil {
		return nil, err
	}
	alerts, err := c.reader.AlertsOf(ctx, inc.ID, maxAlerts)
	if err != nil {
		return nil, err
	}
	events, err := c.reader.Timeline(ctx, inc.ID, 0, maxEvents)
	if err != nil {
		return nil, err
	}
	lines := []string{"*" + slack.State(inc) + "*", facts(inc) + ", opened " + slack.Time(inc.OpenedAt)}
	lines = append(lines, responders(inc)...)
	if inc.State == tocsin.Triggered && d.d.Ahead != nil {
		for n, a := range d.d.Ahead(inc) {
			if n == maxAhead {
				break
			}
			lines = append(lines, "Next, if nobody answers: "+slack.Escape(a.Text, 120)+" at "+slack.Time(a.At))
		}
	}
	lines = append(lines, told(inc, alerts, events)...)
	more := "More: " + typed("why "+inc.ID)
	if inc.Runbook != "" {
		more += ", " + typed("runbook "+inc.ID)
	}
	return append(lines, more), nil
}

// told are the incident's alerts and what has happened to it.
func told(inc *tocsin.Incident, alerts []tocsin.AlertRecord, events []tocsin.Event) []string {
	var lines []string
	if inc.Text != "" {
		lines = append(lines, slack.Escape(inc.Text, 500))
	}
	for n := range alerts {
		state := "resolved"
		if alerts[n].State.Firing {
			state = "firing"
		}
		lines = append(lines, "• "+state+" "+slack.Code(alerts[n].Labels.String(), 300))
	}
	if more := int(inc.Alerts) - len(alerts); more > 0 {
		lines = append(lines, "… and "+plural(more, "alert")+" more, on the incident's page")
	}
	if len(events) > 0 {
		lines = append(lines, "*Latest*")
	}
	for n := range events {
		e := &events[n]
		text := e.Text
		if e.Kind == tocsin.EventNote && e.Actor != "" {
			text = e.Actor + ": " + text
		}
		lines = append(lines, slack.Time(e.At)+" "+slack.Escape(text, 200))
	}
	return lines
}

// responders says who was called, and who has answered.
func responders(inc *tocsin.Incident) []string {
	if inc.Escalation == nil {
		return nil
	}
	var lines []string
	for n := range inc.Escalation.Responders {
		r := &inc.Escalation.Responders[n]
		if n == maxResponders {
			return append(lines, fmt.Sprintf("… and %d more were called", len(inc.Escalation.Responders)-n))
		}
		line := "📟 " + slack.Escape(r.User, 60) + " called " + slack.Time(r.At)
		switch {
		case !r.Acknowledged.IsZero():
			line += ", answered " + slack.Time(r.Acknowledged)
		case r.Unreachable:
			line += ", cannot be reached"
		default:
			line += ", has not answered"
		}
		lines = append(lines, line)
	}
	return lines
}

// called says who is called about an incident, and has not answered: those who were
// called since it was as before, if there are any.
func (d *Desk) called(inc, before *tocsin.Incident) []string {
	names := unanswered(inc, before)
	if len(names) == 0 {
		names = unanswered(inc, inc)
	}
	if len(names) == 0 {
		return []string{"Nobody has been called yet; what comes next: " + typed("show "+inc.ID)}
	}
	return []string{"📟 Called: " + strings.Join(names, ", ")}
}

// unanswered are those who have not answered, and were called since the incident was
// as before; of one and the same: at any time.
func unanswered(inc, before *tocsin.Incident) []string {
	if inc.Escalation == nil {
		return nil
	}
	var names []string
	for n := range inc.Escalation.Responders {
		r := &inc.Escalation.Responders[n]
		old := inc != before && before.Escalation != nil && slices.ContainsFunc(before.Escalation.Responders, func(b tocsin.Responder) bool {
			return b.User == r.User && b.Calls == r.Calls
		})
		if r.Acknowledged.IsZero() && !old && len(names) < maxResponders {
			names = append(names, slack.Escape(r.User, 60))
		}
	}
	return names
}

func (d *Desk) why(ctx context.Context, c *call) ([]string, error) {
	if d.d.Why == nil {
		return nil, errMissing
	}
	inc, err := d.incident(ctx, c)
	if err == nil {
		err = c.end()
	}
	if err != nil {
		return nil, err
	}
	return d.d.Why(ctx, inc, c.Who), nil
}

func (d *Desk) status(ctx context.Context, c *call) ([]string, error) {
	if d.d.Status == nil {
		return nil, errMissing
	}
	if err := c.end(); err != nil {
		return nil, err
	}
	return plain(strings.Join(d.d.Status(ctx), "\n")), nil
}

// plain shows plain text line by line. What may hold matchers is shown as code, for
// somebody to copy: prose has other characters for theirs.
func plain(text string) []string {
	var lines []string
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		item := strings.HasPrefix(line, " ") && strings.TrimSpace(line) != ""
		switch {
		case item && strings.ContainsAny(line, "=~"):
			lines = append(lines, "• "+slack.Code(line, 600))
		case item:
			lines = append(lines, "• "+slack.Escape(line, 600))
		default:
			lines = append(lines, slack.Escape(line, 600))
		}
	}
	return lines
}
