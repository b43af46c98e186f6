package callback

import (
	"context"
	"runtime/debug"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin/notifiers/slack"
)

// lateAfter is when a command's answer is promised instead of given. It is a
// little more than the command itself is given, and less than Slack's 3 s.
const lateAfter = actWithin + 200*time.Millisecond

// maxCommandLine is the longest line of an answer that is shown.
const maxCommandLine = 1000

// command runs a slash command
// (https://docs.slack.dev/interactivity/implementing-slash-commands).
func (h *Handler) command(ctx context.Context, body []byte) answer {
	f, bad := fields(body)
	if bad == nil {
		bad = h.ours(f["team_id"])
	}
	if bad == nil && (f["command"] == "" || f["user_id"] == "") {
		bad = malformed("payload", "its body is no slash command")
	}
	if bad != nil {
		return answer{refusal: bad}
	}
	to := sender{user: f["user_id"], channel: f["channel_id"], responseURL: f["response_url"], trigger: f["trigger_id"], at: h.cfg.Now()}
	who, known := h.d.Who(to.user)
	switch {
	case !known:
		return answer{outcome: "stranger", body: reply(strangerLines(to.user)...)}
	case h.d.Commander == nil:
		return answer{outcome: "ignored", body: reply("Commands are not available here.")}
	}
	return h.run(ctx, to, who, f["text"])
}

func reply(lines ...string) []byte {
	r := slack.Reply{Lines: lines}
	return r.Body()
}

// run gives the command's answer, or says that it comes later.
func (h *Handler) run(ctx context.Context, to sender, who, text string) answer {
	done := make(chan slack.Reply, 1)
	go func() {
		ctx, cancel := context.WithTimeout(ctx, actWithin)
		defer cancel()
		defer func() {
			// Beside the server's goroutine nobody else would catch it.
			if v := recover(); v != nil {
				h.cfg.Logger.Error("a command typed in Slack panicked: this is a fault of Tocsin, please report it", "panic", v, "stack", string(debug.Stack()))
				done <- slack.Reply{Lines: []string{"⚠️ The command failed: this is a fault of Tocsin. Its log says more."}}
			}
		}()
		said, public := h.d.Commander.Run(ctx, who, text)
		done <- slack.Reply{Lines: plainLines(said), Public: public}
	}()
	late := time.NewTimer(lateAfter)
	defer late.Stop()
	select {
	case r := <-done:
		return answer{outcome: "done", body: r.Body()}
	case <-late.C:
	}
	return answer{outcome: "done", body: reply("Still at it; the answer follows here."), after: func(ctx context.Context) {
		select {
		case r := <-done:
			h.say(to, r)(ctx)
		case <-ctx.Done():
		}
	}}
}

// plainLines escapes plain text line by line.
func plainLines(text string) []string {
	var lines []string
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		lines = append(lines, slack.Escape(line, maxCommandLine))
	}
	return lines
}
