// Package notifiers brings the targets of incidents up to date: it is told that
// a target may lag, reads what the incident is now and what the target shows,
// makes one call to the provider, and records the receipt.
//
// Guarantee: a target that lags is tried until it shows the incident as it is,
// or until the provider says that trying again is useless; then that is written
// on the incident. Nothing is sent twice by this process. After a crash, or an
// answer that never came, a message may have been posted without a receipt: the
// notifier is told so (Notice.MayBePosted) and looks before it posts.
//
// Every target belongs to a lane: what shares one rate and one provider's
// pause. Within a lane the most urgent goes first; lanes do not wait for each
// other. A lane with a rate that more incidents wait for than it can post tells
// them together, as one digest.
//
// The state of a lane is in memory only and may be lost: the sweep finds in the
// store what lags.
package notifiers
