// Package pagerduty brings PagerDuty up to the state of an incident, through
// the Events API v2
// (https://developer.pagerduty.com/docs/events-api-v2-overview).
//
// It works on levels, not on edges: each Deliver compares what PagerDuty was
// last told (the Delivery) with the incident as it is now, and makes the one
// call that brings PagerDuty nearer. All calls for an incident bear the same
// dedup_key, so that sending a trigger twice opens one PagerDuty incident.
//
// PagerDuty does not page again for a trigger on an incident that is
// acknowledged there: a raised severity, or an acknowledgement that ran out, is
// written into its log and its escalation is left alone.
package pagerduty
