package slack_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

const (
	checkToken = "xoxb-canary-of-the-bot"
	checkApp   = "xapp-canary-of-the-app"
)

// botScopesOf are the bot's scopes that everything needs together.
func botScopesOf(features ...slack.Feature) []string {
	var out []string
	for _, s := range slack.Scopes(slack.Permissions(features...)) {
		if s.Level == "" {
			out = append(out, s.Name)
		}
	}
	return out
}

// workspace is one in which all is well for checkConfig.
func workspace(scopes ...string) *slacktest.Server {
	s := slacktest.New(slacktest.WithToken(checkToken, scopes...), slacktest.WithToken(checkApp, "connections:write"))
	s.AddChannel("incidents")
	s.AddChannel("oncall")
	s.AddUser(slacktest.User{ID: "U0ANA0001", Name: "ana"})
	s.AddUser(slacktest.User{ID: "U0BO00001", Name: "bo"})
	s.AddUserGroup(slacktest.UserGroup{ID: "S0DUTY", Handle: "duty", Users: []string{"U0ANA0001"}})
	return s
}

func checkConfig() slack.CheckConfig {
	return slack.CheckConfig{
		Channels: []string{"#incidents", "#oncall"}, Users: []slack.CheckUser{{Name: "ana", ID: "U0ANA0001"}, {Name: "bo", ID: "U0BO00001"}},
		UserGroups: []string{"S0DUTY"}, AppToken: checkApp,
		Features: []slack.Feature{slack.FeatureMessages, slack.FeatureLookup, slack.FeatureUserGroups, slack.FeatureChannels, slack.FeatureSocketMode},
	}
}

// checked returns what is found, by status and what.
func checked(t *testing.T, s *slacktest.Server, token string, cfg slack.CheckConfig) map[slack.CheckStatus]map[string]string {
	t.Helper()
	defer s.Close()
	c := slack.New(slack.Config{Token: token, APIURL: slacktest.URL, HTTPClient: s.Client()})
	out := map[slack.CheckStatus]map[string]string{}
	require.NoError(t, c.Check(t.Context(), cfg, func(f slack.Finding) {
		if out[f.Status] == nil {
			out[f.Status] = map[string]string{}
		}
		_, twice := out[f.Status][f.What]
		assert.False(t, twice, f.What)
		out[f.Status][f.What] = f.Text
		assert.NotContains(t, f.Text, "canary", "no token is ever shown")
	}))
	return out
}

func TestCheckOfWhatIsWell(t *testing.T) {
	t.Parallel()
	for _, post := range []bool{false, true} {
		cfg := checkConfig()
		cfg.Post = post
		s := workspace(botScopesOf(cfg.Features...)...)
		got := checked(t, s, checkToken, cfg)
		assert.Empty(t, got[slack.CheckMissing])
		assert.Empty(t, got[slack.CheckUnknown])
		assert.Empty(t, got[slack.CheckNote], "exactly these scopes are needed")
		for _, what := range []string{
			"bot token", "scope chat:write", "channel #incidents", "history of channel #incidents", "user ana", "user bo", "user group S0DUTY", "app token",
		} {
			assert.Contains(t, got[slack.CheckOK], what)
		}
		assert.NotContains(t, got[slack.CheckOK], "scope connections:write", "the bot's token has no such scope")
		assert.Zero(t, s.Scheduled(), "nothing is left behind")
		for _, ch := range []string{"incidents", "oncall"} {
			assert.Empty(t, s.Messages(ch))
		}
		assert.Equal(t, []string{"U0ANA0001"}, s.GroupMembers("S0DUTY"))
		assert.Equal(t, post, s.Calls("chat.postMessage") == 2)
		assert.Equal(t, post, s.Calls("usergroups.users.update") == 1)
	}
}

