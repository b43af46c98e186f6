// Package tocsin holds the words of Tocsin, an incident response and alert
// router: alerts, incidents, deliveries, events, runbooks, and the contract of
// the store that keeps them. It imports the standard library only; every other
// package imports this one and, with few exceptions, none of its siblings.
//
// The path of an alert:
//
//	Alertmanager ─► server (intake) ─► router (decide) ─► storage (COMMIT) ─► 2xx
//	                                                          │
//	             wake (router/stream, NATS) ◄─────────────────┘
//	                  │
//	                  └─► notifiers (reconcile one target) ─► Slack, PagerDuty, webhook
//	                              └─► COMMIT receipt
//
//	sweep: finds targets that lag, or are overdue, and wakes them again
//
// Deciding is pure: functions take the state, the input and the current time,
// and return the change. Committing is one transaction (Store). Waking carries
// no truth: a notifier reads the present state and brings its target up to it,
// so a late, doubled or lost wake-up does no harm.
package tocsin
