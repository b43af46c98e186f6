// Package webhook sends incidents to any HTTP endpoint in the format of
// Alertmanager's webhook, version "4"
// (https://prometheus.io/docs/alerting/latest/configuration/#webhook_config):
// what eats Alertmanager's webhook eats this one.
//
// A message is about an incident where Alertmanager's is about a group:
//
//   - status is "firing" while the incident is open, and "resolved" after. In a
//     resolved incident every alert is told as resolved, also one that a person
//     closed while it fired: nothing more is sent about it, and a receiver that
//     tracks single alerts would keep it for ever.
//   - groupKey names the incident and its group, and never changes.
//   - alerts that are suppressed (silenced, inhibited, muted) are left out, as
//     Alertmanager leaves them out, unless there are no others.
//   - truncatedAlerts counts those that are not in the message.
//   - "tocsin" is one more key, with what Alertmanager has no word for.
package webhook
