package callback

import (
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json"

	"github.com/tocsin-oncall/tocsin"
)

// reference names an object of PagerDuty's.
type reference struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Summary string `json:"summary"`
}

// data is what events bear: those about incidents, notes and responders are told
// apart by Type
// (https://developer.pagerduty.com/docs/webhooks-overview#event-data-types).
type data struct {
	ID   string `json:"id"`
	Type string `json:"type"`

	// Of an incident.
	Status    string      `json:"status"`
	Key       string      `json:"incident_key"`
	Assignees []reference `json:"assignees"`
	Policy    *reference  `json:"escalation_policy"`
	Priority  *reference  `json:"priority"`

	// Of everything else that is about one.
	Incident *reference `json:"incident"`
	// Of a note.
	Content string `json:"content"`
	// Of a responder.
	User    *reference `json:"user"`
	Message string     `json:"message"`
	State   string     `json:"state"`
}

// event is what a webhook bears: one.
type event struct {
	ID         string     `json:"id"`
	Type       string     `json:"event_type"`
	OccurredAt string     `json:"occurred_at"`
	Agent      *reference `json:"agent"`
	Data       *data      `json:"data"`

	at time.Time
}

// decode reads a body. It takes more than PagerDuty sends: unknown fields, names
// in any case.
func decode(body []byte, now time.Time) (*event, bool) {
	var in struct {
		Event *event `json:"event"`
	}
	if json.Unmarshal(body, &in, json.MatchCaseInsensitiveNames(false)) != nil || in.Event == nil || in.Event.Type == "" {
		return nil, false
	}
	ev := in.Event
	if ev.Data == nil {
		ev.Data = &data{}
	}
	at, err := time.Parse(time.RFC3339, ev.OccurredAt)
	if err != nil || at.After(now) {
		at = now // a clock that is ahead must not make all that follows outdated
	}
	ev.at = at
	return ev, true
}

// remote is PagerDuty's ID of the incident that the event is about.
func (ev *event) remote() string {
	switch {
	case ev.Data.Incident != nil:
		return ev.Data.Incident.ID
	case strings.HasPrefix(ev.Type, "incident.") && ev.Data.Type == "incident":
		return ev.Data.ID
	}
	return ""
}

// state is what PagerDuty shows after the event.
func (ev *event) state() tocsin.State {
	switch s := tocsin.State(ev.Data.Status); s {
	case tocsin.Triggered, tocsin.Acknowledged, tocsin.Resolved:
		return s
	}
	return ""
}

// echo reports whether the Events API did it: we, that is.
func (ev *event) echo() bool {
	return ev.Agent != nil && strings.HasSuffix(ev.Agent.Type, "integration_reference")
}

// person reports whether somebody did it, not an automatism.
func (ev *event) person() bool { return ev.Agent != nil && ev.Agent.Type == "user_reference" }

const (
	maxName = 100
	maxText = 4000
)

// clean makes one line of harmless text of at most n characters.
func clean(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return ' '
		case unicode.Is(unicode.Bidi_Control, r), r == '\ufeff', r >= 0xE0000 && r <= 0xE007F:
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
	return clip(strings.TrimSpace(s), n)
}

// text is clean with its line breaks.
func text(s string) string {
	var out []string
	for line := range strings.Lines(clip(s, maxText)) {
		out = append(out, clean(line, maxText))
	}
	return strings.TrimSpace(strings.Join(out, "\n"))
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	runes := 0
	for at := range s {
		if runes == n-1 {
			return s[:at] + "…"
		}
		runes++
	}
	return s
}
