package eventsv2

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits of the Events API v2
// (https://developer.pagerduty.com/docs/send-alert-event).
const (
	maxBody     = 512 << 10
	maxDedupKey = 255
	maxSummary  = 1024
	keyLength   = 32
)

// The actions of an event.
const (
	trigger     = "trigger"
	acknowledge = "acknowledge"
	resolve     = "resolve"
)

// event is the body of a request.
type event struct {
	RoutingKey string   `json:"routing_key"`
	Action     string   `json:"event_action"`
	DedupKey   string   `json:"dedup_key"`
	Client     string   `json:"client"`
	ClientURL  string   `json:"client_url"`
	Payload    *payload `json:"payload"`
	Links      []link   `json:"links"`
	Images     []image  `json:"images"`
}

type payload struct {
	Summary   string          `json:"summary"`
	Source    string          `json:"source"`
	Severity  string          `json:"severity"`
	Timestamp string          `json:"timestamp"`
	Component string          `json:"component"`
	Group     string          `json:"group"`
	Class     string          `json:"class"`
	Details   json.RawMessage `json:"custom_details"`
}

type link struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

type image struct {
	Src  string `json:"src"`
	Href string `json:"href"`
	Alt  string `json:"alt"`
}

// parse reads an event and says what is wrong with it, in PagerDuty's words. The
// event is never nil.
func parse(body []byte, change bool) (*event, []string) {
	e := &event{}
	if len(body) > maxBody {
		return e, []string{"Event is too large (must be no more than 512 KB)"}
	}
	if !utf8.Valid(body) {
		return e, []string{"Event is not a valid JSON object: it is not UTF-8"}
	}
	if err := json.Unmarshal(body, e); err != nil {
		return &event{}, []string{"Event is not a valid JSON object: " + jsonProblem(err)}
	}
	if !strings.HasPrefix(string(bytes.TrimLeft(body, " \t\r\n")), "{") {
		return e, []string{"Event is not a valid JSON object"}
	}
	return e, e.problems(change)
}

// jsonProblem names the field, and does not repeat its value.
func jsonProblem(err error) string {
	if e, ok := err.(*json.UnmarshalTypeError); ok { //nolint:errorlint // json does not wrap it
		return fmt.Sprintf("'%s' is a %s", e.Field, e.Value)
	}
	return err.Error()
}

// list collects what is wrong.
type list []string

func (l *list) when(wrong bool, text string) {
	if wrong {
		*l = append(*l, text)
	}
}

func (e *event) problems(change bool) []string {
	var l list
	l.when(len(e.RoutingKey) != keyLength, "Length of 'routing_key' is incorrect (should be 32 characters)")
	l.when(strings.ContainsFunc(e.RoutingKey, notAlphanumeric), "'routing_key' cannot contain non-alphanumeric characters.")
	switch {
	case change || e.Action == trigger:
		l.when(e.Payload == nil, "'payload' is missing or blank")
		l = append(l, e.Payload.problems(change)...)
	case e.Action == acknowledge, e.Action == resolve:
		l.when(e.DedupKey == "", "'dedup_key' is missing or blank")
	case e.Action == "":
		l.when(true, "'event_action' is missing or blank")
	default:
		l.when(true, "'event_action' is invalid (must be one of the following: 'trigger', 'acknowledge' or 'resolve')")
	}
	l.when(!change && utf8.RuneCountInString(e.DedupKey) > maxDedupKey, "'dedup_key' is too long (must be no more than 255 characters)")
	for _, k := range e.Links {
		l.when(k.Href == "", "'href' is missing or blank in 'links'")
	}
	for _, i := range e.Images {
		l.when(!change && !strings.HasPrefix(i.Src, "https://"), "'src' must be an https URL in 'images'")
	}
	return l
}

func (p *payload) problems(change bool) []string {
	if p == nil {
		return nil
	}
	var l list
	l.when(strings.TrimSpace(p.Summary) == "", "'payload.summary' is missing or blank")
	l.when(utf8.RuneCountInString(p.Summary) > maxSummary, "'payload.summary' is too long (must be no more than 1024 characters)")
	l.when(len(p.Details) > 0 && p.Details[0] != '{' && p.Details[0] != 'n', "'payload.custom_details' must be an object")
	l.when(p.Timestamp != "" && !isTime(p.Timestamp), "'payload.timestamp' is not in ISO 8601 format")
	if change {
		return l
	}
	l.when(strings.TrimSpace(p.Source) == "", "'payload.source' is missing or blank")
	switch p.Severity {
	case "critical", "error", "warning", "info":
	case "":
		l.when(true, "'payload.severity' is missing or blank")
	default:
		l.when(true, "'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error' or 'info')")
	}
	return l
}

// isTime accepts the forms of ISO 8601 that client libraries write.
func isTime(s string) bool {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05-0700", "2006-01-02T15:04:05", "2006-01-02 15:04:05 -0700", "2006-01-02"} {
		if _, err := time.Parse(layout, s); err == nil {
			return true
		}
	}
	return false
}

func notAlphanumeric(r rune) bool {
	return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r)
}
