package tocsin

import "time"

// Shift is a span in which somebody is on call on a schedule, or nobody.
type Shift struct {
	Schedule string `json:"schedule"`
	// User is who is on call; empty: nobody, a gap.
	User string    `json:"user"`
	From time.Time `json:"from"`
	// To is the first instant after the shift.
	To time.Time `json:"to"`
	// Source says why it is this person: "layer weekdays", "override k7f3q9".
	Source string `json:"source,omitempty"`
	// Extra shifts lie beside the schedule's own line: people who were added,
	// and shadows.
	Extra bool `json:"extra,omitempty"`
	// Shadow shifts get copies only: they never count as somebody being on call.
	Shadow bool `json:"shadow,omitempty"`
}

// Gap reports whether nobody is on call in the shift.
func (s *Shift) Gap() bool { return s.User == "" }

// OverrideKind is what an override does to a schedule.
type OverrideKind string

// The kinds of overrides.
const (
	// OverrideReplace puts User in the place of Replaces, or of whoever is on
	// call where Replaces is empty.
	OverrideReplace OverrideKind = "replace"
	// OverrideAdd puts User on call beside the others.
	OverrideAdd OverrideKind = "add"
	// OverrideTimeOff takes User out: the next layer that covers takes over, and
	// where none does there is a gap.
	OverrideTimeOff OverrideKind = "time_off"
	// OverrideSwap asks User to take the shifts of Replaces; it holds once User
	// has accepted.
	OverrideSwap OverrideKind = "swap"
)

// OverrideState is where an override stands.
type OverrideState string

// The states of an override. Only swaps are ever Requested or Declined.
const (
	OverrideActive    OverrideState = "active"
	OverrideRequested OverrideState = "requested"
	OverrideDeclined  OverrideState = "declined"
	OverrideCancelled OverrideState = "cancelled"
)

// Override changes a schedule for a while. It is state, not configuration.
type Override struct {
	// ID is short, like an incident's.
	ID   string       `json:"id"`
	Kind OverrideKind `json:"kind"`
	// Schedule that is changed; empty, for time off: all of them.
	Schedule string `json:"schedule,omitempty"`
	// User who is on call then; for time off: who is away. Empty in a swap that
	// anybody may accept.
	User string `json:"user"`
	// Replaces is whose shifts are taken over; empty: those of whoever is on
	// call.
	Replaces string        `json:"replaces,omitempty"`
	From     time.Time     `json:"from"`
	To       time.Time     `json:"to"`
	State    OverrideState `json:"state"`
	Comment  string        `json:"comment,omitempty"`
	// CreatedBy, and CreatedAt, say who made it and when; of two that collide
	// the later one wins.
	CreatedBy string    `json:"createdBy"`
	CreatedAt time.Time `json:"createdAt"`
	// EndedBy is who cancelled, declined or accepted it.
	EndedBy string `json:"endedBy,omitempty"`
}

// Holds reports whether the override changes anything at any time.
func (o *Override) Holds() bool { return o.State == OverrideActive && o.From.Before(o.To) }

// MayPut reports whether somebody may make the override who does not manage other
// people's shifts: taking over a shift, and handing over one's own, or asking for
// that, is everybody's who responds.
func (o *Override) MayPut(who string) bool {
	own := o.Kind == OverrideReplace || o.Kind == OverrideSwap
	return who != "" && (o.User == who || own && o.Replaces == who)
}

// MayCancel reports whether somebody may cancel the override who does not manage
// other people's shifts: who made it, and whose shifts it changes.
func (o *Override) MayCancel(who string) bool {
	return who != "" && (o.CreatedBy == who || o.Replaces == who)
}

// Uncovered is a counter-example to "somebody is always paged": a span in which
// no step of a policy reaches anybody.
type Uncovered struct {
	Policy string `json:"policy"`
	// Severity of the incidents that nobody would be called for.
	Severity Severity  `json:"severity"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	// Why says for each step, in order, why it reaches nobody.
	Why []string `json:"why"`
	// Schedules that the steps of the policy ask, each once: whose it is to see this.
	Schedules []string `json:"-"`
}

// Share is what one person bears of the on-call duty in a span of time.
type Share struct {
	User string `json:"user"`
	// Hours on call, and those of them in the person's own night (22:00 to
	// 07:00), on Saturdays and Sundays, and on holidays of the schedule. An hour
	// may count in several.
	Hours        float64 `json:"hours"`
	NightHours   float64 `json:"nightHours"`
	WeekendHours float64 `json:"weekendHours"`
	HolidayHours float64 `json:"holidayHours"`
	Shifts       int     `json:"shifts"`
	// Pages counts the incidents that called the person; NightPages those in the
	// person's own night.
	Pages      int `json:"pages"`
	NightPages int `json:"nightPages"`
}

// ScheduleInfo describes a schedule to people.
type ScheduleInfo struct {
	Name     string `json:"name"`
	TimeZone string `json:"timeZone"`
	// Layers by name, the one that wins first.
	Layers []string `json:"layers"`
	// Users who may be on call, in the order of the configuration.
	Users []string `json:"users"`
}

// ShiftQuery asks for shifts. Its zero value asks for nothing.
type ShiftQuery struct {
	// Schedule and User narrow it; empty: all. A user's shifts have no gaps.
	Schedule, User string
	From, To       time.Time
}

// OverrideAnswer is what can be done to an override that exists.
type OverrideAnswer string

// The answers. Cancel ends any override; the others answer a swap.
const (
	OverrideAccept  OverrideAnswer = "accept"
	OverrideDecline OverrideAnswer = "decline"
	OverrideCancel  OverrideAnswer = "cancel"
)
