package slacktest

import (
	"html"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// autoLink finds what Slack turns into a link by itself where text is not
// verbatim.
var autoLink = regexp.MustCompile(`https?://[^\s<>|]+`)

// render turns Slack's markup into HTML. What it does not know stays text; all
// text is escaped.
type render struct {
	out strings.Builder
	// verbatim text has no automatic links.
	verbatim bool
	// mentions and links that the text makes, in order.
	mentions, links []string
}

// mrkdwn renders a text of type mrkdwn, as described at
// https://docs.slack.dev/messaging/formatting-message-text.
func (r *render) mrkdwn(s string) {
	for {
		before, rest, ok := strings.Cut(s, "```")
		code, after, closed := strings.Cut(rest, "```")
		if !ok || !closed || strings.TrimSpace(code) == "" {
			r.lines(s)
			return
		}
		r.lines(strings.TrimSuffix(before, "\n"))
		r.out.WriteString("<pre>")
		r.plain(strings.Trim(code, "\n"))
		r.out.WriteString("</pre>")
		s = strings.TrimPrefix(after, "\n")
	}
}

// lines renders text without fences: a line that starts with an escaped > is a
// quotation.
func (r *render) lines(s string) {
	for i, line := range strings.Split(s, "\n") {
		if quoted, ok := strings.CutPrefix(line, "&gt;"); ok {
			r.out.WriteString("<blockquote>")
			r.inline(quoted)
			r.out.WriteString("</blockquote>")
			continue
		}
		if i > 0 {
			r.out.WriteString("<br>")
		}
		r.inline(line)
	}
}

var spans = map[byte]string{'*': "b", '_': "i", '~': "s", '`': "code"}

// inline renders one line.
func (r *render) inline(s string) {
	plain := 0
	for i := 0; i < len(s); i++ {
		tag := spans[s[i]]
		var end int
		switch {
		case s[i] == '<':
			end = strings.IndexByte(s[i:], '>')
			if end > 0 {
				r.text(s[plain:i])
				r.token(s[i+1 : i+end])
				i += end
				plain = i + 1
			}
		case tag != "" && opens(s, i):
			if end = closing(s, i); end > 0 {
				r.text(s[plain:i])
				r.out.WriteString("<" + tag + ">")
				if tag == "code" {
					r.plain(s[i+1 : end])
				} else {
					r.inline(s[i+1 : end])
				}
				r.out.WriteString("</" + tag + ">")
				i = end
				plain = i + 1
			}
		}
	}
	r.text(s[plain:])
}

// opens tells whether a formatting mark at i may open a span: nothing but the
// start or a non-word character stands before it, and no space after.
func opens(s string, i int) bool {
	if i+1 >= len(s) || s[i+1] == ' ' || s[i+1] == s[i] {
		return false
	}
	before, _ := utf8.DecodeLastRuneInString(s[:i])
	return i == 0 || !isWord(before)
}

// closing returns where the span that opens at i ends, or 0.
func closing(s string, i int) int {
	for j := i + 2; j < len(s); j++ {
		if s[j] != s[i] || s[j-1] == ' ' && s[i] != '`' {
			continue
		}
		after, _ := utf8.DecodeRuneInString(s[j+1:])
		if j+1 == len(s) || !isWord(after) || s[i] == '`' {
			return j
		}
	}
	return 0
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// token renders what stands between < and >.
func (r *render) token(t string) {
	target, label, _ := strings.Cut(t, "|")
	switch {
	case strings.HasPrefix(target, "!date^"):
		r.date(target, label)
	case strings.HasPrefix(target, "!"), strings.HasPrefix(target, "@"), strings.HasPrefix(target, "#"):
		r.mentions = append(r.mentions, target)
		if label == "" {
			label = "@" + strings.TrimLeft(target, "!@#")
		}
		r.out.WriteString(`<span class="mention">`)
		r.plain(label)
		r.out.WriteString("</span>")
	case strings.HasPrefix(target, "http://"), strings.HasPrefix(target, "https://"), strings.HasPrefix(target, "mailto:"):
		r.link(target, label)
	default:
		r.plain("<" + t + ">")
	}
}

func (r *render) link(target, label string) {
	target = unescape.Replace(target)
	r.links = append(r.links, target)
	if label == "" {
		label = target
	}
	r.out.WriteString(`<a rel="noopener noreferrer" target="_blank" href="` + html.EscapeString(target) + `">`)
	r.plain(label)
	r.out.WriteString("</a>")
}

// date renders <!date^seconds^format|fallback> in UTC.
func (r *render) date(target, fallback string) {
	parts := strings.SplitN(target, "^", 4)
	sec, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || len(parts) < 3 {
		r.plain(fallback)
		return
	}
	at := time.Unix(sec, 0).UTC()
	text := strings.NewReplacer(
		"{date_short_pretty}", at.Format("Jan 2, 2006"), "{date_short}", at.Format("Jan 2, 2006"),
		"{date_pretty}", at.Format("January 2, 2006"), "{date}", at.Format("January 2, 2006"),
		"{date_num}", at.Format("2006-01-02"), "{time_secs}", at.Format("15:04:05"), "{time}", at.Format("15:04"),
	).Replace(parts[2])
	r.out.WriteString(`<time title="` + html.EscapeString(unescape.Replace(fallback)) + `">`)
	r.plain(text)
	r.out.WriteString("</time>")
}

// text writes ordinary text, with automatic links unless it is verbatim.
func (r *render) text(s string) {
	last := 0
	if !r.verbatim {
		for _, m := range autoLink.FindAllStringIndex(s, -1) {
			r.plain(s[last:m[0]])
			r.link(s[m[0]:m[1]], "")
			last = m[1]
		}
	}
	r.plain(s[last:])
}

// plain writes text whose &amp;, &lt; and &gt; are Slack's escapes.
func (r *render) plain(s string) {
	r.out.WriteString(html.EscapeString(unescape.Replace(s)))
}

// unescape undoes Slack's three escapes.
var unescape = strings.NewReplacer("&amp;", "&", "&lt;", "<", "&gt;", ">")
