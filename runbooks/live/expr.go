package live

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxLink is the longest link that is looked into, in bytes: an expression may
// take three times its length there.
const maxLink = 3*MaxExpr + 4<<10

// ExprOf is the expression of the rule that an alert comes from, as the
// generatorURL of Prometheus (and of Thanos, Cortex and Mimir) holds it:
// http://prometheus:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1
// (strutil.TableLinkForExpression in Prometheus). It is from outside: ask your own
// Prometheus for it, never the address in the link. Nothing else is read from the
// link. It is false where there is none, or none that could be asked for.
func ExprOf(generatorURL string) (string, bool) {
	if generatorURL == "" || len(generatorURL) > maxLink {
		return "", false
	}
	u, err := url.Parse(generatorURL)
	if err != nil {
		return "", false
	}
	expr := strings.TrimSpace(u.Query().Get("g0.expr"))
	if checkExpr(expr) != nil || strings.ContainsFunc(expr, unprintable) {
		return "", false
	}
	return expr, true
}

// maxEnclosed is how many pairs of parentheses around a whole expression are taken
// off.
const maxEnclosed = 8

// unprintable characters have no place in an expression outside of a text, and
// would hide something there.
func unprintable(r rune) bool {
	return r == utf8.RuneError || !unicode.IsPrint(r) && r != '\t' && r != '\n' && r != '\r'
}

// number is a number as rules compare with.
var number = regexp.MustCompile(`^[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?$`)

// Threshold takes apart an expression that compares something with a number, as
// most rules do: of `rate(errors[5m]) > 0.05` it is `rate(errors[5m])` and 0.05.
// A graph of the whole expression would only show the times at which it fired. It
// is false for everything else.
func Threshold(expr string) (compared string, limit float64, ok bool) {
	if len(expr) > MaxExpr {
		return "", 0, false
	}
	expr = strings.TrimSpace(expr)
	for range maxEnclosed {
		if enclosed(expr) {
			expr = strings.TrimSpace(expr[1 : len(expr)-1])
		}
	}
	at, width := comparison(expr)
	if at < 0 {
		return "", 0, false
	}
	left, right := strings.TrimSpace(expr[:at]), strings.TrimSpace(expr[at+width:])
	if number.MatchString(left) {
		left, right = right, left
	}
	if left == "" || number.MatchString(left) || !number.MatchString(right) {
		return "", 0, false
	}
	limit, err := strconv.ParseFloat(right, 64)
	return left, limit, err == nil
}

// enclosed reports whether one pair of parentheses holds the whole expression.
func enclosed(expr string) bool {
	if len(expr) < 2 || expr[0] != '(' {
		return false
	}
	closed := -1
	ok := scan(expr, func(at, depth int) bool {
		if depth == 0 && expr[at] == ')' {
			closed = at
			return false
		}
		return true
	})
	return ok && closed == len(expr)-1
}

// comparison finds the only comparison at the top of an expression: at is -1 where
// there is none, or where something binds looser, or the comparison gives 0 and 1
// (bool).
func comparison(expr string) (at, width int) {
	at = -1
	word, around := -1, 0 // where a word began, and the brackets around it
	found, only := 0, true
	ended := expr + " " // every word ends
	ok := scan(ended, func(i, depth int) bool {
		c := ended[i]
		inWord := c == '_' || c == ':' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
		switch {
		case inWord && word < 0:
			word, around = i, depth
		case !inWord && word >= 0:
			only = only && !(around == 0 && looser(expr[word:i]))
			word = -1
		}
		if depth > 0 || i >= len(expr) || i < at+width {
			return true
		}
		if w := operator(expr[i:]); w > 0 {
			at, width = i, w
			found++
		}
		return true
	})
	if !ok || !only || found != 1 {
		return -1, 0
	}
	return at, width
}

func looser(word string) bool {
	switch strings.ToLower(word) {
	case "and", "or", "unless", "bool":
		return true
	default:
		return false
	}
}

// operator is the width of the comparison that s begins with, or 0.
func operator(s string) int {
	for _, op := range []string{"==", "!=", "<=", ">=", "<", ">"} {
		if strings.HasPrefix(s, op) {
			return len(op)
		}
	}
	return 0
}

// scan yields the bytes of an expression that are outside of texts, with the
// number of brackets around them; a closing bracket has the depth outside. It is
// false where brackets or texts do not match, and for comments, which would hide
// what follows.
func scan(expr string, yield func(at, depth int) bool) bool {
	depth := 0
	for i := 0; i < len(expr); i++ {
		switch c := expr[i]; c {
		case '"', '\'', '`':
			n := textLength(expr[i:])
			if n == 0 {
				return false
			}
			i += n - 1
			continue
		case '#':
			return false
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			if depth--; depth < 0 {
				return false
			}
		}
		if !yield(i, depth) {
			return true
		}
	}
	return depth == 0
}

// textLength is the length of the quoted text that s begins with, or 0.
func textLength(s string) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && s[0] != '`':
			i++
		case s[i] == s[0]:
			return i + 1
		}
	}
	return 0
}
