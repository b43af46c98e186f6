// Package callback takes what PagerDuty tells of incidents, through its V3
// webhooks (https://developer.pagerduty.com/docs/webhooks-overview), and does it
// here.
//
// # Which incident
//
// PagerDuty repeats the dedup key of the event that opened an incident as its
// incident_key, and our keys name our incident, the routing key and the turn:
// what is told of the turn before is never taken for this one. Notes and
// requests for responders bear PagerDuty's own ID of the incident alone. It is
// learnt from the webhooks that bear both (tocsin.Back.Remote), the first of
// which is incident.triggered; what is not known is asked of the REST API, where
// there is a token. Where a service groups alerts of several events into one
// incident, that incident bears the key of the first.
//
// # Loops
//
// What events of the Events API do comes back as a webhook whose agent is an
// integration: it is what was done here, or by somebody else with the routing
// key, and nothing is done about it. What a person does there is done here with
// tocsin.Action.Seen, which has the delivery show it already, in the same
// transaction: nothing is sent back. What was overtaken meanwhile changes
// nothing here, and PagerDuty is told again what holds.
//
// # Answers
//
// PagerDuty waits 5 seconds, tries again after 5xx and 429, drops a webhook after
// any other 4xx, and switches a subscription off for 24 hours when three in a row
// were dropped (https://developer.pagerduty.com/docs/webhooks-behavior). So 2xx is
// the answer once what was asked for is durable, and to everything that is
// verified but not understood, or cannot be done; 503 is the answer to what can
// be done later, and where no secret is set. A wrong signature is answered with
// 401: a stranger who forges webhooks cannot have the subscription switched off
// by it, since only PagerDuty's own deliveries count there. A secret that is
// wrong here can, after three webhooks: it is logged as an error and counted.
// While a secret is rotated, both belong into the configuration.
//
// The signature covers no time. A webhook that is replayed is known by its event's
// ID, in memory and, with the incident's latest actions, across restarts; and it
// is outdated once the incident has moved on.
package callback
