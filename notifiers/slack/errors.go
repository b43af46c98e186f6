package slack

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

const (
	// defaultRetryAfter is used where Slack asks for patience without saying
	// how much.
	defaultRetryAfter = 30 * time.Second
	maxRetryAfter     = time.Hour
)

// apiError is an answer of Slack that is no success.
type apiError struct {
	method string
	// status of HTTP; code is Slack's error code, empty when the answer was not
	// Slack's JSON.
	status int
	code   string
	// words are Slack's further words, already cleaned.
	words string
	html  bool
}

func (e *apiError) Error() string {
	var b strings.Builder
	b.WriteString("slack " + e.method + ": ")
	switch {
	case e.code != "":
		b.WriteString(e.code)
	case e.html:
		b.WriteString("HTTP " + strconv.Itoa(e.status) + " with a web page instead of an answer (a proxy or a status page stands before Slack)")
	default:
		b.WriteString("HTTP " + strconv.Itoa(e.status) + " " + http.StatusText(e.status))
	}
	if e.words != "" {
		b.WriteString(" (" + e.words + ")")
	}
	return b.String()
}

// unclearCodes are answers of which Slack says that some of the operation may
// have succeeded (https://docs.slack.dev/reference/methods/chat.postMessage).
var unclearCodes = map[string]bool{"internal_error": true, "fatal_error": true}

// ourFault is the advice about a message that Slack finds malformed.
const ourFault = "this is a fault of Tocsin: please report it"

// hints says what to do about each permanent error. A code that is not here is
// tried again: service_unavailable, request_timeout, and whatever Slack thinks
// of next, since giving up a page on an unknown word would be worse.
var hints = adviceByCode(map[string]string{
	"check the channel's name, or the person's Slack ID in users; if the channel is private, invite the bot to it: /invite @tocsin": "channel_not_found",
	"invite the bot to the channel: /invite @tocsin":                                                            "not_in_channel",
	"unarchive the channel or route to another one":                                                             "is_archived is_inactive",
	"put a valid bot token into slack.bot_token_file":                                                           "invalid_auth not_authed token_expired",
	"install the Slack app again and put the new bot token into slack.bot_token_file":                           "token_revoked account_inactive team_not_found",
	"use a bot token (xoxb-…)":                                                                                  "not_allowed_token_type metadata_must_be_sent_from_app as_user_not_supported",
	"add the scope to the Slack app and install it again":                                                       "missing_scope",
	"check the app's scopes, and invite the bot to the channel: /invite @tocsin":                                "no_permission access_denied",
	"grant the app access to this workspace":                                                                    "team_access_not_granted enterprise_is_restricted",
	"allow this machine's address for the app in the workspace":                                                 "accesslimited",
	"set up two-factor authentication for the account behind the token":                                         "two_factor_setup_required",
	"ask a workspace administrator, whose settings forbid it, or route to another channel":                      "restricted_action ekm_access_denied message_limit_exceeded",
	"the channel is read-only: allow the bot to post there or route to another one":                             "restricted_action_read_only_channel",
	"the channel takes replies alone, or none: route to another one":                                            "restricted_action_thread_only_channel restricted_action_non_threadable_channel",
	"the message was deleted, or belongs to another app":                                                        "message_not_found thread_not_found cannot_reply_to_message cant_update_message edit_window_closed",
	"check the person's Slack ID in users":                                                                      "user_not_found user_not_visible invalid_users invalid_user failed_for_some_users",
	"the person's Slack account is deactivated: take them off the schedules or correct their Slack ID in users": "user_disabled user_is_deactivated",
	"the ID belongs to a bot or an app: put the person's Slack ID into users":                                   "cannot_dm_bot",
	"guests may not be reached so: ask a workspace administrator, or give the person another contact":           "user_is_restricted user_is_ultra_restricted single_channel_guests_cannot_be_added",
	"turn on the Messages tab under App Home in the Slack app's settings":                                       "messages_tab_disabled",
	"check the ID of the Slack user group":                                                                      "no_such_subteam subteam_not_found",
	"let everyone manage user groups: Workspace settings, Permissions, User Groups":                             "permission_denied",
	"user groups need a paid plan of Slack":                                                                     "plan_upgrade_required paid_teams_only",
	"click again: Slack gives 3 seconds to open a window":                                                       "expired_trigger_id exchanged_trigger_id invalid_trigger_id trigger_expired trigger_exchanged",
	"turn on the Home tab under App Home in the Slack app's settings":                                           "not_enabled",
	"the person is not in that channel":                                                                         "user_not_in_channel",
	"check slack.api_url":                                                                                       "unknown_method",
	"update Tocsin":                                                                                             "method_deprecated deprecated_endpoint",
	ourFault: "no_users_provided invalid_blocks invalid_blocks_format block_mismatch msg_blocks_too_long msg_too_long no_text " +
		"view_too_large too_many_attachments invalid_attachments metadata_too_large invalid_metadata_format invalid_metadata_schema " +
		"invalid_arguments invalid_arg_name invalid_array_arg invalid_charset invalid_form_data invalid_json " +
		"json_not_object invalid_post_type missing_post_type",
})

