// Package router decides what an alert means: it dedupes, groups, inhibits,
// silences and routes alerts into incidents, and re-decides as time passes.
// ("Router" means alert routing here; HTTP routing lives in package server.)
//
// Guarantee: Receive returns nil only after the whole batch is durable; a batch
// that was received twice, or by a pair of senders, changes nothing the second
// time but counters.
//
// Rules is the compiled configuration, and every decision is a pure function of
// (transaction, rules, input, now). Router is the thin shell around them that
// owns the clock, the store and the sweep.
//
// Identity, in order:
//
//  1. An alert (source and whole label set) that is attached to a live incident
//     stays with it.
//  2. Otherwise the first route that matches and the values of its group_by
//     labels name the group; the group's live incident takes the alert.
//  3. Otherwise a new incident opens.
//
// Further routes that match by "continue" add receivers to the incident; they
// do not open a second one.
package router
