package slack

import (
	"cmp"
	"slices"
	"strings"
)

// Feature is a part of what Tocsin does in Slack that asks for permissions.
type Feature string

// The features.
const (
	// FeatureMessages is the incidents' messages, to channels and people, and what
	// is clicked and typed. It is always there.
	FeatureMessages Feature = "messages"
	// FeatureLookup is looking for a message that an earlier attempt may have left.
	FeatureLookup Feature = "lookup"
	// FeatureUserGroups is user groups that follow who is on call.
	FeatureUserGroups Feature = "user groups"
	// FeatureChannels is channels for single incidents, public ones.
	FeatureChannels Feature = "incident channels"
	// FeaturePrivateChannels is the same with private ones.
	FeaturePrivateChannels Feature = "private incident channels"
	// FeatureGraphs is drawings of what an incident's rule asks for.
	FeatureGraphs Feature = "graphs"
	// FeatureSocketMode is callbacks over connections of our own.
	FeatureSocketMode Feature = "Socket Mode"
)

// Permission is one thing that is done in Slack, and the scope that it needs.
type Permission struct {
	// Call is a method of the Web API, an event, or "slash command".
	Call string `json:"call"`
	// Event tells an event from a method.
	Event bool `json:"event,omitempty"`
	// Scope that it needs; empty: none.
	Scope string `json:"scope"`
	// Level is "app" for the app-level token's scope; empty: the bot token's.
	Level string `json:"level,omitempty"`
	// For is the feature that does it.
	For Feature `json:"for"`
	// Why says what is done with it.
	Why string `json:"why"`
}

// permissions is everything that is called and subscribed to, with its scope as
// the page of the method or the event tells (https://docs.slack.dev/reference/methods,
// https://docs.slack.dev/reference/events). The manifest, `tocsin slack check` and
// docs/slack.md are made of it; a test finds what is called and not here.
var permissions = []Permission{
	{Call: methodPost, Scope: "chat:write", For: FeatureMessages, Why: "post the incidents' messages"},
	{Call: methodPost, Scope: "chat:write.public", For: FeatureMessages, Why: "post them in public channels without an invitation"},
	{Call: methodUpdate, Scope: "chat:write", For: FeatureMessages, Why: "keep them up to date"},
	{Call: methodTell, Scope: "chat:write", For: FeatureMessages, Why: "answer who clicked, where nobody else sees it"},
	{Call: methodSchedule, Scope: "chat:write", For: FeatureMessages, Why: "try a channel and take that back (tocsin slack check)"},
	{Call: methodUnschedule, Scope: "chat:write", For: FeatureMessages, Why: "try a channel and take that back (tocsin slack check)"},
	{Call: methodDelete, Scope: "chat:write", For: FeatureMessages, Why: "try a channel and take that back (tocsin slack check)"},
	{Call: methodOpen, Scope: "im:write", For: FeatureMessages, Why: "open direct messages, and learn that an account is deactivated"},
	{Call: methodTest, For: FeatureMessages, Why: "learn which workspace the token belongs to"},
	{Call: methodView, For: FeatureMessages, Why: "open the window for a note, a silence, a person"},
	{Call: methodPublish, For: FeatureMessages, Why: "show the Home tab"},
	{Call: "slash command", Scope: "commands", For: FeatureMessages, Why: "take /tocsin"},
	{Call: "app_home_opened", Event: true, For: FeatureMessages, Why: "make the Home tab when somebody opens it"},
	{Call: "app_mention", Event: true, Scope: "app_mentions:read", For: FeatureMessages, Why: "do what is said to @tocsin"},
	{Call: "message.im", Event: true, Scope: "im:history", For: FeatureMessages, Why: "do what is said to the bot in its direct messages"},
	{Call: "reaction_added", Event: true, Scope: "reactions:read", For: FeatureMessages, Why: "see that a message was marked with 📌"},
	{Call: methodReplies, Scope: "channels:history", For: FeatureMessages, Why: "read the message that was marked with 📌, for a note"},
	{Call: methodReplies, Scope: "groups:history", For: FeatureMessages, Why: "read the message that was marked with 📌, in a private channel that the bot is in"},

	{Call: methodHistory, Scope: "channels:history", For: FeatureLookup, Why: "find a message whose receipt was lost, so that it is not posted twice"},
	{Call: methodHistory, Scope: "groups:history", For: FeatureLookup, Why: "find a message whose receipt was lost, in a private channel that the bot is in"},
	{Call: methodHistory, Scope: "im:history", For: FeatureLookup, Why: "find a message whose receipt was lost, in direct messages"},
	{Call: methodReplies, Scope: "channels:history", For: FeatureLookup, Why: "find what a thread was told already"},
	{Call: methodReplies, Scope: "groups:history", For: FeatureLookup, Why: "find what a thread was told already"},
	{Call: methodReplies, Scope: "im:history", For: FeatureLookup, Why: "find what a thread was told already"},
	{Call: methodList, Scope: "channels:read", For: FeatureLookup, Why: "find the ID of a channel by its name"},
	{Call: methodList, Scope: "groups:read", For: FeatureLookup, Why: "find the ID of a private channel by its name"},

	{Call: methodMembers, Scope: "usergroups:read", For: FeatureUserGroups, Why: "see who is in a user group"},
	{Call: methodSet, Scope: "usergroups:write", For: FeatureUserGroups, Why: "put those on call into it"},

	{Call: methodCreate, Scope: "channels:manage", For: FeatureChannels, Why: "make a channel for an incident"},
	{Call: methodInvite, Scope: "channels:manage", For: FeatureChannels, Why: "invite those who respond"},
	{Call: methodTopic, Scope: "channels:manage", For: FeatureChannels, Why: "show the incident's state in its topic"},
	{Call: methodArchive, Scope: "channels:manage", For: FeatureChannels, Why: "archive it afterwards"},
	{Call: methodList, Scope: "channels:read", For: FeatureChannels, Why: "find the channel again after a crash"},
	{Call: methodPin, Scope: "pins:write", For: FeatureChannels, Why: "pin the incident's message there"},

	{Call: methodCreate, Scope: "groups:write", For: FeaturePrivateChannels, Why: "make a private channel for an incident"},
	{Call: methodInvite, Scope: "groups:write", For: FeaturePrivateChannels, Why: "invite those who respond"},
	{Call: methodTopic, Scope: "groups:write", For: FeaturePrivateChannels, Why: "show the incident's state in its topic"},
	{Call: methodArchive, Scope: "groups:write", For: FeaturePrivateChannels, Why: "archive it afterwards"},
	{Call: methodList, Scope: "groups:read", For: FeaturePrivateChannels, Why: "find the channel again after a crash"},
	{Call: methodPin, Scope: "pins:write", For: FeaturePrivateChannels, Why: "pin the incident's message there"},

	{Call: methodAskFile, Scope: "files:write", For: FeatureGraphs, Why: "put the graph of what fires into the incident's thread"},
	{Call: methodAddFile, Scope: "files:write", For: FeatureGraphs, Why: "put the graph of what fires into the incident's thread"},

	{Call: methodConnect, Scope: "connections:write", Level: "app", For: FeatureSocketMode, Why: "open the connections over which clicks come"},
}

