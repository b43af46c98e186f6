// Package socket keeps connections of Slack's Socket Mode open, by which clicks,
// commands and events reach an installation that has no public URL
// (https://docs.slack.dev/apis/events-api/using-socket-mode).
//
//	apps.connections.open ─► WebSocket ─► hello ─► envelope ─► Taker (COMMIT) ─► acknowledge
//	                                         │
//	             disconnect: open another, read this one until it closes
//
// Slack closes each connection every few hours, and sends each envelope on any one
// that is open. So there are two at all times, and one that is told to leave is
// replaced before it is let go. An envelope is acknowledged when what it asks for is
// durable, and not otherwise: Slack sends an event again, and tells a person that
// their click failed. A connection on which nothing comes for 30 s, not even the
// answer to a ping, is taken for dead.
//
// The connections are made with github.com/gorilla/websocket, and
// apps.connections.open is called with slack-go, but its package socketmode v0.35.0
// is not used. On a disconnect message it closes the connection at once and only
// then asks for another; acknowledgements wait in one queue for whichever connection
// is open next, so those of what was under way go out on another connection than
// they belong to; whether one was written is not told; it returns while a goroutine
// still reads; an envelope that it cannot parse is not handed on with its ID; and an
// error in the token ends it for good.
package socket
