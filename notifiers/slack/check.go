package slack

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/tocsin-oncall/tocsin"
)

const (
	methodSchedule   = "chat.scheduleMessage"
	methodUnschedule = "chat.deleteScheduledMessage"
	methodDelete     = "chat.delete"
	methodConnect    = "apps.connections.open"
)

const (
	// trialAhead is when a trial would be posted if it could not be taken back.
	// Slack takes 120 days.
	trialAhead = 100 * 24 * time.Hour
	trialText  = "This is a trial by `tocsin slack check`, which was to be taken back at once. Nothing is wrong."
	// checkTries is how often a call that Slack wants later is made.
	checkTries = 6
)

// CheckStatus is how something that was checked stands.
type CheckStatus string

// The statuses.
const (
	CheckOK CheckStatus = "ok"
	// CheckMissing: it is needed, and does not work.
	CheckMissing CheckStatus = "missing"
	// CheckUnknown: it cannot be told from here.
	CheckUnknown CheckStatus = "unknown"
	// CheckNote: nothing is wrong; it is worth knowing.
	CheckNote CheckStatus = "note"
)

// Finding is one thing that was checked.
type Finding struct {
	// What was checked: "channel #incidents".
	What   string      `json:"what"`
	Status CheckStatus `json:"status"`
	// Text says what was seen, and where it does not work what to do. It holds no
	// secret.
	Text string `json:"text"`
}

// CheckUser is a person of the configuration.
type CheckUser struct {
	// Name in the configuration, and ID in Slack.
	Name, ID string
}

// CheckConfig is what is needed of a workspace.
type CheckConfig struct {
	// Features that are in use.
	Features   []Feature
	Channels   []string
	Users      []CheckUser
	UserGroups []string
	// AppToken of Socket Mode (xapp-…); empty: none.
	AppToken string
	// Post posts a message into each channel and deletes it, and writes the members
	// of each user group as they are. Without it a message is scheduled for a far
	// day and taken back, which nobody sees, and nothing is written.
	Post bool
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// checker checks one workspace.
type checker struct {
	*Client
	cfg  CheckConfig
	tell func(Finding)
	// granted are the scopes of the token; nil: Slack did not say.
	granted []string
}

// Check proves what the configuration needs of Slack against the live workspace,
// one call after the other, and tells what it finds as it goes. Where Slack asks
// for patience it waits. It posts nothing that anybody sees, unless cfg.Post is
// set. The error is that of ctx, or nil.
func (c *Client) Check(ctx context.Context, cfg CheckConfig, tell func(Finding)) error {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	k := &checker{Client: c, cfg: cfg, tell: tell}
	if k.identity(ctx) {
		k.scopes()
		for _, name := range cfg.Channels {
			k.channel(ctx, name)
		}
		for _, u := range cfg.Users {
			k.user(ctx, u)
		}
		for _, id := range cfg.UserGroups {
			k.group(ctx, id)
		}
	}
	if cfg.AppToken != "" {
		k.appToken(ctx)
	}
	return ctx.Err()
}

func (k *checker) ok(what, text string) { k.tell(Finding{what, CheckOK, text}) }

func (k *checker) missing(what, text string) { k.tell(Finding{what, CheckMissing, text}) }

func (k *checker) note(what, text string) { k.tell(Finding{what, CheckNote, text}) }

// failed tells an error: what Slack refuses for good is missing, any other
// failure leaves open whether it is.
func (k *checker) failed(what string, err error) {
	if tocsin.IsPermanent(err) {
		k.missing(what, err.Error())
		return
	}
	k.tell(Finding{what, CheckUnknown, err.Error() + ": try again later"})
}

// patiently makes a call again when Slack asks for it.
func patiently(ctx context.Context, call func() error) error {
	for try := 1; ; try++ {
		err := call()
		after, later := tocsin.RetryDelay(err)
		if err == nil || !later || try == checkTries {
			return err
		}
		t := time.NewTimer(after)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return err
		}
	}
}

func (k *checker) has(scope string) bool { return slices.Contains(k.granted, scope) }

