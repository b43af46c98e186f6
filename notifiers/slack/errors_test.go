package slack_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

const canary = "xoxb-CANARY-0123456789"

// outcome is what an error means to the dispatcher.
type outcome struct {
	permanent, unclear bool
	after              time.Duration
}

func outcomeOf(t *testing.T, err error) outcome {
	t.Helper()
	require.Error(t, err)
	assert.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), "CANARY", "the token is in the error")
	for e := err; e != nil; e = errors.Unwrap(e) {
		assert.NotContains(t, fmt.Sprintf("%#v", e), "CANARY", "the token is in a wrapped error")
	}
	after, _ := tocsin.RetryDelay(err)
	return outcome{permanent: tocsin.IsPermanent(err), unclear: tocsin.IsUnclear(err), after: after}
}

// answering delivers once, posting or updating, to a Slack that answers so.
func answering(t *testing.T, update bool, status int, header http.Header, body string) error {
	t.Helper()
	client := &http.Client{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
		if header == nil {
			header = http.Header{}
		}
		return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
	})}
	n := notice(incident())
	if update {
		n.Delivery.Ref = "C0123456789/1.000001"
	}
	_, err := slack.New(slack.Config{Token: canary, HTTPClient: client}).Channel("#incidents").Deliver(t.Context(), n)
	return err
}

