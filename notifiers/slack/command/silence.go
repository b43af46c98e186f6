package command

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
)

// maxComment is the longest comment of a silence, in characters.
const maxComment = 300

func (d *Desk) silence(ctx context.Context, c *call) ([]string, error) {
	if d.d.Silencer == nil {
		return nil, errMissing
	}
	switch left := c.left(); {
	case len(left) == 0, c.take("list", "ls"):
		return d.silences(ctx, c)
	case left[0].is("expire", "end", "delete", "cancel"):
		c.at++
		return d.expire(ctx, c)
	}
	if !c.person.MaySilenceSome(tocsin.RightRespond) {
		return nil, c.forbidden(tocsin.RightRespond)
	}
	s, err := c.asked()
	if err == nil {
		err = c.maySilence(s.Matchers)
	}
	if err != nil {
		return nil, err
	}
	made, err := d.putOnce(ctx, s)
	if err != nil {
		return nil, err
	}
	return []string{
		"🔕 Silenced until " + slack.Time(made.EndsAt) + " as " + name(made.ID) + ": " + slack.Code(strings.Join(made.Matchers, " "), 500),
		"To end it early: " + typed("silence expire "+made.ID),
	}, nil
}

// asked reads the silence that is asked for: matchers up to for or until, the time,
// the comment.
func (c *call) asked() (tocsin.Silence, error) {
	s := tocsin.Silence{StartsAt: c.At, CreatedBy: c.Who}
	var texts []string
	for !c.take("for", "until", "till") {
		w, ok := c.next()
		if !ok {
			return s, wrong("say for how long, behind the matchers: %s.", quote("for 2h"))
		}
		texts = append(texts, matcher(w))
	}
	if s.Matchers = matchers(texts); len(s.Matchers) == 0 {
		return s, wrong("say what to silence: matchers such as %s.", quote("alertname=NodeDown"))
	}
	for _, m := range s.Matchers {
		if !strings.ContainsAny(m, "=~") {
			return s, wrong("%s is no matcher; write one such as %s.", quote(m), quote("alertname=NodeDown"))
		}
	}
	var err error
	if s.EndsAt, err = c.time(c.At); err != nil {
		return s, err
	}
	s.Comment = c.rest()
	switch {
	case !s.EndsAt.After(c.At):
		return s, refuse("%s is over.", slack.Time(s.EndsAt))
	case s.Comment == "":
		return s, wrong("say why: whoever wonders why nothing pages reads it.")
	case len([]rune(s.Comment)) > maxComment:
		return s, refuse("the comment is longer than %d characters.", maxComment)
	}
	s.EndsAt = s.EndsAt.UTC()
	return s, nil
}

// maySilence refuses a silence that could hide what is not theirs who ask for it.
func (c *call) maySilence(texts []string) error {
	if c.person.May(tocsin.RightRespond) {
		return nil
	}
	written, err := slack.Written(texts)
	switch {
	case err != nil:
		return err
	case c.person.MaySilence(tocsin.RightRespond, written):
		return nil
	}
	return refuse("%s.", slack.Escape(c.person.SilenceLacks(written), 400))
}

// known are the silences that the person may look at.
func (d *Desk) known(ctx context.Context, c *call) ([]tocsin.Silence, error) {
	all, err := d.d.Silencer.Silences(ctx)
	if err != nil || c.person.May(tocsin.RightView) {
		return all, err
	}
	return slices.DeleteFunc(slices.Clone(all), func(s tocsin.Silence) bool { return !slack.MaySilence(&c.person, tocsin.RightView, s.Matchers) }), nil
}

// straight are the quotes that Alertmanager knows.
var straight = strings.NewReplacer("“", `"`, "”", `"`, "„", `"`, "‟", `"`)

// matcher is a word that may be quoted as a whole: 'severity="critical"'.
func matcher(w word) string {
	if strings.ContainsAny(w.text, "=~") {
		return straight.Replace(w.text)
	}
	return straight.Replace(w.raw)
}