// identity asks whose token it is, and which scopes it has: Slack tells in a
// header of each answer (https://docs.slack.dev/authentication/installing-with-oauth#scopes).
func (k *checker) identity(ctx context.Context) bool {
	const what = "bot token"
	var r *slackgo.AuthTestResponse
	var rec *record
	err := patiently(ctx, func() (err error) {
		rec, err = k.recorded(ctx, methodTest, func(ctx context.Context) (err error) {
			r, err = k.api.AuthTestContext(ctx)
			return err
		})
		return err
	})
	if err != nil {
		k.failed(what, err)
		return false
	}
	if list := rec.header.Values("X-OAuth-Scopes"); len(list) > 0 {
		k.granted = strings.FieldsFunc(strings.Join(list, ","), func(r rune) bool { return r == ',' || r == ' ' })
	}
	k.ok(what, "Slack takes it, in the workspace "+escape(r.Team, 80, plain)+" ("+escape(r.TeamID, 20, plain)+")")
	return true
}

// scopes compares what the token has with what is needed.
func (k *checker) scopes() {
	if k.granted == nil {
		k.tell(Finding{"scopes", CheckUnknown, "the answer does not tell them: a proxy may have taken them out; what follows shows most of them"})
		return
	}
	var extra []string
	need := Scopes(Permissions(k.cfg.Features...))
	for n := range need {
		s := &need[n]
		switch what := "scope " + s.Name; {
		case s.Level != "":
		case k.has(s.Name):
			k.ok(what, "to "+s.Why())
		default:
			k.missing(what, "not granted; it is needed to "+s.Why()+". Add it under OAuth & Permissions, Bot Token Scopes, and install the app again")
		}
	}
	for _, scope := range k.granted {
		if !slices.ContainsFunc(need, func(s Scope) bool { return s.Name == scope }) {
			extra = append(extra, escape(scope, 60, plain))
		}
	}
	if len(extra) > 0 {
		k.note("other scopes", "granted and not needed here: "+strings.Join(extra, ", ")+". They can be taken away")
	}
}

// channel tries whether a channel exists and takes messages, and whether its
// history can be read.
func (k *checker) channel(ctx context.Context, name string) {
	what := "channel " + escape(name, 80, plain)
	try, did := k.schedule, "it takes messages (one was scheduled for a far day and taken back)"
	if k.cfg.Post {
		try, did = k.post, "it takes messages (one was posted and deleted)"
	}
	id, err := try(ctx, name)
	switch code := codeOf(err); {
	case err == nil:
		k.ok(what, did)
	case code == "not_in_channel" && !k.cfg.Post && k.has("chat:write.public"):
		// Slack documents the scope for chat.postMessage alone
		// (https://docs.slack.dev/reference/scopes/chat.write.public).
		k.tell(Finding{what, CheckUnknown, "the bot is not in it, and may post there all the same, as chat:write.public is granted: --post tries it; or invite the bot: /invite @tocsin"})
	default:
		k.failed(what, err)
	}
	if id != "" && slices.Contains(k.cfg.Features, FeatureLookup) {
		k.history(ctx, what, id)
	}
}

// schedule tries a channel in a way that nobody sees. It returns the channel's ID.
func (k *checker) schedule(ctx context.Context, name string) (id string, err error) {
	var rec *record
	at := strconv.FormatInt(k.cfg.Now().Add(trialAhead).Unix(), 10)
	err = patiently(ctx, func() (err error) {
		rec, err = k.recorded(ctx, methodSchedule, func(ctx context.Context) (err error) {
			id, _, err = k.api.ScheduleMessageContext(ctx, name, at, slackgo.MsgOptionText(trialText, false))
			return err
		})
		return err
	})
	if err != nil {
		return "", err
	}
	err = patiently(ctx, func() error {
		return k.call(ctx, methodUnschedule, func(ctx context.Context) error {
			_, err := k.api.DeleteScheduledMessageContext(ctx, &slackgo.DeleteScheduledMessageParameters{Channel: id, ScheduledMessageID: rec.answer.ScheduledID})
			return err
		})
	})
	if err != nil {
		return id, fmt.Errorf("it takes messages, but the trial could not be taken back, and will be posted in %d days: %w", int(trialAhead.Hours())/24, err)
	}
	return id, nil
}