func TestEveryStatus(t *testing.T) {
	t.Parallel()
	for status := 100; status <= 599; status++ {
		for body, html := range map[string]bool{"": false, "no JSON": false, "<!doctype html><h1>Sorry</h1>": true, `{"ok":true,"channel":`: false} {
			var post, update outcome
			switch {
			case status == 429:
				post, update = outcome{after: 30 * time.Second}, outcome{after: 30 * time.Second}
			case status >= 500:
				post.unclear = status != 503
			case html, status == 408, status == 421, status == 425:
			case status >= 300:
				post.permanent, update.permanent = true, true
			default:
				post.unclear = true
			}
			assert.Equal(t, post, outcomeOf(t, answering(t, false, status, nil, body)), "post %d %q", status, body)
			assert.Equal(t, update, outcomeOf(t, answering(t, true, status, nil, body)), "update %d %q", status, body)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{
		"": 30 * time.Second, "1": time.Second, "0": time.Second, "42": 42 * time.Second, "1.5": 1500 * time.Millisecond,
		"-3": 30 * time.Second, "soon": 30 * time.Second, "9999999999": time.Hour, "NaN": 30 * time.Second,
		"Mon, 02 Jan 2006 15:04:05 GMT": time.Second,
	} {
		h := http.Header{}
		if value != "" {
			h.Set("Retry-After", value)
		}
		assert.Equal(t, outcome{after: want}, outcomeOf(t, answering(t, false, 429, h, "")), "%q", value)
		assert.Equal(t, outcome{after: want}, outcomeOf(t, answering(t, false, 200, h, `{"ok":false,"error":"ratelimited"}`)), "%q", value)
	}
}

func TestEverySlackError(t *testing.T) {
	t.Parallel()
	permanent := `channel_not_found not_in_channel is_archived is_inactive invalid_auth not_authed token_revoked token_expired
		account_inactive not_allowed_token_type missing_scope no_permission access_denied team_access_not_granted team_not_found
		two_factor_setup_required ekm_access_denied enterprise_is_restricted restricted_action restricted_action_read_only_channel
		restricted_action_thread_only_channel restricted_action_non_threadable_channel message_limit_exceeded accesslimited
		invalid_blocks invalid_blocks_format msg_blocks_too_long msg_too_long no_text too_many_attachments invalid_attachments
		metadata_too_large invalid_metadata_format invalid_metadata_schema metadata_must_be_sent_from_app invalid_arguments
		invalid_arg_name invalid_array_arg invalid_charset invalid_form_data invalid_json json_not_object invalid_post_type
		missing_post_type method_deprecated deprecated_endpoint unknown_method as_user_not_supported block_mismatch
		user_not_found user_disabled cannot_dm_bot user_is_restricted messages_tab_disabled permission_denied no_such_subteam
		no_users_provided invalid_users plan_upgrade_required`
	for code := range strings.FieldsSeq(permanent) {
		err := answering(t, true, 200, nil, `{"ok":false,"error":"`+code+`"}`)
		assert.Equal(t, outcome{permanent: true}, outcomeOf(t, err), code)
		assert.Contains(t, err.Error(), code, "Slack's own word")
		assert.Regexp(t, `: [a-z].* .*$`, err.Error(), "and what to do")
	}
	for _, code := range []string{"service_unavailable", "request_timeout", "team_added_to_org", "org_login_required", "update_failed", "what_slack_thinks_of_next"} {
		assert.Equal(t, outcome{}, outcomeOf(t, answering(t, false, 200, nil, `{"ok":false,"error":"`+code+`"}`)), code)
	}
	for _, code := range []string{"internal_error", "fatal_error"} {
		assert.Equal(t, outcome{unclear: true}, outcomeOf(t, answering(t, false, 200, nil, `{"ok":false,"error":"`+code+`"}`)), code)
		assert.Equal(t, outcome{}, outcomeOf(t, answering(t, true, 200, nil, `{"ok":false,"error":"`+code+`"}`)), code)
	}
	for _, code := range []string{"ratelimited", "rate_limited"} {
		assert.Equal(t, outcome{after: 30 * time.Second}, outcomeOf(t, answering(t, false, 200, nil, `{"ok":false,"error":"`+code+`"}`)), code)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	err := answering(t, false, 200, nil, `{"ok":false,"error":"not_in_channel"}`)
	assert.EqualError(t, err, "slack chat.postMessage: not_in_channel: invite the bot to the channel: /invite @tocsin")
	err = answering(t, false, 200, nil, `{"ok":false,"error":"missing_scope","needed":"chat:write","provided":"users:read"}`)
	assert.EqualError(t, err, "slack chat.postMessage: missing_scope (needed: chat:write; provided: users:read): add the scope to the Slack app and install it again")
	err = answering(t, false, 404, nil, "nothing here")
	assert.EqualError(t, err, "slack chat.postMessage: HTTP 404 Not Found: this is not Slack's Web API: check slack.api_url")
}

func TestASuccessWithoutAMessageIsUnclear(t *testing.T) {
	t.Parallel()
	assert.Equal(t, outcome{unclear: true}, outcomeOf(t, answering(t, false, 200, nil, `{"ok":true}`)))
}

func TestAFailureWithoutAWordIsNoSuccess(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{"ok":false}`, `{}`, `null`, `{"ok":false,"channel":"C0123456789","ts":"1.000001"}`, `{"ok":true,"ts":1}`, `{"ok":true,"channel":"C0123456789","ts":"1.000001"}{}`} {
		assert.Equal(t, outcome{unclear: true}, outcomeOf(t, answering(t, false, 200, nil, body)), body)
		assert.Equal(t, outcome{}, outcomeOf(t, answering(t, true, 200, nil, body)), body)
	}
}

func TestHostileAnswersShowNoToken(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"ok":false,"error":"` + canary + `"}`,
		`{"ok":false,"error":"missing_scope","needed":"` + canary + `"}`,
		`{"ok":false,"error":"invalid_blocks","response_metadata":{"messages":["` + canary + `\u202e"]}}`,
		canary, "<html>" + canary,
	} {
		outcomeOf(t, answering(t, false, 200, nil, body))
		outcomeOf(t, answering(t, true, 500, nil, body))
	}
}

func TestNetworkFailures(t *testing.T) {
	t.Parallel()
	s := slacktest.New(slacktest.WithAutoCreate())
	server := httptest.NewServer(s)
	t.Cleanup(func() { s.Close(); server.Close() })
	refused, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, refused.Close())
	mute, err := net.Listen("tcp", "127.0.0.1:0") // accepts and never speaks
	require.NoError(t, err)
	t.Cleanup(func() { _ = mute.Close() })

	post := func(base string, fault *slacktest.Fault, timeout time.Duration) error {
		if fault != nil {
			defer s.Fault(*fault)()
		}
		c := slack.New(slack.Config{Token: canary, APIURL: base, Timeout: timeout})
		_, err := c.Channel("#incidents").Deliver(t.Context(), notice(incident()))
		return err
	}
	api := server.URL + "/api/"
	assert.Equal(t, outcome{}, outcomeOf(t, post("http://"+refused.Addr().String()+"/api/", nil, 0)), "refused")
	assert.Equal(t, outcome{}, outcomeOf(t, post("http://does-not-exist.invalid/api/", nil, 0)), "no such host")
	assert.Equal(t, outcome{}, outcomeOf(t, post("https://"+mute.Addr().String()+"/api/", nil, 50*time.Millisecond)), "TLS handshake that never ends")
	assert.Equal(t, outcome{permanent: true}, outcomeOf(t, post("http://"+canary+"\x7f@x/", nil, 0)), "no URL")
	assert.Equal(t, outcome{}, outcomeOf(t, post("http://u:"+canary+"@"+refused.Addr().String()+"/", nil, 0)), "secret in the URL")
	assert.Equal(t, outcome{unclear: true}, outcomeOf(t, post(api, &slacktest.Fault{DropAfter: true}, 0)), "cut after accepting")
	assert.Equal(t, outcome{unclear: true}, outcomeOf(t, post(api, &slacktest.Fault{BlackHole: true}, time.Second)), "black hole")
	err = post(api, &slacktest.Fault{Delay: time.Minute}, time.Second)
	assert.Equal(t, outcome{unclear: true}, outcomeOf(t, err), "too slow")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, post(api, nil, 0))

	c := slack.New(slack.Config{Token: canary, APIURL: api})
	n := notice(incident())
	n.Delivery.Ref = "C0/1.000001"
	defer s.Fault(slacktest.Fault{DropAfter: true})()
	_, err = c.Channel("#incidents").Deliver(t.Context(), n)
	assert.Equal(t, outcome{}, outcomeOf(t, err), "an update may be made twice")
}

