// Package escalation sees to it that no page ends in silence.
//
// Guarantee: when a target of an open incident cannot be told of it, for good or
// for longer than the alarm's bound, the incident is told to the alarm's
// receiver as well, on another channel than the one that lags, and its timeline
// says so. An incident that the sender opened while nobody could be reached is
// therefore loud somewhere, or counted in tocsin_alarms_total and logged as an
// error where no alarm receiver is configured.
//
// Alarm decides purely; Engine holds the timer on the earliest instant at which
// an alarm would be due, and commits. Two engines on one store raise an alarm
// once: the decision looks at the incident inside the transaction.
package escalation