func adviceByCode(codes map[string]string) map[string]string {
	out := map[string]string{}
	for advice, list := range codes {
		for code := range strings.FieldsSeq(list) {
			out[code] = advice
		}
	}
	return out
}

// classify turns an answer that is no success into the error that tells the
// dispatcher what to do. An answer in Slack's JSON counts by its code whatever
// the status; any other by its status.
func classify(e *apiError, header http.Header, now time.Time) error {
	switch {
	case e.status == http.StatusTooManyRequests, e.code == "ratelimited", e.code == "rate_limited":
		return tocsin.RetryAfter(e, retryAfter(header.Get("Retry-After"), now))
	case e.code != "":
		return classifyCode(e)
	case e.status >= 500:
		// A gateway may have lost the answer, not the request.
		return unclearPost(e, e.status != http.StatusServiceUnavailable)
	case e.html:
		return e
	case e.status == http.StatusRequestTimeout, e.status == http.StatusTooEarly, e.status == http.StatusMisdirectedRequest:
		return e
	case e.status == http.StatusProxyAuthRequired:
		return tocsin.Permanent(fmt.Errorf("%w: the HTTP proxy wants credentials: check HTTPS_PROXY", e))
	case e.status >= 300:
		return tocsin.Permanent(fmt.Errorf("%w: this is not Slack's Web API: check slack.api_url", e))
	default:
		// A success that cannot be read: Slack may well have acted.
		return unclearPost(e, true)
	}
}

func classifyCode(e *apiError) error {
	if hint, ok := hints[e.code]; ok {
		return tocsin.Permanent(fmt.Errorf("%w: %s", e, hint))
	}
	return unclearPost(e, unclearCodes[e.code])
}

// unclearPost marks an error as unclear where a message may have been posted
// all the same. All other calls can be made twice without harm.
func unclearPost(e *apiError, unclear bool) error {
	if unclear && e.method == methodPost {
		return tocsin.Unclear(e)
	}
	return e
}

// retryAfter reads the header, in seconds or as a date.
func retryAfter(v string, now time.Time) time.Duration {
	v = strings.TrimSpace(v)
	d := defaultRetryAfter
	const absurd = 1e12 // seconds: whoever writes this did not mean it
	if secs, err := strconv.ParseFloat(v, 64); err == nil && secs >= 0 && secs < absurd {
		d = time.Duration(min(secs, maxRetryAfter.Seconds()) * float64(time.Second))
	} else if at, err := http.ParseTime(v); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, time.Second), maxRetryAfter)
}

// permanentURL is the error about a base URL that no request can be made of.
func permanentURL(method string) error {
	return tocsin.Permanent(fmt.Errorf("slack %s: %w", method, errURL))
}

// classifyNetwork turns a failure without an answer into an error.
func (c *Client) classifyNetwork(method string, err error, rec *record) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // without the URL
	}
	if text := err.Error(); c.secret(text) {
		err = errors.New(c.redact(text))
	}
	err = fmt.Errorf("slack %s: %w", method, err)
	if method != methodPost || rec.unsent() {
		return err
	}
	return tocsin.Unclear(err)
}

// neverSent tells the failures that happen before a request is written.
func neverSent(err error) bool {
	var op *net.OpError
	var dns *net.DNSError
	return errors.As(err, &dns) || errors.As(err, &op) && op.Op == "dial"
}

// codeOf returns Slack's error code, or "".
func codeOf(err error) string {
	var e *apiError
	if errors.As(err, &e) {
		return e.code
	}
	return ""
}

// messageGone tells that a message cannot be changed any more, so that a new one
// has to take its place.
func messageGone(err error) bool {
	switch codeOf(err) {
	case "message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found", "cannot_reply_to_message":
		return true
	default:
		return false
	}
}

// blocksRefused tells that Slack did not like the form of a message, which text
// alone does not have.
func blocksRefused(err error) bool {
	switch codeOf(err) {
	case "invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long", "invalid_attachments", "block_mismatch":
		return true
	default:
		return false
	}
}

// metadataRefused tells that Slack did not like what a message says to a later
// process; it can be read without that.
func metadataRefused(err error) bool {
	switch codeOf(err) {
	case "metadata_too_large", "invalid_metadata_format", "invalid_metadata_schema":
		return true
	default:
		return false
	}
}