// post tries a channel with a message that is seen for a moment.
func (k *checker) post(ctx context.Context, name string) (id string, err error) {
	var ts string
	f := form{place: place{channel: name}, text: trialText, blocks: "[]", attachments: "[]", metadata: "{}"}
	err = patiently(ctx, func() (err error) {
		id, ts, err = k.send(ctx, methodPost, &f)
		return err
	})
	if err != nil {
		return "", err
	}
	err = patiently(ctx, func() error {
		return k.call(ctx, methodDelete, func(ctx context.Context) error {
			_, _, err := k.api.DeleteMessageContext(ctx, id, ts)
			return err
		})
	})
	if err != nil {
		return id, fmt.Errorf("it takes messages, but the trial could not be deleted: %w", err)
	}
	return id, nil
}

// history tries to read one message.
func (k *checker) history(ctx context.Context, what, id string) {
	what = "history of " + what
	err := patiently(ctx, func() error {
		_, err := k.history1(ctx, id)
		return err
	})
	switch {
	case err == nil:
		k.ok(what, "it can be looked at")
	case codeOf(err) == "not_in_channel":
		k.missing(what, "the bot is not in the channel, so what an earlier attempt posted cannot be found: invite it (/invite @tocsin), or set slack.lookup: false")
	default:
		k.failed(what, err)
	}
}

func (k *checker) history1(ctx context.Context, id string) (page, error) {
	return k.Client.history(ctx, &slackgo.GetConversationHistoryParameters{ChannelID: id, Limit: 1})
}

// user tries to open the direct messages with a person, which Slack refuses where
// the account is deactivated.
func (k *checker) user(ctx context.Context, u CheckUser) {
	what := "user " + escape(u.Name, 80, plain)
	if !isUser(u.ID) {
		k.missing(what, fmt.Sprintf("%q is no ID of a Slack user: copy the member ID from the person's profile in Slack", escape(u.ID, 40, plain)))
		return
	}
	err := patiently(ctx, func() error {
		_, err := k.open(ctx, u.ID)
		return err
	})
	if err != nil {
		k.failed(what, err)
		return
	}
	k.ok(what, "the account is active, and direct messages can be opened")
}

// group tries to read a user group, and to write it.
func (k *checker) group(ctx context.Context, id string) {
	what := "user group " + escape(id, 40, plain)
	g := k.UserGroup(id)
	var members []string
	err := patiently(ctx, func() (err error) {
		members, err = g.Members(ctx)
		return err
	})
	switch {
	case err != nil:
		k.failed(what, err)
		return
	case !k.cfg.Post:
		k.ok(what, "it exists, with "+strconv.Itoa(len(members))+" "+plural(uint64(len(members)), "member")+"; --post tries whether it can be changed")
		return
	case len(members) == 0:
		k.tell(Finding{what, CheckUnknown, "it exists and is empty, so that it cannot be tried whether it can be changed"})
		return
	}
	if err := patiently(ctx, func() error { return g.Set(ctx, members) }); err != nil {
		k.failed(what, err)
		return
	}
	k.ok(what, "it exists and can be changed (its members were written as they are)")
}

// appToken tries whether Socket Mode's connections can be opened.
func (k *checker) appToken(ctx context.Context) {
	const what = "app token"
	token := strings.TrimSpace(k.cfg.AppToken)
	c := &Client{base: k.base, token: token, timeout: k.timeout}
	c.api = slackgo.New("", slackgo.OptionAPIURL(k.base), slackgo.OptionHTTPClient(&recorder{http: *k.http}), slackgo.OptionAppLevelToken(token))
	err := patiently(ctx, func() error {
		return c.call(ctx, methodConnect, func(ctx context.Context) error {
			_, _, err := c.api.StartSocketModeContext(ctx)
			return err
		})
	})
	switch codeOf(err) {
	case "":
		if err != nil {
			k.failed(what, err)
			return
		}
		k.ok(what, "Slack takes it: connections for Socket Mode can be opened")
	case "invalid_auth", "not_authed", "not_allowed_token_type", "missing_scope", "token_revoked", "account_inactive":
		k.missing(what, "slack "+methodConnect+": "+codeOf(err)+": put an app-level token (xapp-…) with the scope connections:write into slack.app_token_file; Slack makes one under Basic Information, App-Level Tokens")
	default:
		k.failed(what, err)
	}
}
