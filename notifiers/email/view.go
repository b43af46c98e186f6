package email

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// extent says how much a mail holds.
type extent struct {
	alerts, labels, steps, commands, events int
	// value is the most runes of a label, an annotation or a step; text of a
	// notice's text or a command.
	value, text int
}

// extents are tried in turn until the mail fits. The first is what people can
// read; the last always fits.
var extents = []extent{
	{alerts: 10, labels: 32, steps: 30, commands: 5, events: 10, value: 500, text: 4000},
	{alerts: 10, labels: 12, steps: 12, commands: 3, events: 10, value: 200, text: 1000},
	{alerts: 5, labels: 8, steps: 6, commands: 2, events: 5, value: 80, text: 300},
	{value: 60, text: 300},
}

// maxAhead is how many of the things to come are told.
const maxAhead = 4

// view is what a mail says, for both of its forms. All its texts are clean, and
// none is escaped.
type view struct {
	Headline, Title string
	// State is in capitals; empty in a notice. Color is its background.
	State, Color    string
	Severity, Since string
	Counts          []string
	Text            string
	AheadTitle      string
	Ahead           []entry
	URL             string
	// Ack is the command that acknowledges; empty when there is nothing to.
	Ack        string
	Common     string
	Alerts     []alertView
	MoreAlerts string
	Runbook    *runbookView
	NewsTitle  string
	News       []entry
	Foot       string
}

// entry is a line of what was, or what will be.
type entry struct{ At, Text string }

type alertView struct {
	Firing                                     bool
	State, Title, Text, Labels, Graph, Runbook string
}

type runbookView struct {
	Title, URL string
	Steps      []stepView
	More       string
}

type stepView struct {
	Number, Text string
	Commands     []string
	// Unfilled says which placeholders the reader has to fill in.
	Unfilled string
	Depth    int
}

func look(n *tocsin.Notice, t thread, at *time.Location, e extent) *view {
	i, now := n.Incident, n.Now.In(at)
	v := &view{Headline: headline(n, t.first), Title: titleOf(n), URL: webURL(n.URL), Text: strings.TrimSpace(lines(i.Text, e.text))}
	if i.Kind == tocsin.KindNotice {
		v.Foot = "Sent by Tocsin."
		return v
	}
	v.State, v.Color = strings.ToUpper(line(string(i.State), 40)), color(i)
	if i.Severity.Rank() > 0 {
		v.Severity = string(i.Severity)
	}
	v.Since = since(i, now)
	v.Counts = counts(i)
	v.ahead(n, now)
	if i.State == tocsin.Triggered {
		v.Ack = "tocsin ack " + line(i.ID, 40)
	}
	v.alerts(n, now, e)
	v.runbook(n.Runbook, e)
	v.news(n, now, e)
	v.Foot = fmt.Sprintf("Sent by Tocsin about incident %s. Later mails about it come in this thread.", line(i.ID, 40))
	return v
}

// since says when the incident began, and for how long it lasts or lasted.
func since(i *tocsin.Incident, now time.Time) string {
	if i.OpenedAt.IsZero() {
		return ""
	}
	zone, opened := now.Format("MST"), clock(i.OpenedAt, now, false)
	if i.State == tocsin.Resolved {
		return fmt.Sprintf("after %s (opened %s %s)", span(i.ResolvedAt.Sub(i.OpenedAt)), opened, zone)
	}
	return fmt.Sprintf("since %s %s (%s ago)", opened, zone, span(now.Sub(i.OpenedAt)))
}

// color is dark enough for white letters on it.
func color(i *tocsin.Incident) string {
	switch {
	case i.State == tocsin.Resolved:
		return "#1a7f37"
	case i.State == tocsin.Acknowledged:
		return "#0b5cad"
	case i.Severity == tocsin.Critical:
		return "#b3261e"
	case i.Severity == tocsin.Warning:
		return "#8a5a00"
	case i.Severity == tocsin.Info:
		return "#57606a"
	default:
		return "#b84300"
	}
}

func counts(i *tocsin.Incident) []string {
	var c []string
	total := max(i.Alerts, i.Firing)
	switch {
	case total == 0:
	case i.Firing == 0:
		c = append(c, plural(total, "alert")+", none firing now")
	case i.Firing == total:
		c = append(c, plural(total, "alert")+" firing")
	default:
		c = append(c, fmt.Sprintf("%d of %s firing", i.Firing, plural(total, "alert")))
	}
	if i.Suppressed > 0 {
		c = append(c, fmt.Sprintf("%d of them suppressed", i.Suppressed))
	}
	if i.Truncated > 0 {
		c = append(c, plural(i.Truncated, "more alert")+" that the sender left out")
	}
	if i.Flapping {
		c = append(c, "flapping: it stays open until it is quiet")
	}
	if i.Reopened > 0 {
		c = append(c, fmt.Sprintf("reopened %s", strings.Replace(plural(i.Reopened, "time"), "1 time", "once", 1)))
	}
	return c
}

