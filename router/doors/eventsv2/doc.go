// Package eventsv2 is a door for everything that speaks PagerDuty's Events API
// v2: it answers /v2/enqueue and /v2/change/enqueue as events.pagerduty.com does
// (https://developer.pagerduty.com/docs/send-alert-event), but for one thing: it
// never answers 429. What cannot be taken now is answered with 503, which the
// client libraries try again.
//
// A trigger is a firing alert, a resolve its end, an acknowledge what somebody
// who acknowledges does. PagerDuty knows an alert by its routing key and its
// dedup_key; Tocsin by its labels, which come with the trigger alone. They are
// remembered, as documents, until the resolve.
package eventsv2
