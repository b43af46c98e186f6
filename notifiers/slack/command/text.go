package command

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxText is the longest text that is read, in bytes.
const maxText = 9 << 10

// entities are what Slack escapes
// (https://docs.slack.dev/messaging/formatting-message-text#escaping).
var entities = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")

// mention is where a text names a person.
type mention struct {
	from, to int
	user     string
}

// decode returns a text as it was typed, and where people are mentioned in it.
// name gives the names of people whom Slack names by their IDs alone; "": unknown.
func decode(s string, name func(user string) string) (string, []mention) {
	var b strings.Builder
	var found []mention
	for s = strings.ToValidUTF8(s, "\uFFFD"); s != ""; {
		begin := strings.IndexByte(s, '<')
		end := -1
		if begin >= 0 {
			end = strings.IndexByte(s[begin:], '>')
		}
		if end < 0 {
			break
		}
		b.WriteString(entities.Replace(s[:begin]))
		inner := s[begin+1 : begin+end]
		s = s[begin+end+1:]
		from := b.Len()
		text, user := token(inner, name)
		b.WriteString(text)
		if user != "" {
			found = append(found, mention{from, b.Len(), user})
		}
	}
	b.WriteString(entities.Replace(s))
	return b.String(), found
}

// token returns what was typed for what stands in <…>, and the person's ID where
// it mentions one.
func token(inner string, name func(string) string) (text, user string) {
	target, label, _ := strings.Cut(inner, "|")
	label = entities.Replace(label)
	switch {
	case strings.HasPrefix(target, "@"):
		user = target[1:]
		if known := name(user); known != "" {
			label = known
		}
		return "@" + or(strings.TrimPrefix(label, "@"), user), user
	case strings.HasPrefix(target, "#"):
		return "#" + or(label, target[1:]), ""
	case strings.HasPrefix(target, "!"):
		return or(label, "@"+target[1:]), ""
	}
	// A link that Slack made of what was typed shows it as the label.
	target = entities.Replace(target)
	switch {
	case label == "", label == target:
		return target, ""
	case strings.HasSuffix(target, label), strings.HasSuffix(target, label+"/"):
		return label, ""
	default:
		return label + " (" + target + ")", ""
	}
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// word is one of the words of a line.
type word struct {
	// text without the quotes around it; raw with them, as ".
	text, raw string
	// user is the Slack ID of the person whom the word mentions.
	user string
	// from is where the word begins in the line.
	from int
}

// is reports whether the word is one of some, in any case.
func (w *word) is(some ...string) bool {
	for _, s := range some {
		if strings.EqualFold(w.text, s) {
			return true
		}
	}
	return false
}

// line is what was typed, and how far it has been read.
type line struct {
	text  string
	words []word
	at    int
}

func read(text string, name func(string) string) *line {
	l := &line{}
	var people []mention
	l.text, people = decode(text, name)
	for i := 0; i < len(l.text); {
		r, size := utf8.DecodeRuneInString(l.text[i:])
		if blank(r) {
			i += size
			continue
		}
		w, next := l.word(i, people)
		l.words = append(l.words, w)
		i = next
	}
	return l
}

func blank(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }

// word reads the one that begins at a place, and returns where it ends.
func (l *line) word(begin int, people []mention) (word, int) {
	w := word{from: begin}
	var raw strings.Builder
	i, last := begin, ' '
	for i < len(l.text) {
		if m := mentioned(people, i); m != nil {
			raw.WriteString(l.text[i:m.to])
			if i == begin {
				w.user = m.user
			}
			i, last = m.to, '@'
			continue
		}
		r, size := utf8.DecodeRuneInString(l.text[i:])
		if blank(r) {
			break
		}
		if inner, to := l.quoted(i, r, last, i == begin); to > 0 {
			raw.WriteString(`"` + inner + `"`)
			if i == begin && (to == len(l.text) || blankAt(l.text, to)) {
				w.text = unescape(inner)
			}
			i, last = to, '"'
			continue
		}
		raw.WriteRune(r)
		i, last = i+size, r
	}
	w.raw = raw.String()
	switch m := mentioned(people, begin); {
	case m != nil && strings.Trim(l.text[m.to:i], ",:;") == "":
		w.text = l.text[m.from:m.to]
	case w.text == "":
		w.text, w.user = w.raw, ""
	}
	return w, i
}

func mentioned(people []mention, at int) *mention {
	for n := range people {
		if people[n].from == at {
			return &people[n]
		}
	}
	return nil
}

func blankAt(s string, i int) bool {
	r, _ := utf8.DecodeRuneInString(s[i:])
	return blank(r)
}

// The quotes that people type, and those that Slack's and phones' keyboards make of
// them.
const (
	doubles = "\"“”„‟«»"
	singles = "'‘’‚‛"
)

// quoted returns what stands between quotes that open at i, and where they have
// closed; 0: they do not. Double ones also open the value of a matcher.
func (l *line) quoted(i int, r, last rune, first bool) (inner string, to int) {
	var closes string
	switch {
	case strings.ContainsRune(doubles, r) && (first || last == '=' || last == '~' || last == '{' || last == ','):
		closes = doubles
	case first && strings.ContainsRune(singles, r):
		closes = singles
	case first && r == '`':
		closes = "`"
	default:
		return "", 0
	}
	begin := i + utf8.RuneLen(r)
	escaped := false
	for n, c := range l.text[begin:] {
		end := begin + n + utf8.RuneLen(c)
		switch {
		case escaped:
			escaped = false
		case c == '\\':
			escaped = true
		case strings.ContainsRune(closes, c) && (closes != singles || end == len(l.text) || blankAt(l.text, end)):
			return l.text[begin : begin+n], end
		}
	}
	return "", 0
}

var escapes = strings.NewReplacer(`\"`, `"`, `\\`, `\`)

func unescape(s string) string { return escapes.Replace(s) }

// next reads a word; the bool tells whether there was one.
func (l *line) next() (word, bool) {
	w, ok := l.peek()
	if ok {
		l.at++
	}
	return w, ok
}

func (l *line) peek() (word, bool) {
	if l.at >= len(l.words) {
		return word{}, false
	}
	return l.words[l.at], true
}

// take reads the next word if it is one of some.
func (l *line) take(some ...string) bool {
	w, ok := l.peek()
	if ok = ok && w.is(some...); ok {
		l.at++
	}
	return ok
}

// left are the words that were not read yet.
func (l *line) left() []word { return l.words[min(l.at, len(l.words)):] }

// rest reads all that is left as it was typed, without quotes around the whole.
func (l *line) rest() string {
	left := l.left()
	l.at = len(l.words)
	switch len(left) {
	case 0:
		return ""
	case 1:
		return left[0].text
	default:
		return strings.TrimSpace(l.text[left[0].from:])
	}
}
