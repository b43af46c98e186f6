package tocsin

// Manual is an incident that a person, or Tocsin itself, opens without an alert.
type Manual struct {
	// Key names what it is about: while one with the same key is open, no second
	// one is opened. Empty: each is its own.
	Key      string   `json:"key,omitempty"`
	Title    string   `json:"title"`
	Text     string   `json:"text,omitempty"`
	Severity Severity `json:"severity,omitempty"`
	// By is who opens it; empty: Tocsin.
	By string `json:"by,omitempty"`
	// User or Schedule to call, or the Policy to follow; none: the policy of the
	// receivers.
	User     string `json:"user,omitempty"`
	Schedule string `json:"schedule,omitempty"`
	Policy   string `json:"policy,omitempty"`
	// Receivers that are told; none: that of the root route.
	Receivers []string `json:"receivers,omitempty"`
}
