// Package pagerdutytest emulates PagerDuty: the Events API v2 with its checks,
// its rate limit and what events do to incidents, the little of the REST API
// that asks about them, and a page to look at. It is for tests, the demo and the
// benchmark.
//
// A Server is an http.Handler. Serve it on a socket, or reach it through Client
// without one, which also works inside a testing/synctest bubble.
//
// What it knows of PagerDuty comes from
// https://developer.pagerduty.com/docs/events-api-v2-overview and the pages
// below it.
package pagerdutytest
