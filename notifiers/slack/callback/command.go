package callback

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/tocsin-oncall/tocsin/notifiers/slack"
)

// lateAfter is when a command's answer is promised instead of given. It is a
// little more than the command itself is given, and less than Slack's 3 s.
const lateAfter = actWithin + 200*time.Millisecond

// command runs a slash command
// (https://docs.slack.dev/interactivity/implementing-slash-commands).
func (h *Handler) command(ctx context.Context, body []byte) answer {
	f, bad := fields(body)
	if bad != nil {
		return answer{refusal: bad}
	}
	return h.commanded(ctx, f)
}

// commanded runs the slash command of these fields.
func (h *Handler) commanded(ctx context.Context, f map[string]string) answer {
	bad := h.ours(f["team_id"])
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
	said := slack.Said{Who: who, User: to.user, Channel: to.channel, Text: f["text"], At: to.at}
	if to.trigger != "" {
		said.ID = "slack:" + to.trigger
	}
	return h.run(ctx, to, said)
}

func reply(lines ...string) []byte {
	r := slack.Reply{Lines: lines}
	return r.Body()
}

// run gives the command's answer, or says that it comes later.
func (h *Handler) run(ctx context.Context, to sender, said slack.Said) answer {
	done := make(chan slack.Reply, 1)
	go func() {
		ctx, cancel := context.WithTimeout(ctx, actWithin)
		defer cancel()
		r, err := h.speak(ctx, said)
		if err != nil {
			r = slack.Reply{Lines: []string{"⚠️ Not done: Tocsin cannot reach its store right now. Try again in a moment."}}
		}
		done <- r
	}()
	late := time.NewTimer(lateAfter)
	defer late.Stop()
	select {
	case r := <-done:
		return answer{outcome: "done", body: r.Body(), instead: h.say(to, r)}
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

// speak has the commander do what was said. The error means "not now", and was
// logged.
func (h *Handler) speak(ctx context.Context, said slack.Said) (r slack.Reply, err error) {
	defer func() {
		// Where it runs beside the server's goroutine nobody else would catch it.
		if v := recover(); v != nil {
			h.cfg.Logger.Error("a command typed in Slack panicked: this is a fault of Tocsin, please report it", "panic", v, "stack", string(debug.Stack()))
			r, err = slack.Reply{Lines: []string{"⚠️ The command failed: this is a fault of Tocsin. Its log says more."}}, nil
		}
	}()
	if r, err = h.d.Commander.Run(ctx, said); err != nil {
		h.log.once(h.cfg.Now(), "command").Warn("what was typed in Slack could not be done now; the person was told", "error", err)
	}
	return r, err
}