func TestCancelledBeforeSending(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := slack.New(slack.Config{Token: canary, APIURL: "http://127.0.0.1:1/"})
	_, err := c.Channel("#incidents").Deliver(ctx, notice(incident()))
	require.ErrorIs(t, err, context.Canceled)
	assert.False(t, tocsin.IsPermanent(err))
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(elsewhere.Close)
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	t.Cleanup(server.Close)
	_, err := slack.New(slack.Config{Token: canary, APIURL: server.URL}).Channel("#incidents").Deliver(t.Context(), notice(incident()))
	assert.Equal(t, outcome{permanent: true}, outcomeOf(t, err))
	assert.Zero(t, reached.Load(), "the token would go there")
}

// TestReason: what is for programs stays out of what people read.
func TestReason(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"incident k7f3q9 is resolved":           fmt.Errorf("%w: incident k7f3q9 is resolved", tocsin.ErrConflict),
		"\"9\" is no step: want 1 to 3":         tocsin.Invalid("runbookStep", "%q is no step: want 1 to 3", "9"),
		"the 2nd: name a value":                 fmt.Errorf("the 2nd: %w", invalid("name a value")),
		"not found":                             tocsin.ErrNotFound,
		"conflict":                              tocsin.ErrConflict,
		"disk: full":                            errors.New("disk: full"),
		"\"a=~(\": missing ); write name=\"v\"": tocsin.Invalid("matchers", "%q: missing ); write name=\"v\"", "a=~("),
	} {
		assert.Equal(t, want, slack.Reason(err))
	}
}

// invalid is an error of tocsin.ErrInvalid that names no field.
type invalid string

func (e invalid) Error() string        { return string(e) }
func (e invalid) Is(target error) bool { return target == tocsin.ErrInvalid }