func (v *view) ahead(n *tocsin.Notice, now time.Time) {
	if n.Incident.State == tocsin.Resolved {
		return
	}
	v.AheadTitle = "If nobody answers"
	if n.Incident.State == tocsin.Acknowledged {
		v.AheadTitle = "What comes next"
	}
	for k := range n.Ahead[:min(len(n.Ahead), maxAhead)] {
		a := &n.Ahead[k]
		when := clock(a.At, now, false)
		if a.At.After(now) {
			when += " (in " + span(a.At.Sub(now)) + ")"
		}
		v.Ahead = append(v.Ahead, entry{when, line(a.Text, 160)})
	}
	if more := len(n.Ahead) - maxAhead; more > 0 {
		v.Ahead = append(v.Ahead, entry{"then", plural(more, "more step")})
	}
}

func (v *view) alerts(n *tocsin.Notice, now time.Time, e extent) {
	shown := n.Alerts[:min(len(n.Alerts), e.alerts)]
	common := shared(shown)
	v.Common = pairs(common, nil, e)
	for k := range shown {
		a := &shown[k]
		w := alertView{Firing: a.State.Firing, Title: line(a.Summary(), e.value), Labels: pairs(a.Labels, common, e)}
		if text := line(a.Annotations[tocsin.AnnotationDescription], e.value); text != w.Title {
			w.Text = text
		}
		w.State = alertState(a, now)
		if len(a.GeneratorURL) <= e.text { // in two forms, of which one is escaped, a long link costs much
			w.Graph = webURL(a.GeneratorURL)
		}
		if u := a.Annotations[tocsin.AnnotationRunbookURL]; len(u) <= e.value {
			w.Runbook = webURL(u)
		}
		v.Alerts = append(v.Alerts, w)
	}
	total := max(uint64(n.Incident.Alerts), uint64(len(n.Alerts)))
	if more := total - uint64(len(shown)); more > 0 && len(shown) > 0 {
		v.MoreAlerts = "and " + plural(more, "more alert")
	}
}

func alertState(a *tocsin.AlertRecord, now time.Time) string {
	began := a.State.StartsAt
	if began.IsZero() {
		began = a.StartsAt
	}
	switch {
	case !a.State.Firing:
		return "ended " + clock(a.State.EndsAt, now, false)
	case a.State.Suppression != nil:
		return line(a.State.Suppression.Reason+": "+a.State.Suppression.Text, 160)
	default:
		return "firing since " + clock(began, now, false)
	}
}

// shared returns the labels that all alerts bear, where there are several.
func shared(alerts []tocsin.AlertRecord) tocsin.Labels {
	if len(alerts) < 2 {
		return nil
	}
	out := maps.Clone(alerts[0].Labels)
	for k := range alerts[1:] {
		maps.DeleteFunc(out, func(name, value string) bool {
			v, ok := alerts[k+1].Labels[name]
			return !ok || v != value
		})
	}
	return out
}

// pairs writes the labels that are not in without.
func pairs(set, without tocsin.Labels, e extent) string {
	var out []string
	left := 0
	for _, name := range set.Names() {
		if _, told := without[name]; told {
			continue
		}
		if len(out) == e.labels {
			left++
			continue
		}
		out = append(out, line(name, 80)+"="+line(set[name], e.value))
	}
	if left > 0 {
		out = append(out, "and "+plural(left, "more label"))
	}
	return strings.Join(out, ", ")
}

func (v *view) runbook(r *tocsin.Runbook, e extent) {
	if r == nil {
		return
	}
	v.Runbook = &runbookView{Title: line(r.Title, 200), URL: webURL(r.URL)}
	number := 0
	for k := range r.Steps[:min(len(r.Steps), e.steps)] {
		s := &r.Steps[k]
		w := stepView{Number: "-", Depth: min(max(s.Depth, 0), 3), Text: line(s.Text, e.value)}
		if s.Depth <= 0 {
			number++
			w.Number = fmt.Sprintf("%d.", number)
		}
		if s.Condition != "" {
			w.Text = strings.TrimSpace(line(s.Condition, 200) + ": " + w.Text)
		}
		for c := range s.Commands[:min(len(s.Commands), e.commands)] {
			command := &s.Commands[c]
			w.Commands = append(w.Commands, strings.Trim(lines(command.Text, e.text), "\n"))
			if len(command.Unfilled) > 0 && w.Unfilled == "" {
				w.Unfilled = "Fill in: " + line(strings.Join(command.Unfilled, ", "), 120)
			}
		}
		v.Runbook.Steps = append(v.Runbook.Steps, w)
	}
	if more := len(r.Steps) - len(v.Runbook.Steps); more > 0 {
		v.Runbook.More = "and " + plural(more, "more step")
	}
}

func (v *view) news(n *tocsin.Notice, now time.Time, e extent) {
	v.NewsTitle = "What has happened"
	if n.Delivery.Told > 0 {
		v.NewsTitle = "Since the last mail"
	}
	for k := range n.Events {
		ev := &n.Events[k]
		if ev.Kind == tocsin.EventDelivered || ev.Kind == tocsin.EventAlertLate {
			continue
		}
		v.News = append(v.News, entry{clock(ev.At, now, true), line(ev.Text, 200)})
	}
	if over := len(v.News) - e.events; over > 0 {
		v.News = v.News[over:]
	}
}
