// Package command runs the words that people type to Tocsin in Slack: behind
// /tocsin, to a mention, in the direct messages.
//
//	text, as Slack escapes it ─► words ─► which command? may they? ─► do it ─► lines
//
// Reading is pure; a Desk does things, through the small interfaces of Deps, and
// keeps no state: whatever is done bears an ID that is made of the one that Slack
// gives the words, so that words that come twice are done once.
//
// What comes from outside is escaped wherever it is said again: an answer holds no
// mention and no link but those that it was made to hold, and is never longer than
// a message has room for.
package command