// TestCheckFindsEachMissingScope takes one scope away at a time.
func TestCheckFindsEachMissingScope(t *testing.T) {
	t.Parallel()
	cfg := checkConfig()
	cfg.Post = true
	all := botScopesOf(cfg.Features...)
	// What the trials themselves show, without Slack telling the scopes.
	shows := map[string]string{
		"chat:write": "channel #incidents", "channels:history": "history of channel #incidents", "im:write": "user ana",
		"usergroups:read": "user group S0DUTY", "usergroups:write": "user group S0DUTY",
	}
	for _, gone := range all {
		t.Run(gone, func(t *testing.T) {
			t.Parallel()
			without := slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == gone })
			got := checked(t, workspace(without...), checkToken, cfg)
			require.Contains(t, got[slack.CheckMissing], "scope "+gone)
			text := got[slack.CheckMissing]["scope "+gone]
			assert.Contains(t, text, "install the app again")
			if what := shows[gone]; what != "" {
				require.Contains(t, got[slack.CheckMissing], what)
				assert.Contains(t, got[slack.CheckMissing][what], "missing_scope (needed: ")
			}
			for what := range got[slack.CheckMissing] {
				if name, ok := strings.CutPrefix(what, "scope "); ok {
					assert.Equal(t, gone, name, "the others are there")
				}
			}
		})
	}
}

func TestCheckOfWhatIsNotWell(t *testing.T) {
	t.Parallel()
	type status = slack.CheckStatus
	for name, c := range map[string]struct {
		do     func(*slacktest.Server, *slack.CheckConfig)
		token  string
		status status
		what   string
		says   string
	}{
		"revoked token": {func(s *slacktest.Server, _ *slack.CheckConfig) { s.RevokeToken(checkToken) }, checkToken, slack.CheckMissing, "bot token", "install the Slack app again"},
		"wrong token":   {nil, "xoxb-canary-wrong", slack.CheckMissing, "bot token", "put a valid bot token into slack.bot_token_file"},
		"archived channel": {
			func(s *slacktest.Server, _ *slack.CheckConfig) { s.SetArchived("oncall", true) }, checkToken, slack.CheckMissing, "channel #oncall", "unarchive the channel",
		},
		"no such channel": {
			func(_ *slacktest.Server, c *slack.CheckConfig) { c.Channels = []string{"#nowhere"} }, checkToken, slack.CheckMissing, "channel #nowhere", "channel_not_found",
		},
		"not in the channel": {
			func(s *slacktest.Server, _ *slack.CheckConfig) { s.SetMember("oncall", false) }, checkToken, slack.CheckMissing, "history of channel #oncall", "/invite @tocsin",
		},
		"deactivated": {
			func(s *slacktest.Server, _ *slack.CheckConfig) { s.Deactivate("U0BO00001", true) }, checkToken, slack.CheckMissing, "user bo", "take them off the schedules",
		},
		"no such user": {
			func(_ *slacktest.Server, c *slack.CheckConfig) {
				c.Users = []slack.CheckUser{{Name: "cy", ID: "U0CY00001"}}
			}, checkToken, slack.CheckMissing, "user cy", "check the person's Slack ID",
		},
		"no ID": {
			func(_ *slacktest.Server, c *slack.CheckConfig) { c.Users = []slack.CheckUser{{Name: "cy", ID: "@cy"}} }, checkToken, slack.CheckMissing, "user cy", "copy the member ID",
		},
		"no such group": {
			func(_ *slacktest.Server, c *slack.CheckConfig) { c.UserGroups = []string{"S0NONE"} }, checkToken, slack.CheckMissing, "user group S0NONE", "check the ID of the Slack user group",
		},
		"group that admins alone change": {
			func(s *slacktest.Server, c *slack.CheckConfig) {
				c.Post = true
				s.Fault(slacktest.Fault{Method: "usergroups.users.update", Error: "permission_denied"})
			}, checkToken, slack.CheckMissing, "user group S0DUTY", "let everyone manage user groups",
		},
		"wrong app token": {
			func(_ *slacktest.Server, c *slack.CheckConfig) { c.AppToken = "xapp-canary-wrong" }, checkToken, slack.CheckMissing, "app token", "connections:write",
		},
		"bot token as app token": {
			func(_ *slacktest.Server, c *slack.CheckConfig) { c.AppToken = checkToken }, checkToken, slack.CheckMissing, "app token", "xapp-",
		},
		"app token without its scope": {
			func(s *slacktest.Server, c *slack.CheckConfig) {
				c.AppToken = "xapp-canary-weak"
				s.AddToken(c.AppToken, "authorizations:read")
			}, checkToken, slack.CheckMissing, "app token", "missing_scope",
		},
		"a trial that stays": {
			func(s *slacktest.Server, _ *slack.CheckConfig) {
				s.Fault(slacktest.Fault{Method: "chat.deleteScheduledMessage", Error: "invalid_scheduled_message_id", Count: 1})
			}, checkToken, slack.CheckUnknown, "channel #incidents", "could not be taken back",
		},
		"Slack is away": {
			func(s *slacktest.Server, _ *slack.CheckConfig) {
				s.Fault(slacktest.Fault{Method: "conversations.open", Status: http.StatusBadGateway})
			}, checkToken, slack.CheckUnknown, "user ana", "try again later",
		},
		"no scopes are told": {
			func(s *slacktest.Server, _ *slack.CheckConfig) { s.AddToken(checkToken) }, checkToken, slack.CheckUnknown, "scopes", "does not tell them",
		},
		"more than is needed": {
			func(s *slacktest.Server, _ *slack.CheckConfig) {
				s.AddToken(checkToken, append(botScopesOf(checkConfig().Features...), "files:write")...)
			}, checkToken, slack.CheckNote, "other scopes", "files:write",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := checkConfig()
			s := workspace(botScopesOf(cfg.Features...)...)
			if c.do != nil {
				c.do(s, &cfg)
			}
			got := checked(t, s, c.token, cfg)
			require.Contains(t, got[c.status], c.what, "%v", got)
			assert.Contains(t, got[c.status][c.what], c.says)
		})
	}
}

