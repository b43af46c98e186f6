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
//   - an incident that no alert made (opened by a person, or a notice) has one
//     alert that stands for it, with its title as alertname and summary and its
//     text as description.
//   - to call again the message is sent again, with the reason "repeat interval
//     elapsed".
//   - "tocsin" is one more key, with what Alertmanager has no word for.
package webhook
