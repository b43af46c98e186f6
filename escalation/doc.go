// Package escalation sees to it that somebody is always paged, and that no page
// ends in silence.
//
// Policies say who is called about an incident, how, and what happens when nobody
// answers. The rules are pure: they look at the incident, the policy as it was
// when the incident opened, who is on call now, and the time. Settle brings an
// incident's escalation in line with its state in the transaction that changed
// it, so that the first call is written with the alert that asks for it; what is
// to come is a deadline in the incident. Engine holds one timer on the earliest
// deadline of the store. Two engines on one store take every step once: each
// looks at the incident inside the transaction. What is overdue is taken at once,
// in order, and calls each person once.
//
// Guarantee: an open incident that has a policy, that is not suppressed and that
// nobody has taken, has a next step. A step that reaches nobody is said and not
// waited for; when the steps have run out, the last resort is called again and
// again. What is not urgent wakes nobody: it waits for quiet hours to end.
//
// When a target of an open incident cannot be told of it, for good or for longer
// than the alarm's bound, the incident is told to the alarm's receiver as well, on
// another channel than the one that lags, and its timeline says so; where no
// alarm receiver is configured it is counted in tocsin_alarms_total and logged as
// an error.
package escalation
