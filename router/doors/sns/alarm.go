package sns

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tocsin-oncall/tocsin"
)

// Bounds on what of an alarm becomes text.
const (
	maxLabel      = 1024
	maxAnnotation = 4096
	maxDimensions = 30 // CloudWatch allows as many
)

// alarm is what CloudWatch writes into a message
// (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html).
type alarm struct {
	AlarmName        string
	AlarmDescription string
	AlarmArn         string
	AWSAccountID     string `json:"AWSAccountId"`
	NewStateValue    string
	NewStateReason   string
	StateChangeTime  string
	Trigger          struct {
		MetricName string
		Namespace  string
		Dimensions []struct {
			Name  string `json:"name"`
			Value string `json:"value"`
		}
	}
}

// alertOf reads the alarm of a message; nil where it bears none, or one that says
// nothing: INSUFFICIENT_DATA neither begins nor ends an alert.
func alertOf(d *Door, m *message, now time.Time) *tocsin.Alert {
	var a alarm
	if json.Unmarshal([]byte(m.Message), &a) != nil || a.AlarmName == "" {
		return nil
	}
	if a.NewStateValue != "ALARM" && a.NewStateValue != "OK" {
		return nil
	}
	arn := strings.Split(m.TopicArn, ":")
	out := &tocsin.Alert{Source: d.Source, Labels: tocsin.Labels{}, Firing: a.NewStateValue == "ALARM", StartsAt: changed(&a, now)}
	set := func(name, v string) {
		if v = clip(strings.TrimSpace(v), maxLabel); v != "" {
			out.Labels[name] = v
		}
	}
	for _, dim := range a.Trigger.Dimensions[:min(len(a.Trigger.Dimensions), maxDimensions)] {
		if dim.Name != "" {
			set(clip(dim.Name, maxLabel), dim.Value)
		}
	}
	set("metric", a.Trigger.MetricName)
	set("namespace", a.Trigger.Namespace)
	set("account", a.AWSAccountID)
	if len(arn) > 4 {
		set("region", arn[3])
		if a.AWSAccountID == "" {
			set("account", arn[4])
		}
	}
	set(tocsin.LabelAlertName, a.AlarmName)
	maps.Copy(out.Labels, d.Labels)
	out.Annotations = tocsin.Labels{tocsin.AnnotationSummary: clip(a.AlarmName, maxAnnotation)}
	if a.AlarmDescription != "" {
		out.Annotations[tocsin.AnnotationSummary] = clip(a.AlarmDescription, maxAnnotation)
	}
	if a.NewStateReason != "" {
		out.Annotations[tocsin.AnnotationDescription] = clip(a.NewStateReason, maxAnnotation)
	}
	if !out.Firing {
		out.EndsAt = out.StartsAt
	}
	return out
}

// changed is when the alarm changed; SNS delivers late and in no order.
func changed(a *alarm, now time.Time) time.Time {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05.000-0700", "2006-01-02T15:04:05-0700"} {
		if t, err := time.Parse(layout, a.StateChangeTime); err == nil && t.Before(now) {
			return t.UTC()
		}
	}
	return now
}

// clip cuts s to n bytes, at the end of a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	n -= len("…")
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return fmt.Sprintf("%s…", s[:n])
}