// matchers joins what stands in braces, and drops commas between the others.
func matchers(words []string) []string {
	if len(words) > 0 && strings.HasPrefix(words[0], "{") {
		return []string{strings.Join(words, " ")}
	}
	var out []string
	for _, w := range words {
		if w = strings.Trim(w, ","); w != "" {
			out = append(out, w)
		}
	}
	return out
}

// putOnce makes a silence, unless the same words have made it already.
func (d *Desk) putOnce(ctx context.Context, s tocsin.Silence) (tocsin.Silence, error) {
	all, err := d.d.Silencer.Silences(ctx)
	if err != nil {
		return s, err
	}
	for n := range all {
		if o := &all[n]; o.CreatedBy == s.CreatedBy && o.StartsAt.Equal(s.StartsAt) && slices.Equal(o.Matchers, s.Matchers) &&
			strings.HasPrefix(o.Comment, s.Comment) {
			return *o, nil
		}
	}
	return d.d.Silencer.PutSilence(ctx, s)
}

// which reads the only word of a command that ends something: an ID that another
// command lists.
func (c *call) which(lists string) (id string, err error) {
	w, ok := c.next()
	if !ok {
		return "", wrong("say which: %s shows their IDs.", typed(lists))
	}
	return strings.ToLower(w.text), c.end()
}

func (d *Desk) expire(ctx context.Context, c *call) ([]string, error) {
	if !c.person.MaySilenceSome(tocsin.RightRespond) {
		return nil, c.forbidden(tocsin.RightRespond)
	}
	id, err := c.which("silences")
	if err != nil {
		return nil, err
	}
	all, err := d.known(ctx, c)
	if err != nil {
		return nil, err
	}
	n := slices.IndexFunc(all, func(s tocsin.Silence) bool { return strings.EqualFold(s.ID, id) })
	if n < 0 {
		return nil, refuse("there is no silence %s; those in force: %s", quote(id), typed("silences"))
	}
	if !slack.MaySilence(&c.person, tocsin.RightRespond, all[n].Matchers) {
		return nil, c.forbidden(tocsin.RightRespond)
	}
	if err := d.d.Silencer.ExpireSilence(ctx, all[n].ID, c.Who); err != nil {
		return nil, err
	}
	return []string{"✅ Silence " + name(all[n].ID) + " is over. What it held back and still fires pages."}, nil
}

func (d *Desk) silences(ctx context.Context, c *call) ([]string, error) {
	if d.d.Silencer == nil {
		return nil, errMissing
	}
	every := c.take("all")
	page, err := c.paged()
	if err == nil {
		err = c.end()
	}
	if err != nil {
		return nil, err
	}
	all, err := d.known(ctx, c)
	if err != nil {
		return nil, err
	}
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b tocsin.Silence) int { return a.EndsAt.Compare(b.EndsAt) })
	var lines []string
	for n := range all {
		if s := &all[n]; every || s.EndsAt.After(c.At) {
			lines = append(lines, quiet(s, c.At))
		}
	}
	list := "silences"
	if every {
		list = "silences all"
	}
	if len(lines) == 0 {
		return []string{"Nothing is silenced."}, nil
	}
	return cut(lines, page, list), nil
}

// quiet is a line about one silence.
func quiet(s *tocsin.Silence, now time.Time) string {
	line := "• " + name(s.ID) + " " + slack.Code(strings.Join(s.Matchers, " "), 200)
	switch {
	case !s.EndsAt.After(now):
		line += " ended " + slack.Time(s.EndsAt)
	case s.StartsAt.After(now):
		line += " from " + slack.Time(s.StartsAt) + " to " + slack.Time(s.EndsAt)
	default:
		line += " until " + slack.Time(s.EndsAt)
	}
	return line + ", by " + slack.Escape(s.CreatedBy, 60) + ": " + slack.Escape(s.Comment, 150)
}
