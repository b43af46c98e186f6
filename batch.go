package tocsin

// Batch is what one request of a sender bears. It is decided and committed as
// one.
type Batch struct {
	// Source names the sender; it is part of every alert's identity.
	Source string
	// Alerts in the sender's order.
	Alerts []Alert
	// Truncated is the number of alerts that the sender says it left out.
	// Absence is never taken for resolution.
	Truncated uint64
}

// Outcome counts what a batch did.
type Outcome struct {
	// Opened and Reopened count incidents.
	Opened, Reopened int
	// Fired, Ended, Repeated and Late count alerts; see Change.
	Fired, Ended, Repeated, Late int
	// Suppressed counts the alerts that fired and do not page.
	Suppressed int
}
