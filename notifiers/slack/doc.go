// Package slack shows incidents in Slack channels: one message an incident,
// updated in place, with its history in the message's thread; and one message
// about many incidents when there are too many to tell one by one.
//
// It speaks the Web API (https://docs.slack.dev/reference/methods) itself, over
// four methods: chat.postMessage, chat.update, and for looking up what an
// earlier attempt may have posted conversations.history and
// conversations.replies (with conversations.list to find a channel's ID). The
// bot token needs the scope chat:write; the look-up needs channels:history and
// channels:read (groups:… for private channels) and is left out without them.
//
// Text of alerts, labels and runbooks is hostile until escaped: it never
// mentions, links or formats anything.
package slack
