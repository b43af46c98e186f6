package slack

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tocsin-oncall/tocsin"
)

// firing lists the first alerts that fire: name, what tells them apart, since
// when.
func (v *view) firing() {
	shown := v.firingAlerts()
	if len(shown) == 0 {
		return
	}
	common := commonLabels(shown, v.GroupLabels)
	v.b.line([]byte("*Firing*"))
	if len(common) > 0 && len(shown) > 1 {
		v.b.line(appendLabels(append(v.line[:0], "All:"...), shown[0].Labels, common, v.detail))
	}
	for _, a := range shown {
		v.b.line(v.alert(a, common, len(shown) > 1))
	}
	if more := int(v.Incident.Firing) - len(shown); more > 0 {
		v.b.line([]byte("… and " + strconv.Itoa(more) + " more"))
	}
	v.b.flush()
}

func (v *view) firingAlerts() []*tocsin.AlertRecord {
	shown := make([]*tocsin.AlertRecord, 0, v.detail.alerts)
	for n := range v.Alerts {
		if len(shown) == v.detail.alerts {
			break
		}
		if v.Alerts[n].State.Firing {
			shown = append(shown, &v.Alerts[n])
		}
	}
	return shown
}

func (v *view) alert(a *tocsin.AlertRecord, common []string, several bool) []byte {
	b := append(v.line[:0], "• "...)
	b = appendCode(b, alertName(a), 100)
	names := make([]string, 0, len(a.Labels))
	for name := range a.Labels {
		if !distinguishes(name, v.GroupLabels) || several && slices.Contains(common, name) {
			continue
		}
		names = append(names, name)
	}
	slices.Sort(names)
	b = appendLabels(b, a.Labels, names, v.detail)
	b = append(b, " since "...)
	b = appendTime(b, a.State.StartsAt)
	if s := a.State.Suppression; s != nil {
		b = append(b, " 🔕 "...)
		b = appendText(b, suppressionText(s), 120, prose)
	}
	return b
}

func alertName(a *tocsin.AlertRecord) string {
	if n := a.Name(); n != "" {
		return n
	}
	return "alert"
}

// distinguishes tells a label that is worth its place beside the alert's name.
func distinguishes(name string, group tocsin.Labels) bool {
	if name == tocsin.LabelAlertName || name == tocsin.LabelSeverity {
		return false
	}
	_, grouped := group[name]
	return !grouped
}

// commonLabels names the labels that are the same in all alerts shown, and
// not among the group's.
func commonLabels(alerts []*tocsin.AlertRecord, group tocsin.Labels) []string {
	if len(alerts) < 2 {
		return nil
	}
	var common []string
	for name, value := range alerts[0].Labels {
		if !distinguishes(name, group) {
			continue
		}
		same := !slices.ContainsFunc(alerts[1:], func(a *tocsin.AlertRecord) bool {
			v, ok := a.Labels[name]
			return !ok || v != value
		})
		if same {
			common = append(common, name)
		}
	}
	slices.Sort(common)
	return common
}

// appendLabels writes labels as code, as many as the detail allows.
func appendLabels(b []byte, labels tocsin.Labels, names []string, d detail) []byte {
	for n, name := range names {
		if n == d.labels {
			return append(b, " +"+strconv.Itoa(len(names)-n)+" labels"...)
		}
		b = append(b, " `"...)
		b = appendText(b, name, 60, code)
		b = append(b, `="`...)
		b = appendText(b, labels[name], d.label, code)
		b = append(b, "\"`"...)
	}
	return b
}

// links leads to the pages beside the message. They are links in the text and
// no buttons: Slack warns people who press a button of an application that has
// no interaction URL, even if the button only opens a page.
func (v *view) links() {
	b := v.line[:0]
	add := func(label, target string) {
		target = safeURL(target)
		if target == "" || strings.Contains(string(b), "<"+target+"|") {
			return
		}
		if len(b) > 0 {
			b = append(b, " · "...)
		}
		b = append(b, "<"+target+"|"+label+">"...)
	}
	add("Incident", v.URL)
	if v.Incident.State != tocsin.Resolved && v.detail.links {
		if v.Runbook != nil {
			add("Runbook", v.Runbook.URL)
		}
		if len(v.Alerts) > 0 {
			add("Runbook", v.Alerts[0].Annotations[tocsin.AnnotationRunbookURL])
			add("Source", v.Alerts[0].GeneratorURL)
		}
	}
	if len(b) > 0 {
		v.b.line(b)
		v.b.flush()
	}
}
