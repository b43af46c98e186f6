// Package server is Tocsin's HTTP surface: the intake of alerts, the JSON API,
// a few pages, health and metrics. It is the only package that knows echo.
//
// What it promises:
//
//   - An alert is answered with 200 only after the Receiver has made it durable.
//   - "Not now" is always 503, never 429: Alertmanager retries 5xx only
//     (github.com/prometheus/alertmanager, notify/util.go, Retrier.Check).
//   - What can never be right is 400, with a reason that names the field.
//   - No request holds more than a stated amount of memory or time, and no
//     number of hostile requests together does.
package server
