// Package slack shows incidents in Slack channels: one message an incident,
// updated in place, with its history in the message's thread; and one message
// about many incidents when there are too many to tell one by one. Direct
// messages to a person are such a channel (Client.Person), kept calm: what alerts
// do, and who else is called, is left to the channels. Somebody whose message is
// there already is called again by a reply that is broadcast. UserGroup has a
// user group follow who is on call.
//
// It speaks the Web API (https://docs.slack.dev/reference/methods) through
// github.com/slack-go/slack: chat.postMessage and chat.update, and for looking up
// what an earlier attempt may have posted conversations.history and
// conversations.replies (with conversations.list to find a channel's ID, and
// conversations.open for a person's). The bot token needs the scope chat:write;
// the look-up needs channels:history and channels:read (groups:… for private
// channels, im:history for people) and is left out without them. im:write tells
// whether a person's account is active; usergroups:read and usergroups:write are
// for user groups. IncidentChannels names the scopes for channels of incidents'
// own.
//
// slack-go makes the requests and reads the answers; all that is used of it is
// in calls.go and, for incident channels, room_calls.go. Three things are done here:
//
//   - Rendering. Messages are escaped, cut to Slack's limits and written as JSON
//     before slack-go gets them, which costs less than its typed blocks and tells
//     how long a message is.
//   - Classification. What the dispatcher does next depends on the status, the
//     Retry-After header, Slack's error code and whether the request was sent at
//     all; of an answer that is no success slack-go keeps one of these. The HTTP
//     client that it is given notes them (recorder). Trying again is the
//     dispatcher's: slack-go's retries are off.
//   - Looking up. Slack has no idempotency key: each message bears metadata that
//     names its incidents, by which a message is found whose answer was lost.
//
// Text of alerts, labels and runbooks is hostile until escaped: it never
// mentions, links or formats anything.
package slack