// TestCheckWithoutAnInvitation: a channel that the bot is not in is tried with
// --post where chat:write.public is granted.
func TestCheckWithoutAnInvitation(t *testing.T) {
	t.Parallel()
	cfg := checkConfig()
	cfg.Features = []slack.Feature{slack.FeatureMessages}
	without := slices.DeleteFunc(botScopesOf(cfg.Features...), func(s string) bool { return s == "chat:write.public" })
	s := workspace(without...)
	s.SetMember("oncall", false)
	got := checked(t, s, checkToken, cfg)
	assert.Contains(t, got[slack.CheckMissing]["channel #oncall"], "/invite @tocsin")

	s = workspace(botScopesOf(cfg.Features...)...)
	s.SetMember("oncall", false)
	s.Fault(slacktest.Fault{Method: "chat.scheduleMessage", Channel: "#oncall", Error: "not_in_channel"})
	got = checked(t, s, checkToken, cfg)
	assert.Contains(t, got[slack.CheckUnknown]["channel #oncall"], "--post")

	s = workspace(botScopesOf(cfg.Features...)...)
	s.SetMember("oncall", false)
	cfg.Post = true
	got = checked(t, s, checkToken, cfg)
	assert.Contains(t, got[slack.CheckOK], "channel #oncall")
}

// TestCheckWaitsWhenSlackAsksForIt: a whole minute passes, in no time.
func TestCheckWaitsWhenSlackAsksForIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := checkConfig()
		s := workspace(botScopesOf(cfg.Features...)...)
		s.Fault(slacktest.Fault{Method: "conversations.open", Status: http.StatusTooManyRequests, RetryAfter: slacktest.Seconds(30), Count: 2})
		begun := time.Now()
		got := checked(t, s, checkToken, cfg)
		assert.Empty(t, got[slack.CheckMissing])
		assert.Contains(t, got[slack.CheckOK], "user ana")
		assert.GreaterOrEqual(t, time.Since(begun), time.Minute)
		assert.Equal(t, 4, s.Calls("conversations.open"), "two in vain")
	})
}

func TestCheckEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := workspace()
	defer s.Close()
	c := slack.New(slack.Config{Token: checkToken, APIURL: slacktest.URL, HTTPClient: s.Client()})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, c.Check(ctx, checkConfig(), func(slack.Finding) {}), context.Canceled)
}
