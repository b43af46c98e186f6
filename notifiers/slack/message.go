package slack

import (
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// detail is how much of an incident a message tells. Widths are in characters
// of output.
type detail struct {
	alerts, labels, label          int
	description, text              int
	steps, step, commands, command int
	// boxes are the steps that can be ticked; steps are then those of them whose
	// commands are shown.
	boxes int
	links bool
	// fewerBoxes differs from the one before by the boxes alone.
	fewerBoxes bool
}

// details are tried in order until the message fits. The last one fits
// whatever the incident holds: it has only texts of bounded width.
var details = []detail{
	{alerts: 8, labels: 6, label: 120, description: 400, text: 5000, boxes: 30, steps: 5, step: 300, commands: 3, command: 700, links: true},
	{alerts: 8, labels: 6, label: 120, description: 400, text: 5000, boxes: 10, steps: 5, step: 300, commands: 3, command: 700, links: true, fewerBoxes: true},
	{alerts: 5, labels: 4, label: 80, description: 200, text: 2500, boxes: 10, steps: 3, step: 200, commands: 2, command: 400, links: true},
	{alerts: 3, labels: 3, label: 60, text: 1000, boxes: 10, steps: 2, step: 120, commands: 1, command: 200, links: true},
	{alerts: 2, labels: 2, label: 40, text: 400},
}

// incidentMessage encodes the message about an incident, addressed by address.
func incidentMessage(n *tocsin.Notice, clickable bool, address func(*message)) (form, error) {
	var f form
	scratch := make([]byte, 0, 512)
	for i := range details {
		v := view{Notice: n, detail: details[i], clickable: clickable, line: scratch}
		if v.detail.fewerBoxes && !v.tickable() {
			continue
		}
		m := v.message()
		address(&m)
		var err error
		if f, err = m.encode(); err != nil {
			return f, err
		}
		if f.fits() {
			break
		}
	}
	return f, nil
}

// view renders one notice with one amount of detail.
type view struct {
	*tocsin.Notice
	detail detail
	// clickable messages have buttons.
	clickable bool
	b         builder
	line      []byte // scratch
}

func (v *view) message() message {
	i := v.Incident
	if i.Kind == tocsin.KindNotice {
		return v.notice()
	}
	if i.State == tocsin.Resolved {
		v.resolved()
		v.worked()
		v.remedies()
	} else {
		v.b.header(v.title())
		v.status()
		v.description()
		v.text()
		v.buttons()
		v.remedies()
		v.firing()
		v.runbook()
	}
	v.links()
	if i.State == tocsin.Resolved {
		v.buttons()
	}
	v.b.flush()
	return message{
		text:        v.fallback(),
		blocks:      v.b.blocks,
		attachments: footer(v.colour(), v.footer()),
		metadata: metadata{EventType: eventIncident, Payload: payload{
			Incident: i.ID, Target: v.Delivery.Target, Told: v.Delivery.Told,
		}},
	}
}

// stateWord names what people see the incident in; a quiet one is suppressed.
func stateWord(i *tocsin.Incident) string {
	switch {
	case i.State == tocsin.Resolved:
		return "Resolved"
	case i.State == tocsin.Acknowledged:
		return "Acknowledged"
	case i.Quiet():
		return "Suppressed"
	default:
		return "Triggered"
	}
}

func emoji(i *tocsin.Incident) string {
	if i.State == tocsin.Resolved {
		return "✅"
	}
	switch i.Severity {
	case tocsin.Critical:
		return "🔴"
	case tocsin.Warning:
		return "🟡"
	case tocsin.Info:
		return "🔵"
	default:
		return "🟠"
	}
}

func (v *view) colour() string {
	if v.Incident.State == tocsin.Resolved {
		return "#2eb67d"
	}
	switch v.Incident.Severity {
	case tocsin.Critical:
		return "#e01e5a"
	case tocsin.Warning:
		return "#ecb22e"
	case tocsin.Info:
		return "#36c5f0"
	default:
		return "#e8743b"
	}
}

func (v *view) title() string {
	head := emoji(v.Incident) + " " + stateWord(v.Incident) + ": "
	return head + escape(title(v.Incident), maxHeader-20, plain)
}

// title is the incident's, or its ID where there is none to see.
func title(i *tocsin.Incident) string {
	if escape(i.Title, maxHeader, plain) == "" {
		return "incident " + i.ID
	}
	return i.Title
}

// fallback is what notifications show.
func (v *view) fallback() string {
	i := v.Incident
	b := append(v.mention(nil), emoji(i)+" "+stateWord(i)+": "...)
	b = appendText(b, title(i), maxFallback, prose)
	b = append(b, " ("+severityWord(i.Severity)...)
	if counts(i) {
		b = appendCount(append(b, ", "...), i)
	}
	b = append(b, ") "...)
	return string(appendText(b, i.ID, 40, prose))
}

func severityWord(s tocsin.Severity) string {
	if s.Rank() == 0 {
		return string(tocsin.Error)
	}
	return string(s)
}

// counts reports whether the incident is one of alerts.
func counts(i *tocsin.Incident) bool { return i.Kind == tocsin.KindAlerts || i.Alerts > 0 }

func appendCount(b []byte, i *tocsin.Incident) []byte {
	b = strconv.AppendUint(b, uint64(i.Firing), 10)
	b = append(b, " of "...)
	b = strconv.AppendUint(b, uint64(i.Alerts), 10)
	return append(b, " firing"...)
}

// status says since when, how many, and whatever makes the incident special.
func (v *view) status() {
	i, b := v.Incident, v.mention(v.line[:0])
	if len(b) > 0 {
		v.b.line(b)
	}
	b = append(b[:0], "*"+severityWord(i.Severity)+"* · since "...)
	b = appendTime(b, i.OpenedAt)
	if counts(i) {
		b = append(appendCount(append(b, " · *"...), i), '*')
	}
	if i.Suppressed > 0 && !i.Quiet() {
		b = append(b, " · "+strconv.FormatUint(uint64(i.Suppressed), 10)+" of them suppressed"...)
	}
	if i.Flapping {
		b = append(b, " · 〰️ flapping"...)
	}
	if i.Reopened > 0 {
		b = append(b, " · reopened "+strconv.FormatUint(uint64(i.Reopened), 10)+"×"...)
	}
	v.b.line(b)
	b = b[:0]
	if i.State == tocsin.Acknowledged {
		b = append(b, "👀 *Acknowledged* by "...)
		b = appendName(b, i.AcknowledgedBy)
		b = append(b, " since "...)
		b = appendTime(b, i.AcknowledgedAt)
		if e := i.Escalation; e != nil && !e.SnoozedUntil.IsZero() {
			b = appendTime(append(b, " · 💤 snoozed until "...), e.SnoozedUntil)
		}
		v.b.line(b)
		b = b[:0]
	}
	if s := i.Suppression; i.Quiet() && s != nil {
		b = append(b, "🔕 *Suppressed*: "...)
		v.b.line(appendText(b, suppressionText(s), 300, prose))
		b = b[:0]
	}
	if i.Truncated > 0 {
		v.b.line(append(b, "⚠️ The sender left out "+strconv.FormatUint(i.Truncated, 10)+" more alerts."...))
	}
	v.people()
	v.ownChannel()
	v.group()
	v.b.flush()
}

func suppressionText(s *tocsin.Suppression) string {
	if s.Text != "" {
		return s.Text
	}
	return s.Reason + " by " + s.By
}

// group shows the labels that all alerts share.
func (v *view) group() {
	names := v.GroupLabels.Names()
	if len(names) == 0 {
		return
	}
	v.b.line(appendLabels(append(v.line[:0], "Group:"...), v.GroupLabels, names, v.detail))
}

// description tells what the header had no room for, and the first alert's
// description.
func (v *view) description() {
	whole := escape(v.Incident.Title, maxHeader-20, plain)
	if strings.HasSuffix(whole, ellipsis) && v.detail.description > 0 {
		v.b.line(appendText(v.line[:0], v.Incident.Title, v.detail.description, prose))
	}
	if len(v.Alerts) > 0 && v.detail.description > 0 {
		d := v.Alerts[0].Annotations[tocsin.AnnotationDescription]
		if d != "" && d != v.Incident.Title {
			v.b.line(appendText(v.line[:0], d, v.detail.description, prose))
		}
	}
	v.b.flush()
}

// resolved is the compact form: nothing is left to be done.
func (v *view) resolved() {
	i := v.Incident
	b := append(v.line[:0], "✅ *Resolved* "...)
	start := len(b)
	b = append(b, '~')
	b = appendText(b, title(i), maxHeader, prose)
	b = append(b, '~')
	if len(b) == start+2 {
		b = b[:start]
	}
	v.b.line(b)
	b = append(b[:0], severityWord(i.Severity)+" · "...)
	b = appendTime(b, i.OpenedAt)
	if !i.ResolvedAt.IsZero() {
		b = append(b, " – "...)
		b = appendTime(b, i.ResolvedAt)
		b = append(b, " ("+shortDuration(i.ResolvedAt.Sub(i.OpenedAt))+")"...)
	}
	if counts(i) {
		b = append(b, " · "+strconv.FormatUint(uint64(i.Alerts), 10)+" "+plural(uint64(i.Alerts), "alert")...)
	}
	if i.Reopened > 0 {
		b = append(b, " · reopened "+strconv.FormatUint(uint64(i.Reopened), 10)+"×"...)
	}
	if i.ResolvedBy != "" {
		b = append(b, " · by "...)
		b = appendName(b, i.ResolvedBy)
	}
	v.b.line(b)
	v.ownChannel()
	v.b.flush()
}

// footer names the incident and how to answer from a terminal.
func (v *view) footer() []byte {
	i := v.Incident
	b := appendCode(v.line[:0], i.ID, 40)
	switch i.State {
	case tocsin.Triggered:
		b = append(b, " · acknowledge: "...)
		b = appendCode(b, "tocsin ack "+i.ID, 60)
	case tocsin.Acknowledged:
		b = append(b, " · resolve: "...)
		b = appendCode(b, "tocsin resolve "+i.ID, 60)
	}
	if len(v.Alerts) > 0 && v.Alerts[0].Source != "" {
		b = append(b, " · from "...)
		b = appendCode(b, v.Alerts[0].Source, 60)
	}
	return b
}

// appendTime writes a time that each reader sees in their own zone
// (https://docs.slack.dev/messaging/formatting-message-text#date-formatting).
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, "?"...)
	}
	t = t.UTC()
	b = append(b, "<!date^"...)
	b = strconv.AppendInt(b, t.Unix(), 10)
	b = append(b, "^{date_short_pretty} {time}|"...)
	b = t.AppendFormat(b, "2006-01-02 15:04 UTC")
	return append(b, '>')
}

// appendCode writes a code span; a text with nothing to see becomes a dash.
func appendCode(b []byte, s string, limit int) []byte {
	start := len(b)
	b = append(b, '`')
	b = appendText(b, s, limit, code)
	if len(b) == start+1 {
		b = append(b, '-')
	}
	return append(b, '`')
}

// appendName writes a person's name; one with nothing to see becomes a dash.
func appendName(b []byte, name string) []byte {
	start := len(b)
	if b = appendText(b, name, 80, prose); len(b) == start {
		b = append(b, '-')
	}
	return b
}

func plural(n uint64, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

// shortDuration says how long something took in at most two units: "2h5m".
func shortDuration(d time.Duration) string {
	switch {
	case d < time.Minute:
		return strconv.Itoa(int(max(0, d).Seconds())) + "s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + "m"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + "h" + strconv.Itoa(int(d.Minutes())%60) + "m"
	default:
		return strconv.Itoa(int(d.Hours())/24) + "d" + strconv.Itoa(int(d.Hours())%24) + "h"
	}
}