// Permissions returns what the features need of Slack, in no particular order; no
// features: what everything needs together.
func Permissions(features ...Feature) []Permission {
	return slices.DeleteFunc(slices.Clone(permissions), func(p Permission) bool {
		return len(features) > 0 && !slices.Contains(features, p.For)
	})
}

// Scope is a scope, with all that it is for.
type Scope struct {
	Name string `json:"name"`
	// Level as that of Permission.
	Level string       `json:"level,omitempty"`
	For   []Permission `json:"for"`
}

// Scopes returns the scopes that permissions need, each once, by name.
func Scopes(list []Permission) []Scope {
	var out []Scope
	for _, p := range list {
		if p.Scope == "" {
			continue
		}
		n := slices.IndexFunc(out, func(s Scope) bool { return s.Name == p.Scope })
		if n < 0 {
			n = len(out)
			out = append(out, Scope{Name: p.Scope, Level: p.Level})
		}
		out[n].For = append(out[n].For, p)
	}
	slices.SortFunc(out, func(a, b Scope) int { return cmp.Or(cmp.Compare(a.Level, b.Level), cmp.Compare(a.Name, b.Name)) })
	return out
}

// Why says in one line what the scope is for, in the order of the table.
func (s *Scope) Why() string {
	out := ""
	for n := range s.For {
		switch why := s.For[n].Why; {
		case n == 0:
			out = why
		case !strings.Contains("; "+out+";", "; "+why+";"):
			out += "; " + why
		}
	}
	return out
}

// Events returns the names of the events that permissions name, by name.
func Events(list []Permission) []string {
	var out []string
	for _, p := range list {
		if p.Event && !slices.Contains(out, p.Call) {
			out = append(out, p.Call)
		}
	}
	slices.Sort(out)
	return out
}
