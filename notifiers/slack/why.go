package slack

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

const (
	// maxWhyYours and maxWhyOthers are how many of the decisions about the person who
	// asks, and of all others, are told; maxWhyStage how many of one stage.
	maxWhyYours  = 6
	maxWhyOthers = 12
	maxWhyStage  = 3
	// maxWhyAnswer and maxWhyLine bound the texts.
	maxWhyAnswer = 900
	maxWhyLine   = 300
)

var traceTimes = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)? UTC`)

// Why is a trace in lines of a Reply for the person who asks: the answer, what is
// about them, then of each stage what held it back or failed before what went on. What
// does not fit is on the page at url; "": there is none.
func Why(inc *tocsin.Incident, why *tocsin.Why, who, url string) []string {
	lines := []string{"*Why me?* " + State(inc), whyText(why.Answer, maxWhyAnswer)}
	var yours, others []*tocsin.Reason
	for n := range why.Reasons {
		switch r := &why.Reasons[n]; {
		case r.User == who && who != "":
			yours = append(yours, r)
		case r.Stage != tocsin.StageIdentity: // a long list of labels, which the message shows
			others = append(others, r)
		}
	}
	left := max(len(yours)-maxWhyYours, 0)
	for _, r := range yours[:len(yours)-left] {
		lines = append(lines, whyLine(r))
	}
	shown := weightiest(others)
	left += len(others) - len(shown)
	var stage tocsin.ReasonStage
	for _, r := range shown {
		if r.Stage != stage {
			stage = r.Stage
			lines = append(lines, "*"+Escape(stage.Question(), 60)+"*")
		}
		lines = append(lines, whyLine(r))
	}
	if left > 0 {
		lines = append(lines, fmt.Sprintf("There is more: %d %s.", left, plural(uint64(left), "decision")))
	}
	if target := safeURL(url); target != "" {
		lines = append(lines, "<"+target+"|Every decision, and what was not sent>")
	}
	return lines
}

// weightiest are the few that a person asks for, in their order: of each stage what
// was held back, failed or waits, and what was decided then before what the
// configuration says now.
func weightiest(all []*tocsin.Reason) (out []*tocsin.Reason) {
	keep := map[*tocsin.Reason]bool{}
	for _, weight := range []func(*tocsin.Reason) bool{
		func(r *tocsin.Reason) bool { return r.End == tocsin.EndFailed && !r.Now },
		func(r *tocsin.Reason) bool { return r.End == tocsin.EndHeld && !r.Now },
		func(r *tocsin.Reason) bool { return r.End != tocsin.EndSent && !r.Now },
		func(r *tocsin.Reason) bool { return !r.Now },
	} {
		for _, r := range all {
			same := func(k *tocsin.Reason) bool { return keep[k] && k.Stage == r.Stage }
			if len(keep) < maxWhyOthers && !keep[r] && weight(r) && count(all, same) < maxWhyStage {
				keep[r] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(r *tocsin.Reason) bool { return !keep[r] })
}

func count(all []*tocsin.Reason, is func(*tocsin.Reason) bool) (n int) {
	for _, r := range all {
		if is(r) {
			n++
		}
	}
	return n
}

func whyLine(r *tocsin.Reason) string {
	line := "• "
	if at := r.When(); !at.IsZero() {
		line += Time(at) + " "
	}
	if r.End == tocsin.EndFailed || r.End == tocsin.EndHeld {
		line += "_" + string(r.End) + ":_ "
	}
	line += whyText(r.Text, maxWhyLine)
	if by := r.Signed(); by != "" {
		line += " (by " + Escape(by, 60) + ")"
	}
	if r.Where != "" && r.Stage != tocsin.StageGroup {
		line += " " + Code(r.Where, 80)
	}
	if r.Now {
		line += " (configuration of now)"
	}
	return line
}

// whyText escapes a text of a trace, and has each reader see its times in their own
// zone.
func whyText(text string, limit int) string {
	return traceTimes.ReplaceAllStringFunc(Escape(text, limit), func(s string) string {
		for _, layout := range []string{tocsin.TraceTime, "2006-01-02 15:04 UTC"} {
			if t, err := time.Parse(layout, s); err == nil {
				return Time(t)
			}
		}
		return s
	})
}
