// Package callback takes what people do in Slack: clicks on the buttons of an
// incident's message, answers to a modal, slash commands, what is said to a mention
// and in the direct messages, and the verification of the events URL. Its three
// handlers are mounted by the server; each verifies the request itself, on the raw
// bytes (https://docs.slack.dev/authentication/verifying-requests-from-slack).
//
//	request ─► verify, refuse replays ─► who? which incident? ─► Act (COMMIT) ─► 200
//	                                                                │
//	              what there is to say, to the one who clicked ◄────┘ (background)
//
// What is acted on is committed before it is answered, within 2.5 of the 3 seconds
// that Slack waits. A success needs no words: the incident's message shows it. All
// else is said to the person alone, by the callback's response_url, or by
// chat.postEphemeral where there is none any more.
//
// What comes over connections of Socket Mode is not signed: they have authenticated
// Slack. Take has it go the same way from there.
//
// A request that is refused does nothing. It is logged once per cause and minute,
// and counted.
package callback
